// Clients: what they are made with, what they say of themselves, and how they find devices.

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;

class Clients : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Plugin plugin() const { return test::counted_plugin(GetParam()); }
  Client with_devices(int n) const { return test::make_client(plugin(), n); }
  Result<Client> with_option(std::string name, Value value) const {
    ClientOptions options;
    options.options.add(std::move(name), std::move(value));
    return Client::create(plugin(), options);
  }
  std::int64_t calls_of(const std::string& function) const { return test::calls_of(GetParam(), function); }
};

INSTANTIATE_TEST_SUITE_P(Matrix, Clients, ::testing::ValuesIn(test::kCpuVersions));

std::vector<std::int64_t> ids_of(const DeviceAssignment& assignment) {
  const auto ids = assignment.device_ids();
  return {ids.begin(), ids.end()};
}

TEST_P(Clients, AreMadeWithoutAnyOption) {
  const Client client = value_of(Client::create(plugin()));
  EXPECT_FALSE(client.addressable_devices().empty());
  EXPECT_FALSE(client.memories().empty());
}

TEST_P(Clients, KnowTheirPlatform) {
  const Client client = with_devices(1);
  EXPECT_EQ(client.platform_name(), "cpu");
  EXPECT_FALSE(client.platform_version().empty());
  EXPECT_EQ(client.process_index(), 0);
  EXPECT_EQ(client.plugin(), plugin());
}

TEST_P(Clients, HaveAsManyDevicesAsAskedFor) {
  for (const int n : {1, 2, 7}) {
    const Client client = with_devices(n);
    EXPECT_EQ(client.devices().size(), static_cast<std::size_t>(n));
    EXPECT_EQ(client.addressable_devices().size(), static_cast<std::size_t>(n));
  }
}

TEST_P(Clients, OfOneProcessCanAddressAllTheirDevices) {
  const Client client = with_devices(3);
  int id = 0;
  for (const Device device : client.devices()) {
    EXPECT_EQ(device.id(), id++);
    EXPECT_EQ(device, client.addressable_devices()[static_cast<std::size_t>(device.id())]);
  }
}

TEST_P(Clients, AreIndependentOfEachOther) {
  const Client one = with_devices(1);
  std::optional<Client> two = with_devices(2);
  const Buffer kept = value_of(one.upload(2.5f));
  two.reset();
  EXPECT_EQ(value_of(kept.to_vector<float>()), std::vector<float>{2.5f});
  EXPECT_EQ(one.devices().size(), 1u);
}

TEST_P(Clients, AreTheSameOnlyAsTheirCopies) {
  const Client one = with_devices(1);
  const Client copy = one;
  EXPECT_EQ(copy, one);
  EXPECT_FALSE(with_devices(1) == one);
}

TEST_P(Clients, LiveAsLongAsWhatWasMadeOfThem) {
  std::optional<Client> client = with_devices(1);
  const Buffer buffer = value_of(client->upload(1.5f));
  const Device device = client->devices()[0];
  client.reset();
  EXPECT_EQ(calls_of("PJRT_Client_Destroy"), 0);
  EXPECT_EQ(device.kind(), "cpu");
  EXPECT_EQ(value_of(buffer.to_vector<float>()), std::vector<float>{1.5f});
}

TEST_P(Clients, AreDestroyedOnceWithTheLastHandle) {
  {
    std::optional<Client> client = with_devices(1);
    const Memory memory = client->memories()[0];
    const Client copy = *client;
    client.reset();
    EXPECT_EQ(calls_of("PJRT_Client_Destroy"), 0);
  }
  EXPECT_EQ(calls_of("PJRT_Client_Destroy"), 1);
}

TEST_P(Clients, MayBeDestroyedWhileTheyCompute) {
  std::optional<Client> client = with_devices(1);
  const LoadedExecutable twice = value_of(client->compile(Program::mlir(test::kDouble)));
  std::optional<Outputs> outputs = value_of(twice(value_of(client->upload(std::vector<float>{1, 2, 3}, {3}))));
  client.reset();
  EXPECT_EQ(value_of((*outputs)[0].to_vector<float>()), (std::vector<float>{2, 4, 6}));
}

// Options.

