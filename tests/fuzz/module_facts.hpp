#pragma once

#include <cstddef>
#include <cstdint>

#include "mlir/facts.hpp"

namespace pjrt::fuzz {

/// Looks at all that was read of a module.
inline int look_at(const Result<mlir::ModuleFacts>& facts) {
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

}  // namespace pjrt::fuzz
