#include "pjrt/ext/megascale.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;
using pjrt::detail::call_extension;
using pjrt::detail::PluginState;

namespace {

std::unexpected<Error> refuse(ErrorCode code, std::string why) {
  return std::unexpected(Error(code, std::move(why)));
}

/// What the plugin holds of a handler. It may be about to call one that was just unregistered, so that the block is
/// never freed; the handler is.
class HandlerBlock {
 public:
  explicit HandlerBlock(Megascale::ErrorHandler handler)
      : handler_(std::make_shared<Megascale::ErrorHandler>(std::move(handler))) {}

  static void call(const char* error, std::size_t size, void* user) {
    const pjrt::detail::InCallback here;
    const std::shared_ptr<Megascale::ErrorHandler> handler = static_cast<HandlerBlock*>(user)->handler();
    if (handler != nullptr)
      pjrt::detail::run_guarded("a megascale error handler", *handler, pjrt::detail::text(error, size));
  }
  void drop() {
    std::unique_lock lock(mutex_);
    const auto dropped = std::exchange(handler_, nullptr);
    lock.unlock();  // what it holds may go at any length
  }

 private:
  std::shared_ptr<Megascale::ErrorHandler> handler() {
    const std::lock_guard lock(mutex_);
    return handler_;
  }
  std::mutex mutex_;
  std::shared_ptr<Megascale::ErrorHandler> handler_;
};

/// Every block there ever was, and which of them are registered by what name.
struct Handlers {
  std::mutex mutex;
  std::vector<std::unique_ptr<HandlerBlock>> blocks;
  std::map<std::pair<const PluginState*, std::string>, HandlerBlock*> registered;
};

Handlers& handlers() {
  static auto* const all = new Handlers;
  return *all;
}

}  // namespace

Result<void> MegascaleClientContext::initialize() const try {
  PJRT_CHECK(call_extension<fn::PJRT_Megascale_ClientContext_Initialize>(*plugin_, {.client_context = raw_.get()}));
  return {};
}
PJRT_CATCH

Result<void> MegascaleClientContext::unblock_pending_work(int launch_id, std::chrono::milliseconds expire_after) const
    try {
  abi::PJRT_Megascale_ClientContext_UnblockPendingWork_Args args{};
  args.client_context = raw_.get();
  args.launch_id = launch_id;
  args.expire_after_ms = expire_after.count();
  return call_extension<fn::PJRT_Megascale_ClientContext_UnblockPendingWork>(*plugin_, args);
}
PJRT_CATCH

Result<int> MegascaleClientContext::megascale_port() const try {
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_Megascale_ClientContext_MegascalePort>(*plugin_, {.client_context = raw_.get()}));
  return args.port;
}
PJRT_CATCH

MegascaleErrorDigest::~MegascaleErrorDigest() {
  if (raw_ != nullptr) call_extension_quietly<fn::PJRT_Megascale_ErrorDigest_Delete>(*plugin_, {.digest = raw_});
}

MegascaleErrorAggregator::~MegascaleErrorAggregator() {
  if (raw_ != nullptr)
    call_extension_quietly<fn::PJRT_Megascale_ErrorAggregator_Delete>(*plugin_, {.aggregator = raw_});
}

Result<void> MegascaleErrorAggregator::check() const try {
  if (raw_ != nullptr) return {};
  return refuse(ErrorCode::FailedPrecondition, "the error aggregator was moved from");
}
PJRT_CATCH

Result<void> MegascaleErrorAggregator::add_error(std::string_view worker_id, std::string_view serialized_error) const
    try {
  PJRT_CHECK(check());
  abi::PJRT_Megascale_ErrorAggregator_AddError_Args args{};
  args.aggregator = raw_;
  args.worker_id = worker_id.data();
  args.worker_id_size = worker_id.size();
  args.serialized_error = serialized_error.data();
  args.serialized_error_size = serialized_error.size();
  return call_extension<fn::PJRT_Megascale_ErrorAggregator_AddError>(*plugin_, args);
}
PJRT_CATCH

