#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/ext/extension.hpp"
#include "pjrt/topology.hpp"

namespace pjrt::ext {

/// A place in the mesh of chips, or of processes, or how many there are each way: x, y, z, and in some meshes a fourth.
using TpuCoords = std::vector<std::int32_t>;

/// The process that a chip or a logical device belongs to, and its number there.
struct TpuProcessIndex {
  std::int32_t process_id = 0;
  std::int32_t index = 0;

  friend bool operator==(const TpuProcessIndex&, const TpuProcessIndex&) = default;
};

/// The chip that a logical device is on, and its number there.
struct TpuChipIndex {
  TpuCoords chip;
  std::int32_t index = 0;

  friend bool operator==(const TpuChipIndex&, const TpuChipIndex&) = default;
};

/// A shape in which a kind of TPU is to be had.
struct TpuSliceConfig {
  std::vector<std::int32_t> dimensions;
  /// Whether the mesh closes to a ring, one for each dimension.
  std::vector<bool> wrap;
  bool twist = false;

  friend bool operator==(const TpuSliceConfig&, const TpuSliceConfig&) = default;
};

/// How chips of a kind are put up.
struct TpuPlatformConfig {
  std::int64_t chips_per_tray = 0;
  std::int64_t trays = 0;

  friend bool operator==(const TpuPlatformConfig&, const TpuPlatformConfig&) = default;
};

/// What TPU topologies are made of: chips in a mesh, cut into processes (hosts); on each chip cores, which are one
/// logical device each or one together. Members take topologies of the same plugin. Ids and coordinates outside the
/// topology are InvalidArgument.
class PJRT_EXPORT TpuTopology : public Extension {
  PJRT_EXTENSION(TpuTopology, 16)

  // How many there are.

  /// Wraps PJRT_TpuTopology_ProcessCount.
  Result<int> process_count(const Topology& topology) const;
  /// Wraps PJRT_TpuTopology_ChipCount.
  Result<int> chip_count(const Topology& topology) const;
  /// Wraps PJRT_TpuTopology_ChipsPerProcess.
  Result<int> chips_per_process(const Topology& topology) const;
  /// Of the default type (TensorCores), as everywhere here. Wraps PJRT_TpuTopology_CoreCount.
  Result<int> core_count(const Topology& topology) const;
  /// Wraps PJRT_TpuTopology_CoreCountPerChip.
  Result<int> core_count_per_chip(const Topology& topology) const;
  /// Wraps PJRT_TpuTopology_CoreCountPerProcess.
  Result<int> core_count_per_process(const Topology& topology) const;
  /// What device_descriptions() are. Wraps PJRT_TpuTopology_LogiDeviceCount.
  Result<int> logical_device_count(const Topology& topology) const;
  /// Wraps PJRT_TpuTopology_LogiDeviceCountPerChip.
  Result<int> logical_device_count_per_chip(const Topology& topology) const;
  /// Wraps PJRT_TpuTopology_LogiDeviceCountPerProcess.
  Result<int> logical_device_count_per_process(const Topology& topology) const;

  // How far they reach.

  /// Chips each way. Wraps PJRT_TpuTopology_ChipBounds.
  Result<TpuCoords> chip_bounds(const Topology& topology) const;
  /// Chips of one process each way. Wraps PJRT_TpuTopology_ChipsPerProcessBounds.
  Result<TpuCoords> chips_per_process_bounds(const Topology& topology) const;
  /// Processes each way. Wraps PJRT_TpuTopology_ProcessBounds.
  Result<TpuCoords> process_bounds(const Topology& topology) const;

  // Which is where.

