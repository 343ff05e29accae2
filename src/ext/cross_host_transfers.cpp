#include "pjrt/ext/cross_host_transfers.hpp"

#include <memory>
#include <utility>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/layout_probe.hpp"
#include "core/lent_error.hpp"
#include "core/placement.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;
using pjrt::detail::call_extension;
using pjrt::detail::PluginState;

namespace {

constexpr std::string_view kCancel = "PJRT_Transfers_CrossHostSendCancelNotifier";

struct Canceling {
  std::function<void(Result<void>)> callback;
};
struct Receiving {
  std::function<void(Result<ReceiveDescriptors>)> callback;
  bool allow_cancel;
};
struct Sending {
  std::function<void(Result<void>, bool)> callback;
  std::string descriptor;
};

/// A callback while the plugin holds it, to be called once: it owns itself from `hand_over` until then.
template <class What>
struct Pending {
  const PluginState* plugin;
  What what;
  std::shared_ptr<Pending> self = nullptr;

  static std::shared_ptr<Pending> make(const PluginState& plugin, What what) {
    return std::make_shared<Pending>(Pending{&plugin, std::move(what)});
  }
  static void* hand_over(const std::shared_ptr<Pending>& pending) {
    pending->self = pending;
    return pending.get();
  }
  /// The plugin's call, in which it is taken back; null after `leave_to`.
  static std::shared_ptr<Pending> take(void* user) { return std::exchange(static_cast<Pending*>(user)->self, nullptr); }
  /// After a call that failed: the plugin ought not to call any more; if it does, nothing happens as long as the client
  /// lives.
  void leave_to(const Client& client) {
    if (self) client.state()->attach(std::exchange(self, nullptr));
  }
};

void on_canceled(abi::PJRT_Error* error, void* user) {
  const pjrt::detail::InCallback here;
  const auto p = Pending<Canceling>::take(user);
  if (p == nullptr) return;
  pjrt::detail::run_guarded("a cancellation callback", p->what.callback,
                            pjrt::detail::outcome_of_lent(*p->plugin, error, kCancel));
}

void on_received(abi::PJRT_Error* error, const char** descriptors, std::size_t* sizes, std::size_t count, void* user,
                 abi::PJRT_Transfers_CrossHostSendCancelNotifier cancel, void* cancel_user) {
  const pjrt::detail::InCallback here;
  const auto p = Pending<Receiving>::take(user);
  if (p == nullptr) return;
  const auto call = [&] {
    if (auto outcome = pjrt::detail::outcome_of_lent(
            *p->plugin, error, fn::PJRT_Transfers_PJRT_Client_MakeCrossHostReceiveBuffers::info.function);
        !outcome) {
      return p->what.callback(std::unexpected(std::move(outcome).error()));
    }
    ReceiveDescriptors received;
    for (std::size_t i = 0; i < count; ++i) received.descriptors.emplace_back(descriptors[i], sizes[i]);
    if (p->what.allow_cancel && cancel != nullptr)
      received.canceller = SendCanceller(p->plugin, reinterpret_cast<void (*)()>(cancel), cancel_user);
    p->what.callback(std::move(received));
  };
  pjrt::detail::run_guarded("a receive notifier", call);
}

void on_sent(abi::PJRT_Error* error, bool enqueued, void* user) {
  const pjrt::detail::InCallback here;
  const auto p = Pending<Sending>::take(user);
  if (p == nullptr) return;
  pjrt::detail::run_guarded(
      "a send callback", p->what.callback,
      pjrt::detail::outcome_of_lent(*p->plugin, error, fn::PJRT_Buffer_CopyToRemoteDevice::info.function), enqueued);
}

std::unexpected<Error> refuse(std::string why) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, std::move(why)));
}

