// Executions that are prepared once and run many times.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

class Prepared : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Buffer three(float a = 1, float b = 2, float c = 3) const { return value_of(client.upload(Floats{a, b, c}, {3})); }
  static Floats output(const PreparedExecution& execution) { return value_of(execution.output(0).to_vector<float>()); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
  LoadedExecutable add = value_of(client.compile(Program::mlir(test::kAdd)));
  LoadedExecutable add_to = value_of(client.compile(Program::mlir(test::kAddTo)));
};

INSTANTIATE_TEST_SUITE_P(Matrix, Prepared, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Prepared, RunsAsOftenAsItIsTold) {
  PreparedExecution sum = value_of(add.prepare(three(), three(10, 20, 30)));
  EXPECT_EQ(sum.num_outputs(), 1u);
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(sum.run());
    EXPECT_EQ(output(sum), (Floats{11, 22, 33}));
  }
}

TEST_P(Prepared, KeepsWhatItNeeds) {
  std::optional<LoadedExecutable> program = value_of(client.compile(Program::mlir(test::kAdd)));
  PreparedExecution sum = [&] {
    const Buffer a = three(), b = three();
    return value_of(program->prepare(a, b));
  }();
  program.reset();
  ASSERT_OK(sum.run());
  EXPECT_EQ(output(sum), (Floats{2, 4, 6}));
}

TEST_P(Prepared, ChecksItsArgumentsBeforehand) {
  EXPECT_ERROR(add.prepare(three()), InvalidArgument, "1 argument, the program takes 2");
  EXPECT_ERROR(add.prepare(three(), value_of(client.upload(1.0f))), InvalidArgument, "is f32[]");
  Buffer gone = three();
  ASSERT_OK(gone.delete_now());
  EXPECT_ERROR(add.prepare(three(), gone), FailedPrecondition, "it was deleted");
}

TEST_P(Prepared, ChecksItsArgumentsForLaterDeletion) {
  Buffer a = three();
  PreparedExecution sum = value_of(add.prepare(a, three()));
  ASSERT_OK(a.delete_now());
  EXPECT_ERROR(sum.run(), FailedPrecondition, "argument 0 of prepared execution of 'add'");
}

TEST_P(Prepared, TakesOtherArgumentsInBetween) {
  PreparedExecution sum = value_of(add.prepare(three(), three()));
  ASSERT_OK(sum.run());
  ASSERT_OK(sum.set_argument(1, three(10, 20, 30)));
  ASSERT_OK(sum.run());
  EXPECT_EQ(output(sum), (Floats{11, 22, 33}));
}

TEST_P(Prepared, ChecksOtherArgumentsToo) {
  PreparedExecution sum = value_of(add.prepare(three(), three()));
  EXPECT_ERROR(sum.set_argument(1, value_of(client.upload(1.0f))), InvalidArgument, "is f32[]");
  EXPECT_ERROR(sum.set_argument(2, three()), OutOfRange, "there is no argument 2");
  const Buffer elsewhere = value_of(client.upload(Floats{1, 2, 3}, {3}, {.device = client.devices()[1]}));
  EXPECT_ERROR(sum.set_argument(0, elsewhere), InvalidArgument, "is on device");
  ASSERT_OK(sum.run());
  EXPECT_EQ(output(sum), (Floats{2, 4, 6}));
}

TEST_P(Prepared, GivesItsOutputsAway) {
  PreparedExecution sum = value_of(add.prepare(three(), three()));
  EXPECT_ERROR(sum.take_output(0), FailedPrecondition, "no output 0 yet");
  ASSERT_OK(sum.run());
  const Buffer taken = value_of(sum.take_output(0));
  EXPECT_ERROR(sum.take_output(0), FailedPrecondition, "taken");
  EXPECT_ERROR(sum.take_output(1), OutOfRange, "there is no output 1");
  ASSERT_OK(sum.run());
  ASSERT_OK(sum.set_argument(0, three(0, 0, 0)));
  ASSERT_OK(sum.run());
  EXPECT_EQ(value_of(taken.to_vector<float>()), (Floats{2, 4, 6}));
  EXPECT_EQ(output(sum), (Floats{1, 2, 3}));
}

