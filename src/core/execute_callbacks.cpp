#include "core/execute_callbacks.hpp"

#include <exception>
#include <string>
#include <utility>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/try.hpp"

namespace pjrt {
namespace detail {
namespace {

struct SendTarget {
  const PluginState* plugin;
  std::function<Result<void>(Chunk, std::size_t, bool)> callback;
};

struct RecvTarget {
  const PluginState* plugin;
  std::function<void(CopyToDeviceStream)> callback;
};

struct OutputTarget {
  std::function<void(std::int64_t, std::int64_t, const HostView&, std::int64_t)> callback;
};

/// The plugin hands the chunk over; whoever holds the last copy gives it back.
Chunk adopt(const PluginState& plugin, const abi::PJRT_Chunk& c) {
  std::shared_ptr<const void> owner(c.data, [&plugin, deleter = c.deleter, arg = c.deleter_arg](void* data) {
    if (deleter != nullptr && plugin.gone.load(std::memory_order_relaxed) == Gone::No) deleter(data, arg);
  });
  return {std::move(owner), std::span(static_cast<const std::byte*>(c.data), c.size)};
}

Result<void> run_send(const SendTarget& target, Chunk chunk, std::size_t total, bool done) {
#if defined(__cpp_exceptions)
  try {
    return target.callback(std::move(chunk), total, done);
  } catch (const std::exception& e) {
    return std::unexpected(Error(ErrorCode::Internal, std::string("the send callback threw: ") + e.what()));
  } catch (...) {
    return std::unexpected(
        Error(ErrorCode::Internal, "the send callback threw something that is not a std::exception"));
  }
#else
  return target.callback(std::move(chunk), total, done);
#endif
}

abi::PJRT_Error* on_send(abi::PJRT_Chunk* chunk, abi::PJRT_CallbackError* make_error, size_t total, bool done,
                         void* user) {
  const InCallback here;
  const auto& target = *static_cast<SendTarget*>(user);
  const Result<void> outcome = run_send(target, adopt(*target.plugin, *chunk), total, done);
  if (outcome) return nullptr;
  const std::string message(outcome.error().message());
  return (*make_error)(to_c(outcome.error().code()), message.data(), message.size());
}

void on_recv(abi::PJRT_CopyToDeviceStream* stream, void* user) {
  const InCallback here;
  const auto& target = *static_cast<RecvTarget*>(user);
  auto call = [&] { target.callback(CopyToDeviceStream(target.plugin, stream)); };
  run_guarded("a receive callback", call);
}

void on_output(int64_t replica, int64_t partition, const void* data, const int64_t* dims, size_t num_dims,
               abi::PJRT_Buffer_Type type, int64_t operand, void* user) {
  const InCallback here;
  const auto& target = *static_cast<OutputTarget*>(user);
  auto call = [&] {
    target.callback(replica, partition, HostView(data, Shape{from_c(type), Dimensions(std::span(dims, num_dims))}),
                    operand);
  };
  run_guarded("an output callback", call);
}

std::unexpected<Error> bad_callbacks(std::string what) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, "execute options: " + std::move(what)));
}

}  // namespace

struct CExecuteOptions::Held {
  std::vector<std::unique_ptr<SendTarget>> sends;
  std::vector<std::unique_ptr<RecvTarget>> recvs;
  std::vector<std::unique_ptr<OutputTarget>> outputs;
  std::vector<std::vector<abi::PJRT_SendCallbackInfo>> send_infos;
  std::vector<std::vector<abi::PJRT_RecvCallbackInfo>> recv_infos;
  std::vector<abi::PJRT_SendCallbackInfo*> send_lists;
  std::vector<abi::PJRT_RecvCallbackInfo*> recv_lists;
  std::vector<abi::PJRT_HloOutputCallbackInfo> output_infos;
  std::shared_ptr<void> context;
};

CExecuteOptions::CExecuteOptions(const PluginState& plugin, const ExecuteOptions& options,
                                 std::span<const std::int64_t> kept)
    : plugin_(plugin), options_(options) {
  c_.struct_size = abi::struct_size<abi::PJRT_ExecuteOptions>;
  c_.launch_id = options.launch_id;
  keep_inputs(kept);
}

