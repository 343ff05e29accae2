#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/error.hpp"

/// What can be learnt from MLIR bytecode without MLIR.
namespace pjrt::model::detail {

bool is_mlir_bytecode(std::span<const std::byte> module) noexcept;

/// All strings of a module, in the order in which it numbers them; they point into it. DataLoss for malformed bytecode.
Result<std::vector<std::string_view>> mlir_strings(std::span<const std::byte> module);

struct MlirArgument {
  /// The name in its location; empty if there is none.
  std::string_view name;
  /// Marked tf.aliasing_output or jax.buffer_donor.
  bool donated = false;
};

/// What the operations of a StableHLO portable artifact say.
struct MlirFacts {
  /// The arguments of the function main.
  std::vector<MlirArgument> main_arguments;
  /// Sorted, each once.
  std::vector<std::string> custom_calls;
};

/// Walks all operations. The names in the result point into the module. Unimplemented for bytecode that is not of
/// version 0 or 6 with the VHLO dialect, DataLoss for malformed bytecode.
Result<MlirFacts> mlir_facts(std::span<const std::byte> module);

}  // namespace pjrt::model::detail
