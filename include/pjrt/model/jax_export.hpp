#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "pjrt/element_type.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/program.hpp"
#include "pjrt/shape.hpp"
#include "pjrt/sharding.hpp"

namespace pjrt::model {

namespace detail {
struct ExportedArray;
struct ExportedSharding;
struct JaxExportState;
class JaxExportReader;
}  // namespace detail

/// Where JAX wants an array to lie. Artifacts of older versions do not say.
enum class MemorySpace : int { Unspecified = 0, Device = 1, Host = 2, Any = 3 };

/// "unspecified", "device", "host", "any".
PJRT_EXPORT std::string_view name(MemorySpace space) noexcept;

/// An array that an exported function takes or gives. A small value; copies share what they say.
class PJRT_EXPORT ExportedValue {
 public:
  /// Moving copies, so that no handle is ever empty.
  ExportedValue(const ExportedValue&) = default;
  ExportedValue& operator=(const ExportedValue&) = default;

  /// Its place among the arguments or results, steps written as jax.tree_util.keystr writes them: "args[0]['w']",
  /// "args[1].mean", "kwargs['scale']", "result[1]"; plain "result" where a function returns one array.
  const std::string& path() const noexcept { return path_; }
  /// What the function's author called it: "x", "params['w']". Empty for results, for inputs that are not kept, and
  /// where the module does not tell.
  const std::string& name() const noexcept { return name_; }

  /// What the module takes or gives. A PRNG key is u32 with one more dimension, float0 is pred.
  ElementType type() const noexcept { return shape().type; }
  /// JAX's name of the type: "float32", "bfloat16", "key<fry>", "float0".
  std::string_view dtype() const noexcept;
  /// The same as type and dimensions; kSymbolic for a dimension that is not a number.
  const Shape& shape() const noexcept;
  static constexpr std::int64_t kSymbolic = -1;
  /// Every dimension as JAX writes it: "3", "b", "2*h + 1".
  std::span<const std::string> dims() const noexcept;
  /// Whether any dimension is an expression instead of a number.
  bool is_symbolic() const noexcept;
  MemorySpace memory_space() const noexcept;

  /// Whether the module takes this input; JAX drops those that a function does not use. Results are always kept.
  bool is_kept() const noexcept { return kept_; }
  /// Whether running the module may consume this input (donate_argnums).
  bool is_donated() const noexcept { return donated_; }

  /// How it is cut among the artifact's devices; nullopt where the artifact leaves that open. Unimplemented for manual
  /// and unreduced axes, InvalidArgument for what does not fit the array or its mesh. Computed at each call.
  Result<std::optional<Sharding>> sharding() const;

 private:
  friend class detail::JaxExportReader;
  explicit ExportedValue(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::string name_;
  std::shared_ptr<const detail::ExportedArray> array_;
  std::shared_ptr<const detail::ExportedSharding> sharding_;
  bool kept_ = true;
  bool donated_ = false;
};

/// "f32[b,3]".
PJRT_EXPORT std::string to_string(const ExportedValue& value);

/// A check that the author of an artifact switched off (jax.export.DisabledSafetyCheck).
struct DisabledCheck {
  enum class Kind : int { Platform = 0, CustomCall = 1, ShapeAssertions = 2 };
  Kind kind = Kind::Platform;
  /// The custom call that is allowed; empty for other kinds.
  std::string target;

  friend bool operator==(const DisabledCheck&, const DisabledCheck&) = default;
};

/// "platform", "custom_call:my_target", "shape_assertions".
PJRT_EXPORT std::string to_string(const DisabledCheck& check);

/// An artifact of jax.export: a function as StableHLO with all that JAX knows of its arguments and results.
///
/// Read once by `parse` with every offset checked, so that a damaged or hostile file gives an error. Copies share one
/// immutable state and may be used from several threads.
class PJRT_EXPORT JaxExport {
 public:
  /// Moving copies, so that no handle is ever empty.
  JaxExport(const JaxExport&) = default;
  JaxExport& operator=(const JaxExport&) = default;

  /// Whether bytes are laid out like an artifact. They have no magic number: this looks for a module where an artifact
  /// has it.
  static bool looks_like(std::span<const std::byte> file);
  /// Reads an artifact in memory that `owner` keeps alive; without an owner it is copied. DataLoss for a damaged or
  /// truncated file; InvalidArgument for what contradicts itself or is no artifact; Unimplemented for calling
  /// conventions other than 9 and 10, element types of newer JAX versions, and tokens among the arguments.
  static Result<JaxExport> parse(std::span<const std::byte> file, std::shared_ptr<const void> owner = nullptr);

  /// The name of the function, for people.
  const std::string& function_name() const noexcept;
  /// "0.12.0"; nullopt for artifacts of versions before 0.11, which do not say.
  const std::optional<std::string>& jax_version() const noexcept;
  /// What the artifact says; JAX wrote 3 for all formats from 3 to 11.
  int serialization_version() const noexcept;
  /// 9 or 10.
  int calling_convention_version() const noexcept;
  /// What it was made for: "cpu", "cuda", "rocm", "tpu". Never empty.
  std::span<const std::string> platforms() const noexcept;
  /// How many devices take part in one run.
  std::int64_t device_count() const noexcept;
  /// Whether the module needs shapes or a platform filled in. True for all artifacts of several platforms.
  bool uses_global_constants() const noexcept;
  /// Class names as Python prints them: "<class 'jax._src.debugging.OrderedDebugEffect'>".
  std::span<const std::string> ordered_effects() const noexcept;
  std::span<const std::string> unordered_effects() const noexcept;
  std::span<const DisabledCheck> disabled_checks() const noexcept;
  /// Whether the artifact also holds the function's derivative.
  bool has_vjp() const noexcept;

  /// All leaves of (args, kwargs), in JAX's order. The module takes those that are kept.
  std::span<const ExportedValue> inputs() const noexcept;
  /// All leaves of the result, in JAX's order.
  std::span<const ExportedValue> outputs() const noexcept;
  /// Indices of the inputs that the module takes, ascending.
  std::span<const std::size_t> kept_inputs() const noexcept;
  /// The module's main takes, in this order: the platform's index as a scalar if has_platform_index(); token_count()
  /// tokens; the kept inputs. It gives as many tokens, then the outputs.
  bool has_platform_index() const noexcept { return platforms().size() > 1; }
  std::size_t token_count() const noexcept { return ordered_effects().size(); }
  /// The index of a platform among platforms(). FailedPrecondition if it is not there, unless the artifact disables
  /// that check: then 0, as JAX does.
  Result<std::size_t> platform_index(std::string_view platform) const;

  /// The module as a StableHLO portable artifact, in the file's memory.
  std::span<const std::byte> module() const noexcept;
  /// The module to compile; its bytes are copied.
  Program program() const;
  /// The custom calls that the module makes, sorted, those that XLA handles itself ("Sharding", "shape_assertion")
  /// included. Read from the module's operations; if those are encoded in a way not known here, those among its strings
  /// that JAX allows at export.
  std::span<const std::string> custom_call_targets() const noexcept;

  /// Unimplemented if dimensions are symbolic, naming them and the arrays that have them: PJRT compiles no such
  /// modules.
  [[nodiscard]] Result<void> check_static() const;

 private:
  explicit JaxExport(std::shared_ptr<const detail::JaxExportState> state) : state_(std::move(state)) {}
  std::shared_ptr<const detail::JaxExportState> state_;
};

}  // namespace pjrt::model
