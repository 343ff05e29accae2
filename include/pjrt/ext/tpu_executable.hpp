#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/compile_options.hpp"
#include "pjrt/detail/owned_bytes.hpp"
#include "pjrt/error.hpp"
#include "pjrt/ext/extension.hpp"
#include "pjrt/named_value.hpp"
#include "pjrt/program.hpp"

namespace pjrt::ext {

/// Looks into compiled TPU programs without loading them. `executable` is what `Executable::serialize_raw` gives;
/// InvalidArgument for bytes that are no TPU program. Bytes that are given are in memory of the plugin's, which gets it
/// back with the last copy.
class PJRT_EXPORT TpuExecutable : public Extension {
  PJRT_EXTENSION(TpuExecutable, 17)

  /// The TPU that the program is for, as a message of the plugin's own. Wraps PJRT_TpuExecutable_GetTargetArguments.
  Result<pjrt::detail::OwnedBytes> target_arguments(std::span<const std::byte> executable) const;
  /// The program after optimization, in format "hlo_with_config". Wraps PJRT_TpuExecutable_GetHloModuleWithConfig.
  Result<Program> hlo_module_with_config(std::span<const std::byte> executable) const;
  /// The memory it needs, as a serialized xla.CompiledMemoryStatsProto. Wraps
  /// PJRT_TpuExecutable_GetCompiledMemoryStats.
  Result<pjrt::detail::OwnedBytes> compiled_memory_stats(std::span<const std::byte> executable) const;
  /// The compiler's estimates ("flops", "bytes accessed", …) for modules in format "hlo_with_config" on the TPU of
  /// `target_arguments`. libtpu takes one module; Unimplemented for several. Wraps
  /// PJRT_TpuExecutable_RunHloCostAnalysis.
  Result<NamedValues> run_hlo_cost_analysis(std::span<const std::byte> target_arguments,
                                            std::span<const Program> modules) const;

  /// `environments` with the settings of the TPU compiler added, as they stand in this process: all of them. Wraps
  /// PJRT_TpuExecutable_SetTpuCompilationEnv.
  Result<CompilationEnvironments> set_tpu_compilation_env(const CompilationEnvironments& environments = {}) const;
  /// One of these settings as text, e.g. "xla_tpu_enable_latency_hiding_scheduler"; its default if `environments` do
  /// not say. InvalidArgument for a name there is not. Wraps PJRT_TpuExecutable_GetTpuCompilationEnvFieldAsString.
  Result<std::string> tpu_compilation_env_field(const CompilationEnvironments& environments,
                                                std::string_view field) const;

  /// Whether an error would come again if the same were tried again. `status` is a serialized message of a code (1) and
  /// a text (2). Wraps PJRT_TpuExecutable_IsTpuPredeterminedError.
  Result<bool> is_tpu_predetermined_error(std::string_view status) const;

  /// The functions that the plugin still has of those that were withdrawn. Reads
  /// PJRT_TpuExecutable_Extension.get_core_program_abi_version, and calls nothing.
  std::vector<std::string_view> withdrawn_functions() const;
};

}  // namespace pjrt::ext
