#include "core/discovery.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <vector>

#include "core/elf.hpp"
#include "core/printable.hpp"

namespace pjrt {
namespace detail {
namespace {

namespace fs = std::filesystem;

constexpr int kDepth = 3;  // of folders below a searched directory: NAME/wheel folder/plugin folder/file.so

// Of one searched place, so that huge folders, and folders that link to each other in circles, come to an end.
constexpr std::size_t kMostEntries = 200'000;       // of the place itself
constexpr std::size_t kMostNestedEntries = 20'000;  // of all folders in it; an unpacked wheel has some hundreds

}  // namespace

std::optional<std::string> environment(const char* name) {
  const char* value =
      ::secure_getenv(name);  // null under setuid: the caller's variables must not choose what is loaded
  return value != nullptr && *value != '\0' ? std::optional<std::string>(value) : std::nullopt;
}

namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<fs::path> sorted_entries(const fs::path& directory, std::size_t most = kMostEntries) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end && entries.size() < most;
       it.increment(error))
    entries.push_back(it->path());
  std::ranges::sort(entries, {}, &fs::path::native);  // as text: comparing paths takes them apart
  return entries;
}

/// Whether a file's name claims that it is a plugin, unlike those of the libraries that plugins bring along.
bool is_named_like_a_plugin(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.find("pjrt") != std::string::npos || name.find("plugin") != std::string::npos || name == "libtpu.so";
}

