#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/execute_options.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt {

namespace abi {
struct XLA_FFI_CallFrame;
struct XLA_FFI_Error;
}  // namespace abi

namespace ext {

/// A custom-call handler of the XLA FFI (`XLA_FFI_Handler`).
using FfiHandler = abi::XLA_FFI_Error* (*)(abi::XLA_FFI_CallFrame*);

/// Promises that a handler makes (`PJRT_FFI_Handler_TraitsBits`).
struct FfiHandlerTraits {
  /// May be recorded into a command buffer (CUDA graph).
  bool command_buffer_compatible = false;
};

/// A C++ type whose objects can be given to handlers as user data or kept by them as state.
template <class T>
struct FfiType {
  std::int64_t id = 0;
};

/// Custom calls written in C++: handlers by name, and data for them.
class PJRT_EXPORT Ffi : public Extension {
  PJRT_EXTENSION(Ffi, 5)

  /// Makes a type known to the plugin, for the life of the process. AlreadyExists or Internal if its name is taken.
  /// Wraps PJRT_FFI_Type_Register.
  template <class T>
  Result<FfiType<T>> register_type(std::string_view name) const {
    Result<std::int64_t> id = register_type(name, [](void* object) { delete static_cast<T*>(object); });
    if (!id) return std::unexpected(std::move(id).error());
    return FfiType<T>{*id};
  }
  /// Gives an object to the handlers of the executions that run with `context`; it is kept until they and the context
  /// are gone. (A handler that asks for user data in an execution without any context ends the process.) Wraps
  /// PJRT_FFI_UserData_Add.
  template <class T>
  [[nodiscard]] Result<void> add_user_data(const ExecuteContext& context, FfiType<T> type,
                                           std::shared_ptr<T> data) const {
    void* object = data.get();
    return add_user_data(context, type.id, object, std::move(data));
  }
  /// Lets programs call `handler` by the name `target` on a platform: "Host" for CPUs, "CUDA", "TPU". For the life of
  /// the process. The plugin accepts anything here, also a handler whose FFI version it will not call: the sign of that
  /// is a compilation that does not find the target. Wraps PJRT_FFI_Register_Handler.
  [[nodiscard]] Result<void> register_handler(std::string_view target, std::string_view platform, FfiHandler handler,
                                              FfiHandlerTraits traits = {}) const;

 private:
  Result<std::int64_t> register_type(std::string_view name, void (*deleter)(void*)) const;
  [[nodiscard]] Result<void> add_user_data(const ExecuteContext& context, std::int64_t type, void* object,
                                           std::shared_ptr<void> owner) const;
};

}  // namespace ext
}  // namespace pjrt
