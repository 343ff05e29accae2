#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "pjrt/detail/ref.hpp"
#include "pjrt/device.hpp"
#include "pjrt/error.hpp"
#include "pjrt/event.hpp"
#include "pjrt/export.hpp"
#include "pjrt/future.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/memory.hpp"
#include "pjrt/shape.hpp"

namespace pjrt {

namespace abi {
struct PJRT_Buffer;
}

namespace detail {
struct BufferState;
PJRT_EXPORT void retain(BufferState*) noexcept;
PJRT_EXPORT void release(BufferState*) noexcept;
}  // namespace detail

class Client;
class DonatedBuffer;
class ExternalReference;
class RawCopy;
template <HostElement T>
class DeviceSpan;

/// An array in a device's memory. Owns it: when the Buffer goes, so does the memory, unless something that was made of
/// it (an external reference, a view) still needs it. Wraps PJRT_Buffer_Destroy.
///
/// Move-only, one pointer wide; keeps its client alive. Const members may be used from several threads. Transfers and
/// executions are asynchronous: a Buffer can be used before its contents are there; what waits for them says so.
///
/// Donation, `bitcast`, `donate_with_control_dependency` and fulfilling an alias consume a buffer: it then behaves as
/// deleted. Shape, device and memory can be asked for all the same; everything else gives FailedPrecondition and says
/// what consumed it.
class PJRT_EXPORT Buffer {
 public:
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

  /// Wraps PJRT_Buffer_ElementType.
  ElementType type() const noexcept { return shape().type; }
  /// The logical sizes; the bounds for dimensions of dynamic size. Wraps PJRT_Buffer_Dimensions.
  const Dimensions& dims() const& noexcept { return shape().dims; }
  Dimensions dims() const&& { return shape().dims; }
  const Shape& shape() const& noexcept;
  Shape shape() const&& { return shape(); }
  /// The sizes that a buffer with dynamic dimensions really has; otherwise dims(). Wraps
  /// PJRT_Buffer_UnpaddedDimensions.
  Result<Dimensions> unpadded_dims() const;
  /// Which dimensions are dynamic. Wraps PJRT_Buffer_DynamicDimensionIndices.
  Result<std::vector<std::size_t>> dynamic_dimension_indices() const;
  /// How it lies in device memory. Wraps PJRT_Buffer_GetMemoryLayout.
  Result<MemoryLayout> layout() const;
  /// Bytes in device memory, padding and metadata included. Wraps PJRT_Buffer_OnDeviceSizeInBytes.
  Result<std::size_t> on_device_size() const;

  /// The device whose memory it lies in; the empty device (`Device::none`) if the buffer was moved from or the plugin
  /// does not tell. Wraps PJRT_Buffer_Device.
  Device device() const;
  /// Wraps PJRT_Buffer_Memory.
  Result<Memory> memory() const;
  /// Whether the memory is that of the host's CPU. Wraps PJRT_Buffer_IsOnCpu.
  Result<bool> is_on_cpu() const;
  /// The client it belongs to; the empty client for a buffer that was moved from.
  Client client() const noexcept;

  /// Frees the device memory now, whoever else may look at the handle; external references keep it until they go. Twice
  /// is fine. Wraps PJRT_Buffer_Delete.
  [[nodiscard]] Result<void> delete_now();
  /// Whether the memory is gone, by delete_now, donation or another way of being consumed. Wraps PJRT_Buffer_IsDeleted.
  bool is_deleted() const noexcept;

  /// Ready once the contents are there, or will never be. Wraps PJRT_Buffer_ReadyEvent.
  Event ready() const;

  /// Waits for the contents and copies them to new host memory, dense and row-major whatever the device's layout.
  /// Unimplemented for tokens. Wraps PJRT_Buffer_ToHostBuffer.
  Result<HostBuffer> to_host() const;
  /// The same without waiting; the memory is part of the future.
  Future<HostBuffer> to_host_async() const;
  /// Copies to memory of the caller, which must hold exactly this many elements of this type.
  template <HostElement T>
  [[nodiscard]] Result<void> to_host(std::span<T> out) const {
    return copy_to_host(std::as_writable_bytes(out), element_type_of<T>);
  }
  /// Waits and copies to a vector. InvalidArgument if T is not the element type.
  template <HostElement T>
  Result<std::vector<T>> to_vector() const {
    Result<HostBuffer> host = to_host();
    if (!host) return std::unexpected(std::move(host).error());
    return host->to_vector<T>();
  }

