// The Megascale extension: what real plugins show only with TPUs, and what errors do to handles and handlers.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/megascale.hpp"

namespace pjrt {
namespace {

using ext::Megascale;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fn = test::fn;

class ExtMegascale : public test::OnFake {
 protected:
  ExtMegascale() {
    fake.on<fn::PJRT_Megascale_CreateClientContextFromPjRtClient>([this](auto& a) {
      client_of_context = a.client;
      a.client_context = fake.token<abi::PJRT_Megascale_ClientContext>("context");
    });
    fake.on<fn::PJRT_Megascale_CreateDefaultClientContext>(
        [this](auto& a) { a.client_context = fake.token<abi::PJRT_Megascale_ClientContext>("context"); });
    fake.on<fn::PJRT_Megascale_DeleteClientContext>([this](auto& a) {
      clients_at_deletion = fake.live()["client"];
      fake.drop(a.client_context, "context");
    });
    fake.on<fn::PJRT_Megascale_RegisterErrorHandler>([this](auto& a) { registered.push_back(a); });
  }
  /// As the plugin would tell the handler that was registered first.
  void tell(std::string_view error) {
    registered.at(0).handler(error.data(), error.size(), registered.at(0).user_data);
  }

  const Megascale megascale = value_of(Megascale::of(plugin));
  abi::PJRT_Client* client_of_context = nullptr;
  int clients_at_deletion = 0;
  std::vector<abi::PJRT_Megascale_RegisterErrorHandler_Args> registered;
};

TEST_F(ExtMegascale, AContextKeepsItsClientAndGoesFirst) {
  std::optional<Client> client = make_client();
  std::optional<ext::MegascaleClientContext> context = value_of(megascale.create_client_context(*client));
  EXPECT_EQ(client_of_context, client->raw());
  client.reset();
  EXPECT_EQ(fake.live()["client"], 1);
  context.reset();
  EXPECT_EQ(clients_at_deletion, 1);
  EXPECT_EQ(fake.live()["client"], 0);
}

TEST_F(ExtMegascale, AContextIsDeletedWithItsLastCopy) {
  std::optional<ext::MegascaleClientContext> first = value_of(megascale.create_default_client_context());
  std::optional<ext::MegascaleClientContext> second = first;
  first.reset();
  EXPECT_EQ(fake.live()["context"], 1);
  second.reset();
  EXPECT_EQ(fake.live()["context"], 0);
}

TEST_F(ExtMegascale, AContextUnblocksALaunch) {
  const auto context = value_of(megascale.create_default_client_context());
  EXPECT_OK(context.unblock_pending_work(17, std::chrono::seconds(2)));
  const auto args = fake.calls_of<fn::PJRT_Megascale_ClientContext_UnblockPendingWork>().at(0);
  EXPECT_EQ(args.client_context, context.raw());
  EXPECT_EQ(args.launch_id, 17);
  EXPECT_EQ(args.expire_after_ms, 2000);
}

TEST_F(ExtMegascale, AContextTellsItsPort) {
  fake.on<fn::PJRT_Megascale_ClientContext_MegascalePort>([](auto& a) { a.port = 8471; });
  EXPECT_EQ(value_of(value_of(megascale.create_default_client_context()).megascale_port()), 8471);
}

// As libtpu of API 0.117 does.
TEST_F(ExtMegascale, InitializeGivesNewerPluginsTheSizeTheyAskFor) {
  fake.wanted_sizes["PJRT_Megascale_ClientContext_Initialize"] = 32;
  const auto context = value_of(megascale.create_default_client_context());
  EXPECT_OK(context.initialize());
  EXPECT_EQ(calls_of("PJRT_Megascale_ClientContext_Initialize"), 2u);
}

TEST_F(ExtMegascale, CollectivesSayWhoTheProcessesAre) {
  std::vector<std::string> addresses;
  std::vector<int> slices, places;
  std::string topology;
  fake.on<fn::PJRT_Megascale_CreateMegascaleCollectives>([&](auto& a) {
    const abi::PJRT_Megascale_ProcessesInfo& p = *a.processes_info;
    for (std::size_t i = 0; i < p.num_addresses; ++i) addresses.emplace_back(p.addresses[i], p.address_sizes[i]);
    slices.assign(p.slice_indexes, p.slice_indexes + p.num_slice_indexes);
    places.assign(p.per_slice_indexes, p.per_slice_indexes + p.num_per_slice_indexes);
    topology.assign(a.dcn_topology, a.dcn_topology_size);
    EXPECT_EQ(p.num_devices_per_process, 4);
    a.collectives = fake.token<abi::PJRT_Collectives>("collectives");
  });
  fake.on<fn::PJRT_Collectives_Destroy>([this](auto& a) { fake.drop(a.collectives, "collectives"); });
  std::optional<ext::MegascaleClientContext> context = value_of(megascale.create_default_client_context());
  std::optional<ext::Collectives> collectives = value_of(megascale.create_collectives(*context,
                                                                                      {.addresses = {"a:1", "bc:2"},
                                                                                       .slice_indexes = {{0, 1}},
                                                                                       .per_slice_indexes = {{0, 0}},
                                                                                       .num_devices_per_process = 4},
                                                                                      "topology"));
  EXPECT_THAT(addresses, ElementsAre("a:1", "bc:2"));
  EXPECT_THAT(slices, ElementsAre(0, 1));
  EXPECT_THAT(places, ElementsAre(0, 0));
  EXPECT_EQ(topology, "topology");
  context.reset();
  EXPECT_EQ(fake.live()["context"], 1);  // the collectives keep it
  collectives.reset();
  EXPECT_EQ(fake.live()["context"], 0);
}

TEST_F(ExtMegascale, CollectivesLeaveOutWhatIsNotSaid) {
  fake.on<fn::PJRT_Megascale_CreateMegascaleCollectives>([&](auto& a) -> fake::Outcome {
    EXPECT_EQ(a.processes_info->slice_indexes, nullptr);
    EXPECT_EQ(a.processes_info->per_slice_indexes, nullptr);
    EXPECT_EQ(a.dcn_topology, nullptr);
    return fake::Failure{ErrorCode::Unavailable, "no network"};
  });
  EXPECT_ERROR(megascale.create_collectives(value_of(megascale.create_default_client_context()), {}), Unavailable,
               "no network");
}

TEST_F(ExtMegascale, CollectivesWantTheirExtension) {
  const Megascale alone = value_of(Megascale::of(with_table({.extensions = {{18}}})));
  const auto context = value_of(alone.create_default_client_context());
  EXPECT_ERROR(alone.create_collectives(context, {}), Unimplemented, "has no Collectives extension");
  EXPECT_EQ(calls_of("PJRT_Megascale_CreateMegascaleCollectives"), 0u);
}

TEST_F(ExtMegascale, AContextOfAnotherPluginIsRefused) {
  const auto other = value_of(value_of(Megascale::of(with_table({}))).create_default_client_context());
  EXPECT_ERROR(megascale.create_collectives(other, {}), InvalidArgument, "the context belongs to plugin odd");
}

TEST_F(ExtMegascale, AHandlerGetsTheBytesOfErrors) {
  std::vector<std::string> seen;
  ASSERT_OK(megascale.register_error_handler("bytes", [&](std::string_view e) { seen.emplace_back(e); }));
  EXPECT_EQ(std::string(registered.at(0).handler_name, 5), "bytes");
  tell("one");
  tell(std::string_view("\0two", 4));
  EXPECT_THAT(seen, ElementsAre("one", std::string("\0two", 4)));
  ASSERT_OK(megascale.unregister_error_handler("bytes"));
}

TEST_F(ExtMegascale, WhatAHandlerThrowsStopsThere) {
  const test::HeardExceptions heard;
  ASSERT_OK(megascale.register_error_handler("throws", [](std::string_view) { throw std::runtime_error("no"); }));
  tell("error");
  EXPECT_THAT(heard.where(), ElementsAre("a megascale error handler"));
  ASSERT_OK(megascale.unregister_error_handler("throws"));
}

TEST_F(ExtMegascale, AHandlerIsNotCalledOnceUnregistered) {
  auto captured = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = captured;
  ASSERT_OK(
      megascale.register_error_handler("late", [captured = std::move(captured)](std::string_view) { ++*captured; }));
  ASSERT_OK(megascale.unregister_error_handler("late"));
  EXPECT_TRUE(watched.expired());
  tell("under way when it was unregistered");
}

TEST_F(ExtMegascale, AHandlerMayUnregisterItself) {
  int calls = 0;
  ASSERT_OK(megascale.register_error_handler("once", [&](std::string_view) {
    ++calls;
    EXPECT_OK(megascale.unregister_error_handler("once"));
  }));
  tell("first");
  tell("second");
  EXPECT_EQ(calls, 1);
}

TEST_F(ExtMegascale, AHandlerThePluginRefusesIsFreed) {
  fake.fail<fn::PJRT_Megascale_RegisterErrorHandler>(ErrorCode::Internal, "no room");
  auto captured = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = captured;
  EXPECT_ERROR(megascale.register_error_handler("refused", [captured = std::move(captured)](std::string_view) {}),
               Internal, "no room");
  EXPECT_TRUE(watched.expired());
  EXPECT_ERROR(megascale.unregister_error_handler("refused"), NotFound, "no error handler 'refused'");
}

TEST_F(ExtMegascale, AHandlerThatCannotBeUnregisteredStays) {
  int calls = 0;
  ASSERT_OK(megascale.register_error_handler("stays", [&](std::string_view) { ++calls; }));
  fake.fail<fn::PJRT_Megascale_UnregisterErrorHandler>(ErrorCode::Unavailable, "not now");
  EXPECT_ERROR(megascale.unregister_error_handler("stays"), Unavailable, "not now");
  tell("still");
  EXPECT_EQ(calls, 1);
  fake.on<fn::PJRT_Megascale_UnregisterErrorHandler>([](auto&) {});
  EXPECT_OK(megascale.unregister_error_handler("stays"));
}

TEST_F(ExtMegascale, HandlersAreCalledOnSeveralThreads) {
  std::atomic<int> calls = 0;
  ASSERT_OK(megascale.register_error_handler("threads", [&](std::string_view) { ++calls; }));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([this] { tell("error"); });
  }
  EXPECT_EQ(calls, 4);
  ASSERT_OK(megascale.unregister_error_handler("threads"));
}

TEST_F(ExtMegascale, AddressesAreCopiedAndGivenBack) {
  static bool freed;
  freed = false;
  [[maybe_unused]] static const char* texts[] = {"eth0", "ib"};
  [[maybe_unused]] static std::size_t sizes[] = {4, 2};
  std::vector<std::string> prefixes;
  fake.on<fn::PJRT_Megascale_GetInterfaceAddressesHelper>([&](auto& a) {
    for (std::size_t i = 0; i < a.num_interface_prefixes; ++i)
      prefixes.emplace_back(a.interface_prefixes[i], a.interface_prefixes_sizes[i]);
    EXPECT_EQ(std::string(a.megascale_port_name, a.megascale_port_name_size), "port");
    EXPECT_EQ(a.megascale_port, 7);
    EXPECT_FALSE(a.use_all_interfaces);
    EXPECT_TRUE(a.limit_to_process_numa_local_interfaces);
    a.serialized_addresses = texts;
    a.serialized_addresses_sizes = sizes;
    a.num_addresses = 2;
    a.addresses_deleter = [](abi::PJRT_Megascale_SerializedAddresses*) { freed = true; };
  });
  EXPECT_THAT(
      value_of(megascale.interface_addresses(
          {.port_name = "port", .port = 7, .prefixes = {"e", "ib"}, .limit_to_process_numa_local_interfaces = true})),
      ElementsAre("eth0", "ib"));
  EXPECT_THAT(prefixes, ElementsAre("e", "ib"));
  EXPECT_TRUE(freed);
}

TEST_F(ExtMegascale, ARuntimeErrorSaysWhatIsKnown) {
  fake.on<fn::PJRT_Megascale_GetOrCreateRuntimeError>([this](auto& a) {
    EXPECT_EQ(a.error_type, 2);
    EXPECT_EQ(a.start_time_nanos, 5'000'000'001);
    EXPECT_EQ(a.status_code, 14);  // UNAVAILABLE
    EXPECT_EQ(std::string(a.status_message, a.status_message_size), "gone");
    EXPECT_EQ(a.launch_id, 3);
    EXPECT_FALSE(a.has_unrecoverable_error_type);
    a.is_new_error = true;
    fake.give_bytes("error", a.serialized_error, a.serialized_error_size, a.error, a.error_deleter);
  });
  const std::chrono::sys_time<std::chrono::nanoseconds> start(std::chrono::seconds(5) + std::chrono::nanoseconds(1));
  const auto error = value_of(megascale.get_or_create_runtime_error({.error_type = 2,
                                                                     .start_time = start,
                                                                     .status = ErrorCode::Unavailable,
                                                                     .status_message = "gone",
                                                                     .launch_id = 3}));
  EXPECT_EQ(error.serialized, "error");
  EXPECT_TRUE(error.is_new);
}

TEST_F(ExtMegascale, AggregatorsAndDigestsAreDeletedOnce) {
  fake.on<fn::PJRT_Megascale_ErrorAggregator_Create>(
      [this](auto& a) { a.aggregator = fake.token<abi::PJRT_Megascale_ErrorAggregator>("aggregator"); });
  fake.on<fn::PJRT_Megascale_ErrorAggregator_ProcessAndShutdown>(
      [this](auto& a) { a.digest = fake.token<abi::PJRT_Megascale_ErrorDigest>("digest"); });
  fake.on<fn::PJRT_Megascale_ErrorAggregator_Delete>([this](auto& a) { fake.drop(a.aggregator, "aggregator"); });
  fake.on<fn::PJRT_Megascale_ErrorDigest_Delete>([this](auto& a) { fake.drop(a.digest, "digest"); });
  std::optional<ext::MegascaleErrorAggregator> aggregator = value_of(megascale.create_error_aggregator("app"));
  auto digest = value_of(aggregator->process_and_shutdown());
  ext::MegascaleErrorDigest moved = std::move(digest);
  EXPECT_ERROR(aggregator->log_error_digest(digest), FailedPrecondition, "the error digest was moved from");
  const auto odd = value_of(value_of(Megascale::of(with_table({}))).create_error_aggregator("app"));
  EXPECT_ERROR(odd.log_error_digest(moved), InvalidArgument, "the error digest is of another plugin");
  aggregator.reset();  // the digest stays good
  EXPECT_EQ(fake.live()["digest"], 1);
}

// As plugins had them before there was a MultiSlice extension.
TEST_F(ExtMegascale, TellsWhichOldFunctionsOfConfigsThereAre) {
  EXPECT_THAT(megascale.withdrawn_functions(), IsEmpty());
  const abi::PJRT_Api* old = fake.table({.extensions = {{18}}});
  auto* extension = reinterpret_cast<abi::PJRT_Megascale_Extension*>(old->extension_start);
  extension->delete_multi_slice_config = extension->multi_slice_config_serialize = extension;
  const Megascale older = value_of(Megascale::of(value_of(Plugin::adopt(old, "older"))));
  EXPECT_THAT(older.withdrawn_functions(), ElementsAre("delete_multi_slice_config", "multi_slice_config_serialize"));
}

// The number is checked by asking back.
TEST_F(ExtMegascale, ADeviceThatHasAnotherNumberIsNone) {
  fake.on<fn::PJRT_Megascale_MegascaleId_To_DeviceId>([](auto& a) { a.slice_id = 1, a.per_slice_device_id = 2; });
  fake.on<fn::PJRT_Megascale_DeviceId_To_MegascaleId>([](auto& a) { a.megascale_id = 12; });
  EXPECT_EQ(value_of(megascale.device_of(12)), (ext::MegascaleDevice{1, 2}));
  EXPECT_ERROR(megascale.device_of(13), OutOfRange, "megascale id 13 is that of no device");
}

}  // namespace
}  // namespace pjrt
