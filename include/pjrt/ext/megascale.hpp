#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pjrt/client.hpp"
#include "pjrt/ext/collectives.hpp"
#include "pjrt/ext/extension.hpp"
#include "pjrt/ext/multi_slice.hpp"
#include "pjrt/topology.hpp"

namespace pjrt {

namespace abi {
struct PJRT_Megascale_ClientContext;
struct PJRT_Megascale_ErrorAggregator;
struct PJRT_Megascale_ErrorDigest;
}  // namespace abi

namespace ext {

/// A process's part in the network between slices. A cheap handle; copies mean the same one. Keeps the client it was
/// made of. Wraps PJRT_Megascale_DeleteClientContext.
class PJRT_EXPORT MegascaleClientContext {
 public:
  /// Moving copies, so that no handle is ever empty.
  MegascaleClientContext(const MegascaleClientContext&) noexcept = default;
  MegascaleClientContext& operator=(const MegascaleClientContext&) noexcept = default;

  /// Opens the network; what follows answers FailedPrecondition before. Wraps PJRT_Megascale_ClientContext_Initialize.
  [[nodiscard]] Result<void> initialize() const;
  /// Lets executions of that launch id that wait for other slices fail instead, now and for that long. May block for
  /// longer than that (libtpu: 15 seconds). Wraps PJRT_Megascale_ClientContext_UnblockPendingWork.
  [[nodiscard]] Result<void> unblock_pending_work(int launch_id, std::chrono::milliseconds expire_after) const;
  /// The port that other slices call; -1 for none. Wraps PJRT_Megascale_ClientContext_MegascalePort.
  Result<int> megascale_port() const;
  abi::PJRT_Megascale_ClientContext* raw() const noexcept { return raw_.get(); }
  Plugin plugin() const noexcept { return Plugin(plugin_); }

  /// For the library itself.
  MegascaleClientContext(const pjrt::detail::PluginState* plugin,
                         std::shared_ptr<abi::PJRT_Megascale_ClientContext> raw) noexcept
      : plugin_(plugin), raw_(std::move(raw)) {}
  const std::shared_ptr<abi::PJRT_Megascale_ClientContext>& shared() const noexcept { return raw_; }

