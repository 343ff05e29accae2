#pragma once

#include <memory>
#include <string>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/named_value.hpp"

namespace pjrt {

namespace abi {
struct PJRT_DeviceDescription;
}

namespace detail {
struct PluginState;
struct DescriptionRecord;
}  // namespace detail

/// What is known of a device without a client: as a topology for ahead-of-time compilation describes it, or of a live
/// device.
///
/// Borrowed; it keeps its topology or client alive. All members may be used from several threads.
class PJRT_EXPORT DeviceDescription {
 public:
  /// Moving copies, so that no handle is ever empty.
  DeviceDescription(const DeviceDescription&) noexcept = default;
  DeviceDescription& operator=(const DeviceDescription&) noexcept = default;

  /// Wraps PJRT_DeviceDescription_Id.
  int id() const noexcept;
  /// Wraps PJRT_DeviceDescription_ProcessIndex.
  int process_index() const noexcept;
  /// Wraps PJRT_DeviceDescription_Kind.
  const std::string& kind() const& noexcept;
  std::string kind() const&& { return kind(); }
  /// For debugging, verbose. Wraps PJRT_DeviceDescription_DebugString.
  const std::string& debug_string() const& noexcept;
  std::string debug_string() const&& { return debug_string(); }
  /// For people, short. Wraps PJRT_DeviceDescription_ToString.
  const std::string& to_string() const& noexcept;
  std::string to_string() const&& { return to_string(); }
  /// E.g. `coords` and `core_on_chip` of a TPU core. Wraps PJRT_DeviceDescription_Attributes.
  Result<NamedValues> attributes() const;

  abi::PJRT_DeviceDescription* raw() const noexcept;

  /// For the library itself: `owner` keeps the plugin's object behind `record` alive.
  DeviceDescription(std::shared_ptr<const void> owner, const detail::PluginState* plugin,
                    const detail::DescriptionRecord* record) noexcept
      : owner_(std::move(owner)), plugin_(plugin), record_(record) {}
  const detail::PluginState& plugin_state() const noexcept { return *plugin_; }

 private:
  std::shared_ptr<const void> owner_;
  const detail::PluginState* plugin_;
  const detail::DescriptionRecord* record_;
};

}  // namespace pjrt
