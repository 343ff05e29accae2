#include "pjrt/ext/tpu_topology.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/topology_state.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;
using pjrt::detail::call_extension;

namespace {

/// Room for coordinates; no mesh has more dimensions than the 4 of a slice config.
using Room = std::array<std::int32_t, 8>;

std::unexpected<Error> invalid(std::string message) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, std::move(message)));
}

/// libtpu ends the process at some negative numbers.
Result<void> check_not_negative(int number, std::string_view what) {
  if (number >= 0) return {};
  return invalid("there is no " + std::string(what) + " " + std::to_string(number));
}

template <class T>
Result<std::vector<std::int32_t>> taken(const T& room, std::size_t count) {
  if (count <= room.size())
    return std::vector<std::int32_t>(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(count));
  return std::unexpected(Error(ErrorCode::Internal, "the plugin says that it wrote " + std::to_string(count) +
                                                        " numbers into room for " + std::to_string(room.size())));
}

std::string text(const TpuCoords& coords) {
  std::string s;
  for (const std::int32_t c : coords) s += (s.empty() ? "" : ",") + std::to_string(c);
  return "(" + s + ")";
}

TpuSliceConfig from_c(const abi::PJRT_TpuTopology_SliceConfig& c) {
  const std::size_t rank = std::min(c.dim_size, std::size(c.dimensions));
  return {std::vector<std::int32_t>(c.dimensions, c.dimensions + rank), std::vector<bool>(c.wrap, c.wrap + rank),
          c.twist};
}

}  // namespace

template <class F, class Value, class Args>
Result<Value> TpuTopology::get(const Topology& topology, Value Args::* field) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  PJRT_TRY(const auto args, call_extension<F>(state(), {.topology = topology.raw()}));
  return args.*field;
}
PJRT_CATCH

Result<int> TpuTopology::process_count(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_ProcessCount>(topology, &abi::PJRT_TpuTopology_ProcessCount_Args::process_count);
}
PJRT_CATCH

Result<int> TpuTopology::chip_count(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_ChipCount>(topology, &abi::PJRT_TpuTopology_ChipCount_Args::chip_count);
}
PJRT_CATCH

Result<int> TpuTopology::chips_per_process(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_ChipsPerProcess>(topology,
                                                   &abi::PJRT_TpuTopology_ChipsPerProcess_Args::chips_per_process);
}
PJRT_CATCH

Result<int> TpuTopology::core_count(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_CoreCount>(topology,
                                             &abi::PJRT_TpuTopology_CoreCount_Args::core_count_of_default_type);
}
PJRT_CATCH

Result<int> TpuTopology::core_count_per_chip(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_CoreCountPerChip>(
      topology, &abi::PJRT_TpuTopology_CoreCountPerChip_Args::core_count_of_default_type_per_chip);
}
PJRT_CATCH

Result<int> TpuTopology::core_count_per_process(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_CoreCountPerProcess>(
      topology, &abi::PJRT_TpuTopology_CoreCountPerProcess_Args::core_count_of_default_type_per_process);
}
PJRT_CATCH

Result<int> TpuTopology::logical_device_count(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_LogiDeviceCount>(
      topology, &abi::PJRT_TpuTopology_LogiDeviceCount_Args::logical_device_count_of_default_type);
}
PJRT_CATCH

Result<int> TpuTopology::logical_device_count_per_chip(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_LogiDeviceCountPerChip>(
      topology, &abi::PJRT_TpuTopology_LogiDeviceCountPerChip_Args::logical_device_count_of_default_type_per_chip);
}
PJRT_CATCH

Result<int> TpuTopology::logical_device_count_per_process(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_LogiDeviceCountPerProcess>(
      topology,
      &abi::PJRT_TpuTopology_LogiDeviceCountPerProcess_Args::logical_device_count_of_default_type_per_process);
}
PJRT_CATCH

Result<bool> TpuTopology::is_subslice_topology(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_IsSubsliceTopology>(
      topology, &abi::PJRT_TpuTopology_IsSubsliceTopology_Args::is_subslice_topology);
}
PJRT_CATCH

