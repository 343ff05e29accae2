// From host memory to buffers: copied, asynchronous, or used in place.

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/layout_probe.hpp"
#include "core/placement.hpp"
#include "core/pred.hpp"
#include "core/try.hpp"
#include "pjrt/client.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace {

void await_and_destroy(const detail::PluginState& plugin, abi::PJRT_Event* event) noexcept {
  detail::call_quietly<fn::PJRT_Event_Await>(plugin, {.event = event});
  detail::call_quietly<fn::PJRT_Event_Destroy>(plugin, {.event = event});
}

struct Uploaded {
  Buffer buffer;
  abi::PJRT_Event* done_with_host_memory;
};

Result<Uploaded> start(const detail::Ref<detail::ClientState>& client, const HostView& array,
                       HostBufferSemantics semantics, const std::optional<Device>& device,
                       const std::optional<Memory>& memory, const std::optional<MemoryLayout>& layout) {
  PJRT_CHECK(detail::check_shape(*client->plugin, array.shape()));
  PJRT_TRY(const detail::Placement placement, detail::place(client, device, memory));
  if (array.data() == nullptr && array.element_count() > 0) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the address of the array " + to_string(array.shape()) + " is null"));
  }
  std::optional<detail::MemoryLayoutC> c_layout;
  if (layout) {
    PJRT_CHECK(detail::check_layout_of_new(*client, array.shape(), *layout));
    c_layout.emplace(std::get<Layout>(*layout), array.type());
  }
  abi::PJRT_Client_BufferFromHostBuffer_Args args{};
  args.client = client->raw;
  args.data = detail::not_null(array.data());
  args.type = detail::to_c(array.type());
  args.dims = array.dims().data();
  args.num_dims = array.dims().size();
  if (!array.is_dense()) {
    args.byte_strides = array.strides().data();
    args.num_byte_strides = array.strides().size();
  }
  args.host_buffer_semantics = static_cast<abi::PJRT_HostBufferSemantics>(semantics);
  args.device = placement.device;
  args.memory = placement.memory;
  args.device_layout = c_layout ? c_layout->get() : nullptr;
  PJRT_CHECK(detail::call<fn::PJRT_Client_BufferFromHostBuffer>(*client->plugin, args));
  detail::KnownLayout known = detail::RowMajor{};
  if (layout) known = *layout;
  try {
    return Uploaded{detail::make_buffer(client, args.buffer, array.shape(), placement.record, std::move(known)),
                    args.done_with_host_buffer};
  } catch (...) {  // the buffer is gone; the plugin may still read the array
    if (args.done_with_host_buffer != nullptr) await_and_destroy(*client->plugin, args.done_with_host_buffer);
    throw;
  }
}

/// Whether a program may take the bytes as they are. Costs types other than PRED a comparison.
bool is_normal(const HostView& array) {
  if (array.type() != ElementType::Pred || array.data() == nullptr || array.element_count() == 0) return true;
  return array.is_dense() && detail::preds_are_normal(array.bytes());
}

/// Memory that is used where it lies cannot be made normal.
Result<void> check_normal(const HostView& array) {
  if (is_normal(array)) return {};
  if (!array.is_dense()) {
    std::vector<std::byte> elements(static_cast<std::size_t>(array.element_count()));
    array.copy_to(elements.data());
    if (detail::preds_are_normal(elements)) return {};
  }
  return std::unexpected(
      Error(ErrorCode::InvalidArgument,
            "the array " + to_string(array.shape()) +
                " has bytes other than 0 and 1; a view of it cannot be used in place, an upload that "
                "copies makes them 1"));
}

/// Holds the memory of an array until the plugin has done with it. Made before the upload: with the plugin at work on
/// the memory, nothing may fail for want of some more.
struct Held {
  detail::Ref<detail::ClientState> client;
  std::shared_ptr<const void> owner;
  std::atomic<bool> registered{false};

  Held(const detail::Ref<detail::ClientState>& c, std::shared_ptr<const void> o) : client(c), owner(std::move(o)) {}

  static std::unique_ptr<Held> make(const detail::Ref<detail::ClientState>& client, std::shared_ptr<const void> owner) {
    return owner == nullptr ? nullptr : std::make_unique<Held>(client, std::move(owner));
  }

  static void on_done(abi::PJRT_Error* error, void* user_arg) {
    const detail::InCallback here;
    const std::unique_ptr<Held> held(static_cast<Held*>(user_arg));
    // The plugin handed it from one thread to another in ways that a race detector cannot see into.
    (void)held->registered.load(std::memory_order_acquire);
    (void)detail::outcome_of(*held->client->plugin, error, "PJRT_Event_OnReady");
  }
};

