#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pjrt/buffer.hpp"
#include "pjrt/device.hpp"
#include "pjrt/device_assignment.hpp"
#include "pjrt/error.hpp"
#include "pjrt/event.hpp"
#include "pjrt/executable.hpp"
#include "pjrt/execute_options.hpp"
#include "pjrt/export.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/shape.hpp"

namespace pjrt {

namespace abi {
struct PJRT_LoadedExecutable;
}

namespace detail {
struct LoadedExecutableState;
PJRT_EXPORT void retain(LoadedExecutableState*) noexcept;
PJRT_EXPORT void release(LoadedExecutableState*) noexcept;
}  // namespace detail

class PreparedExecution;

/// A parameter of a compiled program, as each device has it.
struct Parameter {
  /// In the compiled program's own words: "Arg_0.1", "x"; may be empty.
  std::string name;
  /// Type Invalid if the plugin does not tell it.
  Shape shape;
  /// nullopt: row-major.
  std::optional<Layout> layout;
  /// The program takes the argument's memory for an output, unless it is kept.
  bool donated = false;
};

/// An argument of an execution: a buffer, and whether to keep it although the program would take its memory.
///
/// It borrows the buffer, which must live until the call that takes the argument returns; so none can be made of a
/// temporary and stored.
class Argument {
 public:
  Argument(const Buffer& buffer) noexcept : state_(buffer.state().get()) {}
  Argument(const Buffer&&) = delete;
  Argument(const Buffer& buffer, bool keep) noexcept : state_(buffer.state().get()), keep_(keep) {}
  Argument(const Buffer&&, bool) = delete;
  detail::BufferState* state() const noexcept { return state_; }
  bool kept() const noexcept { return keep_; }

 private:
  detail::BufferState* state_;
  bool keep_ = false;
};

/// An argument whose memory the program may not take: `executable(keep(weights), std::move(state))`.
inline Argument keep(const Buffer& buffer) noexcept {
  return {buffer, true};
}
/// A temporary cannot be kept.
Argument keep(const Buffer&&) = delete;

/// The arrays an execution gives on one device.
class PJRT_EXPORT Outputs {
 public:
  Outputs() = default;
  explicit Outputs(std::vector<Buffer> buffers, std::optional<Event> completion = std::nullopt) noexcept
      : buffers_(std::move(buffers)), completion_(std::move(completion)) {}

  std::size_t size() const noexcept { return buffers_.size(); }
  bool empty() const noexcept { return buffers_.empty(); }
  /// Output `i`; an empty buffer, whose members answer FailedPrecondition, if there is none.
  Buffer& operator[](std::size_t i) & noexcept { return i < buffers_.size() ? buffers_[i] : none(); }
  const Buffer& operator[](std::size_t i) const& noexcept { return i < buffers_.size() ? buffers_[i] : none(); }
  Buffer operator[](std::size_t i) && noexcept { return std::move(i < buffers_.size() ? buffers_[i] : none()); }
  std::vector<Buffer>::iterator begin() noexcept { return buffers_.begin(); }
  std::vector<Buffer>::iterator end() noexcept { return buffers_.end(); }
  std::vector<Buffer>::const_iterator begin() const noexcept { return buffers_.begin(); }
  std::vector<Buffer>::const_iterator end() const noexcept { return buffers_.end(); }

  /// All of them, to be named: `auto [loss, state] = or_throw(std::move(outputs).take<2>())`. InvalidArgument if there
  /// are not N.
  template <std::size_t N>
  Result<std::array<Buffer, N>> take() && {
    if (buffers_.size() != N) return std::unexpected(wrong_number(N));
    return [this]<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<Buffer, N>{std::move(buffers_[I])...};
    }(std::make_index_sequence<N>());
  }
  /// All of them.
  std::vector<Buffer> take_all() && { return std::move(buffers_); }

  /// Ready when the device is done. There if it was asked for (`ExecuteOptions::completion_events`) or there are no
  /// outputs.
  const std::optional<Event>& completion() const& noexcept { return completion_; }
  std::optional<Event> completion() && noexcept { return std::move(completion_); }

  /// Waits until every output, and the completion event if there is one, is ready; the first error.
  [[nodiscard]] Result<void> await() const;

 private:
  /// An empty buffer of this thread's.
  static Buffer& none() noexcept;
  Error wrong_number(std::size_t wanted) const;
  std::vector<Buffer> buffers_;
  std::optional<Event> completion_;
};

/// A compiled program on its devices, ready to run.
///
/// Move-only; keeps its client alive. Wraps PJRT_LoadedExecutable_Destroy. Const members, executions included, may be
/// used from several threads.
class PJRT_EXPORT LoadedExecutable {
 public:
  LoadedExecutable(LoadedExecutable&&) noexcept = default;
  LoadedExecutable& operator=(LoadedExecutable&&) noexcept = default;