  /// Looks at the contents where they lie: for dense row-major buffers in the host's memory. Waits until they are
  /// there. Unimplemented where device memory is no host memory. Wraps PJRT_Buffer_OpaqueDeviceMemoryDataPointer.
  template <HostElement T>
  Result<DeviceSpan<T>> host_view() const;

  /// Copies bytes as the device has them (tiles, packing and all) from `offset` to `out`, which must live until the
  /// event is ready. A range outside the buffer fails. Wraps PJRT_Buffer_CopyRawToHost.
  Event copy_raw_to_host(std::span<std::byte> out, std::int64_t offset = 0) const;
  /// A raw copy whose destination is supplied later. Wraps PJRT_Buffer_CopyRawToHostFuture, since 0.84.
  Result<RawCopy> copy_raw_to_host_future(std::int64_t size, std::int64_t offset = 0) const;

  /// A copy on another device of the same plugin, another client's included. Unimplemented where the plugin would get
  /// it wrong: for buffers that are not row-major or of dynamic size on older CPU plugins. Wraps
  /// PJRT_Buffer_CopyToDevice.
  Result<Buffer> copy_to_device(const Device& device) const;
  /// A copy in another memory of the same plugin, or in the same (CPU plugins copy then, too). Wraps
  /// PJRT_Buffer_CopyToMemory.
  Result<Buffer> copy_to_memory(const Memory& memory) const;

  /// The same memory as another type and shape of the same size; consumes this buffer, only if it succeeds.
  /// InvalidArgument for dynamic sizes, FailedPrecondition while there are external references. Wraps
  /// PJRT_Buffer_Bitcast, since 0.98.
  Result<Buffer> bitcast(Shape shape, std::optional<Layout> layout = std::nullopt) &&;
  /// A buffer with the same memory whose users wait for a dependency that the caller resolves; consumes this one, only
  /// if it succeeds. FailedPrecondition while there are external references. Wraps
  /// PJRT_Buffer_DonateWithControlDependency, since 0.88.
  Result<DonatedBuffer> donate_with_control_dependency() &&;

  /// Keeps the device memory alive and in place as long as the reference lives, even past delete_now. Waits for the
  /// memory of an alias. Wraps PJRT_Buffer_IncreaseExternalReferenceCount and
  /// PJRT_Buffer_DecreaseExternalReferenceCount.
  Result<ExternalReference> external_reference() const;
  /// The address in device memory as a number, valid while nothing deletes or donates the buffer; prefer an external
  /// reference. Waits for the memory of an alias. Wraps PJRT_Buffer_UnsafePointer.
  Result<std::uintptr_t> unsafe_pointer() const;

  abi::PJRT_Buffer* raw() const noexcept;

  /// Takes over a C buffer of `client`; type and dimensions are asked for.
  static Result<Buffer> adopt(const Client& client, abi::PJRT_Buffer* raw);

  /// For the library itself.
  explicit Buffer(detail::Ref<detail::BufferState> state) noexcept : state_(std::move(state)) {}
  const detail::Ref<detail::BufferState>& state() const noexcept { return state_; }

 private:
  [[nodiscard]] Result<void> copy_to_host(std::span<std::byte> out, ElementType type) const;
  detail::Ref<detail::BufferState> state_;
};

/// A promise that a buffer's memory stays where it is. Move-only; keeps buffer and client alive. References to one
/// buffer may be taken and dropped from several threads: the library serializes what plugins do not.
class PJRT_EXPORT ExternalReference {
 public:
  ExternalReference(ExternalReference&&) noexcept = default;
  ExternalReference& operator=(ExternalReference&& other) noexcept;
  ~ExternalReference();

  /// The address in device memory. Wraps PJRT_Buffer_OpaqueDeviceMemoryDataPointer.
  Result<void*> device_pointer() const;

  /// For the library itself.
  explicit ExternalReference(detail::Ref<detail::BufferState> state) noexcept : state_(std::move(state)) {}

