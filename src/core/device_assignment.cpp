#include "pjrt/device_assignment.hpp"

#include <algorithm>

#include "core/try.hpp"
#include "proto/fields.hpp"
#include "proto/parse.hpp"

namespace pjrt {

namespace fields = proto::DeviceAssignmentProto;
namespace column = proto::DeviceAssignmentProto_ComputationDevice;

Result<DeviceAssignment> DeviceAssignment::create(int num_replicas, int num_partitions,
                                                  std::vector<std::int64_t> device_ids) try {
  const auto bad = [](std::string what) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "device assignment: " + std::move(what)));
  };
  if (num_replicas < 1 || num_partitions < 1) {
    return bad(std::to_string(num_replicas) + " replicas and " + std::to_string(num_partitions) +
               " partitions; there is at least one of each");
  }
  const std::uint64_t wanted = static_cast<std::uint64_t>(num_replicas) * static_cast<std::uint64_t>(num_partitions);
  if (device_ids.size() != wanted) {
    return bad(std::to_string(device_ids.size()) + " devices for " + std::to_string(num_replicas) + " replicas x " +
               std::to_string(num_partitions) + " partitions");
  }
  std::vector<std::int64_t> sorted = device_ids;
  std::ranges::sort(sorted);
  if (sorted.front() < 0) return bad("device id " + std::to_string(sorted.front()) + " is negative");
  if (const auto twin = std::ranges::adjacent_find(sorted); twin != sorted.end())
    return bad("device " + std::to_string(*twin) + " stands twice");
  DeviceAssignment a;
  a.replicas_ = num_replicas;
  a.partitions_ = num_partitions;
  a.ids_ = std::move(device_ids);
  return a;
}
PJRT_CATCH

DeviceAssignment DeviceAssignment::single(std::int64_t device_id) {
  DeviceAssignment a;
  a.ids_ = {device_id};
  return a;
}

Result<std::int64_t> DeviceAssignment::device(LogicalId id) const try {
  if (id.replica < 0 || id.replica >= replicas_ || id.partition < 0 || id.partition >= partitions_) {
    return std::unexpected(Error(
        ErrorCode::OutOfRange, "replica " + std::to_string(id.replica) + ", partition " + std::to_string(id.partition) +
                                   " lies outside " + std::to_string(replicas_) + " x " + std::to_string(partitions_)));
  }
  return ids_[static_cast<std::size_t>(id.replica) * static_cast<std::size_t>(partitions_) +
              static_cast<std::size_t>(id.partition)];
}
PJRT_CATCH

std::optional<LogicalId> DeviceAssignment::lookup(std::int64_t device_id) const {
  const auto it = std::ranges::find(ids_, device_id);
  if (it == ids_.end()) return std::nullopt;
  const auto at = static_cast<int>(it - ids_.begin());
  return LogicalId{at / partitions_, at % partitions_};
}

std::unordered_map<std::int64_t, LogicalId> DeviceAssignment::lookup_map() const {
  std::unordered_map<std::int64_t, LogicalId> map;
  for (std::size_t i = 0; i < ids_.size(); ++i)
    map.emplace(ids_[i], LogicalId{static_cast<int>(i) / partitions_, static_cast<int>(i) % partitions_});
  return map;
}

std::string DeviceAssignment::serialize() const {
  std::string bytes;
  protozero::pbf_writer w(bytes);
  w.add_int32(fields::replica_count, replicas_);
  w.add_int32(fields::computation_count, partitions_);
  for (int p = 0; p < partitions_; ++p) {
    protozero::pbf_writer devices(w, fields::computation_devices);
    std::vector<std::int64_t> ids;
    for (int r = 0; r < replicas_; ++r) ids.push_back(ids_[static_cast<std::size_t>(r * partitions_ + p)]);
    devices.add_packed_int64(column::replica_device_ids, ids.begin(), ids.end());
  }
  return bytes;
}

Result<DeviceAssignment> DeviceAssignment::parse(std::string_view bytes) try {
  struct Read {
    int replicas = 0;
    int partitions = 0;
    std::vector<std::vector<std::int64_t>> columns;
  };
  PJRT_TRY(const Read read, proto::guarded("DeviceAssignmentProto", [&] {
             Read r;
             protozero::pbf_reader reader(bytes.data(), bytes.size());
             while (reader.next()) {
               switch (reader.tag()) {
                 case fields::replica_count:
                   r.replicas = reader.get_int32();
                   break;
                 case fields::computation_count:
                   r.partitions = reader.get_int32();
                   break;
                 case fields::computation_devices: {
                   std::vector<std::int64_t>& ids = r.columns.emplace_back();
                   protozero::pbf_reader devices = reader.get_message();
                   while (devices.next(column::replica_device_ids)) {
                     if (devices.wire_type() == protozero::pbf_wire_type::length_delimited) {
                       for (const std::int64_t id : devices.get_packed_int64()) ids.push_back(id);
                     } else {
                       ids.push_back(devices.get_int64());
                     }
                   }
                   break;
                 }
                 default:
                   reader.skip();
               }
             }
             return r;
           }));
  if (static_cast<std::size_t>(std::max(read.partitions, 0)) != read.columns.size() ||
      std::ranges::any_of(read.columns, [&](const auto& c) {
        return c.size() != static_cast<std::size_t>(std::max(read.replicas, 0));
      })) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the device assignment's counts and its devices disagree"));
  }
  std::vector<std::int64_t> ids;
  for (int r = 0; r < read.replicas; ++r) {
    for (const auto& c : read.columns) ids.push_back(c[static_cast<std::size_t>(r)]);
  }
  return create(read.replicas, read.partitions, std::move(ids));
}
PJRT_CATCH

}  // namespace pjrt
