// Compilation for TPUs in phases.

#include "pjrt/ext/phase_compile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "aot/targets.hpp"
#include "plugin/programs.hpp"

namespace pjrt {
namespace {

using ext::PartialProgram;
using ext::PhaseCompiler;
using test::value_of;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using Texts = std::vector<std::string>;

class TpuPhases : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }

  Texts run(const Texts& programs, const std::string& phase) const {
    return value_of(compiler.run_phases(programs, Texts{phase}, {}, topology));
  }

  /// Of those programs the ones that a phase takes.
  static Texts meant_for(const std::string& phase, const Texts& programs) {
    Texts some;
    std::ranges::copy_if(programs, std::back_inserter(some), [&](const std::string& bytes) {
      return std::ranges::count(value_of(PartialProgram::parse(bytes)).consumer_phases, phase) > 0;
    });
    return some;
  }

  Plugin tpu = test::counted_plugin("tpu");
  Topology topology = test::tpu_v4(tpu);
  PhaseCompiler compiler = value_of(value_of(tpu.extension<ext::PhaseCompile>()).compiler());
  Texts add{PartialProgram{
      .program = test::kAdd, .format = "mlir", .consumer_phases = {"phase1_hlo_opts"}, .version = "1.0", .name = "add"}
                .serialize()};
};

TEST_F(TpuPhases, AreNamedInTheirOrder) {
  EXPECT_THAT(value_of(compiler.phase_names()),
              ElementsAre("phase1_hlo_opts", "phase2a_tlp_lowering", "phase2b_deduped_lowering", "phase3_linking",
                          "phase3_linking_test_only"));
}

TEST_F(TpuPhases, FirstGivesTheOptimizedProgramAmongOthers) {
  const Texts programs = run(add, "phase1_hlo_opts");
  Texts names;
  for (const std::string& bytes : programs) {
    const PartialProgram program = value_of(PartialProgram::parse(bytes));
    EXPECT_EQ(program.producer_phase, "phase1_hlo_opts");
    EXPECT_THAT(program.consumer_phases, Not(IsEmpty()));
    names.push_back(program.name);
  }
  EXPECT_THAT(names, Contains("opt_hlo"));
}

TEST_F(TpuPhases, OneTakesWhatTheOneBeforeMeansForIt) {
  const Texts first = run(add, "phase1_hlo_opts");
  for (const std::string& bytes : run(meant_for("phase2a_tlp_lowering", first), "phase2a_tlp_lowering")) {
    EXPECT_EQ(value_of(PartialProgram::parse(bytes)).producer_phase, "phase2a_tlp_lowering");
  }
}

TEST_F(TpuPhases, RunToTheEndTheyLeaveNothingToDo) {
  Texts all = run(add, "phase1_hlo_opts");
  Texts deduplicated = meant_for("phase2b_deduped_lowering", all);
  std::ranges::reverse(deduplicated);  // this phase wants the program before the environments
  for (const Texts& more : {run(meant_for("phase2a_tlp_lowering", all), "phase2a_tlp_lowering"),
                            run(deduplicated, "phase2b_deduped_lowering")}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  const Texts linked = run(meant_for("phase3_linking", all), "phase3_linking");
  EXPECT_THAT(linked, Not(IsEmpty()));
  for (const std::string& bytes : linked) {
    const PartialProgram program = value_of(PartialProgram::parse(bytes));
    EXPECT_EQ(program.producer_phase, "phase3_linking");
    EXPECT_THAT(program.consumer_phases, IsEmpty());
    EXPECT_FALSE(program.program.empty()) << program.name << program.format;
  }
}

TEST_F(TpuPhases, UnknownPhaseIsNotFound) {
  EXPECT_ERROR(compiler.run_phases(add, Texts{"phase0"}, {}, topology), NotFound, "phase0");
}

TEST_F(TpuPhases, WhatIsNoPartialProgramIsRefused) {
  EXPECT_ERROR(compiler.run_phases(Texts{test::kAdd}, Texts{"phase1_hlo_opts"}, {}, topology), InvalidArgument,
               "PjRtPartialProgramProto");
}

TEST_F(TpuPhases, NothingToCompileIsRefused) {
  EXPECT_ERROR(compiler.run_phases(Texts{}, Texts{"phase1_hlo_opts"}, {}, topology), InvalidArgument, "no programs");
}

TEST_F(TpuPhases, NoPhaseIsRefusedByUs) {
  EXPECT_ERROR(compiler.run_phases(add, Texts{}, {}, topology), InvalidArgument, "no phase to run is named");
}

TEST_F(TpuPhases, TopologyOfAnotherPluginIsRefusedByUs) {
  REQUIRE_PLUGIN("cuda");
  EXPECT_ERROR(compiler.run_phases(add, Texts{"phase1_hlo_opts"}, {}, test::h100(test::counted_plugin("cuda"))),
               InvalidArgument, "another plugin");
}

TEST_F(TpuPhases, CompilerThatWasMovedFromSaysSo) {
  const PhaseCompiler there = std::move(compiler);
  EXPECT_OK(there.phase_names());
  EXPECT_ERROR(compiler.phase_names(), FailedPrecondition, "moved from");
}

}  // namespace
}  // namespace pjrt
