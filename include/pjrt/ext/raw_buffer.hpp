#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "pjrt/buffer.hpp"
#include "pjrt/event.hpp"
#include "pjrt/ext/extension.hpp"
#include "pjrt/memory.hpp"

namespace pjrt {

namespace abi {
struct PJRT_RawBuffer;
}

namespace ext {

/// The bytes of a buffer in device memory, without type or shape. An alias: it and the Buffer it was made of see the
/// same memory, and it keeps that one's handle alive. Move-only.
class PJRT_EXPORT RawBuffer {
 public:
  RawBuffer(RawBuffer&& other) noexcept : buffer_(std::move(other.buffer_)), raw_(std::exchange(other.raw_, nullptr)) {}
  RawBuffer& operator=(RawBuffer&& other) noexcept {
    RawBuffer taken(std::move(other));  // what this one had goes now
    std::swap(buffer_, taken.buffer_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_RawBuffer_Destroy.
  ~RawBuffer();

  /// Bytes. Wraps PJRT_RawBuffer_GetOnDeviceSizeInBytes.
  Result<std::size_t> on_device_size() const;
  /// Wraps PJRT_RawBuffer_GetMemorySpace.
  Result<Memory> memory_space() const;
  /// Its address on the host; null where device memory is no host memory. Valid as long as the buffer. Wraps
  /// PJRT_RawBuffer_GetHostPointer.
  Result<void*> host_pointer() const;
  /// Copies bytes to `offset`; they must stay until the event is ready. InvalidArgument outside the buffer. Wraps
  /// PJRT_RawBuffer_CopyRawHostToDevice.
  Event copy_host_to_device(std::span<const std::byte> bytes, std::int64_t offset = 0) const;
  /// Copies bytes from `offset`. Wraps PJRT_RawBuffer_CopyRawDeviceToHost.
  Event copy_device_to_host(std::span<std::byte> bytes, std::int64_t offset = 0) const;

  /// For the library itself.
  RawBuffer(pjrt::detail::Ref<pjrt::detail::BufferState> buffer, abi::PJRT_RawBuffer* raw) noexcept
      : buffer_(std::move(buffer)), raw_(raw) {}

 private:
  [[nodiscard]] Result<void> check(std::size_t size, std::int64_t offset) const;
  pjrt::detail::Ref<pjrt::detail::BufferState> buffer_;
  abi::PJRT_RawBuffer* raw_;
};

/// Raw access to the memory of buffers: the plugin's RawBuffer extension.
class PJRT_EXPORT RawBuffers : public Extension {
  PJRT_EXTENSION(RawBuffers, 8)

  /// Wraps PJRT_RawBuffer_CreateRawAliasOfBuffer.
  Result<RawBuffer> create_raw_alias(const Buffer& buffer) const;
};

}  // namespace ext
}  // namespace pjrt
