// Clients: what is read when they are made, failing half way, devices elsewhere, and what plugins answer that makes no
// sense.

#include <gtest/gtest.h>

#include <set>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fn = test::fn;

class FakeClient : public test::OnFake {};

TEST_F(FakeClient, OptionsReachThePluginWithTheirTypes) {
  NamedValues seen;
  fake.watch<fn::PJRT_Client_Create>([&](const abi::PJRT_Client_Create_Args& args) {
    for (std::size_t i = 0; i < args.num_options; ++i) {
      const abi::PJRT_NamedValue& v = args.create_options[i];
      const std::string name(v.name, v.name_size);
      switch (v.type) {
        case abi::PJRT_NamedValue_kString:
          seen.add(name, std::string(v.string_value, v.value_size));
          break;
        case abi::PJRT_NamedValue_kInt64:
          seen.add(name, v.int64_value);
          break;
        case abi::PJRT_NamedValue_kInt64List:
          seen.add(name, std::vector(v.int64_array_value, v.int64_array_value + v.value_size));
          break;
        case abi::PJRT_NamedValue_kFloat:
          seen.add(name, v.float_value);
          break;
        case abi::PJRT_NamedValue_kBool:
          seen.add(name, v.bool_value);
          break;
      }
    }
  });
  const NamedValues options = {{"text", std::string("a\0b", 3)},
                               {"number", -5},
                               {"list", {1, 2, 3}},
                               {"fraction", 0.5f},
                               {"flag", true},
                               {"empty", ""}};
  EXPECT_OK(Client::create(plugin, {.options = options}));
  EXPECT_EQ(seen, options);
}

TEST_F(FakeClient, IsMadeOfWhatThePluginSays) {
  const Client client = make_client(2);
  EXPECT_EQ(client.platform_name(), "fake");
  EXPECT_EQ(client.platform_version(), "fake platform version 1");
  EXPECT_EQ(client.process_index(), 0);
  ASSERT_EQ(client.devices().size(), 2u);
  const Device second = client.devices()[1];
  EXPECT_EQ(second.id(), 1);
  EXPECT_EQ(second.local_hardware_id(), 1);
  EXPECT_EQ(second.kind(), "fake device");
  EXPECT_EQ(second.to_string(), "fake:1");
  EXPECT_EQ(second.description().debug_string(), "FakeDevice(id=1)");
  ASSERT_EQ(second.memories().size(), 2u);
  EXPECT_EQ(second.memories()[0].kind(), "device");
  EXPECT_EQ(second.memories()[1].kind(), "pinned_host");
  EXPECT_EQ(second.memories()[1].kind_id(), 1);
  EXPECT_EQ(second.memories()[1].id(), 3);
  EXPECT_EQ(client.memories().size(), 4u);
}

TEST_F(FakeClient, DevicesOfOtherProcessesAreListedButHaveNothingHere) {
  fake.remote_devices = 1;
  const Client client = make_client();
  ASSERT_EQ(client.devices().size(), 2u);
  EXPECT_EQ(client.addressable_devices().size(), 1u);
  const Device far = client.devices()[1];
  EXPECT_EQ(far.id(), 1000);
  EXPECT_EQ(far.process_index(), 1);
  EXPECT_FALSE(far.is_addressable());
  EXPECT_EQ(far.local_hardware_id(), -1);
  EXPECT_TRUE(far.memories().empty());
  EXPECT_ERROR(far.default_memory(), NotFound, "device fake:1000 has no default memory in this process");
  EXPECT_ERROR(client.upload(1.0f, {.device = far}), InvalidArgument, "device fake:1000 belongs to process 1");
}

TEST_F(FakeClient, LookupFindsDevicesByEitherNumber) {
  fake.remote_devices = 1;
  const Client client = make_client(2);
  EXPECT_EQ(value_of(client.lookup_device(1000)), client.devices()[2]);
  EXPECT_EQ(value_of(client.lookup_addressable_device(1)), client.devices()[1]);
  EXPECT_ERROR(client.lookup_device(7), InvalidArgument, "no device with id 7");
  EXPECT_ERROR(client.lookup_addressable_device(1000), InvalidArgument, "no device with local hardware id 1000");
}

TEST_F(FakeClient, DefaultDeviceAssignmentIsThePlugins) {
  const DeviceAssignment a = value_of(make_client(4).default_device_assignment(2, 2));
  EXPECT_EQ(a.num_replicas(), 2);
  EXPECT_EQ(a.num_partitions(), 2);
  EXPECT_EQ(value_of(a.device({0, 1})), 1);
  EXPECT_EQ(value_of(a.device({1, 0})), 2);
}

