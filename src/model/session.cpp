#include "pjrt/model/session.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "core/executable_state.hpp"
#include "core/try.hpp"
#include "model/interface.hpp"
#include "model/names.hpp"
#include "model/replicas.hpp"
#include "model/shards.hpp"

namespace pjrt {

using model::JaxExport;
using model::Model;

namespace {

/// Buffers of an input that stay on the devices, one for each device that takes it.
using Resident = std::shared_ptr<const std::vector<Buffer>>;
using ResidentInputs = std::map<std::size_t, Resident>;

/// "arg0 (x), f32[2]; arg1, f32[3]; and 4 more".
std::string listed(std::span<const SessionValue* const> values) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(values.size(), kShown); ++i)
    text += (i == 0 ? "" : "; ") + model::label(*values[i]) + ", " + to_string(values[i]->shape);
  if (values.size() > kShown) text += "; and " + std::to_string(values.size() - kShown) + " more";
  return text;
}

}  // namespace

struct Session::State {
  State(Model m, Client c, LoadedExecutable e) : model(std::move(m)), client(std::move(c)), executable(std::move(e)) {}

  Model model;
  Client client;
  LoadedExecutable executable;
  int replicas = 1;
  /// The devices the program runs on, and which replica and partition each of them is.
  std::vector<Device> devices;
  std::vector<LogicalId> places;
  /// How many inputs the program has; `inputs` has those of single replicas behind them.
  std::size_t input_count = 0;
  std::vector<SessionValue> inputs;
  std::shared_ptr<std::vector<SessionValue>> outputs = std::make_shared<std::vector<SessionValue>>();
  model::ReplicaNames input_names;
  std::shared_ptr<const model::ReplicaNames> output_names;
  /// The inputs that the program uses, in the order of its parameters.
  std::vector<std::size_t> used_inputs;
  /// What the program takes before its inputs: the platform's index, on each device.
  std::vector<Buffer> platform_index;
  /// Replaced as a whole: a run keeps what it began with.
  mutable std::mutex bound_mutex;
  std::shared_ptr<const ResidentInputs> bound = std::make_shared<const ResidentInputs>();

  Result<void> describe();
  Result<void> upload_platform_index(ElementType type);
  Result<Resident> upload(std::size_t input, const HostBuffer& array) const;
  Result<void> check(std::size_t input, const HostBuffer& array) const;
  Result<void> check_given(std::span<const std::optional<HostBuffer>> arrays, const ResidentInputs& kept) const;
  Result<ResidentInputs> upload_given(std::span<const std::optional<HostBuffer>> arrays) const;
  std::vector<std::vector<Argument>> arguments(const ResidentInputs& given, const ResidentInputs& kept) const;
  Result<HostBuffer> assemble(std::size_t output, const std::vector<Outputs>& results) const;

  bool takes(std::size_t device, const SessionValue& value) const {
    return !value.replica || *value.replica == places[device].replica;
  }
  /// The same input for one replica alone.
  std::size_t of_replica(std::size_t input, int replica) const {
    return replicas == 1 ? input
                         : input_count + input * static_cast<std::size_t>(replicas) + static_cast<std::size_t>(replica);
  }
  std::shared_ptr<const ResidentInputs> bound_now() const {
    const std::lock_guard lock(bound_mutex);
    return bound;
  }
};

