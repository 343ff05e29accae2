// Topologies of devices that are not here: TPUs by name, GPUs by description.

#include "pjrt/topology.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "aot/targets.hpp"
#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int64_t> coordinates(const DeviceDescription& device) {
  return *value_of(device.attributes()).find("coords")->int64_list();
}

std::string canonical(const Topology& topology, int kind) {
  return value_of(
      topology.make_canonical_shape_for_memory_space(kind, {ElementType::F32, {2, 3}}, Layout::row_major(2)));
}

// ShapeProto.layout = 5
std::string layout_of(const std::string& shape_proto) {
  return test::only_bytes(shape_proto, 5);
}

// TPUs.

class TpuTopologies : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }
  Plugin plugin() const { return test::counted_plugin(GetParam()); }
  bool has(Version version) const { return plugin().api_version() >= version; }
};

INSTANTIATE_TEST_SUITE_P(Versions, TpuTopologies,
                         ::testing::Values("tpu", "tpu-0.75", "tpu-0.69", "tpu-0.67", "tpu-0.57"));

TEST_P(TpuTopologies, LiteChipsHaveOneCoreEach) {
  const Topology topology = value_of(Topology::create(plugin(), "v5e:2x2"));
  EXPECT_EQ(value_of(topology.platform_name()), "tpu");
  EXPECT_THAT(value_of(topology.platform_version()), HasSubstr("TPU v5 lite"));
  const std::vector<DeviceDescription> devices = value_of(topology.device_descriptions());
  ASSERT_EQ(devices.size(), 4u);
  std::set<std::vector<std::int64_t>> places;
  for (const DeviceDescription& device : devices) {
    EXPECT_EQ(device.kind(), "TPU v5 lite");
    EXPECT_EQ(device.process_index(), 0);
    places.insert(coordinates(device));
  }
  EXPECT_THAT(places,
              ElementsAre(ElementsAre(0, 0, 0), ElementsAre(0, 1, 0), ElementsAre(1, 0, 0), ElementsAre(1, 1, 0)));
}

TEST_P(TpuTopologies, ChipsOfTheFourthGenerationHaveTwoCoresEach) {
  std::map<std::vector<std::int64_t>, std::set<std::int64_t>> cores;
  for (const DeviceDescription& device : value_of(test::tpu_v4(plugin()).device_descriptions())) {
    EXPECT_EQ(device.kind(), "TPU v4");
    cores[coordinates(device)].insert(*value_of(device.attributes()).find("core_on_chip")->int64());
  }
  EXPECT_EQ(cores.size(), 4u);
  for (const auto& [place, on_chip] : cores) EXPECT_THAT(on_chip, ElementsAre(0, 1));
}

TEST_P(TpuTopologies, ManyHostsShareTheDevices) {  // 2x2 chips to a host
  const Topology topology = value_of(Topology::create(plugin(), "v4:4x4x4"));
  std::map<int, int> devices_of_host;
  for (const DeviceDescription& d : value_of(topology.device_descriptions())) ++devices_of_host[d.process_index()];
  EXPECT_EQ(devices_of_host.size(), 16u);
  for (const auto& [host, count] : devices_of_host) EXPECT_EQ(count, 8) << host;
}

TEST_P(TpuTopologies, AttributesTellWhetherTheTorusIsClosed) {
  const NamedValues attributes = value_of(value_of(Topology::create(plugin(), "v5e:2x2")).attributes());
  ASSERT_NE(attributes.find("wrap"), nullptr);
  EXPECT_EQ(*attributes.find("wrap"), Value({0, 0, 0}));
  EXPECT_EQ(*attributes.find("twist"), Value(0));
}

TEST_P(TpuTopologies, NamesThatAreNoneAreRefused) {
  for (const char* name : {"nonsense", "v5e", "v5litepod-4", "v5e:3x5"}) {
    EXPECT_ERROR(Topology::create(plugin(), name), InvalidArgument, "PJRT_TopologyDescription_Create") << name;
  }
}

TEST_P(TpuTopologies, NoNameIsRefusedByUs) {  // the plugin would take it for eight cores of TPU v2
  EXPECT_ERROR(Topology::create(plugin(), ""), InvalidArgument, "a topology needs a name, e.g. v5e:2x2");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_TopologyDescription_Create"), 0);
}

TEST_P(TpuTopologies, OptionsOfTheWrongKindAreRefusedByUs) {
  EXPECT_ERROR(Topology::create(plugin(), "v5e:2x2", {{"num_slices", "two"}}), InvalidArgument,
               "topology option 'num_slices' takes an integer, not two (string)");
  EXPECT_ERROR(Topology::create(plugin(), "v5e:2x2", {{"num_slices", -1}}), InvalidArgument, "it lies between 1 and");
  EXPECT_ERROR(Topology::create(plugin(), "v5e:2x2", {{"chips_per_host_bounds", 4}}), InvalidArgument,
               "takes a list of integers");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_TopologyDescription_Create"), 0);
}

