#pragma once

#include <cstdint>

#include "pjrt/error.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/sharding.hpp"

namespace pjrt::model {

/// A partition's tile of an array: a view of it where it lies inside, padded with zeros where it sticks out.
Result<HostBuffer> cut_tile(const HostBuffer& array, const Sharding& sharding, std::int64_t partition);

/// Copies a partition's tile to its place in the whole array; what sticks out is dropped. Does nothing for a partition
/// without a tile.
Result<void> paste_tile(const HostBuffer& tile, const Sharding& sharding, std::int64_t partition, HostBuffer& array);

}  // namespace pjrt::model