Result<MegascaleErrorDigest> MegascaleErrorAggregator::process_and_shutdown() const try {
  PJRT_CHECK(check());
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_Megascale_ErrorAggregator_ProcessAndShutdown>(*plugin_, {.aggregator = raw_}));
  return MegascaleErrorDigest(plugin_, args.digest);
}
PJRT_CATCH

Result<void> MegascaleErrorAggregator::log_error_digest(const MegascaleErrorDigest& digest) const try {
  PJRT_CHECK(check());
  if (digest.raw() == nullptr) return refuse(ErrorCode::FailedPrecondition, "the error digest was moved from");
  if (!(digest.plugin() == Plugin(plugin_)))
    return refuse(ErrorCode::InvalidArgument, "the error digest is of another plugin");
  PJRT_CHECK(call_extension<fn::PJRT_Megascale_ErrorAggregator_LogErrorDigest>(
      *plugin_, {.aggregator = raw_, .digest = digest.raw()}));
  return {};
}
PJRT_CATCH

Result<std::size_t> MegascaleErrorAggregator::size() const try {
  PJRT_CHECK(check());
  PJRT_TRY(const auto args, call_extension<fn::PJRT_Megascale_ErrorAggregator_Size>(*plugin_, {.aggregator = raw_}));
  return args.size;
}
PJRT_CATCH

Result<bool> MegascaleErrorAggregator::active() const try {
  PJRT_CHECK(check());
  PJRT_TRY(const auto args, call_extension<fn::PJRT_Megascale_ErrorAggregator_Active>(*plugin_, {.aggregator = raw_}));
  return args.active;
}
PJRT_CATCH

namespace {

MegascaleClientContext make_context(const PluginState& plugin, abi::PJRT_Megascale_ClientContext* raw,
                                    std::optional<Client> client) {
  return {&plugin, std::shared_ptr<abi::PJRT_Megascale_ClientContext>(
                       raw, [&plugin, client = std::move(client)](abi::PJRT_Megascale_ClientContext* context) {
                         call_extension_quietly<fn::PJRT_Megascale_DeleteClientContext>(plugin,
                                                                                        {.client_context = context});
                       })};
}

}  // namespace

Result<MegascaleClientContext> Megascale::create_client_context(const Client& client) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_Megascale_CreateClientContextFromPjRtClient>(state(), {.client = client.raw()}));
  return make_context(state(), args.client_context, client);
}
PJRT_CATCH

Result<MegascaleClientContext> Megascale::create_default_client_context() const try {
  PJRT_TRY(const auto args, call_extension<fn::PJRT_Megascale_CreateDefaultClientContext>(state(), {}));
  return make_context(state(), args.client_context, {});
}
PJRT_CATCH

Result<MultiSliceConfig> Megascale::create_aot_config(const Topology& topology, int num_slices) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  PJRT_TRY(const auto args, call_extension<fn::PJRT_Megascale_CreateAoTConfig>(
                                state(), {.topology = topology.raw(), .num_slices = num_slices}));
  return MultiSliceConfig(&state(), args.multi_slice_config);
}
PJRT_CATCH

Result<MultiSliceConfig> Megascale::create_multi_slice_config(const Topology& topology, const MegascaleSlice& slice,
                                                              const MegascaleClientContext& context) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  PJRT_CHECK(check_same_plugin(context.plugin(), "context"));
  abi::PJRT_Megascale_CreateMultiSliceConfig_Args args{};
  args.topology = topology.raw();
  args.num_slices = slice.num_slices;
  args.local_slice_id = slice.local_slice_id;
  args.local_host_id = slice.local_host_id;
  args.endpoint_addresses = slice.endpoint_addresses.data();
  args.endpoint_addresses_size = static_cast<std::int32_t>(slice.endpoint_addresses.size());
  args.dcn_topology = slice.dcn_topology.data();
  args.dcn_topology_size = static_cast<std::int32_t>(slice.dcn_topology.size());
  args.client_context = context.raw();
  PJRT_CHECK(call_extension<fn::PJRT_Megascale_CreateMultiSliceConfig>(state(), args));
  return MultiSliceConfig(&state(), args.multi_slice_config);
}
PJRT_CATCH

