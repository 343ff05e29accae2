#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "pjrt/client.hpp"
#include "pjrt/executable.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt {

namespace abi {
struct PJRT_RuntimeAbiVersion;
struct PJRT_ExecutableAbiVersion;
}  // namespace abi

namespace ext {

/// What a compiled program needs of a runtime. Move-only.
class PJRT_EXPORT ExecutableAbiVersion {
 public:
  ExecutableAbiVersion(ExecutableAbiVersion&& other) noexcept
      : plugin_(other.plugin_), raw_(std::exchange(other.raw_, nullptr)) {}
  ExecutableAbiVersion& operator=(ExecutableAbiVersion&& other) noexcept {
    ExecutableAbiVersion taken(std::move(other));  // what this one had goes now
    std::swap(plugin_, taken.plugin_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_ExecutableAbiVersion_Destroy.
  ~ExecutableAbiVersion();

  /// To keep; see AbiVersion::executable_version_from_proto. Wraps PJRT_ExecutableAbiVersion_ToProto.
  Result<std::string> to_proto() const;
  /// A hash of the platform's name. Wraps PJRT_ExecutableAbiVersion_PlatformId.
  Result<std::uint64_t> platform_id() const;
  const abi::PJRT_ExecutableAbiVersion* raw() const noexcept { return raw_; }
  Plugin plugin() const noexcept { return Plugin(plugin_); }

  /// For the library itself; owns `raw`.
  ExecutableAbiVersion(const pjrt::detail::PluginState* plugin, abi::PJRT_ExecutableAbiVersion* raw) noexcept
      : plugin_(plugin), raw_(raw) {}

 private:
  const pjrt::detail::PluginState* plugin_;
  abi::PJRT_ExecutableAbiVersion* raw_;
};

/// What a runtime offers compiled programs. Move-only.
class PJRT_EXPORT RuntimeAbiVersion {
 public:
  RuntimeAbiVersion(RuntimeAbiVersion&& other) noexcept
      : plugin_(other.plugin_), raw_(std::exchange(other.raw_, nullptr)) {}
  RuntimeAbiVersion& operator=(RuntimeAbiVersion&& other) noexcept {
    RuntimeAbiVersion taken(std::move(other));  // what this one had goes now
    std::swap(plugin_, taken.plugin_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_RuntimeAbiVersion_Destroy.
  ~RuntimeAbiVersion();

  /// Nothing if programs for `other` run here too, else the error that says why not. Wraps
  /// PJRT_RuntimeAbiVersion_IsCompatibleWithRuntime.
  [[nodiscard]] Result<void> check_compatible(const RuntimeAbiVersion& other) const;
  /// The same for one program. Wraps PJRT_RuntimeAbiVersion_IsCompatibleWithExecutable.
  [[nodiscard]] Result<void> check_compatible(const ExecutableAbiVersion& executable) const;
  /// Wraps PJRT_RuntimeAbiVersion_ToProto.
  Result<std::string> to_proto() const;
  /// Wraps PJRT_RuntimeAbiVersion_PlatformId.
  Result<std::uint64_t> platform_id() const;

  /// For the library itself; owns `raw`.
  RuntimeAbiVersion(const pjrt::detail::PluginState* plugin, abi::PJRT_RuntimeAbiVersion* raw) noexcept
      : plugin_(plugin), raw_(raw) {}

 private:
  const pjrt::detail::PluginState* plugin_;
  abi::PJRT_RuntimeAbiVersion* raw_;
};

/// Whether a program compiled elsewhere will run here, before trying.
class PJRT_EXPORT AbiVersion : public Extension {
  PJRT_EXTENSION(AbiVersion, 20)

  /// Wraps PJRT_Client_RuntimeAbiVersion.
  Result<RuntimeAbiVersion> runtime_version(const Client& client) const;
  /// Wraps PJRT_Executable_GetAbiVersion.
  Result<ExecutableAbiVersion> executable_version(const Executable& executable) const;
  /// Wraps PJRT_RuntimeAbiVersion_FromProto.
  Result<RuntimeAbiVersion> runtime_version_from_proto(std::string_view proto) const;
  /// Wraps PJRT_ExecutableAbiVersion_FromProto.
  Result<ExecutableAbiVersion> executable_version_from_proto(std::string_view proto) const;
};

}  // namespace ext
}  // namespace pjrt
