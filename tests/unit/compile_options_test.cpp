#include "pjrt/compile_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <string>
#include <vector>

#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using test::bytes_field;
using test::from_hex;
using test::number_field;
using test::read_wire;
using test::value_of;
using test::WireField;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

constexpr std::uint32_t kBuild = 3;  // CompileOptionsProto.executable_build_options

std::string build_of(const CompileOptions& options) {
  return test::only_bytes(options.serialize(), kBuild);
}

/// CompileOptionsProto with an ExecutableBuildOptionsProto { num_replicas: 1 num_partitions: 1 } and more in it.
std::string with_build(const std::string& more_of_build, const std::string& more = "") {
  const std::string build = from_hex("20 01 28 01") + more_of_build;
  return std::string("\x1a") + static_cast<char>(build.size()) + build + more;
}

// Bytes.

TEST(CompileOptions, DefaultIsOneReplicaAndOnePartitionOnNoDeviceInParticular) {
  // executable_build_options { device_ordinal: -1 num_replicas: 1 num_partitions: 1 }
  EXPECT_EQ(CompileOptions().serialize(), from_hex("1a 0f  08 ff ff ff ff ff ff ff ff ff 01  20 01  28 01"));
}

/// A setter and the field it must set, by the numbers of xla/pjrt/proto/compile_options.proto.
struct Setting {
  const char* name;
  std::function<void(CompileOptions&)> set;
  bool of_build;
  WireField field;
};

void PrintTo(const Setting& s, std::ostream* out) {
  *out << s.name;
}

class CompileOptionsSetting : public ::testing::TestWithParam<Setting> {
 protected:
  CompileOptions options;
  void SetUp() override { GetParam().set(options); }
};

constexpr std::uint64_t bits(float f) {
  return std::bit_cast<std::uint32_t>(f);
}