Result<bool> TpuTopology::is_enhanced_barrier_enabled(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_IsEnhancedBarrierEnabled>(
      topology, &abi::PJRT_TpuTopology_IsEnhancedBarrierEnabled_Args::is_enhanced_barrier_enabled);
}
PJRT_CATCH

Result<bool> TpuTopology::has_limited_ici_connectivity(const Topology& topology) const try {
  return get<fn::PJRT_TpuTopology_HasLimitedIciConnectivity>(
      topology, &abi::PJRT_TpuTopology_HasLimitedIciConnectivity_Args::has_limited_ici_connectivity);
}
PJRT_CATCH

Result<TpuCoords> TpuTopology::chip_bounds(const Topology& topology) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  Room room{};
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuTopology_ChipBounds>(
               state(), {.topology = topology.raw(), .chip_bounds_max_dims = room.size(), .chip_bounds = room.data()}));
  return taken(room, args.chip_bounds_num_dims);
}
PJRT_CATCH

Result<TpuCoords> TpuTopology::chips_per_process_bounds(const Topology& topology) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  Room room{};
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuTopology_ChipsPerProcessBounds>(
                                state(), {.topology = topology.raw(),
                                          .chip_per_process_bounds_max_dims = room.size(),
                                          .chip_per_process_bounds = room.data()}));
  return taken(room, args.chip_per_process_bounds_num_dims);
}
PJRT_CATCH

Result<TpuCoords> TpuTopology::process_bounds(const Topology& topology) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  Room room{};
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuTopology_ProcessBounds>(
               state(),
               {.topology = topology.raw(), .process_bounds_max_dims = room.size(), .process_bounds = room.data()}));
  return taken(room, args.process_bounds_num_dims);
}
PJRT_CATCH

Result<std::vector<std::int32_t>> TpuTopology::process_ids(const Topology& topology) const try {
  PJRT_TRY(const int count, process_count(topology));
  std::vector<std::int32_t> room(static_cast<std::size_t>(std::max(count, 0)));
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuTopology_ProcessIds>(
               state(), {.topology = topology.raw(), .max_process_ids = count, .process_ids = room.data()}));
  return taken(room, args.num_process_ids);
}
PJRT_CATCH

Result<std::vector<std::int32_t>> TpuTopology::logical_device_ids_on_process(const Topology& topology,
                                                                             int process_id) const try {
  PJRT_TRY(const int count, logical_device_count_per_process(topology));
  std::vector<std::int32_t> room(static_cast<std::size_t>(std::max(count, 0)));
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuTopology_LogiDeviceIdsOnProcess>(
                                state(), {.topology = topology.raw(),
                                          .process_id = process_id,
                                          .max_logical_device_ids = count,
                                          .logical_device_of_default_type_ids = room.data()}));
  return taken(room, args.num_logical_device_ids);
}
PJRT_CATCH

Result<TpuProcessIndex> TpuTopology::process_of_chip(const Topology& topology, int chip_id) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  PJRT_CHECK(check_not_negative(chip_id, "chip"));
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuTopology_ProcIdAndIdxOnProcForChip>(
                                state(), {.topology = topology.raw(), .chip_id = chip_id}));
  return TpuProcessIndex{args.process_id, args.index_on_process};
}
PJRT_CATCH

Result<TpuProcessIndex> TpuTopology::process_of_logical_device(const Topology& topology, int device_id) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  PJRT_CHECK(check_not_negative(device_id, "device"));
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuTopology_ProcIdAndIdxOnProcForLogiDevice>(
                                state(), {.topology = topology.raw(), .device_id = device_id}));
  return TpuProcessIndex{args.process_id, args.index_on_process};
}
PJRT_CATCH

Result<TpuCoords> TpuTopology::process_coords(const Topology& topology, int process_id) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  Room room{};
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuTopology_ProcessCoordFromId>(state(), {.topology = topology.raw(),
                                                                             .process_id = process_id,
                                                                             .coords_max_dims = room.size(),
                                                                             .coords = room.data()}));
  return taken(room, args.coords_num_dims);
}
PJRT_CATCH

