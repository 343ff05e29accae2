#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "pjrt/error.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt {

namespace abi {
struct PJRT_MultiSlice_Config;
}

namespace ext {

/// How the slices of a computation reach each other, as the compiler and the runtime want to know it: made by
/// ext::Megascale. Its serialized form is for CompileOptions::multi_slice_config, `raw` for ExecuteOptions and
/// DeserializeOptions. Move-only.
class PJRT_EXPORT MultiSliceConfig {
 public:
  MultiSliceConfig(MultiSliceConfig&& other) noexcept
      : plugin_(other.plugin_), raw_(std::exchange(other.raw_, nullptr)) {}
  MultiSliceConfig& operator=(MultiSliceConfig&& other) noexcept {
    MultiSliceConfig taken(std::move(other));  // what this one had goes now
    std::swap(plugin_, taken.plugin_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_MultiSlice_Config_Destroy.
  ~MultiSliceConfig();

  /// Wraps PJRT_MultiSlice_Config_NumSlices.
  Result<int> num_slices() const;
  /// The slice of this process. Wraps PJRT_MultiSlice_Config_SliceId.
  Result<int> slice_id() const;
  /// By slice. Wraps PJRT_MultiSlice_Config_NumDevicesPerSlice.
  Result<std::map<int, int>> num_devices_per_slice() const;
  /// Wraps PJRT_MultiSlice_Config_Serialize.
  Result<std::string> serialize() const;

  abi::PJRT_MultiSlice_Config* raw() const noexcept { return raw_; }
  Plugin plugin() const noexcept { return Plugin(plugin_); }

  /// For the library itself; owns `raw`.
  MultiSliceConfig(const pjrt::detail::PluginState* plugin, abi::PJRT_MultiSlice_Config* raw) noexcept
      : plugin_(plugin), raw_(raw) {}

 private:
  const pjrt::detail::PluginState* plugin_;
  abi::PJRT_MultiSlice_Config* raw_;
};

/// What MultiSliceConfig stands on. Without it, configs can be made and handed on; their members answer Unimplemented.
class PJRT_EXPORT MultiSlice : public Extension {
  PJRT_EXTENSION(MultiSlice, 22)
};

}  // namespace ext
}  // namespace pjrt
