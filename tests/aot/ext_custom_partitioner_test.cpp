// Custom calls that we partition for the CUDA compiler, without a GPU. The program has a custom call on f32[4], cut
// over two GPUs; what stands in its place on each takes f32[2] and calls an FFI handler, for which no PTX is needed.

#include "pjrt/ext/custom_partitioner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "aot/targets.hpp"
#include "pjrt/ext/gpu_custom_call.hpp"
#include "pjrt/sharding.hpp"
#include "plugin/ffi_handlers.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using ext::CustomCallPartitioner;
using ext::CustomCallToPartition;
using ext::CustomPartitioner;
using ext::PartitionedCustomCall;
using test::value_of;

/// What a program says of how the call's result is cut.
enum class Said { Cut, Nothing, UserCut };

/// The custom call on an argument that is cut in two. Its result is cut too, or nothing is said of it, or it is wanted
/// as 2 rows, cut.
std::string program(const std::string& target, Said said) {
  return R"(module @call attributes {mhlo.num_partitions = 2 : i32} {
    func.func public @main(%x: tensor<4xf32> {mhlo.sharding = "{devices=[2]<=[2]}"}) -> ()" +
         std::string(said == Said::Cut       ? R"(tensor<4xf32> {mhlo.sharding = "{devices=[2]<=[2]}"})"
                     : said == Said::Nothing ? "tensor<4xf32>"
                                             : R"(tensor<2x2xf32> {mhlo.sharding = "{devices=[2,1]<=[2]}"})") +
         R"() {
      %y = stablehlo.custom_call @)" +
         target + R"((%x) {backend_config = "settings"} : (tensor<4xf32>) -> tensor<4xf32>)" +
         (said == Said::UserCut ? R"(
      %z = stablehlo.reshape %y : (tensor<4xf32>) -> tensor<2x2xf32>
      return %z : tensor<2x2xf32>)"
                                : R"(
      return %y : tensor<4xf32>)") +
         R"(
    }
  })";
}

constexpr const char* kOnEach = R"(module @on_each {
  func.func public @main(%x: tensor<2xf32>) -> tensor<2xf32> {
    %y = stablehlo.custom_call @pjrt_test_nothing(%x) {api_version = 4 : i32, backend_config = {}} : (tensor<2xf32>) -> tensor<2xf32>
    return %y : tensor<2xf32>
  }
})";

/// xla.OpSharding {devices=[2]0,1}: type OTHER (3), tile_assignment_dimensions [2], tile_assignment_devices [0, 1].
const std::string kInTwo("\x08\x03\x1a\x01\x02\x22\x02\x00\x01", 9);

using Partitioned = Result<PartitionedCustomCall>;

Partitioned in_two(const CustomCallToPartition&) {
  return PartitionedCustomCall{kOnEach, {kInTwo}, kInTwo};
}

class CustomPartitioners : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_PLUGIN("cuda");
    ASSERT_OK(value_of(cuda.extension<ext::GpuCustomCall>())
                  .register_typed("pjrt_test_nothing", {.execute = test::do_nothing}));
  }

  Result<Executable> compile_program(const std::string& code) const {
    return pjrt::compile(
        test::h100(cuda, "1 x 1 x 2"), Program::mlir(code),
        CompileOptions{}.num_partitions(2).use_spmd(true).allow_spmd_sharding_propagation_to_output({true}));
  }
  Result<Executable> compile(Said said = Said::Cut) const { return compile_program(program(target, said)); }

  /// Partitioners are there for good: each test has a name of its own.
  const std::string target = ::testing::UnitTest::GetInstance()->current_test_info()->name();
  Plugin cuda = test::counted_plugin("cuda");
  CustomPartitioner partitioners = value_of(cuda.extension<CustomPartitioner>());
};

