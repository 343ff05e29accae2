#include "compiled.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "json.hpp"
#include "pjrt/ext/abi_version.hpp"
#include "pjrt/model/jax_export.hpp"
#include "quiet.hpp"

namespace pjrt::cli {
namespace {

template <class T>
std::optional<T> if_told(Result<T> result) {
  return result ? std::optional<T>(*std::move(result)) : std::nullopt;
}

std::optional<std::string> abi_version_of(const Executable& executable) {
  const Result<ext::AbiVersion> extension = executable.plugin().extension<ext::AbiVersion>();
  if (!extension) return std::nullopt;
  const Result<ext::ExecutableAbiVersion> version = extension->executable_version(executable);
  return version ? if_told(version->to_proto()) : std::nullopt;
}

Result<Executable> compile_program(const Target& target, const model::Model& model, CompileOptions options) {
  if (target.topology) return compile(*target.topology, model.program(), options);
  std::vector<std::int64_t> ids;
  const std::size_t count =
      static_cast<std::size_t>(options.num_replicas()) * static_cast<std::size_t>(options.num_partitions());
  for (std::size_t i = 0; i < count; ++i) ids.push_back(target.devices[i].id());
  Result<DeviceAssignment> assignment =
      DeviceAssignment::create(options.num_replicas(), options.num_partitions(), std::move(ids));
  if (!assignment) return std::unexpected(std::move(assignment).error());
  options.device_assignment(*std::move(assignment));
  const Result<LoadedExecutable> loaded = target.client->compile(model.program(), options);
  if (!loaded) return std::unexpected(loaded.error());
  return loaded->executable();
}

/// A line about memory: its key in JSON, its name for people.
struct MemoryRow {
  const char* key;
  const char* title;
  std::optional<std::int64_t> bytes;
};

std::vector<MemoryRow> rows(const CompiledMemoryStats& m) {
  std::vector<MemoryRow> all = {{"arguments", "arguments", m.argument},
                                {"outputs", "outputs", m.output},
                                {"aliased", "  of them in arguments' memory", m.alias},
                                {"temporaries", "temporaries", m.temp},
                                {"code", "code", m.generated_code},
                                {"peak", "peak", m.peak},
                                {"total", "total", m.total}};
  const std::pair<const char*, std::int64_t> host[] = {{"host_arguments", m.host_argument},
                                                       {"host_outputs", m.host_output},
                                                       {"host_aliased", m.host_alias},
                                                       {"host_temporaries", m.host_temp},
                                                       {"host_code", m.host_generated_code}};
  for (const auto& [key, bytes] : host) {
    if (bytes != 0) all.push_back({key, key, bytes});
  }
  return all;
}

std::string dims_text(std::span<const std::int64_t> dims) {
  std::string text;
  for (const std::int64_t d : dims) text += (text.empty() ? "" : ",") + std::to_string(d);
  return "[" + text + "]";
}

Shape tile_of(const SessionValue& value) {
  return {value.shape.type, value.sharding.tile_dims(value.shape.dims)};
}

nlohmann::ordered_json value_json(const SessionValue& value) {
  nlohmann::ordered_json j = {{"path", value.path}, {"name", value.name}};
  j.update(to_json(value.shape));
  j["used"] = value.used;
  j["sharding"] = to_string(value.sharding);
  const Shape tile = tile_of(value);
  j["tile"] = std::vector<std::int64_t>(tile.dims.begin(), tile.dims.end());
  return j;
}

nlohmann::ordered_json tiles_json(std::span<const SessionValue> values, std::int64_t partition) {
  auto list = nlohmann::ordered_json::array();
  for (const SessionValue& value : values) {
    if (!value.used) continue;
    nlohmann::ordered_json j = {{"path", value.path}};
    const auto begin = value.sharding.tile_begin(partition, value.shape.dims);
    j.update(to_json(tile_of(value)));
    if (begin) j["begin"] = std::vector<std::int64_t>(begin->begin(), begin->end());
    list.push_back(std::move(j));
  }
  return list;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    text += digits;
  }
  return text;
}

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string fit_text(std::int64_t needed, const Target& target) {
  if (!target.device_memory) return "unknown: how much memory a device has is not told";
  char share[16];
  std::snprintf(share, sizeof share, "%.1f",
                100.0 * static_cast<double>(needed) / static_cast<double>(*target.device_memory));
  return std::string(needed <= *target.device_memory ? "yes" : "NO") + ": " + bytes_text(needed) + " of " +
         bytes_text(*target.device_memory) + " per device, " + share + " %";
}

void print_values(const char* title, std::span<const SessionValue> values) {
  std::cout << title << "\n";
  for (const SessionValue& value : values) {
    std::cout << "  " << shown(value.path);
    if (!value.name.empty() && value.name != value.path) std::cout << " (" << shown(value.name) << ")";
    std::cout << "  " << to_string(value.shape);
    if (!value.used) std::cout << "  not used";
    std::cout << "\n";
  }
  if (values.empty()) std::cout << "  none\n";
}

void print_tiles(std::span<const SessionValue> values, std::int64_t partition) {
  for (const SessionValue& value : values) {
    if (!value.used) continue;
    const auto begin = value.sharding.tile_begin(partition, value.shape.dims);
    std::cout << "  " << shown(value.path) << "  ";
    if (!begin) {
      std::cout << "nothing of " << to_string(value.shape) << "\n";
    } else if (const Shape tile = tile_of(value); tile == value.shape) {
      std::cout << to_string(tile) << "  whole\n";
    } else {
      std::cout << to_string(tile) << " at " << dims_text(*begin) << " of " << to_string(value.shape) << "\n";
    }
  }
}

/// An artifact for one other platform compiles all the same: its StableHLO means the same everywhere, and "does it fit
/// on that chip?" is asked of what one has. It is said, for JAX may lower otherwise for the platform itself.
std::expected<void, Failure> check_compilable(const model::Model& model, const std::string& platform) {
  const model::JaxExport* artifact = model.jax_export();
  if (artifact == nullptr || artifact->has_platform_index() || artifact->platforms().empty()) {
    CLI_CHECK(model.check_runnable(platform));
    return {};
  }
  const std::string& own = artifact->platforms().front();
  CLI_CHECK(model.check_runnable(own));
  if (!artifact->platform_index(platform)) {
    std::cerr << "pjrt: note: the artifact was exported for " << own << ", not for " << platform
              << "; it is compiled as it is\n";
  }
  return {};
}

}  // namespace

