#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>

#include "pjrt/abi/xla_ffi.h"
#include "pjrt/ext/ffi.hpp"

/// Custom calls as tests write them: handlers of the XLA FFI, and programs that call them.

namespace pjrt::test {

/// A query for the handler's version, which comes before any call. Answers it; false for a real call.
inline bool answers_metadata(abi::XLA_FFI_CallFrame* frame, int minor_version = 1) {
  abi::XLA_FFI_Extension_Base* extension = frame->extension_start;
  if (extension == nullptr || extension->type != abi::XLA_FFI_Extension_Metadata) return false;
  abi::XLA_FFI_Metadata* metadata = reinterpret_cast<abi::XLA_FFI_Metadata_Extension*>(extension)->metadata;
  metadata->api_version.major_version = 0;
  metadata->api_version.minor_version = minor_version;
  metadata->traits = 0;
  return true;
}

inline abi::XLA_FFI_Error* do_nothing(abi::XLA_FFI_CallFrame* frame) {
  (void)answers_metadata(frame);
  return nullptr;
}

inline const abi::XLA_FFI_Buffer& argument(const abi::XLA_FFI_CallFrame* frame, int i) {
  return *static_cast<abi::XLA_FFI_Buffer*>(frame->args.args[i]);
}
inline const abi::XLA_FFI_Buffer& result(const abi::XLA_FFI_CallFrame* frame, int i) {
  return *static_cast<abi::XLA_FFI_Buffer*>(frame->rets.rets[i]);
}

/// The elements of a f32 array that lies in host memory.
inline std::span<float> floats(const abi::XLA_FFI_Buffer& buffer) {
  std::size_t count = 1;
  for (std::int64_t d = 0; d < buffer.rank; ++d) count *= static_cast<std::size_t>(buffer.dims[d]);
  return {static_cast<float*>(buffer.data), count};
}

inline abi::XLA_FFI_Error* fail(const abi::XLA_FFI_CallFrame* frame, abi::XLA_FFI_Error_Code code,
                                const char* message) {
  abi::XLA_FFI_Error_Create_Args args{};
  args.struct_size = sizeof args;
  args.message = message;
  args.errc = code;
  return frame->api->XLA_FFI_Error_Create(&args);
}

/// f32[3] through the custom call `target`.
inline std::string call_of(const std::string& target) {
  return R"(
module @custom_call {
  func.func public @main(%x: tensor<3xf32>) -> tensor<3xf32> {
    %y = stablehlo.custom_call @)" +
         target + R"((%x) {api_version = 4 : i32, mhlo.backend_config = {}} : (tensor<3xf32>) -> tensor<3xf32>
    return %y : tensor<3xf32>
  }
})";
}

/// Calls pjrt_test_nothing and does nothing else.
inline constexpr const char* kCallNothing = R"(
module @call_nothing {
  func.func public @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
    %y = stablehlo.custom_call @pjrt_test_nothing(%x) {api_version = 4 : i32, mhlo.backend_config = {}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    return %y : tensor<2x3xf32>
  }
})";

}  // namespace pjrt::test
