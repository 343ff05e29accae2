#include "core/discovery.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <vector>

#include "core/elf.hpp"

namespace pjrt {
namespace detail {
namespace {

namespace fs = std::filesystem;

constexpr int kDepth = 3;  // of folders below a searched directory: NAME/wheel folder/plugin folder/file.so

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::optional<std::string>(value) : std::nullopt;
}

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

std::vector<fs::path> sorted_entries(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    entries.push_back(it->path());
  std::ranges::sort(entries);
  return entries;
}

bool is_plugin_file(const fs::path& path) {
  std::error_code error;
  return path.extension() == ".so" && fs::is_regular_file(path, error) && exports_symbol(path, "GetPjrtApi");
}

void collect_files(const fs::path& directory, int depth, std::vector<fs::path>& files) {
  for (const fs::path& entry : sorted_entries(directory)) {
    std::error_code error;
    if (fs::is_directory(entry, error)) {
      if (depth > 0) collect_files(entry, depth - 1, files);
    } else if (is_plugin_file(entry)) {
      files.push_back(entry);
    }
  }
}

/// One search: gathers candidates and what came of each place.
class Search {
 public:
  PluginSearch result;

  void place(std::string place, std::string outcome) {
    result.places.push_back({std::move(place), std::move(outcome)});
  }

  void variable_with_path() {
    const std::string place_name = "PJRT_PLUGIN";
    const auto value = environment("PJRT_PLUGIN");
    if (!value) return place(place_name, "not set");
    if (value->find('/') == std::string::npos) return place(place_name, "set to a name, '" + *value + "', not a path");
    std::error_code error;
    if (!fs::exists(*value, error)) return place(place_name + " (" + *value + ")", "no such file");
    found(plugin_name_of(*value), *value, place_name);
    place(place_name + " (" + *value + ")", "1 plugin");
  }

  void names_and_paths() {
    const std::string variable = "PJRT_NAMES_AND_LIBRARY_PATHS";
    const auto value = environment(variable.c_str());
    if (!value) return place(variable, "not set");
    for (const std::string& pair : split(*value, ',')) {
      const std::size_t colon = pair.find(':');
      if (colon == std::string::npos || colon == 0) {
        place(variable + " (" + pair + ")", "is not of the form name:path");
        continue;
      }
      const fs::path path = pair.substr(colon + 1);
      std::error_code error;
      if (!fs::exists(path, error)) {
        place(variable + " (" + pair + ")", "no such file");
        continue;
      }
      found(pair.substr(0, colon), path, variable);
      place(variable + " (" + pair + ")", "1 plugin");
    }
  }

  /// A directory of plugins: files by their names, folders by theirs.
  void directory(const fs::path& path, const std::string& source) {
    const std::string place_name = source.empty() ? path.string() : source + " (" + path.string() + ")";
    std::error_code error;
    if (!fs::is_directory(path, error)) return place(place_name, "no such directory");
    int count = 0;
    for (const fs::path& entry : sorted_entries(path)) {
      if (fs::is_directory(entry, error)) {
        std::vector<fs::path> files;
        collect_files(entry, kDepth - 1, files);
        for (const fs::path& file : files) found(entry.filename().string(), file, place_name), ++count;
      } else if (is_plugin_file(entry)) {
        found(plugin_name_of(entry), entry, place_name), ++count;
      }
    }
    place(place_name, count == 0 ? "no plugin in it" : std::to_string(count) + (count == 1 ? " plugin" : " plugins"));
  }

  /// The folders that plugin wheels unpack to.
  void site_packages(const fs::path& site) {
    std::error_code error;
    if (!fs::is_directory(site, error)) return;
    int count = 0;
    const auto folder = [&](const fs::path& path, const std::string& name) {
      std::vector<fs::path> files;
      collect_files(path, 0, files);
      for (const fs::path& file : files) found(name, file, "Python site-packages (" + site.string() + ")"), ++count;
    };
    for (const char* group : {"xla_plugins", "jax_plugins"}) {
      for (const fs::path& entry : sorted_entries(site / group)) {
        if (fs::is_directory(entry, error)) folder(entry, entry.filename().string());
      }
    }
    for (const char* wheel : {"libtpu", "lammps_jax_pjrt_cpu", "fastatomstruct_xla_cpu"}) {
      if (fs::is_directory(site / wheel, error)) folder(site / wheel, wheel);
    }
    place("Python site-packages (" + site.string() + ")",
          count == 0 ? "no plugin wheel" : std::to_string(count) + (count == 1 ? " plugin" : " plugins"));
  }

 private:
  void found(std::string name, const fs::path& path, std::string source) {
    std::string alias = plugin_name_of(path);
    result.found.push_back({std::move(name), std::move(alias), path, std::move(source)});
  }
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

Result<PluginCandidate> choose_plugin(const PluginSearch& search, std::string_view name) {
  std::set<std::string> sources;
  for (const PluginCandidate& in_place : search.found) {  // places in order; within one, the exact name wins
    if (!sources.insert(in_place.source).second) continue;
    const PluginCandidate* by_alias = nullptr;
    for (const PluginCandidate& c : search.found) {
      if (c.source != in_place.source) continue;
      if (c.name == name) return c;
      if (by_alias == nullptr && c.alias == name) by_alias = &c;
    }
    if (by_alias != nullptr) return *by_alias;
  }
  Error error(ErrorCode::NotFound, "no plugin named '" + std::string(name) + "' was found");
  for (const SearchedPlace& p : search.places) error = std::move(error).with_note(p.place + ": " + p.outcome);
  for (const PluginCandidate& c : search.found)
    error = std::move(error).with_note("found under another name: " + c.name + ", " + c.path.string());
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