TEST_F(CustomPartitioners, SeeTheCallAndPutAModuleInItsPlace) {
  std::vector<std::string> seen;
  std::thread::id thread;
  ASSERT_OK(partitioners.register_custom_partitioner(target, {.partition = [&](const CustomCallToPartition& call) {
                                                       EXPECT_EQ(call.operands.size(), 1u);
                                                       EXPECT_EQ(call.backend_config, "settings");
                                                       for (const auto& array : {call.operands[0], call.result}) {
                                                         seen.emplace_back(array.shape);
                                                         seen.emplace_back(array.sharding.value());
                                                       }
                                                       thread = std::this_thread::get_id();
                                                       return in_two(call);
                                                     }}));
  const Executable e = value_of(compile());
  ASSERT_EQ(seen.size(), 4u);
  for (const std::size_t i : {0, 2}) {
    EXPECT_EQ(test::fields_of(seen[i], 2).at(0).value, 11u);  // ShapeProto.element_type: F32
    EXPECT_EQ(test::only_bytes(seen[i], 3), "\x04");          // dimensions
    EXPECT_EQ(value_of(Sharding::parse(seen[i + 1], 1)), value_of(Sharding::parse(kInTwo, 1)));
  }
  EXPECT_EQ(thread, std::this_thread::get_id());
  const Program optimized = value_of(e.optimized_program());
  EXPECT_NE(optimized.code().find("pjrt_test_nothing"), std::string_view::npos);
}

TEST_F(CustomPartitioners, AreNotCalledForOtherNames) {
  int calls = 0;
  ASSERT_OK(
      partitioners.register_custom_partitioner(target + "2", {.partition = [&](const CustomCallToPartition& call) {
                                                 ++calls;
                                                 return in_two(call);
                                               }}));
  (void)compile();
  EXPECT_EQ(calls, 0);
}

TEST_F(CustomPartitioners, TheFirstOfANameStays) {
  std::string called;
  const auto marked = [&called](char mark) -> CustomCallPartitioner {
    return {.partition = [&called, mark](const CustomCallToPartition& call) {
      called += mark;
      return in_two(call);
    }};
  };
  ASSERT_OK(partitioners.register_custom_partitioner(target, marked('a')));
  EXPECT_ERROR(partitioners.register_custom_partitioner(target, marked('b')), AlreadyExists,
               "there is a partitioner for '" + target + "'");
  ASSERT_OK(compile());
  EXPECT_EQ(called, "a");
}

TEST_F(CustomPartitioners, InferTheResultsShardingFromTheOperands) {
  std::string operand_sharding;
  ASSERT_OK(partitioners.register_custom_partitioner(
      target,
      {.partition = in_two,
       .infer_sharding_from_operands = [&](const CustomCallToPartition& call) -> Result<std::optional<std::string>> {
         operand_sharding = call.operands[0].sharding.value();
         EXPECT_EQ(test::only_bytes(call.result.shape, 3), "\x04");
         EXPECT_FALSE(call.result.sharding);
         EXPECT_EQ(call.backend_config, "settings");
         return kInTwo;
       }}));
  ASSERT_OK(compile(Said::Nothing));
  EXPECT_EQ(value_of(Sharding::parse(operand_sharding, 1)), value_of(Sharding::parse(kInTwo, 1)));
}

TEST_F(CustomPartitioners, PropagateTheShardingThatAUserWants) {
  std::string wanted;
  ASSERT_OK(partitioners.register_custom_partitioner(
      target, {.partition = in_two,
               .propagate_user_sharding = [&](std::string_view sharding, std::string_view shape,
                                              std::string_view config) -> Result<std::string> {
                 wanted = sharding;
                 EXPECT_EQ(test::only_bytes(shape, 3), "\x04");
                 EXPECT_EQ(config, "settings");
                 return kInTwo;
               }}));
  ASSERT_OK(compile(Said::UserCut));
  EXPECT_EQ(value_of(Sharding::parse(wanted, 1)), value_of(Sharding::parse(kInTwo, 1)));
}

TEST_F(CustomPartitioners, ErrorsFailTheCompilation) {
  ASSERT_OK(partitioners.register_custom_partitioner(
      target, {.partition = [](const CustomCallToPartition&) -> Partitioned {
        return std::unexpected(Error(ErrorCode::OutOfRange, "cannot be cut so"));
      }}));
  EXPECT_ERROR(compile(), OutOfRange, "cannot be cut so");
}

TEST_F(CustomPartitioners, ExceptionsFailTheCompilation) {
  ASSERT_OK(partitioners.register_custom_partitioner(
      target,
      {.partition = [](const CustomCallToPartition&) -> Partitioned { throw std::runtime_error("not today"); }}));
  EXPECT_ERROR(compile(), Internal, "the partitioner threw: not today");
}

