// Running a program on one device, on three versions of the CPU plugin.

#include <gtest/gtest.h>

#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;

class Execute : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }
  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, Execute, ::testing::ValuesIn(test::kCpuVersions));

constexpr const char* kAdd = R"(
module @add {
  func.func public @main(%a: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<3xf32> {
    %sum = stablehlo.add %a, %b : tensor<3xf32>
    return %sum : tensor<3xf32>
  }
})";

TEST_P(Execute, AddsTwoArrays) {
  const LoadedExecutable add = value_of(client.compile(Program::mlir(kAdd)));
  const Buffer a = value_of(client.upload(std::vector<float>{1, 2, 3}, {3}));
  const Buffer b = value_of(client.upload(std::vector<float>{10, 20, 30}, {3}));
  const Outputs sum = value_of(add(a, b));
  ASSERT_EQ(sum.size(), 1u);
  EXPECT_EQ(value_of(sum[0].to_vector<float>()), (std::vector<float>{11, 22, 33}));
}

}  // namespace
}  // namespace pjrt
