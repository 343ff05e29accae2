#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/flatbuffer.hpp"
#include "pjrt/error.hpp"
#include "pjrt/model/jax_export.hpp"

namespace pjrt::model::detail {

/// What an artifact says of the type of an array; arrays of one type share it.
struct ExportedArray {
  Shape shape;
  std::vector<std::string> dims;
  std::size_t logical_rank = 0;
  std::string_view dtype;
  MemorySpace space = MemorySpace::Unspecified;
  bool symbolic = false;
};
using ArrayRef = std::shared_ptr<const ExportedArray>;

struct JaxExportState {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> module;
  std::string function_name;
  std::optional<std::string> jax_version;
  int serialization_version = 0;
  int calling_convention_version = 0;
  std::vector<std::string> platforms;
  std::int64_t device_count = 1;
  bool uses_global_constants = false;
  bool has_vjp = false;
  std::vector<std::string> ordered_effects;
  std::vector<std::string> unordered_effects;
  std::vector<DisabledCheck> disabled_checks;
  std::vector<ExportedValue> inputs;
  std::vector<ExportedValue> outputs;
  std::vector<std::size_t> kept_inputs;
  std::vector<std::string> custom_call_targets;
};

/// The bytes of the module; empty where an artifact has none.
Result<std::span<const std::byte>> read_module(const FlatTable& artifact);

/// All of an artifact but the owner of its memory.
Result<JaxExportState> read_jax_export(const FlatTable& artifact);

}  // namespace pjrt::model::detail
