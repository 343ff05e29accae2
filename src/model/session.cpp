#include "pjrt/model/session.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "core/executable_state.hpp"
#include "core/try.hpp"
#include "model/interface.hpp"
#include "model/names.hpp"
#include "model/shards.hpp"

namespace pjrt {

using model::JaxExport;
using model::Model;

struct Session::State {
  State(Model m, Client c, LoadedExecutable e) : model(std::move(m)), client(std::move(c)), executable(std::move(e)) {}

  Model model;
  Client client;
  LoadedExecutable executable;
  /// The devices the program runs on, and which partition each of them is.
  std::vector<Device> devices;
  std::vector<std::int64_t> partitions;
  std::vector<SessionValue> inputs;
  std::shared_ptr<std::vector<SessionValue>> outputs = std::make_shared<std::vector<SessionValue>>();
  model::NameIndex input_names;
  std::shared_ptr<const model::NameIndex> output_names;
  /// The parameter of the compiled program that each used input is, and the inputs in the order of parameters.
  std::vector<std::size_t> used_inputs;
  /// What the program takes before its inputs: the platform's index, on each device.
  std::vector<Buffer> platform_index;
  /// Inputs that stay on the devices.
  std::map<std::size_t, std::vector<Buffer>> bound;

  Result<void> describe();
  Result<void> upload_platform_index(ElementType type);
  Result<std::vector<Buffer>> upload(std::size_t input, const HostBuffer& array) const;
  Result<void> check(std::size_t input, const HostBuffer& array) const;
  Result<HostBuffer> assemble(std::size_t output, const std::vector<Outputs>& results) const;
};

Result<void> Session::State::describe() {
  for (const Device& d : executable.addressable_devices()) devices.push_back(d);
  if (devices.empty()) devices.push_back(client.addressable_devices()[0]);
  partitions.assign(devices.size(), 0);
  if (devices.size() > 1) {
    PJRT_TRY(const std::optional<DeviceAssignment> assignment, executable.device_assignment());
    for (std::size_t i = 0; i < devices.size(); ++i) {
      partitions[i] = static_cast<std::int64_t>(i);
      if (!assignment) continue;
      if (const std::optional<LogicalId> id = assignment->lookup(devices[i].id())) partitions[i] = id->partition;
    }
  }
  PJRT_TRY(model::Interface interface,
           model::interface_of(model, detail::signature_of(*executable.state()), executable.output_shapes()));
  inputs = std::move(interface.inputs);
  *outputs = std::move(interface.outputs);
  input_names = model::NameIndex(inputs, "input");
  output_names = std::make_shared<const model::NameIndex>(*outputs, "output");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
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

Result<std::vector<Buffer>> Session::State::upload(std::size_t input, const HostBuffer& array) const {
  PJRT_CHECK(check(input, array));
  const SessionValue& value = inputs[input];
  std::vector<Buffer> buffers;
  for (std::size_t d = 0; d < devices.size(); ++d) {
    PJRT_TRY(const HostBuffer tile, model::cut_tile(array, value.sharding, partitions[d]));
    Result<Buffer> buffer = client.upload(tile.view(), {.device = devices[d], .memory = {}, .layout = {}});
    if (!buffer) return std::unexpected(buffer.error().with_context("input " + model::label(value)));
    buffers.push_back(*std::move(buffer));
  }
  return buffers;
}

Result<HostBuffer> Session::State::assemble(std::size_t output, const std::vector<Outputs>& results) const {
  const SessionValue& value = (*outputs)[output];
  if (value.sharding.is_replicated()) return results.front()[output].to_host();
  PJRT_TRY(HostBuffer all, HostBuffer::allocate(value.shape));
  for (std::size_t d = 0; d < devices.size(); ++d) {
    PJRT_TRY(const HostBuffer tile, results[d][output].to_host());
    PJRT_CHECK(model::paste_tile(tile, value.sharding, partitions[d], all));
  }
  return all;
}

Result<Session> Session::open(const std::filesystem::path& path, const SessionOptions& options) {
  PJRT_TRY(const Model model, Model::open(path));
  return open(model, options);
}

Result<Session> Session::open(const Model& model, const SessionOptions& options) {
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

Result<Session> Session::open(const Model& model, const Client& client, const CompileOptions& compile_options,
                              int device) {
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
  PJRT_CHECK(state->describe());
  return Session(std::move(state));
}

std::span<const SessionValue> Session::inputs() const noexcept {
  return state_->inputs;
}
std::span<const SessionValue> Session::outputs() const noexcept {
  return *state_->outputs;
}
const Client& Session::client() const noexcept {
  return state_->client;
}
const LoadedExecutable& Session::executable() const noexcept {
  return state_->executable;
}
const Model& Session::model() const noexcept {
  return state_->model;
}

Result<std::size_t> Session::find_input(std::string_view name) const {
  return state_->input_names.find(name);
}
Result<std::size_t> Session::find_output(std::string_view name) const {
  return state_->output_names->find(name);
}

Result<std::size_t> SessionOutputs::find(std::string_view name) const {
  return names_->find(name);
}

SessionOutputs::Entry SessionOutputs::operator[](std::string_view name) const {
  const Result<std::size_t> i = find(name);
  if (!i) return Entry(std::unexpected(i.error()));
  return Entry(arrays_[*i]);
}

Result<void> Session::bind(std::string_view name, const HostBuffer& array) {
  PJRT_TRY(const std::size_t i, find_input(name));
  if (!state_->inputs[i].used) return state_->check(i, array);
  PJRT_TRY(std::vector<Buffer> buffers, state_->upload(i, array));
  state_->bound.insert_or_assign(i, std::move(buffers));
  return {};
}

Result<SessionOutputs> Session::run(const NamedArrays& named) const {
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

Result<SessionOutputs> Session::run(std::span<const std::optional<HostBuffer>> arrays) const {
  const State& s = *state_;
  if (arrays.size() != s.inputs.size()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, std::to_string(arrays.size()) + " arrays, the model has " +
                                                                 std::to_string(s.inputs.size()) + " inputs"));
  }
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i]) PJRT_CHECK(s.check(i, *arrays[i]));
  }
  std::vector<std::vector<Buffer>> uploaded;  // by parameter, then device
  uploaded.reserve(s.used_inputs.size());
  std::vector<std::vector<Argument>> arguments(s.devices.size());
  for (std::size_t d = 0; d < s.platform_index.size(); ++d) arguments[d].push_back(keep(s.platform_index[d]));
  for (const std::size_t i : s.used_inputs) {
    const auto resident = s.bound.find(i);
    if (!arrays[i] && resident == s.bound.end()) {
      return std::unexpected(Error(ErrorCode::InvalidArgument, "input " + model::label(s.inputs[i]) + ", " +
                                                                   to_string(s.inputs[i].shape) + ", is missing"));
    }
    if (arrays[i]) {
      PJRT_TRY(std::vector<Buffer> buffers, s.upload(i, *arrays[i]));
      uploaded.push_back(std::move(buffers));
      for (std::size_t d = 0; d < s.devices.size(); ++d) arguments[d].emplace_back(uploaded.back()[d]);
    } else {
      for (std::size_t d = 0; d < s.devices.size(); ++d) arguments[d].push_back(keep(resident->second[d]));
    }
  }
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

}  // namespace pjrt
