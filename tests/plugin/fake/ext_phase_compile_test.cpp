// The PhaseCompile extension: compilers that run phase by phase.

#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/phase_compile.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fn = test::fn;

/// Strings that the plugin lends until they are destroyed.
struct Texts {
  static constexpr auto kKind = "strings";
  std::vector<std::string> all;
  std::vector<const char*> data = {};
  std::vector<std::size_t> sizes = {};
};

class ExtPhaseCompile : public test::OnFake {
 protected:
  ExtPhaseCompile() {
    fake.on<fn::PJRT_PhaseCompile_Get_Compiler>(
        [this](auto& a) { a.phase_compiler = fake.token<const abi::PJRT_PhaseCompiler>("phase compiler"); });
    fake.on<fn::PJRT_PhaseCompile_Destroy_Compiler>([this](auto& a) { fake.drop(a.phase_compiler, "phase compiler"); });
    fake.on<fn::PJRT_PhaseCompile_Get_PhaseNames>([this](auto& a) {
      Texts& t = lend({"stablehlo_to_hlo", "optimize"});
      a.phase_names = t.data.data();
      a.phase_names_sizes = t.sizes.data();
      a.num_phase_names = t.data.size();
    });
    fake.on<fn::PJRT_PhaseCompile_Run_Phase>([this](auto& a) {
      std::vector<std::string> outputs;
      for (std::size_t i = 0; i < a.num_input_programs; ++i) {
        std::string program(a.input_programs[i], a.input_programs_sizes[i]);
        for (std::size_t p = 0; p < a.num_phases_to_run; ++p)
          program += "+" + std::string(a.phases_to_run[p], a.phases_to_run_sizes[p]);
        outputs.push_back(program);
      }
      options.assign(a.compile_options, a.compile_options_size);
      topology_seen = a.topology;
      Texts& t = lend(outputs);
      a.output_programs = t.data.data();
      a.output_programs_sizes = t.sizes.data();
      a.num_output_programs = t.data.size();
    });
    fake.on<fn::PJRT_PhaseCompile_C_Buffers_Destroy>([this](auto& a) {
      for (const Texts* t : lent) {
        if (t->data.data() != a.char_buffers) continue;
        EXPECT_EQ(a.num_char_buffers, t->data.size());
        EXPECT_EQ(a.char_buffer_sizes, t->sizes.data());
        return fake.drop(t, Texts::kKind);
      }
      fake.blame("strings that were not lent");
    });
  }
  Texts& lend(std::vector<std::string> all) {
    Texts& t = *fake.make<Texts>(std::move(all));
    for (const std::string& s : t.all) {
      t.data.push_back(s.data());
      t.sizes.push_back(s.size());
    }
    lent.push_back(&t);
    return t;
  }

  const ext::PhaseCompile extension = value_of(ext::PhaseCompile::of(plugin));
  const Topology topology = value_of(Topology::create(plugin, "two devices"));
  std::deque<const Texts*> lent;
  std::string options;
  abi::PJRT_TopologyDescription* topology_seen = nullptr;
};

TEST_F(ExtPhaseCompile, NamesItsPhasesInOrder) {
  EXPECT_THAT(value_of(value_of(extension.compiler()).phase_names()), ElementsAre("stablehlo_to_hlo", "optimize"));
  EXPECT_EQ(fake.live()["strings"], 0);
  EXPECT_EQ(fake.live()["phase compiler"], 0);
}

TEST_F(ExtPhaseCompile, RunsPhasesOnProgramsForATopology) {
  const ext::PhaseCompiler compiler = value_of(extension.compiler());
  const std::vector<std::string> programs = {"first", std::string("se\0cond", 7)};
  const std::vector<std::string> phases = {"a", "b"};
  const CompileOptions compile_options;
  EXPECT_THAT(value_of(compiler.run_phases(programs, phases, compile_options, topology)),
              ElementsAre("first+a+b", std::string("se\0cond+a+b", 11)));
  EXPECT_EQ(options, compile_options.serialize());
  EXPECT_EQ(topology_seen, topology.raw());
  EXPECT_EQ(fake.live()["strings"], 0);
}

