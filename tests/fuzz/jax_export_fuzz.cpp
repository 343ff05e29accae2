#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "pjrt/model/jax_export.hpp"

/// Reads bytes as a jax.export artifact, and asks it everything.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pjrt;
  const auto bytes = std::as_bytes(std::span(data, size));
  const bool looks = model::JaxExport::looks_like(bytes);
  const Result<model::JaxExport> artifact = model::JaxExport::parse(bytes);
  if (!artifact) return to_string(artifact.error()).empty();
  if (!looks) __builtin_trap();
  const Program program = artifact->program();
  std::size_t seen = program.code().size() + artifact->custom_call_targets().size();
  for (const std::span<const model::ExportedValue> values : {artifact->inputs(), artifact->outputs()}) {
    for (const model::ExportedValue& value : values) {
      if (value.dims().size() != value.shape().rank()) __builtin_trap();
      const Result<std::optional<Sharding>> sharding = value.sharding();
      if (sharding && *sharding)
        seen += (*sharding)->tile_dims(value.shape().dims).size() + to_string(**sharding).size();
      seen += to_string(value).size() + value.path().size() + value.name().size();
    }
  }
  for (const std::size_t kept : artifact->kept_inputs()) {
    if (!artifact->inputs()[kept].is_kept()) __builtin_trap();
  }
  for (const model::DisabledCheck& check : artifact->disabled_checks()) seen += to_string(check).size();
  if (const Result<void> ok = artifact->check_static(); !ok) seen += to_string(ok.error()).size();
  (void)artifact->platform_index("cpu");
  return seen == 0;
}
