#include "pjrt/executable.hpp"

#include <numeric>
#include <utility>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/discovery.hpp"
#include "core/executable_state.hpp"
#include "core/hash.hpp"
#include "core/try.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace detail {

void retain(ExecutableState* s) noexcept {
  s->references.fetch_add(1, std::memory_order_relaxed);
}

void release(ExecutableState* s) noexcept {
  if (s->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete s;
}

ExecutableState::~ExecutableState() {
  if (!parent && raw != nullptr) call_quietly<fn::PJRT_Executable_Destroy>(*plugin, {.executable = raw});
}

const Ref<ExecutableState>& no_executable() noexcept {
  static const auto* const none = [] {
    auto* state = new ExecutableState;
    state->plugin = &no_plugin();
    return new Ref<ExecutableState>(Ref<ExecutableState>::adopt(state));
  }();
  return *none;
}

Executable make_executable(const PluginState& plugin, abi::PJRT_Executable* raw) {
  auto* state = new ExecutableState;
  state->plugin = &plugin;
  state->raw = raw;
  return Executable(Ref<ExecutableState>::adopt(state));
}

Result<std::vector<Shape>> read_output_shapes(const PluginState& plugin, abi::PJRT_Executable* raw) {
  PJRT_TRY(const auto types, call<fn::PJRT_Executable_OutputElementTypes>(plugin, {.executable = raw}));
  PJRT_TRY(const auto dims, call<fn::PJRT_Executable_OutputDimensions>(plugin, {.executable = raw}));
  if (types.num_output_types != dims.num_outputs) {
    return std::unexpected(Error(ErrorCode::Internal, "the plugin gives " + std::to_string(types.num_output_types) +
                                                          " output types and " + std::to_string(dims.num_outputs) +
                                                          " output dimensions"));
  }
  PJRT_TRY(const auto raw_types,
           given<fn::PJRT_Executable_OutputElementTypes>(types.output_types, types.num_output_types));
  PJRT_TRY(const auto ranks, given<fn::PJRT_Executable_OutputDimensions>(dims.dim_sizes, dims.num_outputs));
  const std::size_t count = std::accumulate(ranks.begin(), ranks.end(), std::size_t{0});
  PJRT_TRY(const auto sizes, given<fn::PJRT_Executable_OutputDimensions>(dims.dims, count));
  std::vector<Shape> shapes;
  shapes.reserve(ranks.size());
  std::size_t at = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    shapes.push_back({from_c(raw_types[i]), Dimensions(sizes.subspan(at, ranks[i]))});
    at += ranks[i];
  }
  return shapes;
}

const SerializedExecutable::Origin& origin_of(const PluginState& plugin) {
  std::call_once(plugin.origin_once, [&] {
    auto& origin = plugin.origin;
    const Result<NamedValues> attributes = Plugin(&plugin).attributes();
    const Value* xla = attributes ? attributes->find("xla_version") : nullptr;
    origin.platform = plugin_name_of(plugin.path.empty() ? std::filesystem::path(plugin.name) : plugin.path);
    origin.api_version = plugin.version;
    origin.xla_version = xla != nullptr ? to_string(*xla) : "";
    origin.plugin_id = plugin.path.empty() ? "adopted" : file_id(plugin.path);
  });
  return plugin.origin;
}

Result<Program> read_optimized_program(const PluginState& plugin, abi::PJRT_Executable* raw) {
  abi::PJRT_Program program{};
  program.struct_size = abi::struct_size<abi::PJRT_Program>;
  abi::PJRT_Executable_OptimizedProgram_Args args{};
  args.executable = raw;
  args.program = &program;
  PJRT_CHECK(call<fn::PJRT_Executable_OptimizedProgram>(plugin, args));  // asks for the size
  std::string code(program.code_size, '\0');
  program.code = code.data();
  PJRT_CHECK(call<fn::PJRT_Executable_OptimizedProgram>(plugin, args));
  return Program(std::string(text(program.format, program.format_size)), std::move(code));
}

}  // namespace detail

Plugin Executable::plugin() const noexcept {
  return Plugin(state_->plugin);
}
abi::PJRT_Executable* Executable::raw() const noexcept {
  return state_ ? state_->raw : nullptr;
}

Result<std::string> Executable::name() const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Executable_Name>(*state_->plugin, {.executable = state_->raw}));
  return std::string(detail::text(args.executable_name, args.executable_name_size));
}
PJRT_CATCH

Result<int> Executable::num_replicas() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Executable_NumReplicas>(*state_->plugin, {.executable = state_->raw}));
  return static_cast<int>(args.num_replicas);
}
PJRT_CATCH

Result<int> Executable::num_partitions() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Executable_NumPartitions>(*state_->plugin, {.executable = state_->raw}));
  return static_cast<int>(args.num_partitions);
}
PJRT_CATCH