std::string count_of(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

/// One search: gathers candidates and what came of each place.
class Search {
 public:
  PluginSearch result;

  void place(const std::string& place, std::string outcome) {
    result.places.push_back({printable(place), printable(outcome)});
  }

  void variable_with_path() {
    const std::string place_name = "PJRT_PLUGIN";
    const auto value = environment("PJRT_PLUGIN");
    if (!value) return place(place_name, "not set");
    if (value->find('/') == std::string::npos) return place(place_name, "set to a name, '" + *value + "', not a path");
    if (!exists(*value)) return place(place_name + " (" + *value + ")", "no such file");
    named(plugin_name_of(*value), *value, place_name, place_name + " (" + *value + ")");
  }

  void names_and_paths() {
    const std::string variable = "PJRT_NAMES_AND_LIBRARY_PATHS";
    const auto value = environment(variable.c_str());
    if (!value) return place(variable, "not set");
    for (const std::string& pair : split(*value, ',')) {
      const std::string place_name = variable + " (" + pair + ")";
      const std::size_t colon = pair.find(':');
      if (colon == std::string::npos || colon == 0) {
        place(place_name, "is not of the form name:path");
        continue;
      }
      const fs::path path = pair.substr(colon + 1);
      if (!exists(path)) {
        place(place_name, "no such file");
        continue;
      }
      named(pair.substr(0, colon), path, variable, place_name);
    }
  }

  /// A directory of plugins: files by their names, folders by theirs.
  void directory(const fs::path& path, const std::string& source) {
    begin_place(source.empty() ? path.string() : source + " (" + path.string() + ")");
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      const bool is_hidden =
          error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory;
      return place(place_, is_hidden ? error.message() : "no such directory");
    }
    if (fs::directory_iterator(path, error); error) return place(place_, "cannot be read: " + error.message());
    for (const fs::path& entry : entries_of(path, entries_left_)) {
      if (fs::is_directory(entry, error)) {
        folder(entry, entry.filename().string(), kDepth - 1);
      } else {
        file(entry, plugin_name_of(entry));
        take(false);
      }
    }
    end_place("no plugin in it");
  }

  /// The folders that plugin wheels unpack to.
  void site_packages(const fs::path& site) {
    std::error_code error;
    if (!fs::is_directory(site, error)) return;
    begin_place("Python site-packages (" + site.string() + ")");
    for (const char* group : {"xla_plugins", "jax_plugins"}) {
      for (const fs::path& entry : entries_of(site / group, entries_left_)) {
        if (fs::is_directory(entry, error)) folder(entry, entry.filename().string(), 0);
      }
    }
    for (const char* wheel : {"libtpu", "lammps_jax_pjrt_cpu", "fastatomstruct_xla_cpu"}) {
      if (fs::is_directory(site / wheel, error)) folder(site / wheel, wheel, 0);
    }
    end_place("no plugin wheel");
  }

 private:
  /// A file or, if it is a link that leads nowhere, at least the link.
  static bool exists(const fs::path& path) {
    std::error_code error;
    return fs::symlink_status(path, error).type() != fs::file_type::not_found && !error;
  }

  /// A file that a variable names: whatever it is, it was meant.
  void named(std::string name, const fs::path& path, const std::string& source, const std::string& place_name) {
    const LibraryFile library = inspect_library(path, "GetPjrtApi");
    std::optional<std::string> problem = library.problem;
    if (!problem && !library.exports_symbol) problem = kNoSymbol;
    place(place_name, problem ? "1 plugin that cannot be used: " + *problem : "1 plugin");
    result.found.push_back({std::move(name), plugin_name_of(path), path, source, std::move(problem)});
  }

  void begin_place(std::string place) {
    place_ = printable(place);
    entries_left_ = kMostEntries;
    nested_entries_left_ = kMostNestedEntries;
    usable_ = unusable_ = not_plugins_ = 0;
  }
  void end_place(const std::string& nothing) {
    std::string outcome = usable_ > 0 ? count_of(usable_, "plugin") : nothing;
    if (unusable_ > 0) outcome += ", " + count_of(unusable_, "file") + " that cannot be used";
    if (usable_ == 0 && not_plugins_ > 0)
      outcome += ", " + std::to_string(not_plugins_) +
                 (not_plugins_ == 1 ? " library that exports" : " libraries that export") + " no GetPjrtApi";
    if (entries_left_ == 0 || nested_entries_left_ == 0)
      outcome += "; searched in part: too many files (" + std::to_string(kMostEntries) + ", or " +
                 std::to_string(kMostNestedEntries) + " in its folders)";
    place(place_, std::move(outcome));
  }

  static std::vector<fs::path> entries_of(const fs::path& directory, std::size_t& left) {
    std::vector<fs::path> entries = sorted_entries(directory, left);
    left -= entries.size();
    return entries;
  }

  /// Looks at a file if its name ends in .so.
  void file(const fs::path& path, std::string name) {
    if (path.extension() != ".so") return;
    const LibraryFile library = inspect_library(path, "GetPjrtApi");
    PluginCandidate candidate{std::move(name), plugin_name_of(path), path, place_, library.problem};
    if (!candidate.problem && !library.exports_symbol) candidate.problem = kNoSymbol;
    gathered_.push_back(std::move(candidate));
  }

  /// All files of a folder, under the folder's name.
  void folder(const fs::path& path, const std::string& name, int depth) {
    std::set<std::pair<dev_t, ino_t>> seen;
    collect(path, name, depth, seen);
    const bool has_plugin = std::ranges::any_of(gathered_, [](const PluginCandidate& c) { return !c.problem; });
    // A plugin that can be used comes before the damaged libraries beside it, but not before a damaged plugin.
    std::ranges::stable_partition(gathered_, [](const PluginCandidate& c) {
      return !c.problem || (c.problem != kNoSymbol && is_named_like_a_plugin(c.path));
    });
    take(/*is_complete=*/has_plugin);
  }
  void collect(const fs::path& directory, const std::string& name, int depth, std::set<std::pair<dev_t, ino_t>>& seen) {
    for (const fs::path& entry : entries_of(directory, nested_entries_left_)) {
      struct stat status{};
      if (::stat(entry.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
        file(entry, name);
      } else if (depth > 0 && seen.emplace(status.st_dev, status.st_ino).second) {  // links may lead in circles
        collect(entry, name, depth - 1, seen);
      }
    }
  }

  /// Sorts what was gathered into plugins and others. If the plugin of a folder was found, its other libraries are not
  /// suspected to be one, whatever their names.
  void take(bool is_complete) {
    for (PluginCandidate& c : gathered_) {
      if (c.problem == kNoSymbol && (is_complete || !is_named_like_a_plugin(c.path))) {
        ++not_plugins_;
        result.not_plugins.push_back(std::move(c));
      } else {
        ++(c.problem ? unusable_ : usable_);
        result.found.push_back(std::move(c));
      }
    }
    gathered_.clear();
  }

  static constexpr const char* kNoSymbol = "it exports no GetPjrtApi";
  std::string place_;
  std::size_t entries_left_ = 0;
  std::size_t nested_entries_left_ = 0;
  std::size_t usable_ = 0;
  std::size_t unusable_ = 0;
  std::size_t not_plugins_ = 0;
  std::vector<PluginCandidate> gathered_;
};

/// site-packages of the Python that `python3` on PATH is, of the active virtual environment and of PYTHONPATH.
std::vector<fs::path> python_sites() {
  std::vector<fs::path> sites;
  std::set<fs::path> seen;
  const auto add = [&](const fs::path& path) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(path, error);
    if (!error && fs::is_directory(real, error) && seen.insert(real).second) sites.push_back(path);
  };
  const auto add_prefix = [&](const fs::path& prefix) {
    for (const fs::path& lib : sorted_entries(prefix / "lib")) {
      if (!lib.filename().string().starts_with("python3")) continue;
      add(lib / "site-packages");
      add(lib / "dist-packages");
    }
  };
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const auto prefix = environment(variable)) add_prefix(*prefix);
  }
  if (const auto path = environment("PYTHONPATH")) {
    for (const std::string& entry : split(*path, ':')) add(entry);
  }
  if (const auto home = environment("HOME")) add_prefix(fs::path(*home) / ".local");
  if (const auto path = environment("PATH")) {
    for (const std::string& directory : split(*path, ':')) {
      std::error_code error;
      const fs::path python = fs::path(directory) / "python3";
      if (!fs::exists(python, error)) continue;
      add_prefix(fs::path(directory).parent_path());
      const fs::path real = fs::canonical(python, error);
      if (!error) add_prefix(real.parent_path().parent_path());
      break;
    }
  }
  add_prefix("/usr/local");
  add_prefix("/usr");
  return sites;
}

}  // namespace

