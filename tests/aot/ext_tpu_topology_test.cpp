// TPU topologies of chips that are not here: what they are made of, which part is where, and parts of them. TPU v2 to
// v4 have two cores on a chip, a device each; v5p has two that are one device; v5e and v6e have one. A host has 2 x 2
// chips.

#include "pjrt/ext/tpu_topology.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "aot/targets.hpp"
#include "plugin/programs.hpp"

namespace pjrt {
namespace {

using ext::TpuChipIndex;
using ext::TpuCoords;
using ext::TpuPlatformConfig;
using ext::TpuProcessIndex;
using ext::TpuSliceConfig;
using ext::TpuTopology;
using test::value_of;
using ::testing::ElementsAre;

class TpuMeshes : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }

  Topology named(const std::string& name) const { return value_of(Topology::create(plugin, name)); }

  const Plugin plugin = test::counted_plugin("tpu");
  const TpuTopology tpu = value_of(plugin.extension<TpuTopology>());
};

struct Made {
  std::string name;
  int processes;
  TpuCoords process_bounds;
  TpuCoords chips_per_process;
  int cores_per_chip;
  int devices_per_chip;
};
void PrintTo(const Made& made, std::ostream* out) {
  *out << made.name;
}

class TpuTopologyMadeOf : public TpuMeshes, public ::testing::WithParamInterface<Made> {
 protected:
  static int chips_of_a_process() {
    const TpuCoords& chips = GetParam().chips_per_process;
    return chips[0] * chips[1] * chips[2];
  }
  static int chips() { return chips_of_a_process() * GetParam().processes; }

  const Topology topology = named(GetParam().name);
};

TEST_P(TpuTopologyMadeOf, Processes) {
  EXPECT_EQ(value_of(tpu.process_count(topology)), GetParam().processes);
  EXPECT_EQ(value_of(tpu.process_bounds(topology)), GetParam().process_bounds);
  std::vector<std::int32_t> ids;
  for (int id = 0; id < GetParam().processes; ++id) ids.push_back(id);
  EXPECT_EQ(value_of(tpu.process_ids(topology)), ids);
}

TEST_P(TpuTopologyMadeOf, Chips) {
  EXPECT_EQ(value_of(tpu.chip_count(topology)), chips());
  EXPECT_EQ(value_of(tpu.chips_per_process(topology)), chips_of_a_process());
  EXPECT_EQ(value_of(tpu.chips_per_process_bounds(topology)), GetParam().chips_per_process);
  TpuCoords bounds = GetParam().process_bounds;
  for (std::size_t i = 0; i < bounds.size(); ++i) bounds[i] *= GetParam().chips_per_process[i];
  EXPECT_EQ(value_of(tpu.chip_bounds(topology)), bounds);
}

TEST_P(TpuTopologyMadeOf, Cores) {
  EXPECT_EQ(value_of(tpu.core_count_per_chip(topology)), GetParam().cores_per_chip);
  EXPECT_EQ(value_of(tpu.core_count(topology)), chips() * GetParam().cores_per_chip);
  EXPECT_EQ(value_of(tpu.core_count_per_process(topology)), chips_of_a_process() * GetParam().cores_per_chip);
}

TEST_P(TpuTopologyMadeOf, LogicalDevices) {
  const int count = chips() * GetParam().devices_per_chip;
  EXPECT_EQ(value_of(tpu.logical_device_count_per_chip(topology)), GetParam().devices_per_chip);
  EXPECT_EQ(value_of(tpu.logical_device_count(topology)), count);
  EXPECT_EQ(value_of(tpu.logical_device_count_per_process(topology)),
            chips_of_a_process() * GetParam().devices_per_chip);
  EXPECT_EQ(value_of(topology.device_descriptions()).size(), static_cast<std::size_t>(count));
}

TEST_P(TpuTopologyMadeOf, ItselfAndNotAPart) {
  EXPECT_FALSE(value_of(tpu.is_subslice_topology(topology)));
}

