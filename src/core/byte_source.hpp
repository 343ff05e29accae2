#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "pjrt/error.hpp"

namespace pjrt::detail {

/// Bytes that come one after the other: from memory, a file, a pipe, or a member of an archive.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Reads up to `out.size()` bytes and returns their number, which is zero only at the end.
  virtual Result<std::size_t> read(std::span<std::byte> out) = 0;
  /// The number of bytes to come, where it is known without reading them.
  virtual std::optional<std::uint64_t> left() const { return std::nullopt; }
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Result<std::size_t> read(std::span<std::byte> out) override {
    const std::size_t n = std::min(out.size(), bytes_.size());
    if (n > 0) std::memcpy(out.data(), bytes_.data(), n);
    bytes_ = bytes_.subspan(n);
    return n;
  }
  std::optional<std::uint64_t> left() const override { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

/// Reads until `out` is full or the source ends.
inline Result<std::size_t> read_fully(ByteSource& source, std::span<std::byte> out) {
  std::size_t used = 0;
  while (used < out.size()) {
    Result<std::size_t> n = source.read(out.subspan(used));
    if (!n) return n;
    if (*n == 0) break;
    used += *n;
  }
  return used;
}

}  // namespace pjrt::detail
