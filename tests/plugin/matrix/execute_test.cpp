// Running a program on one device: what it gives, and which arguments never reach the plugin.

#include <gtest/gtest.h>

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

class Execute : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  LoadedExecutable compile(const std::string& program, const CompileOptions& options = {}) const {
    return value_of(client.compile(Program::mlir(program), options));
  }
  Buffer three(float a = 1, float b = 2, float c = 3) const { return value_of(client.upload(Floats{a, b, c}, {3})); }
  AliasBuffer pending() const {
    return value_of(
        client.create_alias_buffer(Shape{ElementType::F32, {3}}, value_of(client.devices().front().default_memory())));
  }
  std::int64_t executions() const { return test::calls_of(GetParam(), "PJRT_LoadedExecutable_Execute"); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
};

INSTANTIATE_TEST_SUITE_P(Matrix, Execute, ::testing::ValuesIn(test::kCpuVersions));

// What it gives.

TEST_P(Execute, AddsTwoArrays) {
  const Outputs sum = value_of(compile(test::kAdd)(three(), three(10, 20, 30)));
  ASSERT_EQ(sum.size(), 1u);
  EXPECT_EQ(to_string(sum[0].shape()), "f32[3]");
  EXPECT_EQ(sum[0].device(), client.devices().front());
  EXPECT_EQ(value_of(sum[0].to_vector<float>()), (Floats{11, 22, 33}));
}

constexpr const char* kSumAndProduct = R"(
module @sum_and_product {
  func.func public @main(%a: tensor<3xf32>, %b: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
    %sum = stablehlo.add %a, %b : tensor<3xf32>
    %product = stablehlo.multiply %a, %b : tensor<3xf32>
    return %sum, %product : tensor<3xf32>, tensor<3xf32>
  }
})";

TEST_P(Execute, GivesResultsInTheirOrder) {
  Outputs outputs = value_of(compile(kSumAndProduct)(three(), three(10, 20, 30)));
  const auto [sum, product] = value_of(std::move(outputs).take<2>());
  EXPECT_EQ(value_of(sum.to_vector<float>()), (Floats{11, 22, 33}));
  EXPECT_EQ(value_of(product.to_vector<float>()), (Floats{10, 40, 90}));
}

TEST_P(Execute, GivesAsManyResultsAsThereAre) {
  Outputs outputs = value_of(compile(kSumAndProduct)(three(), three()));
  EXPECT_ERROR(std::move(outputs).take<3>(), InvalidArgument, "gave 2 outputs, not 3");
  EXPECT_EQ(std::move(outputs).take_all().size(), 2u);
}

TEST_P(Execute, TakesTupleResultsApart) {
  const Outputs outputs = value_of(compile(R"(
module @tuple {
  func.func public @main(%a: tensor<3xf32>) -> tuple<tensor<3xf32>, tensor<3xf32>> {
    %b = stablehlo.add %a, %a : tensor<3xf32>
    %t = stablehlo.tuple %a, %b : tuple<tensor<3xf32>, tensor<3xf32>>
    return %t : tuple<tensor<3xf32>, tensor<3xf32>>
  }
})")(three()));
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{1, 2, 3}));
  EXPECT_EQ(value_of(outputs[1].to_vector<float>()), (Floats{2, 4, 6}));
}

TEST_P(Execute, WithoutResultsGivesAnEventInstead) {
  const Outputs nothing = value_of(compile(test::kNoOutputs)(three()));
  EXPECT_TRUE(nothing.empty());
  ASSERT_TRUE(nothing.completion());
  EXPECT_OK(nothing.completion()->await());
  EXPECT_OK(nothing.await());
}

TEST_P(Execute, AsksForNoEventsThatNobodyWants) {
  EXPECT_FALSE(value_of(compile(test::kAdd)(three(), three())).completion());
}

