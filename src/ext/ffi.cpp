#include "pjrt/ext/ffi.hpp"

#include "core/call.hpp"
#include "core/keep_for_ever.hpp"
#include "core/try.hpp"
#include "pjrt/abi/xla_ffi.h"

namespace pjrt::ext {

namespace fn = abi::fn;

Result<std::int64_t> Ffi::register_type(std::string_view name, void (*deleter)(void*)) const try {
  // The plugin keeps the address; a type is registered once in a process.
  auto info = std::make_unique<abi::PJRT_FFI_Type_Info>();
  info->deleter = deleter;
  abi::PJRT_FFI_Type_Register_Args args{};
  args.type_name = name.data();
  args.type_name_size = name.size();
  args.type_info = info.get();
  PJRT_CHECK(pjrt::detail::call_extension<fn::PJRT_FFI_Type_Register>(state(), args));
  pjrt::detail::keep_for_ever(std::move(info));
  return args.type_id;
}
PJRT_CATCH

Result<void> Ffi::add_user_data(const ExecuteContext& context, std::int64_t type, void* object,
                                std::shared_ptr<void> owner) const try {
  PJRT_CHECK(check_same_plugin(context.plugin(), "execute context"));
  if (object == nullptr) return std::unexpected(Error(ErrorCode::InvalidArgument, "the user data is null"));
  abi::PJRT_FFI_UserData_Add_Args args{};
  args.context = context.raw();
  args.user_data.type_id = type;
  args.user_data.data = object;
  PJRT_CHECK(pjrt::detail::call_extension<fn::PJRT_FFI_UserData_Add>(state(), args));
  context.attach(std::move(owner));
  return {};
}
PJRT_CATCH

Result<void> Ffi::register_handler(std::string_view target, std::string_view platform, FfiHandler handler,
                                   FfiHandlerTraits traits) const try {
  if (handler == nullptr)
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the handler of '" + std::string(target) + "' is null"));
  if (target.empty() || platform.empty())
    return std::unexpected(Error(ErrorCode::InvalidArgument, "a handler has a target name and a platform"));
  abi::PJRT_FFI_Register_Handler_Args args{};
  args.target_name = target.data();
  args.target_name_size = target.size();
  args.handler = reinterpret_cast<void*>(handler);
  args.platform_name = platform.data();
  args.platform_name_size = platform.size();
  args.traits = static_cast<abi::PJRT_FFI_Handler_TraitsBits>(
      traits.command_buffer_compatible ? abi::PJRT_FFI_HANDLER_TRAITS_COMMAND_BUFFER_COMPATIBLE : 0);
  return pjrt::detail::call_extension<fn::PJRT_FFI_Register_Handler>(state(), args);
}
PJRT_CATCH

}  // namespace pjrt::ext