 private:
  const pjrt::detail::PluginState* plugin_;
  std::shared_ptr<abi::PJRT_Megascale_ClientContext> raw_;
};

/// What an aggregator found out. Move-only.
class PJRT_EXPORT MegascaleErrorDigest {
 public:
  MegascaleErrorDigest(MegascaleErrorDigest&& other) noexcept
      : plugin_(other.plugin_), raw_(std::exchange(other.raw_, nullptr)) {}
  MegascaleErrorDigest& operator=(MegascaleErrorDigest&& other) noexcept {
    MegascaleErrorDigest taken(std::move(other));  // what this one had goes now
    std::swap(plugin_, taken.plugin_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_Megascale_ErrorDigest_Delete.
  ~MegascaleErrorDigest();

  abi::PJRT_Megascale_ErrorDigest* raw() const noexcept { return raw_; }
  Plugin plugin() const noexcept { return Plugin(plugin_); }

  /// For the library itself; owns `raw`.
  MegascaleErrorDigest(const pjrt::detail::PluginState* plugin, abi::PJRT_Megascale_ErrorDigest* raw) noexcept
      : plugin_(plugin), raw_(raw) {}

 private:
  const pjrt::detail::PluginState* plugin_;
  abi::PJRT_Megascale_ErrorDigest* raw_;
};

/// Gathers the errors of many workers and finds what is behind them. Move-only.
class PJRT_EXPORT MegascaleErrorAggregator {
 public:
  MegascaleErrorAggregator(MegascaleErrorAggregator&& other) noexcept
      : plugin_(other.plugin_), raw_(std::exchange(other.raw_, nullptr)) {}
  MegascaleErrorAggregator& operator=(MegascaleErrorAggregator&& other) noexcept {
    MegascaleErrorAggregator taken(std::move(other));  // what this one had goes now
    std::swap(plugin_, taken.plugin_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_Megascale_ErrorAggregator_Delete.
  ~MegascaleErrorAggregator();

  /// Adds a worker's error, a serialized MegaScaleRuntimeError (see Megascale::get_or_create_runtime_error). Wraps
  /// PJRT_Megascale_ErrorAggregator_AddError.
  [[nodiscard]] Result<void> add_error(std::string_view worker_id, std::string_view serialized_error) const;
  /// Ends the gathering. Wraps PJRT_Megascale_ErrorAggregator_ProcessAndShutdown.
  Result<MegascaleErrorDigest> process_and_shutdown() const;
  /// Writes it into the plugin's log. Wraps PJRT_Megascale_ErrorAggregator_LogErrorDigest.
  [[nodiscard]] Result<void> log_error_digest(const MegascaleErrorDigest& digest) const;
  /// How many errors there are. Wraps PJRT_Megascale_ErrorAggregator_Size.
  Result<std::size_t> size() const;
  /// Whether it gathers. Wraps PJRT_Megascale_ErrorAggregator_Active.
  Result<bool> active() const;

  /// For the library itself; owns `raw`.
  MegascaleErrorAggregator(const pjrt::detail::PluginState* plugin, abi::PJRT_Megascale_ErrorAggregator* raw) noexcept
      : plugin_(plugin), raw_(raw) {}

 private:
  [[nodiscard]] Result<void> check() const;
  const pjrt::detail::PluginState* plugin_;
  abi::PJRT_Megascale_ErrorAggregator* raw_;
};

/// What is said of a slice when its config is made.
struct MegascaleSlice {
  int num_slices = 1;
  int local_slice_id = 0;
  int local_host_id = 0;
  /// A serialized xla.megascale.runtime.EndpointAddresses.
  std::string endpoint_addresses;
  /// A serialized xla.megascale.runtime.DCNTopology.
  std::string dcn_topology;
};

/// The processes between which collectives run.
struct MegascaleProcesses {
  std::vector<std::string> addresses;
  /// The slice of each, and its place there.
  std::optional<std::vector<std::int32_t>> slice_indexes;
  std::optional<std::vector<std::int32_t>> per_slice_indexes;
  int num_devices_per_process = 1;
};

/// A device of one of several slices.
struct MegascaleDevice {
  int slice_id = 0;
  int per_slice_device_id = 0;

  friend bool operator==(const MegascaleDevice&, const MegascaleDevice&) = default;
};

/// Which of the host's network interfaces are asked for.
struct MegascaleInterfaces {
  std::string port_name;
  int port = -1;
  /// Only those whose names begin so; unless `use_all_interfaces`.
  std::vector<std::string> prefixes;
  bool use_all_interfaces = false;
  bool limit_to_process_numa_local_interfaces = false;
};

/// An error of the runtime between slices, to be made known to it.
struct MegascaleError {
  /// The numbers of xla.megascale.runtime.external.MegaScaleRuntimeError.ErrorType.
  int error_type = 0;
  std::chrono::sys_time<std::chrono::nanoseconds> start_time;
  ErrorCode status = ErrorCode::Ok;
  std::string status_message;
  int launch_id = 0;
  /// The numbers of MegaScaleRuntimeError.UnrecoverableErrorType.
  std::optional<int> unrecoverable_error_type;
};

/// An error as the runtime knows it.
struct MegascaleRuntimeError {
  /// A MegaScaleRuntimeError.
  std::string serialized;
  /// Whether none was known for that launch yet.
  bool is_new = false;
};

/// The network between TPU slices (libtpu). Members that take handles want those of the same plugin.
class PJRT_EXPORT Megascale : public Extension {
  PJRT_EXTENSION(Megascale, 18)

  /// Wraps PJRT_Megascale_CreateClientContextFromPjRtClient.
  Result<MegascaleClientContext> create_client_context(const Client& client) const;
  /// One with default options, for which no client is needed. Wraps PJRT_Megascale_CreateDefaultClientContext.
  Result<MegascaleClientContext> create_default_client_context() const;

  /// To compile for several slices of that topology. Wraps PJRT_Megascale_CreateAoTConfig.
  Result<MultiSliceConfig> create_aot_config(const Topology& topology, int num_slices) const;
  /// To run on them. Wraps PJRT_Megascale_CreateMultiSliceConfig.
  Result<MultiSliceConfig> create_multi_slice_config(const Topology& topology, const MegascaleSlice& slice,
                                                     const MegascaleClientContext& context) const;

  /// Collectives between processes, over host memory; keeps the context. `dcn_topology` is a serialized DCNTopology,
  /// empty for none. Unimplemented where the plugin has no Collectives extension. libtpu makes communicators of it only
  /// with a port and a transport that it is told of when it is loaded: LIBTPU_INIT_ARGS="--megascale_port=8471
  /// --megascale_transport_type=grpc". Wraps PJRT_Megascale_CreateMegascaleCollectives.
  Result<Collectives> create_collectives(const MegascaleClientContext& context, const MegascaleProcesses& processes,
                                         std::string_view dcn_topology = {}) const;

  /// The number of a device among those of all slices. OutOfRange for numbers that no device can have. Wraps
  /// PJRT_Megascale_DeviceId_To_MegascaleId.
  Result<std::int64_t> megascale_id(const MegascaleDevice& device) const;
  /// The other way. Wraps PJRT_Megascale_MegascaleId_To_DeviceId.
  Result<MegascaleDevice> device_of(std::int64_t megascale_id) const;

  /// Takes a serialized MegaScaleRuntimeError.
  using ErrorHandler = std::function<void(std::string_view serialized_error)>;
  /// Calls `handler` with every error of the runtime between slices, on threads of the plugin, several at once if
  /// several happen. What it throws stops there. It lives until it is unregistered and the last call under way has
  /// ended. AlreadyExists for a name that is taken. Wraps PJRT_Megascale_RegisterErrorHandler.
  [[nodiscard]] Result<void> register_error_handler(std::string_view name, ErrorHandler handler) const;
  /// Ends it. NotFound for a name that is not registered. Wraps PJRT_Megascale_UnregisterErrorHandler.
  [[nodiscard]] Result<void> unregister_error_handler(std::string_view name) const;

  /// Wraps PJRT_Megascale_ErrorAggregator_Create.
  Result<MegascaleErrorAggregator> create_error_aggregator(std::string_view app_type) const;
  /// The error of a launch, made if there is none yet. Wraps PJRT_Megascale_GetOrCreateRuntimeError.
  Result<MegascaleRuntimeError> get_or_create_runtime_error(const MegascaleError& error) const;

  /// The host's addresses, serialized xla.megascale.runtime.HostNetworkAddress each. Wraps
  /// PJRT_Megascale_GetInterfaceAddressesHelper.
  Result<std::vector<std::string>> interface_addresses(const MegascaleInterfaces& interfaces) const;

  /// The functions of multi-slice configs that plugins had here before there was a MultiSlice extension. Reads
  /// PJRT_Megascale_Extension.delete_multi_slice_config, PJRT_Megascale_Extension.multi_slice_config_num_slices,
  /// PJRT_Megascale_Extension.multi_slice_config_slice_id,
  /// PJRT_Megascale_Extension.multi_slice_config_get_num_devices_per_slice and
  /// PJRT_Megascale_Extension.multi_slice_config_serialize, and calls none.
  std::vector<std::string_view> withdrawn_functions() const;
};

}  // namespace ext
}  // namespace pjrt