std::string plugin_name_of(const fs::path& file) {
  static const std::set<std::string> kNoise = {"lib", "pjrt", "c", "api", "plugin", "plugins", "xla", "jax", "python"};
  std::string stem = file.filename().string();
  stem = stem.substr(0, stem.find(".so"));
  if (stem.starts_with("lib")) stem = stem.substr(3);
  std::ranges::replace(stem, '-', '_');
  std::string name;
  for (const std::string& word : split(stem, '_')) {
    if (kNoise.contains(word)) continue;
    if (!name.empty()) name += '_';
    name += word;
  }
  return name.empty() ? stem : name;
}

namespace {

bool is_called(const PluginCandidate& candidate, std::string_view name) {
  return candidate.name == name || candidate.alias == name;
}

/// The first candidate of that name: places in order; within one, the exact name wins.
const PluginCandidate* first_called(const PluginSearch& search, std::string_view name) {
  std::set<std::string_view> sources;
  for (const PluginCandidate& in_place : search.found) {
    if (!sources.insert(in_place.source).second) continue;
    const PluginCandidate* by_alias = nullptr;
    for (const PluginCandidate& c : search.found) {
      if (c.source != in_place.source) continue;
      if (c.name == name) return &c;
      if (by_alias == nullptr && c.alias == name) by_alias = &c;
    }
    if (by_alias != nullptr) return by_alias;
  }
  return nullptr;
}

}  // namespace

Error with_others(Error error, const PluginSearch& search, const PluginCandidate& chosen, std::string_view name) {
  error = std::move(error).with_note("found as '" + printable(name) + "' in " + chosen.source);
  for (const PluginCandidate& c : search.found) {
    if (c.path == chosen.path || c.problem || !is_called(c, name)) continue;
    return std::move(error).with_note("another plugin of that name was not tried: " + printable(c.path.string()) +
                                      " in " + c.source + " (choose it by its path, or remove the first file)");
  }
  return error;
}

