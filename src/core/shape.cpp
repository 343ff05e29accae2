#include "pjrt/shape.hpp"

namespace pjrt {

std::optional<std::int64_t> element_count(std::span<const std::int64_t> dims) noexcept {
  std::int64_t count = 1;
  bool overflowed = false;
  bool empty = false;
  for (const std::int64_t d : dims) {
    if (d < 0) return std::nullopt;
    if (d == 0) empty = true;
    if (__builtin_mul_overflow(count, d, &count)) overflowed = true;
  }
  if (empty) return 0;
  if (overflowed) return std::nullopt;
  return count;
}

std::optional<std::int64_t> host_byte_size(const Shape& shape) noexcept {
  const std::optional<std::int64_t> count = element_count(shape.dims);
  std::int64_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, static_cast<std::int64_t>(host_size(shape.type)), &bytes))
    return std::nullopt;
  return bytes;
}

Dimensions row_major_strides(std::span<const std::int64_t> dims, std::size_t element_size) {
  Dimensions strides(dims);
  auto stride = static_cast<std::uint64_t>(element_size);  // unsigned: empty arrays may have dimensions that overflow
  for (std::size_t i = dims.size(); i-- > 0;) {
    strides.data()[i] = static_cast<std::int64_t>(stride);
    stride *= static_cast<std::uint64_t>(std::max<std::int64_t>(dims[i], 1));
  }
  return strides;
}

std::string to_string(const Dimensions& dims) {
  std::string text = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(dims[i]);
  }
  return text + "]";
}

std::string to_string(const Shape& shape) {
  return std::string(name(shape.type)) + to_string(shape.dims);
}

}  // namespace pjrt
