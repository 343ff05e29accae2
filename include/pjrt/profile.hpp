#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/named_value.hpp"

namespace pjrt {

/// Something that took time.
struct ProfileEvent {
  std::string name;
  /// From the beginning of its line, in picoseconds.
  std::int64_t offset_ps = 0;
  std::int64_t duration_ps = 0;
  /// What else was noted of it: numbers and texts by name.
  std::vector<std::pair<std::string, std::string>> stats;
};

/// What happened in one thread, stream or core, in order.
struct ProfileLine {
  std::int64_t id = 0;
  std::string name;
  /// Its beginning, nanoseconds of the plane's clock.
  std::int64_t timestamp_ns = 0;
  std::vector<ProfileEvent> events;
};

/// A device or the host.
struct ProfilePlane {
  std::int64_t id = 0;
  std::string name;
  std::vector<ProfileLine> lines;
};

/// A profile as XLA's profilers write it (tensorflow.profiler.XSpace): planes of lines of events.
class PJRT_EXPORT Profile {
 public:
  Profile() = default;
  explicit Profile(std::vector<ProfilePlane> planes) : planes_(std::move(planes)) {}
  /// Reads a serialized XSpace.
  static Result<Profile> parse(std::span<const std::byte> xspace);

  const std::vector<ProfilePlane>& planes() const& noexcept { return planes_; }
  std::vector<ProfilePlane> planes() && noexcept { return std::move(planes_); }
  /// What went wrong while it was taken, in the profiler's words.
  const std::vector<std::string>& errors() const noexcept { return errors_; }
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  /// A serialized XSpace: an `.xplane.pb` file for TensorBoard and XProf.
  std::string to_xspace() const;
  /// Trace Event Format, for chrome://tracing and ui.perfetto.dev:
  /// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
  std::string to_chrome_json() const;
  /// Writes either, by the file's ending: .json, or .pb for an XSpace.
  [[nodiscard]] Result<void> save(const std::filesystem::path& path) const;

 private:
  std::vector<ProfilePlane> planes_;
  std::vector<std::string> errors_;
  std::vector<std::string> warnings_;
};

/// Records the calls that this library makes of plugins, on all threads: what can be seen from the host where a plugin
/// has no profiler. One recording at a time in a process; it ends with `stop` or with the object.
class PJRT_EXPORT HostTimeline {
 public:
  /// FailedPrecondition while another recording is under way.
  static Result<HostTimeline> start();
  HostTimeline(HostTimeline&& other) noexcept
      : active_(std::exchange(other.active_, false)), start_ns_(other.start_ns_) {}
  HostTimeline& operator=(HostTimeline&& other) noexcept;
  ~HostTimeline();

  /// Ends the recording. A line for each thread, an event for each call, named as the C function.
  Profile stop();

 private:
  explicit HostTimeline(std::int64_t start_ns) noexcept : active_(true), start_ns_(start_ns) {}
  bool active_ = false;
  std::int64_t start_ns_ = 0;
};

}  // namespace pjrt