  /// Wraps PJRT_TpuTopology_ProcessIds.
  Result<std::vector<std::int32_t>> process_ids(const Topology& topology) const;
  /// Wraps PJRT_TpuTopology_LogiDeviceIdsOnProcess.
  Result<std::vector<std::int32_t>> logical_device_ids_on_process(const Topology& topology, int process_id) const;
  /// Wraps PJRT_TpuTopology_ProcIdAndIdxOnProcForChip.
  Result<TpuProcessIndex> process_of_chip(const Topology& topology, int chip_id) const;
  /// Wraps PJRT_TpuTopology_ProcIdAndIdxOnProcForLogiDevice.
  Result<TpuProcessIndex> process_of_logical_device(const Topology& topology, int device_id) const;
  /// The place of a process among processes. Wraps PJRT_TpuTopology_ProcessCoordFromId.
  Result<TpuCoords> process_coords(const Topology& topology, int process_id) const;
  /// Wraps PJRT_TpuTopology_ChipIdFromCoord.
  Result<int> chip_id(const Topology& topology, const TpuCoords& chip) const;
  /// Wraps PJRT_TpuTopology_LogiDeviceIdFromChipCoordAndIdx.
  Result<int> logical_device_id(const Topology& topology, const TpuChipIndex& place) const;
  /// Wraps PJRT_TpuTopology_ChipCoordAndIdxForLogiDevice.
  Result<TpuChipIndex> chip_of_logical_device(const Topology& topology, int device_id) const;

  // Parts of it.

  /// A part of the topology, by its shape: so many chips of a host and so many hosts each way. Several hosts want all
  /// the chips of each. Wraps PJRT_TpuTopology_Subslice.
  Result<Topology> subslice(const Topology& topology, const TpuCoords& chips_per_host_bounds,
                            const TpuCoords& host_bounds) const;
  /// Wraps PJRT_TpuTopology_IsSubsliceTopology.
  Result<bool> is_subslice_topology(const Topology& topology) const;
  /// The id that a device of the whole has in a part whose first chip lies at `origin`. InvalidArgument if it does not
  /// belong to that part. Wraps PJRT_TpuTopology_SubsliceDeviceIdFromFullDeviceId.
  Result<int> subslice_device_id(const Topology& topology, const Topology& subslice, const TpuCoords& origin,
                                 int device_id) const;
  /// The same with another number of hosts each way. Wraps PJRT_TpuTopology_ReplaceHostBounds.
  Result<Topology> replace_host_bounds(const Topology& topology, const TpuCoords& host_bounds) const;

  // How chips reach each other.

  /// Wraps PJRT_TpuTopology_IsEnhancedBarrierEnabled.
  Result<bool> is_enhanced_barrier_enabled(const Topology& topology) const;
  /// Whether not every chip reaches every other directly. Wraps PJRT_TpuTopology_HasLimitedIciConnectivity.
  Result<bool> has_limited_ici_connectivity(const Topology& topology) const;
  /// Whether one chip reaches another directly; for flat meshes, by chip ids. Wraps
  /// PJRT_TpuTopology_IsReachableOverLimitedIci.
  Result<bool> is_reachable_over_limited_ici(const Topology& topology, int source_chip_id, int dest_chip_id) const;
  /// "mesh", "nhop", … Wraps PJRT_TpuTopology_GetRoutingStrategy.
  Result<std::string> routing_strategy(const Topology& topology) const;

  // Kinds of TPU: "tpuv2", "tpuv3", "tpuv4", "tpuv5", "tpuv5e", "tpuv6e", "tpu7x", … InvalidArgument for other names.

  /// By a name such as "2x2", or "4x4x8_untwisted". Wraps PJRT_TpuTopology_GetSliceConfig.
  Result<TpuSliceConfig> slice_config(std::string_view platform_type, std::string_view slice) const;
  /// All of a kind's. Wraps PJRT_TpuTopology_GetSliceConfigs.
  Result<std::vector<TpuSliceConfig>> slice_configs(std::string_view platform_type) const;
  /// Wraps PJRT_TpuTopology_GetDefaultPlatformConfig.
  Result<TpuPlatformConfig> default_platform_config(std::string_view platform_type) const;

 private:
  template <class F, class Value, class Args>
  Result<Value> get(const Topology& topology, Value Args::* field) const;
  [[nodiscard]] Result<void> check_coords(const Topology& topology, const TpuCoords& coords,
                                          std::string_view what) const;
};

}  // namespace pjrt::ext
