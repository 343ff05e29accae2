#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "pjrt/client.hpp"
#include "pjrt/device_description.hpp"
#include "pjrt/topology.hpp"

namespace pjrt::cli {

/// Options that say which devices to compile for, when they are not here.
struct TargetOptions {
  std::string topology;
  std::vector<std::string> topology_options;
  std::string target_config;
  std::string cuda_dir;

  bool given() const { return !topology.empty() || !target_config.empty(); }
};

void add_target_options(CLI::App& app, TargetOptions& options);

/// Devices to compile for: those of a topology, or of a client.
struct Target {
  /// What the user called it; empty for a client.
  std::string name;
  /// The description of a GPU that goes with it; may be empty.
  std::string config;
  std::string platform;
  std::optional<Topology> topology;
  std::optional<Client> client;
  std::vector<DeviceDescription> devices;
  /// Bytes of memory that a program can have on each device, and who says so.
  std::optional<std::int64_t> device_memory;
  std::string device_memory_source;
  /// What to set when compiling, and what to say if that fails.
  std::vector<std::string> flags;
  std::vector<std::string> hints;
};

/// The topology that the options describe, or a client's devices if they describe none: a CPU client has as many as are
/// wanted.
std::expected<Target, Failure> open_target(const PluginOptions& plugin, const TargetOptions& options,
                                           const Output& output, int device_count);

/// An attribute of a device or topology, if it is a number.
std::optional<std::int64_t> number(const Result<NamedValues>& attributes, std::string_view name);

/// "15.7 GiB".
std::string bytes_text(std::int64_t bytes);

}  // namespace pjrt::cli
