#include "pjrt/client.hpp"

#include <climits>
#include <utility>

#include "core/call.hpp"
#include "core/client_options.hpp"
#include "core/client_state.hpp"
#include "core/convert.hpp"
#include "core/executable_state.hpp"
#include "core/key_value_callbacks.hpp"
#include "core/topology_state.hpp"
#include "core/try.hpp"

namespace pjrt {

namespace fn = abi::fn;

Result<NamedValue> parse_client_option(std::string_view text) try { return detail::parse_option(text); }
PJRT_CATCH

Result<Client> Client::create(const Plugin& plugin, const ClientOptions& options) try {
  PJRT_TRY(const NamedValues checked, detail::check_client_options(options.options));
  const detail::NamedValuesC c_options(checked);
  abi::PJRT_Client_Create_Args args{};
  args.create_options = c_options.data();
  args.num_options = c_options.size();
  if (KeyValueStore* store = options.key_value_store.get()) {  // plugins use all three callbacks or none
    args.kv_get_callback = detail::key_value_get;
    args.kv_get_user_arg = store;
    args.kv_put_callback = detail::key_value_put;
    args.kv_put_user_arg = store;
    if (plugin.api_version() >= Version{0, 61}) {
      args.kv_try_get_callback = detail::key_value_try_get;
      args.kv_try_get_user_arg = store;
    }
  }
  PJRT_CHECK(detail::call<fn::PJRT_Client_Create>(plugin.state(), args));
  PJRT_CHECK(detail::given<fn::PJRT_Client_Create>(args.client));
  PJRT_TRY(detail::Ref<detail::ClientState> state,
           detail::make_client_state(plugin.state(), args.client, options.key_value_store));
  PJRT_CHECK(detail::refuse_ignored_options(*state, checked));
  return Client(std::move(state));
}
PJRT_CATCH

Client Client::none() noexcept {
  return Client(detail::no_client());
}

Plugin Client::plugin() const noexcept {
  return Plugin(state_->plugin);
}
const std::string& Client::platform_name() const& noexcept {
  return state_->platform_name;
}
const std::string& Client::platform_version() const& noexcept {
  return state_->platform_version;
}
int Client::process_index() const noexcept {
  return state_->process_index;
}
abi::PJRT_Client* Client::raw() const noexcept {
  return state_->raw;
}

Devices Client::devices() const noexcept {
  return {state_, state_->devices};
}
Devices Client::addressable_devices() const noexcept {
  return {state_, state_->addressable_devices};
}
Memories Client::memories() const noexcept {
  return {state_, state_->memories};
}

Result<Device> Client::lookup_device(GlobalDeviceId id) const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Client_LookupDevice>(*state_->plugin, {.client = state_->raw, .id = id}));
  PJRT_TRY(const detail::DeviceRecord* record, detail::find_device(*state_, args.device));
  return Device(state_, record);
}
PJRT_CATCH

Result<Device> Client::lookup_addressable_device(LocalHardwareId id) const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Client_LookupAddressableDevice>(
                                *state_->plugin, {.client = state_->raw, .local_hardware_id = id}));
  PJRT_TRY(const detail::DeviceRecord* record, detail::find_device(*state_, args.addressable_device));
  return Device(state_, record);
}
PJRT_CATCH

Result<Topology> Client::topology() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Client_TopologyDescription>(*state_->plugin, {.client = state_->raw}));
  return detail::borrow_topology(state_, args.topology);
}
PJRT_CATCH

Result<DeviceAssignment> Client::default_device_assignment(int num_replicas, int num_partitions) const try {
  if (num_replicas < 1 || num_partitions < 1) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "a device assignment has at least one replica and one partition"));
  }
  const std::int64_t count = std::int64_t{num_replicas} * num_partitions;
  if (count > INT_MAX) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "there are not " + std::to_string(count) + " device ids"));
  }
  std::vector<int> ids(static_cast<std::size_t>(count));
  PJRT_CHECK(
      detail::call<fn::PJRT_Client_DefaultDeviceAssignment>(*state_->plugin, {.client = state_->raw,
                                                                              .num_replicas = num_replicas,
                                                                              .num_partitions = num_partitions,
                                                                              .default_assignment_size = ids.size(),
                                                                              .default_assignment = ids.data()}));
  return DeviceAssignment::create(num_replicas, num_partitions, {ids.begin(), ids.end()});
}
PJRT_CATCH

Result<void> Client::update_global_process_info(std::span<const ProcessInfo> processes) const try {
  std::vector<abi::PJRT_ProcessInfo> infos;
  for (const ProcessInfo& p : processes) {
    if (p.state < ProcessInfo::State::Unspecified || p.state > ProcessInfo::State::Error) {  // plugins abort
      return std::unexpected(Error(ErrorCode::InvalidArgument, "task " + std::to_string(p.task_id) + " is in state " +
                                                                   std::to_string(std::to_underlying(p.state)) +
                                                                   ", which there is not"));
    }
    abi::PJRT_ProcessInfo& info = infos.emplace_back();
    info.struct_size = abi::struct_size<abi::PJRT_ProcessInfo>;
    info.task_id = p.task_id;
    info.incarnation_id = p.incarnation_id;
    info.state = static_cast<abi::PJRT_ProcessState>(p.state);
    info.error_code = std::to_underlying(p.error_code);
    info.error_message = p.error_message.data();
    info.error_message_size = p.error_message.size();
  }
  abi::PJRT_Client_UpdateGlobalProcessInfo_Args args{};
  args.client = state_->raw;
  args.process_infos = infos.data();
  args.num_process_infos = infos.size();
  return detail::call<fn::PJRT_Client_UpdateGlobalProcessInfo>(*state_->plugin, args);
}
PJRT_CATCH

Result<DmaMapping> Client::dma_map(std::span<std::byte> memory) const try {
  PJRT_CHECK(detail::call<fn::PJRT_Client_DmaMap>(
      *state_->plugin, {.client = state_->raw, .data = memory.data(), .size = memory.size()}));
  return DmaMapping(state_, memory);
}
PJRT_CATCH

DmaMapping::~DmaMapping() {
  if (memory_.data() == nullptr) return;
  detail::call_quietly<fn::PJRT_Client_DmaUnmap>(*client_->plugin, {.client = client_->raw, .data = memory_.data()});
}

}  // namespace pjrt
