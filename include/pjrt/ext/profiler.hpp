#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/ext/extension.hpp"
#include "pjrt/profile.hpp"

namespace pjrt {

namespace abi {
struct PLUGIN_Profiler;
struct PLUGIN_Profiler_Api;
}  // namespace abi

namespace ext {

/// A profile being taken by a plugin: from `Profiler::start` until `stop`. Move-only; one thread at a time.
class PJRT_EXPORT ProfileSession {
 public:
  ProfileSession(ProfileSession&& other) noexcept;
  ProfileSession& operator=(ProfileSession&& other) noexcept;
  /// Ends the profile if `stop` did not. Wraps PLUGIN_Profiler_Destroy.
  ~ProfileSession();

  /// Ends it; what was recorded can then be collected. FailedPrecondition the second time. Wraps PLUGIN_Profiler_Stop.
  [[nodiscard]] Result<void> stop();
  /// The serialized XSpace of a stopped profile; plugins give it once. Wraps PLUGIN_Profiler_CollectData.
  Result<std::vector<std::byte>> collect() const;
  /// The same, by the newer interface where the plugin has it (Unimplemented where not). Wraps PLUGIN_Profiler_Consume,
  /// PLUGIN_Profiler_Serialize and PLUGIN_Profiler_ConsumeResult_Destroy.
  Result<std::vector<std::byte>> consume() const;
  /// Stops, collects, reads: the usual end.
  Result<Profile> finish();

  /// For the library itself; owns `raw`.
  ProfileSession(const pjrt::detail::PluginState* plugin, const abi::PLUGIN_Profiler_Api* api,
                 abi::PLUGIN_Profiler* raw) noexcept
      : plugin_(plugin), api_(api), raw_(raw) {}

 private:
  const pjrt::detail::PluginState* plugin_;
  const abi::PLUGIN_Profiler_Api* api_;
  abi::PLUGIN_Profiler* raw_;
  bool running_ = true;
};

/// The plugin's own profiler. CPU plugins have none; HostTimeline records what can be seen from outside.
class PJRT_EXPORT Profiler : public Extension {
  PJRT_EXTENSION(Profiler, 1)

  /// Begins a profile of everything the plugin does. `options` is a serialized tensorflow.ProfileOptions, empty for the
  /// defaults. Wraps PLUGIN_Profiler_Create and PLUGIN_Profiler_Start (PLUGIN_Profiler_Error_Message, _GetCode and
  /// _Destroy behind errors).
  Result<ProfileSession> start(std::string_view options = {}) const;
  /// The interface behind the extension; null if the plugin gives none. Reads PJRT_Profiler_Extension.profiler_api.
  const abi::PLUGIN_Profiler_Api* api() const noexcept;
  /// What relates the plugin's TraceMe events to the host's. Reads PJRT_Profiler_Extension.traceme_context_id.
  std::int64_t traceme_context_id() const noexcept;
};

}  // namespace ext
}  // namespace pjrt
