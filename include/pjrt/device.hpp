#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/detail/handle_list.hpp"
#include "pjrt/device_description.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/memory.hpp"
#include "pjrt/named_value.hpp"

namespace pjrt {

namespace abi {
struct PJRT_Device;
struct PJRT_AsyncTrackingEvent;
}  // namespace abi

namespace detail {
struct DeviceRecord;
}

/// Unique among all devices of all processes.
using GlobalDeviceId = int;
/// The number of a device among those of its process, as its hardware counts them.
using LocalHardwareId = int;

/// What a device's allocator tells. Only `bytes_in_use` is always there.
struct MemoryStats {
  std::int64_t bytes_in_use = 0;
  std::optional<std::int64_t> peak_bytes_in_use;
  std::optional<std::int64_t> num_allocs;
  std::optional<std::int64_t> largest_alloc_size;
  std::optional<std::int64_t> bytes_limit;
  std::optional<std::int64_t> bytes_reserved;
  std::optional<std::int64_t> peak_bytes_reserved;
  std::optional<std::int64_t> bytes_reservable_limit;
  std::optional<std::int64_t> largest_free_block_bytes;
  std::optional<std::int64_t> pool_bytes;
  std::optional<std::int64_t> peak_pool_bytes;
  /// Since API 0.113.
  std::optional<std::int64_t> peak_allocated_bytes;
};

/// Work that a device is doing, marked for the plugin's own bookkeeping as long as this object lives. Some plugins keep
/// none; then the object is empty.
class PJRT_EXPORT AsyncTrackingEvent {
 public:
  AsyncTrackingEvent(AsyncTrackingEvent&& other) noexcept
      : client_(std::move(other.client_)), raw_(std::exchange(other.raw_, nullptr)) {}
  AsyncTrackingEvent& operator=(AsyncTrackingEvent&& other) noexcept {
    AsyncTrackingEvent taken(std::move(other));  // what this one had goes now
    std::swap(client_, taken.client_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_AsyncTrackingEvent_Destroy, since 0.86.
  ~AsyncTrackingEvent();

  /// Whether the plugin gave no event (the CPU plugins give none).
  bool empty() const noexcept { return raw_ == nullptr; }

  /// For the library itself.
  AsyncTrackingEvent(detail::Ref<detail::ClientState> client, abi::PJRT_AsyncTrackingEvent* raw) noexcept
      : client_(std::move(client)), raw_(raw) {}

 private:
  detail::Ref<detail::ClientState> client_;
  abi::PJRT_AsyncTrackingEvent* raw_;
};

/// A device of a client: one CPU "device", one GPU, one TPU core.
///
/// Borrowed from the client, which it keeps alive; a cheap value. What never changes was read when the client was made.
/// All members may be used from several threads.
class PJRT_EXPORT Device {
 public:
  /// Moving copies, so that no handle is ever empty.
  Device(const Device&) noexcept = default;
  Device& operator=(const Device&) noexcept = default;

  /// Wraps PJRT_DeviceDescription_Id.
  GlobalDeviceId id() const noexcept;
  /// Wraps PJRT_Device_LocalHardwareId; -1 for devices of other processes.
  LocalHardwareId local_hardware_id() const noexcept;
  /// The process that can address it. Wraps PJRT_DeviceDescription_ProcessIndex.
  int process_index() const noexcept;
  /// Whether this process can address it. Wraps PJRT_Device_IsAddressable.
  bool is_addressable() const noexcept;
  /// The vendor's name: "cpu", "NVIDIA H100 80GB HBM3", "TPU v5 lite". Wraps PJRT_DeviceDescription_Kind.
  const std::string& kind() const& noexcept;
  std::string kind() const&& { return kind(); }
  /// For people, short. Wraps PJRT_DeviceDescription_ToString.
  const std::string& to_string() const& noexcept;
  std::string to_string() const&& { return to_string(); }

  /// What is known of it without a client. Wraps PJRT_Device_GetDescription.
  DeviceDescription description() const noexcept;

  /// The memories it can address. Wraps PJRT_Device_AddressableMemories.
  Memories memories() const noexcept;
  /// Where its arrays go unless told otherwise. Wraps PJRT_Device_DefaultMemory. Fails for devices of other processes.
  Result<Memory> default_memory() const;
  /// The memory of that kind ("pinned_host"); NotFound lists the kinds there are.
  Result<Memory> memory(std::string_view kind) const;

  /// Wraps PJRT_Device_MemoryStats. Unimplemented on CPU plugins.
  Result<MemoryStats> memory_stats() const;
  /// Sets the peaks back. Wraps PJRT_Device_ClearMemoryStats, since 0.106.
  [[nodiscard]] Result<void> clear_memory_stats() const;
  /// Attributes that a live device has. Wraps PJRT_Device_GetAttributes, since 0.92.
  Result<NamedValues> attributes() const;

  /// Makes the execution with that launch id, if it has not finished, fail with `error` (code, message, payloads).
  /// Gives whether there was one. Payloads need API 0.100. Wraps PJRT_Device_PoisonExecution, since 0.85.
  Result<bool> poison_execution(std::int32_t launch_id, const Error& error) const;

  /// Marks asynchronous work for the plugin. Wraps PJRT_Device_CreateAsyncTrackingEvent, since 0.86.
  Result<AsyncTrackingEvent> create_async_tracking_event(std::string_view description) const;

  abi::PJRT_Device* raw() const noexcept;
  friend bool operator==(const Device& a, const Device& b) noexcept { return a.record_ == b.record_; }

  /// The empty handle: id -1, no memories; what can fail gives FailedPrecondition.
  static Device none() noexcept;
  /// For the library itself.
  Device(detail::Ref<detail::ClientState> client, const detail::DeviceRecord* record) noexcept
      : client_(std::move(client)), record_(record) {}
  const detail::Ref<detail::ClientState>& client_state() const noexcept { return client_; }
  const detail::DeviceRecord* record() const noexcept { return record_; }

 private:
  detail::Ref<detail::ClientState> client_;
  const detail::DeviceRecord* record_;
};

/// The devices of a client, in the plugin's order.
using Devices = detail::HandleList<Device, detail::ClientState, detail::DeviceRecord>;

}  // namespace pjrt
