// Options that only newer CPU plugins know: asynchronous and process_id.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;

class CpuClientOptions : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cpu"); }

  static Result<Client> create(NamedValues options) {
    return Client::create(test::counted_plugin("cpu"), {std::move(options), nullptr});
  }
  /// Of 20 runs that take milliseconds, how many are over when the call returns.
  static int finished_at_once(const Client& client) {
    const LoadedExecutable cube = value_of(client.compile(Program::mlir(R"(
module @cube {
  func.func public @main(%x: tensor<600x600xf32>) -> tensor<600x600xf32> {
    %y = stablehlo.dot_general %x, %x, contracting_dims = [1] x [0] : (tensor<600x600xf32>, tensor<600x600xf32>) -> tensor<600x600xf32>
    %z = stablehlo.dot_general %y, %x, contracting_dims = [1] x [0] : (tensor<600x600xf32>, tensor<600x600xf32>) -> tensor<600x600xf32>
    return %z : tensor<600x600xf32>
  }
})")));
    const Buffer x = value_of(client.upload(std::vector<float>(600 * 600, 1e-3f), {600, 600}));
    int finished = 0;
    for (int i = 0; i < 20; ++i) {
      const Outputs outputs = value_of(cube(x));
      finished += outputs[0].ready().is_ready();
      EXPECT_OK(outputs.await());
    }
    return finished;
  }
};

TEST_F(CpuClientOptions, AsynchronousIsTheDefault) {
  EXPECT_LT(finished_at_once(value_of(create({}))), 20);
  EXPECT_LT(finished_at_once(value_of(create({{"asynchronous", true}}))), 20);
}

TEST_F(CpuClientOptions, SynchronousRunsAreOverWhenTheCallReturns) {
  EXPECT_EQ(finished_at_once(value_of(create({{"asynchronous", false}}))), 20);
}

TEST_F(CpuClientOptions, ProcessIdNumbersTheDevices) {  // 2048 ids to a process
  const Client client = value_of(create({{"process_id", 3}, {"cpu_device_count", 2}}));
  EXPECT_EQ(client.process_index(), 3);
  std::vector<int> ids, local_ids;
  for (const Device device : client.addressable_devices()) {
    ids.push_back(device.id());
    local_ids.push_back(device.local_hardware_id());
    EXPECT_EQ(device.process_index(), 3);
    EXPECT_EQ(value_of(client.lookup_device(device.id())), device);
    EXPECT_EQ(value_of(client.lookup_addressable_device(device.local_hardware_id())), device);
  }
  EXPECT_THAT(ids, ElementsAre(6144, 6145));
  EXPECT_THAT(local_ids, ElementsAre(0, 1));
  EXPECT_ERROR(client.lookup_device(0), InvalidArgument, "");
}

TEST_F(CpuClientOptions, ProcessComputesWhateverItsId) {
  for (const int id : {0, 1, 1048575}) {
    const Client client = value_of(create({{"process_id", id}}));
    const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
    const Outputs outputs = value_of(twice(value_of(client.upload(std::vector<float>{1, 2, 3}, {3}))));
    EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (std::vector<float>{2, 4, 6}));
    EXPECT_EQ(outputs[0].device().id(), 2048 * id);
  }
}

TEST_F(CpuClientOptions, ProcessIdsWhoseDevicesHadNoNumbersAreRefusedByUs) {
  EXPECT_ERROR(create({{"process_id", 1048576}}), InvalidArgument, "it lies between 0 and 1048575");
  EXPECT_ERROR(create({{"process_id", -1}}), InvalidArgument, "it lies between 0 and 1048575");
  EXPECT_EQ(test::calls_of("cpu", "PJRT_Client_Create"), 0);
}

TEST_F(CpuClientOptions, ParsedOptionsAreTaken) {
  NamedValues options;
  for (const char* text : {"cpu_device_count=2", "asynchronous=false", "process_id=1"}) {
    const NamedValue option = value_of(parse_client_option(text));
    options.add(option.name, option.value);
  }
  const Client client = value_of(create(std::move(options)));
  EXPECT_EQ(client.devices()[1].id(), 2049);
}

}  // namespace
}  // namespace pjrt
