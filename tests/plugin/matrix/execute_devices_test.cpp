// Running a program on several devices at once, and what must not be launched because the devices would wait for ever.

#include <gtest/gtest.h>

#include <algorithm>
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
using Lists = std::vector<std::vector<Buffer>>;

/// Four partitions that add up their f32[2]s; each gives away its argument.
constexpr const char* kAllReduceInPlace = R"(
module @all_reduce_in_place attributes {mhlo.num_partitions = 4 : i32} {
  func.func public @main(%x: tensor<2xf32> {mhlo.sharding = "{manual}", tf.aliasing_output = 0 : i32}, %y: tensor<2xf32> {mhlo.sharding = "{manual}"})
      -> (tensor<2xf32> {mhlo.sharding = "{manual}"}) {
    %z = stablehlo.add %x, %y : tensor<2xf32>
    %sum = "stablehlo.all_reduce"(%z) ({
      ^bb0(%a: tensor<f32>, %b: tensor<f32>):
        %s = stablehlo.add %a, %b : tensor<f32>
        stablehlo.return %s : tensor<f32>
    }) {replica_groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>, channel_handle = #stablehlo.channel_handle<handle = 1, type = 0>,
        use_global_device_ids} : (tensor<2xf32>) -> tensor<2xf32>
    return %sum : tensor<2xf32>
  }
})";

class ExecuteOnDevices : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  LoadedExecutable all_reduce(const char* program = test::kAllReduce) const {
    return value_of(client.compile(Program::mlir(program), CompileOptions().num_partitions(4).use_spmd(true)));
  }
  Buffer on(std::size_t device, Floats values) const {
    const auto n = static_cast<std::int64_t>(values.size());
    return value_of(client.upload(values, {n}, {.device = client.devices()[device]}));
  }
  /// {1, 10}, {2, 20}, {3, 30}, {4, 40}, each on its device.
  Lists shards() const {
    Lists lists(4);
    for (std::size_t d = 0; d < 4; ++d) {
      const auto n = static_cast<float>(d + 1);
      lists[d].push_back(on(d, {n, 10 * n}));
    }
    return lists;
  }
  AliasBuffer pending(std::size_t device) const {
    return value_of(
        client.create_alias_buffer(Shape{ElementType::F32, {2}}, value_of(client.devices()[device].default_memory())));
  }
  static Result<std::vector<Outputs>> run(const LoadedExecutable& executable, const Lists& lists,
                                          const ExecuteOptions& options = {}) {
    return executable.execute(std::span<const std::vector<Buffer>>(lists), options);
  }
  std::int64_t executions() const { return test::calls_of(GetParam(), "PJRT_LoadedExecutable_Execute"); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 4);
};