Result<Collectives> Megascale::create_collectives(const MegascaleClientContext& context,
                                                  const MegascaleProcesses& processes,
                                                  std::string_view dcn_topology) const try {
  PJRT_CHECK(check_same_plugin(context.plugin(), "context"));
  PJRT_TRY(const CollectivesExtension collectives, CollectivesExtension::of(plugin()));
  std::vector<const char*> addresses;
  std::vector<std::size_t> sizes;
  for (const std::string& address : processes.addresses) {
    addresses.push_back(address.data());
    sizes.push_back(address.size());
  }
  abi::PJRT_Megascale_ProcessesInfo info{};
  info.addresses = addresses.data();
  info.address_sizes = sizes.data();
  info.num_addresses = addresses.size();
  if (processes.slice_indexes) {
    info.slice_indexes = const_cast<std::int32_t*>(processes.slice_indexes->data());
    info.num_slice_indexes = processes.slice_indexes->size();
  }
  if (processes.per_slice_indexes) {
    info.per_slice_indexes = const_cast<std::int32_t*>(processes.per_slice_indexes->data());
    info.num_per_slice_indexes = processes.per_slice_indexes->size();
  }
  info.num_devices_per_process = processes.num_devices_per_process;
  abi::PJRT_Megascale_CreateMegascaleCollectives_Args args{};
  args.client_context = context.raw();
  args.processes_info = &info;
  args.dcn_topology = dcn_topology.empty() ? nullptr : dcn_topology.data();
  args.dcn_topology_size = dcn_topology.size();
  PJRT_CHECK(call_extension<fn::PJRT_Megascale_CreateMegascaleCollectives>(state(), args));
  return collectives.adopt(args.collectives, context.shared());
}
PJRT_CATCH

Result<std::int64_t> Megascale::megascale_id(const MegascaleDevice& device) const try {
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_Megascale_DeviceId_To_MegascaleId>(
               state(), {.slice_id = device.slice_id, .per_slice_device_id = device.per_slice_device_id}));
  return args.megascale_id;
}
PJRT_CATCH

Result<MegascaleDevice> Megascale::device_of(std::int64_t megascale_id) const try {
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_Megascale_MegascaleId_To_DeviceId>(state(), {.megascale_id = megascale_id}));
  const MegascaleDevice device{args.slice_id, args.per_slice_device_id};
  // libtpu gives numbers of no device for those too large.
  if (const auto back = this->megascale_id(device); back && *back == megascale_id) return device;
  return refuse(ErrorCode::OutOfRange, "megascale id " + std::to_string(megascale_id) + " is that of no device");
}
PJRT_CATCH

Result<void> Megascale::register_error_handler(std::string_view name, ErrorHandler handler) const try {
  if (name.empty() || !handler) return refuse(ErrorCode::InvalidArgument, "an error handler has a name and a function");
  Handlers& all = handlers();
  const std::lock_guard lock(all.mutex);
  const std::pair key(&state(), std::string(name));
  if (all.registered.contains(key))
    return refuse(ErrorCode::AlreadyExists, "there is an error handler '" + key.second + "' already");
  HandlerBlock* block = all.blocks.emplace_back(std::make_unique<HandlerBlock>(std::move(handler))).get();
  abi::PJRT_Megascale_RegisterErrorHandler_Args args{};
  args.handler_name = name.data();
  args.handler_name_size = name.size();
  args.handler = HandlerBlock::call;
  args.user_data = block;
  auto done = call_extension<fn::PJRT_Megascale_RegisterErrorHandler>(state(), args);
  if (done)
    all.registered.emplace(key, block);
  else
    block->drop();
  return done;
}
PJRT_CATCH

