#pragma once

#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/plugin.hpp"

namespace pjrt {
class Client;
}

namespace pjrt::ext {

/// What every extension class is: a plugin that has the extension. A cheap value; the members of extension classes may
/// be used from several threads. A function that the plugin's extension lacks answers Unimplemented; `info` says how
/// many it has that are newer than this library.
class PJRT_EXPORT Extension {
 public:
  Plugin plugin() const noexcept { return Plugin(state_); }
  /// What the plugin's chain says of it.
  const ExtensionInfo& info() const noexcept;

 protected:
  Extension(const pjrt::detail::PluginState* state, int type) noexcept : state_(state), type_(type) {}
  const pjrt::detail::PluginState& state() const noexcept { return *state_; }

  /// The extension class `E`, or an Unimplemented error that says which plugins are known to have it.
  template <class E>
  static Result<E> find(const Plugin& plugin) {
    if (auto ok = check(plugin, E::kType); !ok) return std::unexpected(std::move(ok).error());
    return E(&plugin.state());
  }
  /// The client's plugin, for headers that know no more of clients than the name.
  static Plugin plugin_of(const Client& client) noexcept;
  /// InvalidArgument for a handle of another plugin: its functions must not see it.
  [[nodiscard]] Result<void> check_same_plugin(const Plugin& other, std::string_view what) const;

 private:
  [[nodiscard]] static Result<void> check(const Plugin& plugin, int type);
  const pjrt::detail::PluginState* state_;
  int type_;
};

}  // namespace pjrt::ext

/// What stands at the head of every extension class: its number, and how it is had from a plugin or a client.
#define PJRT_EXTENSION(Class, number)                                                           \
 public:                                                                                        \
  static constexpr int kType = number;                                                          \
  static Result<Class> of(const Plugin& plugin) {                                               \
    return find<Class>(plugin);                                                                 \
  }                                                                                             \
  static Result<Class> of(const Client& client) {                                               \
    return find<Class>(plugin_of(client));                                                      \
  }                                                                                             \
                                                                                                \
 private:                                                                                       \
  friend class Extension;                                                                       \
  explicit Class(const pjrt::detail::PluginState* state) noexcept : Extension(state, number) {} \
                                                                                                \
 public:
