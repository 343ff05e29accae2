#include "pjrt/device.hpp"

#include <utility>

#include "core/call.hpp"
#include "core/client_state.hpp"
#include "core/convert.hpp"
#include "core/try.hpp"

namespace pjrt {

namespace fn = abi::fn;

AsyncTrackingEvent::~AsyncTrackingEvent() {
  if (raw_ != nullptr) detail::call_quietly<fn::PJRT_AsyncTrackingEvent_Destroy>(*client_->plugin, {.event = raw_});
}

Device Device::none() noexcept {
  return {detail::no_client(), &detail::no_device()};
}
GlobalDeviceId Device::id() const noexcept {
  return record_->description.id;
}
LocalHardwareId Device::local_hardware_id() const noexcept {
  return record_->local_hardware_id;
}
int Device::process_index() const noexcept {
  return record_->description.process_index;
}
bool Device::is_addressable() const noexcept {
  return record_->addressable;
}
const std::string& Device::kind() const& noexcept {
  return record_->description.kind;
}
const std::string& Device::to_string() const& noexcept {
  return record_->description.text;
}
abi::PJRT_Device* Device::raw() const noexcept {
  return record_->raw;
}

DeviceDescription Device::description() const noexcept {
  auto owner = std::make_shared<detail::Ref<detail::ClientState>>(client_);
  return {std::move(owner), client_->plugin, &record_->description};
}

Memories Device::memories() const noexcept {
  return {client_, record_->memories};
}

Result<Memory> Device::default_memory() const try {
  if (record_->default_memory == nullptr) {
    return std::unexpected(Error(ErrorCode::NotFound, "device " + to_string() + " has no default memory" +
                                                          (record_->addressable ? "" : " in this process")));
  }
  return Memory(client_, record_->default_memory);
}
PJRT_CATCH

Result<Memory> Device::memory(std::string_view kind) const try {
  std::string kinds;
  for (const detail::MemoryRecord* m : record_->memories) {
    if (m->kind == kind) return Memory(client_, m);
    kinds += (kinds.empty() ? "" : ", ") + m->kind;
  }
  return std::unexpected(Error(ErrorCode::NotFound, "device " + to_string() + " has no memory of kind '" +
                                                        std::string(kind) + "'; it has " +
                                                        (kinds.empty() ? "none" : kinds)));
}
PJRT_CATCH

Result<MemoryStats> Device::memory_stats() const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Device_MemoryStats>(*client_->plugin, {.device = record_->raw}));
  const auto if_set = [](std::int64_t value, bool set) { return set ? std::optional(value) : std::nullopt; };
  MemoryStats s;
  s.bytes_in_use = args.bytes_in_use;
  s.peak_bytes_in_use = if_set(args.peak_bytes_in_use, args.peak_bytes_in_use_is_set);
  s.num_allocs = if_set(args.num_allocs, args.num_allocs_is_set);
  s.largest_alloc_size = if_set(args.largest_alloc_size, args.largest_alloc_size_is_set);
  s.bytes_limit = if_set(args.bytes_limit, args.bytes_limit_is_set);
  s.bytes_reserved = if_set(args.bytes_reserved, args.bytes_reserved_is_set);
  s.peak_bytes_reserved = if_set(args.peak_bytes_reserved, args.peak_bytes_reserved_is_set);
  s.bytes_reservable_limit = if_set(args.bytes_reservable_limit, args.bytes_reservable_limit_is_set);
  s.largest_free_block_bytes = if_set(args.largest_free_block_bytes, args.largest_free_block_bytes_is_set);
  s.pool_bytes = if_set(args.pool_bytes, args.pool_bytes_is_set);
  s.peak_pool_bytes = if_set(args.peak_pool_bytes, args.peak_pool_bytes_is_set);
  s.peak_allocated_bytes = if_set(args.peak_allocated_bytes, args.peak_allocated_bytes_is_set);
  return s;
}
PJRT_CATCH

Result<void> Device::clear_memory_stats() const try {
  abi::PJRT_Device_ClearMemoryStats_Args args{};
  args.device = record_->raw;
  return detail::call<fn::PJRT_Device_ClearMemoryStats>(*client_->plugin, args);
}
PJRT_CATCH

Result<NamedValues> Device::attributes() const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Device_GetAttributes>(*client_->plugin, {.device = record_->raw}));
  Result<NamedValues> values = detail::from_c(args.attributes, args.num_attributes);
  if (args.attributes_deleter != nullptr && args.device_attributes != nullptr)
    args.attributes_deleter(args.device_attributes);
  return values;
}
PJRT_CATCH

Result<bool> Device::poison_execution(std::int32_t launch_id, const Error& error) const try {
  const detail::PayloadsC payloads(error);
  const std::string message(error.message());
  abi::PJRT_Device_PoisonExecution_Args args{};
  args.device = record_->raw;
  args.launch_id = launch_id;
  args.error_code = detail::to_c(error.code());
  args.error_message = message.data();
  args.error_message_size = message.size();
  args.payload = payloads.data();
  args.num_payload = payloads.size();
  PJRT_CHECK(detail::call<fn::PJRT_Device_PoisonExecution>(*client_->plugin, args));
  return args.poisoned;
}
PJRT_CATCH

Result<AsyncTrackingEvent> Device::create_async_tracking_event(std::string_view description) const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Device_CreateAsyncTrackingEvent>(
               *client_->plugin,
               {.device = record_->raw, .description = description.data(), .description_size = description.size()}));
  return AsyncTrackingEvent(client_, args.event);
}
PJRT_CATCH

int DeviceDescription::id() const noexcept {
  return record_->id;
}
int DeviceDescription::process_index() const noexcept {
  return record_->process_index;
}
const std::string& DeviceDescription::kind() const& noexcept {
  return record_->kind;
}
const std::string& DeviceDescription::debug_string() const& noexcept {
  return record_->debug_string;
}
const std::string& DeviceDescription::to_string() const& noexcept {
  return record_->text;
}
abi::PJRT_DeviceDescription* DeviceDescription::raw() const noexcept {
  return record_->raw;
}

Result<NamedValues> DeviceDescription::attributes() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_DeviceDescription_Attributes>(*plugin_, {.device_description = record_->raw}));
  return detail::from_c(args.attributes, args.num_attributes);
}
PJRT_CATCH

Memory Memory::none() noexcept {
  return {detail::no_client(), &detail::no_memory()};
}
int Memory::id() const noexcept {
  return record_->id;
}
const std::string& Memory::kind() const& noexcept {
  return record_->kind;
}
int Memory::kind_id() const noexcept {
  return record_->kind_id;
}
const std::string& Memory::debug_string() const& noexcept {
  return record_->debug_string;
}
const std::string& Memory::to_string() const& noexcept {
  return record_->text;
}
abi::PJRT_Memory* Memory::raw() const noexcept {
  return record_->raw;
}

std::vector<Device> Memory::devices() const {
  std::vector<Device> devices;
  for (const detail::DeviceRecord* d : record_->devices) devices.emplace_back(client_, d);
  return devices;
}

}  // namespace pjrt
