#include "target.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cuda_tools.hpp"
#include "quiet.hpp"

namespace pjrt::cli {
namespace {

namespace fs = std::filesystem;

/// Memory of a TPU chip in GiB, for libtpus that do not say: https://cloud.google.com/tpu/docs/v4, /v5e, /v5p and /v6e,
/// "HBM capacity".
struct TpuMemory {
  std::string_view kind;
  std::int64_t gib;
};
constexpr TpuMemory kTpuMemory[] = {{"TPU v4", 32},  {"TPU v5 lite", 16}, {"TPU v5e", 16}, {"TPU v5", 95},
                                    {"TPU v5p", 95}, {"TPU v6 lite", 32}, {"TPU v6e", 32}};

bool is_gpu(std::string_view platform) {
  return platform == "cuda" || platform == "gpu" || platform == "rocm";
}

/// Descriptions of GPUs that come with the program.
fs::path targets_folder() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().parent_path() / "share/pjrt/targets";
}

std::string known_targets() {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(targets_folder(), error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".txtpb") names.push_back(it->path().stem().string());
  }
  std::ranges::sort(names);
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

/// `given` is a file, or the name of a description that comes with the program.
std::expected<std::string, Failure> read_target_config(const std::string& given) {
  std::error_code error;
  fs::path path = given;
  if (given.find('/') == std::string::npos && !fs::exists(path, error)) path = targets_folder() / (given + ".txtpb");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (fs::is_directory(path, error) || !file || !(text << file.rdbuf())) {
    Error missing(ErrorCode::NotFound, "cannot read the target configuration " + given);
    if (const std::string known = known_targets(); !known.empty())
      missing = std::move(missing).with_note("names that come with this program: " + known);
    return std::unexpected(Failure(std::move(missing)));
  }
  return text.str();
}

std::expected<NamedValues, Failure> topology_options(const TargetOptions& options) {
  NamedValues values;
  for (const std::string& text : options.topology_options) {
    Result<NamedValue> option = parse_client_option(text);
    if (!option) return std::unexpected(wrong_usage("topology option '" + text + "' is not of the form name=value"));
    values.add(std::move(option->name), std::move(option->value));
  }
  return values;
}

/// How many devices lie where the first one does.
std::int64_t devices_on_its_chip(const std::vector<DeviceDescription>& devices) {
  const auto place = [](const DeviceDescription& device) {
    const Result<NamedValues> attributes = device.attributes();
    const Value* coords = attributes ? attributes->find("coords") : nullptr;
    return coords != nullptr ? std::optional(*coords) : std::nullopt;
  };
  const std::optional<Value> first = place(devices.front());
  if (!first) return 1;
  return std::ranges::count_if(devices, [&](const DeviceDescription& device) { return place(device) == first; });
}

void find_device_memory(Target& target) {
  if (target.devices.empty()) return;
  const DeviceDescription& device = target.devices.front();
  if (target.client) {
    const Devices devices = target.client->addressable_devices();
    if (const auto stats = devices.empty() ? Result<MemoryStats>(std::unexpected(Error(ErrorCode::NotFound, "")))
                                           : devices[0].memory_stats();
        stats && stats->bytes_limit) {
      target.device_memory = *stats->bytes_limit;
      target.device_memory_source = "the client";
      return;
    }
  }
  target.device_memory = number(device.attributes(), "device_memory_bytes_limit");
  target.device_memory_source = "the plugin";
  const auto chip = std::ranges::find(kTpuMemory, device.kind(), &TpuMemory::kind);
  if (chip == std::end(kTpuMemory)) return;
  const std::int64_t chip_memory = chip->gib << 30;
  const std::int64_t sharing = devices_on_its_chip(target.devices);
  if (!target.device_memory) {
    target.device_memory = chip_memory / sharing;
    target.device_memory_source = "public figures";
  } else if (*target.device_memory * sharing > chip_memory) {
    target.device_memory_source +=
        "; " + std::to_string(sharing) + " devices share the " + std::to_string(chip->gib) + " GiB of a chip";
  }
}

std::expected<Topology, Failure> open_topology(const Plugin& plugin, const TargetOptions& options, Target& target) {
  CLI_TRY(NamedValues values, topology_options(options));
  if (!is_gpu(plugin.platform_hint())) {
    if (!options.target_config.empty()) {
      return std::unexpected(wrong_usage("--target-config describes a GPU; the " + plugin.platform_hint() +
                                         " plugin takes --topology alone"));
    }
    Result<Topology> topology = Topology::create(plugin, options.topology, values);
    if (topology) return *std::move(topology);
    Error error = std::move(topology).error();
    if (error.code() == ErrorCode::Unimplemented)
      error = std::move(error).with_note("topologies like v5e:2x2 are for --plugin tpu");
    return std::unexpected(Failure(std::move(error)));
  }
  CLI_TRY(const CudaTools tools, find_cuda_tools(plugin, options.cuda_dir));
  target.flags = tools.flags;
  target.hints = tools.hints;
  values.add("topology", options.topology.empty() ? "1 x 1 x 1" : options.topology);
  if (!options.target_config.empty()) {
    if (!tools.has_ptxas) return std::unexpected(Failure(no_ptxas()));
    CLI_TRY(std::string text, read_target_config(options.target_config));
    values.add("target_config", std::move(text));
  }
  Result<Topology> topology = Topology::create(plugin, "", values);
  if (!topology) {
    Error error = std::move(topology).error();
    if (options.target_config.empty())
      error = std::move(error).with_note("without the GPU, --target-config FILE describes it");
    return std::unexpected(Failure(std::move(error)));
  }
  return *std::move(topology);
}

}  // namespace

