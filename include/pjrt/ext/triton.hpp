#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pjrt/ext/extension.hpp"

namespace pjrt::ext {

/// How to compile a Triton kernel.
struct TritonOptions {
  /// The GPU: "7.0", "9.0a".
  std::string arch;
  int num_warps = 4;
  int num_ctas = 1;
  int num_stages = 3;
};

/// A compiled Triton kernel.
struct TritonKernel {
  /// Its assembly: PTX, or what the platform has instead. Empty where the plugin writes a file.
  std::string assembly;
  /// Shared memory it needs, in bytes.
  std::int64_t shared_memory_bytes = 0;
  /// The file the plugin wrote, where it writes one. Yours to delete.
  std::string path;
};

/// Compiles Triton kernels for GPUs, here or not.
class PJRT_EXPORT Triton : public Extension {
  PJRT_EXTENSION(Triton, 7)

  /// `module` is Triton IR as MLIR text or bytecode. Wraps PJRT_Triton_Compile, since 0.65.
  Result<TritonKernel> compile(std::string_view module, const TritonOptions& options) const;
};

}  // namespace pjrt::ext