TEST_P(Clients, OptionsOfTheWrongKindAreRefusedByUs) {  // older plugins abort
  EXPECT_ERROR(with_option("cpu_device_count", "two"), InvalidArgument,
               "client option 'cpu_device_count' takes an integer, not two (string)");
  EXPECT_ERROR(with_option("cpu_device_count", 2.0f), InvalidArgument, "takes an integer");
  EXPECT_ERROR(with_option("cpu_device_count", true), InvalidArgument, "takes an integer");
  EXPECT_ERROR(with_option("cpu_device_count", Value{1, 2}), InvalidArgument, "takes an integer");
  EXPECT_ERROR(with_option("asynchronous", 1), InvalidArgument, "takes a bool");
  EXPECT_EQ(calls_of("PJRT_Client_Create"), 0);
}

TEST_P(Clients, NumbersOfDevicesThatCannotBeAreRefusedByUs) {  // plugins abort, crash or make clients without devices
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
                               std::int64_t{2049}, std::int64_t{1} << 32, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_ERROR(with_option("cpu_device_count", n), InvalidArgument, "it lies between 1 and 2048");
  }
  EXPECT_EQ(calls_of("PJRT_Client_Create"), 0);
}

TEST_P(Clients, UnknownOptionsAreNamed) {  // older plugins ignore them
  EXPECT_ERROR(with_option("cpu_devices", 4), InvalidArgument, "cpu_devices");
}

TEST_P(Clients, OptionsOfOtherPlatformsAreRefused) {
  EXPECT_ERROR(with_option("memory_fraction", 0.5f), InvalidArgument, "memory_fraction");
  EXPECT_ERROR(with_option("visible_devices", Value{0}), InvalidArgument, "visible_devices");
  EXPECT_ERROR(with_option("allocator", "bfc"), InvalidArgument, "allocator");
}

TEST_P(Clients, ThatWereRefusedAreNotLeaked) {
  (void)with_option("cpu_devices", 4);
  EXPECT_EQ(calls_of("PJRT_Client_Create"), 1);
  // Where the plugin made one all the same, it was destroyed.
  EXPECT_EQ(calls_of("PJRT_Client_Destroy"), GetParam() == "cpu" ? 0 : 1);
}

TEST_P(Clients, TheLastOfAnOptionGivenTwiceCounts) {
  ClientOptions options;
  options.options.add("cpu_device_count", 2);
  options.options.add("cpu_device_count", 3);
  EXPECT_EQ(value_of(Client::create(plugin(), options)).devices().size(), 3u);
}

TEST_P(Clients, EveryCallThatMakesAClientMayFail) {
  const Plugin loaded = plugin();
  for (std::int64_t n = 1;; ++n) {
    test::fail_call(n);
    const Result<Client> client = Client::create(loaded);
    const bool injected = test::fallible_calls() >= n;
    test::fail_call(0);
    if (!injected) {
      EXPECT_OK(client);
      EXPECT_GT(n, 10);  // names, devices and memories were asked for
      break;
    }
    // A client of a plugin that knows no memories is a client all the same.
    if (client) continue;
    EXPECT_ERROR(client, Internal, "injected failure");
  }
  EXPECT_GT(calls_of("PJRT_Client_Destroy"), 10);  // those that were made and then could not be read
}

/// A store that tells whether it is alive, and whether it was asked.
struct WatchedStore final : KeyValueStore {
  Result<std::string> get(std::string_view, std::chrono::milliseconds) override { return ++*asked, "value"; }
  Result<std::string> try_get(std::string_view) override { return ++*asked, "value"; }
  Result<void> put(std::string_view, std::string_view) override { return ++*asked, Result<void>(); }
  std::shared_ptr<int> asked = std::make_shared<int>(0);
};

TEST_P(Clients, KeepTheirKeyValueStore) {  // CPU plugins do not look into it
  auto store = std::make_shared<WatchedStore>();
  const std::weak_ptr<KeyValueStore> watch = store;
  const std::shared_ptr<int> asked = store->asked;
  std::optional<Client> client = value_of(Client::create(plugin(), {{}, std::move(store)}));
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(value_of(value_of(client->upload(1.0f)).to_vector<float>()), std::vector<float>{1});
  client.reset();
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(*asked, 0);
}

// Finding devices.

TEST_P(Clients, FindDevicesByTheirGlobalId) {
  const Client client = with_devices(3);
  for (const Device device : client.devices()) EXPECT_EQ(value_of(client.lookup_device(device.id())), device);
}

