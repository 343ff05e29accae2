#include <cstddef>
#include <cstdint>
#include <span>

#include "mlir/bytecode.hpp"
#include "module_facts.hpp"

/// Reads bytes as MLIR bytecode.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return pjrt::fuzz::look_at(pjrt::mlir::read_bytecode(std::as_bytes(std::span(data, size))));
}
