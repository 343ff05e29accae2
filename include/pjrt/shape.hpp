#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "pjrt/element_type.hpp"
#include "pjrt/export.hpp"

namespace pjrt {

/// The sizes of an array's dimensions, outermost first. Up to six live inside the object; more go to the heap.
class Dimensions {
 public:
  Dimensions() = default;
  Dimensions(std::initializer_list<std::int64_t> dims) : Dimensions(std::span(dims.begin(), dims.size())) {}
  Dimensions(std::span<const std::int64_t> dims) : size_(dims.size()) {
    if (size_ > kInline) heap_ = std::make_unique<std::int64_t[]>(size_);
    std::copy(dims.begin(), dims.end(), data());
  }
  Dimensions(const Dimensions& other) : Dimensions(std::span<const std::int64_t>(other)) {}
  Dimensions(Dimensions&& other) noexcept : size_(other.size_), heap_(std::move(other.heap_)) {
    std::copy_n(other.inline_, kInline, inline_);
    other.size_ = 0;
  }
  Dimensions& operator=(const Dimensions& other) { return *this = Dimensions(other); }
  Dimensions& operator=(Dimensions&& other) noexcept {
    size_ = other.size_;
    heap_ = std::move(other.heap_);
    std::copy_n(other.inline_, kInline, inline_);
    if (&other != this) other.size_ = 0;
    return *this;
  }

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::int64_t* data() noexcept { return heap_ ? heap_.get() : inline_; }
  const std::int64_t* data() const noexcept { return heap_ ? heap_.get() : inline_; }
  /// The size of dimension `i`; 0 if there is none.
  std::int64_t operator[](std::size_t i) const noexcept { return i < size_ ? data()[i] : 0; }
  const std::int64_t* begin() const noexcept { return data(); }
  const std::int64_t* end() const noexcept { return data() + size_; }
  operator std::span<const std::int64_t>() const noexcept { return {data(), size_}; }

  friend bool operator==(const Dimensions& a, const Dimensions& b) noexcept {
    return a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin());
  }

 private:
  static constexpr std::size_t kInline = 6;
  std::size_t size_ = 0;
  std::int64_t inline_[kInline] = {};
  std::unique_ptr<std::int64_t[]> heap_;
};

/// The most dimensions that an array on the host may have: numpy's own limit.
inline constexpr std::size_t kMaxRank = 64;

/// Element type and dimensions of an array.
struct Shape {
  ElementType type = ElementType::Invalid;
  Dimensions dims;

  std::size_t rank() const noexcept { return dims.size(); }

  friend bool operator==(const Shape&, const Shape&) = default;
};

/// The number of elements; nullopt if a dimension is negative or the product overflows 63 bits.
PJRT_EXPORT std::optional<std::int64_t> element_count(std::span<const std::int64_t> dims) noexcept;

/// Bytes of the array on the host (dense, sub-byte types one to a byte); nullopt if that overflows 63 bits.
PJRT_EXPORT std::optional<std::int64_t> host_byte_size(const Shape& shape) noexcept;

/// Byte strides of a dense row-major array.
PJRT_EXPORT Dimensions row_major_strides(std::span<const std::int64_t> dims, std::size_t element_size);

/// "f32[2,3]", as XLA writes shapes; "token[]" for tokens.
PJRT_EXPORT std::string to_string(const Shape& shape);

/// "[2,3]".
PJRT_EXPORT std::string to_string(const Dimensions& dims);

}  // namespace pjrt
