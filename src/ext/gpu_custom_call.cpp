#include "pjrt/ext/gpu_custom_call.hpp"

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "core/call.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

namespace {

/// The untyped names taken in this process, by plugin.
struct Names {
  std::mutex mutex;
  std::map<std::pair<const void*, std::string>, GpuCustomCall::UntypedFunction> taken;
};

Names& names() {
  static auto* const all = new Names;
  return *all;
}

abi::PJRT_Gpu_Register_Custom_Call_Args named(std::string_view name, int api_version) {
  abi::PJRT_Gpu_Register_Custom_Call_Args args{};
  args.function_name = name.data();
  args.function_name_size = name.size();
  args.api_version = api_version;
  return args;
}

}  // namespace

Result<void> GpuCustomCall::register_untyped(std::string_view name, UntypedFunction function) const try {
  if (name.empty() || function == nullptr)
    return std::unexpected(Error(ErrorCode::InvalidArgument, "a custom call has a name and a function"));
  Names& all = names();
  const std::lock_guard lock(all.mutex);
  const auto key = std::pair<const void*, std::string>(&state(), name);
  if (const auto it = all.taken.find(key); it != all.taken.end()) {
    if (it->second == function) return {};
    return std::unexpected(
        Error(ErrorCode::AlreadyExists, "the custom call '" + key.second + "' stands for another function already"));
  }
  abi::PJRT_Gpu_Register_Custom_Call_Args args = named(name, 0);
  args.handler_execute = reinterpret_cast<void*>(function);
  PJRT_CHECK(pjrt::detail::call_extension<fn::PJRT_Gpu_Register_Custom_Call>(state(), args));
  all.taken.emplace(key, function);
  return {};
}
PJRT_CATCH

Result<void> GpuCustomCall::register_typed(std::string_view name, const Handlers& handlers) const try {
  if (name.empty() || handlers.execute == nullptr)
    return std::unexpected(Error(ErrorCode::InvalidArgument, "a typed custom call has a name and an execute handler"));
  abi::PJRT_Gpu_Register_Custom_Call_Args args = named(name, 1);
  args.handler_instantiate = reinterpret_cast<void*>(handlers.instantiate);
  args.handler_prepare = reinterpret_cast<void*>(handlers.prepare);
  args.handler_initialize = reinterpret_cast<void*>(handlers.initialize);
  args.handler_execute = reinterpret_cast<void*>(handlers.execute);
  return pjrt::detail::call_extension<fn::PJRT_Gpu_Register_Custom_Call>(state(), args);
}
PJRT_CATCH

}  // namespace pjrt::ext
