// How the CPU lays arrays out, by the Layouts extension.

#include "pjrt/ext/layouts.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using ext::Layouts;
using test::value_of;

class LayoutsExtension : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Plugin plugin = test::counted_plugin(GetParam());
  Client client = test::make_client(plugin);
  Layouts layouts = value_of(client.plugin().extension<Layouts>());
};

INSTANTIATE_TEST_SUITE_P(Matrix, LayoutsExtension, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(LayoutsExtension, DefaultsAreRowMajorForEveryRank) {
  const std::vector<std::pair<Dimensions, std::string>> cases = {
      {{}, "{}"}, {{5}, "{0}"}, {{2, 3}, "{1,0}"}, {{4, 2, 3}, "{2,1,0}"}, {{0, 7}, "{1,0}"}};
  for (const auto& [dims, text] : cases)
    EXPECT_EQ(to_string(value_of(layouts.default_layout(client, Shape{ElementType::F32, dims}))), text);
}

TEST_P(LayoutsExtension, TopologyHasTheDefaultsOfItsClient) {
  const Shape shape{ElementType::BF16, {4, 2, 3}};
  EXPECT_EQ(value_of(layouts.default_layout(value_of(client.topology()), shape)),
            value_of(layouts.default_layout(client, shape)));
}

TEST_P(LayoutsExtension, NewerPluginsTellOfPackedElements) {
  const std::string text = to_string(value_of(layouts.default_layout(client, Shape{ElementType::S4, {2, 3}})));
  EXPECT_EQ(text, GetParam() == "cpu" ? "{1,0:E(4)}" : "{1,0}");
}

TEST_P(LayoutsExtension, BufferTellsHowItLies) {
  const Buffer buffer = value_of(client.upload(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}));
  EXPECT_EQ(value_of(layouts.layout_of(buffer)), Layout::row_major(2));
}

TEST_P(LayoutsExtension, BufferThatIsGoneDoesNot) {
  Buffer buffer = value_of(client.upload(std::vector<float>{1, 2, 3}, {3}));
  ASSERT_OK(buffer.delete_now());
  EXPECT_FALSE(layouts.layout_of(buffer).has_value());
}

TEST_P(LayoutsExtension, ProgramTellsItsArgumentsAndResults) {
  const LoadedExecutable add = value_of(client.compile(Program::mlir(test::kAdd)));
  EXPECT_EQ(value_of(layouts.output_layouts(add.executable())), std::vector{Layout::row_major(1)});
  if (GetParam() == "cpu-0.81") {  // since 0.93
    EXPECT_ERROR(layouts.parameter_layouts(add.executable()), Unimplemented,
                 "PJRT_Layouts_PJRT_Executable_GetParameterLayouts");
  } else {
    EXPECT_EQ(value_of(layouts.parameter_layouts(add.executable())),
              (std::vector{Layout::row_major(1), Layout::row_major(1)}));
  }
}

TEST_P(LayoutsExtension, ProgramWithoutResultsHasNoLayouts) {
  const LoadedExecutable program = value_of(client.compile(Program::mlir(test::kNoOutputs)));
  EXPECT_TRUE(value_of(layouts.output_layouts(program.executable())).empty());
}

TEST_P(LayoutsExtension, TypesThePluginDoesNotKnowAreRefusedByUs) {  // asking it would end the process
  EXPECT_ERROR(layouts.default_layout(client, Shape{static_cast<ElementType>(99), {2}}), InvalidArgument, "");
  EXPECT_FALSE(layouts.default_layout(client, Shape{ElementType::Invalid, {2}}).has_value());
}

TEST_P(LayoutsExtension, HandlesOfAnotherPluginAreRefused) {
  const std::string other = GetParam() == "cpu" ? "cpu-0.106" : "cpu";
  REQUIRE_PLUGIN(other);
  const Client stranger = test::make_client(test::counted_plugin(other));
  EXPECT_ERROR(layouts.default_layout(stranger, Shape{ElementType::F32, {2}}), InvalidArgument,
               "the client belongs to plugin " + other);
  EXPECT_ERROR(layouts.layout_of(value_of(stranger.upload(std::vector<float>{1}, {1}))), InvalidArgument,
               "the buffer belongs to plugin " + other);
}

}  // namespace
}  // namespace pjrt