std::optional<std::int64_t> Compiled::needed() const {
  if (!memory) return std::nullopt;
  const std::int64_t sum = memory->argument + memory->output - memory->alias + memory->temp;
  return std::max(sum, memory->peak.value_or(0)) + memory->generated_code;
}

std::expected<Compiled, Failure> compile_for(const Target& target, const model::Model& model,
                                             const std::vector<std::string>& compile_options, const Output& output) {
  CompileOptions base;
  for (const std::vector<std::string>* given : {&target.flags, &compile_options})
    CLI_CHECK(apply_compile_options(base, *given));
  const std::string& platform = target.platform;
  CLI_CHECK(check_compilable(model, platform));
  CLI_TRY(const CompileOptions options, model.compile_options(base));
  const std::size_t count =
      static_cast<std::size_t>(options.num_replicas()) * static_cast<std::size_t>(options.num_partitions());
  if (count > target.devices.size()) {
    return std::unexpected(Failure(
        Error(ErrorCode::FailedPrecondition, "the model runs on " + std::to_string(count) + " devices; " +
                                                 (target.name.empty() ? "the client" : "the topology " + target.name) +
                                                 " has " + std::to_string(target.devices.size()))));
  }
  const QuietStderr quiet(!output.verbose);
  Result<Executable> executable = compile_program(target, model, options);
  if (!executable) {
    Error error = std::move(executable).error();
    for (const std::string& hint : target.hints) error = std::move(error).with_note(hint);
    return std::unexpected(Failure(std::move(error)));
  }
  Compiled compiled{.executable = *std::move(executable)};
  compiled.replicas = options.num_replicas();
  compiled.partitions = options.num_partitions();
  CLI_TRY(compiled.name, compiled.executable.name());
  compiled.memory = if_told(compiled.executable.memory_stats());
  compiled.cost = if_told(compiled.executable.cost_analysis());
  compiled.interface = if_told(model::interface_of(model, compiled.executable));
  compiled.abi_version = abi_version_of(compiled.executable);
  if (const model::JaxExport* e = model.jax_export(); e != nullptr && e->has_platform_index()) {
    CLI_TRY(compiled.platform_index, e->platform_index(platform));
  }
  return compiled;
}

nlohmann::ordered_json to_json(const Target& target) {
  nlohmann::ordered_json j = {{"platform", target.platform}};
  if (target.topology) j["topology"] = target.name;
  if (!target.config.empty()) j["target_config"] = target.config;
  j["devices"] = target.devices.size();
  if (!target.devices.empty()) j["device_kind"] = target.devices.front().kind();
  j["device_memory"] = nullptr;
  if (target.device_memory) {
    j["device_memory"] = *target.device_memory;
    j["device_memory_source"] = target.device_memory_source;
  }
  return j;
}

