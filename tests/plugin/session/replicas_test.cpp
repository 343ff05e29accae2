// Programs of several replicas, as jax.pmap made them: every replica has inputs and outputs of its own, by name.
// Values by hand.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/model/session.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;

/// Two replicas. out0 is the sum of x over them, out1 is y and the number of the replica.
constexpr std::string_view kTwoReplicas = R"(
module @pmap attributes {mhlo.num_replicas = 2 : i32, mhlo.num_partitions = 1 : i32} {
  func.func public @main(%x: tensor<2xf32>, %y: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
    %sum = "stablehlo.all_reduce"(%x) ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %s = stablehlo.add %a, %b : tensor<f32>
      stablehlo.return %s : tensor<f32>
    }) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<2xf32>) -> tensor<2xf32>
    %id = stablehlo.replica_id : tensor<ui32>
    %number = stablehlo.convert %id : (tensor<ui32>) -> tensor<f32>
    %numbers = stablehlo.broadcast_in_dim %number, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %z = stablehlo.add %y, %numbers : tensor<2xf32>
    return %sum, %z : tensor<2xf32>, tensor<2xf32>
  }
})";

/// Two replicas of two partitions, which have two elements each. The output is x and 100 times the replica.
constexpr std::string_view kTwoByTwo = R"(
module @grid attributes {mhlo.num_replicas = 2 : i32, mhlo.num_partitions = 2 : i32} {
  func.func public @main(%x: tensor<4xf32> {mhlo.sharding = "{devices=[2]0,1}"})
      -> (tensor<4xf32> {mhlo.sharding = "{devices=[2]0,1}"}) {
    %id = stablehlo.replica_id : tensor<ui32>
    %number = stablehlo.convert %id : (tensor<ui32>) -> tensor<f32>
    %hundred = stablehlo.constant dense<100.0> : tensor<f32>
    %offset = stablehlo.multiply %number, %hundred : tensor<f32>
    %offsets = stablehlo.broadcast_in_dim %offset, dims = [] : (tensor<f32>) -> tensor<4xf32>
    %z = stablehlo.add %x, %offsets : tensor<4xf32>
    return %z : tensor<4xf32>
  }
})";

using Floats = std::vector<float>;

HostBuffer array(Floats values) {
  const auto size = static_cast<std::int64_t>(values.size());
  return value_of(HostBuffer::from_vector(std::move(values), {size}));
}

Floats floats(const SessionOutputs& outputs, std::string_view name) {
  return value_of(outputs[name].to_vector<float>());
}

class Replicas : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }
  static Session open(std::string_view text, const CompileOptions& compile_options = {}) {
    SessionOptions options;
    options.plugin = value_of(Plugin::load(test::plugin_file(GetParam())->string()));
    options.compile_options = compile_options;
    options.client_options.add("cpu_device_count", 4);
    return value_of(Session::open(model::Model::from_program(Program::mlir(std::string(text))), options));
  }
};

INSTANTIATE_TEST_SUITE_P(Plugins, Replicas, ::testing::ValuesIn(test::kCpuVersions));

std::vector<std::string> paths(std::span<const SessionValue> values) {
  std::vector<std::string> all;
  for (const SessionValue& value : values) all.push_back(value.path);
  return all;
}

TEST_P(Replicas, AreListedByName) {
  const Session session = open(kTwoReplicas);
  EXPECT_EQ(paths(session.inputs()),
            (std::vector<std::string>{"arg0", "arg1", "arg0@0", "arg0@1", "arg1@0", "arg1@1"}));
  EXPECT_EQ(paths(session.outputs()), (std::vector<std::string>{"out0@0", "out0@1", "out1@0", "out1@1"}));
  EXPECT_EQ(session.inputs()[0].replica, std::nullopt);
  EXPECT_EQ(session.inputs()[3].replica, 1);
  EXPECT_EQ(session.outputs()[2].replica, 0);
}

TEST_P(Replicas, TakeInputsOfTheirOwnAndGiveOutputsOfTheirOwn) {
  const Session session = open(kTwoReplicas);
  const SessionOutputs outputs =
      value_of(session.run({{"arg0@0", array({1, 2})}, {"arg0@1", array({10, 20})}, {"arg1", array({5, 6})}}));
  ASSERT_EQ(outputs.size(), 4u);
  EXPECT_EQ(floats(outputs, "out0@0"), (Floats{11, 22}));
  EXPECT_EQ(floats(outputs, "out0@1"), (Floats{11, 22}));
  EXPECT_EQ(floats(outputs, "out1@0"), (Floats{5, 6}));
  EXPECT_EQ(floats(outputs, "out1@1"), (Floats{6, 7}));
}

TEST_P(Replicas, TakeTheSameArrayIfItIsGivenOnce) {
  const Session session = open(kTwoReplicas);
  const std::vector<std::optional<HostBuffer>> arrays = {array({1, 2}), array({0, 0})};
  const SessionOutputs outputs = value_of(session.run(arrays));
  EXPECT_EQ(floats(outputs, "out0@1"), (Floats{2, 4}));
  EXPECT_EQ(floats(outputs, "out1@1"), (Floats{1, 1}));
}

