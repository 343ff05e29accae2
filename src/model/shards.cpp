#include "model/shards.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/try.hpp"

namespace pjrt::model {
namespace {

/// What of a tile lies inside the array.
struct Overlap {
  Dimensions begin;
  Dimensions dims;
};

std::optional<Overlap> overlap(const Dimensions& whole, const Sharding& sharding, std::int64_t partition) {
  std::optional<Dimensions> begin = sharding.tile_begin(partition, whole);
  if (!begin) return std::nullopt;
  Overlap o{*std::move(begin), sharding.tile_dims(whole)};
  for (std::size_t i = 0; i < whole.size(); ++i)
    o.dims.data()[i] = std::clamp<std::int64_t>(whole[i] - o.begin[i], 0, o.dims[i]);
  return o;
}

/// The part of an array that begins at `begin` and has the dimensions `dims`, where it lies.
Result<HostView> part(const HostView& array, const Dimensions& begin, const Dimensions& dims) {
  const auto* at = static_cast<const std::byte*>(array.data());
  for (std::size_t i = 0; i < begin.size(); ++i) at += begin[i] * array.strides()[i];
  return HostView::strided(at, Shape{array.type(), dims}, array.strides());
}

/// Copies an array into the strided place of another of the same shape, along the first dimensions one by one.
void copy_into(const HostView& from, const HostView& to, std::size_t axis, const std::byte* source, std::byte* target) {
  const std::size_t size = host_size(from.type());
  if (axis == from.dims().size()) {
    std::memcpy(target, source, size);
    return;
  }
  const bool last = axis + 1 == from.dims().size();
  const auto dense = static_cast<std::int64_t>(size);
  if (last && from.strides()[axis] == dense && to.strides()[axis] == dense) {
    std::memcpy(target, source, size * static_cast<std::size_t>(from.dims()[axis]));
    return;
  }
  for (std::int64_t i = 0; i < from.dims()[axis]; ++i)
    copy_into(from, to, axis + 1, source + i * from.strides()[axis], target + i * to.strides()[axis]);
}

void copy_into(const HostView& from, const HostView& to) {
  if (from.element_count() == 0) return;
  copy_into(from, to, 0, static_cast<const std::byte*>(from.data()),
            static_cast<std::byte*>(const_cast<void*>(to.data())));
}

}  // namespace

Result<HostBuffer> cut_tile(const HostBuffer& array, const Sharding& sharding, std::int64_t partition) {
  if (sharding.is_replicated()) return array;
  const Dimensions tile_dims = sharding.tile_dims(array.dims());
  const std::optional<Overlap> inside = overlap(array.dims(), sharding, partition);
  if (!inside) return HostBuffer::zeros(Shape{array.type(), tile_dims});
  PJRT_TRY(HostView view, part(array.view(), inside->begin, inside->dims));
  if (inside->dims == tile_dims) return HostBuffer::borrow(std::move(view), array.owner());
  PJRT_TRY(HostBuffer padded, HostBuffer::zeros(Shape{array.type(), tile_dims}));
  PJRT_TRY(const HostView target,
           HostView::strided(padded.view().data(), Shape{array.type(), inside->dims}, padded.view().strides()));
  copy_into(view, target);
  return padded;
}

Result<void> paste_tile(const HostBuffer& tile, const Sharding& sharding, std::int64_t partition, HostBuffer& array) {
  const std::optional<Overlap> inside = overlap(array.dims(), sharding, partition);
  if (!inside) return {};
  PJRT_TRY(const HostView source,
           part(tile.view(), Dimensions(std::vector<std::int64_t>(tile.dims().size(), 0)), inside->dims));
  PJRT_TRY(const HostView target, part(array.view(), inside->begin, inside->dims));
  copy_into(source, target);
  return {};
}

}  // namespace pjrt::model
