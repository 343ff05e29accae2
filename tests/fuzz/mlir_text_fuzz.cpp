#include <cstddef>
#include <cstdint>
#include <string>

#include "mlir/facts.hpp"
#include "mlir/text.hpp"

/// Reads bytes as the text of a module.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pjrt;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Result<mlir::ModuleFacts> facts = mlir::read_text(text);
  if (!facts) return to_string(facts.error()).empty();
  if (facts->partitions < 1 || facts->replicas < 1) __builtin_trap();
  std::size_t seen = facts->custom_calls.size();
  for (const auto* values : {&facts->arguments, &facts->results}) {
    for (const mlir::ModuleValue& value : *values) {
      seen += to_string(value.type).size() + value.name.size();
      if (value.sharding) seen += value.sharding->tiles(value.type.dims.size()).size();
    }
  }
  if (const Result<void> good = mlir::check(*facts); !good) seen += to_string(good.error()).size();
  return seen == SIZE_MAX;
}