INSTANTIATE_TEST_SUITE_P(
    , TpuTopologyMadeOf,
    ::testing::Values(Made{"v2:4x4", 4, {2, 2, 1}, {2, 2, 1}, 2, 2}, Made{"v3:2x2", 1, {1, 1, 1}, {2, 2, 1}, 2, 2},
                      Made{"v4:2x2x1", 1, {1, 1, 1}, {2, 2, 1}, 2, 2}, Made{"v4:4x4x4", 16, {2, 2, 4}, {2, 2, 1}, 2, 2},
                      Made{"v5p:2x2x2", 2, {1, 1, 2}, {2, 2, 1}, 2, 1}, Made{"v5e:1x1", 1, {1, 1, 1}, {1, 1, 1}, 1, 1},
                      Made{"v5e:2x2", 1, {1, 1, 1}, {2, 2, 1}, 1, 1}, Made{"v5e:4x8", 8, {2, 4, 1}, {2, 2, 1}, 1, 1},
                      Made{"v6e:2x2", 1, {1, 1, 1}, {2, 2, 1}, 1, 1},
                      Made{"tpu7x:2x2x1", 1, {1, 1, 1}, {2, 2, 1}, 2, 2}),
    [](const auto& info) {
      std::string name = info.param.name;
      name[name.find(':')] = '_';
      return name;
    });

// 4 x 4 chips with a device each, on 2 x 2 processes; ids count along x first.
TEST_F(TpuMeshes, ChipsAreNumberedAlongXFirst) {
  const Topology t = named("v5e:4x4");
  EXPECT_EQ(value_of(tpu.chip_id(t, {0, 0, 0})), 0);
  EXPECT_EQ(value_of(tpu.chip_id(t, {3, 0, 0})), 3);
  EXPECT_EQ(value_of(tpu.chip_id(t, {1, 2, 0})), 9);
}

TEST_F(TpuMeshes, ProcessesHoldNeighbouringChips) {
  const Topology t = named("v5e:4x4");
  EXPECT_THAT(value_of(tpu.logical_device_ids_on_process(t, 0)), ElementsAre(0, 1, 4, 5));
  EXPECT_THAT(value_of(tpu.logical_device_ids_on_process(t, 3)), ElementsAre(10, 11, 14, 15));
  EXPECT_EQ(value_of(tpu.process_of_chip(t, 11)), (TpuProcessIndex{3, 1}));
  EXPECT_EQ(value_of(tpu.process_of_logical_device(t, 4)), (TpuProcessIndex{0, 2}));
  EXPECT_EQ(value_of(tpu.process_coords(t, 3)), (TpuCoords{1, 1, 0}));
  EXPECT_EQ(value_of(tpu.process_coords(t, 1)), (TpuCoords{1, 0, 0}));
}

// 2 x 2 x 2 chips with two devices each, on two processes above each other.
TEST_F(TpuMeshes, DevicesOfAChipFollowEachOther) {
  const Topology t = named("v4:2x2x2");
  EXPECT_EQ(value_of(tpu.logical_device_id(t, {{1, 0, 0}, 1})), 3);
  EXPECT_EQ(value_of(tpu.logical_device_id(t, {{0, 0, 1}, 0})), 8);
  EXPECT_EQ(value_of(tpu.chip_of_logical_device(t, 3)), (TpuChipIndex{{1, 0, 0}, 1}));
  EXPECT_EQ(value_of(tpu.chip_of_logical_device(t, 14)), (TpuChipIndex{{1, 1, 1}, 0}));
  EXPECT_EQ(value_of(tpu.process_of_logical_device(t, 14)), (TpuProcessIndex{1, 6}));
  EXPECT_EQ(value_of(tpu.process_of_chip(t, 7)), (TpuProcessIndex{1, 3}));
}

TEST_F(TpuMeshes, EveryDeviceIsFoundAgainByItsChip) {
  const Topology t = named("v4:4x4x4");
  for (int id = 0; id < 128; ++id) {
    EXPECT_EQ(value_of(tpu.logical_device_id(t, value_of(tpu.chip_of_logical_device(t, id)))), id);
  }
}

