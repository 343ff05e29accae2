#include "model/jax_sharding.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace pjrt::model::detail {
namespace {

namespace sharding_table {
constexpr Field kHloShardingProto{1, "hlo_sharding_proto"};
constexpr Field kNamedSharding{2, "named_sharding"};
}  // namespace sharding_table

namespace named_sharding_table {
constexpr Field kMesh{0, "mesh"};
constexpr Field kSpec{1, "spec"};
constexpr Field kAbstractMeshIndex{3, "abstract_mesh_idx"};
}  // namespace named_sharding_table

namespace mesh_table {
constexpr Field kAxisSizes{0, "axis_sizes"};
constexpr Field kAxisNames{1, "axis_names"};
constexpr Field kAxisTypes{2, "axis_types"};
constexpr std::int8_t kManual = 3;
}  // namespace mesh_table

namespace spec_table {
constexpr Field kPartitions{0, "partitions"};
constexpr Field kUnreduced{2, "unreduced"};
constexpr Field kAxes{0, "axes"};  // of one partition
}  // namespace spec_table

/// As many as the core's shardings may have.
constexpr std::int64_t kMostDevices = std::int64_t{1} << 22;
constexpr std::size_t kMostAxes = 64;

std::unexpected<Error> bad(std::string what) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, "sharding: " + std::move(what)));
}

std::unexpected<Error> unsupported(std::string what) {
  return std::unexpected(
      Error(ErrorCode::Unimplemented, "sharding: " + std::move(what) + " do not say how an array is cut"));
}

/// The numbers of a mesh's devices, read with the axes in another order.
std::vector<std::int64_t> transposed(const std::vector<std::int64_t>& sizes, const std::vector<std::size_t>& order) {
  std::vector<std::int64_t> strides(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * sizes[i];
  std::vector<std::int64_t> devices = {0};
  for (const std::size_t axis : order) {
    std::vector<std::int64_t> more;
    more.reserve(devices.size() * static_cast<std::size_t>(sizes[axis]));
    for (const std::int64_t device : devices) {
      for (std::int64_t i = 0; i < sizes[axis]; ++i) more.push_back(device + i * strides[axis]);
    }
    devices = std::move(more);
  }
  return devices;
}

Result<Sharding> named_to_sharding(const ExportedSharding& named, std::size_t rank, std::size_t logical_rank) {
  const AbstractMesh& mesh = *named.mesh;
  std::int64_t devices = 1;
  for (std::size_t i = 0; i < mesh.sizes.size(); ++i) {
    if (mesh.sizes[i] < 1 || mesh.sizes[i] > kMostDevices / devices)
      return bad("a mesh axis of size " + std::to_string(mesh.sizes[i]));
    devices *= mesh.sizes[i];
    if (mesh.manual[i] && mesh.sizes[i] > 1) return unsupported("manual mesh axes");
  }
  if (named.unreduced) return unsupported("unreduced axes");
  if (devices != 1 && devices != named.device_count) {
    return bad("a mesh of " + std::to_string(devices) + " devices in an artifact for " +
               std::to_string(named.device_count));
  }
  if (named.axes.size() > logical_rank) {
    return bad("axes for " + std::to_string(named.axes.size()) + " dimensions of an array that has " +
               std::to_string(logical_rank));
  }
  std::vector<std::int64_t> tiles(rank, 1);
  std::vector<std::size_t> order;  // of the mesh's axes: those that cut a dimension first
  for (std::size_t d = 0; d < named.axes.size(); ++d) {
    for (const std::string& name : named.axes[d]) {
      const std::size_t axis = static_cast<std::size_t>(std::ranges::find(mesh.names, name) - mesh.names.begin());
      if (axis == mesh.names.size()) return bad("its mesh has no axis '" + name + "'");
      if (std::ranges::find(order, axis) != order.end()) return bad("the mesh axis '" + name + "' cuts twice");
      order.push_back(axis);
      tiles[d] *= mesh.sizes[axis];
    }
  }
  std::int64_t copies = 1;
  for (std::size_t axis = 0; axis < mesh.sizes.size(); ++axis) {
    if (std::ranges::find(order, axis) != order.end()) continue;
    order.push_back(axis);
    copies *= mesh.sizes[axis];
  }
  if (copies == devices) return Sharding::replicated();
  if (copies > 1) tiles.push_back(copies);
  return Sharding::tiled(std::move(tiles), transposed(mesh.sizes, order), rank);
}

}  // namespace

