#include "pjrt/ext/profiler.hpp"

#include <cstring>
#include <string>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/try.hpp"
#include "pjrt/abi/profiler.h"
#include "proto/parse.hpp"

namespace pjrt::ext {

using pjrt::detail::PluginState;

namespace {

/// A slot of the interface behind the extension, if it lies inside the table.
template <class Slot>
Slot* slot(const abi::PLUGIN_Profiler_Api* api, Slot* abi::PLUGIN_Profiler_Api::* member, std::size_t offset) {
  return api != nullptr && offset + sizeof(void*) <= api->struct_size ? api->*member : nullptr;
}

/// The choke point of this interface, which has errors and a table of its own.
Error take_error(const abi::PLUGIN_Profiler_Api* api, abi::PLUGIN_Profiler_Error* error, std::string_view function) {
  abi::PLUGIN_Profiler_Error_Message_Args text{};
  text.struct_size = abi::struct_size<abi::PLUGIN_Profiler_Error_Message_Args>;
  text.error = error;
  abi::PLUGIN_Profiler_Error_GetCode_Args code{};
  code.struct_size = abi::struct_size<abi::PLUGIN_Profiler_Error_GetCode_Args>;
  code.error = error;
  code.code = static_cast<int>(ErrorCode::Unknown);
  if (api->error_message != nullptr) api->error_message(&text);
  if (api->error_get_code != nullptr) (void)api->error_get_code(&code);
  Error result(static_cast<ErrorCode>(code.code), std::string(pjrt::detail::text(text.message, text.message_size)));
  abi::PLUGIN_Profiler_Error_Destroy_Args destroy{};
  destroy.struct_size = abi::struct_size<abi::PLUGIN_Profiler_Error_Destroy_Args>;
  destroy.error = error;
  if (api->error_destroy != nullptr) api->error_destroy(&destroy);
  return std::move(result).with_function(function);
}

template <class Args>
Result<Args> call(const PluginState& plugin, const abi::PLUGIN_Profiler_Api* api,
                  abi::PLUGIN_Profiler_Error* (*abi::PLUGIN_Profiler_Api::*member)(Args*), std::size_t offset,
                  const char* function, Args args) {
  auto* f = api != nullptr && offset + sizeof(void*) <= api->struct_size ? api->*member : nullptr;
  if (f == nullptr) {
    return std::unexpected(
        Error(ErrorCode::Unimplemented,
              std::string(function) + " is not offered by the profiler of plugin " + Plugin(&plugin).description())
            .with_function(function));
  }
  args.struct_size = abi::struct_size<Args>;
  const pjrt::detail::CallScope scope(function, plugin.path.c_str());
  PJRT_CHECK(pjrt::detail::guarded(plugin, function, [&]() -> Result<void> {
    if (abi::PLUGIN_Profiler_Error* error = f(&args); error != nullptr)
      return std::unexpected(take_error(api, error, function));
    return {};
  }));
  return args;
}

#define PROFILER_CALL(plugin, api, member, ...)                                                    \
  call(plugin, api, &abi::PLUGIN_Profiler_Api::member, offsetof(abi::PLUGIN_Profiler_Api, member), \
       "PLUGIN_Profiler_" #member, __VA_ARGS__)

std::vector<std::byte> copy(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  return data == nullptr ? std::vector<std::byte>() : std::vector<std::byte>(bytes, bytes + size);
}

/// Plugins count a NUL behind the message. A message that ends there is whole without it.
std::vector<std::byte> without_terminator(std::vector<std::byte> bytes) {
  if (bytes.empty() || bytes.back() != std::byte{0}) return bytes;
  const Result<bool> whole = proto::guarded("XSpace", [&] {
    protozero::pbf_reader reader(reinterpret_cast<const char*>(bytes.data()), bytes.size() - 1);
    while (reader.next()) reader.skip();
    return true;
  });
  if (whole) bytes.pop_back();
  return bytes;
}

}  // namespace

const abi::PLUGIN_Profiler_Api* Profiler::api() const noexcept {
  return state().extension<abi::PJRT_Profiler_Extension>(kType)->profiler_api;
}

std::int64_t Profiler::traceme_context_id() const noexcept {
  return state().extension<abi::PJRT_Profiler_Extension>(kType)->traceme_context_id;
}

Result<ProfileSession> Profiler::start(std::string_view options) const try {
  abi::PLUGIN_Profiler_Create_Args create{};
  create.options = options.data();
  create.options_size = options.size();
  PJRT_TRY(const auto created, PROFILER_CALL(state(), api(), create, create));
  abi::PLUGIN_Profiler_Start_Args start{};
  start.profiler = created.profiler;
  const auto started = PROFILER_CALL(state(), api(), start, start);
  if (!started) {  // nothing to stop
    abi::PLUGIN_Profiler_Destroy_Args destroy{};
    destroy.profiler = created.profiler;
    (void)PROFILER_CALL(state(), api(), destroy, destroy);
    return std::unexpected(started.error());
  }
  return ProfileSession(&state(), api(), created.profiler);
}
PJRT_CATCH

ProfileSession::ProfileSession(ProfileSession&& other) noexcept
    : plugin_(other.plugin_), api_(other.api_), raw_(std::exchange(other.raw_, nullptr)), running_(other.running_) {}

ProfileSession& ProfileSession::operator=(ProfileSession&& other) noexcept {
  ProfileSession taken(std::move(other));  // what this one had goes now
  std::swap(plugin_, taken.plugin_);
  std::swap(api_, taken.api_);
  std::swap(raw_, taken.raw_);
  std::swap(running_, taken.running_);
  return *this;
}

ProfileSession::~ProfileSession() {
  if (raw_ == nullptr) return;
  if (running_) (void)stop();
  abi::PLUGIN_Profiler_Destroy_Args destroy{};
  destroy.profiler = raw_;
  (void)PROFILER_CALL(*plugin_, api_, destroy, destroy);
}

Result<void> ProfileSession::stop() try {
  if (raw_ == nullptr || !running_)
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "the profile has been stopped already"));
  running_ = false;
  abi::PLUGIN_Profiler_Stop_Args stop{};
  stop.profiler = raw_;
  PJRT_CHECK(PROFILER_CALL(*plugin_, api_, stop, stop));
  return {};
}
PJRT_CATCH

