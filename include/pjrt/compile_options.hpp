#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "pjrt/device_assignment.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/shape.hpp"

namespace pjrt {

/// The value of an XLA flag or option.
using FlagValue = std::variant<std::string, bool, std::int64_t, double>;

/// A shape and how it lies in memory.
struct LaidOutShape {
  Shape shape;
  Layout layout;

  friend bool operator==(const LaidOutShape&, const LaidOutShape&) = default;
};

/// XLA's DebugOptions, field by field. Setting any of them replaces *all* of XLA's defaults by protobuf's (false, 0,
/// ""), which is rarely wanted: `CompileOptions::flag` changes single flags.
class PJRT_EXPORT DebugOptions {
 public:
  /// Sets a field by its XLA name ("xla_dump_to", "xla_cpu_enable_fast_math"); repeated fields grow. Enum fields take
  /// the enumerator's name or number. NotFound (with the nearest names) or InvalidArgument for a value of the wrong
  /// kind.
  [[nodiscard]] Result<void> set(std::string_view name, FlagValue value);
  /// An entry of `xla_backend_extra_options`.
  void set_backend_extra_option(std::string_view key, std::string_view value);
  /// A serialized xla.DebugOptions.
  const std::string& serialize() const noexcept { return bytes_; }
  /// Takes a serialized xla.DebugOptions as it is.
  static DebugOptions from_bytes(std::string bytes);

 private:
  std::string bytes_;
};

/// XLA's CompilationEnvironments: settings of backends, each a serialized message under its type URL.
class PJRT_EXPORT CompilationEnvironments {
 public:
  /// "type.googleapis.com/xla.GpuCompilationEnvironment" and its bytes.
  void add(std::string_view type_url, std::string_view message);
  /// A serialized xla.CompilationEnvironmentsProto.
  const std::string& serialize() const noexcept { return bytes_; }
  /// Takes a serialized xla.CompilationEnvironmentsProto as it is.
  static CompilationEnvironments from_bytes(std::string bytes);

 private:
  std::string bytes_;
};

/// How to compile a program (xla.CompileOptionsProto). A plain value; setters chain:
/// `CompileOptions{}.num_partitions(4).use_spmd(true).flag("xla_cpu_enable_fast_math", false)`.
///
/// The default is one replica and one partition. (Without either, plugins abort the process.)
class PJRT_EXPORT CompileOptions {
 public:
  CompileOptions() = default;

  /// How many devices run copies of the program on different data.
  CompileOptions& num_replicas(int n);
  /// Into how many parts, one a device, each copy is cut.
  CompileOptions& num_partitions(int n);
  /// Partition the program by its sharding annotations.
  CompileOptions& use_spmd(bool on);
  /// Shardings are Shardy's (`sdy`), not GSPMD's.
  CompileOptions& use_shardy(bool on);
  /// Let the compiler choose the shardings, over a mesh of that shape and those device ids.
  CompileOptions& use_auto_spmd(bool on, std::vector<std::int64_t> mesh_shape = {},
                                std::vector<std::int64_t> mesh_ids = {});
  /// Which devices run it; sets the counts of replicas and partitions too.
  CompileOptions& device_assignment(DeviceAssignment assignment);
  /// Not bound to a device: each execution names one (`ExecuteOptions::device`).
  CompileOptions& portable(bool on);

  /// An XLA flag by its name, over what XLA_FLAGS and the defaults say. The plugin judges name and value.
  CompileOptions& flag(std::string name, bool value) { return set_flag(std::move(name), value); }
  /// A flag by its text, which the plugin reads by the flag's type.
  CompileOptions& flag(std::string name, const char* value) { return set_flag(std::move(name), std::string(value)); }
  /// The same.
  CompileOptions& flag(std::string name, std::string value) { return set_flag(std::move(name), std::move(value)); }
  /// A flag that takes an integer.
  template <std::integral T>
  CompileOptions& flag(std::string name, T value) {
    return set_flag(std::move(name), static_cast<std::int64_t>(value));
  }
  /// A flag that takes a number.
  template <std::floating_point T>
  CompileOptions& flag(std::string name, T value) {
    return set_flag(std::move(name), static_cast<double>(value));
  }