Result<PluginCandidate> choose_plugin(const PluginSearch& search, std::string_view name) {
  if (const PluginCandidate* chosen = first_called(search, name)) {
    if (!chosen->problem) return *chosen;
    return std::unexpected(
        with_others(Error(ErrorCode::FailedPrecondition,
                          "plugin " + printable(chosen->path.string()) + " cannot be loaded: " + *chosen->problem),
                    search, *chosen, name));
  }
  constexpr std::size_t kMostNotes = 10;  // of one sort
  Error error(ErrorCode::NotFound, "no plugin named '" + printable(name) + "' was found");
  for (const SearchedPlace& p : search.places) error = std::move(error).with_note(p.place + ": " + p.outcome);
  std::size_t others = 0;
  for (const PluginCandidate& c : search.found) {
    if (++others > kMostNotes) continue;
    error = std::move(error).with_note(
        (c.problem ? "found under another name, and cannot be used: " : "found under another name: ") +
        printable(c.name) + ", " + printable(c.path.string()) + (c.problem ? ": " + *c.problem : ""));
  }
  if (others > kMostNotes)
    error = std::move(error).with_note("and " + std::to_string(others - kMostNotes) + " more under other names");
  for (const PluginCandidate& c : search.not_plugins) {
    if (!is_called(c, name)) continue;
    error = std::move(error).with_note("not a plugin: " + printable(c.path.string()) + " exports no GetPjrtApi");
    break;
  }
  if (name == "cpu")
    error = std::move(error).with_note("a CPU plugin can be had from PyPI: pip install lammps-jax-pjrt-cpu");
  if (name == "tpu") error = std::move(error).with_note("the TPU plugin can be had from PyPI: pip install libtpu");
  if (name == "cuda")
    error = std::move(error).with_note("a CUDA plugin can be had from PyPI: pip install jax-cuda13-pjrt");
  return std::unexpected(std::move(error).with_note("or name the file itself: a path with a '/' in it"));
}

namespace {

bool is_libtpu(const fs::path& plugin) {
  return plugin.filename().string().find("libtpu") != std::string::npos;
}

}  // namespace

Result<void> check_surroundings(const fs::path& plugin) {
  constexpr const char* kCpus = "/sys/devices/system/cpu/possible";
  if (!is_libtpu(plugin) || ::access(kCpus, R_OK) == 0) return {};
  return std::unexpected(
      Error(ErrorCode::FailedPrecondition,
            "plugin " + plugin.string() + " cannot be loaded here: libtpu reads " + kCpus + ", which is not there")
          .with_note("mount /sys; libtpu would end the process"));
}

void prepare_environment(const fs::path& plugin) {
  if (!is_libtpu(plugin)) return;
  for (const fs::path& device : sorted_entries("/sys/bus/pci/devices")) {
    std::ifstream vendor(device / "vendor");
    std::string id;
    if (vendor >> id && id == "0x1ae0") return;  // Google: a TPU is attached, let libtpu ask where it is
  }
  ::setenv("TPU_SKIP_MDS_QUERY", "1", 0);
  ::setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1",
           0);  // its lock file guards no device, and two processes that start at once would fail over it
}

}  // namespace detail

PluginSearch find_plugins() {
  detail::Search search;
  search.variable_with_path();
  search.names_and_paths();
  if (const auto path = detail::environment("PJRT_PLUGIN_PATH")) {
    for (const std::string& directory : detail::split(*path, ':')) search.directory(directory, "PJRT_PLUGIN_PATH");
  } else {
    search.place("PJRT_PLUGIN_PATH", "not set");
  }
  std::error_code error;
  const std::filesystem::path executable = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) search.directory(executable.parent_path().parent_path() / "lib" / "pjrt" / "plugins", "");
  const auto data = detail::environment("XDG_DATA_HOME");
  const auto home = detail::environment("HOME");
  if (data || home) {
    const std::filesystem::path base =
        data ? std::filesystem::path(*data) : std::filesystem::path(*home) / ".local" / "share";
    search.directory(base / "pjrt" / "plugins", "");
  }
  const std::vector<std::filesystem::path> sites = detail::python_sites();
  for (const std::filesystem::path& site : sites) search.site_packages(site);
  if (sites.empty()) search.place("Python site-packages", "no Python found");
  return std::move(search.result);
}

}  // namespace pjrt
