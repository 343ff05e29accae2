// The TpuExecutable extension: what it gives is given back, once.

#include "pjrt/ext/tpu_executable.hpp"

#include <vector>

#include "fake_plugin/fixture.hpp"
#include "support/data.hpp"

namespace pjrt {
namespace {

using ext::TpuExecutable;
using test::as_bytes;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fn = test::fn;

class ExtTpuExecutable : public test::OnFake {
 protected:
  const TpuExecutable tpu = value_of(TpuExecutable::of(plugin));
};

TEST_F(ExtTpuExecutable, BytesStayUntilTheLastCopyGoes) {
  fake.on<fn::PJRT_TpuExecutable_GetTargetArguments>([this](auto& a) {
    fake.give_bytes("for " + std::string(a.serialized_executable, a.serialized_executable_size), a.target_arguments,
                    a.target_arguments_size, a.target_arguments_ptr, a.target_arguments_deleter);
  });
  fake.on<fn::PJRT_TpuExecutable_GetCompiledMemoryStats>([this](auto& a) {
    fake.give_bytes("stats", a.compiled_memory_stats, a.compiled_memory_stats_size, a.compiled_memory_stats_ptr,
                    a.compiled_memory_stats_deleter);
  });
  {
    const auto target = value_of(tpu.target_arguments(as_bytes("add")));
    const auto stats = value_of(tpu.compiled_memory_stats(as_bytes("add")));
    EXPECT_EQ(target.text(), "for add");
    EXPECT_EQ(stats.text(), "stats");
    EXPECT_THAT(fake.live(), ElementsAre(std::pair("bytes", 2)));
  }
  EXPECT_THAT(fake.live(), IsEmpty());
}

TEST_F(ExtTpuExecutable, TextsAreCopiedAndGivenBack) {
  fake.on<fn::PJRT_TpuExecutable_GetHloModuleWithConfig>([this](auto& a) {
    fake.give_bytes("module", a.hlo_module_with_config, a.hlo_module_with_config_size, a.hlo_module_with_config_ptr,
                    a.hlo_module_with_config_deleter);
  });
  fake.on<fn::PJRT_TpuExecutable_SetTpuCompilationEnv>([this](auto& a) {
    fake.give_bytes(
        std::string(a.serialized_compilation_environments, a.serialized_compilation_environments_size) + " and TPU",
        a.result_compilation_environments, a.result_compilation_environments_size,
        a.result_compilation_environments_ptr, a.result_compilation_environments_deleter);
  });
  fake.on<fn::PJRT_TpuExecutable_GetTpuCompilationEnvFieldAsString>([this](auto& a) {
    fake.give_bytes(std::string(a.field_name, a.field_name_size) + " is on", a.field_value, a.field_value_size,
                    a.field_value_ptr, a.field_value_deleter);
  });
  const Program module = value_of(tpu.hlo_module_with_config(as_bytes("add")));
  EXPECT_EQ(module.code(), "module");
  EXPECT_EQ(value_of(tpu.set_tpu_compilation_env(CompilationEnvironments::from_bytes("GPU"))).serialize(),
            "GPU and TPU");
  EXPECT_EQ(value_of(tpu.tpu_compilation_env_field({}, "scheduler")), "scheduler is on");
  EXPECT_THAT(fake.live(), IsEmpty());
}

TEST_F(ExtTpuExecutable, EstimatesTakeModulesAndAreGivenBack) {
  static const abi::PJRT_NamedValue flops = [] {
    abi::PJRT_NamedValue v{};
    v.name = "flops";
    v.name_size = 5;
    v.type = abi::PJRT_NamedValue_kFloat;
    v.float_value = 12;
    v.value_size = 1;
    return v;
  }();
  std::vector<std::string> modules;
  fake.on<fn::PJRT_TpuExecutable_RunHloCostAnalysis>([&](auto& a) {
    for (std::size_t i = 0; i < a.num_hlo_modules; ++i) modules.emplace_back(a.hlo_module[i], a.hlo_module_size[i]);
    const char* unused = nullptr;
    std::size_t size = 0;
    fake.give_bytes("results", unused, size, a.analysis_results_ptr, a.analysis_results_deleter);
    a.analysis_results = &flops;
    a.num_analysis_results = 1;
  });
  const std::vector<Program> two = {Program("hlo_with_config", "first"), Program("hlo_with_config", "second")};
  EXPECT_EQ(value_of(tpu.run_hlo_cost_analysis(as_bytes("target"), two)), (NamedValues{{"flops", 12.0f}}));
  EXPECT_THAT(modules, ElementsAre("first", "second"));
  EXPECT_THAT(fake.live(), IsEmpty());
}

TEST_F(ExtTpuExecutable, OtherFormatsAreNotEstimated) {
  const std::vector<Program> modules = {Program::mlir("module {}")};
  EXPECT_ERROR(tpu.run_hlo_cost_analysis({}, modules), InvalidArgument, "hlo_with_config, not mlir");
  EXPECT_EQ(calls_of("PJRT_TpuExecutable_RunHloCostAnalysis"), 0u);
}

TEST_F(ExtTpuExecutable, ErrorsMayBePredetermined) {
  fake.on<fn::PJRT_TpuExecutable_IsTpuPredeterminedError>(
      [](auto& a) { a.is_predetermined = std::string_view(a.serialized_status, a.serialized_status_size) == "again"; });
  EXPECT_TRUE(value_of(tpu.is_tpu_predetermined_error("again")));
  EXPECT_FALSE(value_of(tpu.is_tpu_predetermined_error("not again")));
}

TEST_F(ExtTpuExecutable, OlderPluginsHaveAFunctionThatWasWithdrawn) {
  EXPECT_THAT(tpu.withdrawn_functions(), IsEmpty());
  const abi::PJRT_Api* table = fake.table({.extensions = {{17}}});
  reinterpret_cast<abi::PJRT_TpuExecutable_Extension*>(table->extension_start)->get_core_program_abi_version = &fake;
  const Plugin older = value_of(Plugin::adopt(table, "odd"));
  EXPECT_THAT(value_of(TpuExecutable::of(older)).withdrawn_functions(), ElementsAre("get_core_program_abi_version"));
}

// 24 bytes of base, 8 slots; XLA began with 7.
TEST_F(ExtTpuExecutable, OfAnOlderPluginLacksItsLastFunction) {
  const TpuExecutable older = value_of(TpuExecutable::of(with_extension(17, 24 + 7 * 8)));
  EXPECT_OK(older.tpu_compilation_env_field({}, "scheduler"));
  EXPECT_ERROR(older.is_tpu_predetermined_error(""), Unimplemented,
               "PJRT_TpuExecutable_IsTpuPredeterminedError is not offered by the TpuExecutable extension");
}

}  // namespace
}  // namespace pjrt
