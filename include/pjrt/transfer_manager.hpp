#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/buffer.hpp"
#include "pjrt/chunk.hpp"
#include "pjrt/client.hpp"
#include "pjrt/error.hpp"
#include "pjrt/event.hpp"
#include "pjrt/export.hpp"
#include "pjrt/future.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/shape.hpp"

namespace pjrt {

/// A buffer to be filled: its shape, and its layout if not the device's own.
struct ShapeSpec {
  Shape shape;
  std::optional<Layout> layout;
};

/// Told after every chunk of a chunked transfer: bytes handed over so far, and altogether.
using TransferProgress = std::function<void(std::int64_t bytes, std::int64_t total_bytes)>;

class RawTransfer;
template <HostElement T>
class TypedTransfer;

/// Buffers on one device that are filled from the host piece by piece, and can be used before they are full.
///
/// Three ways to fill them: bytes as the device has them (`transfer_data`, `add`, `raw`), typed elements (`typed`), or
/// whole arrays at once
/// (`transfer_all`, `transfer_literal`). Every buffer is retrieved once, and gets its last byte or an error once. A
/// manager that goes before that puts the rest in error. Move-only; members may be used from several threads.
///
/// Made by Client::create_buffers_for_async_host_to_device.
class PJRT_EXPORT TransferManager {
 public:
  TransferManager(TransferManager&&) noexcept;
  TransferManager& operator=(TransferManager&&) noexcept;
  /// Wraps PJRT_AsyncHostToDeviceTransferManager_Destroy, since 0.60.
  ~TransferManager();

  /// Wraps PJRT_AsyncHostToDeviceTransferManager_BufferCount, since 0.62.
  Result<std::size_t> buffer_count() const;
  /// Bytes in device memory. Wraps PJRT_AsyncHostToDeviceTransferManager_BufferSize, since 0.62.
  Result<std::size_t> buffer_size(std::size_t index) const;
  /// Wraps PJRT_AsyncHostToDeviceTransferManager_Device, since 0.62.
  Result<Device> device() const;
  /// The shapes it was made with.
  std::span<const ShapeSpec> specs() const& noexcept;
  std::span<const ShapeSpec> specs() const&& = delete;

  /// Takes a buffer out, full or not. FailedPrecondition the second time. Wraps
  /// PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer, since 0.62.
  Result<Buffer> retrieve_buffer(std::size_t index);

  /// Copies bytes, as the device has them, to `offset`; in any order. `last` says that no more will come for this
  /// buffer. The chunk's memory is kept until it is done. Ready when it is. Wraps
  /// PJRT_AsyncHostToDeviceTransferManager_TransferData, since 0.62.
  Event transfer_data(std::size_t index, Chunk chunk, std::int64_t offset, bool last);
  /// Appends a chunk behind the one before; the one that fills the buffer is the last.
  Event add(std::size_t index, Chunk chunk);
  /// Copies a whole buffer in pieces of at most `chunk_size` bytes and waits. `progress` is called after each, on this
  /// thread.
  [[nodiscard]] Result<void> transfer_chunked(std::size_t index, std::span<const std::byte> bytes,
                                              std::size_t chunk_size, const TransferProgress& progress = {});
  /// Copies a whole array; its memory is kept until it is done. InvalidArgument for another shape. Wraps
  /// PJRT_AsyncHostToDeviceTransferManager_TransferLiteral, since 0.83.
  Event transfer_literal(std::size_t index, HostBuffer array);
  /// Fills every buffer with the array of its index, whatever its layout, and retrieves all. Ready when all are on the
  /// device.
  Future<std::vector<Buffer>> transfer_all(std::vector<HostBuffer> arrays);

  /// Puts a buffer in error; FailedPrecondition if it is full or in error already. Wraps
  /// PJRT_AsyncHostToDeviceTransferManager_SetBufferError, since 0.62.
  [[nodiscard]] Result<void> set_buffer_error(std::size_t index, const Error& error);
  /// For the plugin's own use. Wraps PJRT_AsyncHostToDeviceTransferManager_AddMetadata, since 0.62.
  [[nodiscard]] Result<void> add_metadata(std::span<const std::pair<std::string, std::string>> metadata);

  /// One buffer, filled with bytes. Must not outlive the manager.
  RawTransfer raw(std::size_t index) & noexcept;
  RawTransfer raw(std::size_t index) && = delete;
  /// One buffer, filled with elements. InvalidArgument if T is not its element type, Unimplemented if it is not known
  /// to lie row-major on the device. Must not outlive the manager.
  template <HostElement T>
  Result<TypedTransfer<T>> typed(std::size_t index) &;
  template <HostElement T>
  Result<TypedTransfer<T>> typed(std::size_t index) && = delete;

  /// For the library itself.
  struct State;
  explicit TransferManager(std::unique_ptr<State> state) noexcept;

 private:
  /// FailedPrecondition if it was moved from, OutOfRange if there is no buffer `index`.
  Result<State*> state() const;
  Result<State*> state(std::size_t index) const;
  [[nodiscard]] Result<void> check_typed(std::size_t index, ElementType type) const;
  Event add_elements(std::size_t index, HostBuffer elements);
  template <HostElement T>
  friend class TypedTransfer;
  std::unique_ptr<State> state_;
};

/// The bytes of one buffer of a TransferManager.
class RawTransfer {
 public:
  RawTransfer(TransferManager& manager, std::size_t index) noexcept : manager_(&manager), index_(index) {}
  /// See TransferManager::add.
  Event add(Chunk chunk) { return manager_->add(index_, std::move(chunk)); }
  /// See TransferManager::transfer_data.
  Event transfer(Chunk chunk, std::int64_t offset, bool last) {
    return manager_->transfer_data(index_, std::move(chunk), offset, last);
  }
  /// See TransferManager::transfer_chunked.
  [[nodiscard]] Result<void> transfer_chunked(std::span<const std::byte> bytes, std::size_t chunk_size,
                                              const TransferProgress& progress = {}) {
    return manager_->transfer_chunked(index_, bytes, chunk_size, progress);
  }
  /// See TransferManager::retrieve_buffer.
  Result<Buffer> retrieve() { return manager_->retrieve_buffer(index_); }

 private:
  TransferManager* manager_;
  std::size_t index_;
};

/// The elements of one buffer of a TransferManager, in row-major order. Elements narrower than a byte are packed on the
/// way; all chunks but the last must then fill whole bytes: InvalidArgument otherwise.
template <HostElement T>
class TypedTransfer {
 public:
  TypedTransfer(TransferManager& manager, std::size_t index) noexcept : manager_(&manager), index_(index) {}
  /// Appends elements; the vector's memory is used.
  Event add(std::vector<T> elements) {
    const auto count = static_cast<std::int64_t>(elements.size());
    Result<HostBuffer> array = HostBuffer::from_vector(std::move(elements), {count});
    if (!array) return Event::ready(std::unexpected(std::move(array).error()));
    return manager_->add_elements(index_, *std::move(array));
  }
  /// See TransferManager::retrieve_buffer.
  Result<Buffer> retrieve() { return manager_->retrieve_buffer(index_); }

 private:
  TransferManager* manager_;
  std::size_t index_;
};

inline RawTransfer TransferManager::raw(std::size_t index) & noexcept {
  return {*this, index};
}

template <HostElement T>
Result<TypedTransfer<T>> TransferManager::typed(std::size_t index) & {
  if (auto ok = check_typed(index, element_type_of<T>); !ok) return std::unexpected(std::move(ok).error());
  return TypedTransfer<T>(*this, index);
}

}  // namespace pjrt
