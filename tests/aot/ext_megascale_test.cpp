// The network between TPU slices, as far as it goes without a TPU.

#include "pjrt/ext/megascale.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "aot/targets.hpp"
#include "support/call_counter.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using namespace std::chrono_literals;
using ext::Megascale;
using ext::MegascaleDevice;
using test::value_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TpuMegascale : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }

  /// What the plugin says of a config.
  static std::pair<int, int> slices_and_own(const ext::MultiSliceConfig& config) {
    return {value_of(config.num_slices()), value_of(config.slice_id())};
  }

  Plugin tpu = test::counted_plugin("tpu");
  Megascale megascale = value_of(tpu.extension<Megascale>());
};

TEST_F(TpuMegascale, NumbersDevicesByTheHundredThousandOfASlice) {
  EXPECT_EQ(value_of(megascale.megascale_id({0, 0})), 100000);
  EXPECT_EQ(value_of(megascale.megascale_id({2, 3})), 300003);
  EXPECT_EQ(value_of(megascale.megascale_id({1, 99999})), 299999);
}

TEST_F(TpuMegascale, TellsTheDeviceOfANumber) {
  EXPECT_EQ(value_of(megascale.device_of(300003)), (MegascaleDevice{2, 3}));
  EXPECT_EQ(value_of(megascale.device_of(299999)), (MegascaleDevice{1, 99999}));
}

TEST_F(TpuMegascale, RefusesDevicesThatHaveNoNumber) {
  EXPECT_ERROR(megascale.megascale_id({1, 100000}), OutOfRange, "100000 vs 99999");
  EXPECT_ERROR(megascale.megascale_id({-1, 3}), OutOfRange, "SliceId");
  EXPECT_ERROR(megascale.megascale_id({3, -1}), OutOfRange, "PerSliceDeviceId");
}

TEST_F(TpuMegascale, RefusesNumbersThatAreNoDevices) {
  EXPECT_ERROR(megascale.device_of(99999), OutOfRange, "below minimum");
  EXPECT_ERROR(megascale.device_of(std::int64_t{1} << 62), OutOfRange,
               "megascale id 4611686018427387904 is that of no device");
}

TEST_F(TpuMegascale, ContextsAnswerOnlyOnceInitialized) {
  const auto context = value_of(megascale.create_default_client_context());
  EXPECT_ERROR(context.megascale_port(), FailedPrecondition, "Initialize() must be called");
  EXPECT_ERROR(context.unblock_pending_work(1, 5ms), FailedPrecondition, "Initialize() must be called");
}

// libtpu wants more arguments of Initialize than the API 0.114 has.
TEST_F(TpuMegascale, ContextsAreInitialized) {
  const auto context = value_of(megascale.create_default_client_context());
  ASSERT_OK(context.initialize());
  EXPECT_EQ(value_of(context.megascale_port()), -1);  // nothing said which
  EXPECT_OK(context.unblock_pending_work(1, 5ms));
  EXPECT_OK(context.initialize());
}

TEST_F(TpuMegascale, CopiesOfAContextAreTheSame) {
  std::optional<ext::MegascaleClientContext> first = value_of(megascale.create_default_client_context());
  const ext::MegascaleClientContext second = *first;
  EXPECT_EQ(second.raw(), first->raw());
  first.reset();
  EXPECT_ERROR(second.megascale_port(), FailedPrecondition, "Initialize() must be called");
  EXPECT_EQ(test::calls_of("tpu", "PJRT_Megascale_DeleteClientContext"), 0);
}

TEST_F(TpuMegascale, ConfigsToCompileForAreOfTheFirstSlice) {
  EXPECT_EQ(slices_and_own(value_of(megascale.create_aot_config(test::tpu_v4(tpu), 2))), std::pair(2, 0));
  EXPECT_EQ(slices_and_own(value_of(megascale.create_aot_config(test::tpu_v4(tpu), 1))), std::pair(1, 0));
}

TEST_F(TpuMegascale, ConfigsHaveASliceAtLeast) {
  EXPECT_ERROR(megascale.create_aot_config(test::tpu_v4(tpu), 0), InvalidArgument, "num_slices: 0");
  EXPECT_ERROR(megascale.create_aot_config(test::tpu_v4(tpu), -1), InvalidArgument, "num_slices");
}

TEST_F(TpuMegascale, ConfigsToRunSayWhichSliceThisIs) {
  const auto context = value_of(megascale.create_default_client_context());
  const auto config =
      value_of(megascale.create_multi_slice_config(test::tpu_v4(tpu), {.num_slices = 3, .local_slice_id = 1}, context));
  EXPECT_EQ(slices_and_own(config), std::pair(3, 1));
}

TEST_F(TpuMegascale, ConfigsOutliveContextAndTopology) {
  const auto config = [&] {
    return value_of(megascale.create_multi_slice_config(test::tpu_v4(tpu), {.num_slices = 2},
                                                        value_of(megascale.create_default_client_context())));
  }();
  EXPECT_EQ(slices_and_own(config), std::pair(2, 0));
}

TEST_F(TpuMegascale, ConfigsWantSlicesAndMessagesThatFit) {
  const auto context = value_of(megascale.create_default_client_context());
  const Topology topology = test::tpu_v4(tpu);
  EXPECT_ERROR(megascale.create_multi_slice_config(topology, {.num_slices = 2, .local_slice_id = 5}, context),
               InvalidArgument, "SliceID 5 out of bounds");
  EXPECT_ERROR(megascale.create_multi_slice_config(topology, {.endpoint_addresses = "\xff\xff"}, context), Internal,
               "EndpointAddresses");
  EXPECT_ERROR(megascale.create_multi_slice_config(topology, {.dcn_topology = "\xff\xff"}, context), Internal,
               "DCNTopology");
}