TEST_F(TpuMeshes, IdsOutsideAreRefused) {
  const Topology t = named("v5e:2x2");
  for (const int id : {-1, -2'000'000'000, 4, 2'000'000'000}) {
    EXPECT_ERROR(tpu.process_of_chip(t, id), InvalidArgument, std::to_string(id));
    EXPECT_ERROR(tpu.process_of_logical_device(t, id), InvalidArgument, std::to_string(id));
    EXPECT_ERROR(tpu.chip_of_logical_device(t, id), InvalidArgument, std::to_string(id));
    EXPECT_ERROR(tpu.is_reachable_over_limited_ici(t, id, 0), InvalidArgument, std::to_string(id));
    EXPECT_ERROR(tpu.is_reachable_over_limited_ici(t, 0, id), InvalidArgument, std::to_string(id));
    EXPECT_ERROR(tpu.logical_device_id(t, {{0, 0, 0}, id}), InvalidArgument, std::to_string(id));
  }
  for (const int id : {-1, 1, 2'000'000'000}) {
    EXPECT_ERROR(tpu.process_coords(t, id), InvalidArgument, std::to_string(id));
    EXPECT_ERROR(tpu.logical_device_ids_on_process(t, id), InvalidArgument, std::to_string(id));
  }
}

TEST_F(TpuMeshes, CoordinatesOutsideAreRefused) {
  const Topology t = named("v5e:2x2");
  for (const TpuCoords& chip :
       {TpuCoords{2, 0, 0}, {0, 0, 1}, {-1, 0, 0}, {2'000'000'000, 2'000'000'000, 2'000'000'000}}) {
    EXPECT_ERROR(tpu.chip_id(t, chip), InvalidArgument, "Invalid chip");
    EXPECT_ERROR(tpu.logical_device_id(t, {chip, 0}), InvalidArgument, "Invalid chip");
  }
}

TEST_F(TpuMeshes, CoordinatesOfOtherDimensionsAreRefused) {
  const Topology t = named("v5e:2x2");
  EXPECT_ERROR(tpu.chip_id(t, {0, 0, 0, 0}), InvalidArgument, "chip (0,0,0,0) has 4 dimensions, the topology 3");
  EXPECT_ERROR(tpu.chip_id(t, {}), InvalidArgument, "chip () has 0 dimensions, the topology 3");
  EXPECT_ERROR(tpu.logical_device_id(t, {{0, 0}, 0}), InvalidArgument, "chip (0,0) has 2 dimensions, the topology 3");
  EXPECT_ERROR(tpu.replace_host_bounds(t, {1, 1, 1, 1}), InvalidArgument,
               "the shape of the hosts (1,1,1,1) has 4 dimensions");
  EXPECT_ERROR(tpu.subslice(t, {1, 1, 1}, {1, 1, 1, 1}), InvalidArgument,
               "the shape of the hosts (1,1,1,1) has 4 dimensions");
  EXPECT_ERROR(tpu.subslice(t, {1, 1}, {1, 1, 1}), InvalidArgument,
               "the shape of a host's chips (1,1) has 2 dimensions");
}

// XLA's own test has this one.
TEST_F(TpuMeshes, APartHasItsShareOfDevices) {
  const Topology part = value_of(tpu.subslice(named("v2:4x4"), {2, 2, 1}, {1, 1, 1}));
  EXPECT_TRUE(value_of(tpu.is_subslice_topology(part)));
  EXPECT_EQ(value_of(tpu.logical_device_count(part)), 8);
  EXPECT_EQ(value_of(tpu.chip_bounds(part)), (TpuCoords{2, 2, 1}));
}

TEST_F(TpuMeshes, APartIsATopologyToCompileFor) {
  const Topology part = value_of(tpu.subslice(named("v5e:2x2"), {1, 1, 1}, {1, 1, 1}));
  EXPECT_EQ(value_of(part.device_descriptions()).size(), 1u);
  EXPECT_OK(compile(part, Program::mlir(test::kAdd)));
}

TEST_F(TpuMeshes, DevicesOfAPartAreNumberedAnew) {
  const Topology t = named("v5e:4x4");
  const Topology part = value_of(tpu.subslice(t, {2, 2, 1}, {1, 1, 1}));
  for (const auto& [id, in_part] : {std::pair(10, 0), {11, 1}, {14, 2}, {15, 3}}) {
    EXPECT_EQ(value_of(tpu.subslice_device_id(t, part, {2, 2, 0}, id)), in_part) << id;
  }
  EXPECT_EQ(value_of(tpu.subslice_device_id(t, part, {1, 1, 0}, 5)), 0);
}

TEST_F(TpuMeshes, DevicesThatAreNotInThePartAreRefused) {
  const Topology t = named("v5e:4x4");
  const Topology part = value_of(tpu.subslice(t, {2, 2, 1}, {1, 1, 1}));
  EXPECT_ERROR(tpu.subslice_device_id(t, part, {2, 2, 0}, 0), InvalidArgument,
               "device 0 is on chip (0,0,0), which is not in the part of shape (2,2,1) at (2,2,0)");
  EXPECT_ERROR(tpu.subslice_device_id(t, part, {0, 0, 0}, 2), InvalidArgument, "not in the part");
  EXPECT_ERROR(tpu.subslice_device_id(t, part, {-1, 0, 0}, 0), InvalidArgument, "not in the part");
  EXPECT_ERROR(tpu.subslice_device_id(t, part, {0, 0}, 0), InvalidArgument, "not in the part");
  EXPECT_ERROR(tpu.subslice_device_id(t, part, {0, 0, 0, 0}, 0), InvalidArgument, "not in the part");
  EXPECT_ERROR(tpu.subslice_device_id(t, part, {0, 0, 0}, 16), InvalidArgument, "16");
  EXPECT_ERROR(tpu.subslice_device_id(t, part, {0, 0, 0}, -1), InvalidArgument, "-1");
}

TEST_F(TpuMeshes, PartsOfTopologiesWithFewerDevicesOnAChipAreRefused) {
  const Topology two_on_a_chip = named("v4:2x2x1");
  const Topology one_on_a_chip = value_of(tpu.subslice(named("v5e:2x2"), {2, 2, 1}, {1, 1, 1}));
  EXPECT_ERROR(tpu.subslice_device_id(two_on_a_chip, one_on_a_chip, {0, 0, 0}, 1), InvalidArgument, "not in the part");
}

TEST_F(TpuMeshes, PartsThatAreNotInTheWholeAreRefused) {
  const Topology t = named("v5e:4x4");
  EXPECT_ERROR(tpu.subslice(t, {2, 2, 1}, {4, 4, 1}), InvalidArgument, "exceed");
  EXPECT_ERROR(tpu.subslice(t, {4, 4, 1}, {1, 1, 1}), InvalidArgument, "exceed");
  EXPECT_ERROR(tpu.subslice(t, {0, 0, 0}, {1, 1, 1}), InvalidArgument, "must be positive");
  EXPECT_ERROR(tpu.subslice(t, {1, 1, 1}, {2, 1, 1}), InvalidArgument, "multiple hosts must use the full");
}

TEST_F(TpuMeshes, CanBeHadWithMoreHostsOrFewer) {
  const Topology t = named("v5e:4x4");
  EXPECT_EQ(value_of(tpu.chip_count(value_of(tpu.replace_host_bounds(t, {1, 1, 1})))), 4);
  const Topology more = value_of(tpu.replace_host_bounds(t, {2, 4, 1}));
  EXPECT_EQ(value_of(tpu.process_count(more)), 8);
  EXPECT_EQ(value_of(tpu.chip_bounds(more)), (TpuCoords{4, 8, 1}));
  EXPECT_ERROR(tpu.replace_host_bounds(t, {0, 1, 1}), InvalidArgument, "Invalid hosts");
  EXPECT_ERROR(tpu.replace_host_bounds(t, {46'341, 46'341, 1}), InvalidArgument, "Invalid hosts");
}

TEST_F(TpuMeshes, SmallOnesAreAMeshAndLargerOnesHop) {
  EXPECT_FALSE(value_of(tpu.has_limited_ici_connectivity(named("v5e:2x2"))));
  EXPECT_EQ(value_of(tpu.routing_strategy(named("v5e:2x2"))), "mesh");
  EXPECT_TRUE(value_of(tpu.has_limited_ici_connectivity(named("v5e:16x16"))));
  EXPECT_EQ(value_of(tpu.routing_strategy(named("v5e:16x16"))), "nhop");
  EXPECT_TRUE(value_of(tpu.is_enhanced_barrier_enabled(named("v5e:2x2"))));
}

// Chips 0 to 3 lie along x, 4 is above 0.
TEST_F(TpuMeshes, NeighboursReachEachOther) {
  const Topology t = named("v5e:4x8");
  EXPECT_TRUE(value_of(tpu.is_reachable_over_limited_ici(t, 0, 1)));
  EXPECT_TRUE(value_of(tpu.is_reachable_over_limited_ici(t, 1, 0)));
  EXPECT_TRUE(value_of(tpu.is_reachable_over_limited_ici(t, 0, 4)));
  EXPECT_FALSE(value_of(tpu.is_reachable_over_limited_ici(t, 0, 3)));
  EXPECT_FALSE(value_of(tpu.is_reachable_over_limited_ici(t, 0, 0)));
}

TEST_F(TpuMeshes, ReachIsAskedOfFlatMeshesOnly) {
  EXPECT_ERROR(tpu.is_reachable_over_limited_ici(named("v4:2x2x2"), 0, 1), InvalidArgument, "must be 2d");
}

TEST_F(TpuMeshes, KindsOfTpuHaveShapes) {
  const std::vector<TpuSliceConfig> v2 = {{{1, 1}, {false, false}, false}, {{2, 2}, {false, false}, false},
                                          {{4, 4}, {false, false}, false}, {{8, 8}, {false, false}, false},
                                          {{8, 16}, {false, true}, false}, {{16, 16}, {true, true}, false}};
  EXPECT_EQ(value_of(tpu.slice_configs("tpuv2")), v2);
  EXPECT_EQ(value_of(tpu.slice_config("tpuv2", "8x16")), v2[4]);
  EXPECT_EQ(value_of(tpu.slice_config("tpuv5e", "4x8")), (TpuSliceConfig{{4, 8}, {false, false}, false}));
}

TEST_F(TpuMeshes, ShapesMayBeTwisted) {
  EXPECT_EQ(value_of(tpu.slice_config("tpuv4", "4x4x8_twisted")),
            (TpuSliceConfig{{4, 4, 8}, {true, true, true}, true}));
  EXPECT_EQ(value_of(tpu.slice_config("tpuv4", "4x4x8_untwisted")),
            (TpuSliceConfig{{4, 4, 8}, {true, true, true}, false}));
}

TEST_F(TpuMeshes, AllShapesAreGivenHoweverManyThereAre) {
  EXPECT_GT(value_of(tpu.slice_configs("tpuv4")).size(), 1000u);
}

TEST_F(TpuMeshes, KindsOfTpuStandOnTrays) {
  EXPECT_EQ(value_of(tpu.default_platform_config("tpuv2")), (TpuPlatformConfig{4, 1}));
  EXPECT_EQ(value_of(tpu.default_platform_config("tpuv5e")), (TpuPlatformConfig{4, 2}));
}

TEST_F(TpuMeshes, KindsAndShapesThereAreNotAreRefused) {
  for (const char* kind : {"v5e", "TPU v4", ""}) {
    EXPECT_ERROR(tpu.slice_configs(kind), InvalidArgument, "Unsupported platform type name");
    EXPECT_ERROR(tpu.slice_config(kind, "2x2"), InvalidArgument, "Unsupported platform type name");
    EXPECT_ERROR(tpu.default_platform_config(kind), InvalidArgument, "Unsupported platform type name");
  }
  EXPECT_ERROR(tpu.slice_config("tpuv2", "9x9"), InvalidArgument, "Unsupported slice name: 9x9");
  EXPECT_ERROR(tpu.slice_config("tpuv2", ""), InvalidArgument, "Unsupported slice name");
}

TEST_F(TpuMeshes, TopologiesOfOtherPluginsAreRefused) {
  REQUIRE_PLUGIN("cpu");
  const Topology cpu = value_of(test::make_client(test::counted_plugin("cpu")).topology());
  EXPECT_ERROR(tpu.chip_count(cpu), InvalidArgument, "the topology belongs to plugin cpu");
  EXPECT_ERROR(tpu.chip_bounds(cpu), InvalidArgument, "the topology belongs to plugin cpu");
  EXPECT_ERROR(tpu.subslice_device_id(named("v5e:2x2"), cpu, {0, 0, 0}, 0), InvalidArgument,
               "the topology belongs to plugin cpu");
}

TEST(TpuTopologyOfOlderLibtpu, IsNotThere) {
  REQUIRE_PLUGIN("tpu-0.75");
  EXPECT_ERROR(TpuTopology::of(test::counted_plugin("tpu-0.75")), Unimplemented, "has no TpuTopology extension");
}

}  // namespace
}  // namespace pjrt