INSTANTIATE_TEST_SUITE_P(
    All, CompileOptionsSetting,
    ::testing::Values(
        Setting{"parameter_is_tupled_arguments", [](auto& o) { o.parameter_is_tupled_arguments(true); }, false,
                number_field(2, 1)},
        Setting{"portable", [](auto& o) { o.portable(true); }, false, number_field(4, 1)},
        Setting{"profile_version", [](auto& o) { o.profile_version(300); }, false, number_field(5, 300)},
        Setting{"multi_slice_config", [](auto& o) { o.multi_slice_config("slices"); }, false, bytes_field(6, "slices")},
        Setting{"target_config",
                [](auto& o) {
                  o.target_config(
                      "\x1a\x02"
                      "ab");
                },
                false,
                bytes_field(8,
                            "\x1a\x02"
                            "ab")},
        Setting{"allow_in_place_mlir_modification", [](auto& o) { o.allow_in_place_mlir_modification(true); }, false,
                number_field(9, 1)},
        Setting{"matrix_unit_operand_precision", [](auto& o) { o.matrix_unit_operand_precision(2); }, false,
                number_field(10, 2)},
        Setting{"compiler_variant", [](auto& o) { o.compiler_variant("v"); }, false, bytes_field(11, "v")},
        Setting{"debug_options", [](auto& o) { o.debug_options(DebugOptions::from_bytes("\x98\x06\x01")); }, true,
                bytes_field(3, "\x98\x06\x01")},
        Setting{"num_replicas", [](auto& o) { o.num_replicas(4); }, true, number_field(4, 4)},
        Setting{"num_partitions", [](auto& o) { o.num_partitions(8); }, true, number_field(5, 8)},
        Setting{"use_spmd", [](auto& o) { o.use_spmd(true); }, true, number_field(6, 1)},
        Setting{"use_auto_spmd", [](auto& o) { o.use_auto_spmd(true); }, true, number_field(7, 1)},
        Setting{"deduplicate_hlo", [](auto& o) { o.deduplicate_hlo(true); }, true, number_field(8, 1)},
        Setting{"device_assignment", [](auto& o) { o.device_assignment(DeviceAssignment::single(5)); }, true,
                bytes_field(9, from_hex("08 01 10 01 1a 03 0a 01 05"))},
        Setting{"alias_passthrough_params", [](auto& o) { o.alias_passthrough_params(true); }, true,
                number_field(10, 1)},
        Setting{"run_backend_only", [](auto& o) { o.run_backend_only(true); }, true, number_field(11, 1)},
        Setting{"propagation_to_output", [](auto& o) { o.allow_spmd_sharding_propagation_to_output({true, false}); },
                true, bytes_field(12, from_hex("01 00"))},
        Setting{"compilation_environments",
                [](auto& o) { o.compilation_environments(CompilationEnvironments::from_bytes("env")); }, true,
                bytes_field(13, "env")},
        Setting{"fdo_profile", [](auto& o) { o.fdo_profile(std::string("p\0q", 3)); }, true,
                bytes_field(14, std::string("p\0q", 3))},
        Setting{"device_memory_size", [](auto& o) { o.device_memory_size(std::int64_t{1} << 40); }, true,
                number_field(15, std::uint64_t{1} << 40)},
        Setting{"auto_spmd_mesh_shape", [](auto& o) { o.use_auto_spmd(true, {2, 300}); }, true,
                bytes_field(16, from_hex("02 ac 02"))},
        Setting{"auto_spmd_mesh_ids", [](auto& o) { o.use_auto_spmd(true, {2}, {1, 0}); }, true,
                bytes_field(17, from_hex("01 00"))},
        Setting{"propagation_to_parameters", [](auto& o) { o.allow_spmd_sharding_propagation_to_parameters({true}); },
                true, bytes_field(18, from_hex("01"))},
        Setting{"use_shardy", [](auto& o) { o.use_shardy(true); }, true, number_field(19, 1)},
        Setting{"exec_time_optimization_effort", [](auto& o) { o.exec_time_optimization_effort(0.5f); }, true,
                number_field(20, bits(0.5f))},
        Setting{"memory_fitting_effort", [](auto& o) { o.memory_fitting_effort(-1.0f); }, true,
                number_field(21, bits(-1.0f))},
        Setting{"process_index", [](auto& o) { o.process(3, 4); }, true, number_field(22, 3)},
        Setting{"process_count", [](auto& o) { o.process(3, 4); }, true, number_field(23, 4)},
        Setting{"optimization_level", [](auto& o) { o.optimization_level(2); }, true, number_field(24, 2)},
        Setting{"memory_fitting_level", [](auto& o) { o.memory_fitting_level(3); }, true, number_field(25, 3)},
        Setting{"slice_size", [](auto& o) { o.slice_size(16); }, true, number_field(26, 16)}),
    [](const ::testing::TestParamInfo<Setting>& info) { return std::string(info.param.name); });

TEST_P(CompileOptionsSetting, IsWrittenUnderItsNumber) {
  EXPECT_THAT(read_wire(GetParam().of_build ? build_of(options) : options.serialize()), Contains(GetParam().field));
}

TEST_P(CompileOptionsSetting, SurvivesParsing) {
  EXPECT_EQ(value_of(CompileOptions::parse(options.serialize())).serialize(), options.serialize());
}

TEST(CompileOptions, FalseIsWrittenToo) {  // some of these default to true in XLA
  EXPECT_THAT(read_wire(build_of(CompileOptions().use_shardy(false))), Contains(number_field(19, 0)));
}

TEST(CompileOptions, LaterSettingsReplaceEarlierOnes) {
  EXPECT_EQ(CompileOptions().use_spmd(false).num_replicas(2).use_spmd(true).num_replicas(3).serialize(),
            CompileOptions().use_spmd(true).num_replicas(3).serialize());
}

TEST(CompileOptions, DeviceAssignmentSetsTheCounts) {
  const CompileOptions options =
      CompileOptions().device_assignment(value_of(DeviceAssignment::create(2, 3, {0, 1, 2, 3, 4, 5})));
  EXPECT_EQ(options.num_replicas(), 2);
  EXPECT_EQ(options.num_partitions(), 3);
  EXPECT_THAT(read_wire(build_of(options)), AllOf(Contains(number_field(4, 2)), Contains(number_field(5, 3))));
}

