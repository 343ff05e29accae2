#include "pjrt/ext/tpu_executable.hpp"

#include <cstdint>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;
using pjrt::detail::call_extension;
using pjrt::detail::own_bytes;
using pjrt::detail::OwnedBytes;

namespace {

const char* chars(std::span<const std::byte> bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}

}  // namespace

Result<OwnedBytes> TpuExecutable::target_arguments(std::span<const std::byte> executable) const try {
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuExecutable_GetTargetArguments>(
               state(), {.serialized_executable = chars(executable), .serialized_executable_size = executable.size()}));
  return own_bytes(state(), args.target_arguments, args.target_arguments_size, args.target_arguments_ptr,
                   args.target_arguments_deleter);
}
PJRT_CATCH

Result<Program> TpuExecutable::hlo_module_with_config(std::span<const std::byte> executable) const try {
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuExecutable_GetHloModuleWithConfig>(
               state(), {.serialized_executable = chars(executable), .serialized_executable_size = executable.size()}));
  const OwnedBytes bytes = own_bytes(state(), args.hlo_module_with_config, args.hlo_module_with_config_size,
                                     args.hlo_module_with_config_ptr, args.hlo_module_with_config_deleter);
  return Program("hlo_with_config", std::string(bytes.text()));
}
PJRT_CATCH

Result<OwnedBytes> TpuExecutable::compiled_memory_stats(std::span<const std::byte> executable) const try {
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuExecutable_GetCompiledMemoryStats>(
               state(), {.serialized_executable = chars(executable), .serialized_executable_size = executable.size()}));
  return own_bytes(state(), args.compiled_memory_stats, args.compiled_memory_stats_size, args.compiled_memory_stats_ptr,
                   args.compiled_memory_stats_deleter);
}
PJRT_CATCH

Result<NamedValues> TpuExecutable::run_hlo_cost_analysis(std::span<const std::byte> target_arguments,
                                                         std::span<const Program> modules) const try {
  std::vector<const char*> codes;
  std::vector<std::size_t> sizes;
  for (const Program& module : modules) {
    if (module.format() != "hlo_with_config") {
      return std::unexpected(Error(ErrorCode::InvalidArgument,
                                   "cost analysis takes modules in format hlo_with_config, not " + module.format()));
    }
    codes.push_back(module.code().data());
    sizes.push_back(module.code().size());
  }
  if (modules.empty()) return std::unexpected(Error(ErrorCode::InvalidArgument, "there is no module to analyze"));
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuExecutable_RunHloCostAnalysis>(
                                state(), {.target_arguments = chars(target_arguments),
                                          .target_arguments_size = target_arguments.size(),
                                          .hlo_module = codes.data(),
                                          .hlo_module_size = sizes.data(),
                                          .num_hlo_modules = codes.size()}));
  Result<NamedValues> values = pjrt::detail::from_c(args.analysis_results, args.num_analysis_results);
  if (args.analysis_results_deleter != nullptr && args.analysis_results_ptr != nullptr)
    args.analysis_results_deleter(args.analysis_results_ptr);
  return values;
}
PJRT_CATCH

Result<CompilationEnvironments> TpuExecutable::set_tpu_compilation_env(
    const CompilationEnvironments& environments) const try {
  const std::string& bytes = environments.serialize();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuExecutable_SetTpuCompilationEnv>(
                                state(), {.serialized_compilation_environments = bytes.data(),
                                          .serialized_compilation_environments_size = bytes.size()}));
  const OwnedBytes result =
      own_bytes(state(), args.result_compilation_environments, args.result_compilation_environments_size,
                args.result_compilation_environments_ptr, args.result_compilation_environments_deleter);
  return CompilationEnvironments::from_bytes(std::string(result.text()));
}
PJRT_CATCH

Result<std::string> TpuExecutable::tpu_compilation_env_field(const CompilationEnvironments& environments,
                                                             std::string_view field) const try {
  const std::string& bytes = environments.serialize();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_TpuExecutable_GetTpuCompilationEnvFieldAsString>(
                                state(), {.serialized_compilation_environments = bytes.data(),
                                          .serialized_compilation_environments_size = bytes.size(),
                                          .field_name = field.data(),
                                          .field_name_size = field.size()}));
  return std::string(
      own_bytes(state(), args.field_value, args.field_value_size, args.field_value_ptr, args.field_value_deleter)
          .text());
}
PJRT_CATCH

Result<bool> TpuExecutable::is_tpu_predetermined_error(std::string_view status) const try {
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_TpuExecutable_IsTpuPredeterminedError>(
               state(), {.serialized_status = status.data(), .serialized_status_size = status.size()}));
  return args.is_predetermined;
}
PJRT_CATCH

std::vector<std::string_view> TpuExecutable::withdrawn_functions() const {
  if (state().extension<abi::PJRT_TpuExecutable_Extension>(kType)->get_core_program_abi_version == nullptr) return {};
  return {"get_core_program_abi_version"};
}

}  // namespace pjrt::ext