/// Buffers that do not exist yet, as C wants them.
class Wanted {
 public:
  Result<void> add(pjrt::detail::ClientState& client, const ShapeSpec& spec) {
    PJRT_CHECK(pjrt::detail::check_shape(*client.plugin, spec.shape));
    if (spec.layout) PJRT_CHECK(pjrt::detail::check_layout_of_new(client, spec.shape, *spec.layout));
    specs_.push_back(&spec);
    ranks_.push_back(spec.shape.rank());
    dims_.push_back(spec.shape.dims.data());
    types_.push_back(pjrt::detail::to_c(spec.shape.type));
    owned_.push_back(spec.layout ? std::make_unique<pjrt::detail::MemoryLayoutC>(*spec.layout, spec.shape.type)
                                 : nullptr);
    layouts_.push_back(owned_.back() ? owned_.back()->get() : nullptr);
    buffers_.push_back(nullptr);
    return {};
  }
  template <class Args>
  void put(Args& args) {
    args.num_shapes = specs_.size();
    args.shape_num_dims = ranks_.data();
    args.num_dims = dims_.data();
    args.element_types = types_.data();
    args.layouts = layouts_.data();
    args.buffers = buffers_.data();
  }
  Result<std::vector<Buffer>> buffers(const Device& device) const {
    const pjrt::detail::Ref<pjrt::detail::ClientState>& client = device.client_state();
    std::vector<Buffer> all;
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      if (buffers_[i] == nullptr) continue;
      const ShapeSpec& spec = *specs_[i];
      pjrt::detail::KnownLayout layout = pjrt::detail::UnknownLayout{};
      if (spec.layout) layout = MemoryLayout(*spec.layout);
      all.push_back(pjrt::detail::make_buffer(client, buffers_[i], spec.shape, device.record(), std::move(layout)));
    }
    if (all.size() == specs_.size()) return all;
    return std::unexpected(Error(ErrorCode::Internal, "the plugin made " + std::to_string(all.size()) + " buffers of " +
                                                          std::to_string(specs_.size())));
  }

 private:
  std::vector<const ShapeSpec*> specs_;
  std::vector<std::size_t> ranks_;
  std::vector<const std::int64_t*> dims_;
  std::vector<abi::PJRT_Buffer_Type> types_;
  std::vector<std::unique_ptr<pjrt::detail::MemoryLayoutC>> owned_;
  std::vector<abi::PJRT_Buffer_MemoryLayout*> layouts_;
  std::vector<abi::PJRT_Buffer*> buffers_;
};

template <class Args>
Result<void> put_tasks(Args& args, const CrossHostTasks& tasks) {
  if (tasks.task_ids.size() != tasks.incarnation_ids.size())
    return refuse("a different number of tasks and of incarnations");
  args.num_tasks = tasks.task_ids.size();
  args.task_ids = tasks.task_ids.data();
  args.incarnation_ids = tasks.incarnation_ids.data();
  return {};
}

}  // namespace

Result<void> SendCanceller::cancel(std::string_view descriptor, const Error& reason,
                                   std::function<void(Result<void>)> on_done) const try {
  if (empty())
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "the receive was made without allow_cancel"));
  if (!on_done) return refuse("the callback is empty");
  const auto pending = Pending<Canceling>::make(*plugin_, {std::move(on_done)});
  const auto notify = reinterpret_cast<abi::PJRT_Transfers_CrossHostSendCancelNotifier>(function_);
  const std::string_view message = reason.message();
  return pjrt::detail::guarded(*plugin_, kCancel, [&]() -> Result<void> {
    notify(descriptor.data(), descriptor.size(), pjrt::detail::to_c(reason.code()), message.data(), message.size(),
           on_canceled, Pending<Canceling>::hand_over(pending), user_);
    return {};
  });
}
PJRT_CATCH

Result<void> CrossHostTransfers::check_arguments_known() const try {
  if (state()
          .extension<abi::PJRT_CrossHostTransfers_Extension>(kType)
          ->PJRT_Transfers_PJRT_Client_CrossHostSendBuffers != nullptr)
    return {};
  return std::unexpected(
      Error(ErrorCode::Unimplemented, "the CrossHostTransfers extension of plugin " + plugin().description() +
                                          " is of its first version, whose functions take other arguments"));
}
PJRT_CATCH

Result<std::vector<Event>> CrossHostTransfers::send_buffers(std::span<const CrossHostSend> sends,
                                                            const CrossHostTasks& tasks) const try {
  if (sends.empty()) return std::vector<Event>();
  std::vector<abi::PJRT_Buffer*> buffers;
  std::vector<std::int32_t> devices;
  std::vector<std::int64_t> keys;
  std::vector<abi::PJRT_Event*> events(sends.size());
  const pjrt::detail::BufferState* first = nullptr;
  for (const CrossHostSend& send : sends) {
    if (send.buffer == nullptr) return refuse("a buffer to send is null");
    PJRT_TRY(const pjrt::detail::BufferState* b, pjrt::detail::live(*send.buffer));
    if (first == nullptr) first = b;
    if (!(b->client == first->client)) return refuse("the buffers belong to different clients");
    buffers.push_back(b->raw);
    devices.push_back(send.dst_global_device_id);
    keys.push_back(send.transfer_key);
  }
  PJRT_CHECK(check_same_plugin(Plugin(first->client->plugin), "buffer"));
  abi::PJRT_Transfers_PJRT_Client_CrossHostSendBuffers_Args args{};
  args.client = first->client->raw;
  args.num_buffers = buffers.size();
  args.buffers = buffers.data();
  args.dst_global_device_ids = devices.data();
  args.transfer_keys = keys.data();
  args.send_events = events.data();
  PJRT_CHECK(put_tasks(args, tasks));
  PJRT_CHECK(call_extension<fn::PJRT_Transfers_PJRT_Client_CrossHostSendBuffers>(state(), args));
  std::vector<Event> started;
  for (abi::PJRT_Event* event : events) started.push_back(pjrt::detail::make_event(state(), first->client, event));
  return started;
}
PJRT_CATCH