/// Gives the buffer, and frees what is held when the plugin has done with it: it is when a buffer that was not made to
/// use the memory in place is there, and else when that buffer is gone.
Result<Buffer> hold_until_done(Uploaded uploaded, std::unique_ptr<Held> held) {
  abi::PJRT_Event* const done = uploaded.done_with_host_memory;
  if (done == nullptr) return std::move(uploaded.buffer);
  const detail::PluginState& plugin = *uploaded.buffer.state()->client->plugin;
  Result<void> registered;
  if (held != nullptr) {
    abi::PJRT_Event_OnReady_Args args{};
    args.event = done;
    args.user_arg = held.get();
    args.callback = Held::on_done;
    held->registered.store(true, std::memory_order_release);
    registered = detail::call<fn::PJRT_Event_OnReady>(plugin, args);
    if (registered) (void)held.release();
  }
  if (!registered) {
    (void)uploaded.buffer.delete_now();
    await_and_destroy(plugin, done);
    return std::unexpected(std::move(registered).error());
  }
  detail::call_quietly<fn::PJRT_Event_Destroy>(plugin, {.event = done});
  return std::move(uploaded.buffer);
}

}  // namespace

Result<Buffer> Client::upload(const HostView& array, const UploadOptions& options) const try {
  if (!is_normal(array)) {
    PJRT_TRY(const HostBuffer copy, HostBuffer::copy_of(array));
    return upload(copy.view(), options);
  }
  PJRT_TRY(Uploaded uploaded, start(state_, array, HostBufferSemantics::ImmutableOnlyDuringCall, options.device,
                                    options.memory, options.layout));
  return hold_until_done(std::move(uploaded), nullptr);
}
PJRT_CATCH

Future<Buffer> Client::upload_async(HostBuffer array, const UploadOptions& options) const try {
  if (!is_normal(array.view())) {
    Result<HostBuffer> copy = array.clone();
    if (!copy) return Future<Buffer>(std::move(copy).error());
    array = *std::move(copy);
  }
  std::unique_ptr<Held> held = Held::make(state_, array.owner());
  Result<Uploaded> uploaded = start(state_, array.view(), HostBufferSemantics::ImmutableUntilTransferCompletes,
                                    options.device, options.memory, options.layout);
  if (!uploaded) return Future<Buffer>(std::move(uploaded).error());
  Result<Buffer> buffer = hold_until_done(*std::move(uploaded), std::move(held));
  if (!buffer) return Future<Buffer>(std::move(buffer).error());
  Event ready = buffer->ready();
  return {std::move(ready), *std::move(buffer)};
}
PJRT_CATCH_FUTURE(Buffer)

Result<Buffer> Client::upload_view(const HostView& array, const ViewOptions& options) const try {
  PJRT_CHECK(check_normal(array));
  std::unique_ptr<Held> held = Held::make(state_, options.keep_alive);
  PJRT_TRY(Uploaded uploaded,
           start(state_, array, HostBufferSemantics::ImmutableZeroCopy, options.device, options.memory, {}));
  uploaded.buffer.state()->read_only_memory = array.data();
  return hold_until_done(std::move(uploaded), std::move(held));
}
PJRT_CATCH

namespace {

std::shared_ptr<const void> both(std::shared_ptr<const void> a, const std::shared_ptr<const void>& b) {
  if (b == nullptr) return a;
  return std::make_shared<std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(std::move(a), b);
}

}  // namespace

Result<Buffer> Client::upload_view(const HostBuffer& array, const ViewOptions& options) const try {
  ViewOptions owned = options;
  owned.keep_alive = both(array.owner(), options.keep_alive);
  return upload_view(array.view(), owned);
}
PJRT_CATCH

Result<Buffer> Client::upload_mutable_view(const HostBuffer& array, const ViewOptions& options) const try {
  if (!array.is_mutable()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 "the array's memory is borrowed and read-only; executions may not write to it"));
  }
  PJRT_CHECK(check_normal(array.view()));
  std::unique_ptr<Held> held = Held::make(state_, both(array.owner(), options.keep_alive));
  PJRT_TRY(Uploaded uploaded,
           start(state_, array.view(), HostBufferSemantics::MutableZeroCopy, options.device, options.memory, {}));
  return hold_until_done(std::move(uploaded), std::move(held));
}
PJRT_CATCH

}  // namespace pjrt
