#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "pjrt/plugin.hpp"

namespace pjrt::detail {

/// The name a plugin file suggests: "cpu" for pjrt_c_api_cpu_plugin.so, "tpu" for libtpu.so, "cuda" for
/// xla_cuda_plugin.so.
std::string plugin_name_of(const std::filesystem::path& file);

/// An environment variable, unless it is empty or the process runs with more rights than its user has.
std::optional<std::string> environment(const char* name);

/// The first candidate of that name, exact names before aliases within a place; FailedPrecondition if that one cannot
/// be used. NotFound lists every place.
Result<PluginCandidate> choose_plugin(const PluginSearch& search, std::string_view name);

/// The error of a candidate that was chosen by name, with its place and another plugin of that name, if there is one.
Error with_others(Error error, const PluginSearch& search, const PluginCandidate& chosen, std::string_view name);

/// Environment that some plugins want before they are loaded: libtpu asks a metadata server, with long retries, and
/// takes a lock file that a second process fails over, unless it is told not to. Only set where no TPU is attached and
/// the user has not decided.
void prepare_environment(const std::filesystem::path& plugin);

/// FailedPrecondition where loading would end the process: libtpu aborts in its allocator unless /sys says how many
/// CPUs there are, which it does not in a container or chroot without /sys.
Result<void> check_surroundings(const std::filesystem::path& plugin);

}  // namespace pjrt::detail