Result<std::size_t> Executable::num_outputs() const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Executable_NumOutputs>(*state_->plugin, {.executable = state_->raw}));
  return args.num_outputs;
}
PJRT_CATCH

Result<std::vector<Shape>> Executable::output_shapes() const try {
  return detail::read_output_shapes(*state_->plugin, state_->raw);
}
PJRT_CATCH

namespace {

template <class F>
Result<std::vector<std::string>> strings(const char* const* texts, const std::size_t* sizes, std::size_t count) {
  PJRT_CHECK(detail::given<F>(texts, count));
  PJRT_CHECK(detail::given<F>(sizes, count));
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.emplace_back(detail::text(texts[i], sizes[i]));
  return all;
}

}  // namespace

Result<std::vector<std::string>> Executable::output_memory_kinds() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Executable_OutputMemoryKinds>(*state_->plugin, {.executable = state_->raw}));
  return strings<fn::PJRT_Executable_OutputMemoryKinds>(args.memory_kinds, args.memory_kind_sizes, args.num_outputs);
}
PJRT_CATCH

Result<std::vector<std::string>> Executable::parameter_memory_kinds() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Executable_ParameterMemoryKinds>(*state_->plugin, {.executable = state_->raw}));
  return strings<fn::PJRT_Executable_ParameterMemoryKinds>(args.memory_kinds, args.memory_kind_sizes,
                                                           args.num_parameters);
}
PJRT_CATCH

Result<std::int64_t> Executable::size_of_generated_code() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Executable_SizeOfGeneratedCodeInBytes>(*state_->plugin, {.executable = state_->raw}));
  return args.size_in_bytes;
}
PJRT_CATCH

Result<std::string> Executable::fingerprint() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Executable_Fingerprint>(*state_->plugin, {.executable = state_->raw}));
  return std::string(detail::text(args.executable_fingerprint, args.executable_fingerprint_size));
}
PJRT_CATCH

Result<NamedValues> Executable::cost_analysis() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Executable_GetCostAnalysis>(*state_->plugin, {.executable = state_->raw}));
  return detail::from_c(args.properties, args.num_properties);
}
PJRT_CATCH

Result<CompiledMemoryStats> Executable::memory_stats() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Executable_GetCompiledMemoryStats>(*state_->plugin, {.executable = state_->raw}));
  CompiledMemoryStats s;
  s.generated_code = args.generated_code_size_in_bytes;
  s.argument = args.argument_size_in_bytes;
  s.output = args.output_size_in_bytes;
  s.alias = args.alias_size_in_bytes;
  s.temp = args.temp_size_in_bytes;
  s.host_generated_code = args.host_generated_code_size_in_bytes;
  s.host_argument = args.host_argument_size_in_bytes;
  s.host_output = args.host_output_size_in_bytes;
  s.host_alias = args.host_alias_size_in_bytes;
  s.host_temp = args.host_temp_size_in_bytes;
  const auto since = [&](int minor, std::int64_t value) {
    return state_->plugin->version >= Version{0, minor} ? std::optional(value) : std::nullopt;
  };
  s.peak = since(72, args.peak_memory_in_bytes);
  s.total = since(90, args.total_size_in_bytes);
  s.total_allocation = since(104, args.total_allocation_bytes);
  s.indefinite_allocations = since(104, args.indefinite_allocations);
  s.peak_unpadded_heap = since(104, args.peak_unpadded_heap_bytes);
  return s;
}
PJRT_CATCH

Result<SerializedCompileOptions> Executable::serialized_compile_options() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Executable_GetCompileOptions>(*state_->plugin, {.executable = state_->raw}));
  return detail::own_bytes(*state_->plugin, args.serialized_bytes, args.serialized_bytes_size,
                           args.serialized_compile_options, args.serialized_compile_options_deleter);
}
PJRT_CATCH

Result<CompileOptions> Executable::compile_options() const try {
  PJRT_TRY(const SerializedCompileOptions bytes, serialized_compile_options());
  return CompileOptions::parse(bytes.text());
}
PJRT_CATCH

Result<Program> Executable::optimized_program() const try {
  return detail::read_optimized_program(*state_->plugin, state_->raw);
}
PJRT_CATCH

Result<SerializedExecutable> Executable::serialize() const try {
  PJRT_TRY(const detail::OwnedBytes payload, serialize_raw());
  return SerializedExecutable(detail::origin_of(*state_->plugin), payload.bytes());
}
PJRT_CATCH

Result<detail::OwnedBytes> Executable::serialize_raw() const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Executable_Serialize>(*state_->plugin, {.executable = state_->raw}));
  return detail::own_bytes(*state_->plugin, args.serialized_bytes, args.serialized_bytes_size,
                           args.serialized_executable, args.serialized_executable_deleter);
}
PJRT_CATCH

}  // namespace pjrt