Result<std::vector<std::byte>> ProfileSession::collect() const try {
  if (raw_ == nullptr || running_)
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "a profile is collected after it was stopped"));
  abi::PLUGIN_Profiler_CollectData_Args ask{};
  ask.profiler = raw_;
  PJRT_TRY(const auto first, PROFILER_CALL(*plugin_, api_, collect_data, ask));
  if (first.buffer != nullptr)
    return without_terminator(copy(first.buffer, first.buffer_size_in_bytes));  // memory of the plugin's
  std::vector<std::byte> bytes(first.buffer_size_in_bytes);
  abi::PLUGIN_Profiler_CollectData_Args fill{};
  fill.profiler = raw_;
  fill.buffer = reinterpret_cast<std::uint8_t*>(bytes.data());
  fill.buffer_size_in_bytes = bytes.size();
  PJRT_TRY(const auto filled, PROFILER_CALL(*plugin_, api_, collect_data, fill));
  (void)filled;
  return without_terminator(std::move(bytes));
}
PJRT_CATCH

Result<std::vector<std::byte>> ProfileSession::consume() const try {
  if (raw_ == nullptr || running_)
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "a profile is collected after it was stopped"));
  abi::PLUGIN_Profiler_Consume_Args consume{};
  consume.profiler = raw_;
  PJRT_TRY(const auto consumed, PROFILER_CALL(*plugin_, api_, consume, consume));
  abi::PLUGIN_Profiler_Serialize_Args serialize{};
  serialize.profiler = raw_;
  serialize.consume_result = consumed.result;
  const auto serialized = PROFILER_CALL(*plugin_, api_, serialize, serialize);
  Result<std::vector<std::byte>> bytes = std::vector<std::byte>();
  if (serialized) {
    bytes = copy(serialized->serialized_bytes, serialized->serialized_size);
  } else {
    bytes = std::unexpected(serialized.error());
  }
  if (auto* destroy = slot(api_, &abi::PLUGIN_Profiler_Api::consume_result_destroy,
                           offsetof(abi::PLUGIN_Profiler_Api, consume_result_destroy))) {
    abi::PLUGIN_Profiler_ConsumeResult_Destroy_Args args{};
    args.struct_size = abi::struct_size<abi::PLUGIN_Profiler_ConsumeResult_Destroy_Args>;
    args.consume_result = consumed.result;
    destroy(&args);
  }
  return bytes;
}
PJRT_CATCH

Result<Profile> ProfileSession::finish() try {
  if (running_) PJRT_CHECK(stop());
  PJRT_TRY(const std::vector<std::byte> bytes, collect());
  return Profile::parse(bytes);
}
PJRT_CATCH

}  // namespace pjrt::ext