TEST_P(Prepared, FeedsItsOutputsBack) {
  PreparedExecution sum = value_of(add.prepare(three(), three(1, 1, 1)));
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(sum.run());
    ASSERT_OK(sum.feed_back(0, 0));
  }
  ASSERT_OK(sum.run());
  EXPECT_EQ(output(sum), (Floats{12, 13, 14}));
}

TEST_P(Prepared, FeedsBackWhatFitsOnly) {
  PreparedExecution sum = value_of(add.prepare(three(), three()));
  EXPECT_ERROR(sum.feed_back(0, 0), FailedPrecondition, "no output 0 yet");
  EXPECT_ERROR(sum.feed_back(1, 0), OutOfRange, "there is no output 1");
  EXPECT_ERROR(sum.feed_back(0, 2), OutOfRange, "there is no argument 2");
}

TEST_P(Prepared, MayReuseTheMemoryOfWhatItTakes) {
  PreparedExecution sum = value_of(add_to.prepare(three(), three(1, 1, 1)));
  ASSERT_OK(sum.run());
  const std::uintptr_t address = value_of(sum.output(0).unsafe_pointer());
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(sum.feed_back(0, 0));
    ASSERT_OK(sum.run());
    EXPECT_EQ(value_of(sum.output(0).unsafe_pointer()), address);
  }
  EXPECT_EQ(output(sum), (Floats{6, 7, 8}));
}

TEST_P(Prepared, DoesNotRunOnWhatItHasTaken) {
  const Buffer a = three();
  PreparedExecution sum = value_of(add_to.prepare(a, three()));
  ASSERT_OK(sum.run());
  EXPECT_TRUE(a.is_deleted());
  EXPECT_ERROR(sum.run(), FailedPrecondition, "it was donated to an execution");
  ASSERT_OK(sum.set_argument(0, three()));
  EXPECT_OK(sum.run());
}

TEST_P(Prepared, KeepsWhatItIsToldToKeep) {
  const Buffer a = three();
  PreparedExecution sum = value_of(add_to.prepare(keep(a), three()));
  for (int i = 0; i < 3; ++i) ASSERT_OK(sum.run());
  EXPECT_EQ(value_of(a.to_vector<float>()), (Floats{1, 2, 3}));
  EXPECT_EQ(output(sum), (Floats{2, 4, 6}));
}

TEST_P(Prepared, OutputsOfTheLastRunAreLetGo) {
  PreparedExecution sum = value_of(add.prepare(three(), three()));
  const std::int64_t before = test::calls_of(GetParam(), "PJRT_Buffer_Destroy");
  for (int i = 0; i < 5; ++i) ASSERT_OK(sum.run());
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_Destroy"), before + 4);
}

TEST_P(Prepared, WithoutOutputsWaitsAndGivesTheError) {
  const LoadedExecutable nothing = value_of(client.compile(Program::mlir(test::kNoOutputs)));
  PreparedExecution execution = value_of(nothing.prepare(three()));
  EXPECT_EQ(execution.num_outputs(), 0u);
  EXPECT_OK(execution.run());
}

TEST_P(Prepared, GivesNoCompletionEvents) {
  const Buffer a = three();
  const Argument arguments[] = {a, a};
  EXPECT_ERROR(add.prepare(arguments, {.completion_events = true}), InvalidArgument, "no completion events");
}

TEST_P(Prepared, MayBeMoved) {
  PreparedExecution first = value_of(add.prepare(three(), three()));
  PreparedExecution second = std::move(first);
  EXPECT_ERROR(first.run(), FailedPrecondition, "moved from");
  EXPECT_ERROR(first.take_output(0), FailedPrecondition, "moved from");
  EXPECT_ERROR(first.feed_back(0, 0), FailedPrecondition, "moved from");
  EXPECT_ERROR(first.set_argument(0, three()), FailedPrecondition, "moved from");
  ASSERT_OK(second.run());
  EXPECT_EQ(output(second), (Floats{2, 4, 6}));
}

TEST_P(Prepared, AsksThePluginForNothingButTheRun) {
  PreparedExecution sum = value_of(add.prepare(three(), three()));
  ASSERT_OK(sum.run());
  test::fail_call(0);  // counts from here
  ASSERT_OK(sum.run());
  EXPECT_EQ(test::fallible_calls(), 1);
}

}  // namespace
}  // namespace pjrt
