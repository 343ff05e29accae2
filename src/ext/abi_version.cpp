#include "pjrt/ext/abi_version.hpp"

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/handle_errors.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;
using pjrt::detail::call_extension;

namespace {

std::unexpected<Error> moved_from() {
  return std::unexpected(pjrt::detail::moved_from("ABI version"));
}

template <class Args>
std::string take_proto(const pjrt::detail::PluginState& plugin, const Args& args) {
  return std::string(pjrt::detail::own_bytes(plugin, args.serialized_proto, args.serialized_proto_size,
                                             args.serialized_proto_holder, args.serialized_proto_deleter)
                         .text());
}

}  // namespace

ExecutableAbiVersion::~ExecutableAbiVersion() {
  if (raw_ != nullptr) call_extension_quietly<fn::PJRT_ExecutableAbiVersion_Destroy>(*plugin_, {.abi_version = raw_});
}

Result<std::string> ExecutableAbiVersion::to_proto() const try {
  if (raw_ == nullptr) return moved_from();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_ExecutableAbiVersion_ToProto>(*plugin_, {.abi_version = raw_}));
  return take_proto(*plugin_, args);
}
PJRT_CATCH

Result<std::uint64_t> ExecutableAbiVersion::platform_id() const try {
  if (raw_ == nullptr) return moved_from();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_ExecutableAbiVersion_PlatformId>(*plugin_, {.abi_version = raw_}));
  return args.platform_id;
}
PJRT_CATCH

RuntimeAbiVersion::~RuntimeAbiVersion() {
  if (raw_ != nullptr) call_extension_quietly<fn::PJRT_RuntimeAbiVersion_Destroy>(*plugin_, {.abi_version = raw_});
}

Result<void> RuntimeAbiVersion::check_compatible(const RuntimeAbiVersion& other) const try {
  if (raw_ == nullptr || other.raw_ == nullptr) return moved_from();
  if (other.plugin_ != plugin_)
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the two ABI versions are of different plugins"));
  abi::PJRT_RuntimeAbiVersion_IsCompatibleWithRuntime_Args args{};
  args.abi_version = raw_;
  args.other_abi_version = other.raw_;
  return call_extension<fn::PJRT_RuntimeAbiVersion_IsCompatibleWithRuntime>(*plugin_, args);
}
PJRT_CATCH

Result<void> RuntimeAbiVersion::check_compatible(const ExecutableAbiVersion& executable) const try {
  if (raw_ == nullptr || executable.raw() == nullptr) return moved_from();
  if (!(executable.plugin() == Plugin(plugin_)))
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the two ABI versions are of different plugins"));
  abi::PJRT_RuntimeAbiVersion_IsCompatibleWithExecutable_Args args{};
  args.abi_version = raw_;
  args.executable_abi_version = executable.raw();
  return call_extension<fn::PJRT_RuntimeAbiVersion_IsCompatibleWithExecutable>(*plugin_, args);
}
PJRT_CATCH

Result<std::string> RuntimeAbiVersion::to_proto() const try {
  if (raw_ == nullptr) return moved_from();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_RuntimeAbiVersion_ToProto>(*plugin_, {.abi_version = raw_}));
  return take_proto(*plugin_, args);
}
PJRT_CATCH

Result<std::uint64_t> RuntimeAbiVersion::platform_id() const try {
  if (raw_ == nullptr) return moved_from();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_RuntimeAbiVersion_PlatformId>(*plugin_, {.abi_version = raw_}));
  return args.platform_id;
}
PJRT_CATCH

Result<RuntimeAbiVersion> AbiVersion::runtime_version(const Client& client) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  PJRT_TRY(const auto args, call_extension<fn::PJRT_Client_RuntimeAbiVersion>(state(), {.client = client.raw()}));
  return RuntimeAbiVersion(&state(), args.abi_version);
}
PJRT_CATCH

Result<ExecutableAbiVersion> AbiVersion::executable_version(const Executable& executable) const try {
  PJRT_CHECK(check_same_plugin(executable.plugin(), "executable"));
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_Executable_GetAbiVersion>(state(), {.executable = executable.raw()}));
  return ExecutableAbiVersion(&state(), args.abi_version);
}
PJRT_CATCH

Result<RuntimeAbiVersion> AbiVersion::runtime_version_from_proto(std::string_view proto) const try {
  PJRT_TRY(const auto args, call_extension<fn::PJRT_RuntimeAbiVersion_FromProto>(
                                state(), {.serialized_proto = proto.data(), .serialized_proto_size = proto.size()}));
  return RuntimeAbiVersion(&state(), args.abi_version);
}
PJRT_CATCH

Result<ExecutableAbiVersion> AbiVersion::executable_version_from_proto(std::string_view proto) const try {
  PJRT_TRY(const auto args, call_extension<fn::PJRT_ExecutableAbiVersion_FromProto>(
                                state(), {.serialized_proto = proto.data(), .serialized_proto_size = proto.size()}));
  return ExecutableAbiVersion(&state(), args.abi_version);
}
PJRT_CATCH

}  // namespace pjrt::ext
