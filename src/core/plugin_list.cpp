#include "core/plugin_list.hpp"

#include "core/process.hpp"

namespace pjrt::detail {
namespace {

std::atomic<PluginState*> first_plugin{nullptr};

}  // namespace

std::mutex& PluginList::mutex() noexcept {
  static auto* const mutex = new std::mutex;  // never destroyed: plugins outlive main
  return *mutex;
}

PluginState* PluginList::first() noexcept {
  return first_plugin.load(std::memory_order_acquire);
}

void PluginList::add(PluginState& plugin) noexcept {
  watch_process();
  plugin.next = first_plugin.load(std::memory_order_relaxed);
  while (
      !first_plugin.compare_exchange_weak(plugin.next, &plugin, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

PluginState* PluginList::find(const struct stat& file) noexcept {
  PluginState* p = first();
  while (p != nullptr && (p->path.empty() || p->device != file.st_dev || p->inode != file.st_ino)) p = p->next;
  return p;
}

PluginState* PluginList::find(const abi::PJRT_Api* table) noexcept {
  PluginState* p = first();
  while (p != nullptr && p->raw != table) p = p->next;
  return p;
}

const PluginState& no_plugin() noexcept {
  static const auto* const none = [] {
    auto* plugin = new PluginState;
    plugin->name = "none";
    return plugin;
  }();
  return *none;
}

}  // namespace pjrt::detail
