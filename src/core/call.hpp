#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/plugin_state.hpp"
#include "core/timeline.hpp"
#include "pjrt/abi/functions.hpp"
#include "pjrt/error.hpp"

/// The choke point: every call of a C function of the plugin goes through `call` (core) or `call_extension`.

namespace pjrt::detail {

/// Turns a plugin's error into ours and frees it.
Error take_error(const PluginState& plugin, abi::PJRT_Error* error, std::string_view function);

/// "PJRT_Buffer_Bitcast needs PJRT API 0.98; plugin cpu (…) has 0.81".
Error absent_function(const PluginState& plugin, const abi::CoreFunction& function);
Error absent_function(const PluginState& plugin, int extension, const abi::ExtensionEntry& entry);

/// "the client is empty: it was moved from": the handle that a function should work on is null.
Error empty_subject(const abi::Subject& subject, std::string_view function);

/// FailedPrecondition: the plugin belongs to the parent process, or the process is ending.
Error plugin_is_gone(const PluginState& plugin, std::string_view function);

/// Whether a function makes a plugin start threads or take locks that do not survive a fork.
template <class F>
inline constexpr bool kStartsPlugin = false;
template <>
inline constexpr bool kStartsPlugin<abi::fn::PJRT_Client_Create> = true;
template <>
inline constexpr bool kStartsPlugin<abi::fn::PJRT_Compile> = true;
template <>
inline constexpr bool kStartsPlugin<abi::fn::PJRT_TopologyDescription_Create> = true;
template <>
inline constexpr bool kStartsPlugin<abi::fn::PJRT_TopologyDescription_Deserialize> = true;
template <>
inline constexpr bool kStartsPlugin<abi::fn::PJRT_Event_Create> = true;
template <>
inline constexpr bool kStartsPlugin<abi::fn::PJRT_ExecuteContext_Create> = true;

/// What is checked before every call: the function is there, the plugin can be used in this process, and the
/// handle that the function works on is not empty.
template <class F, class Function, class MakeAbsent>
Result<void> check_call(const PluginState& plugin, const typename F::Args& args, Function function,
                        std::string_view name, MakeAbsent&& absent) {
  if (function == nullptr) [[unlikely]]
    return std::unexpected(absent());
  if (plugin.gone.load(std::memory_order_relaxed) != Gone::No) [[unlikely]]
    return std::unexpected(plugin_is_gone(plugin, name));
  constexpr abi::Subject subject = abi::subject_of<typename F::Args>;
  if constexpr (subject.offset >= 0) {
    const void* handle = nullptr;
    std::memcpy(&handle, reinterpret_cast<const std::byte*>(&args) + subject.offset, sizeof handle);
    if (handle == nullptr) [[unlikely]]
      return std::unexpected(empty_subject(subject, name));
  }
  if constexpr (kStartsPlugin<F>) plugin.started.store(true, std::memory_order_relaxed);
  return {};
}

/// Refuses a field that the caller set and the plugin is too old to read.
Result<void> refuse_newer_fields(const PluginState& plugin, const void* args, std::span<const abi::NewerField> fields,
                                 std::string_view function);

/// As above for a nested struct that is not itself a function's arguments.
template <class Struct>
Result<void> check_newer_fields(const PluginState& plugin, const Struct& s, std::string_view function) {
  constexpr auto& fields = abi::newer_fields<Struct>;
  if (plugin.version.minor >= abi::kNewestField<Struct>) return {};
  return refuse_newer_fields(plugin, &s, fields, function);
}

/// What came out of a plugin's function as a C++ exception: to be called in a catch block.
Error thrown_by_plugin(const PluginState& plugin, std::string_view function) noexcept;

/// Runs a plugin's function. Some let exceptions out that belong inside (CPU 0.81 does for f4e2m1fn in a compilation);
/// the process need not end for that.
template <class Call>
Result<void> guarded(const PluginState& plugin, std::string_view function, Call&& run) {
#if defined(__cpp_exceptions)
  try {
    return run();
  } catch (...) {
    return std::unexpected(thrown_by_plugin(plugin, function));
  }
#else
  return run();
#endif
}

/// Calls `F` with `args`: fills in struct_size, checks that the plugin has the function and reads every field that is
/// set, and turns the error into a value.
template <class F>
Result<void> call(const PluginState& plugin, typename F::Args& args) {
  using Args = typename F::Args;
  static_assert(abi::struct_size<Args> != 0);
  args.struct_size = abi::struct_size<Args>;
  const auto function = plugin.api.*F::slot;
  if (auto ok = check_call<F>(plugin, args, function, F::info.name, [&] { return absent_function(plugin, F::info); });
      !ok) [[unlikely]]
    return ok;
  if constexpr (abi::kNewestField<Args> > 0) {
    if (plugin.version.minor < abi::kNewestField<Args>) [[unlikely]] {
      if (auto ok = refuse_newer_fields(plugin, &args, abi::newer_fields<Args>, F::info.name); !ok) return ok;
    }
  }
  const CallScope scope(F::info.name, plugin.path.c_str());
  return guarded(plugin, F::info.name, [&]() -> Result<void> {
    if constexpr (F::fallible) {
      if (abi::PJRT_Error* error = function(&args); error != nullptr) [[unlikely]] {
        return std::unexpected(take_error(plugin, error, F::info.name));
      }
    } else {
      function(&args);
    }
    return {};
  });
}

/// The same for arguments written at the call: `call<fn::PJRT_Client_PlatformName>(plugin, {.client = c})` gives them
/// back with what the plugin wrote.
template <class F>
Result<typename F::Args> call(const PluginState& plugin, typename F::Args&& args) {
  if (auto ok = call<F>(plugin, args); !ok) return std::unexpected(std::move(ok).error());
  return args;
}

/// Zeros behind an extension function's arguments: newer plugins may read more than we know of.
template <class Args>
struct Padded {
  Args args{};
  std::byte zeros[64] = {};
};

/// The size that a refusal of arguments asks for, "Unexpected X size: expected N, got M"; 0 if it is none or asks for
/// less.
std::size_t wanted_size(const Error& error, std::size_t sent);

/// As `call`, for a function of an extension. Arguments of extensions grow between versions without notice: they are
/// handed over with zeros behind them, and a refusal that names a larger size is answered once with that size.
template <class F>
Result<void> call_extension(const PluginState& plugin, typename F::Args& args) {
  using Args = typename F::Args;
  using Extension = typename F::Extension;
  const auto* extension = plugin.extension<Extension>(abi::extension_type_of<Extension>);
  const auto function = extension != nullptr ? extension->*F::slot : nullptr;
  const auto absent = [&] { return absent_function(plugin, abi::extension_type_of<Extension>, F::info); };
  if (auto ok = check_call<F>(plugin, args, function, F::info.function, absent); !ok) [[unlikely]]
    return ok;
  Padded<Args> padded;
  padded.args = args;
  const auto attempt = [&](std::size_t size) {
    if constexpr (abi::struct_size<Args> != 0) padded.args.struct_size = size;
    return guarded(plugin, F::info.function, [&]() -> Result<void> {
      if constexpr (F::fallible) {
        if (abi::PJRT_Error* error = function(&padded.args); error != nullptr)
          return std::unexpected(take_error(plugin, error, F::info.function));
      } else {
        function(&padded.args);
      }
      return {};
    });
  };
  const CallScope scope(F::info.function, plugin.path.c_str());
  Result<void> result = attempt(abi::struct_size<Args>);
  if (!result) {
    const std::size_t wanted = wanted_size(result.error(), abi::struct_size<Args>);
    if (wanted > abi::struct_size<Args> && wanted <= sizeof padded) result = attempt(wanted);
  }
  args = padded.args;
  return result;
}

template <class F>
Result<typename F::Args> call_extension(const PluginState& plugin, typename F::Args&& args) {
  if (auto ok = call_extension<F>(plugin, args); !ok) return std::unexpected(std::move(ok).error());
  return args;
}

/// An array that function `F` of the plugin gave: Internal if it is null and said not to be empty.
template <class F, class T>
Result<std::span<T>> given(T* data, std::size_t size) {
  if (data != nullptr || size == 0) return std::span<T>(data, size);
  return std::unexpected(
      Error(ErrorCode::Internal, "the plugin gives " + std::to_string(size) + " elements, and a null array of them")
          .with_function(F::info.name));
}

/// A handle that function `F` of the plugin gave: Internal if it is null.
template <class F, class T>
Result<T*> given(T* handle) {
  if (handle != nullptr) return handle;
  return std::unexpected(
      Error(ErrorCode::Internal, "the plugin says that it succeeded, and gives null").with_function(F::info.name));
}

/// Calls back what a plugin gave with a handle, as `call` does its functions. `name` outlives the call.
template <class Args>
Result<void> call_back(const PluginState& plugin, const char* name, void (*function)(Args*), Args& args) {
  if (plugin.gone.load(std::memory_order_relaxed) != Gone::No) [[unlikely]]
    return std::unexpected(plugin_is_gone(plugin, name));
  args.struct_size = abi::struct_size<Args>;
  const CallScope scope(name, plugin.path.c_str());
  return guarded(plugin, name, [&]() -> Result<void> {
    function(&args);
    return {};
  });
}

/// For destructors: what fails is dropped, for there is nobody to tell.
template <class F>
void call_quietly(const PluginState& plugin, typename F::Args&& args) noexcept {
  try {
    (void)call<F>(plugin, args);
  } catch (...) {  // no memory for the error that nobody reads
  }
}

template <class F>
void call_extension_quietly(const PluginState& plugin, typename F::Args&& args) noexcept {
  try {
    (void)call_extension<F>(plugin, args);
  } catch (...) {
  }
}

}  // namespace pjrt::detail
