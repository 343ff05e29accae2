#include <cstddef>
#include <cstdint>
#include <string>

#include "mlir/text.hpp"
#include "module_facts.hpp"

/// Reads bytes as the text of a module.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return pjrt::fuzz::look_at(pjrt::mlir::read_text(std::string(reinterpret_cast<const char*>(data), size)));
}
