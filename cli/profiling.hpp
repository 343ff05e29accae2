#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "command.hpp"
#include "pjrt/ext/profiler.hpp"
#include "pjrt/profile.hpp"

namespace pjrt::cli {

/// What happens between `start` and `save`: as the plugin's profiler sees it, where it has one, and the calls made of
/// the plugin.
class Recording {
 public:
  /// Says on stderr if the plugin has no profiler.
  static std::expected<Recording, Failure> start(const Plugin& plugin);
  /// Ends it and writes it as the file's ending says: .json for chrome://tracing and ui.perfetto.dev, .pb for
  /// TensorBoard and XProf.
  std::expected<void, Failure> save(const std::filesystem::path& path);

 private:
  Recording(std::optional<ext::ProfileSession> plugin, HostTimeline host)
      : plugin_(std::move(plugin)), host_(std::move(host)) {}
  std::optional<ext::ProfileSession> plugin_;
  HostTimeline host_;
};

/// Wrong usage for a file that is neither .json nor .pb, NotFound where its folder is not there.
std::expected<void, Failure> check_profile_file(const std::string& file);

}  // namespace pjrt::cli