TEST_P(Clients, FindDevicesByTheirLocalHardwareId) {
  const Client client = with_devices(3);
  for (const Device device : client.addressable_devices()) {
    EXPECT_EQ(value_of(client.lookup_addressable_device(device.local_hardware_id())), device);
  }
}

TEST_P(Clients, NameTheDeviceThatThereIsNot) {
  const Client client = with_devices(2);
  EXPECT_ERROR(client.lookup_device(2), InvalidArgument, "2");
  EXPECT_ERROR(client.lookup_device(-1), InvalidArgument, "-1");
  EXPECT_ERROR(client.lookup_addressable_device(1000), InvalidArgument, "1000");
  EXPECT_ERROR(client.lookup_addressable_device(-7), InvalidArgument, "-7");
}

// Assignments.

TEST_P(Clients, AssignDevicesInTheirOrder) {
  const Client client = with_devices(8);
  EXPECT_THAT(ids_of(value_of(client.default_device_assignment(1, 1))), ElementsAre(0));
  EXPECT_THAT(ids_of(value_of(client.default_device_assignment(4, 1))), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(ids_of(value_of(client.default_device_assignment(1, 4))), ElementsAre(0, 1, 2, 3));
}

TEST_P(Clients, AssignThePartitionsOfAReplicaSideBySide) {
  const Client client = with_devices(8);
  const DeviceAssignment assignment = value_of(client.default_device_assignment(4, 2));
  EXPECT_EQ(assignment.num_replicas(), 4);
  EXPECT_EQ(assignment.num_partitions(), 2);
  EXPECT_THAT(ids_of(assignment), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_P(Clients, DoNotCompileForAssignedDevicesThatThereAreNot) {  // the assignment itself counts on
  const Client client = with_devices(4);
  const DeviceAssignment assignment = value_of(client.default_device_assignment(4, 2));
  EXPECT_ERROR(client.compile(Program::mlir(test::kDouble), CompileOptions().device_assignment(assignment)),
               InvalidArgument, "need 8 devices; the client has 4");
}

TEST_P(Clients, AssignmentsWithoutDevicesAreRefusedByUs) {
  const Client client = with_devices(1);
  EXPECT_ERROR(client.default_device_assignment(0, 1), InvalidArgument, "at least one replica and one partition");
  EXPECT_ERROR(client.default_device_assignment(1, 0), InvalidArgument, "at least one replica and one partition");
  EXPECT_ERROR(client.default_device_assignment(-2, -2), InvalidArgument, "at least one replica");
  EXPECT_ERROR(client.default_device_assignment(1 << 16, 1 << 16), InvalidArgument, "there are not 4294967296 device");
  EXPECT_EQ(calls_of("PJRT_Client_DefaultDeviceAssignment"), 0);
}

// The processes of a program.

TEST_P(Clients, AreToldOfTheProcessesOfTheProgram) {
  const Client client = with_devices(1);
  using State = ProcessInfo::State;
  const std::vector<ProcessInfo> processes = {{0, 11, State::Connected, ErrorCode::Ok, ""},
                                              {1, 12, State::Error, ErrorCode::Aborted, "it was killed"},
                                              {2, 13, State::Disconnected, ErrorCode::Ok, ""},
                                              {3, 14, State::Uninitialized, ErrorCode::Ok, ""},
                                              {4, 15, State::Unspecified, ErrorCode::Ok, ""}};
  EXPECT_OK(client.update_global_process_info(processes));
  EXPECT_OK(client.update_global_process_info({}));
  EXPECT_EQ(calls_of("PJRT_Client_UpdateGlobalProcessInfo"), 2);
}

TEST_P(Clients, StatesThatNoProcessHasAreRefusedByUs) {  // plugins abort
  const Client client = with_devices(1);
  for (const int state : {-1, 5, 1000}) {
    const ProcessInfo process{7, 1, static_cast<ProcessInfo::State>(state), ErrorCode::Ok, ""};
    EXPECT_ERROR(client.update_global_process_info({&process, 1}), InvalidArgument,
                 "task 7 is in state " + std::to_string(state));
  }
  EXPECT_EQ(calls_of("PJRT_Client_UpdateGlobalProcessInfo"), 0);
}

}  // namespace
}  // namespace pjrt
