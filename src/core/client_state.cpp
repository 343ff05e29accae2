#include "core/client_state.hpp"

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/dispatcher.hpp"
#include "core/event_state.hpp"
#include "core/try.hpp"

namespace pjrt::detail {

namespace fn = abi::fn;

void retain(ClientState* s) noexcept {
  s->references.fetch_add(1, std::memory_order_relaxed);
}

void release(ClientState* s) noexcept {
  if (s->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (InCallback::active()) {
    // Destroying a client waits for its threads, and this is one of them.
    s->destruction.run = [](Job* job) noexcept { delete static_cast<ClientState::Destruction*>(job)->client; };
    s->destruction.client = s;
    return Dispatcher::post(&s->destruction);
  }
  delete s;
}

const Ref<ClientState>& no_client() noexcept {
  static const auto* const none = [] {
    auto* client = new ClientState;
    client->plugin = &no_plugin();
    return new Ref<ClientState>(Ref<ClientState>::adopt(client));
  }();
  return *none;
}

const DeviceRecord& no_device() noexcept {
  static const auto* const none = [] {
    auto* device = new DeviceRecord;
    device->description.id = -1;
    device->description.process_index = -1;
    device->description.text = "no device";
    return device;
  }();
  return *none;
}

const MemoryRecord& no_memory() noexcept {
  static const auto* const none = [] {
    auto* memory = new MemoryRecord;
    memory->id = -1;
    memory->kind_id = -1;
    memory->text = "no memory";
    return memory;
  }();
  return *none;
}

ClientState::~ClientState() {
  if (raw != nullptr) call_quietly<fn::PJRT_Client_Destroy>(*plugin, {.client = raw});
}

Result<DescriptionRecord> read_description(const PluginState& plugin, abi::PJRT_DeviceDescription* raw) {
  DescriptionRecord d;
  d.raw = raw;
  PJRT_TRY(const auto id, call<fn::PJRT_DeviceDescription_Id>(plugin, {.device_description = raw}));
  d.id = id.id;
  PJRT_TRY(const auto process, call<fn::PJRT_DeviceDescription_ProcessIndex>(plugin, {.device_description = raw}));
  d.process_index = process.process_index;
  PJRT_TRY(const auto kind, call<fn::PJRT_DeviceDescription_Kind>(plugin, {.device_description = raw}));
  d.kind = text(kind.device_kind, kind.device_kind_size);
  PJRT_TRY(const auto debug, call<fn::PJRT_DeviceDescription_DebugString>(plugin, {.device_description = raw}));
  d.debug_string = text(debug.debug_string, debug.debug_string_size);
  PJRT_TRY(const auto str, call<fn::PJRT_DeviceDescription_ToString>(plugin, {.device_description = raw}));
  d.text = text(str.to_string, str.to_string_size);
  return d;
}

namespace {

class Reader {
 public:
  explicit Reader(ClientState& c) : c_(c), plugin_(*c.plugin) {}

  Result<void> read() {
    PJRT_TRY(const auto name, call<fn::PJRT_Client_PlatformName>(plugin_, {.client = c_.raw}));
    c_.platform_name = text(name.platform_name, name.platform_name_size);
    c_.is_cpu = c_.platform_name == "cpu" || c_.platform_name == "Host" || c_.platform_name == "host";
    PJRT_TRY(const auto version, call<fn::PJRT_Client_PlatformVersion>(plugin_, {.client = c_.raw}));
    c_.platform_version = text(version.platform_version, version.platform_version_size);
    PJRT_TRY(const auto process, call<fn::PJRT_Client_ProcessIndex>(plugin_, {.client = c_.raw}));
    c_.process_index = process.process_index;

    PJRT_TRY(const auto devices, call<fn::PJRT_Client_Devices>(plugin_, {.client = c_.raw}));
    PJRT_TRY(const auto raw_devices, given<fn::PJRT_Client_Devices>(devices.devices, devices.num_devices));
    for (auto* raw : raw_devices) {
      PJRT_TRY(const DeviceRecord* d, device(raw));
      c_.devices.push_back(d);
    }
    PJRT_TRY(const auto addressable, call<fn::PJRT_Client_AddressableDevices>(plugin_, {.client = c_.raw}));
    PJRT_TRY(const auto raw_addressable, given<fn::PJRT_Client_AddressableDevices>(
                                             addressable.addressable_devices, addressable.num_addressable_devices));
    for (auto* raw : raw_addressable) {
      PJRT_TRY(const DeviceRecord* d, device(raw));
      c_.addressable_devices.push_back(d);
    }
    PJRT_TRY(const auto memories, call<fn::PJRT_Client_AddressableMemories>(plugin_, {.client = c_.raw}));
    PJRT_TRY(const auto raw_memories, given<fn::PJRT_Client_AddressableMemories>(memories.addressable_memories,
                                                                                 memories.num_addressable_memories));
    for (auto* raw : raw_memories) {
      PJRT_TRY(const MemoryRecord* m, memory(raw));
      c_.memories.push_back(m);
    }
    return {};
  }

 private:
  std::unexpected<Error> null_in_list(const char* what) const {
    return std::unexpected(
        Error(ErrorCode::Internal, "plugin " + Plugin(c_.plugin).description() + " lists a " + what + " that is null"));
  }

  Result<const DeviceRecord*> device(abi::PJRT_Device* raw) {
    if (raw == nullptr) return null_in_list("device");
    if (const auto it = c_.device_by_raw.find(raw); it != c_.device_by_raw.end()) return it->second;
    DeviceRecord& d = *c_.device_storage.emplace_back(std::make_unique<DeviceRecord>());
    c_.device_by_raw.emplace(raw, &d);
    d.raw = raw;
    PJRT_TRY(const auto description, call<fn::PJRT_Device_GetDescription>(plugin_, {.device = raw}));
    PJRT_TRY(d.description, read_description(plugin_, description.device_description));
    PJRT_TRY(const auto addressable, call<fn::PJRT_Device_IsAddressable>(plugin_, {.device = raw}));
    d.addressable = addressable.is_addressable;
    if (!d.addressable) return &d;

    PJRT_TRY(const auto local, call<fn::PJRT_Device_LocalHardwareId>(plugin_, {.device = raw}));
    d.local_hardware_id = local.local_hardware_id;
    // A plugin without memory spaces answers Unimplemented; its devices then have none.
    if (const auto memories = call<fn::PJRT_Device_AddressableMemories>(plugin_, {.device = raw}); !memories) {
      if (memories.error().code() != ErrorCode::Unimplemented) return std::unexpected(memories.error());
    } else {
      PJRT_TRY(const auto raw_memories,
               given<fn::PJRT_Device_AddressableMemories>(memories->memories, memories->num_memories));
      for (auto* raw_memory : raw_memories) {
        PJRT_TRY(const MemoryRecord* m, memory(raw_memory));
        d.memories.push_back(m);
      }
    }
    if (const auto own = call<fn::PJRT_Device_DefaultMemory>(plugin_, {.device = raw}); !own) {
      if (own.error().code() != ErrorCode::Unimplemented && !d.memories.empty()) return std::unexpected(own.error());
    } else {
      PJRT_TRY(d.default_memory, memory(own->memory));
    }
    return &d;
  }

  Result<const MemoryRecord*> memory(abi::PJRT_Memory* raw) {
    if (raw == nullptr) return null_in_list("memory");
    if (const auto it = c_.memory_by_raw.find(raw); it != c_.memory_by_raw.end()) return it->second;
    MemoryRecord& m = *c_.memory_storage.emplace_back(std::make_unique<MemoryRecord>());
    c_.memory_by_raw.emplace(raw, &m);
    m.raw = raw;
    PJRT_TRY(const auto id, call<fn::PJRT_Memory_Id>(plugin_, {.memory = raw}));
    m.id = id.id;
    PJRT_TRY(const auto kind, call<fn::PJRT_Memory_Kind>(plugin_, {.memory = raw}));
    m.kind = text(kind.kind, kind.kind_size);
    PJRT_TRY(const auto kind_id, call<fn::PJRT_Memory_Kind_Id>(plugin_, {.memory = raw}));
    m.kind_id = kind_id.kind_id;
    PJRT_TRY(const auto debug, call<fn::PJRT_Memory_DebugString>(plugin_, {.memory = raw}));
    m.debug_string = text(debug.debug_string, debug.debug_string_size);
    PJRT_TRY(const auto str, call<fn::PJRT_Memory_ToString>(plugin_, {.memory = raw}));
    m.text = text(str.to_string, str.to_string_size);
    PJRT_TRY(const auto devices, call<fn::PJRT_Memory_AddressableByDevices>(plugin_, {.memory = raw}));
    PJRT_TRY(const auto raw_devices, given<fn::PJRT_Memory_AddressableByDevices>(devices.devices, devices.num_devices));
    for (auto* raw_device : raw_devices) {
      PJRT_TRY(const DeviceRecord* d, device(raw_device));
      m.devices.push_back(d);
    }
    return &m;
  }

  ClientState& c_;
  const PluginState& plugin_;
};

}  // namespace

Result<const DeviceRecord*> find_device(const ClientState& client, abi::PJRT_Device* raw) {
  const auto it = client.device_by_raw.find(raw);
  if (it == client.device_by_raw.end()) {
    return std::unexpected(Error(ErrorCode::Internal, "plugin " + Plugin(client.plugin).description() +
                                                          " names a device that its client does not list"));
  }
  return it->second;
}

Result<Ref<ClientState>> make_client_state(const PluginState& plugin, abi::PJRT_Client* raw,
                                           std::shared_ptr<KeyValueStore> store) {
  auto client = Ref<ClientState>::adopt(new ClientState);
  client->plugin = &plugin;
  client->raw = raw;
  client->key_value_store = std::move(store);
  if (auto ok = Reader(*client).read(); !ok) return std::unexpected(std::move(ok).error());
  return client;
}

}  // namespace pjrt::detail
