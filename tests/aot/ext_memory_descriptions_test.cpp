// The kinds of memory of devices that are not here.

#include "pjrt/ext/memory_descriptions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "aot/targets.hpp"

namespace pjrt {
namespace {

using test::value_of;

TEST(TpuMemoryDescriptions, DeviceMemoryAndTwoKindsOfHostMemory) {
  REQUIRE_PLUGIN("tpu");
  const Plugin tpu = test::counted_plugin("tpu");
  const ext::MemoryDescriptions memories = value_of(tpu.extension<ext::MemoryDescriptions>());
  const std::vector<DeviceDescription> devices = value_of(test::tpu_v4(tpu).device_descriptions());
  ASSERT_EQ(devices.size(), 8u);
  for (const DeviceDescription& device : devices) {
    const ext::DeviceMemoryDescriptions all = value_of(memories.memory_descriptions(device));
    ASSERT_EQ(all.descriptions.size(), 3u);
    EXPECT_EQ(all.descriptions[0].kind, "device");
    EXPECT_EQ(all.descriptions[1].kind, "pinned_host");
    EXPECT_EQ(all.descriptions[2].kind, "unpinned_host");
    EXPECT_EQ(all.default_index, 0u);
  }
}

TEST(TpuMemoryDescriptions, KindOfDeviceMemoryHasTheNumberThatTheTopologyGivesIt) {
  REQUIRE_PLUGIN("tpu");
  const Plugin tpu = test::counted_plugin("tpu");
  const Topology topology = test::tpu_v4(tpu);
  const ext::MemoryDescriptions memories = value_of(tpu.extension<ext::MemoryDescriptions>());
  const int device_memory =
      value_of(memories.memory_descriptions(value_of(topology.device_descriptions())[0])).descriptions[0].kind_id;
  EXPECT_THAT(value_of(topology.memory_space_kind_ids()), ::testing::Contains(device_memory));
}

TEST(CudaMemoryDescriptions, NoneAreGivenOfATopology) {
  REQUIRE_PLUGIN("cuda");
  const Plugin cuda = test::counted_plugin("cuda");
  const ext::MemoryDescriptions memories = value_of(cuda.extension<ext::MemoryDescriptions>());
  const std::vector<DeviceDescription> devices = value_of(test::h100(cuda).device_descriptions());
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].kind(), "NVIDIA H100 80GB HBM3");
  const ext::DeviceMemoryDescriptions all = value_of(memories.memory_descriptions(devices[0]));
  EXPECT_TRUE(all.descriptions.empty());
  EXPECT_EQ(all.default_index, std::nullopt);
}

TEST(MemoryDescriptionsAcrossPlugins, DeviceOfAnotherPluginIsRefused) {
  REQUIRE_PLUGIN("tpu");
  REQUIRE_PLUGIN("cuda");
  const ext::MemoryDescriptions memories = value_of(test::counted_plugin("cuda").extension<ext::MemoryDescriptions>());
  const std::vector<DeviceDescription> devices =
      value_of(test::tpu_v4(test::counted_plugin("tpu")).device_descriptions());
  EXPECT_ERROR(memories.memory_descriptions(devices[0]), InvalidArgument,
               "the device description belongs to plugin tpu");
}

}  // namespace
}  // namespace pjrt
