#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "pjrt/abi/core.h"
#include "pjrt/abi/tables.hpp"
#include "pjrt/plugin.hpp"
#include "pjrt/serialized_executable.hpp"

namespace pjrt::detail {

/// Why a plugin cannot be used although it is loaded.
enum class Gone : int {
  No,
  /// This process was forked from the one that started it: its threads do not exist here.
  Forked,
  /// The process is ending, and the plugin's own statics may have been destroyed.
  Exiting,
};

/// Everything the library knows of a loaded plugin. Never destroyed.
struct PluginState {
  std::string name;
  std::filesystem::path path;
  /// Which file it is, however it is named.
  dev_t device = 0;
  ino_t inode = 0;
  Version version;
  const abi::PJRT_Api* raw = nullptr;
  /// The plugin's table in ours: slots beyond its struct_size are null, so that presence is one test.
  abi::PJRT_Api api{};
  std::vector<ExtensionInfo> extensions;
  /// The same for the extensions we know: copies as wide as our structs, zero behind what the plugin has. Null if
  /// absent.
  std::array<std::unique_ptr<void*[]>, abi::extension_types.size()> extension_copies;

  /// The plugin has made something that may have threads or locks. Set once, by the choke point.
  mutable std::atomic<bool> started{false};
  /// Why nothing of the plugin may be called any more; see process.hpp.
  std::atomic<Gone> gone{Gone::No};
  /// The next of all plugins; see PluginList.
  PluginState* next = nullptr;

  /// Read when an executable is first serialized or deserialized.
  mutable std::once_flag origin_once;
  mutable SerializedExecutable::Origin origin;

  template <class Ext>
  const Ext* extension(int type) const noexcept {
    return reinterpret_cast<const Ext*>(extension_copies[static_cast<std::size_t>(type)].get());
  }
};

/// What empty handles belong to: a plugin without functions.
const PluginState& no_plugin() noexcept;

/// Checks a table and copies what we may read of it.
Result<PluginState*> make_plugin_state(const abi::PJRT_Api* api, std::string name, std::filesystem::path path);

}  // namespace pjrt::detail
