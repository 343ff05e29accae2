#pragma once

#include <sys/stat.h>

#include <mutex>

#include "core/plugin_state.hpp"

namespace pjrt::detail {

/// Every plugin of the process. Plugins are added and never removed, so that readers need no lock; the mutex keeps two
/// threads from loading the same file twice.
class PluginList {
 public:
  static std::mutex& mutex() noexcept;
  static PluginState* first() noexcept;
  static void add(PluginState& plugin) noexcept;

  /// The plugin of that file, or null.
  static PluginState* find(const struct stat& file) noexcept;
  /// The plugin with that table, or null.
  static PluginState* find(const abi::PJRT_Api* table) noexcept;
};

}  // namespace pjrt::detail
