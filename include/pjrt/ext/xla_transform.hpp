#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt::ext {

/// Rewrites programs inside the compiler: functions from a serialized HloModuleProto to another, run at a stage of
/// every compilation in the process.
class PJRT_EXPORT XlaTransform : public Extension {
  PJRT_EXTENSION(XlaTransform, 24)

  /// When a transform runs.
  enum class Stage : int { PreScheduler = 0, PostScheduler = 1 };

  /// Takes a serialized HloModuleProto; gives another in its place, or nullopt to leave it as it is. An error, or an
  /// exception, fails the compilation with its message. Called on threads of the plugin, several at once if several
  /// programs are compiled.
  using Transform = std::function<Result<std::optional<std::string>>(std::string_view hlo_module)>;

  /// Runs `transform` in every compilation from now on, until it is cleared. Transforms of a stage run in the order
  /// they were registered, those of the same name too. Wraps PJRT_Register_Xla_Transform_Fn.
  [[nodiscard]] Result<void> register_transform(std::string_view name, Stage stage, Transform transform) const;
  /// Ends the oldest of that name at that stage; gives whether there was one. A compilation under way may still call
  /// it. Wraps PJRT_Clear_Xla_Transform_Fn.
  Result<bool> clear_transform(std::string_view name, Stage stage) const;
};

}  // namespace pjrt::ext
