// What a compiled program tells of itself, and what is left of it when it is deleted.

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
using ::testing::ElementsAre;
using Floats = std::vector<float>;

/// Three results of different types; the first argument gives its memory to the first.
constexpr const char* kThreeResults = R"(
module @three_results {
  func.func public @main(%x: tensor<2x3xf32> {tf.aliasing_output = 0 : i32}, %n: tensor<i32>)
      -> (tensor<2x3xf32>, tensor<i32>, tensor<6xf32>) {
    %twice = stablehlo.add %x, %x : tensor<2x3xf32>
    %next = stablehlo.add %n, %n : tensor<i32>
    %flat = stablehlo.reshape %x : (tensor<2x3xf32>) -> tensor<6xf32>
    return %twice, %next, %flat : tensor<2x3xf32>, tensor<i32>, tensor<6xf32>
  }
})";

class Executables : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  bool is_new() const { return GetParam() == "cpu"; }
  LoadedExecutable compile(const char* program, const CompileOptions& options = {}) const {
    return value_of(client.compile(Program::mlir(program), options));
  }

  Client client = test::make_client(test::counted_plugin(GetParam()), 4);
};

INSTANTIATE_TEST_SUITE_P(Matrix, Executables, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Executables, AreCalledAsTheirModule) {
  const LoadedExecutable add = compile(test::kAdd);
  EXPECT_EQ(add.name(), "add");
  EXPECT_EQ(value_of(add.executable().name()), "add");
}

TEST_P(Executables, TellTheShapesOfTheirOutputs) {
  const LoadedExecutable three = compile(kThreeResults);
  EXPECT_EQ(value_of(three.executable().num_outputs()), 3u);
  const std::vector<Shape> shapes = value_of(three.executable().output_shapes());
  EXPECT_THAT(shapes,
              ElementsAre(Shape{ElementType::F32, {2, 3}}, Shape{ElementType::S32, {}}, Shape{ElementType::F32, {6}}));
  EXPECT_TRUE(std::ranges::equal(three.output_shapes(), shapes));
}

TEST_P(Executables, TellTheirParameters) {
  const LoadedExecutable three = compile(kThreeResults);
  const std::span<const Parameter> parameters = value_of(three.parameters());
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(to_string(parameters[0].shape), "f32[2,3]");
  EXPECT_TRUE(parameters[0].donated);
  EXPECT_EQ(to_string(parameters[1].shape), "s32[]");
  EXPECT_FALSE(parameters[1].donated);
}

TEST_P(Executables, WithoutOutputsHaveNone) {
  const LoadedExecutable none = compile(test::kNoOutputs);
  EXPECT_EQ(value_of(none.executable().num_outputs()), 0u);
  EXPECT_THAT(value_of(none.executable().output_shapes()), ElementsAre());
}

TEST_P(Executables, TellHowManyReplicasAndPartitionsTheyHave) {
  const LoadedExecutable add = compile(test::kAdd);
  EXPECT_EQ(value_of(add.executable().num_replicas()), 1);
  EXPECT_EQ(value_of(add.executable().num_partitions()), 1);
  const LoadedExecutable replicas = compile(test::kAdd, CompileOptions().num_replicas(2));
  EXPECT_EQ(value_of(replicas.executable().num_replicas()), 2);
  const LoadedExecutable all = compile(test::kAllReduce, CompileOptions().num_partitions(4).use_spmd(true));
  EXPECT_EQ(value_of(all.executable().num_partitions()), 4);
}

TEST_P(Executables, TellTheMemoryKindsOfOutputs) {
  const auto kinds = compile(test::kAdd).executable().output_memory_kinds();
  if (is_new()) {
    EXPECT_THAT(kinds.value(), ElementsAre(value_of(client.devices().front().default_memory()).kind()));
  } else {
    EXPECT_ERROR(kinds, Unimplemented, "");
  }
}

TEST_P(Executables, TellTheMemoryKindsOfParametersSinceApi0102) {
  const auto kinds = compile(test::kAdd).executable().parameter_memory_kinds();
  if (is_new()) {
    const std::string kind = value_of(client.devices().front().default_memory()).kind();
    EXPECT_THAT(kinds.value(), ElementsAre(kind, kind));
  } else {
    EXPECT_ERROR(kinds, Unimplemented, GetParam() == "cpu-0.81" ? "0.102" : "");
  }
}

TEST_P(Executables, TellTheSizeOfTheirCode) {
  EXPECT_GE(value_of(compile(test::kAdd).executable().size_of_generated_code()), 0);
}

TEST_P(Executables, HaveTheSameFingerprintForTheSameProgramOnly) {
  const std::string add = value_of(compile(test::kAdd).executable().fingerprint());
  EXPECT_FALSE(add.empty());
  EXPECT_EQ(value_of(compile(test::kAdd).executable().fingerprint()), add);
  EXPECT_NE(value_of(compile(test::kDouble).executable().fingerprint()), add);
}

