#include "pjrt/loaded_executable.hpp"

#include <utility>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/executable_state.hpp"
#include "core/handle_errors.hpp"
#include "core/try.hpp"
#include "pjrt/client.hpp"
#include "proto/hlo.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace detail {

void retain(LoadedExecutableState* s) noexcept {
  s->references.fetch_add(1, std::memory_order_relaxed);
}

void release(LoadedExecutableState* s) noexcept {
  if (s->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete s;
}

LoadedExecutableState::~LoadedExecutableState() {
  if (executable != nullptr) call_quietly<fn::PJRT_Executable_Destroy>(plugin(), {.executable = executable});
  if (raw != nullptr) call_quietly<fn::PJRT_LoadedExecutable_Destroy>(plugin(), {.executable = raw});
}

Result<LoadedExecutable> make_loaded_executable(Ref<ClientState> client, abi::PJRT_LoadedExecutable* raw,
                                                const CompileOptions* options) {
  auto state = Ref<LoadedExecutableState>::adopt(new LoadedExecutableState);
  state->client = std::move(client);
  state->raw = raw;
  const PluginState& plugin = state->plugin();
  PJRT_CHECK(given<fn::PJRT_Client_Compile>(raw));
  PJRT_TRY(const auto view, call<fn::PJRT_LoadedExecutable_GetExecutable>(plugin, {.loaded_executable = raw}));
  PJRT_TRY(state->executable, given<fn::PJRT_LoadedExecutable_GetExecutable>(view.executable));
  PJRT_TRY(const auto name, call<fn::PJRT_Executable_Name>(plugin, {.executable = state->executable}));
  state->name = text(name.executable_name, name.executable_name_size);
  PJRT_TRY(const auto outputs, call<fn::PJRT_Executable_NumOutputs>(plugin, {.executable = state->executable}));
  state->num_outputs = outputs.num_outputs;
  if (auto shapes = read_output_shapes(plugin, state->executable); shapes && shapes->size() == state->num_outputs) {
    state->output_shapes = *std::move(shapes);
  }
  PJRT_TRY(const auto devices, call<fn::PJRT_LoadedExecutable_AddressableDevices>(plugin, {.executable = raw}));
  PJRT_TRY(const auto raw_devices, given<fn::PJRT_LoadedExecutable_AddressableDevices>(
                                       devices.addressable_devices, devices.num_addressable_devices));
  for (auto* raw_device : raw_devices) {
    PJRT_TRY(const DeviceRecord* device, find_device(*state->client, raw_device));
    state->devices.push_back(device);
  }
  LoadedExecutable executable(state);
  if (options != nullptr) {
    state->tuples_arguments = options->tuples_arguments();
  } else if (const Result<CompileOptions> own = executable.executable().compile_options()) {
    state->tuples_arguments = own->tuples_arguments();
  }
  return executable;
}

namespace {

Signature read_signature(const PluginState& plugin, abi::PJRT_Executable* raw, std::size_t num_outputs) {
  Signature s;
  s.output_layouts.assign(num_outputs, UnknownLayout{});
  s.output_is_dynamic.assign(num_outputs, true);
  const Result<Program> program = read_optimized_program(plugin, raw);
  if (!program || (program->format() != "hlo_with_config" && program->format() != "hlo")) return s;
  Result<proto::HloSignature> hlo = proto::parse_hlo_signature(program->code(), program->format());
  if (!hlo || hlo->results.size() != num_outputs) return s;

  s.known = true;
  s.has_tuple_parameter = hlo->has_tuple_parameter;
  for (std::size_t i = 0; i < hlo->parameters.size(); ++i) {
    proto::ParsedShape& from = hlo->parameters[i];
    Parameter& to = s.parameters.emplace_back();
    if (i < hlo->parameter_names.size()) to.name = std::move(hlo->parameter_names[i]);
    to.shape = std::move(from.shape);
    if (from.layout && !from.layout->is_row_major()) to.layout = std::move(from.layout);
    to.donated = hlo->donated[i];
    s.any_donated |= to.donated;
  }
  for (std::size_t i = 0; i < num_outputs; ++i) {
    proto::ParsedShape& from = hlo->results[i];
    s.output_is_dynamic[i] = from.has_dynamic_dimension;
    if (from.layout) s.output_layouts[i] = MemoryLayout(*std::move(from.layout));
  }
  s.parameter_shardings = std::move(hlo->parameter_shardings);
  s.output_shardings = std::move(hlo->result_shardings);
  return s;
}

}  // namespace

Signature read_signature(const Executable& executable, std::size_t num_outputs) {
  return read_signature(*executable.state()->plugin, executable.raw(), num_outputs);
}

const Signature& signature_of(LoadedExecutableState& state) {
  const Signature* known = state.signature.load(std::memory_order_acquire);
  if (known == nullptr) [[unlikely]] {
    const std::lock_guard lock(state.signature_mutex);
    known = state.signature.load(std::memory_order_acquire);
    if (known == nullptr) {
      state.signature_storage =
          std::make_unique<const Signature>(read_signature(state.plugin(), state.executable, state.num_outputs));
      known = state.signature_storage.get();
      state.signature.store(known, std::memory_order_release);
    }
  }
  return *known;
}

}  // namespace detail

