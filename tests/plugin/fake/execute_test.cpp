// Executions: what the options say to the plugin, several devices in one call, and runs that fail at every point.

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fn = test::fn;
using Execute = fn::PJRT_LoadedExecutable_Execute;

const Shape kScalar = {ElementType::F32, {}};

class FakeExecute : public test::OnFake {
 protected:
  /// Of one f32, twice as large on each device.
  static fake::Program doubling(int replicas = 1) {
    return {.outputs = {kScalar},
            .run =
                [](std::shared_ptr<fake::Run> run) {
                  for (std::size_t d = 0; d < run->outputs.size(); ++d)
                    run->output<float>(0, d)[0] = 2 * run->argument<float>(0, d)[0];
                },
            .replicas = replicas};
  }
  /// Of nothing; goes on after the call in `run_`.
  fake::Program waiting(std::vector<Shape> outputs, int replicas = 1) {
    return {.outputs = std::move(outputs),
            .run =
                [this](std::shared_ptr<fake::Run> run) {
                  run->later();
                  run_ = std::move(run);
                },
            .replicas = replicas};
  }
  static Result<Outputs> run(const LoadedExecutable& exe, const ExecuteOptions& options = {}) {
    return exe.execute(std::span<const Argument>(), options);
  }
  static float number(const Buffer& buffer) { return value_of(buffer.to_vector<float>())[0]; }

  Client client_ = make_client(4);
  std::shared_ptr<fake::Run> run_;
};

TEST_F(FakeExecute, OptionsThatAreNotSetAreZero) {
  const LoadedExecutable exe = compile(client_, {});
  fake.watch<Execute>([](const auto& a) {
    abi::PJRT_ExecuteOptions expected{};
    expected.struct_size = 144;
    EXPECT_EQ(std::memcmp(a.options, &expected, 144), 0);
    EXPECT_EQ(a.execute_device, nullptr);
  });
  EXPECT_OK(run(exe));
}

TEST_F(FakeExecute, OptionsReachThePlugin) {
  const LoadedExecutable exe = compile(client_, {});
  const ExecuteContext context = value_of(ExecuteContext::create(plugin));
  int config = 0;
  const ExecuteOptions options = {.launch_id = 9,
                                  .non_donatable_inputs = {0, 3},
                                  .context = context,
                                  .call_location = "train.cpp:42",
                                  .task_ids = {1, 2},
                                  .incarnation_ids = {10, -1},
                                  .multi_slice_config = reinterpret_cast<abi::PJRT_MultiSlice_Config*>(&config),
                                  .use_major_to_minor_data_layout_for_callbacks = true};
  int asked = 0;
  fake.watch<Execute>([&](const auto& a) {
    ++asked;
    const abi::PJRT_ExecuteOptions& o = *a.options;
    EXPECT_EQ(o.launch_id, 9);
    EXPECT_THAT(std::span(o.non_donatable_input_indices, o.num_non_donatable_input_indices), ElementsAre(0, 3));
    EXPECT_EQ(o.context, context.raw());
    EXPECT_STREQ(o.call_location, "train.cpp:42");
    ASSERT_EQ(o.num_tasks, 2u);
    EXPECT_THAT(std::span(o.task_ids, 2), ElementsAre(1, 2));
    EXPECT_THAT(std::span(o.incarnation_ids, 2), ElementsAre(10, -1));
    EXPECT_EQ(static_cast<void*>(o.multi_slice_config), &config);
    EXPECT_TRUE(o.use_major_to_minor_data_layout_for_callbacks);
  });
  EXPECT_OK(run(exe, options));
  EXPECT_EQ(asked, 1);
}

TEST_F(FakeExecute, TasksAndIncarnationsComeInPairs) {
  EXPECT_ERROR(run(compile(client_, {}), {.task_ids = {1, 2}, .incarnation_ids = {3}}), InvalidArgument,
               "a different number of tasks and of incarnations");
}

TEST_F(FakeExecute, AContextOfAnotherPluginIsRefused) {
  const ExecuteContext other = value_of(ExecuteContext::create(with_table({})));
  EXPECT_ERROR(run(compile(client_, {}), {.context = other}), InvalidArgument,
               "the execute context belongs to another plugin");
}

TEST_F(FakeExecute, AContextLivesUntilTheRunIsOver) {
  std::optional<ExecuteContext> context = value_of(ExecuteContext::create(plugin));
  EXPECT_OK(run(compile(client_, waiting({kScalar})), {.context = *context}));
  context.reset();
  EXPECT_EQ(fake.live()["execute context"], 1);
  run_->finish();
  EXPECT_EQ(fake.live()["execute context"], 0);
}

TEST_F(FakeExecute, AContextThatCannotBeMadeIsAnError) {
  fake.fail<fn::PJRT_ExecuteContext_Create>(ErrorCode::Unimplemented, "no contexts");
  EXPECT_ERROR(ExecuteContext::create(plugin), Unimplemented, "no contexts");
}