/// libtpu reads three numbers or four, and ends the process where it did not expect the fourth.
Result<void> TpuTopology::check_coords(const Topology& topology, const TpuCoords& coords, std::string_view what) const
    try {
  PJRT_TRY(const TpuCoords bounds, chip_bounds(topology));
  if (coords.size() == bounds.size()) return {};
  return invalid(std::string(what) + " " + text(coords) + " has " + std::to_string(coords.size()) +
                 " dimensions, the topology " + std::to_string(bounds.size()));
}
PJRT_CATCH

Result<int> TpuTopology::chip_id(const Topology& topology, const TpuCoords& chip) const try {
  PJRT_CHECK(check_coords(topology, chip, "chip"));
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuTopology_ChipIdFromCoord>(
               state(), {.topology = topology.raw(), .coords = chip.data(), .coords_num_dims = chip.size()}));
  return args.chip_id;
}
PJRT_CATCH

Result<int> TpuTopology::logical_device_id(const Topology& topology, const TpuChipIndex& place) const try {
  PJRT_CHECK(check_coords(topology, place.chip, "chip"));
  PJRT_CHECK(check_not_negative(place.index, "device of a chip with index"));
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuTopology_LogiDeviceIdFromChipCoordAndIdx>(
                                state(), {.topology = topology.raw(),
                                          .chip_coords = place.chip.data(),
                                          .chip_coords_num_dims = place.chip.size(),
                                          .logical_device_index_on_chip = place.index}));
  return args.logical_device_of_default_type_id;
}
PJRT_CATCH

Result<TpuChipIndex> TpuTopology::chip_of_logical_device(const Topology& topology, int device_id) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  PJRT_CHECK(check_not_negative(device_id, "device"));
  Room room{};
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuTopology_ChipCoordAndIdxForLogiDevice>(
                                state(), {.topology = topology.raw(),
                                          .device_id = device_id,
                                          .chip_coords_max_dims = room.size(),
                                          .chip_coords = room.data()}));
  PJRT_TRY(TpuCoords chip, taken(room, args.chip_coords_num_dims));
  return TpuChipIndex{std::move(chip), args.device_index_on_chip};
}
PJRT_CATCH

Result<Topology> TpuTopology::subslice(const Topology& topology, const TpuCoords& chips_per_host_bounds,
                                       const TpuCoords& host_bounds) const try {
  PJRT_CHECK(check_coords(topology, chips_per_host_bounds, "the shape of a host's chips"));
  PJRT_CHECK(check_coords(topology, host_bounds, "the shape of the hosts"));
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuTopology_Subslice>(
                                state(), {.topology = topology.raw(),
                                          .chips_per_host_bounds = chips_per_host_bounds.data(),
                                          .chips_per_host_bounds_num_dims = chips_per_host_bounds.size(),
                                          .host_bounds = host_bounds.data(),
                                          .host_bounds_num_dims = host_bounds.size()}));
  return pjrt::detail::own_topology(state(), args.subslice_topology);
}
PJRT_CATCH

Result<int> TpuTopology::subslice_device_id(const Topology& topology, const Topology& subslice, const TpuCoords& origin,
                                            int device_id) const try {
  // libtpu ends the process for a device that is not in the part.
  PJRT_TRY(const TpuChipIndex place, chip_of_logical_device(topology, device_id));
  PJRT_TRY(const TpuCoords bounds, chip_bounds(subslice));
  PJRT_TRY(const int per_chip, logical_device_count_per_chip(subslice));
  bool inside = origin.size() == bounds.size() && place.chip.size() == bounds.size() && place.index < per_chip;
  for (std::size_t i = 0; inside && i < bounds.size(); ++i) {
    inside = origin[i] >= 0 && place.chip[i] >= origin[i] && place.chip[i] - origin[i] < bounds[i];
  }
  if (!inside) {
    return invalid("device " + std::to_string(device_id) + " is on chip " + text(place.chip) +
                   ", which is not in the part of shape " + text(bounds) + " at " + text(origin));
  }
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuTopology_SubsliceDeviceIdFromFullDeviceId>(
                                state(), {.client_topology = topology.raw(),
                                          .subslice_topology = subslice.raw(),
                                          .subslice_origin = origin.data(),
                                          .subslice_origin_dim_num = origin.size(),
                                          .full_device_id = device_id}));
  return args.subslice_device_id;
}
PJRT_CATCH

