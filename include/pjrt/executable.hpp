#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pjrt/compile_options.hpp"
#include "pjrt/detail/owned_bytes.hpp"
#include "pjrt/detail/ref.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/named_value.hpp"
#include "pjrt/plugin.hpp"
#include "pjrt/program.hpp"
#include "pjrt/serialized_executable.hpp"
#include "pjrt/shape.hpp"

namespace pjrt {

namespace abi {
struct PJRT_Executable;
}

class Client;
class Topology;

namespace detail {
struct ExecutableState;
PJRT_EXPORT void retain(ExecutableState*) noexcept;
PJRT_EXPORT void release(ExecutableState*) noexcept;
}  // namespace detail

/// Bytes of device (and host) memory that one run of a program needs on one device.
struct CompiledMemoryStats {
  std::int64_t generated_code = 0;
  std::int64_t argument = 0;
  std::int64_t output = 0;
  /// Of outputs that take the memory of arguments.
  std::int64_t alias = 0;
  std::int64_t temp = 0;
  std::int64_t host_generated_code = 0;
  std::int64_t host_argument = 0;
  std::int64_t host_output = 0;
  std::int64_t host_alias = 0;
  std::int64_t host_temp = 0;
  /// Since API 0.72.
  std::optional<std::int64_t> peak;
  /// Since API 0.90.
  std::optional<std::int64_t> total;
  /// Since API 0.104, as are the two below.
  std::optional<std::int64_t> total_allocation;
  std::optional<std::int64_t> indefinite_allocations;
  std::optional<std::int64_t> peak_unpadded_heap;
};

/// The compile options as the plugin wrote them down.
using SerializedCompileOptions = detail::OwnedBytes;

/// A compiled program, apart from devices: what it needs and gives, and how to keep it.
///
/// From `pjrt::compile` it stands alone; from a LoadedExecutable it is a view that keeps that one alive. A cheap
/// handle; copies mean the same program. Wraps PJRT_Executable_Destroy. All members may be used from several threads.
class PJRT_EXPORT Executable {
 public:
  /// Moving copies, so that no handle is ever empty.
  Executable(const Executable&) noexcept = default;
  Executable& operator=(const Executable&) noexcept = default;

  /// Wraps PJRT_Executable_Name.
  Result<std::string> name() const;
  /// Wraps PJRT_Executable_NumReplicas.
  Result<int> num_replicas() const;
  /// Wraps PJRT_Executable_NumPartitions.
  Result<int> num_partitions() const;
  /// Arrays a run gives on one device. Wraps PJRT_Executable_NumOutputs.
  Result<std::size_t> num_outputs() const;
  /// Their element types and dimensions (bounds, for dynamic ones), as each device has them. Wraps
  /// PJRT_Executable_OutputElementTypes and PJRT_Executable_OutputDimensions.
  Result<std::vector<Shape>> output_shapes() const;
  /// The kinds of memory the outputs go to. Wraps PJRT_Executable_OutputMemoryKinds.
  Result<std::vector<std::string>> output_memory_kinds() const;
  /// The kinds of memory the parameters are expected in. Wraps PJRT_Executable_ParameterMemoryKinds, since 0.102.
  Result<std::vector<std::string>> parameter_memory_kinds() const;
  /// Bytes. Wraps PJRT_Executable_SizeOfGeneratedCodeInBytes.
  Result<std::int64_t> size_of_generated_code() const;
  /// Equal for equal programs and options; not enough to tell plugins apart. Wraps PJRT_Executable_Fingerprint.
  Result<std::string> fingerprint() const;
  /// The compiler's estimates: "flops", "bytes accessed", … Wraps PJRT_Executable_GetCostAnalysis.
  Result<NamedValues> cost_analysis() const;
  /// Wraps PJRT_Executable_GetCompiledMemoryStats.
  Result<CompiledMemoryStats> memory_stats() const;
  /// What it was compiled with. Wraps PJRT_Executable_GetCompileOptions, since 0.87.
  Result<CompileOptions> compile_options() const;
  /// The same as the plugin wrote it: a serialized xla.CompileOptionsProto.
  Result<SerializedCompileOptions> serialized_compile_options() const;
  /// The program after the plugin's optimizations, usually in format "hlo_with_config". Wraps
  /// PJRT_Executable_OptimizedProgram.
  Result<Program> optimized_program() const;
  /// To keep, and to load again with `Client::deserialize` by the same plugin. Wraps PJRT_Executable_Serialize.
  Result<SerializedExecutable> serialize() const;
  /// The plugin's bytes alone, in its own memory.
  Result<detail::OwnedBytes> serialize_raw() const;

  Plugin plugin() const noexcept;
  abi::PJRT_Executable* raw() const noexcept;

  /// For the library itself.
  explicit Executable(detail::Ref<detail::ExecutableState> state) noexcept : state_(std::move(state)) {}
  const detail::Ref<detail::ExecutableState>& state() const noexcept { return state_; }

 private:
  detail::Ref<detail::ExecutableState> state_;
};

/// Compiles ahead of time for the devices of `topology`, which need not be here. A client of the same plugin may be
/// given, as some plugins want for some programs. Wraps PJRT_Compile.
PJRT_EXPORT Result<Executable> compile(const Topology& topology, const Program& program,
                                       const CompileOptions& options = {}, const Client* client = nullptr);

}  // namespace pjrt
