#pragma once

#include <cstddef>
#include <span>

#include "mlir/facts.hpp"

namespace pjrt::mlir {

/// Reads MLIR bytecode: of the dialects builtin, func, stablehlo and sdy, as MLIR writes it, and of VHLO, which is what
/// StableHLO's portable artifacts are. DataLoss for what is malformed; Unimplemented for versions not known here.
PJRT_EXPORT Result<ModuleFacts> read_bytecode(std::span<const std::byte> module);

/// All strings of a module, for those whose operations cannot be read; they point into it.
PJRT_EXPORT Result<std::vector<std::string_view>> bytecode_strings(std::span<const std::byte> module);

/// Whether bytes begin as MLIR bytecode does.
PJRT_EXPORT bool is_bytecode(std::span<const std::byte> module) noexcept;

}  // namespace pjrt::mlir
