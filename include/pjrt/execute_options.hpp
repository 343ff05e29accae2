#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/chunk.hpp"
#include "pjrt/copy_to_device_stream.hpp"
#include "pjrt/device.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/plugin.hpp"

namespace pjrt {

namespace abi {
struct PJRT_ExecuteContext;
struct PJRT_MultiSlice_Config;
}  // namespace abi

/// Data that custom-call handlers of an execution find again: see ext::Ffi::add_user_data. Shared by the executions it
/// is given to, and kept until they are done.
class PJRT_EXPORT ExecuteContext {
 public:
  /// Moving copies, so that no handle is ever empty.
  ExecuteContext(const ExecuteContext&) noexcept = default;
  ExecuteContext& operator=(const ExecuteContext&) noexcept = default;

  /// Wraps PJRT_ExecuteContext_Create and PJRT_ExecuteContext_Destroy.
  static Result<ExecuteContext> create(const Plugin& plugin);

  Plugin plugin() const noexcept;
  abi::PJRT_ExecuteContext* raw() const noexcept;

  /// For the library itself.
  std::shared_ptr<void> owner() const noexcept;
  /// Keeps something alive as long as the context.
  void attach(std::shared_ptr<void> what) const;

 private:
  struct State;
  explicit ExecuteContext(std::shared_ptr<State> state) noexcept;
  std::shared_ptr<State> state_;
};

/// What a host-send instruction of the program calls with its data. An error fails the execution. Called from threads
/// of the plugin.
struct SendCallback {
  std::int64_t channel_id = 0;
  /// `total_bytes` of the whole transfer; `done` with the last chunk.
  std::function<Result<void>(Chunk chunk, std::size_t total_bytes, bool done)> callback;
};

/// What a host-receive instruction of the program calls for its data. Called from threads of the plugin.
struct RecvCallback {
  std::int64_t channel_id = 0;
  std::function<void(CopyToDeviceStream stream)> callback;
};

/// What an output instruction of the program calls with an array, while it runs. Called from threads of the plugin; the
/// view is valid during the call.
struct HloOutputCallback {
  std::int64_t callback_id = 0;
  std::size_t num_operands = 0;
  std::function<void(std::int64_t replica, std::int64_t partition, const HostView& array, std::int64_t operand)>
      callback;
};

/// Options of one execution (`PJRT_ExecuteOptions`). What the plugin is too old for is refused, not ignored.
struct ExecuteOptions {
  /// Tells executions of one multi-device launch apart from others; see Device::poison_execution.
  int launch_id = 0;
  /// Arguments to keep although the program would take their memory.
  std::vector<std::int64_t> non_donatable_inputs;
  /// The device for a portable executable; its own device is accepted for others.
  std::optional<Device> device;
  /// Ask for an event for each device that says when its part is done. (Outputs have events of their own.)
  bool completion_events = false;
  /// Since API 0.64.
  std::optional<ExecuteContext> context;
  /// For profiles and error messages, e.g. "train.cpp:42". Since API 0.76.
  std::string call_location;
  /// The processes taking part and their incarnations, one of each for a task. Since API 0.78.
  std::vector<int> task_ids;
  std::vector<std::int64_t> incarnation_ids;
  /// Of ext::MultiSlice; must outlive the execution. Since API 0.97.
  abi::PJRT_MultiSlice_Config* multi_slice_config = nullptr;
  /// For each device its callbacks; the same number for every device.
  std::vector<std::vector<SendCallback>> send_callbacks;
  std::vector<std::vector<RecvCallback>> recv_callbacks;
  /// Send and receive callbacks see arrays row-major. Since API 0.108.
  bool use_major_to_minor_data_layout_for_callbacks = false;
  /// Since API 0.112.
  std::vector<HloOutputCallback> hlo_output_callbacks;
};

}  // namespace pjrt
