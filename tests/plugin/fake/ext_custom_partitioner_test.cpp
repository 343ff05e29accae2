// The CustomPartitioner extension: what a compiler sees of our functions, without one.

#include "pjrt/ext/custom_partitioner.hpp"

#include <memory>
#include <stdexcept>
#include <thread>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using ext::CustomCallPartitioner;
using ext::CustomCallToPartition;
using ext::CustomPartitioner;
using ext::PartitionedCustomCall;
using test::value_of;
using ::testing::ElementsAre;
namespace fn = test::fn;

using Partitioned = Result<PartitionedCustomCall>;
using CString = abi::JAX_CustomCallPartitioner_string;

CString to_c(std::string_view s) {
  return {s.data(), s.size()};
}
std::string text(const CString& s) {
  return s.data != nullptr ? std::string(s.data, s.size) : std::string();
}

/// Plugins keep registrations for ever.
std::vector<abi::JAX_CustomCallPartitioner_Callbacks*>& kept() {
  static auto* const all = new std::vector<abi::JAX_CustomCallPartitioner_Callbacks*>;
  return *all;
}

class ExtCustomPartitioner : public test::OnFake {
 protected:
  ExtCustomPartitioner() {
    fake.on<fn::PJRT_Register_Custom_Partitioner>([this](auto& a) {
      names.emplace_back(a.name, a.name_size);
      kept().push_back(a.callbacks);
    });
    fake.on<fn::PJRT_Register_Batch_Partitionable>([this](auto& a) { names.emplace_back(a.name, a.name_size); });
  }

  Result<void> enroll(CustomCallPartitioner partitioner) {
    return partitioners.register_custom_partitioner("ours", std::move(partitioner));
  }

  /// As a compiler would: fields that it leaves unset are filled with what must not matter.
  template <class Args>
  static Args unset() {
    Args args;
    std::memset(static_cast<void*>(&args), 0x5a, sizeof args);
    args.header.api_version = 0;
    args.header.data = nullptr;
    args.header.cleanup_fn = nullptr;
    return args;
  }

  /// An error, or the module and its shardings.
  static std::vector<std::string> partition() {
    auto args = unset<abi::JAX_CustomCallPartitioner_Partition_Args>();
    abi::JAX_CustomCallPartitioner_aval operands[] = {{to_c("shape 0"), true, to_c("sharding 0")},
                                                      {to_c("shape 1"), false, to_c("no sharding")}};
    args.num_args = 2;
    args.op_args = operands;
    args.op_result = {to_c("result shape"), true, to_c("result sharding")};
    args.backend_config = to_c("settings");
    kept().back()->partition(kept().back(), &args);
    std::vector<std::string> seen;
    if (args.header.has_error) {
      seen = {std::to_string(args.header.code), text(args.header.error_msg)};
    } else {
      seen = {text(args.mlir_module), text(args.args_sharding[0]), text(args.args_sharding[1]),
              text(args.result_sharding)};
    }
    args.header.cleanup_fn(args.header.data);
    return seen;
  }

  /// The inferred sharding, if there is one; an error would end the process.
  static std::optional<std::string> infer() {
    auto args = unset<abi::JAX_CustomCallPartitioner_InferShardingFromOperands_Args>();
    abi::JAX_CustomCallPartitioner_aval operand = {to_c("shape 0"), true, to_c("sharding 0")};
    args.num_args = 1;
    args.op_args = &operand;
    args.result_shape = to_c("result shape");
    args.backend_config = to_c("settings");
    kept().back()->infer_sharding(kept().back(), &args);
    EXPECT_FALSE(args.header.has_error);
    const auto result = args.has_result_sharding ? std::optional(text(args.result_sharding)) : std::nullopt;
    args.header.cleanup_fn(args.header.data);
    return result;
  }

