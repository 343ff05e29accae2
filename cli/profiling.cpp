#include "profiling.hpp"

#include <iostream>
#include <utility>

namespace pjrt::cli {

std::expected<Recording, Failure> Recording::start(const Plugin& plugin) {
  std::optional<ext::ProfileSession> session;
  if (const Result<ext::Profiler> profiler = plugin.extension<ext::Profiler>()) {
    CLI_TRY(session, profiler->start());
  } else {
    std::cerr << "pjrt run: plugin " << plugin.name()
              << " has no profiler; the profile holds the calls made of it, seen from outside\n";
  }
  CLI_TRY(HostTimeline host, HostTimeline::start());
  return Recording(std::move(session), std::move(host));
}

std::expected<void, Failure> Recording::save(const std::filesystem::path& path) {
  const Profile host = host_.stop();
  std::vector<ProfilePlane> planes;
  if (plugin_) {
    CLI_TRY(const Profile inside, plugin_->finish());
    planes = inside.planes();
    for (const std::string& error : inside.errors())
      std::cerr << "pjrt run: the plugin's profiler says: " << one_line(error) << "\n";
  }
  for (const ProfilePlane& plane : host.planes()) planes.push_back(plane);
  CLI_CHECK(Profile(std::move(planes)).save(path));
  return {};
}

std::expected<void, Failure> check_profile_file(const std::string& file) {
  const std::filesystem::path path(file);
  if (path.extension() != ".json" && path.extension() != ".pb") {
    return std::unexpected(wrong_usage(
        "--profile " + file +
        ": a profile is an .xplane.pb (TensorBoard, XProf) or a .json (chrome://tracing, ui.perfetto.dev)"));
  }
  std::error_code error;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder, error)) {
    return std::unexpected(
        Failure(Error(ErrorCode::NotFound, "cannot write " + file + ": there is no folder " + folder.string())));
  }
  return {};
}

}  // namespace pjrt::cli