TEST_F(FakeExecute, OnSeveralDevicesGivesEachItsArgumentsAndOutputs) {
  const LoadedExecutable exe = compile(client_, doubling(4));
  ASSERT_EQ(exe.addressable_devices().size(), 4u);
  std::vector<std::vector<Buffer>> arguments(4);
  for (std::size_t d = 0; d < 4; ++d) {
    arguments[d].push_back(value_of(client_.upload(static_cast<float>(d + 1), {.device = client_.devices()[d]})));
  }
  const std::vector<Outputs> outputs = value_of(exe.execute(arguments, {.completion_events = true}));
  ASSERT_EQ(outputs.size(), 4u);
  for (std::size_t d = 0; d < 4; ++d) {
    EXPECT_EQ(number(outputs[d][0]), 2.0f * static_cast<float>(d + 1));
    EXPECT_EQ(outputs[d][0].device(), client_.devices()[d]);
    EXPECT_OK(outputs[d].completion()->await());
  }
  EXPECT_EQ(fake.calls_of<Execute>().back().num_devices, 4u);
}

TEST_F(FakeExecute, OnSeveralDevicesWantsArgumentsForEach) {
  const LoadedExecutable exe = compile(client_, doubling(2));
  const Buffer x = value_of(client_.upload(1.0f));
  EXPECT_ERROR(exe(x), InvalidArgument, "it runs on 2 devices; give the arguments of each");
  const std::vector<std::vector<Argument>> one = {{x}};
  EXPECT_ERROR(exe.execute(one), InvalidArgument, "arguments for 1 devices, and it runs on 2");
  const std::vector<std::vector<Argument>> uneven = {{x}, {}};
  EXPECT_ERROR(exe.execute(uneven), InvalidArgument, "the devices are given different numbers of arguments");
  const std::vector<std::vector<Argument>> same = {{x}, {x}};
  EXPECT_ERROR(exe.execute(same), InvalidArgument, "argument 0 is on device fake:0, the program runs on fake:1");
  EXPECT_THAT(fake.calls_of<Execute>(), IsEmpty());
}

TEST_F(FakeExecute, OnSeveralDevicesThatFailsTellsItInEveryOutput) {
  const LoadedExecutable exe = compile(client_, waiting({kScalar, kScalar}, 2));
  const std::vector<Outputs> outputs =
      value_of(exe.execute(std::vector<std::vector<Argument>>(2), {.completion_events = true}));
  run_->finish(fake::Failure{ErrorCode::Internal, "chip 1 is gone"});
  for (const Outputs& o : outputs) {
    EXPECT_ERROR(o.completion()->await(), Internal, "chip 1 is gone");
    EXPECT_ERROR(o.await(), Internal, "chip 1 is gone");
    for (const Buffer& b : o) EXPECT_ERROR(b.ready().await(), Internal, "chip 1 is gone");
  }
}

TEST_F(FakeExecute, WhoseDevicesFareDifferentlyTellsEachApart) {
  const LoadedExecutable exe = compile(client_, {.replicas = 2});
  fake.on<Execute>([&](auto& a) {
    (void)fake.usual<Execute>(a);
    // The second device's event is replaced by one that fails.
    abi::PJRT_Event_Destroy_Args destroy{24, nullptr, a.device_complete_events[1]};
    (void)fake.usual<fn::PJRT_Event_Destroy>(destroy);
    abi::PJRT_Event_Create_Args create{24, nullptr, nullptr};
    (void)fake.usual<fn::PJRT_Event_Create>(create);
    a.device_complete_events[1] = create.event;
    abi::PJRT_Event_Set_Args set{};
    set.event = create.event;
    set.error_code = abi::PJRT_Error_Code_DATA_LOSS;
    set.error_message = "parity";
    set.error_message_size = 6;
    (void)fake.usual<fn::PJRT_Event_Set>(set);
  });
  const std::vector<Outputs> outputs =
      value_of(exe.execute(std::vector<std::vector<Argument>>(2), {.completion_events = true}));
  EXPECT_OK(outputs[0].await());
  EXPECT_ERROR(outputs[1].await(), DataLoss, "parity");
}

TEST_F(FakeExecute, ThatIsRefusedGivesNoOutputsAndTakesNothing) {
  fake::Program program = doubling();
  program.donated = {0};
  const LoadedExecutable exe = compile(client_, std::move(program));
  const Buffer x = value_of(client_.upload(1.0f));
  fake.fail<Execute>(ErrorCode::ResourceExhausted, "out of memory", {{"key", "value"}});
  const auto refused = exe(x);
  EXPECT_ERROR(refused, ResourceExhausted, "executable 'program': out of memory");
  EXPECT_THAT(refused.error().payloads(), ElementsAre(ErrorPayload{"key", "value"}));
  EXPECT_FALSE(x.is_deleted());
  EXPECT_EQ(fake.live()["buffer"], 1);
  EXPECT_EQ(fake.live()["event"], 0);
}