TEST(CompileOptions, AccessorsGiveWhatWasSet) {
  const CompileOptions options = CompileOptions().use_spmd(true).portable(true).flag("f", 1);
  EXPECT_TRUE(options.uses_spmd());
  EXPECT_TRUE(options.is_portable());
  EXPECT_EQ(options.flags().size(), 1u);
  EXPECT_FALSE(CompileOptions().uses_spmd());
  EXPECT_FALSE(CompileOptions().is_portable());
}

// Flags: env_option_overrides = 7, a map entry { key = 1, OptionOverrideProto value = 2 { string 1, bool 2, int64 3,
// double 4 } }.

TEST(CompileOptionsFlag, OfEachKindHasItsField) {
  const auto value_in = [](const CompileOptions& o) {
    return read_wire(test::only_bytes(test::only_bytes(o.serialize(), 7), 2));
  };
  EXPECT_THAT(value_in(CompileOptions().flag("f", "text")), ElementsAre(bytes_field(1, "text")));
  EXPECT_THAT(value_in(CompileOptions().flag("f", std::string("text"))), ElementsAre(bytes_field(1, "text")));
  EXPECT_THAT(value_in(CompileOptions().flag("f", true)), ElementsAre(number_field(2, 1)));
  EXPECT_THAT(value_in(CompileOptions().flag("f", 7)), ElementsAre(number_field(3, 7)));
  EXPECT_THAT(value_in(CompileOptions().flag("f", std::int64_t{-1})), ElementsAre(number_field(3, ~std::uint64_t{0})));
  EXPECT_THAT(value_in(CompileOptions().flag("f", 0.5)),
              ElementsAre(number_field(4, std::bit_cast<std::uint64_t>(0.5))));
  EXPECT_THAT(value_in(CompileOptions().flag("f", 0.5f)),
              ElementsAre(number_field(4, std::bit_cast<std::uint64_t>(0.5))));
}

TEST(CompileOptionsFlag, IsNamedByTheKey) {
  EXPECT_EQ(test::only_bytes(test::only_bytes(CompileOptions().flag("xla_dump_to", "/tmp").serialize(), 7), 1),
            "xla_dump_to");
}

TEST(CompileOptionsFlag, SeveralStandInTheOrderGiven) {
  const CompileOptions options = CompileOptions().flag("b", 1).flag("a", 2);
  const std::vector<WireField> flags = test::fields_of(options.serialize(), 7);
  ASSERT_EQ(flags.size(), 2u);
  EXPECT_EQ(test::only_bytes(flags[0].bytes, 1), "b");
  EXPECT_EQ(test::only_bytes(flags[1].bytes, 1), "a");
}

TEST(CompileOptionsFlag, OfEveryKindSurvivesParsing) {
  const CompileOptions options =
      CompileOptions().flag("s", "text").flag("b", false).flag("i", -5).flag("d", 2.5).flag("empty", "");
  EXPECT_EQ(value_of(CompileOptions::parse(options.serialize())).flags(), options.flags());
}

// Layouts: ShapeProto { element_type = 2, dimensions = 3, layout = 5 { minor_to_major = 1, tiles = 6 { dimensions = 1 }
// } }.

TEST(CompileOptionsLayout, OfArgumentsAreShapesWithALayout) {
  const Layout layout = value_of(Layout::create({0, 1}, {{8, 128}}));
  const CompileOptions options =
      CompileOptions().argument_layouts({{{ElementType::F32, {2, 300}}, layout}, {{ElementType::Pred, {}}, Layout()}});
  const std::vector<WireField> shapes = test::fields_of(options.serialize(), 1);
  ASSERT_EQ(shapes.size(), 2u);
  EXPECT_THAT(read_wire(shapes[0].bytes),
              AllOf(Contains(number_field(2, 11)), Contains(bytes_field(3, from_hex("02 ac 02")))));  // F32 is 11
  const std::string laid_out = test::only_bytes(shapes[0].bytes, 5);
  EXPECT_EQ(test::only_bytes(laid_out, 1), from_hex("00 01"));
  EXPECT_EQ(test::only_bytes(test::only_bytes(laid_out, 6), 1), from_hex("08 80 01"));
  EXPECT_THAT(read_wire(shapes[1].bytes), Contains(number_field(2, 1)));  // PRED is 1
}

