#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "pjrt/detail/cxx23.hpp"

namespace pjrt::detail {

/// Bytes in memory of the plugin, given back to it when the last copy goes.
class OwnedBytes {
 public:
  OwnedBytes() = default;
  OwnedBytes(std::shared_ptr<const void> owner, std::span<const std::byte> bytes) noexcept
      : owner_(std::move(owner)), bytes_(bytes) {}

  /// Moving copies, so that no bytes are ever without their owner.
  OwnedBytes(const OwnedBytes&) noexcept = default;
  OwnedBytes& operator=(const OwnedBytes&) noexcept = default;

  std::span<const std::byte> bytes() const& noexcept { return bytes_; }
  std::span<const std::byte> bytes() const&& = delete;
  std::string_view text() const& noexcept { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }
  std::string text() const&& { return std::string(text()); }
  std::size_t size() const noexcept { return bytes_.size(); }
  /// Of a temporary too, so that one can be handed to a function: the bytes live until the end of that call.
  operator std::span<const std::byte>() const noexcept { return bytes_; }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

}  // namespace pjrt::detail
