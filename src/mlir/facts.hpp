#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/shape.hpp"
#include "pjrt/sharding.hpp"

/// What can be learnt from MLIR modules without MLIR: from their text and from their bytecode, in the same words.
namespace pjrt::mlir {

/// A size that is not known before the program runs.
inline constexpr std::int64_t kDynamic = -1;

/// Brackets, regions or references of attributes to each other that may lie within one another. Plugins read them by
/// recursion, and the process dies when their stack is used up.
inline constexpr std::size_t kMostNesting = 512;
/// Dimensions of an array.
inline constexpr std::size_t kMostDimensions = 255;
/// Arguments or results of a function.
inline constexpr std::size_t kMostValues = std::size_t{1} << 20;
/// Replicas, and partitions.
inline constexpr std::int64_t kMostDevices = 1 << 16;

/// The type of a value.
struct ValueType {
  /// As MLIR writes it: "tensor<2x?xf32>".
  std::string text;
  bool is_array = false;
  /// Of an array: the element type in PJRT's numbering, Invalid for one that has no number there, and as MLIR writes
  /// it. Token for a token.
  ElementType element = ElementType::Invalid;
  std::string element_text;
  /// Sizes, kDynamic for unknown ones.
  std::vector<std::int64_t> dims;
  /// Whether there are unknown sizes without an upper bound, or the number of dimensions is unknown.
  bool is_unbounded = false;
};

/// "f32[2,?]"; "!quant.uniform<i8:f32, 0.5:3>[4]" for element types that PJRT has no number for; "token[]"; other types
/// as MLIR writes them.
PJRT_EXPORT std::string to_string(const ValueType& type);

/// An argument or a result of main.
struct ModuleValue {
  ValueType type;
  /// The name in its location; empty if there is none.
  std::string name;
  /// Marked tf.aliasing_output or jax.buffer_donor.
  bool donated = false;
  /// How it is cut, in GSPMD's words or in Shardy's; empty if the module does not say.
  std::string sharding_text;
  std::optional<Sharding> sharding;
};

/// The facts of a module.
struct ModuleFacts {
  std::string name;
  int partitions = 1;
  int replicas = 1;
  /// Whether it is sharded in Shardy's words, not in GSPMD's.
  bool uses_shardy = false;
  bool has_main = false;
  std::vector<ModuleValue> arguments;
  std::vector<ModuleValue> results;
  /// Sorted, each once.
  std::vector<std::string> custom_calls;
  /// Symbols that are used and not defined, sorted.
  std::vector<std::string> missing_symbols;
  /// Results of custom calls whose sizes nobody can find out: "@f gives f32[?]".
  std::vector<std::string> unbounded_calls;
  /// Why what main takes and gives is not known, where it is not.
  std::string unknown_interface;
};

/// Reads text or bytecode. InvalidArgument or DataLoss for what is no module or a damaged one, and for nesting beyond
/// what plugins bear; Unimplemented for bytecode of a version not known here.
PJRT_EXPORT Result<ModuleFacts> read_facts(std::string_view code);

/// What makes plugins end the process, or is known to fail: Unimplemented for unbounded dimensions of arguments,
/// results and custom calls, InvalidArgument for symbols that are used and not defined.
PJRT_EXPORT Result<void> check(const ModuleFacts& facts);

/// An integer that a module's attribute holds, as a number of replicas or partitions.
Result<int> to_count(std::string_view attribute, std::int64_t value);

}  // namespace pjrt::mlir
