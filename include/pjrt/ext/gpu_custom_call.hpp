#pragma once

#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/ext/extension.hpp"
#include "pjrt/ext/ffi.hpp"

namespace pjrt::ext {

/// Custom calls of GPU plugins, older and newer than the FFI extension.
class PJRT_EXPORT GpuCustomCall : public Extension {
  PJRT_EXTENSION(GpuCustomCall, 0)

  /// An untyped custom call: void(stream, void** buffers, const char* opaque, size_t opaque_size) or with a status
  /// behind.
  using UntypedFunction = void (*)();
  /// The stages of a typed one; only `execute` is needed.
  struct Handlers {
    FfiHandler instantiate = nullptr;
    FfiHandler prepare = nullptr;
    FfiHandler initialize = nullptr;
    FfiHandler execute = nullptr;
  };

  /// API version 0: for the life of the process. AlreadyExists if the name stands for another function: plugins end the
  /// process at that. Wraps PJRT_Gpu_Register_Custom_Call.
  [[nodiscard]] Result<void> register_untyped(std::string_view name, UntypedFunction function) const;
  /// API version 1 (XLA FFI). Wraps PJRT_Gpu_Register_Custom_Call.
  [[nodiscard]] Result<void> register_typed(std::string_view name, const Handlers& handlers) const;
};

}  // namespace pjrt::ext
