// What libtpu says of programs it compiled, from their bytes: x + y for three floats on a TPU v5e.

#include "pjrt/ext/tpu_executable.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "aot/targets.hpp"
#include "plugin/programs.hpp"
#include "support/data.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using ext::TpuExecutable;
using test::as_bytes;
using test::value_of;
using ::testing::IsEmpty;

/// One number of a cost analysis; NaN, which equals nothing, if it is not there.
float cost_of(const NamedValues& costs, std::string_view what) {
  const Value* value = costs.find(what);
  return value != nullptr && value->float32() != nullptr ? *value->float32() : std::nanf("");
}

class TpuExecutables : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }

  Executable compile_for(const std::string& topology, const char* program = test::kAdd) const {
    return value_of(compile(value_of(Topology::create(plugin, topology)), Program::mlir(program)));
  }
  detail::OwnedBytes bytes_for(const std::string& topology, const char* program = test::kAdd) const {
    return value_of(compile_for(topology, program).serialize_raw());
  }

  const Plugin plugin = test::counted_plugin("tpu");
  const TpuExecutable tpu = value_of(plugin.extension<TpuExecutable>());
};

TEST_F(TpuExecutables, TellWhichTpuTheyAreFor) {
  const auto add = value_of(tpu.target_arguments(bytes_for("v5e:2x2")));
  EXPECT_GT(add.size(), 0u);
  EXPECT_EQ(value_of(tpu.target_arguments(bytes_for("v5e:2x2", test::kDouble))).text(), add.text());
  EXPECT_NE(value_of(tpu.target_arguments(bytes_for("v6e:2x2"))).text(), add.text());
}

TEST_F(TpuExecutables, GiveTheirProgram) {
  const Program program = value_of(tpu.hlo_module_with_config(bytes_for("v5e:2x2")));
  EXPECT_EQ(program.format(), "hlo_with_config");
  const std::string module = test::only_bytes(std::string(program.code()), 1);  // HloModuleProtoWithConfig.hlo_module
  EXPECT_EQ(test::only_bytes(module, 1), "add");                                // HloModuleProto.name
}

// Three floats take a row of 128 lanes: 512 bytes.
TEST_F(TpuExecutables, TellWhatMemoryTheyNeed) {
  const std::string stats(value_of(tpu.compiled_memory_stats(bytes_for("v5e:2x2"))).text());
  EXPECT_EQ(test::fields_of(stats, 2).at(0).value, 2u * 512);  // CompiledMemoryStatsProto.argument_size_in_bytes
  EXPECT_EQ(test::fields_of(stats, 3).at(0).value, 512u);      // output_size_in_bytes
}

TEST_F(TpuExecutables, AreEstimatedByTheirModuleAndTheirTarget) {
  const auto bytes = bytes_for("v5e:2x2");
  const std::vector<Program> modules = {value_of(tpu.hlo_module_with_config(bytes))};
  const NamedValues costs = value_of(tpu.run_hlo_cost_analysis(value_of(tpu.target_arguments(bytes)), modules));
  EXPECT_EQ(cost_of(costs, "flops"), 3.0f);
  EXPECT_EQ(cost_of(costs, "bytes accessed"), 3 * 512.0f);
}

TEST_F(TpuExecutables, OptimizedProgramsAreEstimatedToo) {
  const Executable e = compile_for("v5e:2x2");
  const std::vector<Program> modules = {value_of(e.optimized_program())};
  const auto target = value_of(tpu.target_arguments(value_of(e.serialize_raw())));
  EXPECT_EQ(cost_of(value_of(tpu.run_hlo_cost_analysis(target, modules)), "flops"), 3.0f);
}

TEST_F(TpuExecutables, EstimatesWantOneModuleInTheRightFormat) {
  const auto bytes = bytes_for("v5e:2x2");
  const auto target = value_of(tpu.target_arguments(bytes));
  const Program module = value_of(tpu.hlo_module_with_config(bytes));
  EXPECT_ERROR(tpu.run_hlo_cost_analysis(target, {}), InvalidArgument, "there is no module to analyze");
  EXPECT_ERROR(tpu.run_hlo_cost_analysis(target, std::vector{module, module}), Unimplemented, "multiple program");
  EXPECT_ERROR(tpu.run_hlo_cost_analysis(target, std::vector{Program::mlir(test::kAdd)}), InvalidArgument,
               "hlo_with_config, not mlir");
  EXPECT_ERROR(tpu.run_hlo_cost_analysis(target, std::vector{Program("hlo_with_config", "no proto")}), InvalidArgument,
               "HloModuleProtoWithConfig");
  EXPECT_ERROR(tpu.run_hlo_cost_analysis(as_bytes("no target"), std::vector{module}), InvalidArgument,
               "target arguments");
  EXPECT_FALSE(tpu.run_hlo_cost_analysis({}, std::vector{module}));
}

