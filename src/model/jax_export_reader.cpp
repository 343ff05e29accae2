#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "mlir/bytecode.hpp"
#include "model/dimension.hpp"
#include "model/jax_export_state.hpp"
#include "model/jax_sharding.hpp"
#include "model/pytree.hpp"

namespace pjrt::model::detail {
namespace {

namespace exported {
constexpr Field kSerializationVersion{0, "serialization_version"};
constexpr Field kFunctionName{1, "function_name"};
constexpr Field kInTree{2, "in_tree"};
constexpr Field kInAvals{3, "in_avals"};
constexpr Field kOutTree{4, "out_tree"};
constexpr Field kOutAvals{5, "out_avals"};
constexpr Field kDevicesShort{6, "nr_devices_short"};
constexpr Field kInShardings{7, "in_shardings"};
constexpr Field kOutShardings{8, "out_shardings"};
constexpr Field kPlatforms{9, "platforms"};
constexpr Field kOrderedEffects{10, "ordered_effects"};
constexpr Field kUnorderedEffects{11, "unordered_effects"};
constexpr Field kDisabledChecks{12, "disabled_checks"};
constexpr Field kModule{13, "mlir_module_serialized"};
constexpr Field kCallingConventionVersion{14, "calling_convention_version"};
constexpr Field kKeptInputs{15, "module_kept_var_idx"};
constexpr Field kUsesGlobalConstants{16, "uses_global_constants"};
constexpr Field kVjp{17, "vjp"};
constexpr Field kDevices{18, "nr_devices"};
constexpr Field kUniqueAvals{19, "unique_avals"};
constexpr Field kUniqueMeshes{20, "unique_abstract_meshes"};
constexpr Field kUniqueShardings{21, "unique_named_shardings"};
constexpr Field kInAvalIndices{22, "in_avals_idxs"};
constexpr Field kOutAvalIndices{23, "out_avals_idxs"};
constexpr Field kInShardingIndices{24, "in_shardings_idxs"};
constexpr Field kOutShardingIndices{25, "out_shardings_idxs"};
constexpr Field kJaxVersion{26, "jax_version"};
}  // namespace exported

namespace aval {
constexpr Field kKind{0, "kind"};
constexpr Field kShape{1, "shape"};
constexpr Field kDtype{2, "dtype"};
constexpr Field kMemorySpace{3, "memory_space"};
}  // namespace aval

namespace effect {
constexpr Field kTypeName{0, "type_name"};
}

namespace check {
constexpr Field kKind{0, "kind"};
constexpr Field kTarget{1, "custom_call_target"};
}  // namespace check

struct DType {
  ElementType type;
  std::string_view name;
  std::int64_t key_words = 0;  // of a PRNG key, which the module takes as that many u32
};

/// By their numbers in artifacts.
constexpr std::array<DType, 30> kDTypes = {{
    {ElementType::Pred, "bool"},
    {ElementType::S8, "int8"},
    {ElementType::S16, "int16"},
    {ElementType::S32, "int32"},
    {ElementType::S64, "int64"},
    {ElementType::U8, "uint8"},
    {ElementType::U16, "uint16"},
    {ElementType::U32, "uint32"},
    {ElementType::U64, "uint64"},
    {ElementType::F16, "float16"},
    {ElementType::F32, "float32"},
    {ElementType::F64, "float64"},
    {ElementType::C64, "complex64"},
    {ElementType::C128, "complex128"},
    {ElementType::BF16, "bfloat16"},
    {ElementType::S4, "int4"},
    {ElementType::U4, "uint4"},
    {ElementType::F8E4M3B11FNUZ, "float8_e4m3b11fnuz"},
    {ElementType::F8E4M3FN, "float8_e4m3fn"},
    {ElementType::F8E4M3FNUZ, "float8_e4m3fnuz"},
    {ElementType::F8E5M2, "float8_e5m2"},
    {ElementType::F8E5M2FNUZ, "float8_e5m2fnuz"},
    {ElementType::Pred, "float0"},  // without values in JAX, tensor<…xi1> in the module
    {ElementType::F8E4M3, "float8_e4m3"},
    {ElementType::F8E3M4, "float8_e3m4"},
    {ElementType::F8E8M0FNU, "float8_e8m0fnu"},
    {ElementType::F4E2M1FN, "float4_e2m1fn"},
    {ElementType::U32, "key<fry>", 2},
    {ElementType::U32, "key<rbg>", 4},
    {ElementType::U32, "key<urbg>", 4},
}};

constexpr std::size_t kMostDimensions = 255;
constexpr std::int64_t kMostDevices = std::int64_t{1} << 22;

std::unexpected<Error> bad(std::string what) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, std::move(what)));
}