TEST_P(Replicas, AreCutIntoPartitions) {
  const Session session = open(kTwoByTwo);
  const SessionOutputs outputs =
      value_of(session.run({{"arg0@1", array({5, 6, 7, 8})}, {"arg0@0", array({1, 2, 3, 4})}}));
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(floats(outputs, "out0@0"), (Floats{1, 2, 3, 4}));
  EXPECT_EQ(floats(outputs, "out0@1"), (Floats{105, 106, 107, 108}));
}

TEST_P(Replicas, RunOnTheDevicesThatTheyAreAssigned) {
  CompileOptions options;
  options.device_assignment(value_of(DeviceAssignment::create(2, 2, {3, 1, 0, 2})));
  const Session session = open(kTwoByTwo, options);
  const SessionOutputs outputs =
      value_of(session.run({{"arg0@0", array({1, 2, 3, 4})}, {"arg0@1", array({5, 6, 7, 8})}}));
  EXPECT_EQ(floats(outputs, "out0@0"), (Floats{1, 2, 3, 4}));
  EXPECT_EQ(floats(outputs, "out0@1"), (Floats{105, 106, 107, 108}));
}

TEST_P(Replicas, OfCompileOptionsCount) {
  CompileOptions options;
  options.num_replicas(3);
  const Session session =
      open("func.func @main(%x: tensor<1xf32>) -> tensor<1xf32> { return %x : tensor<1xf32> }", options);
  const SessionOutputs outputs =
      value_of(session.run({{"arg0@0", array({1})}, {"arg0@1", array({2})}, {"arg0@2", array({3})}}));
  EXPECT_EQ(floats(outputs, "out0@0"), Floats{1});
  EXPECT_EQ(floats(outputs, "out0@1"), Floats{2});
  EXPECT_EQ(floats(outputs, "out0@2"), Floats{3});
}

TEST_P(Replicas, KeepBoundInputs) {
  Session session = open(kTwoReplicas);
  ASSERT_TRUE(session.bind("arg1", array({1, 1})));
  ASSERT_TRUE(session.bind("arg0@0", array({1, 2})));
  EXPECT_ERROR(session.run(NamedArrays{}), InvalidArgument, "input arg0@1");
  ASSERT_TRUE(session.bind("arg1@1", array({7, 7})));
  SessionOutputs outputs = value_of(session.run({{"arg0@1", array({3, 4})}}));
  EXPECT_EQ(floats(outputs, "out0@0"), (Floats{4, 6}));
  EXPECT_EQ(floats(outputs, "out1@0"), (Floats{1, 1}));
  EXPECT_EQ(floats(outputs, "out1@1"), (Floats{8, 8}));
  // What is given for every replica goes before what is bound for one.
  outputs = value_of(session.run({{"arg0", array({5, 5})}, {"arg1", array({0, 0})}}));
  EXPECT_EQ(floats(outputs, "out0@0"), (Floats{10, 10}));
  EXPECT_EQ(floats(outputs, "out1@1"), (Floats{1, 1}));
  // Binding for every replica replaces what one of them had.
  ASSERT_TRUE(session.bind("arg1", array({2, 2})));
  outputs = value_of(session.run({{"arg0", array({0, 0})}}));
  EXPECT_EQ(floats(outputs, "out1@1"), (Floats{3, 3}));
}

TEST_P(Replicas, AreAskedForByName) {
  const Session session = open(kTwoReplicas);
  EXPECT_EQ(value_of(session.find_input("arg1")), 1u);
  EXPECT_EQ(value_of(session.find_input("arg1@1")), 5u);
  EXPECT_EQ(value_of(session.find_output("out1@0")), 2u);
  EXPECT_ERROR(session.find_output("out1"), InvalidArgument,
               "each of the 2 replicas has an output out1: out1@0 to out1@1");
  EXPECT_ERROR(session.find_output("out1@2"), NotFound, "there is no replica 2");
  EXPECT_ERROR(session.find_input("arg0@2"), NotFound, "there is no replica 2");
  EXPECT_ERROR(session.find_output("out2@0"), NotFound, "out2");
  EXPECT_ERROR(session.find_input("arg0@"), NotFound, "arg0@");
}

TEST_P(Replicas, AreRefusedArraysThatAreMissingOrGivenTwice) {
  const Session session = open(kTwoReplicas);
  const HostBuffer x = array({1, 2});
  EXPECT_ERROR(session.run({{"arg0@0", x}, {"arg1", x}}), InvalidArgument, "input arg0@1");
  EXPECT_ERROR(session.run({{"arg0", x}, {"arg0@1", x}, {"arg1", x}}), InvalidArgument,
               "is given for every replica, and as arg0@1");
  EXPECT_ERROR(session.run(NamedArrays{}), InvalidArgument, "inputs are missing: arg0");
  EXPECT_ERROR(session.run({{"arg0@0", array({1})}, {"arg0@1", x}, {"arg1", x}}), InvalidArgument, "arg0@0");
}

}  // namespace
}  // namespace pjrt