Result<void> Session::State::describe() {
  for (const Device& d : executable.addressable_devices()) devices.push_back(d);
  if (devices.empty()) devices.push_back(client.addressable_devices()[0]);
  places.assign(devices.size(), {});
  if (devices.size() > 1) {
    PJRT_TRY(const std::optional<DeviceAssignment> assignment, executable.device_assignment());
    const int partitions = std::max(static_cast<int>(devices.size()) / replicas, 1);
    for (std::size_t i = 0; i < devices.size(); ++i) {
      places[i] = {static_cast<int>(i) / partitions, static_cast<int>(i) % partitions};
      if (!assignment) continue;
      if (const std::optional<LogicalId> id = assignment->lookup(devices[i].id())) places[i] = *id;
    }
  }
  PJRT_TRY(model::Interface interface,
           model::interface_of(model, detail::signature_of(*executable.state()), executable.output_shapes()));
  input_count = interface.inputs.size();
  input_names = model::ReplicaNames(interface.inputs, model::ReplicaNames::Of::Inputs, replicas);
  output_names =
      std::make_shared<const model::ReplicaNames>(interface.outputs, model::ReplicaNames::Of::Outputs, replicas);
  inputs = model::inputs_of_replicas(std::move(interface.inputs), replicas);
  *outputs = model::outputs_of_replicas(std::move(interface.outputs), replicas);
  for (std::size_t i = 0; i < input_count; ++i) {
    if (inputs[i].used) used_inputs.push_back(i);
  }
  if (interface.platform_index) PJRT_CHECK(upload_platform_index(*interface.platform_index));
  return {};
}

Result<void> Session::State::upload_platform_index(ElementType type) {
  PJRT_TRY(const std::size_t index, model.jax_export()->platform_index(client.platform_name()));
  const bool wide = type == ElementType::S64;
  for (const Device& device : devices) {
    Result<Buffer> buffer =
        wide ? client.upload(static_cast<std::int64_t>(index), {.device = device, .memory = {}, .layout = {}})
             : client.upload(static_cast<std::int32_t>(index), {.device = device, .memory = {}, .layout = {}});
    if (!buffer) return std::unexpected(std::move(buffer).error());
    platform_index.push_back(*std::move(buffer));
  }
  return {};
}

Result<void> Session::State::check(std::size_t input, const HostBuffer& array) const {
  const SessionValue& value = inputs[input];
  if (array.shape() == value.shape) return {};
  return std::unexpected(Error(ErrorCode::InvalidArgument, "input " + model::label(value) + " is " +
                                                               to_string(array.shape()) + ", the model takes " +
                                                               to_string(value.shape)));
}

Result<Resident> Session::State::upload(std::size_t input, const HostBuffer& array) const {
  PJRT_CHECK(check(input, array));
  const SessionValue& value = inputs[input];
  auto buffers = std::make_shared<std::vector<Buffer>>();
  for (std::size_t d = 0; d < devices.size(); ++d) {
    if (!takes(d, value)) continue;
    PJRT_TRY(const HostBuffer tile, model::cut_tile(array, value.sharding, places[d].partition));
    Result<Buffer> buffer = client.upload(tile.view(), {.device = devices[d], .memory = {}, .layout = {}});
    if (!buffer) return std::unexpected(buffer.error().with_context("input " + model::label(value)));
    buffers->push_back(*std::move(buffer));
  }
  return buffers;
}

/// Whether a run has all that it needs, before anything is uploaded.
Result<void> Session::State::check_given(std::span<const std::optional<HostBuffer>> arrays,
                                         const ResidentInputs& kept) const {
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (!arrays[i]) continue;
    PJRT_CHECK(check(i, *arrays[i]));
    if (i < input_count) continue;
    if (const std::size_t whole = (i - input_count) / static_cast<std::size_t>(replicas); arrays[whole]) {
      return std::unexpected(Error(ErrorCode::InvalidArgument, "input " + model::label(inputs[whole]) +
                                                                   " is given for every replica, and as " +
                                                                   inputs[i].path + " for one of them again"));
    }
  }
  const auto is_there = [&](std::size_t i) { return (i < arrays.size() && arrays[i]) || kept.contains(i); };
  std::vector<const SessionValue*> missing;
  for (const std::size_t i : used_inputs) {
    if (is_there(i)) continue;
    const std::size_t before = missing.size();
    for (int r = 0; r < replicas; ++r) {
      if (const std::size_t single = of_replica(i, r); !is_there(single)) missing.push_back(&inputs[single]);
    }
    if (missing.size() - before == static_cast<std::size_t>(replicas)) {  // for none of them: one name says it
      missing.resize(before);
      missing.push_back(&inputs[i]);
    }
  }
  if (missing.empty()) return {};
  return std::unexpected(Error(ErrorCode::InvalidArgument, missing.size() == 1
                                                               ? "input " + listed(missing) + ", is missing"
                                                               : "inputs are missing: " + listed(missing)));
}