TEST_F(FakeClient, FailingInAnyCallWhileItIsReadDestroysIt) {
  make_client(2);
  std::set<std::string> functions;
  for (const fake::Call& call : fake.calls()) functions.insert(call.function);
  for (const char* other : {"PJRT_Client_Create", "PJRT_Client_Destroy"}) functions.erase(other);
  // A plugin without memory spaces answers these with Unimplemented.
  for (const char* optional : {"PJRT_Device_AddressableMemories", "PJRT_Device_DefaultMemory"})
    EXPECT_EQ(functions.erase(optional), 1u);
  EXPECT_EQ(functions.size(), 20u);
  for (const std::string& function : functions) {
    fake.reset();
    fake.fail(function, {ErrorCode::Unavailable, "not now"});
    EXPECT_ERROR(Client::create(plugin), Unavailable, "not now (" + function + ")");
    EXPECT_THAT(fake.live(), IsEmpty()) << function;
    EXPECT_THAT(fake.faults(), IsEmpty()) << function;
  }
}

TEST_F(FakeClient, WhosePluginHasNoMemorySpacesHasDevicesWithoutThem) {
  fake.fail<fn::PJRT_Device_AddressableMemories>(ErrorCode::Unimplemented, "no memory spaces");
  fake.fail<fn::PJRT_Device_DefaultMemory>(ErrorCode::Unimplemented, "no memory spaces");
  fake.on<fn::PJRT_Client_AddressableMemories>([](auto&) {});
  const Client client = make_client();
  EXPECT_TRUE(client.memories().empty());
  EXPECT_TRUE(client.devices()[0].memories().empty());
  EXPECT_ERROR(client.devices()[0].default_memory(), NotFound, "device fake:0 has no default memory");
  EXPECT_ERROR(client.devices()[0].memory("device"), NotFound, "it has none");
}

TEST_F(FakeClient, WithoutDevicesIsMadeAndRefusesUploads) {
  const Client client = make_client();
  fake.on<fn::PJRT_Client_Devices>([](auto&) {});
  fake.on<fn::PJRT_Client_AddressableDevices>([](auto&) {});
  fake.on<fn::PJRT_Client_AddressableMemories>([](auto&) {});
  const Client empty = make_client();
  EXPECT_TRUE(empty.devices().empty());
  EXPECT_ERROR(empty.upload(1.0f), InvalidArgument, "the client has no device");
}

TEST_F(FakeClient, TextsThatAreNullAreEmpty) {
  fake.on<fn::PJRT_Client_PlatformVersion>([](auto&) {});
  fake.on<fn::PJRT_DeviceDescription_Kind>([](auto&) {});
  fake.on<fn::PJRT_Memory_Kind>([](auto&) {});
  const Client client = make_client();
  EXPECT_EQ(client.platform_version(), "");
  EXPECT_EQ(client.devices()[0].kind(), "");
  EXPECT_EQ(client.memories()[0].kind(), "");
}

TEST_F(FakeClient, ANullClientIsAnError) {
  fake.on<fn::PJRT_Client_Create>([](auto&) {});
  EXPECT_ERROR(Client::create(plugin), Internal, "PJRT_Client_Create");
}

TEST_F(FakeClient, ADeviceThatTheClientDoesNotListIsAnError) {
  const Client client = make_client();
  const Client other = make_client();
  fake.on<fn::PJRT_Client_LookupDevice>([&](auto& a) { a.device = other.devices()[0].raw(); });
  EXPECT_ERROR(client.lookup_device(0), Internal, "names a device that its client does not list");
  fake.on<fn::PJRT_Client_LookupAddressableDevice>([&](auto& a) { a.addressable_device = nullptr; });
  EXPECT_ERROR(client.lookup_addressable_device(0), Internal, "names a device that its client does not list");
}

TEST_F(FakeClient, AnArrayThatIsNullButNotEmptyIsAnError) {
  fake.on<fn::PJRT_Client_Devices>([](auto& a) { a.num_devices = 3; });
  EXPECT_ERROR(Client::create(plugin), Internal, "PJRT_Client_Devices");
}

TEST_F(FakeClient, ANullDeviceInTheListIsAnError) {
  [[maybe_unused]] static abi::PJRT_Device* const nothing[] = {nullptr};
  fake.on<fn::PJRT_Client_Devices>([](auto& a) {
    a.devices = nothing;
    a.num_devices = 1;
  });
  EXPECT_ERROR(Client::create(plugin), Internal, "device");
  fake.reset();  // the faults: a real plugin may have crashed
}

TEST_F(FakeClient, AttributesOfAnUnknownTypeAreAnError) {
  fake.on<fn::PJRT_Plugin_Attributes>([](auto& a) {
    static abi::PJRT_NamedValue value{};
    value.name = "odd";
    value.name_size = 3;
    value.type = static_cast<abi::PJRT_NamedValue_Type>(77);
    a.attributes = &value;
    a.num_attributes = 1;
  });
  EXPECT_ERROR(plugin.attributes(), Internal, "gives 'odd' a type this library does not know (77)");
}

