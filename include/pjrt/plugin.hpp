#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/named_value.hpp"
#include "pjrt/version.hpp"

namespace pjrt {

namespace abi {
struct PJRT_Api;
struct PJRT_Extension_Base;
}  // namespace abi

namespace detail {
struct PluginState;
}

/// An extension that a plugin offers, known to this library or not.
struct ExtensionInfo {
  /// The number in the chain (`PJRT_Extension_Type`).
  int type = 0;
  /// "Layouts", "FFI", …; "unknown" for a number this library does not know.
  std::string_view name;
  bool known = false;
  /// As the plugin reports it, base included; need not be a multiple of 8.
  std::size_t struct_size = 0;
  /// Non-null entries behind the base that lie inside `struct_size`.
  int functions = 0;
  /// Entries inside `struct_size` that are newer than this library.
  int unknown_functions = 0;
  const abi::PJRT_Extension_Base* raw = nullptr;
};

/// A loaded PJRT plugin: its function table, version and extensions.
///
/// Plugins are never unloaded (XLA keeps process-wide registries), so a Plugin is a plain value that stays valid for
/// the life of the process. Loading the same file twice gives the same plugin. All members may be used from several
/// threads.
class PJRT_EXPORT Plugin {
 public:
  /// Loads a plugin by path (anything with a '/' in it) or by name ("cpu", "tpu", "cuda", …), searched for in the order
  /// of `find_plugins`. A name stands for the first candidate of that name: if that file cannot be used, the error
  /// names the file, the place and the reason, and later candidates of the name are mentioned but not tried. Errors:
  /// NotFound lists every place tried; a file that is not a plugin, was made for another machine, is cut short, lacks
  /// libraries, has a table that is null or too small, another major version or one before 0.57 is refused with its own
  /// message. A file that is shortened after it was loaded ends the process (SIGBUS); nothing can prevent that. Wraps
  /// PJRT_Plugin_Initialize.
  static Result<Plugin> load(std::string_view name_or_path);

  /// The plugin named by the environment variable PJRT_PLUGIN, or "cpu". The variable is ignored in a process that runs
  /// with more rights than its user has (setuid), as are all variables that `find_plugins` reads.
  static Result<Plugin> load_default();

  /// Takes a table that is in the process already, e.g. of a plugin linked statically. It must stay valid for ever.
  static Result<Plugin> adopt(const abi::PJRT_Api* api, std::string name);

  /// The name it was found by, or that its file suggests: "cpu".
  const std::string& name() const noexcept;
  /// The file; empty for an adopted table.
  const std::filesystem::path& path() const noexcept;
  /// The API version of the plugin's table. Reads PJRT_Api_Version.
  Version api_version() const noexcept;
  /// The platform that its file name suggests, "cpu" for libpjrt_cpu.so; the sure name is a client's.
  std::string platform_hint() const;
  /// "cpu (/path/to/plugin.so)": how messages name it.
  std::string description() const;

  /// What the plugin says about itself, e.g. `xla_version`, `stablehlo_current_version`. Wraps PJRT_Plugin_Attributes.
  Result<NamedValues> attributes() const;

  /// Every extension in the plugin's chain, in its order, unknown ones included.
  std::span<const ExtensionInfo> extensions() const noexcept;

  /// Whether the plugin has the extension `E` (a class of namespace pjrt::ext).
  template <class E>
  bool has_extension() const noexcept {
    return has_extension_type(E::kType);
  }
  /// The extension `E`, or an Unimplemented error that says which plugins have it.
  template <class E>
  Result<E> extension() const {
    return E::of(*this);
  }
  /// Whether the plugin's chain has an extension of that number.
  bool has_extension_type(int type) const noexcept;

  /// Whether the plugin has a core function, by its C name: its slot lies inside the table and is not null.
  bool has_function(std::string_view c_name) const noexcept;
  /// How many of the core functions this library knows the plugin has.
  int function_count() const noexcept;
  /// The C names of the core functions it lacks.
  std::vector<std::string_view> absent_functions() const;

  /// The plugin's own table. `struct_size` says how much of it may be read.
  const abi::PJRT_Api* raw() const noexcept;

  friend bool operator==(const Plugin&, const Plugin&) = default;

  /// For the library itself.
  explicit Plugin(const detail::PluginState* state) noexcept : state_(state) {}
  const detail::PluginState& state() const noexcept { return *state_; }

 private:
  const detail::PluginState* state_;
};

/// A plugin file that a search found. Check `problem` before using it.
struct PluginCandidate {
  /// What it is called where it was found: the folder's name, the name given in a variable, or one derived from the
  /// file.
  std::string name;
  /// The short name the file suggests ("cuda" for xla_cuda13/xla_cuda_plugin.so); may equal `name`.
  std::string alias;
  std::filesystem::path path;
  /// The place, as messages name it: "PJRT_PLUGIN_PATH (/opt/plugins)".
  std::string source;
  /// Why the file cannot be used, as far as that shows without loading it: "the file is cut short", "it is for AArch64,
  /// and this program for x86-64". Empty for a file that looks usable; loading may still fail, e.g. for want of a
  /// library or because of the plugin's version.
  std::optional<std::string> problem = std::nullopt;
};

/// A place that was searched and what came of it: "PJRT_PLUGIN_PATH: not set".
struct SearchedPlace {
  std::string place;
  std::string outcome;
};

/// What a search found, in order of preference, and where it looked.
struct PluginSearch {
  /// Plugins, and files in the places of plugins that cannot be used (`PluginCandidate::problem`).
  std::vector<PluginCandidate> found;
  /// Libraries that export no GetPjrtApi, which is their `problem`: usually what a plugin's wheel brings along.
  std::vector<PluginCandidate> not_plugins;
  std::vector<SearchedPlace> places;
};

/// Looks for plugins without loading any, in the order in which `Plugin::load` prefers them:
/// PJRT_PLUGIN (a path) · PJRT_NAMES_AND_LIBRARY_PATHS (name:path,…) · the directories of PJRT_PLUGIN_PATH ·
/// ../lib/pjrt/plugins beside the executable · ~/.local/share/pjrt/plugins · wheels in the active Python's
/// site-packages. In a directory, every file NAME.so that exports GetPjrtApi counts, down to three levels of folders;
/// the first level names it. A file that cannot be read as a library of this machine is listed with its `problem`.
/// Directories with more than 200,000 entries, or 20,000 in their folders, are searched in part, which the place's
/// outcome says.
PJRT_EXPORT PluginSearch find_plugins();

}  // namespace pjrt