std::unexpected<Error> unsupported(std::string what) {
  return std::unexpected(Error(ErrorCode::Unimplemented, std::move(what)));
}

/// Whether a string of a module is the name of a custom call that JAX lets into artifacts unasked.
bool is_stable_custom_call(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kPrefixes = {"lapack_",   "cusolver_", "hipsolver_",
                                                                "cusparse_", "cu_",       "hip_"};
  static constexpr std::array<std::string_view, 17> kNames = {"Sharding",
                                                              "SPMDFullToShardShape",
                                                              "SPMDShardToFullShape",
                                                              "annotate_device_placement",
                                                              "Eigh",
                                                              "Qr",
                                                              "ProductOfElementaryHouseholderReflectors",
                                                              "LuDecomposition",
                                                              "ApproxTopK",
                                                              "stablehlo.dynamic_approx_top_k",
                                                              "tf.call_tf_function",
                                                              "tpu_custom_call",
                                                              "AllocateBuffer",
                                                              "mosaic_gpu_v2",
                                                              "stablehlo.dynamic_reduce_window",
                                                              "stablehlo.dynamic_rng_bit_generator",
                                                              "stablehlo.dynamic_top_k"};
  return name == "shape_assertion" || std::ranges::find(kNames, name) != kNames.end() ||
         std::ranges::any_of(kPrefixes, [name](std::string_view prefix) { return name.starts_with(prefix); });
}

Result<ArrayRef> read_array(const FlatTable& table) {
  PJRT_TRY(const auto kind, table.scalar<std::int8_t>(aval::kKind));
  if (kind != 0) return unsupported("it holds a value that is not an array (kind " + std::to_string(kind) + ")");
  PJRT_TRY(const auto dtype, table.scalar<std::int8_t>(aval::kDtype));
  if (dtype < 0 || static_cast<std::size_t>(dtype) >= kDTypes.size()) {
    return unsupported("it has an element type that is not known here (number " + std::to_string(dtype) + ")");
  }
  PJRT_TRY(const auto space, table.scalar<std::int8_t>(aval::kMemorySpace));
  if (space < 0 || space > std::to_underlying(MemorySpace::Any)) {
    return unsupported("it has a memory space that is not known here (number " + std::to_string(space) + ")");
  }
  auto array = std::make_shared<ExportedArray>();
  array->space = static_cast<MemorySpace>(space);
  std::vector<std::int64_t> dims;
  PJRT_CHECK(table.each_string(aval::kShape, [&](std::string text) -> Result<void> {
    if (dims.size() == kMostDimensions)
      return bad("an array of more than " + std::to_string(kMostDimensions) + " dimensions");
    PJRT_TRY(const std::int64_t size, parse_dimension(text));
    dims.push_back(size);
    array->dims.push_back(std::move(text));
    return {};
  }));
  array->logical_rank = dims.size();
  array->symbolic = std::ranges::find(dims, ExportedValue::kSymbolic) != dims.end();
  const DType& known = kDTypes[static_cast<std::size_t>(dtype)];
  array->dtype = known.name;
  if (known.key_words != 0) {
    dims.push_back(known.key_words);
    array->dims.push_back(std::to_string(known.key_words));
  }
  array->shape = Shape{known.type, Dimensions(dims)};
  return array;
}