  static std::string propagate(std::string_view wanted) {
    auto args = unset<abi::JAX_CustomCallPartitioner_PropagateUserSharding_Args>();
    args.result_shape = to_c("result shape");
    args.result_sharding = to_c(wanted);
    args.backend_config = to_c("settings");
    kept().back()->propagate_user_sharding(kept().back(), &args);
    EXPECT_FALSE(args.header.has_error);
    const std::string result = text(args.result_sharding);
    args.header.cleanup_fn(args.header.data);
    return result;
  }

  static Partitioned nothing(const CustomCallToPartition& call) {
    return PartitionedCustomCall{"module", std::vector<std::string>(call.operands.size()), ""};
  }

  const CustomPartitioner partitioners = value_of(CustomPartitioner::of(plugin));
  std::vector<std::string> names;
};

TEST_F(ExtCustomPartitioner, RegistersByName) {
  EXPECT_OK(enroll({.partition = nothing, .can_side_effecting_have_replicated_sharding = true}));
  EXPECT_TRUE(kept().back()->can_side_effecting_have_replicated_sharding);
  EXPECT_OK(partitioners.register_batch_partitionable("rows"));
  EXPECT_THAT(names, ElementsAre("ours", "rows"));
}

TEST_F(ExtCustomPartitioner, SeesTheCallAndGivesItsReplacement) {
  ASSERT_OK(enroll({.partition = [](const CustomCallToPartition& call) -> Partitioned {
    EXPECT_EQ(call.operands[0].shape, "shape 0");
    EXPECT_EQ(call.operands[0].sharding, "sharding 0");
    EXPECT_EQ(call.operands[1].shape, "shape 1");
    EXPECT_EQ(call.operands[1].sharding, std::nullopt);
    EXPECT_EQ(call.result.shape, "result shape");
    EXPECT_EQ(call.result.sharding, "result sharding");
    EXPECT_EQ(call.backend_config, "settings");
    return PartitionedCustomCall{"module", {"a", "b"}, "c"};
  }}));
  EXPECT_THAT(partition(), ElementsAre("module", "a", "b", "c"));
}

TEST_F(ExtCustomPartitioner, ErrorsAndExceptionsAreHandedToTheCompiler) {
  ASSERT_OK(enroll({.partition = [](const CustomCallToPartition&) -> Partitioned {
    return std::unexpected(Error(ErrorCode::OutOfRange, "too many"));
  }}));
  EXPECT_THAT(partition(), ElementsAre("11", "too many"));  // PJRT_Error_Code_OUT_OF_RANGE
  ASSERT_OK(enroll(
      {.partition = [](const CustomCallToPartition&) -> Partitioned { throw std::runtime_error("not today"); }}));
  EXPECT_THAT(partition(), ElementsAre("13", "the partitioner threw: not today"));  // INTERNAL
}

TEST_F(ExtCustomPartitioner, ShardingsAreCounted) {
  ASSERT_OK(enroll({.partition = [](const CustomCallToPartition&) -> Partitioned {
    return PartitionedCustomCall{"module", {"a"}, "c"};
  }}));
  EXPECT_THAT(partition(), ElementsAre("3", "the partitioner gave 1 shardings for 2 operands"));  // INVALID_ARGUMENT
}

TEST_F(ExtCustomPartitioner, InfersWhatItCan) {
  std::optional<std::string> answer = "inferred";
  ASSERT_OK(enroll(
      {.partition = nothing,
       .infer_sharding_from_operands = [&](const CustomCallToPartition& call) -> Result<std::optional<std::string>> {
         EXPECT_EQ(call.operands[0].sharding, "sharding 0");
         EXPECT_EQ(call.result.shape, "result shape");
         EXPECT_EQ(call.result.sharding, std::nullopt);
         return answer;
       }}));
  EXPECT_EQ(infer(), "inferred");
  answer = std::nullopt;
  EXPECT_EQ(infer(), std::nullopt);
}

