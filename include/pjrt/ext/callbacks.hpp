#pragma once

#include <functional>

#include "pjrt/client.hpp"
#include "pjrt/error.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt::ext {

/// Why a TPU slice failed (`PJRT_Callback_Tpu_SliceFailureType`).
enum class SliceFailure : int {
  Unknown = 0,
  InitError = 1,
  WorkerUnavailable = 2,
  FlappingTaskError = 3,
  SoftwareInjectedError = 4,
  ChipDriverError = 5,
};

/// What a client tells its process before it goes wrong. A callback belongs to its client and lives as long; it is
/// called on a thread of the plugin, and what it throws stops there.
class PJRT_EXPORT Callbacks : public Extension {
  PJRT_EXTENSION(Callbacks, 14)

  /// Called when building the slice fails. Wraps PJRT_Register_Callback for Tpu_SliceBuilder.
  [[nodiscard]] Result<void> on_slice_failure(const Client& client, std::function<void(SliceFailure)> callback) const;
  /// Called with the error that is about to end the process. Wraps PJRT_Register_Callback for Prefatal.
  [[nodiscard]] Result<void> on_prefatal(const Client& client, std::function<void(const Error&)> callback) const;

  /// Calls what is registered, as the plugin would. Wraps PJRT_Callback_InvokeCallback for Tpu_SliceBuilder.
  [[nodiscard]] Result<void> invoke_slice_failure(const Client& client, SliceFailure failure) const;
  /// The same for Prefatal. Wraps PJRT_Callback_InvokeCallback.
  [[nodiscard]] Result<void> invoke_prefatal(const Client& client, const Error& error) const;
};

}  // namespace pjrt::ext
