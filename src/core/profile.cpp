#include "pjrt/profile.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <unordered_map>

#include "core/file.hpp"
#include "core/timeline.hpp"
#include "core/try.hpp"
#include "proto/fields.hpp"
#include "proto/parse.hpp"

namespace pjrt {
namespace {

using protozero::pbf_reader;
using protozero::pbf_writer;

/// The names that a plane's events and stats are numbered by.
struct Names {
  std::unordered_map<std::int64_t, std::string> events;
  std::unordered_map<std::int64_t, std::string> stats;
  /// How much may be copied still. A name stands once in the profile and in each of its events here.
  std::size_t* budget = nullptr;
};

/// A map entry {1: id, 2: {… name, display_name}}: what the id is called.
std::pair<std::int64_t, std::string> read_metadata(pbf_reader entry, std::uint32_t name_tag,
                                                   std::uint32_t display_tag) {
  std::pair<std::int64_t, std::string> result;
  while (entry.next()) {
    if (entry.tag() == 1) {
      result.first = entry.get_int64();
    } else if (entry.tag() == 2) {
      pbf_reader metadata = entry.get_message();
      std::string display;
      while (metadata.next()) {
        if (metadata.tag() == name_tag) {
          result.second = metadata.get_string();
        } else if (display_tag != 0 && metadata.tag() == display_tag) {
          display = metadata.get_string();
        } else {
          metadata.skip();
        }
      }
      if (!display.empty()) result.second = std::move(display);
    } else {
      entry.skip();
    }
  }
  return result;
}

std::string find(const Names& all, const std::unordered_map<std::int64_t, std::string>& names, std::int64_t id) {
  const auto it = names.find(id);
  if (it == names.end()) return "#" + std::to_string(id);
  if (it->second.size() > *all.budget) throw proto::TooLarge("the names of its events are too long");
  *all.budget -= it->second.size();
  return it->second;
}

std::pair<std::string, std::string> read_stat(pbf_reader reader, const Names& names) {
  namespace f = proto::XStat;
  std::pair<std::string, std::string> stat;
  while (reader.next()) {
    switch (reader.tag()) {
      case f::metadata_id:
        stat.first = find(names, names.stats, reader.get_int64());
        break;
      case f::double_value:
        stat.second = std::to_string(reader.get_double());
        break;
      case f::uint64_value:
        stat.second = std::to_string(reader.get_uint64());
        break;
      case f::int64_value:
        stat.second = std::to_string(reader.get_int64());
        break;
      case f::str_value:
        stat.second = reader.get_string();
        break;
      case f::bytes_value:
        stat.second = std::to_string(reader.get_bytes().size()) + " bytes";
        break;
      case f::ref_value:
        stat.second = find(names, names.stats, static_cast<std::int64_t>(reader.get_uint64()));
        break;
      default:
        reader.skip();
    }
  }
  return stat;
}

ProfileEvent read_event(pbf_reader reader, const Names& names) {
  namespace f = proto::XEvent;
  ProfileEvent event;
  while (reader.next()) {
    switch (reader.tag()) {
      case f::metadata_id:
        event.name = find(names, names.events, reader.get_int64());
        break;
      case f::offset_ps:
        event.offset_ps = reader.get_int64();
        break;
      case f::duration_ps:
        event.duration_ps = reader.get_int64();
        break;
      case f::stats:
        event.stats.push_back(read_stat(reader.get_message(), names));
        break;
      default:
        reader.skip();
    }
  }
  return event;
}

ProfileLine read_line(pbf_reader reader, const Names& names) {
  namespace f = proto::XLine;
  ProfileLine line;
  std::string display;
  while (reader.next()) {
    switch (reader.tag()) {
      case f::id:
        line.id = reader.get_int64();
        break;
      case f::name:
        line.name = reader.get_string();
        break;
      case f::display_name:
        display = reader.get_string();
        break;
      case f::timestamp_ns:
        line.timestamp_ns = reader.get_int64();
        break;
      case f::events:
        line.events.push_back(read_event(reader.get_message(), names));
        break;
      default:
        reader.skip();
    }
  }
  if (!display.empty()) line.name = std::move(display);
  return line;
}

ProfilePlane read_plane(pbf_reader reader, std::size_t& budget) {
  namespace f = proto::XPlane;
  ProfilePlane plane;
  Names names{{}, {}, &budget};
  pbf_reader first = reader;  // the names may come behind what they name
  while (first.next()) {
    if (first.tag() == f::event_metadata) {
      names.events.insert(
          read_metadata(first.get_message(), proto::XEventMetadata::name, proto::XEventMetadata::display_name));
    } else if (first.tag() == f::stat_metadata) {
      names.stats.insert(read_metadata(first.get_message(), proto::XStatMetadata::name, 0));
    } else {
      first.skip();
    }
  }
  while (reader.next()) {
    switch (reader.tag()) {
      case f::id:
        plane.id = reader.get_int64();
        break;
      case f::name:
        plane.name = reader.get_string();
        break;
      case f::lines:
        plane.lines.push_back(read_line(reader.get_message(), names));
        break;
      default:
        reader.skip();
    }
  }
  return plane;
}

void write_metadata(pbf_writer& plane, std::uint32_t tag, std::uint32_t id_tag, std::uint32_t name_tag, std::int64_t id,
                    const std::string& name) {
  pbf_writer entry(plane, tag);
  entry.add_int64(1, id);
  pbf_writer metadata(entry, 2);
  metadata.add_int64(id_tag, id);
  metadata.add_string(name_tag, name);
}

/// Numbers names in the order they come.
class Numbering {
 public:
  std::int64_t operator()(const std::string& name) {
    return numbers_.try_emplace(name, static_cast<std::int64_t>(numbers_.size()) + 1).first->second;
  }
  const std::map<std::string, std::int64_t>& all() const { return numbers_; }