TEST_F(ExtCustomPartitioner, PropagatesWhatItLikes) {
  ASSERT_OK(enroll({.partition = nothing,
                    .propagate_user_sharding = [](std::string_view sharding, std::string_view shape,
                                                  std::string_view config) -> Result<std::string> {
                      return std::string(sharding) + " of " + std::string(shape) + " with " + std::string(config);
                    }}));
  EXPECT_EQ(propagate("halves"), "halves of result shape with settings");
}

TEST_F(ExtCustomPartitioner, WithoutTheOtherFunctionsInfersNothingAndPropagatesAll) {
  ASSERT_OK(enroll({.partition = nothing}));
  EXPECT_EQ(infer(), std::nullopt);
  EXPECT_EQ(propagate("halves"), "halves");
}

// Compilers end the process where inference or propagation fails.
TEST_F(ExtCustomPartitioner, WhatFailsElsewhereFailsThePartitionThatComesNext) {
  ASSERT_OK(enroll(
      {.partition = nothing,
       .infer_sharding_from_operands = [](const CustomCallToPartition&) -> Result<std::optional<std::string>> {
         throw std::runtime_error("not today");
       },
       .propagate_user_sharding = [](std::string_view, std::string_view, std::string_view) -> Result<std::string> {
         return std::unexpected(Error(ErrorCode::OutOfRange, "too many"));
       }}));
  EXPECT_EQ(infer(), std::nullopt);
  EXPECT_THAT(partition(), ElementsAre("13", "the partitioner's inference threw: not today"));
  EXPECT_EQ(propagate("halves"), "halves");
  EXPECT_THAT(partition(), ElementsAre("11", "too many"));
  EXPECT_EQ(partition().at(0), "module");
}

TEST_F(ExtCustomPartitioner, WhatFailsOnOneThreadDoesNotFailAnother) {
  ASSERT_OK(enroll({.partition = nothing,
                    .infer_sharding_from_operands =
                        [](const CustomCallToPartition&) -> Result<std::optional<std::string>> { throw 1; }}));
  std::thread([] { EXPECT_EQ(infer(), std::nullopt); }).join();
  EXPECT_EQ(partition().at(0), "module");
}

TEST_F(ExtCustomPartitioner, ANameMayBeTakenForGood) {
  fake.on<fn::PJRT_Register_Custom_Partitioner>([](auto& a) { a.callbacks->dtor(a.callbacks); });
  EXPECT_ERROR(enroll({.partition = nothing}), AlreadyExists, "there is a partitioner for 'ours'");
}

TEST_F(ExtCustomPartitioner, ANameMayBeTakenOver) {
  ASSERT_OK(enroll({.partition = nothing}));
  fake.on<fn::PJRT_Register_Custom_Partitioner>([](auto& a) {
    kept().back()->dtor(kept().back());
    kept().push_back(a.callbacks);
  });
  EXPECT_OK(enroll({.partition = nothing}));
}

TEST_F(ExtCustomPartitioner, KeepsItsFunctionsForGoodAndDropsThoseThatWereRefused) {
  auto owner = std::make_shared<int>();
  const auto with_owner = [owner](const CustomCallToPartition& call) { return nothing(call); };
  ASSERT_OK(enroll({.partition = with_owner}));
  EXPECT_EQ(owner.use_count(), 3);  // ours, the function's, the registration's
  fake.fail<fn::PJRT_Register_Custom_Partitioner>(ErrorCode::Internal, "full");
  EXPECT_ERROR(enroll({.partition = with_owner}), Internal, "full");
  EXPECT_EQ(owner.use_count(), 3);
}

TEST_F(ExtCustomPartitioner, WantsANameAndAFunction) {
  EXPECT_ERROR(enroll({}), InvalidArgument, "a name and a function");
  EXPECT_ERROR(partitioners.register_custom_partitioner("", {.partition = nothing}), InvalidArgument,
               "a name and a function");
  EXPECT_ERROR(partitioners.register_batch_partitionable(""), InvalidArgument, "a name");
  EXPECT_THAT(names, ::testing::IsEmpty());
}

}  // namespace
}  // namespace pjrt