Result<std::vector<Buffer>> CrossHostTransfers::receive_buffers(const Device& device,
                                                                std::span<const CrossHostReceive> receives,
                                                                const CrossHostTasks& tasks) const try {
  const Client client(device.client_state());
  PJRT_CHECK(check_same_plugin(client.plugin(), "device"));
  PJRT_TRY(const pjrt::detail::Placement place, pjrt::detail::place(client.state(), device, {}));
  if (receives.empty()) return std::vector<Buffer>();
  Wanted wanted;
  std::vector<std::int32_t> devices;
  std::vector<std::int64_t> keys;
  for (const CrossHostReceive& receive : receives) {
    PJRT_CHECK(wanted.add(*client.state(), receive.spec));
    devices.push_back(receive.src_global_device_id);
    keys.push_back(receive.transfer_key);
  }
  abi::PJRT_Transfers_PJRT_Client_CrossHostReceiveBuffers_Args args{};
  args.client = client.raw();
  args.device = place.device;
  args.src_global_device_ids = devices.data();
  args.transfer_keys = keys.data();
  wanted.put(args);
  PJRT_CHECK(put_tasks(args, tasks));
  PJRT_CHECK(call_extension<fn::PJRT_Transfers_PJRT_Client_CrossHostReceiveBuffers>(state(), args));
  return wanted.buffers(device);
}
PJRT_CATCH

Result<std::vector<Buffer>> CrossHostTransfers::make_receive_buffers(
    const Device& device, std::span<const ShapeSpec> specs, std::function<void(Result<ReceiveDescriptors>)> notifier,
    bool allow_cancel) const try {
  if (!notifier) return refuse("the notifier is empty");
  PJRT_CHECK(check_arguments_known());
  const Client client(device.client_state());
  PJRT_CHECK(check_same_plugin(client.plugin(), "device"));
  PJRT_TRY(const pjrt::detail::Placement place, pjrt::detail::place(client.state(), device, {}));
  if (specs.empty()) return refuse("there is nothing to receive");
  Wanted wanted;
  for (const ShapeSpec& spec : specs) PJRT_CHECK(wanted.add(*client.state(), spec));
  abi::PJRT_Transfers_PJRT_Client_MakeCrossHostReceiveBuffers_Args args{};
  args.client = client.raw();
  args.device = place.device;
  args.allow_cancel_notifier = allow_cancel;
  wanted.put(args);
  const auto pending = Pending<Receiving>::make(state(), {std::move(notifier), allow_cancel});
  args.notifier = {Pending<Receiving>::hand_over(pending), on_received};
  if (auto ok = call_extension<fn::PJRT_Transfers_PJRT_Client_MakeCrossHostReceiveBuffers>(state(), args); !ok) {
    pending->leave_to(client);
    return std::unexpected(std::move(ok).error());
  }
  return wanted.buffers(device);
}
PJRT_CATCH

Result<void> CrossHostTransfers::copy_to_remote_device(const Buffer& buffer, std::string descriptor,
                                                       std::function<void(Result<void>, bool)> on_done) const try {
  if (!on_done) return refuse("the callback is empty");
  PJRT_CHECK(check_arguments_known());
  PJRT_TRY(const pjrt::detail::BufferState* b, pjrt::detail::live(buffer));
  PJRT_CHECK(check_same_plugin(Plugin(b->client->plugin), "buffer"));
  const auto pending = Pending<Sending>::make(state(), {std::move(on_done), std::move(descriptor)});
  abi::PJRT_Transfers_PJRT_Buffer_CopyToRemoteDevice_Args args{};
  args.buffer = b->raw;
  // Without an event the descriptor is taken to be there. Plugins that do not know the destructor yet delete these two
  // themselves.
  auto data = std::make_unique<char*>(pending->what.descriptor.data());
  auto size = std::make_unique<std::size_t>(pending->what.descriptor.size());
  args.serialized_descriptor = data.get();
  args.serialized_descriptor_size = size.get();
  args.descriptor_destructor = [](char** d, std::size_t* s) {
    delete d;
    delete s;
  };
  args.on_done = {Pending<Sending>::hand_over(pending), on_sent};
  auto started = call_extension<fn::PJRT_Buffer_CopyToRemoteDevice>(state(), args);
  if (started) {
    (void)data.release();
    (void)size.release();
  } else {
    pending->leave_to(buffer.client());
  }
  return started;
}
PJRT_CATCH

}  // namespace pjrt::ext
