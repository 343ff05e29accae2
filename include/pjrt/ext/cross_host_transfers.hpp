#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/buffer.hpp"
#include "pjrt/client.hpp"
#include "pjrt/device.hpp"
#include "pjrt/event.hpp"
#include "pjrt/ext/extension.hpp"
#include "pjrt/transfer_manager.hpp"

namespace pjrt::ext {

/// Tells a sender that nobody will take what it sends. Empty unless the receive was made with `allow_cancel`; to be
/// used until its buffers are ready or gone, and not afterwards.
class PJRT_EXPORT SendCanceller {
 public:
  SendCanceller() = default;
  bool empty() const noexcept { return user_ == nullptr; }
  /// Cancels the send to the holder of `descriptor`, for that reason. `on_done` is called once, on a thread of the
  /// plugin or on this one before `cancel` returns. FailedPrecondition if empty.
  [[nodiscard]] Result<void> cancel(std::string_view descriptor, const Error& reason,
                                    std::function<void(Result<void>)> on_done) const;

  /// For the library itself.
  SendCanceller(const pjrt::detail::PluginState* plugin, void (*function)(), void* user) noexcept
      : plugin_(plugin), function_(function), user_(user) {}

 private:
  const pjrt::detail::PluginState* plugin_ = nullptr;
  void (*function_)() = nullptr;
  void* user_ = nullptr;
};

/// What a receiver has to bring to its senders, by whatever way it has: a descriptor for each buffer.
struct ReceiveDescriptors {
  std::vector<std::string> descriptors;
  SendCanceller canceller;
};

/// A buffer on its way to a device of another process. Both ends name the transfer by the same key.
struct CrossHostSend {
  const Buffer* buffer = nullptr;
  GlobalDeviceId dst_global_device_id = 0;
  std::int64_t transfer_key = 0;
};

/// A buffer to come from a device of another process.
struct CrossHostReceive {
  ShapeSpec spec;
  GlobalDeviceId src_global_device_id = 0;
  std::int64_t transfer_key = 0;
};

/// The processes taking part and their incarnations, so that one that was started anew is not taken for the one before.
/// Plugins with an extension older than its version 8 do not look at it.
struct CrossHostTasks {
  std::vector<int> task_ids;
  std::vector<std::int64_t> incarnation_ids;
};

/// Buffers that go from a device of one process to a device of another.
///
/// Two ways. With transfer keys, both sides know of each other beforehand: `send_buffers` here, `receive_buffers`
/// there. With descriptors, the receiver makes its buffers first and hands a descriptor for each to the sender by a way
/// of its own (Unimplemented on plugins whose extension is of its first version).
///
/// A callback is called once, on a thread of the plugin or within the call that takes it. It lives until then, whatever
/// handles are dropped meanwhile; what it throws stops there. If the call fails, the callback is not called.
class PJRT_EXPORT CrossHostTransfers : public Extension {
  PJRT_EXTENSION(CrossHostTransfers, 12)

  /// Starts to send; an event for each, ready when its buffer is no longer needed. InvalidArgument for buffers of
  /// several clients. Wraps PJRT_Transfers_PJRT_Client_CrossHostSendBuffers.
  Result<std::vector<Event>> send_buffers(std::span<const CrossHostSend> sends, const CrossHostTasks& tasks = {}) const;
  /// Buffers on `device` that are ready when they have come. Wraps PJRT_Transfers_PJRT_Client_CrossHostReceiveBuffers.
  Result<std::vector<Buffer>> receive_buffers(const Device& device, std::span<const CrossHostReceive> receives,
                                              const CrossHostTasks& tasks = {}) const;

  /// Buffers on `device` that are ready when somebody has sent them; `notifier` gets what the sender needs, or why
  /// there will be nothing. Wraps PJRT_Transfers_PJRT_Client_MakeCrossHostReceiveBuffers.
  Result<std::vector<Buffer>> make_receive_buffers(const Device& device, std::span<const ShapeSpec> specs,
                                                   std::function<void(Result<ReceiveDescriptors>)> notifier,
                                                   bool allow_cancel = false) const;
  /// Sends to whom `descriptor` comes from. `on_done` gets the outcome, and whether the send got as far as being
  /// enqueued: then the receiver sees an error itself. Wraps PJRT_Buffer_CopyToRemoteDevice.
  [[nodiscard]] Result<void> copy_to_remote_device(
      const Buffer& buffer, std::string descriptor,
      std::function<void(Result<void>, bool sends_were_enqueued)> on_done) const;

 private:
  [[nodiscard]] Result<void> check_arguments_known() const;
};

}  // namespace pjrt::ext