TEST_P(Executables, HaveNoFingerprintOfTheDeprecatedKind) {
  EXPECT_ERROR(compile(test::kAdd).fingerprint(), Unimplemented, "");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_LoadedExecutable_Fingerprint"), 1);
}

TEST_P(Executables, CostWhatTheCompilerReckonsWhereItTells) {
  const Result<NamedValues> cost = compile(test::kAdd).executable().cost_analysis();
  if (GetParam() != "cpu-0.81") {
    EXPECT_ERROR(cost, Unimplemented, "");
    return;
  }
  ASSERT_OK(cost);
  ASSERT_NE(cost->find("flops"), nullptr);
  EXPECT_EQ(to_string(*cost->find("flops")), "3");
  ASSERT_NE(cost->find("bytes accessed"), nullptr);
  EXPECT_EQ(to_string(*cost->find("bytes accessed")), "36");
}

TEST_P(Executables, NeedTheMemoryOfTheirArguments) {
  const CompiledMemoryStats stats = value_of(compile(test::kAdd).executable().memory_stats());
  EXPECT_EQ(stats.argument, 24);
  EXPECT_EQ(stats.output, 12);
  EXPECT_EQ(stats.alias, 0);
  EXPECT_EQ(stats.host_argument + stats.host_output + stats.host_alias + stats.host_temp, 0);
  EXPECT_EQ(value_of(compile(test::kAddTo).executable().memory_stats()).alias, 12);
}

TEST_P(Executables, SayOfMemoryWhatTheirApiCanSay) {
  const CompiledMemoryStats stats = value_of(compile(test::kAdd).executable().memory_stats());
  const int minor = client.plugin().api_version().minor;
  EXPECT_EQ(stats.peak.has_value(), minor >= 72);
  EXPECT_EQ(stats.total.has_value(), minor >= 90);
  EXPECT_EQ(stats.total_allocation.has_value(), minor >= 104);
  EXPECT_EQ(stats.indefinite_allocations.has_value(), minor >= 104);
  EXPECT_EQ(stats.peak_unpadded_heap.has_value(), minor >= 104);
}

TEST_P(Executables, RememberTheirOptionsSinceApi087) {
  const Executable executable =
      compile(test::kAllReduce, CompileOptions().num_partitions(4).use_spmd(true)).executable();
  const Result<CompileOptions> options = executable.compile_options();
  if (GetParam() == "cpu-0.81") {
    EXPECT_ERROR(options, Unimplemented, "0.87");
    return;
  }
  ASSERT_OK(options);
  EXPECT_EQ(options->num_replicas(), 1);
  EXPECT_EQ(options->num_partitions(), 4);
  EXPECT_TRUE(options->uses_spmd());
}

TEST_P(Executables, OptionsOutliveThem) {
  if (GetParam() == "cpu-0.81") GTEST_SKIP() << "it does not tell them";
  std::optional<LoadedExecutable> add = compile(test::kAdd, CompileOptions().portable(true));
  const SerializedCompileOptions bytes = value_of(add->executable().serialized_compile_options());
  add.reset();
  EXPECT_TRUE(value_of(CompileOptions::parse(bytes.text())).is_portable());
}

TEST_P(Executables, TellWhatTheyWereOptimizedTo) {
  const Program program = value_of(compile(test::kAdd).executable().optimized_program());
  EXPECT_EQ(program.format(), "hlo_with_config");
  EXPECT_NE(program.code().find("add"), std::string::npos);
}

// Devices.

TEST_P(Executables, RunOnTheFirstDeviceUnlessToldOtherwise) {
  const LoadedExecutable add = compile(test::kAdd);
  ASSERT_EQ(add.addressable_devices().size(), 1u);
  EXPECT_EQ(add.addressable_devices().front(), client.devices().front());
}

TEST_P(Executables, RunOnTheDeviceTheyAreAssigned) {
  const LoadedExecutable add = compile(test::kAdd, CompileOptions().device_assignment(DeviceAssignment::single(2)));
  ASSERT_EQ(add.addressable_devices().size(), 1u);
  EXPECT_EQ(add.addressable_devices().front().id(), 2);
  EXPECT_EQ(value_of(add.device_assignment()), DeviceAssignment::single(2));
}