TEST_F(CustomPartitioners, ExceptionsOfAnyTypeFailTheCompilation) {
  ASSERT_OK(partitioners.register_custom_partitioner(
      target, {.partition = [](const CustomCallToPartition&) -> Partitioned { throw 1; }}));
  EXPECT_ERROR(compile(), Internal, "the partitioner threw something");
}

// The plugin would end the process, were it told at once.
TEST_F(CustomPartitioners, WhatFailsInInferenceFailsTheCompilation) {
  ASSERT_OK(partitioners.register_custom_partitioner(
      target, {.partition = in_two,
               .infer_sharding_from_operands = [](const CustomCallToPartition&) -> Result<std::optional<std::string>> {
                 throw std::runtime_error("not today");
               }}));
  EXPECT_ERROR(compile(Said::Nothing), Internal, "the partitioner's inference threw: not today");
}

TEST_F(CustomPartitioners, WhatFailsInPropagationFailsTheCompilation) {
  ASSERT_OK(partitioners.register_custom_partitioner(
      target, {.partition = in_two,
               .propagate_user_sharding = [](std::string_view, std::string_view, std::string_view)
                   -> Result<std::string> { return std::unexpected(Error(ErrorCode::OutOfRange, "not so")); }}));
  EXPECT_ERROR(compile(Said::UserCut), OutOfRange, "not so");
}

TEST_F(CustomPartitioners, WantAShardingForEachOperand) {
  ASSERT_OK(
      partitioners.register_custom_partitioner(target, {.partition = [](const CustomCallToPartition&) -> Partitioned {
                                                 return PartitionedCustomCall{kOnEach, {}, kInTwo};
                                               }}));
  EXPECT_ERROR(compile(), InvalidArgument, "the partitioner gave 0 shardings for 1 operands");
}

TEST_F(CustomPartitioners, ShardingsThatAreNoneFailTheCompilation) {
  ASSERT_OK(
      partitioners.register_custom_partitioner(target, {.partition = [](const CustomCallToPartition&) -> Partitioned {
                                                 return PartitionedCustomCall{kOnEach, {"none"}, "none"};
                                               }}));
  EXPECT_ERROR(compile(), Internal, "OpSharding");
}

// Four rows, cut along them: each device can do its own, unless nobody says so.
TEST_F(CustomPartitioners, AreNotNeededForCallsThatDoTheSameToEveryRow) {
  ASSERT_OK(value_of(cuda.extension<ext::GpuCustomCall>()).register_typed(target, {.execute = test::do_nothing}));
  const std::string rows = R"(module @rows attributes {mhlo.num_partitions = 2 : i32} {
    func.func public @main(%x: tensor<4x3xf32> {mhlo.sharding = "{devices=[2,1]<=[2]}"})
        -> (tensor<4x3xf32> {mhlo.sharding = "{devices=[2,1]<=[2]}"}) {
      %y = stablehlo.custom_call @)" +
                           target + R"((%x) {
        api_version = 4 : i32, backend_config = {}, mhlo.frontend_attributes = {num_batch_dims = "1"},
        operand_layouts = [dense<[1, 0]> : tensor<2xindex>], result_layouts = [dense<[1, 0]> : tensor<2xindex>]
      } : (tensor<4x3xf32>) -> tensor<4x3xf32>
      return %y : tensor<4x3xf32>
    }
  })";
  const auto gathers = [&] {
    const auto e = compile_program(rows);
    // Cutting what was gathered takes PTX, for which there may be no compiler.
    if (!e) return true;
    const Program optimized = value_of(e->optimized_program());
    return optimized.code().find("all-gather") != std::string_view::npos;
  };
  EXPECT_TRUE(gathers());
  ASSERT_OK(partitioners.register_batch_partitionable(target));
  EXPECT_FALSE(gathers());
}

TEST_F(CustomPartitioners, WithoutANameOrAFunctionAreRefused) {
  EXPECT_ERROR(partitioners.register_custom_partitioner("", {.partition = in_two}), InvalidArgument,
               "a name and a function");
  EXPECT_ERROR(partitioners.register_custom_partitioner(target, {}), InvalidArgument, "a name and a function");
  EXPECT_ERROR(partitioners.register_batch_partitionable(""), InvalidArgument, "a name");
}

}  // namespace
}  // namespace pjrt