Result<void> CExecuteOptions::prepare(std::size_t num_devices) {
  const ExecuteOptions& o = options_;
  if (!o.call_location.empty()) c_.call_location = o.call_location.c_str();
  if (o.task_ids.size() != o.incarnation_ids.size())
    return bad_callbacks("a different number of tasks and of incarnations");
  c_.num_tasks = o.task_ids.size();
  if (c_.num_tasks > 0) {
    c_.task_ids = const_cast<int*>(o.task_ids.data());
    c_.incarnation_ids = const_cast<std::int64_t*>(o.incarnation_ids.data());
  }
  c_.multi_slice_config = o.multi_slice_config;
  c_.use_major_to_minor_data_layout_for_callbacks = o.use_major_to_minor_data_layout_for_callbacks;

  if (o.context || !o.send_callbacks.empty() || !o.recv_callbacks.empty() || !o.hlo_output_callbacks.empty())
    held_ = std::make_shared<Held>();
  if (o.context) {
    if (!(o.context->plugin() == Plugin(&plugin_)))
      return bad_callbacks("the execute context belongs to another plugin");
    c_.context = o.context->raw();
    held_->context = o.context->owner();
  }
  if (!o.send_callbacks.empty()) {
    if (o.send_callbacks.size() != num_devices)
      return bad_callbacks("send callbacks for " + std::to_string(o.send_callbacks.size()) + " of " +
                           std::to_string(num_devices) + " devices");
    for (const std::vector<SendCallback>& device : o.send_callbacks) {
      if (device.size() != o.send_callbacks.front().size())
        return bad_callbacks("the devices have different numbers of send callbacks");
      std::vector<abi::PJRT_SendCallbackInfo>& infos = held_->send_infos.emplace_back();
      for (const SendCallback& s : device) {
        if (!s.callback) return bad_callbacks("a send callback is empty");
        SendTarget& target = *held_->sends.emplace_back(std::make_unique<SendTarget>(&plugin_, s.callback));
        infos.push_back({s.channel_id, &target, on_send});
      }
      held_->send_lists.push_back(infos.data());
    }
    c_.num_send_ops = o.send_callbacks.front().size();
    c_.send_callbacks = held_->send_lists.data();
  }
  if (!o.recv_callbacks.empty()) {
    if (o.recv_callbacks.size() != num_devices)
      return bad_callbacks("receive callbacks for " + std::to_string(o.recv_callbacks.size()) + " of " +
                           std::to_string(num_devices) + " devices");
    for (const std::vector<RecvCallback>& device : o.recv_callbacks) {
      if (device.size() != o.recv_callbacks.front().size())
        return bad_callbacks("the devices have different numbers of receive callbacks");
      std::vector<abi::PJRT_RecvCallbackInfo>& infos = held_->recv_infos.emplace_back();
      for (const RecvCallback& r : device) {
        if (!r.callback) return bad_callbacks("a receive callback is empty");
        RecvTarget& target = *held_->recvs.emplace_back(std::make_unique<RecvTarget>(&plugin_, r.callback));
        infos.push_back({r.channel_id, &target, on_recv});
      }
      held_->recv_lists.push_back(infos.data());
    }
    c_.num_recv_ops = o.recv_callbacks.front().size();
    c_.recv_callbacks = held_->recv_lists.data();
  }
  for (const HloOutputCallback& callback : o.hlo_output_callbacks) {
    if (!callback.callback) return bad_callbacks("an output callback is empty");
    OutputTarget& target = *held_->outputs.emplace_back(std::make_unique<OutputTarget>(callback.callback));
    held_->output_infos.push_back({&target, on_output, callback.callback_id, callback.num_operands});
  }
  if (!o.hlo_output_callbacks.empty()) {
    c_.hlo_output_callbacks = held_->output_infos.data();
    c_.num_hlo_output_callbacks = held_->output_infos.size();
  }
  return check_newer_fields(plugin_, c_, "PJRT_LoadedExecutable_Execute");
}

void CExecuteOptions::keep_until(const Event& event) {
  if (held_ != nullptr) hold_until_ready(event, held_);
}

}  // namespace detail

}  // namespace pjrt