TEST_F(ExtPhaseCompile, WithoutProgramsOrNamesThereIsNothingToGiveBack) {
  fake.on<fn::PJRT_PhaseCompile_Get_PhaseNames>([](auto&) {});
  EXPECT_THAT(value_of(value_of(extension.compiler()).phase_names()), IsEmpty());
  EXPECT_EQ(calls_of("PJRT_PhaseCompile_C_Buffers_Destroy"), 0u);
}

TEST_F(ExtPhaseCompile, APhaseThereIsNotIsThePluginsError) {
  fake.fail<fn::PJRT_PhaseCompile_Run_Phase>(ErrorCode::NotFound, "no phase 'x'");
  const std::vector<std::string> text = {"x"};
  EXPECT_ERROR(value_of(extension.compiler()).run_phases(text, text, {}, topology), NotFound, "no phase 'x'");
  fake.fail<fn::PJRT_PhaseCompile_Get_PhaseNames>(ErrorCode::Internal, "no names");
  EXPECT_ERROR(value_of(extension.compiler()).phase_names(), Internal, "no names");
}

TEST_F(ExtPhaseCompile, WhatMakesNoSenseIsRefused) {
  const ext::PhaseCompiler compiler = value_of(extension.compiler());
  const std::vector<std::string> text = {"x"};
  EXPECT_ERROR(compiler.run_phases(text, {}, {}, topology), InvalidArgument, "no phase to run is named");
  const Topology other = value_of(Topology::create(with_table({}), "two devices"));
  EXPECT_ERROR(compiler.run_phases(text, text, {}, other), InvalidArgument, "the topology belongs to another plugin");
  EXPECT_EQ(calls_of("PJRT_PhaseCompile_Run_Phase"), 0u);
}

TEST_F(ExtPhaseCompile, ACompilerThatWasMovedFromIsEmptyAndNotDestroyed) {
  {
    ext::PhaseCompiler compiler = value_of(extension.compiler());
    const ext::PhaseCompiler moved = std::move(compiler);
    const std::vector<std::string> text = {"x"};
    EXPECT_ERROR(compiler.phase_names(), FailedPrecondition, "the phase compiler was moved from");
    EXPECT_ERROR(compiler.run_phases(text, text, {}, topology), FailedPrecondition, "moved from");
  }
  EXPECT_EQ(calls_of("PJRT_PhaseCompile_Destroy_Compiler"), 1u);
}

TEST_F(ExtPhaseCompile, ThatThePluginDoesNotMakeIsAnError) {
  fake.fail<fn::PJRT_PhaseCompile_Get_Compiler>(ErrorCode::Unavailable, "no compiler");
  EXPECT_ERROR(extension.compiler(), Unavailable, "no compiler");
}

// CPU plugins: the extension is there, its first two functions are null.
TEST_F(ExtPhaseCompile, WithoutACompilerIsUnimplemented) {
  const Plugin without =
      with_table({.null_slots = {"PJRT_PhaseCompile_Get_Compiler", "PJRT_PhaseCompile_Destroy_Compiler"},
                  .extensions = {{ext::PhaseCompile::kType}}});
  EXPECT_ERROR(value_of(ext::PhaseCompile::of(without)).compiler(), Unimplemented,
               "PJRT_PhaseCompile_Get_Compiler is not offered by the PhaseCompile extension of plugin odd");
}

// libtpu has 21 functions, this library knows 5: 24 + 21 * 8 = 192.
TEST_F(ExtPhaseCompile, OfANewerPluginIsUsed) {
  const auto longer = value_of(ext::PhaseCompile::of(with_extension(ext::PhaseCompile::kType, 192)));
  EXPECT_EQ(longer.info().unknown_functions, 16);
  EXPECT_OK(value_of(longer.compiler()).phase_names());
}

}  // namespace
}  // namespace pjrt
