// Devices and memories: what they say of themselves, and how they belong together.

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
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
using ::testing::HasSubstr;

class DevicesAndMemories : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  bool has(Version version) const { return client.plugin().api_version() >= version; }

  Client client = test::make_client(test::counted_plugin(GetParam()), 3);
  Device device = client.addressable_devices()[1];
};

INSTANTIATE_TEST_SUITE_P(Matrix, DevicesAndMemories, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(DevicesAndMemories, DeviceKnowsItsPlace) {
  EXPECT_EQ(device.id(), 1);
  EXPECT_EQ(device.local_hardware_id(), 1);
  EXPECT_EQ(device.process_index(), 0);
  EXPECT_TRUE(device.is_addressable());
}

TEST_P(DevicesAndMemories, DeviceSaysWhatItIs) {
  EXPECT_EQ(device.kind(), "cpu");
  EXPECT_EQ(device.to_string(), "CpuDevice(id=1)");
}

TEST_P(DevicesAndMemories, DescriptionSaysTheSameAsTheDevice) {
  const DeviceDescription description = device.description();
  EXPECT_EQ(description.id(), 1);
  EXPECT_EQ(description.process_index(), 0);
  EXPECT_EQ(description.kind(), "cpu");
  EXPECT_EQ(description.to_string(), device.to_string());
  EXPECT_THAT(description.debug_string(), HasSubstr("1"));
  EXPECT_NE(description.raw(), nullptr);
}

TEST_P(DevicesAndMemories, CpuDevicesHaveNoAttributes) {
  EXPECT_EQ(value_of(device.description().attributes()).size(), 0u);
  if (has({0, 92})) {
    EXPECT_EQ(value_of(device.attributes()).size(), 0u);
  } else {
    EXPECT_ERROR(device.attributes(), Unimplemented, "needs PJRT API 0.92");
  }
}

TEST_P(DevicesAndMemories, DescriptionsKeepTheClient) {
  std::optional<Client> only = test::make_client(test::counted_plugin(GetParam()), 1);
  const DeviceDescription description = only->devices()[0].description();
  const Memory memory = only->memories()[0];
  only.reset();
  EXPECT_EQ(value_of(description.attributes()).size(), 0u);
  EXPECT_EQ(memory.devices().at(0).id(), 0);
}

TEST_P(DevicesAndMemories, EveryDeviceHasThreeKindsOfMemoryOfItsOwn) {
  std::set<int> ids;
  for (const Device d : client.addressable_devices()) {
    std::vector<std::string> kinds;
    for (const Memory memory : d.memories()) {
      kinds.push_back(memory.kind());
      ids.insert(memory.id());
      EXPECT_EQ(memory.devices(), std::vector<Device>{d});
    }
    EXPECT_THAT(kinds, ElementsAre("device", "pinned_host", "unpinned_host"));
  }
  EXPECT_EQ(ids.size(), 9u);
  EXPECT_EQ(client.memories().size(), 9u);
}

TEST_P(DevicesAndMemories, DefaultMemoryIsTheDevicesOwn) {
  const Memory memory = value_of(device.default_memory());
  EXPECT_EQ(memory.kind(), "device");
  EXPECT_EQ(memory, value_of(device.memory("device")));
  EXPECT_EQ(value_of(client.upload(1.0f, {device, {}, {}})).memory().value(), memory);
}

TEST_P(DevicesAndMemories, MemoriesAreFoundByTheirKind) {
  for (const char* kind : {"device", "pinned_host", "unpinned_host"}) {
    EXPECT_EQ(value_of(device.memory(kind)).kind(), kind);
    EXPECT_EQ(value_of(device.memory(kind)).devices(), std::vector<Device>{device});
  }
  EXPECT_ERROR(device.memory("vmem"), NotFound, "no memory of kind 'vmem'; it has device, pinned_host, unpinned_host");
}

TEST_P(DevicesAndMemories, KindsHaveNumbersThatAllDevicesShare) {
  for (const char* kind : {"device", "pinned_host", "unpinned_host"}) {
    EXPECT_EQ(value_of(device.memory(kind)).kind_id(), value_of(client.devices()[0].memory(kind)).kind_id());
  }
  EXPECT_NE(value_of(device.memory("device")).kind_id(), value_of(device.memory("pinned_host")).kind_id());
}

TEST_P(DevicesAndMemories, MemorySaysWhatItIs) {
  const Memory memory = value_of(device.memory("pinned_host"));
  EXPECT_EQ(memory.to_string(), "PINNED_HOST_" + std::to_string(memory.id()));
  EXPECT_THAT(memory.debug_string(), HasSubstr("id=" + std::to_string(memory.id())));
}

TEST_P(DevicesAndMemories, AreReadOnceWhenTheClientIsMade) {
  const auto total = [this] {
    std::int64_t n = 0;
    for (const char* f : {"PJRT_DeviceDescription_Id", "PJRT_DeviceDescription_Kind", "PJRT_Device_IsAddressable",
                          "PJRT_Device_AddressableMemories", "PJRT_Device_DefaultMemory", "PJRT_Memory_Kind",
                          "PJRT_Memory_AddressableByDevices", "PJRT_Client_PlatformName"}) {
      n += test::calls_of(GetParam(), f);
    }
    return n;
  };
  const std::int64_t before = total();
  (void)device.id();
  (void)device.kind();
  (void)device.is_addressable();
  (void)value_of(device.default_memory()).kind();
  (void)device.memories()[0].devices();
  (void)client.platform_name();
  EXPECT_EQ(total(), before);
}

TEST_P(DevicesAndMemories, ArraysInEveryKindOfMemoryCanBeArguments) {
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  for (const Memory memory : client.devices()[0].memories()) {
    SCOPED_TRACE(memory.kind());
    const Buffer x = value_of(client.upload(std::vector<float>{1, 2, 3}, {3}, {{}, memory, {}}));
    EXPECT_EQ(value_of(value_of(twice(x))[0].to_vector<float>()), (std::vector<float>{2, 4, 6}));
  }
}

// What only some plugins keep.

TEST_P(DevicesAndMemories, CpuPluginsKeepNoMemoryStatistics) {
  EXPECT_ERROR(device.memory_stats(), Unimplemented, "PJRT_Device_MemoryStats");
  EXPECT_ERROR(device.clear_memory_stats(), Unimplemented, "PJRT_Device_ClearMemoryStats");
}

TEST_P(DevicesAndMemories, CpuPluginsTrackNoAsynchronousWork) {  // they succeed and give no event
  const Result<AsyncTrackingEvent> event = device.create_async_tracking_event("a step");
  if (!has({0, 86})) {
    EXPECT_ERROR(event, Unimplemented, "needs PJRT API 0.86");
    return;
  }
  ASSERT_OK(event);
  EXPECT_TRUE(event->empty());
}

TEST_P(DevicesAndMemories, PoisonNeedsAnExecutionOfThatLaunch) {
  const Result<bool> poisoned = device.poison_execution(4711, Error(ErrorCode::Aborted, "stop"));
  if (!has({0, 85})) {
    EXPECT_ERROR(poisoned, Unimplemented, "needs PJRT API 0.85");
    return;
  }
  ASSERT_OK(poisoned);
  EXPECT_FALSE(*poisoned);
}

TEST_P(DevicesAndMemories, CpuPluginsMapNoMemoryForTransfers) {
  std::vector<std::byte> memory(4096);
  EXPECT_ERROR(client.dma_map(memory), Unimplemented, "PJRT_Client_DmaMap");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_DmaUnmap"), 0);
}

}  // namespace
}  // namespace pjrt