TEST_P(Executables, TellWhatEachDeviceRuns) {
  const DeviceAssignment assignment = value_of(DeviceAssignment::create(1, 4, {3, 1, 0, 2}));
  const LoadedExecutable all = compile(test::kAllReduce, CompileOptions().device_assignment(assignment).use_spmd(true));
  EXPECT_EQ(value_of(all.device_assignment()), assignment);
  const Result<std::vector<LogicalId>> ids = all.addressable_device_logical_ids();
  if (GetParam() == "cpu-0.81") {
    EXPECT_ERROR(ids, Unimplemented, "0.96");
    return;
  }
  ASSERT_OK(ids);
  ASSERT_EQ(ids->size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(value_of(assignment.device((*ids)[i])), all.addressable_devices()[i].id());
  }
}

TEST_P(Executables, ArePortableWithoutADeviceOfTheirOwn) {  // the plugins leave the bytes unwritten
  const LoadedExecutable add = compile(test::kAdd, CompileOptions().portable(true));
  EXPECT_TRUE(add.addressable_devices().empty());
  EXPECT_EQ(value_of(add.device_assignment()), std::nullopt);
}

// Gone.

TEST_P(Executables, AreDeletedWhenTheyAreTold) {  // on older plugins is_deleted stays false
  LoadedExecutable add = compile(test::kAdd);
  EXPECT_FALSE(add.is_deleted());
  EXPECT_OK(add.delete_now());
  EXPECT_TRUE(add.is_deleted());
  EXPECT_OK(add.delete_now());
}

TEST_P(Executables, DoNotRunOnceTheyAreDeleted) {  // the plugins would run them all the same
  LoadedExecutable add = compile(test::kAdd);
  const Buffer x = value_of(client.upload(Floats{1, 2, 3}, {3}));
  PreparedExecution prepared = value_of(add.prepare(x, x));
  ASSERT_OK(add.delete_now());
  EXPECT_ERROR(add(x, x), FailedPrecondition, "executable 'add': it was deleted");
  EXPECT_ERROR(add.prepare(x, x), FailedPrecondition, "executable 'add': it was deleted");
  EXPECT_ERROR(prepared.run(), FailedPrecondition, "executable 'add': it was deleted");
}

TEST_P(Executables, StillTellOfThemselvesWhenTheyAreDeleted) {
  LoadedExecutable add = compile(test::kAdd);
  ASSERT_OK(add.delete_now());
  EXPECT_EQ(add.name(), "add");
  EXPECT_EQ(add.output_shapes().size(), 1u);
  EXPECT_EQ(add.addressable_devices().size(), 1u);
  EXPECT_EQ(value_of(add.executable().num_outputs()), 1u);
  EXPECT_OK(add.parameters());
  EXPECT_OK(add.device_assignment());
  EXPECT_OK(add.executable().optimized_program());
}

TEST_P(Executables, ViewsKeepTheirProgram) {  // the plugins' views crash when it goes
  std::optional<LoadedExecutable> add = compile(test::kAdd);
  const Executable view = add->executable();
  add.reset();
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_LoadedExecutable_Destroy"), 0);
  EXPECT_EQ(value_of(view.name()), "add");
  EXPECT_EQ(value_of(view.num_outputs()), 1u);
  EXPECT_OK(view.serialize());
  EXPECT_OK(view.optimized_program());
}

TEST_P(Executables, ViewsAreDestroyedOnceHoweverManyThereWere) {
  {
    const LoadedExecutable add = compile(test::kAdd);
    const Executable first = add.executable();
    const Executable second = add.executable();
    const Executable third = second;
  }
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Executable_Destroy"),
            test::calls_of(GetParam(), "PJRT_LoadedExecutable_GetExecutable"));
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_LoadedExecutable_Destroy"), 1);
}

TEST_P(Executables, HandlesThatWereMovedFromSaySo) {
  LoadedExecutable add = compile(test::kAdd);
  const LoadedExecutable moved = std::move(add);
  EXPECT_ERROR(add(), FailedPrecondition, "the executable was moved from");
  EXPECT_ERROR(add.prepare(), FailedPrecondition, "the executable was moved from");
  EXPECT_ERROR(add.parameters(), FailedPrecondition, "the executable was moved from");
  EXPECT_ERROR(add.device_assignment(), FailedPrecondition, "the executable was moved from");
  EXPECT_ERROR(add.addressable_device_logical_ids(), FailedPrecondition, "the executable was moved from");
  EXPECT_ERROR(add.fingerprint(), FailedPrecondition, "the executable was moved from");
  EXPECT_ERROR(add.delete_now(), FailedPrecondition, "the executable was moved from");
  EXPECT_TRUE(add.is_deleted());
  EXPECT_EQ(add.raw(), nullptr);
}

TEST_P(Executables, ViewsThatWereMovedAreStillThere) {  // a view is a cheap handle: moving copies
  const LoadedExecutable add = compile(test::kAdd);
  Executable view = add.executable();
  const Executable moved = std::move(view);
  EXPECT_EQ(value_of(view.name()), "add");
}

}  // namespace
}  // namespace pjrt
