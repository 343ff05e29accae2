// Programs that send to the host and receive from it.

#include <gtest/gtest.h>

#include <string>

#include "pjrt/pjrt.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

constexpr const char* kSend = R"(
module @send {
  func.func public @main(%x: tensor<3xf32>) -> tensor<3xf32> {
    %token = stablehlo.create_token : !stablehlo.token
    %sent = "stablehlo.send"(%x, %token) {channel_handle = #stablehlo.channel_handle<handle = 1, type = 2>,
        is_host_transfer = true} : (tensor<3xf32>, !stablehlo.token) -> !stablehlo.token
    return %x : tensor<3xf32>
  }
})";

constexpr const char* kReceive = R"(
module @receive {
  func.func public @main(%x: tensor<3xf32>) -> tensor<3xf32> {
    %token = stablehlo.create_token : !stablehlo.token
    %y, %done = "stablehlo.recv"(%token) {channel_handle = #stablehlo.channel_handle<handle = 2, type = 3>,
        is_host_transfer = true} : (!stablehlo.token) -> (tensor<3xf32>, !stablehlo.token)
    return %y : tensor<3xf32>
  }
})";

class HostTransfers : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, HostTransfers, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(HostTransfers, SendingIsNotCompiledByCpuPlugins) {
  EXPECT_ERROR(client.compile(Program::mlir(kSend)), Unimplemented, "PJRT_Client_Compile");
}

TEST_P(HostTransfers, ReceivingIsNotCompiledByCpuPlugins) {
  EXPECT_ERROR(client.compile(Program::mlir(kReceive)), Unimplemented, "PJRT_Client_Compile");
}

}  // namespace
}  // namespace pjrt
