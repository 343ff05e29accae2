// Executions that are given up while they wait: Device::poison_execution.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/eventually.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::becomes_true;
using test::value_of;
using Floats = std::vector<float>;

constexpr std::int32_t kLaunch = 17;

class Poison : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  /// A run that waits for its argument.
  struct Waiting {
    AliasBuffer argument;
    Outputs outputs;
  };
  Waiting start(const ExecuteOptions& options) const {
    AliasBuffer argument = value_of(client.create_alias_buffer({ElementType::F32, {3}}, client.memories()[0]));
    Outputs outputs = value_of(twice.execute(std::vector<Argument>{argument.buffer}, options));
    return {std::move(argument), std::move(outputs)};
  }
  static ExecuteOptions launch(int id) {
    ExecuteOptions options;
    options.launch_id = id;
    return options;
  }
  Buffer three() const { return value_of(client.upload(Floats{1, 2, 3}, {3})); }

  Client client = test::make_client(test::counted_plugin(GetParam()));
  Device device = client.devices()[0];
  LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  Error stop{ErrorCode::Aborted, "the operator said stop"};
};

// 0.81 is too old to poison; see device_test.cpp.
INSTANTIATE_TEST_SUITE_P(Matrix, Poison, ::testing::Values("cpu", "cpu-0.106"));

TEST_P(Poison, FailsTheOutputsOfTheLaunch) {
  const Waiting run = start(launch(kLaunch));
  EXPECT_FALSE(run.outputs[0].ready().is_ready());
  EXPECT_TRUE(value_of(device.poison_execution(kLaunch, stop)));
  const Result<void> outcome = run.outputs.await();
  ASSERT_FALSE(outcome);
  EXPECT_NE(to_string(outcome.error()).find("the operator said stop"), std::string::npos) << outcome.error();
}

TEST_P(Poison, LeavesOtherLaunchesAlone) {
  Waiting poisoned = start(launch(kLaunch));
  Waiting well = start(launch(kLaunch + 1));
  EXPECT_TRUE(value_of(device.poison_execution(kLaunch, stop)));
  EXPECT_OK(well.argument.fulfillment.fulfill(three()));
  EXPECT_EQ(value_of(well.outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
  EXPECT_FALSE(poisoned.outputs.await());
}

TEST_P(Poison, CountsOnceAndTheFirstErrorStays) {
  const Waiting run = start(launch(kLaunch));
  EXPECT_TRUE(value_of(device.poison_execution(kLaunch, stop)));
  (void)device.poison_execution(kLaunch, Error(ErrorCode::DataLoss, "too late"));
  const Result<void> outcome = run.outputs.await();
  ASSERT_FALSE(outcome);
  EXPECT_NE(to_string(outcome.error()).find("the operator said stop"), std::string::npos) << outcome.error();
}

TEST_P(Poison, DoesNotReachARunThatIsOver) {
  const Buffer x = three();
  const Outputs outputs = value_of(twice.execute(std::vector<Argument>{x}, launch(kLaunch)));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
  EXPECT_TRUE(becomes_true([&] { return !value_of(device.poison_execution(kLaunch, stop)); }));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
}

TEST_P(Poison, OutputsFailBeforeTheDeviceIsDone) {  // which waits for the argument all the same
  ExecuteOptions options = launch(kLaunch);
  options.completion_events = true;
  Waiting run = start(options);
  EXPECT_TRUE(value_of(device.poison_execution(kLaunch, stop)));
  EXPECT_FALSE(run.outputs.await());  // does not wait for the device
  ASSERT_TRUE(run.outputs.completion());
  EXPECT_FALSE(run.outputs.completion()->is_ready());
  EXPECT_OK(run.argument.fulfillment.fulfill(three()));
  EXPECT_TRUE(becomes_true([&] { return run.outputs.completion()->is_ready(); }));
}

TEST_P(Poison, WaitingForTheDeviceMayEndByTime) {  // there is no other way out of a wait
  ExecuteOptions options = launch(kLaunch);
  options.completion_events = true;
  const Waiting run = start(options);
  EXPECT_TRUE(value_of(device.poison_execution(kLaunch, stop)));
  EXPECT_FALSE(run.outputs.completion()->await_for(std::chrono::milliseconds(20)));
}

TEST_P(Poison, BuffersOfAPoisonedRunCanBeDropped) {
  std::optional<Waiting> run = start(launch(kLaunch));
  EXPECT_TRUE(value_of(device.poison_execution(kLaunch, stop)));
  run.reset();
  const Outputs outputs = value_of(twice(three()));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
}

TEST_P(Poison, KeepsPayloads) {
  const Waiting run = start(launch(kLaunch));
  const Error with_payload = Error(stop).with_payloads({{"type.example/why", "smoke"}});
  EXPECT_TRUE(value_of(device.poison_execution(kLaunch, with_payload)));
  const Result<void> outcome = run.outputs[0].ready().await();
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().payloads(), ::testing::ElementsAre(ErrorPayload{"type.example/why", "smoke"}));
}

}  // namespace
}  // namespace pjrt
