#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "pjrt/detail/cxx23.hpp"

namespace pjrt {

/// A piece of a stream of bytes, with its memory (`PJRT_Chunk`). Move-only.
class Chunk {
 public:
  /// Takes the vector's memory.
  explicit Chunk(std::vector<std::byte> bytes) {
    auto owner = std::make_shared<std::vector<std::byte>>(std::move(bytes));
    bytes_ = *owner;
    owner_ = std::move(owner);
  }
  /// Bytes that `owner` keeps.
  Chunk(std::shared_ptr<const void> owner, std::span<const std::byte> bytes) noexcept
      : owner_(std::move(owner)), bytes_(bytes) {}
  /// A copy of bytes.
  static Chunk copy_of(std::span<const std::byte> bytes) {
    return Chunk(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }

  Chunk(Chunk&& other) noexcept : owner_(std::move(other.owner_)), bytes_(std::exchange(other.bytes_, {})) {}
  Chunk& operator=(Chunk&& other) noexcept {
    owner_ = std::move(other.owner_);
    bytes_ = std::exchange(other.bytes_, {});
    return *this;
  }

  std::span<const std::byte> bytes() const& noexcept { return bytes_; }
  std::span<const std::byte> bytes() const&& = delete;
  std::size_t size() const noexcept { return bytes_.size(); }
  std::shared_ptr<const void> owner() const noexcept { return owner_; }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

}  // namespace pjrt