nlohmann::ordered_json to_json(const Target& target, const Compiled& compiled) {
  nlohmann::ordered_json j = to_json(target);
  j["name"] = compiled.name;
  j["replicas"] = compiled.replicas;
  j["partitions"] = compiled.partitions;
  j["assignment"] = nlohmann::ordered_json::array();  // of the run's devices, in order
  for (int r = 0; r < compiled.replicas; ++r) {
    for (int p = 0; p < compiled.partitions; ++p) j["assignment"].push_back({{"replica", r}, {"partition", p}});
  }
  if (compiled.platform_index) j["platform_index"] = *compiled.platform_index;
  if (compiled.memory) {
    for (const MemoryRow& row : rows(*compiled.memory)) {
      if (row.bytes) j["memory"][row.key] = *row.bytes;
    }
    j["memory"]["needed"] = *compiled.needed();
  }
  j["fits"] = nullptr;
  if (compiled.memory && target.device_memory) j["fits"] = *compiled.needed() <= *target.device_memory;
  if (compiled.cost) j["cost"] = to_json(*compiled.cost);
  if (compiled.abi_version) j["abi_version"] = hex(*compiled.abi_version);
  if (!compiled.interface) return j;
  j["inputs"] = nlohmann::ordered_json::array();
  for (const SessionValue& value : compiled.interface->inputs) j["inputs"].push_back(value_json(value));
  j["outputs"] = nlohmann::ordered_json::array();
  for (const SessionValue& value : compiled.interface->outputs) j["outputs"].push_back(value_json(value));
  j["per_partition"] = nlohmann::ordered_json::array();
  for (int p = 0; p < compiled.partitions; ++p) {
    j["per_partition"].push_back({{"partition", p},
                                  {"inputs", tiles_json(compiled.interface->inputs, p)},
                                  {"outputs", tiles_json(compiled.interface->outputs, p)}});
  }
  return j;
}

void print(const Target& target) {
  std::cout << "platform      " << target.platform << "\n";
  if (target.topology)
    std::cout << "topology      " << target.name << (target.config.empty() ? "" : " of " + target.config) << "\n";
  std::cout << "devices       " << target.devices.size();
  if (!target.devices.empty()) std::cout << " x " << target.devices.front().kind();
  if (target.device_memory)
    std::cout << ", " << bytes_text(*target.device_memory) << " of memory each (" << target.device_memory_source << ")";
  std::cout << "\n";
}

void print(const Target& target, const Compiled& compiled, bool with_values) {
  print(target);
  std::cout << "program       " << shown(compiled.name) << ", " << compiled.replicas
            << (compiled.replicas == 1 ? " replica" : " replicas") << " x " << compiled.partitions
            << (compiled.partitions == 1 ? " partition" : " partitions") << "\n";
  if (compiled.platform_index)
    std::cout << "platform arg  " << *compiled.platform_index << ", the first argument of every run ("
              << target.platform << ")\n";
  if (compiled.memory) {
    std::cout << "memory of each device\n";
    for (const MemoryRow& row : rows(*compiled.memory)) {
      if (row.bytes && (*row.bytes != 0 || std::string_view(row.key) == "peak"))
        std::cout << "  " << row.title << "  " << bytes_text(*row.bytes) << "\n";
    }
    std::cout << "fits          " << fit_text(*compiled.needed(), target) << "\n";
  } else {
    std::cout << "memory        the plugin does not tell\n";
  }
  if (compiled.cost) {
    for (const char* key : {"flops", "bytes accessed", "optimal_seconds"}) {
      const Value* value = compiled.cost->find(key);
      if (value != nullptr && value->float32() != nullptr && *value->float32() >= 0)
        std::cout << "estimate      " << key << " " << number_text(static_cast<double>(*value->float32())) << "\n";
    }
  }
  if (compiled.abi_version)
    std::cout << "ABI version   " << compiled.abi_version->size() << " bytes, --json has them\n";
  if (!compiled.interface) return;
  if (with_values) {
    print_values("inputs", compiled.interface->inputs);
    print_values("outputs", compiled.interface->outputs);
  }
  if (compiled.replicas > 1) {
    std::cout << "each replica takes and gives arrays of its own: arg0@0 to arg0@" << compiled.replicas - 1
              << ", out0@0 to out0@" << compiled.replicas - 1 << "\n";
    constexpr int kListed = 16;
    for (int r = 0; r < std::min(compiled.replicas, kListed); ++r) {
      for (int p = 0; p < std::min(compiled.partitions, kListed); ++p)
        std::cout << "  device " << r * compiled.partitions + p << " of the run  replica " << r << ", partition " << p
                  << "\n";
    }
    if (compiled.replicas > kListed || compiled.partitions > kListed)
      std::cout << "  and so on; --json has all " << compiled.replicas * compiled.partitions << "\n";
  }
  if (compiled.partitions == 1) return;
  constexpr int kShown = 16;
  for (int p = 0; p < std::min(compiled.partitions, kShown); ++p) {
    std::cout << "partition " << p << " has\n";
    print_tiles(compiled.interface->inputs, p);
    std::cout << "  and gives\n";
    print_tiles(compiled.interface->outputs, p);
  }
  if (compiled.partitions > kShown)
    std::cout << "and so on for " << compiled.partitions - kShown << " more; --json has them all\n";
}

}  // namespace pjrt::cli
