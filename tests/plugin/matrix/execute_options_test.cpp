// The options of an execution: what they change, and which are refused because the plugin would ignore them.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
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

class ExecutionOptions : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Buffer three() const { return value_of(client.upload(Floats{1, 2, 3}, {3})); }
  Result<Outputs> run(const ExecuteOptions& options) const {
    const Buffer x = three();
    const Argument arguments[] = {x};
    return twice.execute(arguments, options);
  }
  void expect_runs(const ExecuteOptions& options) const {
    const Result<Outputs> outputs = run(options);
    ASSERT_OK(outputs);
    EXPECT_EQ(value_of((*outputs)[0].to_vector<float>()), (Floats{2, 4, 6}));
  }
  void expect_needs(const ExecuteOptions& options, int minor) const {
    if (client.plugin().api_version().minor >= minor) {
      expect_runs(options);
    } else {
      EXPECT_ERROR(run(options), Unimplemented, "0." + std::to_string(minor));
      EXPECT_EQ(executions(), 0);
    }
  }
  std::int64_t executions() const { return test::calls_of(GetParam(), "PJRT_LoadedExecutable_Execute"); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
  LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
};

INSTANTIATE_TEST_SUITE_P(Matrix, ExecutionOptions, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(ExecutionOptions, LaunchIdTellsLaunchesApart) {
  expect_runs({.launch_id = 42});
}

TEST_P(ExecutionOptions, CallLocationIsForPeople) {
  expect_needs({.call_location = "train.cpp:42"}, 76);
}

TEST_P(ExecutionOptions, CompletionEventIsThereOnRequest) {
  const Outputs outputs = value_of(run({.completion_events = true}));
  ASSERT_TRUE(outputs.completion());
  EXPECT_OK(outputs.completion()->await());
}

// Donation.

TEST_P(ExecutionOptions, NonDonatableInputsStay) {
  const LoadedExecutable add_to = value_of(client.compile(Program::mlir(test::kAddTo)));
  const Buffer a = three(), b = three();
  const Argument arguments[] = {a, b};
  const Outputs sum = value_of(add_to.execute(arguments, {.non_donatable_inputs = {0}}));
  EXPECT_EQ(value_of(sum[0].to_vector<float>()), (Floats{2, 4, 6}));
  EXPECT_FALSE(a.is_deleted());
  EXPECT_EQ(value_of(a.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(ExecutionOptions, NonDonatableInputsThatDoNotExistAreNoMatter) {
  expect_runs({.non_donatable_inputs = {-1, 7, 0, 0}});
}

TEST_P(ExecutionOptions, KeptArgumentsStay) {
  const LoadedExecutable add_to = value_of(client.compile(Program::mlir(test::kAddTo)));
  const Buffer a = three(), b = three();
  EXPECT_EQ(value_of(value_of(add_to(keep(a), b))[0].to_vector<float>()), (Floats{2, 4, 6}));
  EXPECT_FALSE(a.is_deleted());
  EXPECT_EQ(value_of(value_of(add_to(a, b))[0].to_vector<float>()), (Floats{2, 4, 6}));
  EXPECT_TRUE(a.is_deleted());
}

TEST_P(ExecutionOptions, KeptArgumentsThatNobodyHasBroughtAreRefused) {  // copied when they fail, plugins abort
  const LoadedExecutable add_to = value_of(client.compile(Program::mlir(test::kAddTo)));
  AliasBuffer alias = value_of(
      client.create_alias_buffer(Shape{ElementType::F32, {3}}, value_of(client.devices().front().default_memory())));
  EXPECT_ERROR(add_to(keep(alias.buffer), three()), FailedPrecondition, "has not been fulfilled yet");
  EXPECT_EQ(executions(), 0);
}

// Devices.

TEST_P(ExecutionOptions, DeviceMayBeItsOwn) {
  expect_runs({.device = client.devices()[0]});
}

TEST_P(ExecutionOptions, DeviceMayNotBeAnother) {
  const Buffer there = value_of(client.upload(Floats{1, 2, 3}, {3}, {.device = client.devices()[1]}));
  const Argument arguments[] = {there};
  EXPECT_ERROR(twice.execute(arguments, {.device = client.devices()[1]}), InvalidArgument, "");
}

TEST_P(ExecutionOptions, DeviceMayNotBeAnotherClients) {
  const Client other = test::make_client(client.plugin());
  EXPECT_ERROR(run({.device = other.devices()[0]}), InvalidArgument, "belongs to another client");
  EXPECT_EQ(executions(), 0);
}

// Contexts.

TEST_P(ExecutionOptions, ContextsAreSharedByExecutions) {
  const ExecuteContext context = value_of(ExecuteContext::create(client.plugin()));
  expect_runs({.context = context});
  expect_runs({.context = context});
}

TEST_P(ExecutionOptions, ContextsAreKeptUntilTheExecutionIsDone) {
  AliasBuffer alias = value_of(
      client.create_alias_buffer(Shape{ElementType::F32, {3}}, value_of(client.devices().front().default_memory())));
  std::optional<ExecuteContext> context = value_of(ExecuteContext::create(client.plugin()));
  auto token = std::make_shared<int>(0);
  context->attach(token);
  const Argument arguments[] = {alias.buffer};
  const Outputs outputs = value_of(twice.execute(arguments, {.context = context}));
  context.reset();
  EXPECT_EQ(token.use_count(), 2);
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
  ASSERT_OK(outputs.completion().value().await());
  while (token.use_count() > 1) std::this_thread::yield();
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_ExecuteContext_Destroy"), 1);
}

TEST_P(ExecutionOptions, ContextsOfAnotherPluginAreRefused) {
  const std::string name = GetParam() == "cpu" ? "cpu-0.106" : "cpu";
  REQUIRE_PLUGIN(name);
  const ExecuteContext theirs = value_of(ExecuteContext::create(test::counted_plugin(name)));
  EXPECT_ERROR(run({.context = theirs}), InvalidArgument, "belongs to another plugin");
  EXPECT_EQ(executions(), 0);
}

// Processes.

TEST_P(ExecutionOptions, TasksNeedApi078) {
  expect_needs({.task_ids = {0}, .incarnation_ids = {1}}, 78);
}

TEST_P(ExecutionOptions, TasksAndIncarnationsGoTogether) {
  EXPECT_ERROR(run({.task_ids = {0, 1}, .incarnation_ids = {1}}), InvalidArgument,
               "a different number of tasks and of incarnations");
  EXPECT_EQ(executions(), 0);
}

// Callbacks. No CPU plugin compiles a program that would call them.

SendCallback send(std::int64_t channel) {
  return {channel, [](const Chunk&, std::size_t, bool) { return Result<void>(); }};
}

TEST_P(ExecutionOptions, CallbacksThatNobodyCallsAreNoMatter) {
  expect_runs({.send_callbacks = {{send(1)}}, .recv_callbacks = {{{2, [](const CopyToDeviceStream&) {}}}}});
}

TEST_P(ExecutionOptions, CallbacksAreKeptUntilTheExecutionIsDone) {
  auto token = std::make_shared<int>(0);
  {
    const SendCallback holds{1, [token](const Chunk&, std::size_t, bool) { return Result<void>(); }};
    const Outputs outputs = value_of(run({.send_callbacks = {{holds}}}));
    ASSERT_OK(outputs.await());
  }
  while (token.use_count() > 1) std::this_thread::yield();
  EXPECT_EQ(token.use_count(), 1);
}

TEST_P(ExecutionOptions, CallbacksAreForEveryDevice) {
  EXPECT_ERROR(run({.send_callbacks = {{send(1)}, {send(1)}}}), InvalidArgument, "send callbacks for 2 of 1 devices");
  EXPECT_ERROR(run({.recv_callbacks = {{}, {}}}), InvalidArgument, "receive callbacks for 2 of 1 devices");
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecutionOptions, CallbacksAreNotEmpty) {
  EXPECT_ERROR(run({.send_callbacks = {{{1, {}}}}}), InvalidArgument, "a send callback is empty");
  EXPECT_ERROR(run({.recv_callbacks = {{{1, {}}}}}), InvalidArgument, "a receive callback is empty");
  EXPECT_ERROR(run({.hlo_output_callbacks = {{}}}), InvalidArgument, "an output callback is empty");
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecutionOptions, RowMajorCallbacksNeedApi0108) {
  expect_needs({.use_major_to_minor_data_layout_for_callbacks = true}, 108);
}

TEST_P(ExecutionOptions, OutputCallbacksNeedApi0112) {
  expect_needs({.hlo_output_callbacks = {{1, 1, [](std::int64_t, std::int64_t, const HostView&, std::int64_t) {}}}},
               112);
}

}  // namespace
}  // namespace pjrt