 private:
  void drop() noexcept;
  detail::Ref<detail::BufferState> state_;
};

/// Elements looked at in place; keeps them there.
template <HostElement T>
class DeviceSpan {
 public:
  DeviceSpan(ExternalReference reference, std::span<const T> elements)
      : reference_(std::move(reference)), elements_(elements) {}
  DeviceSpan(DeviceSpan&& other) noexcept
      : reference_(std::move(other.reference_)), elements_(std::exchange(other.elements_, {})) {}
  DeviceSpan& operator=(DeviceSpan&& other) noexcept {
    reference_ = std::move(other.reference_);
    elements_ = std::exchange(other.elements_, {});
    return *this;
  }

  std::span<const T> span() const& noexcept { return elements_; }
  std::span<const T> span() const&& = delete;
  operator std::span<const T>() const& noexcept { return elements_; }
  operator std::span<const T>() && = delete;
  operator std::span<const T>() const&& = delete;
  std::size_t size() const noexcept { return elements_.size(); }
  /// Element `i`; a zero if there is none. `span()` gives access without that check.
  T operator[](std::size_t i) const noexcept { return i < elements_.size() ? elements_[i] : T{}; }
  const T* begin() const& noexcept { return elements_.data(); }
  const T* begin() const&& = delete;
  const T* end() const& noexcept { return elements_.data() + elements_.size(); }
  const T* end() const&& = delete;

 private:
  ExternalReference reference_;
  std::span<const T> elements_;
};

namespace detail {
/// Checks that a buffer can be looked at as elements of `type` in place, waits, and gives reference and address.
PJRT_EXPORT Result<std::pair<ExternalReference, const void*>> view_in_place(const Buffer& buffer, ElementType type);
}  // namespace detail

template <HostElement T>
Result<DeviceSpan<T>> Buffer::host_view() const {
  auto viewed = detail::view_in_place(*this, element_type_of<T>);
  if (!viewed) return std::unexpected(std::move(viewed).error());
  const auto count = static_cast<std::size_t>(element_count(dims()).value_or(0));
  return DeviceSpan<T>(std::move(viewed->first), std::span(static_cast<const T*>(viewed->second), count));
}

/// A raw copy to the host whose destination is supplied later. Must be fulfilled exactly once. Destroying it
/// unfulfilled fails the copy with Cancelled.
class PJRT_EXPORT RawCopy {
 public:
  RawCopy(RawCopy&& other) noexcept;
  RawCopy& operator=(RawCopy&& other) noexcept;
  ~RawCopy();

  /// Starts the copy; `out` has as many bytes as were asked for and lives until the event is ready. FailedPrecondition
  /// the second time.
  [[nodiscard]] Result<void> provide(std::span<std::byte> out);
  /// Gives up: the event becomes ready with this error.
  [[nodiscard]] Result<void> fail(const Error& error);
  /// Ready when the bytes are there or the copy has failed.
  Event event() const noexcept { return event_; }

  /// For the library itself.
  struct Pending;
  RawCopy(Event event, std::unique_ptr<Pending> pending) noexcept;

 private:
  [[nodiscard]] Result<void> tell(void* out, const Error* error);
  Event event_;
  std::unique_ptr<Pending> pending_;
};

/// The control dependency of a donated buffer. Must be resolved exactly once. Destroying it unresolved fails the buffer
/// with Cancelled.
class PJRT_EXPORT ControlDependency {
 public:
  ControlDependency(ControlDependency&& other) noexcept;
  ControlDependency& operator=(ControlDependency&& other) noexcept;
  ~ControlDependency();

  /// Lets the users of the buffer go on, or makes it fail. FailedPrecondition the second time.
  [[nodiscard]] Result<void> resolve(Result<void> outcome = {});

  /// For the library itself.
  struct Pending;
  explicit ControlDependency(std::unique_ptr<Pending> pending) noexcept;

 private:
  [[nodiscard]] Result<void> tell(const Result<void>& outcome);
  std::unique_ptr<Pending> pending_;
};

/// What donate_with_control_dependency gives.
class DonatedBuffer {
 public:
  DonatedBuffer(Buffer b, ControlDependency d) : buffer(std::move(b)), dependency(std::move(d)) {}
  Buffer buffer;
  ControlDependency dependency;
};

}  // namespace pjrt
