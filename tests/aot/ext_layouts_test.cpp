// How TPUs and GPUs that are not here lay arrays out.

#include "pjrt/ext/layouts.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "aot/targets.hpp"
#include "plugin/programs.hpp"

namespace pjrt {
namespace {

using test::value_of;

std::string default_on(const Topology& topology, ElementType type, Dimensions dims) {
  return to_string(
      value_of(value_of(topology.extension<ext::Layouts>()).default_layout(topology, Shape{type, std::move(dims)})));
}

TEST(TpuLayouts, DefaultsAreTiledAsTheVectorUnitReads) {
  REQUIRE_PLUGIN("tpu");
  const Topology topology = test::tpu_v4(test::counted_plugin("tpu"));
  // Registers of 8 sublanes by 128 lanes of 32 bits; narrower elements are packed within a sublane.
  EXPECT_EQ(default_on(topology, ElementType::F32, {256, 256}), "{1,0:T(8,128)}");
  EXPECT_EQ(default_on(topology, ElementType::BF16, {16, 128}), "{1,0:T(8,128)(2,1)}");
  EXPECT_EQ(default_on(topology, ElementType::S4, {64, 128}), "{1,0:T(64,128)(8,1)E(4)}");
}

TEST(TpuLayouts, TilesOfSmallArraysAreSmaller) {
  REQUIRE_PLUGIN("tpu");
  const Topology topology = test::tpu_v4(test::counted_plugin("tpu"));
  EXPECT_EQ(default_on(topology, ElementType::F32, {2, 3}), "{1,0:T(2,128)}");
  EXPECT_EQ(default_on(topology, ElementType::F32, {}), "{:T(128)}");
}

TEST(TpuLayouts, ProgramsTakeAndGiveTiledArrays) {
  REQUIRE_PLUGIN("tpu");
  const Plugin tpu = test::counted_plugin("tpu");
  const ext::Layouts layouts = value_of(tpu.extension<ext::Layouts>());
  const Executable add = value_of(compile(test::tpu_v4(tpu), Program::mlir(test::kAdd)));
  const Layout tiled = value_of(Layout::create({0}, {{128}}));
  EXPECT_EQ(value_of(layouts.parameter_layouts(add)), (std::vector<Layout>{tiled, tiled}));
  EXPECT_EQ(value_of(layouts.output_layouts(add)), std::vector<Layout>{tiled});
}

TEST(CudaLayouts, DefaultsAreRowMajor) {
  REQUIRE_PLUGIN("cuda");
  const Topology topology = test::h100(test::counted_plugin("cuda"));
  EXPECT_EQ(default_on(topology, ElementType::F32, {2, 3}), "{1,0}");
  EXPECT_EQ(default_on(topology, ElementType::BF16, {4, 2, 3}), "{2,1,0}");
  EXPECT_EQ(default_on(topology, ElementType::F32, {}), "{}");
}

TEST(CudaLayouts, ElementsOfHalfAByteArePacked) {
  REQUIRE_PLUGIN("cuda");
  EXPECT_EQ(default_on(test::h100(test::counted_plugin("cuda")), ElementType::S4, {64, 128}), "{1,0:E(4)}");
}

TEST(LayoutsOfOldTpus, FunctionThePluginLacksIsUnimplemented) {
  REQUIRE_PLUGIN("tpu-0.75");
  const Plugin tpu = test::counted_plugin("tpu-0.75");
  const ext::Layouts layouts = value_of(tpu.extension<ext::Layouts>());
  const Executable add = value_of(compile(test::tpu_v4(tpu), Program::mlir(test::kAdd)));
  EXPECT_ERROR(layouts.output_layouts(add), Unimplemented, "PJRT_Layouts_PJRT_Executable_GetOutputLayouts");
  EXPECT_ERROR(layouts.parameter_layouts(add), Unimplemented, "PJRT_Layouts_PJRT_Executable_GetParameterLayouts");
}

TEST(LayoutsAcrossPlugins, HandlesOfAnotherPluginAreRefused) {
  REQUIRE_PLUGIN("tpu");
  REQUIRE_PLUGIN("cuda");
  const ext::Layouts layouts = value_of(test::counted_plugin("cuda").extension<ext::Layouts>());
  const Topology topology = test::tpu_v4(test::counted_plugin("tpu"));
  EXPECT_ERROR(layouts.default_layout(topology, Shape{ElementType::F32, {2}}), InvalidArgument,
               "the topology belongs to plugin tpu");
}

}  // namespace
}  // namespace pjrt