 private:
  std::map<std::string, std::int64_t> numbers_;
};

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", u);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

/// The sum of both in microseconds. (Nanoseconds since 1970 would not fit into picoseconds.)
std::string microseconds(std::int64_t ns, std::int64_t ps) {
  ns += ps / 1000;
  ps %= 1000;
  if (ps < 0) {
    ps += 1000;
    --ns;
  }
  const bool negative = ns < 0;
  if (negative) {
    ns = -ns - (ps != 0);
    ps = (1000 - ps) % 1000;
  }
  char text[48];
  std::snprintf(text, sizeof text, "%s%" PRId64 ".%03" PRId64 "%03" PRId64, negative ? "-" : "", ns / 1000, ns % 1000,
                ps);
  return text;
}

}  // namespace

Result<Profile> Profile::parse(std::span<const std::byte> xspace) try {
  namespace f = proto::XSpace;
  return proto::guarded("XSpace", [&] {
    constexpr std::size_t kLeast = std::size_t{256} << 20;
    std::size_t budget = std::max(kLeast, 64 * xspace.size());
    Profile profile;
    pbf_reader reader(reinterpret_cast<const char*>(xspace.data()), xspace.size());
    while (reader.next()) {
      switch (reader.tag()) {
        case f::planes:
          profile.planes_.push_back(read_plane(reader.get_message(), budget));
          break;
        case f::errors:
          profile.errors_.push_back(reader.get_string());
          break;
        case f::warnings:
          profile.warnings_.push_back(reader.get_string());
          break;
        default:
          reader.skip();
      }
    }
    return profile;
  });
}
PJRT_CATCH

std::string Profile::to_xspace() const {
  std::string bytes;
  pbf_writer space(bytes);
  for (const ProfilePlane& p : planes_) {
    pbf_writer plane(space, proto::XSpace::planes);
    plane.add_int64(proto::XPlane::id, p.id);
    plane.add_string(proto::XPlane::name, p.name);
    Numbering events;
    Numbering stats;
    for (const ProfileLine& l : p.lines) {
      pbf_writer line(plane, proto::XPlane::lines);
      line.add_int64(proto::XLine::id, l.id);
      line.add_string(proto::XLine::name, l.name);
      line.add_int64(proto::XLine::timestamp_ns, l.timestamp_ns);
      for (const ProfileEvent& e : l.events) {
        pbf_writer event(line, proto::XLine::events);
        event.add_int64(proto::XEvent::metadata_id, events(e.name));
        event.add_int64(proto::XEvent::offset_ps, e.offset_ps);
        event.add_int64(proto::XEvent::duration_ps, e.duration_ps);
        for (const auto& [name, value] : e.stats) {
          pbf_writer stat(event, proto::XEvent::stats);
          stat.add_int64(proto::XStat::metadata_id, stats(name));
          stat.add_string(proto::XStat::str_value, value);
        }
      }
    }
    for (const auto& [name, id] : events.all())
      write_metadata(plane, proto::XPlane::event_metadata, proto::XEventMetadata::id, proto::XEventMetadata::name, id,
                     name);
    for (const auto& [name, id] : stats.all())
      write_metadata(plane, proto::XPlane::stat_metadata, proto::XStatMetadata::id, proto::XStatMetadata::name, id,
                     name);
  }
  for (const std::string& e : errors_) space.add_string(proto::XSpace::errors, e);
  for (const std::string& w : warnings_) space.add_string(proto::XSpace::warnings, w);
  return bytes;
}

std::string Profile::to_chrome_json() const {
  std::string json = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
  bool first = true;
  const auto add = [&](const std::string& event) {
    if (!first) json += ",\n";
    first = false;
    json += event;
  };
  std::int64_t process = 0;
  for (const ProfilePlane& p : planes_) {
    ++process;
    const std::string pid = std::to_string(process);
    add("{\"ph\":\"M\",\"pid\":" + pid + ",\"name\":\"process_name\",\"args\":{\"name\":" + json_string(p.name) + "}}");
    for (const ProfileLine& l : p.lines) {
      const std::string tid = std::to_string(l.id);
      add("{\"ph\":\"M\",\"pid\":" + pid + ",\"tid\":" + tid +
          ",\"name\":\"thread_name\",\"args\":{\"name\":" + json_string(l.name) + "}}");
      for (const ProfileEvent& e : l.events) {
        std::string args;
        for (const auto& [name, value] : e.stats)
          args += (args.empty() ? "" : ",") + json_string(name) + ":" + json_string(value);
        add("{\"ph\":\"X\",\"pid\":" + pid + ",\"tid\":" + tid + ",\"name\":" + json_string(e.name) +
            ",\"ts\":" + microseconds(l.timestamp_ns, e.offset_ps) + ",\"dur\":" + microseconds(0, e.duration_ps) +
            (args.empty() ? "" : ",\"args\":{" + args + "}") + "}");
      }
    }
  }
  return json + "]}\n";
}

Result<void> Profile::save(const std::filesystem::path& path) const try {
  std::string text;
  if (path.extension() == ".json") {
    text = to_chrome_json();
  } else if (path.extension() == ".pb") {
    text = to_xspace();
  } else {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument,
              "a profile is written to a .json (Chrome, Perfetto) or .pb file (XSpace), not " + path.string()));
  }
  return detail::write_file(path, std::as_bytes(std::span(text)));
}
PJRT_CATCH

