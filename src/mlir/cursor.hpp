#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace pjrt::mlir {

/// Reads MLIR bytecode forward; past the end it gives zeros and is no longer ok().
class Cursor {
 public:
  Cursor() = default;
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return at_ == bytes_.size(); }
  std::size_t position() const noexcept { return at_; }
  std::size_t left() const noexcept { return bytes_.size() - at_; }
  void fail() noexcept {
    ok_ = false;
    at_ = bytes_.size();
  }

  std::span<const std::byte> take(std::uint64_t count) noexcept {
    if (count > left()) {
      fail();
      return {};
    }
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(count));
    at_ += taken.size();
    return taken;
  }

  std::uint8_t byte() noexcept {
    const auto one = take(1);
    return one.empty() ? 0 : std::to_integer<std::uint8_t>(one.front());
  }

  /// The number of trailing zeros of the first byte is the number of bytes that follow; eight follow a zero.
  std::uint64_t number() noexcept {
    const std::uint8_t first = byte();
    if ((first & 1) != 0) return first >> 1;
    const int more = first == 0 ? 8 : std::countr_zero(first);
    std::uint64_t value = 0;
    int shift = 0;
    for (const std::byte b : take(static_cast<std::uint64_t>(more))) {
      value |= std::to_integer<std::uint64_t>(b) << shift;
      shift += 8;
    }
    return first == 0 ? value : (value << (7 - more)) | (first >> (more + 1));
  }

  /// A number whose sign is its lowest bit.
  std::int64_t signed_number() noexcept {
    const std::uint64_t n = number();
    return static_cast<std::int64_t>((n >> 1) ^ (~(n & 1) + 1));
  }

  /// A number whose lowest bit is a flag.
  std::pair<std::uint64_t, bool> flagged() noexcept {
    const std::uint64_t n = number();
    return {n >> 1, (n & 1) != 0};
  }

  /// How many of something follow, each of at least one byte.
  std::uint64_t count() noexcept {
    const std::uint64_t n = number();
    if (n > left()) fail();
    return ok_ ? n : 0;
  }

  void skip_numbers(std::uint64_t count) noexcept {
    for (; count > 0 && ok_; --count) number();
  }

  std::optional<std::string_view> terminated_string() noexcept {
    const auto rest = bytes_.subspan(at_);
    const auto end = std::ranges::find(rest, std::byte{0});
    if (end == rest.end()) return std::nullopt;
    const auto text = take(static_cast<std::uint64_t>(end - rest.begin()) + 1);
    return std::string_view(reinterpret_cast<const char*>(text.data()), text.size() - 1);
  }

  /// The contents of a section, and its id.
  std::pair<std::size_t, std::span<const std::byte>> section() noexcept {
    const std::uint8_t head = byte();
    const std::uint64_t length = number();
    if ((head & 0x80) != 0) {  // padded to an alignment, counted from the module's start
      const std::uint64_t alignment = number();
      if (!std::has_single_bit(alignment)) fail();
      if (ok_) take((alignment - at_ % alignment) % alignment);
    }
    return {head & 0x7F, take(length)};
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace pjrt::mlir