Result<std::vector<std::string>> read_effects(const FlatTable& root, Field field) {
  std::vector<std::string> names;
  PJRT_CHECK(root.each_table(field, "Effect", [&](FlatTable table) -> Result<void> {
    PJRT_TRY(auto name, table.string(effect::kTypeName));
    names.push_back(std::move(name).value_or(""));
    return {};
  }));
  return names;
}

Result<std::vector<DisabledCheck>> read_disabled_checks(const FlatTable& root) {
  std::vector<DisabledCheck> checks;
  PJRT_CHECK(root.each_table(exported::kDisabledChecks, "DisabledSafetyCheck", [&](FlatTable table) -> Result<void> {
    PJRT_TRY(const auto kind, table.scalar<std::int8_t>(check::kKind));
    PJRT_TRY(auto target, table.string(check::kTarget));
    if (kind < 0 || kind > std::to_underlying(DisabledCheck::Kind::ShapeAssertions)) {
      return unsupported("it disables a safety check that is not known here (number " + std::to_string(kind) + ")");
    }
    checks.push_back({static_cast<DisabledCheck::Kind>(kind), std::move(target).value_or("")});
    return {};
  }));
  return checks;
}

}  // namespace

class JaxExportReader {
 public:
  explicit JaxExportReader(const FlatTable& root) : root_(root) {}

  Result<JaxExportState> read() && {
    PJRT_CHECK(read_program());
    PJRT_CHECK(read_header());
    PJRT_CHECK(read_uniques());
    PJRT_TRY(state_.inputs, read_values(exported::kInTree, argument_paths, exported::kInAvalIndices, exported::kInAvals,
                                        exported::kInShardingIndices, exported::kInShardings));
    PJRT_TRY(state_.outputs, read_values(exported::kOutTree, result_paths, exported::kOutAvalIndices,
                                         exported::kOutAvals, exported::kOutShardingIndices, exported::kOutShardings));
    PJRT_CHECK(read_kept_inputs());
    ask_module();
    return std::move(state_);
  }

 private:
  Result<void> read_program() {
    PJRT_TRY(state_.module, read_module(root_));
    if (!mlir::is_bytecode(state_.module)) return bad("it has no StableHLO module");
    PJRT_TRY(const auto convention, root_.scalar<std::uint16_t>(exported::kCallingConventionVersion));
    if (convention != 9 && convention != 10) {
      return unsupported("it has the calling convention " + std::to_string(convention) +
                         "; only 9 and 10 are known here");
    }
    state_.calling_convention_version = convention;
    return {};
  }

  Result<void> read_header() {
    PJRT_TRY(state_.serialization_version, root_.scalar<std::uint16_t>(exported::kSerializationVersion));
    PJRT_TRY(auto function_name, root_.string(exported::kFunctionName));
    if (!function_name) return bad("it has no function name");
    state_.function_name = *std::move(function_name);
    PJRT_TRY(state_.jax_version, root_.string(exported::kJaxVersion));
    PJRT_CHECK(root_.each_string(exported::kPlatforms, [&](std::string platform) -> Result<void> {
      state_.platforms.push_back(std::move(platform));
      return {};
    }));
    if (state_.platforms.empty()) return bad("it names no platform");
    PJRT_TRY(const auto uses_global_constants, root_.scalar<std::uint8_t>(exported::kUsesGlobalConstants));
    state_.uses_global_constants = uses_global_constants != 0;
    PJRT_TRY(const auto vjp, root_.table(exported::kVjp, "Exported"));
    state_.has_vjp = vjp.has_value();
    PJRT_TRY(const auto devices, root_.scalar<std::uint32_t>(exported::kDevices));
    PJRT_TRY(const auto devices_short, root_.scalar<std::int16_t>(exported::kDevicesShort));
    state_.device_count = devices != 0 ? std::int64_t{devices} : std::int64_t{devices_short};
    if (state_.device_count < 1 || state_.device_count > kMostDevices) {
      return bad("it is for " + std::to_string(state_.device_count) + " devices");
    }
    PJRT_TRY(state_.ordered_effects, read_effects(root_, exported::kOrderedEffects));
    PJRT_TRY(state_.unordered_effects, read_effects(root_, exported::kUnorderedEffects));
    PJRT_TRY(state_.disabled_checks, read_disabled_checks(root_));
    return {};
  }

