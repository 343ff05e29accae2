#include "pjrt/ext/callbacks.hpp"

#include <memory>
#include <string>

#include "core/call.hpp"
#include "core/client_state.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

namespace {

void call_slice_failure(void* args, void* user) {
  const pjrt::detail::InCallback here;
  auto& callback = *static_cast<std::function<void(SliceFailure)>*>(user);
  const auto* failure = static_cast<const abi::PJRT_Callback_Tpu_SliceBuilderArgs*>(args);
  pjrt::detail::run_guarded("a slice-failure callback", callback, static_cast<SliceFailure>(failure->failure_type));
}

void call_prefatal(void* args, void* user) {
  const pjrt::detail::InCallback here;
  auto& callback = *static_cast<std::function<void(const Error&)>*>(user);
  const auto* p = static_cast<const abi::PJRT_Callback_PrefatalArgs*>(args);
  const Error error(static_cast<ErrorCode>(p->error_code),
                    std::string(pjrt::detail::text(p->error_message, p->error_message_size)));
  pjrt::detail::run_guarded("a prefatal callback", callback, error);
}

/// Registers with state that the client keeps until it is destroyed.
template <class F>
Result<void> enroll(const pjrt::detail::PluginState& plugin, const Client& client, abi::PJRT_Callback_Type type,
                    abi::PJRT_Callback_Function* function, F callback) {
  if (!callback) return std::unexpected(Error(ErrorCode::InvalidArgument, "the callback is empty"));
  auto owned = std::make_shared<F>(std::move(callback));
  abi::PJRT_Callback_RegisterCallback_Args args{};
  args.client = client.raw();
  args.type = type;
  args.callback = function;
  args.user_arg = owned.get();
  client.state()->attach(owned);
  return pjrt::detail::call_extension<fn::PJRT_Register_Callback>(plugin, args);
}

Result<void> invoke(const pjrt::detail::PluginState& plugin, const Client& client, abi::PJRT_Callback_Type type,
                    void* what) {
  abi::PJRT_Callback_InvokeCallback_Args args{};
  args.client = client.raw();
  args.type = type;
  args.args = what;
  return pjrt::detail::call_extension<fn::PJRT_Callback_InvokeCallback>(plugin, args);
}

}  // namespace

Result<void> Callbacks::on_slice_failure(const Client& client, std::function<void(SliceFailure)> callback) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  return enroll(state(), client, abi::PJRT_Callback_Type_Tpu_SliceBuilder, call_slice_failure, std::move(callback));
}
PJRT_CATCH

Result<void> Callbacks::on_prefatal(const Client& client, std::function<void(const Error&)> callback) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  return enroll(state(), client, abi::PJRT_Callback_Type_Prefatal, call_prefatal, std::move(callback));
}
PJRT_CATCH

Result<void> Callbacks::invoke_slice_failure(const Client& client, SliceFailure failure) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  abi::PJRT_Callback_Tpu_SliceBuilderArgs args{};
  args.struct_size = abi::struct_size<abi::PJRT_Callback_Tpu_SliceBuilderArgs>;
  args.failure_type = static_cast<abi::PJRT_Callback_Tpu_SliceFailureType>(failure);
  return invoke(state(), client, abi::PJRT_Callback_Type_Tpu_SliceBuilder, &args);
}
PJRT_CATCH

Result<void> Callbacks::invoke_prefatal(const Client& client, const Error& error) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  const std::string message(error.message());
  abi::PJRT_Callback_PrefatalArgs args{};
  args.struct_size = abi::struct_size<abi::PJRT_Callback_PrefatalArgs>;
  args.error_code = pjrt::detail::to_c(error.code());
  args.error_message = message.data();
  args.error_message_size = message.size();
  return invoke(state(), client, abi::PJRT_Callback_Type_Prefatal, &args);
}
PJRT_CATCH

}  // namespace pjrt::ext