/// What is given and used, on the devices.
Result<ResidentInputs> Session::State::upload_given(std::span<const std::optional<HostBuffer>> arrays) const {
  ResidentInputs given;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (!arrays[i] || !inputs[i].used) continue;
    PJRT_TRY(Resident buffers, upload(i, *arrays[i]));
    given.emplace_hint(given.end(), i, std::move(buffers));
  }
  return given;
}

/// The arguments of each device: what is given, for its replica or for all of them, else what is kept. One of them is
/// there.
std::vector<std::vector<Argument>> Session::State::arguments(const ResidentInputs& given,
                                                             const ResidentInputs& kept) const {
  std::vector<std::vector<Argument>> all(devices.size());
  std::vector<std::size_t> within_replica;  // the number of a device among those of its replica
  std::vector<std::size_t> seen(static_cast<std::size_t>(replicas), 0);
  for (std::size_t d = 0; d < devices.size(); ++d) {
    within_replica.push_back(seen[static_cast<std::size_t>(places[d].replica)]++);
    if (!platform_index.empty()) all[d].push_back(keep(platform_index[d]));
  }
  for (const std::size_t i : used_inputs) {
    for (std::size_t d = 0; d < devices.size(); ++d) {
      const std::size_t single = of_replica(i, places[d].replica);
      for (const auto& [from, input] : {std::pair(&given, single), {&given, i}, {&kept, single}, {&kept, i}}) {
        const auto it = from->find(input);
        if (it == from->end()) continue;
        all[d].emplace_back((*it->second)[input == i ? d : within_replica[d]], /*keep=*/from == &kept);
        break;
      }
    }
  }
  return all;
}

Result<HostBuffer> Session::State::assemble(std::size_t output, const std::vector<Outputs>& results) const {
  const SessionValue& value = (*outputs)[output];
  const std::size_t number = output / static_cast<std::size_t>(replicas);
  std::optional<HostBuffer> all;
  for (std::size_t d = 0; d < devices.size(); ++d) {
    if (!takes(d, value)) continue;
    PJRT_TRY(HostBuffer tile, results[d][number].to_host());
    if (value.sharding.is_replicated()) return tile;
    if (!all) {
      PJRT_TRY(all, HostBuffer::allocate(value.shape));
    }
    PJRT_CHECK(model::paste_tile(tile, value.sharding, places[d].partition, *all));
  }
  if (all) return *std::move(all);
  return std::unexpected(
      Error(ErrorCode::Unimplemented, "output " + model::label(value) + " is on no device of this process"));
}

Result<Session> Session::open(const std::filesystem::path& path, const SessionOptions& options) try {
  PJRT_TRY(const Model model, Model::open(path));
  return open(model, options);
}
PJRT_CATCH

Result<Session> Session::open(const Model& model, const SessionOptions& options) try {
  std::optional<Plugin> plugin = options.plugin;
  if (!plugin) {
    PJRT_TRY(plugin, Plugin::load_default());
  }
  PJRT_TRY(Client client, Client::create(*plugin, {options.client_options, nullptr}));
  const auto wanted = static_cast<std::size_t>(model.device_count());
  if (options.device == 0 && client.platform_name() == "cpu" && client.addressable_devices().size() < wanted &&
      options.client_options.find("cpu_device_count") == nullptr) {
    NamedValues more = options.client_options;
    more.add("cpu_device_count", wanted);
    PJRT_TRY(client, Client::create(*plugin, {std::move(more), nullptr}));
  }
  return open(model, client, options.compile_options, options.device);
}
PJRT_CATCH