TEST(CompileOptionsLayout, ElementTypesHaveTheNumbersOfXlaNotOfPjrt) {
  const auto number_of = [](ElementType type) {
    const CompileOptions options = CompileOptions().result_layout({{type, {}}, Layout()});
    return test::fields_of(test::only_bytes(build_of(options), 2), 2).at(0).value;
  };
  EXPECT_EQ(number_of(ElementType::BF16), 16u);
  EXPECT_EQ(number_of(ElementType::F64), 12u);
  EXPECT_EQ(number_of(ElementType::C64), 15u);
  EXPECT_EQ(number_of(ElementType::C128), 18u);
  EXPECT_EQ(number_of(ElementType::S4), 21u);
  EXPECT_EQ(number_of(ElementType::F8E4M3FN), 20u);
  EXPECT_EQ(number_of(ElementType::F8E5M2), 19u);
}

TEST(CompileOptionsLayout, SurvivesParsing) {
  const CompileOptions options = CompileOptions()
                                     .argument_layouts({{{ElementType::F32, {2, 3}}, Layout::row_major(2)}})
                                     .result_layout({{ElementType::S32, {4}}, Layout::row_major(1)});
  EXPECT_EQ(value_of(CompileOptions::parse(options.serialize())).serialize(), options.serialize());
}

// What jaxlib writes.

std::vector<WireField> without(std::vector<WireField> fields, std::initializer_list<std::uint32_t> numbers) {
  std::erase_if(fields, [&](const WireField& f) { return std::ranges::find(numbers, f.number) != numbers.end(); });
  return fields;
}

class CompileOptionsOfJax : public ::testing::TestWithParam<const char*> {
 protected:
  const std::string bytes = test::read_all(test::data_file(std::string("compile_options/") + GetParam()));
};
INSTANTIATE_TEST_SUITE_P(Files, CompileOptionsOfJax, ::testing::Values("jax_default.pb", "jax_everything.pb"));

TEST_P(CompileOptionsOfJax, LoseNothingWhenParsedAndWritten) {
  const std::string again = value_of(CompileOptions::parse(bytes)).serialize();
  EXPECT_THAT(without(read_wire(again), {kBuild}), UnorderedElementsAreArray(without(read_wire(bytes), {kBuild})));
  EXPECT_THAT(read_wire(test::only_bytes(again, kBuild)),
              UnorderedElementsAreArray(read_wire(test::only_bytes(bytes, kBuild))));
}

TEST(CompileOptionsOfJax, AreWhatTheSameSettingsGive) {
  const CompileOptions options = CompileOptions()
                                     .device_assignment(value_of(DeviceAssignment::create(2, 3, {0, 1, 2, 5, 4, 3})))
                                     .parameter_is_tupled_arguments(true)
                                     .portable(true)
                                     .profile_version(7)
                                     .flag("xla_cpu_enable_fast_math", "true")
                                     .flag("xla_dump_to", "/tmp/dump")
                                     .use_spmd(true)
                                     .use_auto_spmd(true, {2, 3}, {0, 1, 2, 3, 4, 5})
                                     .use_shardy(true)
                                     .exec_time_optimization_effort(0.5f)
                                     .memory_fitting_effort(-0.5f)
                                     .optimization_level(2)
                                     .memory_fitting_level(3)
                                     .fdo_profile("profile")
                                     .allow_spmd_sharding_propagation_to_parameters({true, false})
                                     .allow_spmd_sharding_propagation_to_output({false, true, true});
  const std::string theirs = test::read_all(test::data_file("compile_options/jax_everything.pb"));
  EXPECT_THAT(without(read_wire(options.serialize()), {kBuild}),
              UnorderedElementsAreArray(without(read_wire(theirs), {kBuild})));
  // jaxlib adds all of its debug options (3) and a process count (23) of its own accord.
  EXPECT_THAT(read_wire(build_of(options)),
              UnorderedElementsAreArray(without(read_wire(test::only_bytes(theirs, kBuild)), {3, 23})));
}

// Reading.

