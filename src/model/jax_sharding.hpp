#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/flatbuffer.hpp"
#include "pjrt/error.hpp"
#include "pjrt/sharding.hpp"

namespace pjrt::model::detail {

/// Devices in row-major order of named axes.
struct AbstractMesh {
  std::vector<std::string> names;
  std::vector<std::int64_t> sizes;
  std::vector<bool> manual;
};

using Meshes = std::vector<std::shared_ptr<const AbstractMesh>>;

/// How an array is cut, as the artifact says it: by axes of a mesh for each dimension, or by a serialized
/// xla.OpSharding.
struct ExportedSharding {
  std::shared_ptr<const AbstractMesh> mesh;  // null: see proto
  std::vector<std::vector<std::string>> axes;
  bool unreduced = false;
  std::string proto;
  std::int64_t device_count = 1;  // of the artifact
};
using ShardingRef = std::shared_ptr<const ExportedSharding>;

Result<std::shared_ptr<const AbstractMesh>> read_mesh(const FlatTable& table);
/// A NamedSharding; its mesh is one of `meshes` if there are any, else its own.
Result<ShardingRef> read_named_sharding(const FlatTable& table, const Meshes& meshes, std::int64_t device_count);
/// A Sharding, as older artifacts have one for each array; null where it says nothing.
Result<ShardingRef> read_sharding(const FlatTable& table, const Meshes& meshes, std::int64_t device_count);

/// The sharding of an array of `rank` dimensions, of which JAX knows `logical_rank`: the last one of PRNG keys is never
/// cut.
Result<Sharding> to_sharding(const ExportedSharding& sharding, std::size_t rank, std::size_t logical_rank);

}  // namespace pjrt::model::detail