TEST_F(TpuExecutables, BytesThatAreNoneAreRefused) {
  for (const char* bytes : {"", "nonsense"}) {
    EXPECT_ERROR(tpu.target_arguments(as_bytes(bytes)), InvalidArgument, "TpuExecutable");
    EXPECT_ERROR(tpu.hlo_module_with_config(as_bytes(bytes)), InvalidArgument, "TpuExecutable");
    EXPECT_ERROR(tpu.compiled_memory_stats(as_bytes(bytes)), InvalidArgument, "TpuExecutable");
  }
  const auto whole = bytes_for("v5e:2x2");
  EXPECT_FALSE(tpu.target_arguments(whole.bytes().first(whole.size() / 2)));
}

TEST_F(TpuExecutables, CompilerSettingsAreAddedToEnvironments) {
  const CompilationEnvironments filled = value_of(tpu.set_tpu_compilation_env());
  const std::string environment =
      test::only_bytes(filled.serialize(), 1);  // CompilationEnvironmentsProto.environments, an Any
  EXPECT_EQ(test::only_bytes(environment, 1), "type.googleapis.com/xla.jellyfish.TpuCompilationEnvironment");
  EXPECT_EQ(value_of(tpu.set_tpu_compilation_env(filled)).serialize(), filled.serialize());
  EXPECT_ERROR(tpu.set_tpu_compilation_env(CompilationEnvironments::from_bytes("nonsense")), Internal,
               "CompilationEnvironmentsProto");
}

TEST_F(TpuExecutables, FilledEnvironmentsAreGoodToCompileWith) {
  const Topology topology = value_of(Topology::create(plugin, "v5e:2x2"));
  CompileOptions options;
  options.compilation_environments(value_of(tpu.set_tpu_compilation_env()));
  EXPECT_OK(compile(topology, Program::mlir(test::kAdd), options));
}

TEST_F(TpuExecutables, CompilerSettingsAreToldAsText) {
  const CompilationEnvironments filled = value_of(tpu.set_tpu_compilation_env());
  for (const CompilationEnvironments& environments : {filled, CompilationEnvironments()}) {
    EXPECT_EQ(value_of(tpu.tpu_compilation_env_field(environments, "xla_tpu_enable_latency_hiding_scheduler")), "true");
    EXPECT_EQ(
        value_of(tpu.tpu_compilation_env_field(environments, "xla_jf_rematerialization_percent_shared_memory_limit")),
        "95");
    EXPECT_ERROR(tpu.tpu_compilation_env_field(environments, "no_such_setting"), InvalidArgument, "no_such_setting");
    EXPECT_ERROR(tpu.tpu_compilation_env_field(environments, ""), InvalidArgument, "not found");
  }
}

TEST_F(TpuExecutables, ErrorsThatMayPassAreNotPredetermined) {
  EXPECT_FALSE(value_of(tpu.is_tpu_predetermined_error("")));
  EXPECT_FALSE(
      value_of(tpu.is_tpu_predetermined_error(test::from_hex("08 0e 12 04") + "busy")));  // 14, Unavailable: "busy"
  EXPECT_ERROR(tpu.is_tpu_predetermined_error("nonsense"), InvalidArgument, "status");
}

TEST_F(TpuExecutables, NothingIsLeftOfWhatWasWithdrawn) {
  EXPECT_THAT(tpu.withdrawn_functions(), IsEmpty());
}

TEST(TpuExecutableOfOlderLibtpu, IsNotThere) {
  REQUIRE_PLUGIN("tpu-0.75");
  EXPECT_ERROR(TpuExecutable::of(test::counted_plugin("tpu-0.75")), Unimplemented, "has no TpuExecutable extension");
}

}  // namespace
}  // namespace pjrt