TEST(CompileOptionsParse, GivesCountsAndAssignment) {
  const CompileOptions options =
      value_of(CompileOptions::parse(test::read_all(test::data_file("compile_options/jax_everything.pb"))));
  EXPECT_EQ(options.num_replicas(), 2);
  EXPECT_EQ(options.num_partitions(), 3);
  EXPECT_TRUE(options.uses_spmd());
  EXPECT_TRUE(options.is_portable());
  ASSERT_TRUE(options.device_assignment());
  EXPECT_THAT(options.device_assignment()->device_ids(), ElementsAre(0, 1, 2, 5, 4, 3));
  ASSERT_EQ(options.flags().size(), 2u);
  EXPECT_EQ(options.flags()[0], (std::pair<std::string, FlagValue>("xla_cpu_enable_fast_math", "true")));
}

TEST(CompileOptionsParse, UnknownFieldsAreKept) {
  const std::string unknown = from_hex("a2 06 03 61 62 63");  // 100: "abc"
  const std::string unknown_number = from_hex("a0 06 07");    // 100: 7
  const std::string bytes = with_build(unknown_number, unknown);
  const CompileOptions options = value_of(CompileOptions::parse(bytes));
  EXPECT_THAT(read_wire(options.serialize()), Contains(bytes_field(100, "abc")));
  EXPECT_THAT(read_wire(build_of(options)), Contains(number_field(100, 7)));
}

TEST(CompileOptionsParse, DeviceOrdinalIsKept) {
  EXPECT_THAT(read_wire(build_of(value_of(CompileOptions::parse(with_build(from_hex("08 02")))))),
              AllOf(Contains(number_field(1, 2)), Not(Contains(number_field(1, ~std::uint64_t{0})))));
}

TEST(CompileOptionsParse, SettingsCanBeChangedAfterwards) {
  const std::string bytes = with_build(from_hex("30 01"));  // use_spmd_partitioning
  EXPECT_THAT(read_wire(build_of(value_of(CompileOptions::parse(bytes)).use_spmd(false))),
              AllOf(Contains(number_field(6, 0)), Not(Contains(number_field(6, 1)))));
}

TEST(CompileOptionsParse, UnpackedListsAreRead) {
  EXPECT_EQ(test::only_bytes(build_of(value_of(CompileOptions::parse(with_build(from_hex("80 01 02  80 01 03"))))), 16),
            from_hex("02 03"));
}

TEST(CompileOptionsParse, EmptyIsRefused) {  // plugins abort the process at it
  EXPECT_ERROR(CompileOptions::parse(""), InvalidArgument,
               "0 replicas and 0 partitions; there must be at least one of each");
}

TEST(CompileOptionsParse, GarbageIsRefused) {
  EXPECT_ERROR(CompileOptions::parse("no protobuf"), InvalidArgument, "not a serialized CompileOptionsProto");
}

TEST(CompileOptionsParse, TruncationIsRefused) {
  const std::string bytes = test::read_all(test::data_file("compile_options/jax_default.pb"));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(CompileOptions::parse(bytes.substr(0, size))) << size;
}

TEST(CompileOptionsParse, CountsBelowOneAreRefused) {
  EXPECT_ERROR(CompileOptions::parse(from_hex("1a 04 20 00 28 01")), InvalidArgument, "0 replicas and 1 partitions");
  EXPECT_ERROR(CompileOptions::parse(from_hex("1a 0d 20 ff ff ff ff ff ff ff ff ff 01 28 01")), InvalidArgument,
               "-1 replicas");
}

TEST(CompileOptionsParse, CountsThatNoIntHoldsAreRefused) {  // 2^32 + 1 must not become 1
  EXPECT_ERROR(CompileOptions::parse(from_hex("1a 08 20 81 80 80 80 10 28 01")), InvalidArgument,
               "4294967297 replicas");
}

TEST(CompileOptionsParse, BadDeviceAssignmentIsRefused) {
  EXPECT_ERROR(CompileOptions::parse(with_build(from_hex("4a 02 08 01"))), InvalidArgument, "device assignment");
}

// DebugOptions, by the numbers of xla/xla.proto.