void add_target_options(CLI::App& app, TargetOptions& options) {
  app.add_option(
         "--topology", options.topology,
         "devices that need not be here: v5e:2x2 and the like for TPUs; partitions x hosts x devices, \"1 x 1 x "
         "1\", for GPUs")
      ->type_name("NAME")
      ->check(not_empty());
  app.add_option("--topology-option", options.topology_options,
                 "an option for the topology, e.g. chips_per_host_bounds=2,2,1; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  app.add_option("--target-config", options.target_config,
                 "a GPU that need not be here: a GpuTargetConfigProto as text, or a name: h100_sxm, a100_sxm_80gb, l4")
      ->type_name("FILE|NAME")
      ->check(not_empty());
  app.add_option("--cuda-dir", options.cuda_dir,
                 "a CUDA toolkit (bin/ptxas) for --target-config; default: PATH, beside the plugin, /usr/local/cuda")
      ->type_name("DIR");
}

std::expected<Target, Failure> open_target(const PluginOptions& plugin_options, const TargetOptions& options,
                                           const Output& output, int device_count) {
  CLI_TRY(const NamedValues client_options, plugin_options.parsed_client_options());
  if (options.given() && client_options.size() > 0)
    return std::unexpected(wrong_usage("--client-option is for compiling on a client; a topology has none"));
  CLI_TRY(const Plugin plugin, plugin_options.load(output));
  Target target;
  if (options.given()) {
    const QuietStderr quiet(!output.verbose);
    CLI_TRY(target.topology, open_topology(plugin, options, target));
    target.name = options.topology.empty() ? "1 x 1 x 1" : options.topology;
    target.config = options.target_config;
    CLI_TRY(target.platform, target.topology->platform_name());
    CLI_TRY(target.devices, target.topology->device_descriptions());
  } else {
    const QuietStderr quiet(!output.verbose);
    Result<Client> client = Client::create(plugin, {client_options, nullptr});
    const auto wanted = static_cast<std::size_t>(device_count);
    if (client && client->platform_name() == "cpu" && client->devices().size() < wanted &&
        client_options.find("cpu_device_count") == nullptr) {
      NamedValues more = client_options;
      more.add("cpu_device_count", wanted);
      client = Client::create(plugin, {std::move(more), nullptr});
    }
    if (!client) {
      Error error = std::move(client).error();
      if (plugin.platform_hint() == "tpu")
        error = std::move(error).with_note("without a TPU, --topology v5e:2x2 says what to compile for");
      if (is_gpu(plugin.platform_hint()))
        error = std::move(error).with_note("without a GPU, --target-config NAME says what to compile for");
      return std::unexpected(Failure(std::move(error)));
    }
    target.client = *std::move(client);
    target.platform = target.client->platform_name();
    for (const Device& d : target.client->devices()) target.devices.push_back(d.description());
  }
  find_device_memory(target);
  return target;
}

std::optional<std::int64_t> number(const Result<NamedValues>& attributes, std::string_view name) {
  if (!attributes) return std::nullopt;
  const Value* value = attributes->find(name);
  const std::int64_t* n = value != nullptr ? value->int64() : nullptr;
  return n != nullptr ? std::optional(*n) : std::nullopt;
}

std::string bytes_text(std::int64_t bytes) {
  constexpr std::array kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < kUnits.size(); ++unit) amount /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, kUnits[unit]);
  return text;
}

}  // namespace pjrt::cli