TEST_F(FakeClient, AttributesWithoutValuesAreEmpty) {
  fake.on<fn::PJRT_Plugin_Attributes>([](auto& a) {
    static abi::PJRT_NamedValue values[2]{};
    values[0].type = abi::PJRT_NamedValue_kString;
    values[1].type = abi::PJRT_NamedValue_kInt64List;
    a.attributes = values;
    a.num_attributes = 2;
  });
  EXPECT_EQ(value_of(plugin.attributes()), (NamedValues{{"", ""}, {"", std::vector<std::int64_t>()}}));
}

TEST_F(FakeClient, DmaMappingIsUndoneOnceWhenItGoes) {
  const Client client = make_client();
  std::vector<std::byte> memory(4096);
  {
    DmaMapping mapping = value_of(client.dma_map(memory));
    EXPECT_EQ(mapping.memory().data(), memory.data());
    EXPECT_EQ(mapping.memory().size(), 4096u);
    EXPECT_EQ(fake.live()["dma mapping"], 1);
    const DmaMapping moved = std::move(mapping);
    EXPECT_EQ(fake.live()["dma mapping"], 1);
  }
  EXPECT_EQ(fake.live()["dma mapping"], 0);
  ASSERT_EQ(fake.calls_of<fn::PJRT_Client_DmaMap>().size(), 1u);
  EXPECT_EQ(fake.calls_of<fn::PJRT_Client_DmaMap>()[0].size, 4096u);
  EXPECT_EQ(fake.calls_of<fn::PJRT_Client_DmaUnmap>().size(), 1u);
}

TEST_F(FakeClient, DmaMappingKeepsTheClient) {
  std::vector<std::byte> memory(64);
  const DmaMapping mapping = value_of(make_client().dma_map(memory));
  EXPECT_EQ(fake.live()["client"], 1);
}

TEST_F(FakeClient, DmaMappingThatFailsIsNotUndone) {
  const Client client = make_client();
  std::vector<std::byte> memory(64);
  const DmaMapping mapping = value_of(client.dma_map(memory));
  EXPECT_ERROR(client.dma_map(memory), AlreadyExists, "mapped already");
  EXPECT_THAT(fake.calls_of<fn::PJRT_Client_DmaUnmap>(), IsEmpty());
}

TEST_F(FakeClient, ProcessInfosReachThePlugin) {
  std::vector<abi::PJRT_ProcessInfo> seen;
  std::vector<std::string> messages;
  fake.watch<fn::PJRT_Client_UpdateGlobalProcessInfo>([&](const auto& a) {
    for (std::size_t i = 0; i < a.num_process_infos; ++i) {
      seen.push_back(a.process_infos[i]);
      messages.emplace_back(a.process_infos[i].error_message, a.process_infos[i].error_message_size);
    }
  });
  const ProcessInfo processes[] = {{.task_id = 1, .incarnation_id = ~0ull, .state = ProcessInfo::State::Connected},
                                   {.task_id = 2,
                                    .incarnation_id = 7,
                                    .state = ProcessInfo::State::Error,
                                    .error_code = ErrorCode::Unavailable,
                                    .error_message = "lost"}};
  EXPECT_OK(make_client().update_global_process_info(processes));
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].struct_size, 48u);  // with the message's size at its end
  EXPECT_EQ(seen[0].task_id, 1);
  EXPECT_EQ(seen[0].incarnation_id, 18446744073709551615u);
  EXPECT_EQ(seen[0].state, abi::PJRT_ProcessState_kConnected);
  EXPECT_EQ(seen[1].state, abi::PJRT_ProcessState_kError);
  EXPECT_EQ(seen[1].error_code, 14);
  EXPECT_THAT(messages, ElementsAre("", "lost"));
}

TEST_F(FakeClient, IsDestroyedAfterEverythingMadeFromIt) {
  std::optional<Client> client = make_client();
  Buffer buffer = value_of(client->upload(1.0f));
  const Device device = client->devices()[0];
  const Topology topology = value_of(client->topology());
  client.reset();
  EXPECT_EQ(fake.live()["client"], 1);
  EXPECT_EQ(value_of(buffer.to_vector<float>()), std::vector<float>{1.0f});
  EXPECT_EQ(value_of(topology.platform_name()), "fake");
  EXPECT_THAT(fake.calls_of<fn::PJRT_Client_Destroy>(), IsEmpty());
}

TEST_F(FakeClient, ItsTopologyIsNotDestroyedApart) {
  {
    const Topology topology = value_of(make_client().topology());
    EXPECT_EQ(value_of(topology.device_descriptions()).size(), 1u);
  }
  EXPECT_THAT(fake.calls_of<fn::PJRT_TopologyDescription_Destroy>(), IsEmpty());
}

TEST_F(FakeClient, CallersSendTheSizesOfTheirStructs) {
  make_client();
  const auto create = fake.calls_of<fn::PJRT_Client_Create>().back();
  EXPECT_EQ(create.struct_size, 88u);
  EXPECT_EQ(fake.calls_of<fn::PJRT_Device_IsAddressable>().back().struct_size, 25u);  // 24 and a bool, without padding
}

}  // namespace
}  // namespace pjrt