TEST_F(TpuMegascale, AConfigIsDestroyedOnce) {
  {
    auto config = value_of(megascale.create_aot_config(test::tpu_v4(tpu), 2));
    const ext::MultiSliceConfig moved = std::move(config);
  }
  EXPECT_EQ(test::calls_of("tpu", "PJRT_MultiSlice_Config_Destroy"), 1);
}

TEST_F(TpuMegascale, TheFirstErrorOfALaunchStays) {
  const auto first = value_of(megascale.get_or_create_runtime_error({.error_type = 1,
                                                                     .status = ErrorCode::Aborted,
                                                                     .status_message = "lost a slice",
                                                                     .launch_id = 7,
                                                                     .unrecoverable_error_type = 1}));
  EXPECT_TRUE(first.is_new);
  EXPECT_EQ(test::fields_of(first.serialized, 1), std::vector{test::number_field(1, 1)});  // error_type
  EXPECT_EQ(test::only_bytes(first.serialized, 2), "lost a slice");
  EXPECT_EQ(test::fields_of(first.serialized, 5), std::vector{test::number_field(5, 7)});  // launch_id
  const auto second =
      value_of(megascale.get_or_create_runtime_error({.error_type = 3, .status_message = "another", .launch_id = 7}));
  EXPECT_FALSE(second.is_new);
  EXPECT_EQ(second.serialized, first.serialized);
  EXPECT_TRUE(value_of(megascale.get_or_create_runtime_error({.error_type = 3, .launch_id = 8})).is_new);
}

TEST_F(TpuMegascale, AggregatorsGatherUntilTheyAreProcessed) {
  const auto aggregator = value_of(megascale.create_error_aggregator("test"));
  EXPECT_TRUE(value_of(aggregator.active()));
  EXPECT_EQ(value_of(aggregator.size()), 0u);
  const auto error = value_of(megascale.get_or_create_runtime_error({.error_type = 1, .launch_id = 1}));
  ASSERT_OK(aggregator.add_error("worker 1", error.serialized));
  ASSERT_OK(aggregator.add_error("worker 2", error.serialized));
  EXPECT_EQ(value_of(aggregator.size()), 2u);
  const auto digest = value_of(aggregator.process_and_shutdown());
  EXPECT_FALSE(value_of(aggregator.active()));
  EXPECT_OK(aggregator.log_error_digest(digest));
}

TEST_F(TpuMegascale, AggregatorsTakeNothingAfterwards) {
  const auto aggregator = value_of(megascale.create_error_aggregator("test"));
  ASSERT_OK(aggregator.process_and_shutdown());
  EXPECT_OK(aggregator.add_error("late", ""));
  EXPECT_EQ(value_of(aggregator.size()), 0u);
  EXPECT_OK(aggregator.process_and_shutdown());
}

TEST_F(TpuMegascale, AggregatorsRefuseWhatIsNoError) {
  const auto aggregator = value_of(megascale.create_error_aggregator("test"));
  EXPECT_ERROR(aggregator.add_error("worker", "\xff\xff"), Internal, "Failed to parse MegaScaleRuntimeError");
  EXPECT_EQ(value_of(aggregator.size()), 0u);
}

TEST_F(TpuMegascale, AnAggregatorMovedFromIsRefused) {
  auto aggregator = value_of(megascale.create_error_aggregator("test"));
  const auto moved = std::move(aggregator);
  EXPECT_ERROR(aggregator.size(), FailedPrecondition, "moved from");
  EXPECT_OK(moved.size());
}

TEST_F(TpuMegascale, ErrorHandlersHaveOneName) {
  const auto captured = std::make_shared<int>();
  ASSERT_OK(megascale.register_error_handler("one", [captured](std::string_view) {}));
  EXPECT_ERROR(megascale.register_error_handler("one", [](std::string_view) {}), AlreadyExists, "'one'");
  EXPECT_EQ(captured.use_count(), 2);
  ASSERT_OK(megascale.unregister_error_handler("one"));
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_ERROR(megascale.unregister_error_handler("one"), NotFound, "'one'");
  EXPECT_OK(megascale.register_error_handler("one", [](std::string_view) {}));
}

TEST_F(TpuMegascale, ErrorHandlersNeedANameAndAFunction) {
  EXPECT_ERROR(megascale.register_error_handler("", [](std::string_view) {}), InvalidArgument, "a name and a function");
  EXPECT_ERROR(megascale.register_error_handler("empty", {}), InvalidArgument, "a name and a function");
}

TEST_F(TpuMegascale, TellsTheAddressesOfTheHost) {
  const auto addresses = megascale.interface_addresses({.port_name = "test", .port = 8471, .use_all_interfaces = true});
  if (!addresses) {  // a host without a network
    EXPECT_ERROR(addresses, NotFound, "Cannot find any usable IP addresses");
    return;
  }
  ASSERT_FALSE(addresses->empty());
  for (const std::string& address : *addresses) EXPECT_THAT(test::only_bytes(address, 1), ::testing::EndsWith(":8471"));
}

TEST_F(TpuMegascale, RefusesInterfacesThatAreNotThere) {
  EXPECT_ERROR(megascale.interface_addresses({.port = 8471, .prefixes = {"no such interface"}}), NotFound,
               "Cannot find any usable IP addresses");
}

TEST_F(TpuMegascale, ItsOldFunctionsOfConfigsAreGone) {
  EXPECT_THAT(megascale.withdrawn_functions(), IsEmpty());
}

TEST(CpuMegascale, IsNotThere) {
  REQUIRE_PLUGIN("cpu");
  EXPECT_ERROR(test::counted_plugin("cpu").extension<Megascale>(), Unimplemented,
               "has no Megascale extension; libtpu has it");
}

}  // namespace
}  // namespace pjrt