TEST_P(TpuTopologies, UnknownOptionsAreRefused) {
  EXPECT_ERROR(Topology::create(plugin(), "v5e:2x2", {{"bogus", 1}}), InvalidArgument, "bogus");
}

TEST_P(TpuTopologies, AreWrittenDownAlikeIfTheyAreAlike) {
  const auto written = [this](const char* name) {
    return std::string(value_of(value_of(Topology::create(plugin(), name)).serialize()).text());
  };
  EXPECT_EQ(written("v5e:2x2"), written("v5e:2x2"));
  EXPECT_NE(written("v5e:2x2"), written("v5e:2x4"));
}

TEST_P(TpuTopologies, AreDestroyedOnce) {
  {
    const Topology topology = value_of(Topology::create(plugin(), "v5e:2x2"));
    const Topology copy = topology;
    const std::vector<DeviceDescription> devices = value_of(topology.device_descriptions());
    EXPECT_EQ(devices.size(), 4u);
  }
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_TopologyDescription_Destroy"), 1);
}

TEST_P(TpuTopologies, LiveAsLongAsTheirDescriptions) {
  std::vector<DeviceDescription> devices =
      value_of(value_of(Topology::create(plugin(), "v5e:2x2")).device_descriptions());
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_TopologyDescription_Destroy"), 0);
  EXPECT_EQ(coordinates(devices[3]), (std::vector<std::int64_t>{1, 1, 0}));
  devices.clear();
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_TopologyDescription_Destroy"), 1);
}

TEST_P(TpuTopologies, WhatTheApiDoesNotHaveYetIsUnimplemented) {
  const Topology topology = value_of(Topology::create(plugin(), "v5e:2x2"));
  if (has({0, 110})) GTEST_SKIP() << "this one has it all";
  EXPECT_ERROR(topology.fingerprint(), Unimplemented, "needs PJRT API 0.101");
  EXPECT_ERROR(topology.memory_space_kind_ids(), Unimplemented, "needs PJRT API 0.110");
  EXPECT_ERROR(topology.make_canonical_shape_for_memory_space(0, {ElementType::F32, {}}, Layout::row_major(0)),
               Unimplemented, "needs PJRT API 0.109");
}

TEST_P(TpuTopologies, ClientsNeedTheHardware) {
  const Result<Client> client = Client::create(plugin());
  if (client) GTEST_SKIP() << "there is a TPU here";
  EXPECT_FALSE(to_string(client.error()).empty());
}

class TpuTopology : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }
  Plugin plugin = test::counted_plugin("tpu");
  Topology topology = value_of(Topology::create(plugin, "v5e:2x2"));
};

TEST_F(TpuTopology, IsReadBackFromItsBytes) {
  const SerializedTopology written = value_of(topology.serialize());
  const Topology read = value_of(Topology::deserialize(plugin, written.bytes()));
  EXPECT_EQ(value_of(read.fingerprint()), value_of(topology.fingerprint()));
  EXPECT_EQ(value_of(read.device_descriptions()).size(), 4u);
  EXPECT_ERROR(Topology::deserialize(plugin, test::as_bytes("junk")), InvalidArgument, "");
}

TEST_F(TpuTopology, FingerprintsDifferBetweenTopologies) {
  EXPECT_EQ(value_of(topology.fingerprint()), value_of(value_of(Topology::create(plugin, "v5e:2x2")).fingerprint()));
  EXPECT_NE(value_of(topology.fingerprint()), value_of(value_of(Topology::create(plugin, "v5e:4x4")).fingerprint()));
}

TEST_F(TpuTopology, ArraysOnTheDeviceAreTiledAndOnTheHostAreNot) {
  const std::vector<int> kinds = value_of(topology.memory_space_kind_ids());
  ASSERT_EQ(kinds.size(), 3u);  // device, pinned_host, unpinned_host
  // LayoutProto.tiles = 6, TileProto.dimensions = 1: (2,128), for a dimension of 2 wants no tile of 8
  EXPECT_EQ(test::only_bytes(test::only_bytes(layout_of(canonical(topology, kinds[0])), 6), 1),
            test::from_hex("02 80 01"));
  EXPECT_EQ(test::fields_of(layout_of(canonical(topology, kinds[2])), 6).size(), 0u);
}

TEST_F(TpuTopology, KindsOfMemoryThereAreNotAreRefusedByUs) {  // the plugin would tile for them
  EXPECT_ERROR(topology.make_canonical_shape_for_memory_space(12345, {ElementType::F32, {2}}, Layout::row_major(1)),
               InvalidArgument, "no memory space of kind 12345");
}

TEST_F(TpuTopology, SlicesAreJoinedByTheNetwork) {
  const Topology joined = value_of(Topology::create(plugin, "v5e:2x2", {{"num_slices", 2}}));
  std::set<std::int64_t> slices;
  for (const DeviceDescription& device : value_of(joined.device_descriptions())) {
    slices.insert(*value_of(device.attributes()).find("slice_index")->int64());
  }
  EXPECT_EQ(slices, (std::set<std::int64_t>{0, 1}));
  EXPECT_ERROR(joined.serialize(), Unimplemented, "PJRT_TopologyDescription_Serialize");
}