Result<Topology> TpuTopology::replace_host_bounds(const Topology& topology, const TpuCoords& host_bounds) const try {
  PJRT_CHECK(check_coords(topology, host_bounds, "the shape of the hosts"));
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuTopology_ReplaceHostBounds>(
                                state(), {.topology = topology.raw(),
                                          .host_bounds = host_bounds.data(),
                                          .host_bounds_dim_num = host_bounds.size()}));
  return pjrt::detail::own_topology(state(), args.new_topology);
}
PJRT_CATCH

Result<bool> TpuTopology::is_reachable_over_limited_ici(const Topology& topology, int source_chip_id,
                                                        int dest_chip_id) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuTopology_IsReachableOverLimitedIci>(
               state(), {.topology = topology.raw(), .source_chip_id = source_chip_id, .dest_chip_id = dest_chip_id}));
  return args.is_reachable_over_limited_ici;
}
PJRT_CATCH

Result<std::string> TpuTopology::routing_strategy(const Topology& topology) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  // libtpu fills what is left with zeros and does not say how long the name is.
  std::array<char, 256> room{};
  PJRT_CHECK(call_extension<fn::PJRT_TpuTopology_GetRoutingStrategy>(
      state(), {.topology = topology.raw(), .routing_strategy = room.data(), .routing_strategy_len = room.size() - 1}));
  return std::string(room.data());
}
PJRT_CATCH

Result<TpuSliceConfig> TpuTopology::slice_config(std::string_view platform_type, std::string_view slice) const try {
  abi::PJRT_TpuTopology_SliceConfig config{};
  PJRT_CHECK(
      call_extension<fn::PJRT_TpuTopology_GetSliceConfig>(state(), {.platform_type_name = platform_type.data(),
                                                                    .platform_type_name_len = platform_type.size(),
                                                                    .slice_name = slice.data(),
                                                                    .slice_name_len = slice.size(),
                                                                    .slice_config = &config}));
  return from_c(config);
}
PJRT_CATCH

Result<std::vector<TpuSliceConfig>> TpuTopology::slice_configs(std::string_view platform_type) const try {
  // How many there are is known only from the refusal of too little room; v4 has 1609.
  for (std::size_t size = 4096;; size *= 4) {
    std::vector<abi::PJRT_TpuTopology_SliceConfig> room(size);
    const auto args =
        call_extension<fn::PJRT_TpuTopology_GetSliceConfigs>(state(), {.platform_type_name = platform_type.data(),
                                                                       .platform_type_name_len = platform_type.size(),
                                                                       .slice_configs = room.data(),
                                                                       .max_slice_configs = size});
    if (args) {
      room.resize(std::min(size, args->num_slice_configs));
      std::vector<TpuSliceConfig> all;
      for (const auto& c : room) all.push_back(from_c(c));
      return all;
    }
    if (size > 100'000 || args.error().message().find("max_slice_configs") == std::string_view::npos)
      return std::unexpected(args.error());
  }
}
PJRT_CATCH

Result<TpuPlatformConfig> TpuTopology::default_platform_config(std::string_view platform_type) const try {
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuTopology_GetDefaultPlatformConfig>(
               state(), {.platform_type_name = platform_type.data(), .platform_type_name_len = platform_type.size()}));
  return TpuPlatformConfig{args.num_chips_per_tray, args.num_trays};
}
PJRT_CATCH

}  // namespace pjrt::ext