Result<Session> Session::open(const Model& model, const Client& client, const CompileOptions& compile_options,
                              int device) try {
  PJRT_CHECK(model.check_runnable(client.platform_name()));
  PJRT_CHECK(model.check_arguments());
  PJRT_TRY(CompileOptions options, model.compile_options(compile_options));
  const Devices devices = client.addressable_devices();
  const std::size_t count =
      static_cast<std::size_t>(options.num_partitions()) * static_cast<std::size_t>(options.num_replicas());
  if (device < 0 || static_cast<std::size_t>(device) >= devices.size()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "there is no device " + std::to_string(device) +
                                                                 "; the client has " + std::to_string(devices.size())));
  }
  if (count > devices.size() - static_cast<std::size_t>(device)) {
    return std::unexpected(Error(ErrorCode::FailedPrecondition,
                                 "the model runs on " + std::to_string(count) + " devices; the client has " +
                                     std::to_string(devices.size()) +
                                     (device > 0 ? ", counted from device " + std::to_string(device) : "")));
  }
  if (!options.device_assignment()) {
    std::vector<std::int64_t> ids;
    for (std::size_t i = 0; i < count; ++i) ids.push_back(devices[static_cast<std::size_t>(device) + i].id());
    PJRT_TRY(DeviceAssignment assignment,
             DeviceAssignment::create(options.num_replicas(), options.num_partitions(), std::move(ids)));
    options.device_assignment(std::move(assignment));
  }
  Result<LoadedExecutable> executable = client.compile(model.program(), options);
  if (!executable) {
    Error error = std::move(executable).error();
    if (const JaxExport* artifact = model.jax_export();
        artifact != nullptr && !artifact->custom_call_targets().empty()) {
      std::string targets;
      for (const std::string& t : artifact->custom_call_targets()) targets += (targets.empty() ? "" : ", ") + t;
      error = std::move(error).with_note("the module makes the custom calls " + targets +
                                         "; what the plugin does not have must be registered");
    }
    return std::unexpected(std::move(error));
  }
  auto state = std::make_shared<State>(model, client, *std::move(executable));
  state->replicas = options.num_replicas();
  PJRT_CHECK(state->describe());
  return Session(std::move(state));
}
PJRT_CATCH

namespace {

// What a session or outputs that were moved from answer. Never destroyed: answers may be kept beyond main.

const Client& no_client() {
  static const auto* const none = new Client(Client::none());
  return *none;
}
const LoadedExecutable& no_executable() {
  static const auto* const none = new LoadedExecutable(detail::Ref<detail::LoadedExecutableState>());
  return *none;
}
const Model& no_model() {
  static const auto* const none = new Model(Model::from_program(Program::mlir("")));
  return *none;
}
const SessionValue& no_value() {
  static const auto* const none = new SessionValue;
  return *none;
}
const HostBuffer& no_array() {
  static const auto* const none = new HostBuffer(
      *HostBuffer::from_vector(std::vector<std::uint8_t>(), Dimensions{0}));  // cannot fail: nothing is allocated
  return *none;
}

std::unexpected<Error> moved_from(const char* type) {
  return std::unexpected(
      Error(ErrorCode::FailedPrecondition, std::string("the ") + type + " is empty: it was moved from"));
}

}  // namespace

std::span<const SessionValue> Session::inputs() const& noexcept {
  return state_ ? std::span<const SessionValue>(state_->inputs) : std::span<const SessionValue>();
}
std::span<const SessionValue> Session::outputs() const& noexcept {
  return state_ ? std::span<const SessionValue>(*state_->outputs) : std::span<const SessionValue>();
}
const Client& Session::client() const& noexcept {
  return state_ ? state_->client : no_client();
}
const LoadedExecutable& Session::executable() const& noexcept {
  return state_ ? state_->executable : no_executable();
}
const Model& Session::model() const& noexcept {
  return state_ ? state_->model : no_model();
}

Result<std::size_t> Session::find_input(std::string_view name) const try {
  if (!state_) return moved_from("Session");
  return state_->input_names.find(name);
}
PJRT_CATCH
Result<std::size_t> Session::find_output(std::string_view name) const try {
  if (!state_) return moved_from("Session");
  return state_->output_names->find(name);
}
PJRT_CATCH

Result<std::size_t> SessionOutputs::find(std::string_view name) const try {
  if (!names_) return moved_from("SessionOutputs");
  return names_->find(name);
}
PJRT_CATCH