TEST_P(Execute, GivesCopiesOfArgumentsThatItOnlyPassesOn) {
  const Buffer a = three();
  const Outputs same = value_of(compile(R"(
module @same {
  func.func public @main(%a: tensor<3xf32>) -> tensor<3xf32> { return %a : tensor<3xf32> }
})")(a));
  ASSERT_OK(same.await());
  EXPECT_NE(value_of(same[0].unsafe_pointer()), value_of(a.unsafe_pointer()));
  EXPECT_EQ(value_of(same[0].to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Execute, WorksOnScalarsAndOnNothing) {
  const LoadedExecutable negate = compile(R"(
module @negate {
  func.func public @main(%a: tensor<f32>, %b: tensor<0x2xf32>) -> (tensor<f32>, tensor<0x2xf32>) {
    %c = stablehlo.negate %a : tensor<f32>
    %d = stablehlo.negate %b : tensor<0x2xf32>
    return %c, %d : tensor<f32>, tensor<0x2xf32>
  }
})");
  const Outputs outputs = value_of(negate(value_of(client.upload(3.0f)), value_of(client.upload(Floats{}, {0, 2}))));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), Floats{-3});
  EXPECT_EQ(value_of(outputs[1].to_host()).dims(), (Dimensions{0, 2}));
}

TEST_P(Execute, TakesManyArguments) {
  std::string parameters, sum = "%s0 = stablehlo.add %a0, %a0 : tensor<f32>\n";
  std::vector<Buffer> arguments;
  for (int i = 0; i < 50; ++i) {
    parameters += (i == 0 ? "%a" : ", %a") + std::to_string(i) + ": tensor<f32>";
    if (i > 0) {
      sum += "%s" + std::to_string(i) + " = stablehlo.add %s" + std::to_string(i - 1) + ", %a" + std::to_string(i) +
             " : tensor<f32>\n";
    }
    arguments.push_back(value_of(client.upload(static_cast<float>(i))));
  }
  const LoadedExecutable add = compile("module { func.func public @main(" + parameters + ") -> tensor<f32> {\n" + sum +
                                       "return %s49 : tensor<f32> } }");
  const Outputs outputs = value_of(add.execute(std::span<const Buffer>(arguments)));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), Floats{1225});  // 0 twice, and 1 … 49
}

TEST_P(Execute, TakesArgumentsFromAnyMemoryOfTheDevice) {
  for (const Memory memory : client.devices().front().memories()) {
    const Buffer a = value_of(client.upload(Floats{1, 2, 3}, {3}, {.memory = memory}));
    const Outputs twice = value_of(compile(test::kDouble)(a));
    EXPECT_EQ(value_of(twice[0].to_vector<float>()), (Floats{2, 4, 6})) << memory.kind();
  }
}

TEST_P(Execute, OutputsOutliveArgumentsAndProgram) {
  std::optional<LoadedExecutable> twice = compile(test::kDouble);
  std::optional<Buffer> a = three();
  const Outputs outputs = value_of((*twice)(*a));
  a.reset();
  twice.reset();
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
}

// Contents to come.

TEST_P(Execute, RunsWhenItsArgumentsAreThere) {
  AliasBuffer alias = pending();
  const Outputs twice = value_of(compile(test::kDouble)(alias.buffer));
  EXPECT_FALSE(twice[0].ready().is_ready());
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  EXPECT_EQ(value_of(twice[0].to_vector<float>()), (Floats{2, 4, 6}));
}

TEST_P(Execute, FailsWithAnArgumentThatNeverComes) {
  AliasBuffer alias = pending();
  const Outputs outputs = value_of(compile(kSumAndProduct)(alias.buffer, three()));
  ASSERT_OK(alias.fulfillment.fail(Error(ErrorCode::DataLoss, "nothing came")));
  for (const Buffer& output : outputs) {
    const Result<HostBuffer> host = output.to_host();
    ASSERT_FALSE(host);
    EXPECT_NE(to_string(host.error()).find("nothing came"), std::string::npos) << host.error();
  }
  EXPECT_FALSE(outputs.await());
}

TEST_P(Execute, WithoutResultsFailsInItsEvent) {
  AliasBuffer alias = pending();
  const Outputs nothing = value_of(compile(test::kNoOutputs)(alias.buffer));
  ASSERT_OK(alias.fulfillment.fail(Error(ErrorCode::DataLoss, "nothing came")));
  const Result<void> outcome = nothing.await();
  ASSERT_FALSE(outcome);
  EXPECT_NE(to_string(outcome.error()).find("nothing came"), std::string::npos) << outcome.error();
}

// Arguments that never reach the plugin.

