#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pjrt/compile_options.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/model/jax_export.hpp"
#include "pjrt/program.hpp"

namespace pjrt::model {

/// What a model file is.
enum class ModelFormat : int { JaxExport, StableHlo, Hlo };

/// "jax.export artifact", "StableHLO", "HLO".
PJRT_EXPORT std::string_view name(ModelFormat format) noexcept;

/// A program as people hold it: a file of one of the formats that frameworks write. Copies share it.
class PJRT_EXPORT Model {
 public:
  /// Opens a jax.export artifact, StableHLO as text, MLIR bytecode or portable artifact, or a serialized
  /// HloModuleProto, told apart by what is in them. InvalidArgument for anything else, with what it looks like.
  static Result<Model> open(const std::filesystem::path& path);
  /// The same in memory that `owner` keeps alive.
  static Result<Model> parse(std::span<const std::byte> bytes, std::shared_ptr<const void> owner = nullptr);
  /// A program of one's own making.
  static Model from_program(Program program);

  ModelFormat format() const noexcept { return format_; }
  /// The artifact, if it is one.
  const JaxExport* jax_export() const noexcept { return export_ ? &*export_ : nullptr; }
  const Program& program() const noexcept { return program_; }

  /// The devices that one run takes; for StableHLO what its text says of `mhlo.num_partitions` and `mhlo.num_replicas`,
  /// else 1.
  int device_count() const noexcept { return partitions_ * replicas_; }

  /// What can be said before compiling: Unimplemented for symbolic dimensions and ordered effects, FailedPrecondition
  /// for a platform it was not made for.
  [[nodiscard]] Result<void> check_runnable(std::string_view platform) const;

  /// `base` with what the model wants: its partitions and replicas, and which partitioner. InvalidArgument if `base`
  /// wants other numbers of them than the model says.
  Result<CompileOptions> compile_options(CompileOptions base = {}) const;

 private:
  Model(ModelFormat format, Program program) : format_(format), program_(std::move(program)) {}
  ModelFormat format_;
  Program program_;
  std::optional<JaxExport> export_;
  int partitions_ = 1;
  int replicas_ = 1;
  bool uses_shardy_ = false;
};

}  // namespace pjrt::model