const SessionValue& SessionOutputs::value(std::size_t i) const noexcept {
  return values_ && i < values_->size() ? (*values_)[i] : no_value();
}

const HostBuffer& SessionOutputs::operator[](std::size_t i) const& noexcept {
  return i < arrays_.size() ? arrays_[i] : no_array();
}
HostBuffer SessionOutputs::operator[](std::size_t i) && {
  return std::as_const(*this)[i];
}

SessionOutputs::Entry SessionOutputs::operator[](std::string_view name) const& try {
  const Result<std::size_t> i = find(name);
  if (!i) return Entry(std::unexpected(i.error()));
  return Entry((*this)[*i]);
} catch (...) {
  return Entry(std::unexpected(detail::caught()));
}
SessionOutputs::OwnedEntry SessionOutputs::operator[](std::string_view name) && try {
  return OwnedEntry(std::as_const(*this)[name].array());
} catch (...) {
  return OwnedEntry(std::unexpected(detail::caught()));
}

Result<void> Session::bind(std::string_view name, const HostBuffer& array) try {
  if (!state_) return moved_from("Session");
  State& s = *state_;
  PJRT_TRY(const std::size_t i, find_input(name));
  if (!s.inputs[i].used) return s.check(i, array);
  PJRT_TRY(Resident buffers, s.upload(i, array));
  const std::lock_guard lock(s.bound_mutex);
  ResidentInputs bound = *s.bound;
  if (i < s.input_count) {  // for every replica: what single ones had before is replaced as well
    for (int r = 0; r < s.replicas; ++r) bound.erase(s.of_replica(i, r));
  }
  bound[i] = std::move(buffers);
  s.bound = std::make_shared<const ResidentInputs>(std::move(bound));
  return {};
}
PJRT_CATCH

Result<SessionOutputs> Session::run(const NamedArrays& named) const try {
  if (!state_) return moved_from("Session");
  std::vector<std::optional<HostBuffer>> arrays(state_->inputs.size());
  for (const auto& [name, array] : named) {
    PJRT_TRY(const std::size_t i, find_input(name));
    if (arrays[i])
      return std::unexpected(
          Error(ErrorCode::InvalidArgument, "input " + model::label(state_->inputs[i]) + " is given twice"));
    arrays[i] = array;
  }
  return run(arrays);
}
PJRT_CATCH

Result<SessionOutputs> Session::run(std::initializer_list<std::pair<std::string, HostBuffer>> inputs) const try {
  return run(NamedArrays(inputs));
}
PJRT_CATCH

Result<SessionOutputs> Session::run(std::span<const std::optional<HostBuffer>> arrays) const try {
  if (!state_) return moved_from("Session");
  const State& s = *state_;
  if (arrays.size() != s.inputs.size() && arrays.size() != s.input_count) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, std::to_string(arrays.size()) + " arrays, the model has " +
                                                                 std::to_string(s.input_count) + " inputs"));
  }
  const std::shared_ptr<const ResidentInputs> kept = s.bound_now();
  PJRT_CHECK(s.check_given(arrays, *kept));
  PJRT_TRY(const ResidentInputs given, s.upload_given(arrays));
  const std::vector<std::vector<Argument>> arguments = s.arguments(given, *kept);
  std::vector<Outputs> results;
  if (s.devices.size() == 1) {
    ExecuteOptions options;
    if (s.executable.addressable_devices().empty()) options.device = s.devices.front();
    PJRT_TRY(Outputs outputs, s.executable.execute(std::span<const Argument>(arguments.front()), options));
    results.push_back(std::move(outputs));
  } else {
    PJRT_TRY(results, s.executable.execute(std::span<const std::vector<Argument>>(arguments)));
  }
  for (const Outputs& outputs : results) PJRT_CHECK(outputs.await());
  std::vector<HostBuffer> all;
  for (std::size_t i = 0; i < s.outputs->size(); ++i) {
    PJRT_TRY(HostBuffer array, s.assemble(i, results));
    all.push_back(std::move(array));
  }
  return SessionOutputs(s.outputs, s.output_names, std::move(all));
}
PJRT_CATCH

}  // namespace pjrt