  /// The program apart from its devices; keeps this one alive. Wraps PJRT_LoadedExecutable_GetExecutable.
  Executable executable() const;
  Client client() const noexcept;
  const std::string& name() const& noexcept;
  std::string name() const&& { return name(); }

  /// Its parameters as each device has them; read from the optimized program, the first time it is needed.
  /// Unimplemented if the plugin does not tell.
  Result<std::span<const Parameter>> parameters() const&;
  Result<std::span<const Parameter>> parameters() const&& = delete;
  /// Its outputs as each device has them.
  std::span<const Shape> output_shapes() const& noexcept;
  std::span<const Shape> output_shapes() const&& = delete;

  /// The devices of this process that run it. Wraps PJRT_LoadedExecutable_AddressableDevices.
  Devices addressable_devices() const noexcept;
  /// What each of them runs. Wraps PJRT_LoadedExecutable_AddressableDeviceLogicalIds, since 0.96.
  Result<std::vector<LogicalId>> addressable_device_logical_ids() const;
  /// Which device runs what; nullopt for a portable executable. Wraps PJRT_LoadedExecutable_GetDeviceAssignment, since
  /// 0.79.
  Result<std::optional<DeviceAssignment>> device_assignment() const;

  /// Frees the program now; executions from then on give FailedPrecondition. Wraps PJRT_LoadedExecutable_Delete.
  [[nodiscard]] Result<void> delete_now();
  /// Wraps PJRT_LoadedExecutable_IsDeleted.
  bool is_deleted() const noexcept;
  /// Deprecated in the C API, and Unimplemented everywhere: use executable().fingerprint(). Wraps
  /// PJRT_LoadedExecutable_Fingerprint.
  Result<std::string> fingerprint() const;

  /// Runs it on its one device: `executable(x, keep(w), std::move(state))`. Returns when the run is launched; outputs
  /// have events. Arguments must agree with the parameters in number, type, shape and layout: InvalidArgument, which
  /// names the first that does not. Arguments that the program donates are gone afterwards, unless kept. Wraps
  /// PJRT_LoadedExecutable_Execute.
  template <class... Args>
    requires(std::convertible_to<const Args&, Argument> && ...)
  Result<Outputs> operator()(const Args&... args) const {
    const std::array<Argument, sizeof...(Args)> list{Argument(args)...};  // the arguments live as long as the call
    return execute(std::span<const Argument>(list));
  }
  /// The same with options and any number of arguments.
  Result<Outputs> execute(std::span<const Argument> arguments, const ExecuteOptions& options = {}) const;
  /// The same for buffers; the program may take their memory.
  Result<Outputs> execute(std::span<const Buffer> arguments, const ExecuteOptions& options = {}) const;

  /// Runs it on all its addressable devices in one call: `arguments[d]` for the device addressable_devices()[d]. Gives
  /// the outputs of each. On CPU plugins it waits for the arguments and gives the error of one that failed: the other
  /// devices would wait for its device, and the plugin end the process.
  Result<std::vector<Outputs>> execute(std::span<const std::vector<Argument>> arguments,
                                       const ExecuteOptions& options = {}) const;
  /// The same for buffers; the program may take their memory.
  Result<std::vector<Outputs>> execute(std::span<const std::vector<Buffer>> arguments,
                                       const ExecuteOptions& options = {}) const;

  /// Checks arguments once, to run many times without further checks or allocation. Keeps the arguments.
  template <class... Args>
    requires(std::convertible_to<const Args&, Argument> && ...)
  Result<PreparedExecution> prepare(const Args&... args) const;
  /// The same with options and any number of arguments.
  Result<PreparedExecution> prepare(std::span<const Argument> arguments, const ExecuteOptions& options = {}) const;

  abi::PJRT_LoadedExecutable* raw() const noexcept;

  /// For the library itself.
  explicit LoadedExecutable(detail::Ref<detail::LoadedExecutableState> state) noexcept : state_(std::move(state)) {}
  const detail::Ref<detail::LoadedExecutableState>& state() const noexcept { return state_; }

 private:
  detail::Ref<detail::LoadedExecutableState> state_;
};

/// For `Client::deserialize`.
struct DeserializeOptions {
  /// Instead of what it was compiled with, e.g. to move it to another device. Since API 0.71.
  std::optional<CompileOptions> compile_options;
  /// Where its computation begins among the devices of a slice (`PJRT_LoadOptions`). Since API 0.111.
  std::vector<std::int32_t> computation_origin;
  /// Of ext::MultiSlice. Since API 0.111.
  abi::PJRT_MultiSlice_Config* multi_slice_config = nullptr;
};

}  // namespace pjrt

#include "pjrt/prepared_execution.hpp"