INSTANTIATE_TEST_SUITE_P(Matrix, ExecuteOnDevices, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(ExecuteOnDevices, AddsUpWhatEachOfThemHas) {
  const std::vector<Outputs> outputs = value_of(run(all_reduce(), shards()));
  ASSERT_EQ(outputs.size(), 4u);
  for (std::size_t d = 0; d < 4; ++d) {
    ASSERT_EQ(outputs[d].size(), 1u);
    EXPECT_EQ(outputs[d][0].device(), client.devices()[d]);
    EXPECT_EQ(value_of(outputs[d][0].to_vector<float>()), (Floats{10, 100}));
  }
}

TEST_P(ExecuteOnDevices, RunsManyTimes) {
  const LoadedExecutable sum = all_reduce();
  Lists lists = shards();
  for (int i = 0; i < 5; ++i) {
    std::vector<Outputs> outputs = value_of(run(sum, lists));
    for (std::size_t d = 0; d < 4; ++d) lists[d] = std::move(outputs[d]).take_all();
  }
  EXPECT_EQ(value_of(lists[2][0].to_vector<float>()), (Floats{10 * 256, 100 * 256}));  // four times as much each time
}

TEST_P(ExecuteOnDevices, GivesTheOutputsInTheOrderOfItsDevices) {
  const DeviceAssignment assignment = value_of(DeviceAssignment::create(2, 1, {3, 1}));
  const LoadedExecutable twice =
      value_of(client.compile(Program::mlir(test::kDouble), CompileOptions().device_assignment(assignment)));
  ASSERT_EQ(twice.addressable_devices().size(), 2u);
  Lists lists(2);
  for (std::size_t d = 0; d < 2; ++d) {
    const auto id = static_cast<std::size_t>(twice.addressable_devices()[d].id());
    lists[d].push_back(on(id, Floats(3, static_cast<float>(id))));
  }
  const std::vector<Outputs> outputs = value_of(run(twice, lists));
  for (std::size_t d = 0; d < 2; ++d) {
    const Device device = twice.addressable_devices()[d];
    EXPECT_EQ(outputs[d][0].device(), device);
    EXPECT_EQ(value_of(outputs[d][0].to_vector<float>()), Floats(3, static_cast<float>(2 * device.id())));
  }
}

TEST_P(ExecuteOnDevices, GivesAnEventForEachOnRequest) {
  const std::vector<Outputs> outputs = value_of(run(all_reduce(), shards(), {.completion_events = true}));
  for (const Outputs& of_device : outputs) {
    ASSERT_TRUE(of_device.completion());
    EXPECT_OK(of_device.completion()->await());
    EXPECT_OK(of_device.await());
  }
}

TEST_P(ExecuteOnDevices, DonatesOnEachOfThem) {
  const LoadedExecutable sum = all_reduce(kAllReduceInPlace);
  Lists lists = shards();
  for (std::size_t d = 0; d < 4; ++d) lists[d].push_back(on(d, {0, 0}));
  const std::vector<Outputs> outputs = value_of(run(sum, lists));
  for (std::size_t d = 0; d < 4; ++d) {
    EXPECT_EQ(value_of(outputs[d][0].to_vector<float>()), (Floats{10, 100}));
    EXPECT_TRUE(lists[d][0].is_deleted());
    EXPECT_FALSE(lists[d][1].is_deleted());
  }
}

TEST_P(ExecuteOnDevices, KeepsOnEachOfThemWhatIsKeptOnOne) {
  const LoadedExecutable sum = all_reduce(kAllReduceInPlace);
  const Lists buffers = shards(), more = shards();
  std::vector<std::vector<Argument>> lists(4);
  for (std::size_t d = 0; d < 4; ++d) lists[d] = {Argument(buffers[d][0], d == 2), Argument(more[d][0])};
  const std::vector<Outputs> outputs = value_of(sum.execute(std::span<const std::vector<Argument>>(lists)));
  for (std::size_t d = 0; d < 4; ++d) {
    EXPECT_EQ(value_of(outputs[d][0].to_vector<float>()), (Floats{20, 200}));
    EXPECT_FALSE(buffers[d][0].is_deleted());
  }
}

TEST_P(ExecuteOnDevices, MayBeLaunchedByAThreadForEach) {
  const LoadedExecutable sum = all_reduce();
  const Lists lists = shards();
  std::vector<Floats> results(4);
  std::vector<std::thread> threads;
  for (std::size_t d = 0; d < 4; ++d) {
    threads.emplace_back([&, d] {
      const ExecuteOptions options{.launch_id = 7, .device = client.devices()[d]};
      const Outputs outputs = value_of(sum.execute(std::span<const Buffer>(lists[d]), options));
      results[d] = value_of(outputs[0].to_vector<float>());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Floats& result : results) EXPECT_EQ(result, (Floats{10, 100}));
}

// What would leave the devices waiting for one of them: plugins end the process after 40 seconds.

TEST_P(ExecuteOnDevices, AnArgumentOnAnotherDeviceIsRefused) {
  for (std::size_t d = 0; d < 4; ++d) {
    Lists lists = shards();
    lists[d][0] = on((d + 1) % 4, {1, 1});
    EXPECT_ERROR(run(all_reduce(), lists), InvalidArgument,
                 "is on device " + client.devices()[(d + 1) % 4].to_string());
  }
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecuteOnDevices, ACopyOnAnotherDeviceIsRefused) {  // a buffer whose device the library has to ask for
  Lists lists = shards();
  lists[3][0] = value_of(lists[0][0].copy_to_memory(value_of(client.devices()[0].default_memory())));
  EXPECT_ERROR(run(all_reduce(), lists), InvalidArgument, "is on device " + client.devices()[0].to_string());
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecuteOnDevices, WholeArraysInsteadOfShardsAreRefused) {  // 0.106 crashes
  Lists lists = shards();
  lists[1][0] = on(1, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_ERROR(run(all_reduce(), lists), InvalidArgument, "is f32[8], the program takes f32[2]");
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecuteOnDevices, AnArgumentThatIsGoneIsRefused) {
  Lists lists = shards();
  ASSERT_OK(lists[3][0].delete_now());
  EXPECT_ERROR(run(all_reduce(), lists), FailedPrecondition, "it was deleted");
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecuteOnDevices, AnArgumentGivenTwiceAndDonatedIsRefused) {
  const Lists buffers = shards();
  std::vector<std::vector<Argument>> lists(4);
  for (std::size_t d = 0; d < 4; ++d) lists[d] = {Argument(buffers[d][0]), Argument(buffers[d][0])};
  const LoadedExecutable sum = all_reduce(kAllReduceInPlace);
  EXPECT_ERROR(sum.execute(std::span<const std::vector<Argument>>(lists)), InvalidArgument,
               "is donated, and given as another argument too");
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecuteOnDevices, AnArgumentThatFailedIsItsError) {
  AliasBuffer alias = pending(2);
  ASSERT_OK(alias.fulfillment.fail(Error(ErrorCode::DataLoss, "nothing came")));
  Lists lists = shards();
  lists[2][0] = std::move(alias.buffer);
  const Result<std::vector<Outputs>> outputs = run(all_reduce(), lists);
  EXPECT_ERROR(outputs, DataLoss, "nothing came");
  EXPECT_ERROR(outputs, DataLoss, "of device " + client.devices()[2].to_string());
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecuteOnDevices, AnArgumentThatNobodyMayBringIsRefused) {
  AliasBuffer alias = pending(2);
  Lists lists = shards();
  lists[2][0] = std::move(alias.buffer);
  EXPECT_ERROR(run(all_reduce(), lists), FailedPrecondition, "has not been fulfilled yet");
  EXPECT_EQ(executions(), 0);
  ASSERT_OK(alias.fulfillment.fulfill(on(2, {3, 30})));
  EXPECT_EQ(value_of(value_of(run(all_reduce(), lists))[0][0].to_vector<float>()), (Floats{10, 100}));
}

TEST_P(ExecuteOnDevices, AnArgumentThatMayStillFailIsWaitedFor) {
  const LoadedExecutable same = value_of(client.compile(
      Program::mlir(
          "module { func.func public @main(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> } }"),
      CompileOptions().device_assignment(DeviceAssignment::single(2))));
  AliasBuffer alias = pending(2);
  Outputs copy = value_of(same(alias.buffer));
  Lists lists = shards();
  lists[2][0] = std::move(copy[0]);
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ASSERT_OK(alias.fulfillment.fail(Error(ErrorCode::DataLoss, "nothing came")));
  });
  const Result<std::vector<Outputs>> outputs = run(all_reduce(), lists);
  later.join();
  ASSERT_FALSE(outputs);
  EXPECT_NE(to_string(outputs.error()).find("nothing came"), std::string::npos) << outputs.error();
  EXPECT_EQ(executions(), 1);  // of the copy
}

TEST_P(ExecuteOnDevices, AListForEveryDeviceIsWanted) {
  Lists lists = shards();
  lists.pop_back();
  EXPECT_ERROR(run(all_reduce(), lists), InvalidArgument, "arguments for 3 devices, and it runs on 4");
  EXPECT_ERROR(run(all_reduce(), {}), InvalidArgument, "arguments for 0 devices, and it runs on 4");
  EXPECT_ERROR(all_reduce()(lists[0][0]), InvalidArgument, "it runs on 4 devices");
  EXPECT_ERROR(all_reduce().prepare(lists[0][0]), InvalidArgument, "only an execution on one can be prepared");
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecuteOnDevices, ListsOfTheSameLengthAreWanted) {
  Lists lists = shards();
  lists[1].push_back(on(1, {1, 1}));
  EXPECT_ERROR(run(all_reduce(), lists), InvalidArgument, "");
  lists = shards();
  lists[3].clear();
  EXPECT_ERROR(run(all_reduce(), lists), InvalidArgument, "different numbers of arguments");
  EXPECT_EQ(executions(), 0);
}

TEST_P(ExecuteOnDevices, OneDeviceIsNotNamedForSeveral) {
  EXPECT_ERROR(run(all_reduce(), shards(), {.device = client.devices()[0]}), InvalidArgument,
               "one device is named for arguments of several");
  EXPECT_EQ(executions(), 0);
}

// Portable programs.

TEST_P(ExecuteOnDevices, PortableProgramsRunWhereTheyAreTold) {
  const LoadedExecutable twice =
      value_of(client.compile(Program::mlir(test::kDouble), CompileOptions().portable(true)));
  for (std::size_t d = 0; d < 4; ++d) {
    const Buffer x = on(d, {1, 2, 3});
    const Argument arguments[] = {x};
    const Outputs outputs = value_of(twice.execute(arguments, {.device = client.devices()[d]}));
    EXPECT_EQ(outputs[0].device(), client.devices()[d]);
    EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
  }
}

TEST_P(ExecuteOnDevices, PortableProgramsWantToBeToldWhere) {
  const LoadedExecutable twice =
      value_of(client.compile(Program::mlir(test::kDouble), CompileOptions().portable(true)));
  const Lists lists = shards();
  EXPECT_ERROR(twice(lists[0][0]), InvalidArgument, "it is portable; say which device runs it");
  EXPECT_ERROR(run(twice, lists), InvalidArgument, "it is portable and runs on one device at a time");
  EXPECT_EQ(executions(), 0);
}

}  // namespace
}  // namespace pjrt