  /// The parameters' shapes with their layouts, one for each parameter.
  CompileOptions& argument_layouts(std::vector<LaidOutShape> layouts);
  /// The result's shape with its layout.
  CompileOptions& result_layout(LaidOutShape layout);
  /// All arguments are one parameter, a tuple.
  CompileOptions& parameter_is_tupled_arguments(bool on);
  /// Whether the partitioner may choose shardings of parameters: one value for all, or one for each.
  CompileOptions& allow_spmd_sharding_propagation_to_parameters(std::vector<bool> allow);
  /// The same for outputs.
  CompileOptions& allow_spmd_sharding_propagation_to_output(std::vector<bool> allow);
  /// Outputs that are parameters share their memory.
  CompileOptions& alias_passthrough_params(bool on);
  /// Computations that are equal are compiled once.
  CompileOptions& deduplicate_hlo(bool on);
  /// Does not optimize the program: for the HLO of one that is optimized already, as `Executable::optimized_program`
  /// gives it.
  CompileOptions& run_backend_only(bool on);
  /// The compiler may change the module it is given.
  CompileOptions& allow_in_place_mlir_modification(bool on);
  /// Bytes of device memory to reckon with.
  CompileOptions& device_memory_size(std::int64_t bytes);
  /// How many devices make up a slice.
  CompileOptions& slice_size(std::int64_t size);
  /// Which process of how many compiles.
  CompileOptions& process(std::int64_t index, std::int64_t count);
  /// How hard to try for speed, -1 to 1; 0 is the default.
  CompileOptions& exec_time_optimization_effort(float effort);
  /// How hard to try to fit into memory, -1 to 1; 0 is the default.
  CompileOptions& memory_fitting_effort(float effort);
  /// xla.ExecutionOptions.EffortLevel numbers.
  CompileOptions& optimization_level(int level);
  /// The same numbers, for fitting into memory.
  CompileOptions& memory_fitting_level(int level);
  /// xla.PrecisionConfig.Precision: 0 default, 1 high, 2 highest.
  CompileOptions& matrix_unit_operand_precision(int precision);
  /// Which profile to optimize by, if the compiler keeps several.
  CompileOptions& profile_version(std::int64_t version);
  /// A serialized profile to optimize by.
  CompileOptions& fdo_profile(std::string profile);
  /// Which of a plugin's compilers, where it has several.
  CompileOptions& compiler_variant(std::string variant);
  /// A serialized stream_executor.GpuTargetConfigProto, for compiling without the GPU.
  CompileOptions& target_config(std::string proto);
  /// What ext::MultiSlice serializes.
  CompileOptions& multi_slice_config(std::string bytes);
  /// Replaces all of XLA's defaults; prefer `flag`.
  CompileOptions& debug_options(const DebugOptions& options);
  /// Settings of backends.
  CompileOptions& compilation_environments(const CompilationEnvironments& environments);

  int num_replicas() const noexcept { return replicas_; }
  int num_partitions() const noexcept { return partitions_; }
  bool uses_spmd() const noexcept;
  bool is_portable() const noexcept;
  bool runs_backend_only() const noexcept;
  bool tuples_arguments() const noexcept;
  const std::optional<DeviceAssignment>& device_assignment() const noexcept { return assignment_; }
  const std::vector<std::pair<std::string, FlagValue>>& flags() const noexcept { return flags_; }

  /// A serialized xla.CompileOptionsProto.
  std::string serialize() const;
  /// Reads one, e.g. what `Executable::compile_options` gave or another program wrote. What this library does not know
  /// is kept. InvalidArgument for what is no such message, and where the counts of replicas or partitions are not
  /// positive.
  static Result<CompileOptions> parse(std::string_view bytes);

 private:
  CompileOptions& set_flag(std::string name, FlagValue value);

  int replicas_ = 1;
  int partitions_ = 1;
  std::int64_t device_ordinal_ = -1;
  std::optional<DeviceAssignment> assignment_;
  std::vector<std::pair<std::string, FlagValue>> flags_;
  /// Fields by their protobuf numbers, of the message itself and of its executable_build_options.
  std::map<std::uint32_t, bool> top_bools_, build_bools_;
  std::map<std::uint32_t, std::int64_t> top_ints_, build_ints_;
  std::map<std::uint32_t, float> build_floats_;
  std::map<std::uint32_t, std::string> top_bytes_, build_bytes_;
  std::map<std::uint32_t, std::vector<std::int64_t>> build_lists_;
  std::vector<std::string> argument_layouts_;
  std::string top_unknown_, build_unknown_;
};

}  // namespace pjrt