Result<void> Megascale::unregister_error_handler(std::string_view name) const try {
  Handlers& all = handlers();
  const std::lock_guard lock(all.mutex);
  const auto it = all.registered.find({&state(), std::string(name)});
  if (it == all.registered.end())
    return refuse(ErrorCode::NotFound, "there is no error handler '" + std::string(name) + "'");
  PJRT_CHECK(call_extension<fn::PJRT_Megascale_UnregisterErrorHandler>(
      state(), {.handler_name = name.data(), .handler_name_size = name.size()}));
  it->second->drop();
  all.registered.erase(it);
  return {};
}
PJRT_CATCH

Result<MegascaleErrorAggregator> Megascale::create_error_aggregator(std::string_view app_type) const try {
  PJRT_TRY(const auto args, call_extension<fn::PJRT_Megascale_ErrorAggregator_Create>(
                                state(), {.app_type = app_type.data(), .app_type_size = app_type.size()}));
  return MegascaleErrorAggregator(&state(), args.aggregator);
}
PJRT_CATCH

Result<MegascaleRuntimeError> Megascale::get_or_create_runtime_error(const MegascaleError& error) const try {
  abi::PJRT_Megascale_GetOrCreateRuntimeError_Args args{};
  args.error_type = error.error_type;
  args.start_time_nanos = error.start_time.time_since_epoch().count();
  args.status_code = static_cast<std::int32_t>(error.status);
  args.status_message = error.status_message.data();
  args.status_message_size = error.status_message.size();
  args.launch_id = error.launch_id;
  args.has_unrecoverable_error_type = error.unrecoverable_error_type.has_value();
  args.unrecoverable_error_type = error.unrecoverable_error_type.value_or(0);
  PJRT_CHECK(call_extension<fn::PJRT_Megascale_GetOrCreateRuntimeError>(state(), args));
  const auto bytes = pjrt::detail::own_bytes(state(), args.serialized_error, args.serialized_error_size, args.error,
                                             args.error_deleter);
  return MegascaleRuntimeError{std::string(bytes.text()), args.is_new_error};
}
PJRT_CATCH

Result<std::vector<std::string>> Megascale::interface_addresses(const MegascaleInterfaces& interfaces) const try {
  std::vector<const char*> prefixes;
  std::vector<std::size_t> sizes;
  for (const std::string& prefix : interfaces.prefixes) {
    prefixes.push_back(prefix.data());
    sizes.push_back(prefix.size());
  }
  abi::PJRT_Megascale_GetInterfaceAddressesHelper_Args args{};
  args.megascale_port_name = interfaces.port_name.data();
  args.megascale_port_name_size = interfaces.port_name.size();
  args.megascale_port = interfaces.port;
  args.interface_prefixes = prefixes.data();
  args.interface_prefixes_sizes = sizes.data();
  args.num_interface_prefixes = prefixes.size();
  args.use_all_interfaces = interfaces.use_all_interfaces;
  args.limit_to_process_numa_local_interfaces = interfaces.limit_to_process_numa_local_interfaces;
  PJRT_CHECK(call_extension<fn::PJRT_Megascale_GetInterfaceAddressesHelper>(state(), args));
  std::vector<std::string> addresses;
  for (std::size_t i = 0; i < args.num_addresses; ++i)
    addresses.emplace_back(args.serialized_addresses[i], args.serialized_addresses_sizes[i]);
  if (args.addresses_deleter != nullptr) args.addresses_deleter(args.addresses);
  return addresses;
}
PJRT_CATCH

std::vector<std::string_view> Megascale::withdrawn_functions() const {
  const auto& e = *state().extension<abi::PJRT_Megascale_Extension>(kType);
  std::vector<std::string_view> there;
  for (const auto& [name, slot] :
       {std::pair<std::string_view, const void*>{"delete_multi_slice_config", e.delete_multi_slice_config},
        {"multi_slice_config_num_slices", e.multi_slice_config_num_slices},
        {"multi_slice_config_slice_id", e.multi_slice_config_slice_id},
        {"multi_slice_config_get_num_devices_per_slice", e.multi_slice_config_get_num_devices_per_slice},
        {"multi_slice_config_serialize", e.multi_slice_config_serialize}}) {
    if (slot != nullptr) there.push_back(name);
  }
  return there;
}

}  // namespace pjrt::ext