  Result<void> read_uniques() {
    for (const Field field : {exported::kUniqueAvals, exported::kUniqueMeshes, exported::kUniqueShardings}) {
      PJRT_TRY(const std::size_t count, root_.size(field));
      if (count > 2 * kMostLeaves) return bad(std::string(field.name) + " has " + std::to_string(count) + " entries");
    }
    PJRT_CHECK(root_.each_table(exported::kUniqueAvals, "AbstractValue", [&](FlatTable table) -> Result<void> {
      PJRT_TRY(auto array, read_array(table));
      arrays_.push_back(std::move(array));
      return {};
    }));
    PJRT_CHECK(root_.each_table(exported::kUniqueMeshes, "AbstractMesh", [&](FlatTable table) -> Result<void> {
      PJRT_TRY(auto mesh, read_mesh(table));
      meshes_.push_back(std::move(mesh));
      return {};
    }));
    return root_.each_table(exported::kUniqueShardings, "NamedSharding", [&](FlatTable table) -> Result<void> {
      PJRT_TRY(auto sharding, read_named_sharding(table, meshes_, state_.device_count));
      shardings_.push_back(std::move(sharding));
      return {};
    });
  }

  template <class Paths>
  Result<std::vector<ExportedValue>> read_values(Field tree, Paths paths_of, Field array_indices, Field arrays,
                                                 Field sharding_indices, Field shardings) const {
    PJRT_TRY(const auto root, root_.table(tree, "PyTreeDef"));
    if (!root) return bad(std::string("it has no ") + tree.name);
    PJRT_TRY(std::vector<std::string> paths, paths_of(*root));
    std::vector<ExportedValue> values;
    values.reserve(paths.size());
    for (std::string& path : paths) values.push_back(ExportedValue(std::move(path)));
    PJRT_CHECK(read_arrays(array_indices, arrays, values));
    PJRT_CHECK(read_shardings(sharding_indices, shardings, values));
    return values;
  }

  static Result<void> check_count(Field field, std::size_t count, std::size_t values) {
    if (count == values) return {};
    return bad(std::string(field.name) + " has " + std::to_string(count) + " entries for the " +
               std::to_string(values) + " leaves of its pytree");
  }