TEST_F(TpuTopology, IsCompiledForWithoutADevice) {
  const Executable twice = value_of(compile(topology, Program::mlir(test::kDouble)));
  EXPECT_EQ(value_of(twice.name()), "double");
  EXPECT_EQ(value_of(twice.output_shapes()), std::vector<Shape>{(Shape{ElementType::F32, {3}})});
}

TEST_F(TpuTopology, IsNotCompiledForMoreDevicesThanItHas) {
  EXPECT_ERROR(compile(topology, Program::mlir(test::kDouble), CompileOptions().num_replicas(1000)), InvalidArgument,
               "PJRT_Compile");
}

// GPUs.

class CudaTopologies : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cuda"); }
  Result<Topology> described(Value shape, Value config = test::kH100) const {
    return Topology::create(plugin, "", {{"topology", std::move(shape)}, {"target_config", std::move(config)}});
  }
  Plugin plugin = test::counted_plugin("cuda");
};

TEST_F(CudaTopologies, NeedNoName) {
  const Topology topology = value_of(described("1 x 1 x 1"));
  EXPECT_EQ(value_of(topology.platform_name()), "cuda");
  EXPECT_EQ(value_of(topology.device_descriptions()).at(0).kind(), "NVIDIA H100 80GB HBM3");
}

TEST_F(CudaTopologies, MultiplySlicesHostsAndDevices) {
  const std::vector<DeviceDescription> devices = value_of(value_of(described("2 x 3 x 4")).device_descriptions());
  ASSERT_EQ(devices.size(), 24u);
  std::map<int, int> devices_of_host;
  for (const DeviceDescription& device : devices) ++devices_of_host[device.process_index()];
  EXPECT_EQ(devices_of_host, (std::map<int, int>{{0, 4}, {1, 4}, {2, 4}, {3, 4}, {4, 4}, {5, 4}}));
  EXPECT_EQ(value_of(devices[0].attributes()).find("core_count")->int64()[0], 132);
}

TEST_F(CudaTopologies, OptionsOfTheWrongKindAreRefusedByUs) {  // the plugin throws, or ends the process
  EXPECT_ERROR(described(1), InvalidArgument, "topology option 'topology' takes a string, not 1 (int64)");
  EXPECT_ERROR(described("1 x 1 x 1", 5), InvalidArgument, "topology option 'target_config' takes a string");
  EXPECT_EQ(test::calls_of("cuda", "PJRT_TopologyDescription_Create"), 0);
}

TEST_F(CudaTopologies, ShapesThatAreNoneAreErrors) {
  for (const char* shape : {"junk", "1 x 1", "-1 x 1 x 1", "0 x 1 x 1"}) EXPECT_FALSE(described(shape)) << shape;
}

TEST_F(CudaTopologies, DescriptionsThatAreNoneAreErrors) {
  EXPECT_ERROR(described("1 x 1 x 1", "garbage {"), FailedPrecondition, "target_config");
}

TEST_F(CudaTopologies, AreReadBackFromTheirBytes) {
  const Topology topology = value_of(described("1 x 2 x 2"));
  const SerializedTopology written = value_of(topology.serialize());
  const Topology read = value_of(Topology::deserialize(plugin, written.bytes()));
  EXPECT_EQ(value_of(read.fingerprint()), value_of(topology.fingerprint()));
  EXPECT_EQ(value_of(read.device_descriptions()).size(), 4u);
}

TEST_F(CudaTopologies, AttributesTellTheDescription) {
  const NamedValues attributes = value_of(value_of(described("1 x 1 x 1")).attributes());
  ASSERT_NE(attributes.find("target_config"), nullptr);
  EXPECT_THAT(*attributes.find("target_config")->string(), HasSubstr("core_count: 132"));
}

TEST_F(CudaTopologies, ArraysInPinnedMemorySaySo) {
  const Topology topology = value_of(described("1 x 1 x 1"));
  const std::vector<int> kinds = value_of(topology.memory_space_kind_ids());
  ASSERT_EQ(kinds.size(), 2u);
  // LayoutProto.memory_space = 8: 5 is the host's
  EXPECT_EQ(test::fields_of(layout_of(canonical(topology, kinds[0])), 8).size(), 0u);
  EXPECT_THAT(test::fields_of(layout_of(canonical(topology, kinds[1])), 8), ElementsAre(test::number_field(8, 5)));
}

TEST_F(CudaTopologies, ClientsNeedTheHardware) {
  ClientOptions options;
  options.key_value_store = std::make_shared<InMemoryKeyValueStore>();
  const Result<Client> client = Client::create(plugin, options);
  if (client) GTEST_SKIP() << "there is a GPU here";
  EXPECT_FALSE(to_string(client.error()).empty());
}

}  // namespace
}  // namespace pjrt
