// Errors, events, clients, devices, memories and topologies.

#include <algorithm>

#include "fake_plugin/objects.hpp"
#include "fake_plugin/run.hpp"

namespace pjrt::fake {
namespace {

namespace fn = abi::fn;

constexpr std::string_view kPlatform = "fake";
constexpr std::string_view kVersion = "fake platform version 1";

struct AsyncTracking {
  static constexpr auto kKind = "async tracking event";
  std::string description;
};

struct DmaMapping {
  static constexpr auto kKind = "dma mapping";
  std::size_t size;
};

/// What PJRT_Device_GetAttributes lends until its deleter is called.
struct Attributes {
  static constexpr auto kKind = "device attributes";
  FakePlugin* owner;
  NamedValuesC values;
};

void answer_errors_and_events(FakePlugin& f) {
  f.usually<fn::PJRT_Error_Destroy>([&f](auto& a) { f.take<ErrorObject>(a.error); });
  f.usually<fn::PJRT_Error_Message>(
      [&f](auto& a) { give(a.message, a.message_size, f.at<ErrorObject>(a.error)->failure.message); });
  f.usually<fn::PJRT_Error_GetCode>(
      [&f](auto& a) { a.code = static_cast<abi::PJRT_Error_Code>(f.at<ErrorObject>(a.error)->failure.code); });
  f.usually<fn::PJRT_Error_ForEachPayload>([&f](auto& a) {
    for (const ErrorPayload& p : f.at<ErrorObject>(a.error)->failure.payloads) {
      a.visitor(p.key.data(), p.key.size(), p.value.data(), p.value.size(), a.user_arg);
    }
  });

  f.usually<fn::PJRT_Event_Create>([&f](auto& a) { give(a.event, f.make<Event>(std::make_shared<Promise>(), true)); });
  f.usually<fn::PJRT_Event_Set>([&f](auto& a) {
    const auto event = f.at<Event>(a.event);
    if (!event->settable || event->promise->is_set()) throw Fault{"the event is not to be set"};
    const Failure failure{static_cast<ErrorCode>(a.error_code), text(a.error_message, a.error_message_size)};
    event->promise->set(a.error_code == 0 ? Outcome() : failure);
  });
  f.usually<fn::PJRT_Event_Destroy>([&f](auto& a) {
    const auto event = f.take<Event>(a.event);
    if (event->settable) event->promise->set(Failure{ErrorCode::Internal, "Promise destroyed without being set"});
  });
  f.usually<fn::PJRT_Event_IsReady>([&f](auto& a) { a.is_ready = f.at<Event>(a.event)->promise->is_set(); });
  f.usually<fn::PJRT_Event_Await>([&f](auto& a) { return f.at<Event>(a.event)->promise->wait(); });
  f.usually<fn::PJRT_Event_Error>([&f](auto& a) {
    const auto event = f.at<Event>(a.event);
    if (!event->promise->is_set()) throw Fault{"the event is not ready"};
    return event->promise->wait();
  });
  f.usually<fn::PJRT_Event_OnReady>([&f](auto& a) {
    f.at<Event>(a.event)->promise->then([&f, callback = a.callback, user = a.user_arg](const Outcome& outcome) {
      callback(outcome ? f.make_error(*outcome) : nullptr, user);
    });
  });
}

abi::PJRT_Device* new_device(FakePlugin& f, Client& client, int id, bool addressable) {
  auto* description = f.lend<Description>(id, addressable ? 0 : 1);
  auto* device = f.lend<Device>(reinterpret_cast<abi::PJRT_DeviceDescription*>(description), id, addressable);
  auto* raw = reinterpret_cast<abi::PJRT_Device*>(device);
  f.at<Topology>(client.topology)->descriptions.push_back(device->description);
  client.devices.push_back(raw);
  if (!addressable) return raw;
  client.addressable.push_back(raw);
  for (int kind = 0; kind < 2; ++kind) {
    auto* memory = f.lend<Memory>(nullptr, 2 * id + kind, kind, kind == 0 ? "device" : "pinned_host", std::vector{raw});
    device->memories.push_back(reinterpret_cast<abi::PJRT_Memory*>(memory));
    client.memories.push_back(device->memories.back());
  }
  return raw;
}

void destroy_topology(FakePlugin& f, const abi::PJRT_TopologyDescription* raw, bool owed) {
  const auto topology = f.take<Topology>(raw, owed);
  for (const auto* d : topology->descriptions) f.take<Description>(d, false);
}

void answer_clients_alone(FakePlugin& f) {
  f.usually<fn::PJRT_Plugin_Initialize>([](auto&) {});
  f.usually<fn::PJRT_Plugin_Attributes>([](auto& a) {
    static auto* const attributes = new NamedValuesC({{"xla_version", 2}, {"stablehlo_current_version", {1, 15, 0}}});
    give(a.attributes, a.num_attributes, *attributes);
  });
  f.usually<fn::PJRT_Client_Create>([&f](auto& a) {
    int devices = 1;
    for (std::size_t i = 0; i < a.num_options; ++i) {
      const abi::PJRT_NamedValue& option = a.create_options[i];
      if (text(option.name, option.name_size) == "cpu_device_count") devices = static_cast<int>(option.int64_value);
    }
    auto* client = f.make<Client>();
    give(client->topology, f.lend<Topology>("fake"));
    for (int id = 0; id < devices; ++id) new_device(f, *client, id, true);
    for (int id = 0; id < f.remote_devices; ++id) new_device(f, *client, 1000 + id, false);
    give(a.client, client);
  });
  f.usually<fn::PJRT_Client_Destroy>([&f](auto& a) {
    const auto client = f.take<Client>(a.client);
    destroy_topology(f, client->topology, false);
    for (const auto* d : client->devices) f.take<Device>(d, false);
    for (const auto* m : client->memories) f.take<Memory>(m, false);
    if (client.use_count() > 1) throw Fault{"the client still has buffers, executables or transfers"};
  });
  f.usually<fn::PJRT_Client_PlatformName>([](auto& a) { give(a.platform_name, a.platform_name_size, kPlatform); });
  f.usually<fn::PJRT_Client_PlatformVersion>(
      [](auto& a) { give(a.platform_version, a.platform_version_size, kVersion); });
  f.usually<fn::PJRT_Client_ProcessIndex>([](auto& a) { a.process_index = 0; });
  f.usually<fn::PJRT_Client_Devices>(
      [&f](auto& a) { give(a.devices, a.num_devices, f.at<Client>(a.client)->devices); });
  f.usually<fn::PJRT_Client_AddressableDevices>(
      [&f](auto& a) { give(a.addressable_devices, a.num_addressable_devices, f.at<Client>(a.client)->addressable); });
  f.usually<fn::PJRT_Client_AddressableMemories>(
      [&f](auto& a) { give(a.addressable_memories, a.num_addressable_memories, f.at<Client>(a.client)->memories); });
  f.usually<fn::PJRT_Client_LookupDevice>([&f](auto& a) {
    for (auto* d : f.at<Client>(a.client)->devices) {
      if (f.at<Device>(d)->id == a.id) a.device = d;
    }
    if (a.device == nullptr) refuse(ErrorCode::InvalidArgument, "no device with id " + std::to_string(a.id));
  });
  f.usually<fn::PJRT_Client_LookupAddressableDevice>([&f](auto& a) {
    for (auto* d : f.at<Client>(a.client)->addressable) {
      if (f.at<Device>(d)->id == a.local_hardware_id) a.addressable_device = d;
    }
    if (a.addressable_device == nullptr) {
      refuse(ErrorCode::InvalidArgument, "no device with local hardware id " + std::to_string(a.local_hardware_id));
    }
  });
  f.usually<fn::PJRT_Client_TopologyDescription>([&f](auto& a) { a.topology = f.at<Client>(a.client)->topology; });
  f.usually<fn::PJRT_Client_DefaultDeviceAssignment>([&f](auto& a) {
    const auto count = static_cast<std::size_t>(a.num_replicas) * static_cast<std::size_t>(a.num_partitions);
    if (a.default_assignment_size < count) refuse(ErrorCode::FailedPrecondition, "the array is too small");
    if (f.at<Client>(a.client)->devices.size() < count) refuse(ErrorCode::InvalidArgument, "not enough devices");
    for (std::size_t i = 0; i < count; ++i) a.default_assignment[i] = static_cast<int>(i);
  });
  f.usually<fn::PJRT_Client_UpdateGlobalProcessInfo>([&f](auto& a) { f.at<Client>(a.client); });
  // A mapping's handle is the address of the memory; there can be one.
  static std::map<const void*, DmaMapping*> mappings;
  f.usually<fn::PJRT_Client_DmaMap>([&f](auto& a) {
    if (mappings.contains(a.data)) refuse(ErrorCode::AlreadyExists, "the memory is mapped already");
    mappings[a.data] = f.make<DmaMapping>(a.size);
  });
  f.usually<fn::PJRT_Client_DmaUnmap>([&f](auto& a) {
    const auto it = mappings.find(a.data);
    if (it == mappings.end()) throw Fault{"the memory is not mapped"};
    f.take<DmaMapping>(it->second);
    mappings.erase(it);
  });
}

void answer_devices(FakePlugin& f) {
  f.usually<fn::PJRT_DeviceDescription_Id>([&f](auto& a) { a.id = f.at<Description>(a.device_description)->id; });
  f.usually<fn::PJRT_DeviceDescription_ProcessIndex>(
      [&f](auto& a) { a.process_index = f.at<Description>(a.device_description)->process; });
  f.usually<fn::PJRT_DeviceDescription_Attributes>([&f](auto& a) {
    f.at<Description>(a.device_description);
    static auto* const attributes = new NamedValuesC({{"coords", {1, 2, 3}}});
    give(a.attributes, a.num_attributes, *attributes);
  });
  f.usually<fn::PJRT_DeviceDescription_Kind>(
      [&f](auto& a) { give(a.device_kind, a.device_kind_size, f.at<Description>(a.device_description)->kind); });
  f.usually<fn::PJRT_DeviceDescription_DebugString>([&f](auto& a) {
    give(a.debug_string, a.debug_string_size, f.at<Description>(a.device_description)->debug_string);
  });
  f.usually<fn::PJRT_DeviceDescription_ToString>(
      [&f](auto& a) { give(a.to_string, a.to_string_size, f.at<Description>(a.device_description)->text); });

  f.usually<fn::PJRT_Device_GetDescription>(
      [&f](auto& a) { a.device_description = f.at<Device>(a.device)->description; });
  f.usually<fn::PJRT_Device_IsAddressable>([&f](auto& a) { a.is_addressable = f.at<Device>(a.device)->addressable; });
  f.usually<fn::PJRT_Device_LocalHardwareId>([&f](auto& a) { a.local_hardware_id = f.at<Device>(a.device)->id; });
  f.usually<fn::PJRT_Device_AddressableMemories>(
      [&f](auto& a) { give(a.memories, a.num_memories, f.at<Device>(a.device)->memories); });
  f.usually<fn::PJRT_Device_DefaultMemory>([&f](auto& a) {
    const auto device = f.at<Device>(a.device);
    if (device->memories.empty()) refuse(ErrorCode::Unimplemented, "the device has no memory here");
    a.memory = device->memories.front();
  });
  f.usually<fn::PJRT_Device_MemoryStats>([&f](auto& a) {
    f.at<Device>(a.device);
    a.bytes_in_use = 1024;
    if (f.minor < 113) return;
    a.peak_allocated_bytes = 4096;
    a.peak_allocated_bytes_is_set = true;
  });
  f.usually<fn::PJRT_Device_ClearMemoryStats>([&f](auto& a) { f.at<Device>(a.device); });
  f.usually<fn::PJRT_Device_GetAttributes>([&f](auto& a) {
    const NamedValues values = {{"serial", f.at<Device>(a.device)->id}};
    auto* attributes = f.make<Attributes>(&f, values);
    give(a.attributes, a.num_attributes, attributes->values);
    give(a.device_attributes, attributes);
    a.attributes_deleter = [](abi::PJRT_Device_Attributes* d) {
      reinterpret_cast<Attributes*>(d)->owner->drop(d, Attributes::kKind);
    };
  });
  f.usually<fn::PJRT_Device_PoisonExecution>([&f](auto& a) {
    f.at<Device>(a.device);
    Failure failure{static_cast<ErrorCode>(a.error_code), text(a.error_message, a.error_message_size)};
    if (f.minor >= 100) {
      for (std::size_t i = 0; i < a.num_payload; ++i) {
        const abi::PJRT_NamedValue& p = a.payload[i];
        failure.payloads.push_back({text(p.name, p.name_size), text(p.string_value, p.value_size)});
      }
    }
    for (const auto& weak : f.runs) {
      const auto run = weak.lock();
      if (run == nullptr || run->launch_id != a.launch_id || run->done->is_set()) continue;
      run->done->set(failure);
      a.poisoned = true;
    }
  });
  f.usually<fn::PJRT_Device_CreateAsyncTrackingEvent>([&f](auto& a) {
    f.at<Device>(a.device);
    give(a.event, f.make<AsyncTracking>(text(a.description, a.description_size)));
  });
  f.usually<fn::PJRT_AsyncTrackingEvent_Destroy>([&f](auto& a) { f.take<AsyncTracking>(a.event); });

  f.usually<fn::PJRT_Memory_Id>([&f](auto& a) { a.id = f.at<Memory>(a.memory)->id; });
  f.usually<fn::PJRT_Memory_Kind>([&f](auto& a) { give(a.kind, a.kind_size, f.at<Memory>(a.memory)->kind); });
  f.usually<fn::PJRT_Memory_Kind_Id>([&f](auto& a) { a.kind_id = f.at<Memory>(a.memory)->kind_id; });
  f.usually<fn::PJRT_Memory_DebugString>(
      [&f](auto& a) { give(a.debug_string, a.debug_string_size, f.at<Memory>(a.memory)->debug_string); });
  f.usually<fn::PJRT_Memory_ToString>(
      [&f](auto& a) { give(a.to_string, a.to_string_size, f.at<Memory>(a.memory)->text); });
  f.usually<fn::PJRT_Memory_AddressableByDevices>(
      [&f](auto& a) { give(a.devices, a.num_devices, f.at<Memory>(a.memory)->devices); });
}

void answer_topologies(FakePlugin& f) {
  const auto make = [&f](abi::PJRT_TopologyDescription*& out, const std::string& name) {
    auto* topology = f.make<Topology>(name);
    for (int id = 0; id < 2; ++id) {
      topology->descriptions.push_back(reinterpret_cast<abi::PJRT_DeviceDescription*>(f.lend<Description>(id, 0)));
    }
    give(out, topology);
  };
  f.usually<fn::PJRT_TopologyDescription_Create>(
      [make](auto& a) { make(a.topology, text(a.topology_name, a.topology_name_size)); });
  f.usually<fn::PJRT_TopologyDescription_Destroy>([&f](auto& a) { destroy_topology(f, a.topology, true); });
  f.usually<fn::PJRT_TopologyDescription_Serialize>([&f](auto& a) {
    f.give_bytes("topology " + f.at<Topology>(a.topology)->name, a.serialized_bytes, a.serialized_bytes_size,
                 a.serialized_topology, a.serialized_topology_deleter);
  });
  f.usually<fn::PJRT_TopologyDescription_Deserialize>([make](auto& a) {
    const std::string bytes = text(a.serialized_topology, a.serialized_topology_size);
    if (!bytes.starts_with("topology ")) refuse(ErrorCode::InvalidArgument, "no topology");
    make(a.topology, bytes.substr(9));
  });
  f.usually<fn::PJRT_TopologyDescription_PlatformName>([&f](auto& a) {
    f.at<Topology>(a.topology);
    give(a.platform_name, a.platform_name_size, kPlatform);
  });
  f.usually<fn::PJRT_TopologyDescription_PlatformVersion>([&f](auto& a) {
    f.at<Topology>(a.topology);
    give(a.platform_version, a.platform_version_size, kVersion);
  });
  f.usually<fn::PJRT_TopologyDescription_GetDeviceDescriptions>(
      [&f](auto& a) { give(a.descriptions, a.num_descriptions, f.at<Topology>(a.topology)->descriptions); });
  f.usually<fn::PJRT_TopologyDescription_Attributes>([&f](auto& a) {
    static auto* const attributes = new NamedValuesC({{"name", "fake"}});
    f.at<Topology>(a.topology);
    give(a.attributes, a.num_attributes, *attributes);
  });
  f.usually<fn::PJRT_TopologyDescription_Fingerprint>(
      [&f](auto& a) { a.fingerprint = 1000 + f.at<Topology>(a.topology)->name.size(); });
  f.usually<fn::PJRT_TopologyDescription_MakeCanonicalShapeForMemorySpace>([&f](auto& a) {
    f.at<Topology>(a.topology);
    const std::string shape = "canonical shape in " + std::to_string(a.memory_space_kind_id);
    a.serialized_shape = std::copy_n(shape.data(), shape.size(), new char[shape.size()]) - shape.size();
    a.serialized_shape_size = shape.size();
    a.serialized_shape_deleter = [](const char* s) { delete[] s; };
  });
  f.usually<fn::PJRT_TopologyDescription_GetMemorySpaceKindIds>([&f](auto& a) {
    static const std::vector<int> ids = {0, 1};
    f.at<Topology>(a.topology);
    give(a.memory_space_kind_ids, a.num_memory_space_kind_ids, ids);
  });
}

}  // namespace

void answer_clients(FakePlugin& fake) {
  answer_errors_and_events(fake);
  answer_clients_alone(fake);
  answer_devices(fake);
  answer_topologies(fake);
}

}  // namespace pjrt::fake
