#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/compile_options.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/model/jax_export.hpp"
#include "pjrt/program.hpp"
#include "pjrt/shape.hpp"
#include "pjrt/sharding.hpp"

namespace pjrt::model {

/// What a model file is.
enum class ModelFormat : int { JaxExport, StableHlo, Hlo };

/// "jax.export artifact", "StableHLO", "HLO".
PJRT_EXPORT std::string_view name(ModelFormat format) noexcept;

/// An array or another value that a module takes or gives, as the module says it, before it is compiled.
struct ModuleValue {
  /// "arg0", "out0".
  std::string path;
  /// What the program's author called it; may be empty.
  std::string name;
  /// "f32[2,?]"; "!quant.uniform<i8:f32>[4]" for an element type that PJRT has no number for, "token[]", and other
  /// types as the module writes them.
  std::string type;
  /// Whether it is an array of a type that PJRT knows; its shape then, with kUnknown for sizes that are not known
  /// before the program runs.
  bool is_array = false;
  Shape shape;
  /// Whether an output may take its memory.
  bool donated = false;
  /// How it is cut, if the module says so in a way that is known here, and in the module's own words.
  std::optional<Sharding> sharding;
  std::string sharding_text;

  static constexpr std::int64_t kUnknown = -1;
};

/// A program as people hold it: a file of one of the formats that frameworks write. Copies share it.
class PJRT_EXPORT Model {
 public:
  /// Moving copies, so that no handle is ever empty.
  Model(const Model&) = default;
  Model& operator=(const Model&) = default;

  /// Opens a jax.export artifact, StableHLO as text, MLIR bytecode or portable artifact, or a serialized
  /// HloModuleProto (alone, or in an HloProto), told apart by what is in them. InvalidArgument for anything else, with
  /// what it looks like.
  static Result<Model> open(const std::filesystem::path& path);
  /// The same in memory that `owner` keeps alive.
  static Result<Model> parse(std::span<const std::byte> bytes, std::shared_ptr<const void> owner = nullptr);
  /// A program of one's own making.
  static Model from_program(Program program);

  ModelFormat format() const noexcept { return format_; }
  /// The artifact, if it is one.
  const JaxExport* jax_export() const noexcept { return export_ ? &*export_ : nullptr; }
  const Program& program() const noexcept { return program_; }

  /// The devices that one run takes. StableHLO says it in `mhlo.num_partitions` and `mhlo.num_replicas`, as text or as
  /// bytecode. HLO has no field for it: this is what its device assignment, shardings and collectives need.
  int device_count() const noexcept { return partitions_ * replicas_; }
  int partition_count() const noexcept { return partitions_; }
  int replica_count() const noexcept { return replicas_; }
  /// Whether the module is sharded in Shardy's words, not in GSPMD's.
  bool uses_shardy() const noexcept { return uses_shardy_; }

  /// What the module takes and gives; empty if it cannot be read, of which `check` says why. The module of a jax.export
  /// artifact may take more than the artifact's inputs, or fewer.
  std::span<const ModuleValue> arguments() const noexcept;
  std::span<const ModuleValue> results() const noexcept;
  /// The targets of its custom calls, sorted.
  std::span<const std::string> custom_calls() const noexcept;

  /// What is wrong with the module itself: that it cannot be read, or what no plugin compiles: Unimplemented for
  /// dimensions without a bound, InvalidArgument for symbols that it uses and does not define, and for nesting that
  /// plugins do not bear.
  [[nodiscard]] Result<void> check() const;
  /// What can be said before compiling: `check`, Unimplemented for symbolic dimensions and ordered effects,
  /// FailedPrecondition for a platform it was not made for.
  [[nodiscard]] Result<void> check_runnable(std::string_view platform) const;
  /// Unimplemented if the module takes what no run can be given, such as a token.
  [[nodiscard]] Result<void> check_arguments() const;

  /// `base` with what the model wants: its partitions and replicas, and which partitioner. InvalidArgument if `base`
  /// wants other numbers of them than the model says.
  Result<CompileOptions> compile_options(CompileOptions base = {}) const;

 private:
  struct Details {
    std::vector<ModuleValue> arguments;
    std::vector<ModuleValue> results;
    std::vector<std::string> custom_calls;
    std::optional<Error> error;
    bool is_unread = false;  // it cannot be told how many devices the module takes
  };
  Model(ModelFormat format, Program program);
  const Details& details() const noexcept;
  static Result<Model> read(Program program);
  void read_mlir();
  void read_hlo();
  ModelFormat format_;
  Program program_;
  std::optional<JaxExport> export_;
  int partitions_ = 1;
  int replicas_ = 1;
  bool uses_shardy_ = false;
  std::shared_ptr<const Details> details_;
};

}  // namespace pjrt::model