TEST_F(FakeExecute, WithAnArgumentInErrorGivesOutputsInError) {
  const LoadedExecutable exe = compile(client_, doubling());
  const Buffer broken =
      value_of(client_.create_error_buffer(Error(ErrorCode::Aborted, "upstream"), kScalar, client_.memories()[0]));
  EXPECT_ERROR(value_of(exe(broken)).await(), Aborted, "upstream");
}

TEST_F(FakeExecute, WithoutOutputsHasACompletionEventOfItsOwn) {
  const LoadedExecutable exe = compile(client_, waiting({}));
  const Outputs outputs = value_of(run(exe));
  ASSERT_TRUE(outputs.completion());
  EXPECT_FALSE(outputs.completion()->is_ready());
  run_->finish(fake::Failure{ErrorCode::OutOfRange, "too far"});
  EXPECT_ERROR(outputs.await(), OutOfRange, "too far");
}

TEST_F(FakeExecute, WithOutputsHasNoCompletionEventUnlessAskedFor) {
  const LoadedExecutable exe = compile(client_, {.outputs = {kScalar}});
  EXPECT_FALSE(value_of(run(exe)).completion());
  EXPECT_EQ(fake.calls_of<Execute>().back().device_complete_events, nullptr);
  EXPECT_TRUE(value_of(run(exe, {.completion_events = true})).completion());
}

TEST_F(FakeExecute, WhoseOutputsAreDroppedAtOnceGoesOn) {
  const LoadedExecutable exe = compile(client_, waiting({kScalar, kScalar}));
  EXPECT_OK(run(exe, {.completion_events = true}));
  EXPECT_EQ(fake.live()["buffer"], 0);
  EXPECT_EQ(fake.live()["event"], 0);
  run_->finish();
}

TEST_F(FakeExecute, DonatesWhatTheProgramTakesUnlessItIsKept) {
  fake::Program program = doubling();
  program.donated = {0};
  const LoadedExecutable exe = compile(client_, std::move(program));
  const Buffer x = value_of(client_.upload(1.0f));
  EXPECT_OK(exe(keep(x)));
  EXPECT_FALSE(x.is_deleted());
  EXPECT_OK(exe(x));
  EXPECT_TRUE(x.is_deleted());
  EXPECT_ERROR(exe(x), FailedPrecondition, "donated to an execution");
}

TEST_F(FakeExecute, APortableProgramRunsOnTheDeviceItIsTold) {
  fake::Program program = doubling();
  program.portable = true;
  const LoadedExecutable exe = compile(client_, std::move(program));
  const Buffer x = value_of(client_.upload(3.0f, {.device = client_.devices()[2]}));
  EXPECT_ERROR(exe(x), InvalidArgument, "it is portable; say which device runs it");
  const Argument arguments[] = {x};
  const Outputs outputs = value_of(exe.execute(arguments, {.device = client_.devices()[2]}));
  EXPECT_EQ(number(outputs[0]), 6.0f);
  EXPECT_EQ(outputs[0].device(), client_.devices()[2]);
  EXPECT_EQ(fake.calls_of<Execute>().back().execute_device, client_.devices()[2].raw());
  EXPECT_ERROR(exe.execute(arguments, {.device = make_client().devices()[0]}), InvalidArgument,
               "belongs to another client");
}

TEST_F(FakeExecute, APoisonedRunFailsWithTheGivenError) {
  const LoadedExecutable exe = compile(client_, waiting({kScalar}));
  const Outputs outputs = value_of(run(exe, {.launch_id = 5}));
  const Device device = client_.devices()[0];
  EXPECT_FALSE(value_of(device.poison_execution(6, Error(ErrorCode::Aborted, "wrong run"))));
  EXPECT_TRUE(
      value_of(device.poison_execution(5, Error(ErrorCode::Aborted, "stop").with_payloads({{"why", "because"}}))));
  const Result<void> outcome = outputs[0].ready().await();
  EXPECT_ERROR(outcome, Aborted, "stop");
  EXPECT_THAT(outcome.error().payloads(), ElementsAre(ErrorPayload{"why", "because"}));
  EXPECT_FALSE(value_of(device.poison_execution(5, Error(ErrorCode::Aborted, "too late"))));
}

TEST_F(FakeExecute, AfterDeletionIsRefused) {
  LoadedExecutable exe = compile(client_, {});
  EXPECT_FALSE(exe.is_deleted());
  EXPECT_OK(exe.delete_now());
  EXPECT_TRUE(exe.is_deleted());
  EXPECT_ERROR(run(exe), FailedPrecondition, "executable 'program': it was deleted");
  EXPECT_THAT(fake.calls_of<Execute>(), IsEmpty());
}

}  // namespace
}  // namespace pjrt
