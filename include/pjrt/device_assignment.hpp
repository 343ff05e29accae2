#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"

namespace pjrt {

/// Which part of a program a device runs.
struct LogicalId {
  int replica = 0;
  int partition = 0;

  friend bool operator==(const LogicalId&, const LogicalId&) = default;
};

/// Which device runs which replica and partition of a program: a matrix of global device ids.
class PJRT_EXPORT DeviceAssignment {
 public:
  DeviceAssignment(const DeviceAssignment&) = default;
  DeviceAssignment& operator=(const DeviceAssignment&) = default;
  /// What was moved from has no replicas, no partitions and no devices.
  DeviceAssignment(DeviceAssignment&& other) noexcept
      : replicas_(std::exchange(other.replicas_, 0)),
        partitions_(std::exchange(other.partitions_, 0)),
        ids_(std::move(other.ids_)) {
    other.ids_.clear();
  }
  DeviceAssignment& operator=(DeviceAssignment&& other) noexcept {
    DeviceAssignment taken(std::move(other));
    std::swap(replicas_, taken.replicas_);
    std::swap(partitions_, taken.partitions_);
    ids_.swap(taken.ids_);
    return *this;
  }

  /// `device_ids` row by row: the partitions of replica 0, then those of replica 1, … InvalidArgument unless there are
  /// num_replicas x num_partitions of them, all different and not negative.
  static Result<DeviceAssignment> create(int num_replicas, int num_partitions, std::vector<std::int64_t> device_ids);
  /// One replica and one partition on one device.
  static DeviceAssignment single(std::int64_t device_id);
  /// Reads a serialized xla.DeviceAssignmentProto.
  static Result<DeviceAssignment> parse(std::string_view proto);

  int num_replicas() const noexcept { return replicas_; }
  int num_partitions() const noexcept { return partitions_; }
  /// The device of a replica and partition; OutOfRange outside.
  Result<std::int64_t> device(LogicalId id) const;
  /// All ids, row by row.
  std::span<const std::int64_t> device_ids() const& noexcept { return ids_; }
  std::span<const std::int64_t> device_ids() const&& = delete;
  /// What a device runs; nullopt if it has no part.
  std::optional<LogicalId> lookup(std::int64_t device_id) const;
  /// What every device runs.
  std::unordered_map<std::int64_t, LogicalId> lookup_map() const;

  /// A serialized xla.DeviceAssignmentProto.
  std::string serialize() const;

  friend bool operator==(const DeviceAssignment&, const DeviceAssignment&) = default;

 private:
  DeviceAssignment() = default;
  int replicas_ = 1;
  int partitions_ = 1;
  std::vector<std::int64_t> ids_;
};

}  // namespace pjrt