Executable LoadedExecutable::executable() const {
  if (!state_) return Executable(detail::no_executable());
  auto* state = new detail::ExecutableState;
  state->plugin = &state_->plugin();
  state->raw = state_->executable;
  state->parent = state_;
  return Executable(detail::Ref<detail::ExecutableState>::adopt(state));
}

Client LoadedExecutable::client() const noexcept {
  return Client(state_ ? state_->client : detail::no_client());
}
const std::string& LoadedExecutable::name() const& noexcept {
  static const std::string nothing;
  return state_ ? state_->name : nothing;
}
std::span<const Shape> LoadedExecutable::output_shapes() const& noexcept {
  return state_ ? std::span<const Shape>(state_->output_shapes) : std::span<const Shape>();
}
abi::PJRT_LoadedExecutable* LoadedExecutable::raw() const noexcept {
  return state_ ? state_->raw : nullptr;
}
Devices LoadedExecutable::addressable_devices() const noexcept {
  if (!state_) return {detail::no_client(), {}};
  return {state_->client, state_->devices};
}

namespace {

Result<void> check_held(const detail::Ref<detail::LoadedExecutableState>& state) {
  if (state) return {};
  return std::unexpected(detail::moved_from("executable"));
}

}  // namespace

Result<std::span<const Parameter>> LoadedExecutable::parameters() const& try {
  PJRT_CHECK(check_held(state_));
  const detail::Signature& s = detail::signature_of(*state_);
  if (!s.known) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "plugin " + Plugin(state_->client->plugin).description() +
                                                               " does not tell the parameters of executable '" +
                                                               state_->name + "'"));
  }
  return std::span<const Parameter>(s.parameters);
}
PJRT_CATCH

Result<std::vector<LogicalId>> LoadedExecutable::addressable_device_logical_ids() const try {
  PJRT_CHECK(check_held(state_));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_LoadedExecutable_AddressableDeviceLogicalIds>(
                                state_->plugin(), {.executable = state_->raw}));
  std::vector<LogicalId> ids;
  PJRT_TRY(const auto raw_ids, detail::given<fn::PJRT_LoadedExecutable_AddressableDeviceLogicalIds>(
                                   args.addressable_device_logical_ids, args.num_addressable_device_logical_ids));
  for (const abi::PJRT_LogicalDeviceIds& id : raw_ids) ids.push_back({id.replica, id.partition});
  return ids;
}
PJRT_CATCH

Result<std::optional<DeviceAssignment>> LoadedExecutable::device_assignment() const try {
  PJRT_CHECK(check_held(state_));
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_LoadedExecutable_GetDeviceAssignment>(state_->plugin(), {.executable = state_->raw}));
  // For a portable executable the size is 0 and the pointer is not written.
  const std::size_t size = args.serialized_bytes_size;
  const detail::OwnedBytes bytes =
      detail::own_bytes(state_->plugin(), size == 0 ? nullptr : args.serialized_bytes, size,
                        args.serialized_device_assignment, args.serialized_device_assignment_deleter);
  if (bytes.size() == 0) return std::nullopt;
  PJRT_TRY(DeviceAssignment assignment, DeviceAssignment::parse(bytes.text()));
  return assignment;
}
PJRT_CATCH

Result<void> LoadedExecutable::delete_now() try {
  PJRT_CHECK(check_held(state_));
  PJRT_CHECK(detail::call<fn::PJRT_LoadedExecutable_Delete>(state_->plugin(), {.executable = state_->raw}));
  state_->deleted.store(true);
  return {};
}
PJRT_CATCH

bool LoadedExecutable::is_deleted() const noexcept {
  if (!state_ || state_->deleted.load()) return true;
  const auto args = detail::call<fn::PJRT_LoadedExecutable_IsDeleted>(state_->plugin(), {.executable = state_->raw});
  return args && args->is_deleted;
}

Result<std::string> LoadedExecutable::fingerprint() const try {
  PJRT_CHECK(check_held(state_));
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_LoadedExecutable_Fingerprint>(state_->plugin(), {.executable = state_->raw}));
  return std::string(detail::text(args.executable_fingerprint, args.executable_fingerprint_size));
}
PJRT_CATCH

}  // namespace pjrt