Result<std::shared_ptr<const AbstractMesh>> read_mesh(const FlatTable& table) {
  auto mesh = std::make_shared<AbstractMesh>();
  PJRT_CHECK(table.each_string(mesh_table::kAxisNames, [&](std::string name) -> Result<void> {
    if (std::ranges::find(mesh->names, name) != mesh->names.end()) return bad("a mesh has two axes '" + name + "'");
    if (mesh->names.size() == kMostAxes) return bad("a mesh of more than " + std::to_string(kMostAxes) + " axes");
    mesh->names.push_back(std::move(name));
    return {};
  }));
  PJRT_TRY(const auto sizes, table.numbers<std::uint32_t>(mesh_table::kAxisSizes));
  PJRT_TRY(const auto types, table.numbers<std::int8_t>(mesh_table::kAxisTypes));
  if (sizes.size() != mesh->names.size() || (!types.empty() && types.size() != sizes.size())) {
    return bad("a mesh has " + std::to_string(mesh->names.size()) + " axis names, " + std::to_string(sizes.size()) +
               " sizes and " + std::to_string(types.size()) + " types");
  }
  mesh->sizes.assign(sizes.begin(), sizes.end());
  for (std::size_t i = 0; i < sizes.size(); ++i)
    mesh->manual.push_back(!types.empty() && types[i] == mesh_table::kManual);
  return mesh;
}

Result<ShardingRef> read_named_sharding(const FlatTable& table, const Meshes& meshes, std::int64_t device_count) {
  auto sharding = std::make_shared<ExportedSharding>();
  sharding->device_count = device_count;
  if (!meshes.empty()) {
    PJRT_TRY(const auto index, table.scalar<std::uint32_t>(named_sharding_table::kAbstractMeshIndex));
    if (index >= meshes.size())
      return bad("it names mesh " + std::to_string(index) + ", but there are " + std::to_string(meshes.size()));
    sharding->mesh = meshes[index];
  } else {
    PJRT_TRY(const auto mesh, table.table(named_sharding_table::kMesh, "AbstractMesh"));
    if (!mesh) return bad("a NamedSharding without a mesh");
    PJRT_TRY(sharding->mesh, read_mesh(*mesh));
  }
  PJRT_TRY(const auto spec, table.table(named_sharding_table::kSpec, "PartitionSpec"));
  if (!spec) return bad("a NamedSharding without a PartitionSpec");
  PJRT_CHECK(spec->each_table(spec_table::kPartitions, "PartitionSpecOneAxis", [&](FlatTable one) -> Result<void> {
    std::vector<std::string>& axes = sharding->axes.emplace_back();
    return one.each_string(spec_table::kAxes, [&](std::string name) -> Result<void> {
      axes.push_back(std::move(name));
      return {};
    });
  }));
  PJRT_TRY(const std::size_t unreduced, spec->size(spec_table::kUnreduced));
  sharding->unreduced = unreduced > 0;
  return sharding;
}

Result<ShardingRef> read_sharding(const FlatTable& table, const Meshes& meshes, std::int64_t device_count) {
  PJRT_TRY(const auto named, table.table(sharding_table::kNamedSharding, "NamedSharding"));
  if (named) return read_named_sharding(*named, meshes, device_count);
  if (!table.has(sharding_table::kHloShardingProto)) return nullptr;
  PJRT_TRY(const auto proto, table.numbers<char>(sharding_table::kHloShardingProto));
  auto sharding = std::make_shared<ExportedSharding>();
  sharding->proto.assign(proto.begin(), proto.end());  // of no bytes at all if it is replicated
  return sharding;
}

Result<Sharding> to_sharding(const ExportedSharding& sharding, std::size_t rank, std::size_t logical_rank) {
  if (sharding.mesh != nullptr) return named_to_sharding(sharding, rank, logical_rank);
  PJRT_TRY(Sharding parsed, Sharding::parse(sharding.proto, logical_rank));
  if (rank != logical_rank && !parsed.is_replicated()) {
    return std::unexpected(
        Error(ErrorCode::Unimplemented, "sharding: PRNG keys that are cut by an OpSharding are not supported"));
  }
  return parsed;
}

}  // namespace pjrt::model::detail
