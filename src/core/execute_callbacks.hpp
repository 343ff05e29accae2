#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/plugin_state.hpp"
#include "pjrt/abi/core.h"
#include "pjrt/execute_options.hpp"

namespace pjrt::detail {

/// The options of an execution as C sees them, with what its callbacks need. Neither copies nor moves.
class CExecuteOptions {
 public:
  CExecuteOptions(const PluginState& plugin, const ExecuteOptions& options, std::span<const std::int64_t> kept);
  CExecuteOptions(const CExecuteOptions&) = delete;
  CExecuteOptions& operator=(const CExecuteOptions&) = delete;

  /// Refuses what the plugin is too old for, and callbacks that do not fit `num_devices`.
  Result<void> prepare(std::size_t num_devices);

  /// Other inputs than those of the constructor whose memory the program may not take; the indices stay the caller's.
  void keep_inputs(std::span<const std::int64_t> kept) noexcept {
    c_.non_donatable_input_indices = kept.data();
    c_.num_non_donatable_input_indices = kept.size();
  }

  abi::PJRT_ExecuteOptions* get() noexcept { return &c_; }

  /// Whether the plugin may look at something of this after the call.
  bool must_outlive_the_run() const noexcept { return held_ != nullptr; }
  /// Keeps it until the event is ready.
  void keep_until(const Event& event);

 private:
  struct Held;
  const PluginState& plugin_;
  const ExecuteOptions& options_;
  abi::PJRT_ExecuteOptions c_{};
  std::shared_ptr<Held> held_;
};

}  // namespace pjrt::detail
