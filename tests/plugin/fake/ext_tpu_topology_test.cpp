// The TpuTopology extension, where libtpu does not go: older and odd plugins, and what must not reach them.

#include "pjrt/ext/tpu_topology.hpp"

#include <algorithm>

#include "fake_plugin/fixture.hpp"
#include "pjrt/topology.hpp"

namespace pjrt {
namespace {

using ext::TpuCoords;
using ext::TpuTopology;
using test::value_of;
namespace fn = test::fn;

class ExtTpuTopology : public test::OnFake {
 protected:
  ExtTpuTopology() {
    fake.on<fn::PJRT_TpuTopology_ChipBounds>([](auto& a) {
      std::ranges::copy(TpuCoords{2, 2, 1}, a.chip_bounds);
      a.chip_bounds_num_dims = 3;
    });
  }

  const Topology topology = value_of(Topology::create(plugin, "mesh"));
  const TpuTopology tpu = value_of(TpuTopology::of(plugin));
};

TEST_F(ExtTpuTopology, HandsTheTopologyOn) {
  fake.on<fn::PJRT_TpuTopology_ChipCount>([](auto& a) { a.chip_count = 7; });
  EXPECT_EQ(value_of(tpu.chip_count(topology)), 7);
  EXPECT_EQ(fake.calls_of<fn::PJRT_TpuTopology_ChipCount>().at(0).topology, topology.raw());
}

TEST_F(ExtTpuTopology, HandsErrorsOn) {
  fake.fail<fn::PJRT_TpuTopology_Subslice>(ErrorCode::NotFound, "no such part");
  EXPECT_ERROR(tpu.subslice(topology, {1, 1, 1}, {1, 1, 1}), NotFound, "no such part (PJRT_TpuTopology_Subslice)");
}

// 24 bytes of base, 31 functions.
TEST_F(ExtTpuTopology, OfAnOlderPluginLacksItsLastFunctions) {
  const TpuTopology older = value_of(TpuTopology::of(with_extension(16, 24 + 27 * 8)));
  const Topology its = value_of(Topology::create(older.plugin(), "mesh"));
  EXPECT_OK(older.process_bounds(its));
  EXPECT_ERROR(older.routing_strategy(its), Unimplemented,
               "PJRT_TpuTopology_GetRoutingStrategy is not offered by the TpuTopology extension");
  EXPECT_ERROR(older.default_platform_config("tpuv2"), Unimplemented,
               "PJRT_TpuTopology_GetDefaultPlatformConfig is not offered");
}

TEST_F(ExtTpuTopology, NegativeIdsDoNotReachThePlugin) {
  EXPECT_ERROR(tpu.process_of_chip(topology, -1), InvalidArgument, "there is no chip -1");
  EXPECT_ERROR(tpu.process_of_logical_device(topology, -1), InvalidArgument, "there is no device -1");
  EXPECT_ERROR(tpu.chip_of_logical_device(topology, -5), InvalidArgument, "there is no device -5");
  EXPECT_ERROR(tpu.logical_device_id(topology, {{0, 0, 0}, -1}), InvalidArgument, "-1");
  EXPECT_EQ(calls_of("PJRT_TpuTopology_ProcIdAndIdxOnProcForChip"), 0u);
  EXPECT_EQ(calls_of("PJRT_TpuTopology_ProcIdAndIdxOnProcForLogiDevice"), 0u);
  EXPECT_EQ(calls_of("PJRT_TpuTopology_ChipCoordAndIdxForLogiDevice"), 0u);
  EXPECT_EQ(calls_of("PJRT_TpuTopology_LogiDeviceIdFromChipCoordAndIdx"), 0u);
}

TEST_F(ExtTpuTopology, CoordinatesOfOtherDimensionsDoNotReachThePlugin) {
  EXPECT_ERROR(tpu.subslice(topology, {1, 1, 1}, {1, 1}), InvalidArgument,
               "the shape of the hosts (1,1) has 2 dimensions, the topology 3");
  EXPECT_ERROR(tpu.replace_host_bounds(topology, {1, 1, 1, 1}), InvalidArgument, "4 dimensions, the topology 3");
  EXPECT_EQ(calls_of("PJRT_TpuTopology_Subslice"), 0u);
  EXPECT_EQ(calls_of("PJRT_TpuTopology_ReplaceHostBounds"), 0u);
}

TEST_F(ExtTpuTopology, MeshesMayHaveFourDimensions) {
  fake.on<fn::PJRT_TpuTopology_ChipBounds>([](auto& a) {
    ASSERT_GE(a.chip_bounds_max_dims, 4u);
    std::ranges::copy(TpuCoords{2, 3, 4, 5}, a.chip_bounds);
    a.chip_bounds_num_dims = 4;
  });
  fake.on<fn::PJRT_TpuTopology_ChipIdFromCoord>([](auto& a) { a.chip_id = a.coords[3] * 24; });
  EXPECT_EQ(value_of(tpu.chip_bounds(topology)), (TpuCoords{2, 3, 4, 5}));
  EXPECT_EQ(value_of(tpu.chip_id(topology, {0, 0, 0, 4})), 96);
}

TEST_F(ExtTpuTopology, MoreNumbersThanThereIsRoomForAreAFaultOfThePlugin) {
  fake.on<fn::PJRT_TpuTopology_ChipBounds>([](auto& a) { a.chip_bounds_num_dims = a.chip_bounds_max_dims + 1; });
  EXPECT_ERROR(tpu.chip_bounds(topology), Internal, "the plugin says that it wrote");
}

TEST_F(ExtTpuTopology, PartsAreDestroyed) {
  fake.on<fn::PJRT_TpuTopology_Subslice>([this](auto& a) {
    abi::PJRT_TopologyDescription_Create_Args create{};
    (void)fake.usual<fn::PJRT_TopologyDescription_Create>(create);
    a.subslice_topology = create.topology;
  });
  EXPECT_OK(tpu.subslice(topology, {1, 1, 1}, {1, 1, 1}));
  EXPECT_EQ(calls_of("PJRT_TopologyDescription_Destroy"), 1u);
}

TEST_F(ExtTpuTopology, RoomForShapesGrowsUntilTheyFit) {
  fake.on<fn::PJRT_TpuTopology_GetSliceConfigs>([](auto& a) -> fake::Outcome {
    if (a.max_slice_configs < 10'000)
      return fake::Failure{ErrorCode::InvalidArgument, "`max_slice_configs` must be >= 10000", {}};
    for (int i = 0; i < 10'000; ++i)
      a.slice_configs[i] = {.dim_size = 2, .dimensions = {i, 1}, .wrap = {}, .twist = false};
    a.num_slice_configs = 10'000;
    return {};
  });
  const auto shapes = value_of(tpu.slice_configs("tpuv9"));
  ASSERT_EQ(shapes.size(), 10'000u);
  EXPECT_EQ(shapes.back().dimensions, (std::vector<std::int32_t>{9999, 1}));
}

TEST_F(ExtTpuTopology, RoomForShapesDoesNotGrowForEver) {
  fake.fail<fn::PJRT_TpuTopology_GetSliceConfigs>(ErrorCode::InvalidArgument, "max_slice_configs is never enough");
  EXPECT_ERROR(tpu.slice_configs("tpuv9"), InvalidArgument, "never enough");
  EXPECT_LT(calls_of("PJRT_TpuTopology_GetSliceConfigs"), 10u);
}

TEST_F(ExtTpuTopology, ShapesOfMoreDimensionsThanThereIsRoomForAreCut) {
  fake.on<fn::PJRT_TpuTopology_GetSliceConfig>(
      [](auto& a) { *a.slice_config = {.dim_size = 99, .dimensions = {1, 2, 3, 4}, .wrap = {true}, .twist = true}; });
  EXPECT_EQ(value_of(tpu.slice_config("tpuv9", "1x2x3x4")).dimensions, (std::vector<std::int32_t>{1, 2, 3, 4}));
}

}  // namespace
}  // namespace pjrt