TEST_P(Execute, WantsAsManyArgumentsAsThereAreParameters) {
  const LoadedExecutable add = compile(test::kAdd);
  const Buffer a = three();
  EXPECT_ERROR(add(), InvalidArgument, "executable 'add': 0 arguments, the program takes 2");
  EXPECT_ERROR(add(a), InvalidArgument, "executable 'add': 1 argument, the program takes 2");
  EXPECT_ERROR(add(a, a, a), InvalidArgument, "executable 'add': 3 arguments, the program takes 2");
  EXPECT_EQ(executions(), 0);
}

TEST_P(Execute, WantsTheElementType) {  // plugins take any type of that many bytes and compute nonsense
  const Buffer ints = value_of(client.upload(std::vector<std::int32_t>{1, 2, 3}, {3}));
  EXPECT_ERROR(compile(test::kAdd)(three(), ints), InvalidArgument, "is s32[3], the program takes f32[3]");
  EXPECT_ERROR(compile(test::kAdd)(three(), ints), InvalidArgument, "argument 1");
  EXPECT_EQ(executions(), 0);
}

TEST_P(Execute, WantsTheDimensions) {  // as above
  const Buffer row = value_of(client.upload(Floats{1, 2, 3}, {1, 3}));
  const Buffer four = value_of(client.upload(Floats{1, 2, 3, 4}, {4}));
  EXPECT_ERROR(compile(test::kDouble)(row), InvalidArgument, "is f32[1,3], the program takes f32[3]");
  EXPECT_ERROR(compile(test::kDouble)(four), InvalidArgument, "is f32[4], the program takes f32[3]");
  EXPECT_EQ(executions(), 0);
}

TEST_P(Execute, WantsTheDevice) {
  const Buffer elsewhere = value_of(client.upload(Floats{1, 2, 3}, {3}, {.device = client.devices()[1]}));
  EXPECT_ERROR(compile(test::kDouble)(elsewhere), InvalidArgument, "is on device " + client.devices()[1].to_string());
  EXPECT_EQ(executions(), 0);
}

TEST_P(Execute, WantsBuffersOfItsClient) {
  const Client other = test::make_client(client.plugin());
  const Buffer theirs = value_of(other.upload(Floats{1, 2, 3}, {3}));
  EXPECT_ERROR(compile(test::kDouble)(theirs), InvalidArgument, "belongs to another client");
  EXPECT_EQ(executions(), 0);
}

TEST_P(Execute, WantsBuffersOfItsPlugin) {
  const std::string name = GetParam() == "cpu" ? "cpu-0.106" : "cpu";
  REQUIRE_PLUGIN(name);
  const Buffer theirs = value_of(test::make_client(test::counted_plugin(name)).upload(Floats{1, 2, 3}, {3}));
  EXPECT_ERROR(compile(test::kDouble)(theirs), InvalidArgument, "belongs to another plugin");
  EXPECT_EQ(executions(), 0);
}

TEST_P(Execute, WantsBuffersThatAreThere) {
  const LoadedExecutable twice = compile(test::kDouble);
  Buffer a = three();
  const Buffer moved = std::move(a);
  EXPECT_ERROR(twice(a), FailedPrecondition, "was moved from");
  a = three();
  ASSERT_OK(a.delete_now());
  EXPECT_ERROR(twice(a), FailedPrecondition, "the buffer f32[3] is gone: it was deleted");
  EXPECT_EQ(executions(), 0);
}

constexpr const char* kTranspose = R"(
module @flip {
  func.func public @main(%a: tensor<2x3xf32>) -> tensor<3x2xf32> {
    %b = stablehlo.transpose %a, dims = [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
    return %b : tensor<3x2xf32>
  }
})";

TEST_P(Execute, WantsTheLayout) {  // plugins read another one as if it were theirs
  const Result<Buffer> a =
      client.upload(Floats{1, 2, 3, 4, 5, 6}, {2, 3}, {.layout = MemoryLayout(Layout::column_major(2))});
  if (!a) GTEST_SKIP() << "no other layouts on " << GetParam();
  EXPECT_ERROR(compile(kTranspose)(*a), InvalidArgument, "has the layout {0,1}, the program takes {1,0}");
  EXPECT_EQ(executions(), 0);
}

