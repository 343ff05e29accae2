#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "pjrt/client.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt::ext {

/// Host memory of a plugin's, given back to it when the last copy goes. Keeps the client alive.
class HostMemory {
 public:
  HostMemory(std::shared_ptr<void> owner, std::span<std::byte> bytes) noexcept
      : owner_(std::move(owner)), bytes_(bytes) {}
  /// Moving copies, so that no bytes are ever without their owner.
  HostMemory(const HostMemory&) noexcept = default;
  HostMemory& operator=(const HostMemory&) noexcept = default;

  std::span<std::byte> bytes() const& noexcept { return bytes_; }
  std::span<std::byte> bytes() const&& = delete;
  /// For uploads without a copy: ViewOptions::keep_alive.
  std::shared_ptr<void> owner() const noexcept { return owner_; }

 private:
  std::shared_ptr<void> owner_;
  std::span<std::byte> bytes_;
};

/// Host memory that is good for transfers (the older of two extensions).
class PJRT_EXPORT HostAllocator : public Extension {
  PJRT_EXTENSION(HostAllocator, 15)

  /// Bytes. Wraps PJRT_HostAllocator_GetPreferredAlignment, since 0.80.
  Result<std::size_t> preferred_alignment(const Client& client) const;
  /// Wraps PJRT_HostAllocator_Allocate and PJRT_HostAllocator_Free, since 0.80.
  Result<HostMemory> allocate(const Client& client, std::size_t size, std::size_t alignment) const;
};

/// Host memory that is good for transfers, on a NUMA node of one's choice (the newer of two extensions).
class PJRT_EXPORT HostMemoryAllocator : public Extension {
  PJRT_EXTENSION(HostMemoryAllocator, 23)

  static constexpr int kAnyNumaNode = -1;
  /// Wraps PJRT_HostMemoryAllocator_Allocate.
  Result<HostMemory> allocate(const Client& client, std::size_t size, int numa_node = kAnyNumaNode) const;
};

}  // namespace pjrt::ext