TEST(DebugOptions, FieldsAreSetByName) {
  DebugOptions options;
  ASSERT_OK(options.set("xla_cpu_enable_fast_math", true));
  ASSERT_OK(options.set("xla_dump_to", "/tmp/dump"));
  ASSERT_OK(options.set("xla_backend_optimization_level", std::int64_t{3}));
  EXPECT_THAT(read_wire(options.serialize()),
              ElementsAre(number_field(99, 1), bytes_field(109, "/tmp/dump"), number_field(31, 3)));
}

TEST(DebugOptions, FloatFieldsTakeWholeNumbersToo) {
  DebugOptions options;
  ASSERT_OK(options.set("xla_gpu_autotune_gemm_rtol", 0.5));
  ASSERT_OK(options.set("xla_gpu_autotune_gemm_rtol", std::int64_t{2}));
  EXPECT_THAT(read_wire(options.serialize()),
              ElementsAre(number_field(316, bits(0.5f)), number_field(316, bits(2.0f))));
}

TEST(DebugOptions, RepeatedFieldsGrow) {
  DebugOptions options;
  ASSERT_OK(options.set("xla_disable_hlo_passes", "cse"));
  ASSERT_OK(options.set("xla_disable_hlo_passes", "dce"));
  EXPECT_THAT(read_wire(options.serialize()), ElementsAre(bytes_field(30, "cse"), bytes_field(30, "dce")));
}

TEST(DebugOptions, EnumsTakeNamesAndNumbers) {
  DebugOptions options;
  ASSERT_OK(options.set("xla_step_marker_location", "STEP_MARK_AT_TOP_LEVEL_WHILE_LOOP"));
  ASSERT_OK(options.set("xla_step_marker_location", std::int64_t{2}));
  EXPECT_THAT(read_wire(options.serialize()), ElementsAre(number_field(108, 1), number_field(108, 2)));
}

TEST(DebugOptions, UnknownEnumeratorsAreRefused) {
  DebugOptions options;
  EXPECT_ERROR(options.set("xla_step_marker_location", "NOWHERE"), InvalidArgument,
               "takes an enumerator's name or number");
  EXPECT_ERROR(options.set("xla_step_marker_location", std::int64_t{77}), InvalidArgument,
               "takes an enumerator's name or number");
  EXPECT_TRUE(options.serialize().empty());
}

TEST(DebugOptions, UnknownNamesGetTheNearestOne) {
  DebugOptions options;
  EXPECT_ERROR(options.set("xla_cpu_enable_fastmath", true), NotFound, "no field 'xla_cpu_enable_fastmath'");
  EXPECT_ERROR(options.set("xla_cpu_enable_fastmath", true), NotFound, "the nearest is 'xla_cpu_enable_fast_math'");
  EXPECT_ERROR(options.set("xla_dmp_to", ""), NotFound, "the nearest is 'xla_dump_to'");
}

TEST(DebugOptions, ValuesOfTheWrongKindAreRefusedWithTheRightKind) {
  DebugOptions options;
  EXPECT_ERROR(options.set("xla_cpu_enable_fast_math", std::int64_t{1}), InvalidArgument,
               "'xla_cpu_enable_fast_math' takes a bool");
  EXPECT_ERROR(options.set("xla_backend_optimization_level", 2.5), InvalidArgument, "takes an integer");
  EXPECT_ERROR(options.set("xla_dump_to", true), InvalidArgument, "takes a string");
  EXPECT_TRUE(options.serialize().empty());
}

TEST(DebugOptions, ExtraOptionsOfTheBackendAreAMap) {
  DebugOptions options;
  options.set_backend_extra_option("key", "value");
  const std::string entry = test::only_bytes(options.serialize(), 500);
  EXPECT_THAT(read_wire(entry), ElementsAre(bytes_field(1, "key"), bytes_field(2, "value")));
}

TEST(CompilationEnvironments, AreAnyMessages) {
  CompilationEnvironments environments;
  environments.add("type.googleapis.com/xla.GpuCompilationEnvironment", std::string("\x08\x00", 2));
  EXPECT_THAT(read_wire(test::only_bytes(environments.serialize(), 1)),
              ElementsAre(bytes_field(1, "type.googleapis.com/xla.GpuCompilationEnvironment"),
                          bytes_field(2, std::string("\x08\x00", 2))));
}

}  // namespace
}  // namespace pjrt