Result<HostTimeline> HostTimeline::start() try {
  detail::Recorder& recorder = detail::Recorder::instance();
  const std::lock_guard lock(recorder.mutex);
  if ((detail::observed.load() & detail::kRecorded) != 0)
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "another timeline is being recorded in this process"));
  recorder.records.clear();
  const std::int64_t now = detail::steady_now_ns();
  detail::observed.fetch_or(detail::kRecorded);
  return HostTimeline(now);
}
PJRT_CATCH

HostTimeline& HostTimeline::operator=(HostTimeline&& other) noexcept {
  HostTimeline taken(std::move(other));  // what this one had goes now
  std::swap(active_, taken.active_);
  std::swap(start_ns_, taken.start_ns_);
  return *this;
}

HostTimeline::~HostTimeline() {
  if (active_) detail::observed.fetch_and(~detail::kRecorded);
}

Profile HostTimeline::stop() {
  if (!active_) return {};
  active_ = false;
  detail::Recorder& recorder = detail::Recorder::instance();
  std::vector<detail::CallRecord> records;
  {
    const std::lock_guard lock(recorder.mutex);
    detail::observed.fetch_and(~detail::kRecorded);
    records.swap(recorder.records);
  }
  std::ranges::sort(records, {}, &detail::CallRecord::start_ns);
  ProfilePlane plane{1, "/host:pjrt calls", {}};
  std::map<std::uint64_t, std::size_t> lines;
  for (const detail::CallRecord& r : records) {
    const auto [it, added] = lines.try_emplace(r.thread, plane.lines.size());
    if (added)
      plane.lines.push_back({static_cast<std::int64_t>(r.thread), "thread " + std::to_string(r.thread), start_ns_, {}});
    plane.lines[it->second].events.push_back({r.function, (r.start_ns - start_ns_) * 1000, r.duration_ns * 1000, {}});
  }
  return Profile({std::move(plane)});
}

}  // namespace pjrt