TEST_P(Execute, TakesNoDynamicSizesForFixedOnes) {
  const LoadedExecutable first = compile(R"(
module @first {
  func.func public @main(%x: tensor<3xf32>, %n: tensor<i32>) -> tensor<?xf32, #stablehlo.bounds<3>> {
    %cut = stablehlo.set_dimension_size %x, %n, dim = 0 : (tensor<3xf32>, tensor<i32>) -> tensor<?xf32, #stablehlo.bounds<3>>
    return %cut : tensor<?xf32, #stablehlo.bounds<3>>
  }
})");
  const Outputs cut = value_of(first(three(), value_of(client.upload(2))));
  EXPECT_ERROR(compile(test::kDouble)(cut[0]), InvalidArgument, "");
}

TEST_P(Execute, TakesNoTuples) {  // 0.81 aborts
  const LoadedExecutable second = compile(R"(
module @second {
  func.func public @main(%t: tuple<tensor<3xf32>, tensor<3xf32>>) -> tensor<3xf32> {
    %b = stablehlo.get_tuple_element %t[1] : (tuple<tensor<3xf32>, tensor<3xf32>>) -> tensor<3xf32>
    return %b : tensor<3xf32>
  }
})");
  EXPECT_ERROR(second(three(), three()), InvalidArgument, "it takes a tuple, and no argument is one");
  EXPECT_ERROR(second.prepare(three()), InvalidArgument, "it takes a tuple, and no argument is one");
  EXPECT_EQ(executions(), 0);
}

TEST_P(Execute, MakesATupleOfTheArgumentsWhereItIsTold) {
  const CompileOptions tupled = CompileOptions().parameter_is_tupled_arguments(true);
  const LoadedExecutable add = compile(test::kAdd, tupled);
  EXPECT_EQ(value_of(value_of(add(three(), three()))[0].to_vector<float>()), (Floats{2, 4, 6}));
  EXPECT_ERROR(add(three()), InvalidArgument, "1 argument, the program takes 2");
  const SerializedExecutable serialized = value_of(add.executable().serialize());
  const LoadedExecutable loaded = value_of(client.deserialize(serialized, {.compile_options = tupled}));
  EXPECT_EQ(value_of(value_of(loaded(three(), three()))[0].to_vector<float>()), (Floats{2, 4, 6}));
}

// Tokens.

constexpr const char* kToken = R"(
module @token {
  func.func public @main(%a: tensor<3xf32>) -> (tensor<3xf32>, !stablehlo.token) {
    %t = stablehlo.create_token : !stablehlo.token
    return %a, %t : tensor<3xf32>, !stablehlo.token
  }
})";

TEST_P(Execute, TokensHoldNothingToDownload) {  // plugins abort
  const Outputs outputs = value_of(compile(kToken)(three()));
  ASSERT_EQ(outputs.size(), 2u);
  const Buffer& token = outputs[1];
  EXPECT_EQ(to_string(token.shape()), "token[]");
  EXPECT_OK(token.ready().await());
  EXPECT_ERROR(token.to_host(), Unimplemented, "of type token");
  EXPECT_ERROR(token.to_host_async().await(), Unimplemented, "of type token");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_ToHostBuffer"), 0);
}

TEST_P(Execute, TokensHaveNoLayoutAndNoCopies) {  // plugins abort
  const Outputs outputs = value_of(compile(kToken)(three()));
  const Buffer& token = outputs[1];
  EXPECT_ERROR(token.layout(), Unimplemented, "a token has no memory");
  EXPECT_ERROR(token.copy_to_device(client.devices()[1]), Unimplemented, "a token has no memory");
  EXPECT_ERROR(token.copy_to_memory(value_of(client.devices()[1].default_memory())), Unimplemented,
               "a token has no memory");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_GetMemoryLayout"), 0);
}

TEST_P(Execute, TokensGoFromOneProgramToTheNext) {
  const Outputs outputs = value_of(compile(kToken)(three()));
  const LoadedExecutable next = compile(R"(
module @next {
  func.func public @main(%t: !stablehlo.token, %a: tensor<3xf32>) -> (tensor<3xf32>, !stablehlo.token) {
    return %a, %t : tensor<3xf32>, !stablehlo.token
  }
})");
  EXPECT_EQ(value_of(value_of(next(outputs[1], outputs[0]))[0].to_vector<float>()), (Floats{1, 2, 3}));
  EXPECT_ERROR(next(outputs[0], outputs[0]), InvalidArgument, "is f32[3], the program takes token[]");
}

}  // namespace
}  // namespace pjrt