  Result<void> read_arrays(Field indices, Field whole, std::vector<ExportedValue>& values) const {
    PJRT_TRY(const auto numbers, root_.numbers<std::uint32_t>(indices));
    if (!numbers.empty()) {
      PJRT_CHECK(check_count(indices, numbers.size(), values.size()));
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (numbers[i] >= arrays_.size()) {
          return bad(values[i].path_ + " is of type " + std::to_string(numbers[i]) + " of the " +
                     std::to_string(arrays_.size()) + " it lists");
        }
        values[i].array_ = arrays_[numbers[i]];
      }
      return {};
    }
    PJRT_TRY(const std::size_t count, root_.size(whole));
    PJRT_CHECK(check_count(whole, count, values.size()));
    std::size_t i = 0;
    return root_.each_table(whole, "AbstractValue", [&](FlatTable table) -> Result<void> {
      ExportedValue& value = values[i++];
      PJRT_TRY(value.array_, read_array(table));
      return {};
    });
  }

  /// None at all leaves all of them open.
  Result<void> read_shardings(Field indices, Field whole, std::vector<ExportedValue>& values) const {
    PJRT_TRY(const auto numbers, root_.numbers<std::uint32_t>(indices));
    if (!numbers.empty()) {
      PJRT_CHECK(check_count(indices, numbers.size(), values.size()));
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (numbers[i] == 0) continue;
        if (numbers[i] > shardings_.size()) {
          return bad(values[i].path_ + " has sharding " + std::to_string(numbers[i]) + " of the " +
                     std::to_string(shardings_.size()) + " it lists");
        }
        values[i].sharding_ = shardings_[numbers[i] - 1];
      }
      return {};
    }
    PJRT_TRY(const std::size_t count, root_.size(whole));
    if (count == 0) return {};
    PJRT_CHECK(check_count(whole, count, values.size()));
    std::size_t i = 0;
    return root_.each_table(whole, "Sharding", [&](FlatTable table) -> Result<void> {
      ExportedValue& value = values[i++];
      PJRT_TRY(value.sharding_, read_sharding(table, meshes_, state_.device_count));
      return {};
    });
  }

  Result<void> read_kept_inputs() {
    for (ExportedValue& input : state_.inputs) input.kept_ = false;
    PJRT_TRY(const auto kept, root_.numbers<std::uint16_t>(exported::kKeptInputs));
    for (const std::size_t index : kept) {
      if (index >= state_.inputs.size()) {
        return bad("its module takes input " + std::to_string(index) + ", but there are " +
                   std::to_string(state_.inputs.size()));
      }
      if (!state_.kept_inputs.empty() && index <= state_.kept_inputs.back()) {
        return bad(std::string(exported::kKeptInputs.name) + " is not ascending");
      }
      state_.kept_inputs.push_back(index);
      state_.inputs[index].kept_ = true;
    }
    return {};
  }

  /// What only the module tells: names, donation, custom calls. Nobody needs them to run it, so that one which cannot
  /// be read here is no error.
  void ask_module() {
    const Result<mlir::ModuleFacts> facts = mlir::read_bytecode(state_.module);
    if (!facts) return guess_custom_calls();
    state_.custom_call_targets = facts->custom_calls;
    constexpr std::size_t kLongestName = 1024;
    const std::size_t before = (state_.platforms.size() > 1 ? 1 : 0) + state_.ordered_effects.size();
    if (facts->arguments.size() != before + state_.kept_inputs.size()) return;
    for (std::size_t i = 0; i < state_.kept_inputs.size(); ++i) {
      const mlir::ModuleValue& argument = facts->arguments[before + i];
      ExportedValue& input = state_.inputs[state_.kept_inputs[i]];
      if (argument.name.size() <= kLongestName) input.name_ = argument.name;
      input.donated_ = argument.donated;
    }
  }

  void guess_custom_calls() {
    const Result<std::vector<std::string_view>> strings = mlir::bytecode_strings(state_.module);
    if (!strings) return;
    std::set<std::string_view> allowed;
    for (const DisabledCheck& check : state_.disabled_checks) {
      if (check.kind == DisabledCheck::Kind::CustomCall) allowed.insert(check.target);
    }
    for (const std::string_view name : *strings) {
      if (is_stable_custom_call(name) || allowed.contains(name)) state_.custom_call_targets.emplace_back(name);
    }
    std::ranges::sort(state_.custom_call_targets);
  }

  const FlatTable& root_;
  JaxExportState state_;
  std::vector<ArrayRef> arrays_;
  Meshes meshes_;
  std::vector<ShardingRef> shardings_;
};

Result<std::span<const std::byte>> read_module(const FlatTable& artifact) {
  PJRT_TRY(const auto bytes, artifact.numbers<std::uint8_t>(exported::kModule));
  return std::as_bytes(bytes);
}

Result<JaxExportState> read_jax_export(const FlatTable& artifact) {
  return JaxExportReader(artifact).read();
}

}  // namespace pjrt::model::detail
