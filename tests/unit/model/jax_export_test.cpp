#include "pjrt/model/jax_export.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "support/data.hpp"
#include "support/matchers.hpp"
#include "unit/model/artifact.hpp"

namespace pjrt::model {
namespace {

using nlohmann::json;
using test::arguments;
using test::Artifact;
using test::as_bytes;
using test::as_text;
using test::custom;
using test::dict;
using test::leaf;
using test::Node;
using test::tuple;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string file_of(const std::string& name) {
  return test::read_all(test::data_file("exports/" + name + ".jaxexp"));
}

Result<JaxExport> parse(const std::string& file) {
  return JaxExport::parse(as_bytes(file));
}

std::vector<std::string> paths_of(std::span<const ExportedValue> values) {
  std::vector<std::string> paths;
  for (const ExportedValue& value : values) paths.push_back(value.path());
  return paths;
}

std::vector<std::string> list(std::span<const std::string> strings) {
  return {strings.begin(), strings.end()};
}

// What JAX wrote of its own artifacts.

const std::vector<json>& cases() {
  static const std::vector<json> kCases = json::parse(test::read_all(test::data_file("exports/cases.json")));
  return kCases;
}

/// [[begin, end] of each dimension] of each partition's tile.
json pieces(const Sharding& sharding, const Dimensions& dims, std::int64_t partitions) {
  json all = json::array();
  const Dimensions tile = sharding.tile_dims(dims);
  for (std::int64_t p = 0; p < partitions; ++p) {
    const std::optional<Dimensions> begin = sharding.tile_begin(p, dims);
    json piece = json::array();
    for (std::size_t d = 0; begin && d < dims.size(); ++d)
      piece.push_back({(*begin)[d], std::min((*begin)[d] + tile[d], dims[d])});
    all.push_back(piece);
  }
  return all;
}

void expect_as_jax_says(const ExportedValue& value, const json& jax, std::int64_t device_count) {
  SCOPED_TRACE(jax.at("path").get<std::string>());
  EXPECT_EQ(value.path(), jax.at("path"));
  EXPECT_EQ(name(value.type()), jax.at("type"));
  bool symbolic = false;
  json dims = json::array();
  for (std::size_t i = 0; i < value.dims().size(); ++i) {
    if (value.shape().dims[i] == ExportedValue::kSymbolic) {
      symbolic = true;
      dims.push_back(value.dims()[i]);
    } else {
      EXPECT_EQ(value.dims()[i], std::to_string(value.shape().dims[i]));
      dims.push_back(value.shape().dims[i]);
    }
  }
  EXPECT_EQ(dims, jax.at("shape"));
  EXPECT_EQ(value.is_symbolic(), symbolic);
  EXPECT_EQ(value.is_kept(), jax.value("kept", true));
  const bool is_key = jax.contains("key");
  EXPECT_EQ(value.dtype().starts_with("key<"), is_key);
  if (is_key) {
    EXPECT_EQ(value.dtype(), "key<" + jax.at("key").get<std::string>() + ">");
  }
  if (!jax.contains("sharding")) return;
  const std::optional<Sharding> sharding = value_of(value.sharding());
  ASSERT_EQ(sharding.has_value(), !jax.at("sharding").is_null());
  if (!sharding) return;
  json ours = pieces(*sharding, value.shape().dims, device_count);
  for (json& piece : ours) {
    if (is_key) piece.erase(piece.size() - 1);  // of the words of keys, which JAX does not count as a dimension
  }
  EXPECT_EQ(ours, jax.at("pieces"));
}

class JaxExportOfJax : public ::testing::TestWithParam<json> {};

TEST_P(JaxExportOfJax, SaysWhatJaxSays) {
  const json& jax = GetParam();
  const std::string file = file_of(jax.at("name"));
  EXPECT_TRUE(JaxExport::looks_like(as_bytes(file)));
  const JaxExport artifact = value_of(parse(file));
  EXPECT_EQ(json(list(artifact.platforms())), jax.at("platforms"));
  EXPECT_EQ(artifact.device_count(), jax.at("nr_devices"));
  EXPECT_EQ(artifact.calling_convention_version(), jax.at("calling_convention_version"));
  EXPECT_EQ(json(list(artifact.ordered_effects())), jax.at("ordered_effects"));
  EXPECT_EQ(artifact.has_vjp(), jax.at("has_vjp"));
  EXPECT_EQ(json(list(artifact.custom_call_targets())), jax.at("custom_calls"));
  json checks = json::array();
  for (const DisabledCheck& check : artifact.disabled_checks()) checks.push_back(to_string(check));
  EXPECT_EQ(checks, jax.at("disabled_checks"));

  json donated = json::array();
  bool symbolic = false;
  ASSERT_EQ(artifact.inputs().size(), jax.at("inputs").size());
  for (std::size_t i = 0; i < artifact.inputs().size(); ++i) {
    const ExportedValue& input = artifact.inputs()[i];
    expect_as_jax_says(input, jax.at("inputs")[i], artifact.device_count());
    symbolic = symbolic || input.is_symbolic();
    if (input.is_donated()) donated.push_back(input.path());
  }
  EXPECT_EQ(donated, jax.at("donated"));
  ASSERT_EQ(artifact.outputs().size(), jax.at("outputs").size());
  for (std::size_t i = 0; i < artifact.outputs().size(); ++i) {
    expect_as_jax_says(artifact.outputs()[i], jax.at("outputs")[i], artifact.device_count());
  }
  EXPECT_EQ(artifact.check_static().has_value(), !symbolic);
}

std::string case_name(const ::testing::TestParamInfo<json>& info) {
  std::string name = info.param.at("name");
  std::ranges::replace_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(, JaxExportOfJax, ::testing::ValuesIn(cases()), case_name);

TEST(JaxExportOfJaxCases, ThereAreMany) {
  EXPECT_GE(cases().size(), 80u);
}

/// The function was exported as lambda *a: ….
TEST(JaxExport, InputsBearTheNamesOfTheFunctionsParameters) {
  const JaxExport artifact = value_of(parse(file_of("nested_tree")));
  std::vector<std::string> names;
  for (const ExportedValue& input : artifact.inputs()) names.push_back(input.name());
  EXPECT_THAT(names, ElementsAre("a[0]['a']", "a[0]['b'][0]", "a[0]['c'][0]", "a[0]['c'][1]['deep']"));
}

TEST(JaxExport, AnInputThatIsNotKeptHasNoName) {
  const JaxExport artifact = value_of(parse(file_of("unused_arguments")));
  for (const ExportedValue& input : artifact.inputs())
    EXPECT_EQ(input.name().empty(), !input.is_kept()) << input.path();
}

TEST(JaxExport, ModuleAndProgramAreThePortableArtifact) {
  const std::string file = file_of("f32_matmul");
  const JaxExport artifact = value_of(parse(file));
  const std::string module = as_text(artifact.module());
  EXPECT_TRUE(module.starts_with("ML\xEFR"));
  EXPECT_NE(file.find(module), std::string::npos);
  EXPECT_EQ(artifact.program().format(), "mlir");
  const Program program = artifact.program();
  EXPECT_EQ(program.code(), module);
  EXPECT_TRUE(artifact.program().stablehlo_version());
}

TEST(JaxExport, WithAnOwnerItReadsTheModuleWhereItLies) {
  const auto owner = std::make_shared<const std::string>(file_of("f32_matmul"));
  const JaxExport artifact = value_of(JaxExport::parse(as_bytes(*owner), owner));
  EXPECT_EQ(owner.use_count(), 2);
  EXPECT_GE(artifact.module().data(), as_bytes(*owner).data());
  EXPECT_LT(artifact.module().data(), as_bytes(*owner).data() + owner->size());
}

TEST(JaxExport, ReadsFromAnyAddress) {
  const std::string file = file_of("f32_matmul");
  for (std::size_t shift = 1; shift < 8; ++shift) {
    const std::string shifted = std::string(shift, 'x') + file;
    const auto bytes = as_bytes(shifted).subspan(shift);
    EXPECT_TRUE(JaxExport::looks_like(bytes));
    EXPECT_EQ(value_of(JaxExport::parse(bytes)).function_name(), value_of(parse(file)).function_name());
  }
}

TEST(JaxExport, MainTakesPlatformIndexThenTokensThenKeptInputs) {
  const JaxExport several = value_of(parse(file_of("multi_platform")));
  EXPECT_TRUE(several.has_platform_index());
  EXPECT_TRUE(several.uses_global_constants());
  EXPECT_EQ(value_of(several.platform_index(several.platforms()[1])), 1u);
  const JaxExport effect = value_of(parse(file_of("ordered_effect")));
  EXPECT_FALSE(effect.has_platform_index());
  EXPECT_EQ(effect.token_count(), 1u);
}

TEST(JaxExport, APlatformThatIsNotThereIsRefusedByName) {
  const JaxExport artifact = value_of(parse(file_of("tpu_only")));
  EXPECT_ERROR(artifact.platform_index("cpu"), FailedPrecondition, "was exported for tpu, not for cpu");
}

TEST(JaxExport, APlatformThatIsNotThereIsTakenWhereThatCheckIsDisabled) {
  EXPECT_EQ(value_of(value_of(parse(file_of("platform_check_disabled"))).platform_index("anything")), 0u);
}

TEST(JaxExport, SymbolicDimensionsAreRefusedByNameAndPlace) {
  const Result<void> result = value_of(parse(file_of("symbolic"))).check_static();
  EXPECT_ERROR(result, Unimplemented, "symbolic dimensions (b, h)");
  EXPECT_THAT(to_string(result.error()), HasSubstr("args[0] is f32[b,2*h + 1]"));
  EXPECT_THAT(to_string(result.error()), HasSubstr("result is f32[b,h]"));
}

// Artifacts written by hand.

TEST(JaxExport, ASmallArtifact) {
  const JaxExport artifact = value_of(parse(Artifact().build()));
  EXPECT_EQ(artifact.function_name(), "f");
  EXPECT_EQ(artifact.serialization_version(), 3);
  EXPECT_FALSE(artifact.jax_version());
  EXPECT_THAT(artifact.kept_inputs(), ElementsAre(0u));
  EXPECT_EQ(to_string(artifact.inputs()[0]), "f32[2,3]");
  EXPECT_EQ(artifact.inputs()[0].memory_space(), MemorySpace::Unspecified);
  EXPECT_FALSE(value_of(artifact.inputs()[0].sharding()));
}

TEST(JaxExport, SaysWhichJaxWroteIt) {
  Artifact a;
  a.jax_version = "0.12.0";
  EXPECT_EQ(value_of(parse(a.build())).jax_version(), "0.12.0");
}

TEST(JaxExport, MemorySpaces) {
  Artifact a;
  a.types = {{.memory_space = 1}, {.memory_space = 2}};
  a.out_types = {1};
  const JaxExport artifact = value_of(parse(a.build()));
  EXPECT_EQ(name(artifact.inputs()[0].memory_space()), "device");
  EXPECT_EQ(name(artifact.outputs()[0].memory_space()), "host");
  a.types[0].memory_space = 9;
  EXPECT_ERROR(parse(a.build()), Unimplemented, "memory space that is not known here (number 9)");
}

/// The numbers of jax.export's schema against numpy's names.
TEST(JaxExport, ElementTypes) {
  const std::vector<const char*> names = {"pred",     "s8",         "s16",      "s32",        "s64",  "u8",
                                          "u16",      "u32",        "u64",      "f16",        "f32",  "f64",
                                          "c64",      "c128",       "bf16",     "s4",         "u4",   "f8e4m3b11fnuz",
                                          "f8e4m3fn", "f8e4m3fnuz", "f8e5m2",   "f8e5m2fnuz", "pred", "f8e4m3",
                                          "f8e3m4",   "f8e8m0fnu",  "f4e2m1fn", "u32",        "u32",  "u32"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    Artifact a;
    a.types = {{.dtype = static_cast<std::int8_t>(i)}};
    EXPECT_EQ(name(value_of(parse(a.build())).inputs()[0].type()), names[i]) << i;
  }
  for (const int unknown : {-1, 30, 127}) {
    Artifact a;
    a.types = {{.dtype = static_cast<std::int8_t>(unknown)}};
    EXPECT_ERROR(parse(a.build()), Unimplemented,
                 "element type that is not known here (number " + std::to_string(unknown) + ")");
  }
}

TEST(JaxExport, PrngKeysAreWordsInOneMoreDimension) {
  Artifact a;
  a.types = {{.dims = {"5"}, .dtype = 27}, {.dims = {}, .dtype = 28}, {.dims = {"b"}, .dtype = 29}};
  a.in_tree = arguments({leaf(), leaf(), leaf()});
  a.in_types = {0, 1, 2};
  const JaxExport artifact = value_of(parse(a.build()));
  EXPECT_EQ(to_string(artifact.inputs()[0]), "u32[5,2]");
  EXPECT_EQ(artifact.inputs()[0].dtype(), "key<fry>");
  EXPECT_EQ(to_string(artifact.inputs()[1]), "u32[4]");
  EXPECT_EQ(artifact.inputs()[1].dtype(), "key<rbg>");
  EXPECT_EQ(to_string(artifact.inputs()[2]), "u32[b,4]");
  EXPECT_EQ(artifact.inputs()[2].dtype(), "key<urbg>");
}

TEST(JaxExport, TokensAmongTheArgumentsAreRefused) {
  Artifact a;
  a.types = {{.kind = 1}};
  EXPECT_ERROR(parse(a.build()), Unimplemented, "not an array (kind 1)");
}

/// Expected: repr() of Python 3.11.
TEST(JaxExport, KeysOfDictsAreWrittenAsPythonWritesThem) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"w", "'w'"},
      {"it's", "\"it's\""},
      {"both'\"", "'both\\'\"'"},
      {"say \"hi\"", "'say \"hi\"'"},
      {"a\\b", "'a\\\\b'"},
      {"\n\r\t", "'\\n\\r\\t'"},
      {std::string("\0", 1), "'\\x00'"},
      {"\x1b[31m\x7f", "'\\x1b[31m\\x7f'"},
      {"\u00fc\u65e5\U0001F600", "'\u00fc\u65e5\U0001F600'"},
      {"\u0085\u00a0\u00ad", "'\\x85\\xa0\\xad'"},
      {"\u200b\u2028\ufeff\u3000", "'\\u200b\\u2028\\ufeff\\u3000'"},
      {"\ue000\U000E0001\U0010FFFD", "'\\ue000\\U000e0001\\U0010fffd'"},
      {"", "''"},
  };
  for (const auto& [key, repr] : cases) {
    Artifact a;
    a.out_tree = dict({key}, {leaf()});
    EXPECT_EQ(value_of(parse(a.build())).outputs()[0].path(), "result[" + repr + "]");
  }
}

TEST(JaxExport, PathsOfEveryKindOfNode) {
  Artifact a;
  a.in_tree = tuple(
      {tuple({{.kind = Node::None}, custom("Point", R"(["y", "x"])", {leaf(), leaf()})}), dict({"scale"}, {leaf()})});
  a.in_types = {0, 0, 0};
  a.out_tree = Node{.kind = Node::List,
                    .children = {custom("collections.OrderedDict", R"(["b", "\u00e4"])", {leaf(), tuple({leaf()})}),
                                 custom("Interval", std::string("\0\xFF", 2), {leaf(), leaf()}), leaf()}};
  a.out_types = {0, 0, 0, 0, 0};
  const JaxExport artifact = value_of(parse(a.build()));
  EXPECT_THAT(paths_of(artifact.inputs()), ElementsAre("args[1].y", "args[1].x", "kwargs['scale']"));
  EXPECT_THAT(paths_of(artifact.outputs()),
              ElementsAre("result[0]['b']", "result[0]['\u00e4'][0]", "result[1][<flat index 0>]",
                          "result[1][<flat index 1>]", "result[2]"));
}

/// Auxiliary data that is not a list of that many names belongs to a type whose children only its author can name.
TEST(JaxExport, ChildrenOfOtherTypesAreNumbered) {
  for (const char* auxdata :
       {"", "[", "[]", "[1]", "{\"a\": 1}", "[\"a\", \"b\"]", "[\"not a name\"]", "[\"\"]", "[\"1a\"]", "[\"\xFF\"]"}) {
    Artifact a;
    a.out_tree = custom("T", auxdata, {leaf()});
    EXPECT_EQ(value_of(parse(a.build())).outputs()[0].path(), "result[<flat index 0>]") << auxdata;
  }
}

TEST(JaxExport, OlderArtifactsHaveTheirTypesInLine) {
  Artifact a;
  a.types.clear();
  a.in_types.clear();
  a.out_types.clear();
  a.in_avals = {{.dims = {"7"}}};
  a.out_avals = {{.dims = {}}};
  a.devices = 0;
  a.devices_short = 4;
  const JaxExport artifact = value_of(parse(a.build()));
  EXPECT_EQ(to_string(artifact.inputs()[0]), "f32[7]");
  EXPECT_EQ(to_string(artifact.outputs()[0]), "f32[]");
  EXPECT_EQ(artifact.device_count(), 4);
}

TEST(JaxExport, TheNumbersOfOlderArtifactsMayBeMissingAtTheEnd) {
  // Python's builder leaves out trailing fields that have their defaults; nothing after the calling convention need be
  // there.
  Artifact a;
  a.in_tree = arguments({});
  a.in_types.clear();
  a.kept.clear();
  a.out_tree = tuple({});
  a.out_types.clear();
  const JaxExport artifact = value_of(parse(a.build()));
  EXPECT_THAT(artifact.inputs(), IsEmpty());
  EXPECT_THAT(artifact.outputs(), IsEmpty());
}

// Shardings. Expected tiles by hand: devices are numbered in row-major order of the mesh's axes.

Artifact sharded(std::vector<std::vector<std::string>> axes) {
  Artifact a;
  a.devices = 6;
  a.types = {{.dims = {"12", "6"}}};
  a.meshes = {{.names = {"x", "y"}, .sizes = {2, 3}, .types = {1, 1}}};
  a.shardings = {{.axes = std::move(axes)}};
  a.in_shardings = {1};
  a.out_shardings = {0};
  return a;
}

json pieces_of(const Artifact& artifact) {
  const JaxExport e = value_of(parse(artifact.build()));
  const std::optional<Sharding> sharding = value_of(e.inputs()[0].sharding());
  EXPECT_TRUE(sharding);
  EXPECT_FALSE(value_of(e.outputs()[0].sharding()));
  return pieces(*sharding, e.inputs()[0].shape().dims, e.device_count());
}

TEST(JaxExportSharding, TheFirstAxisOfADimensionIsMajor) {
  EXPECT_EQ(pieces_of(sharded({{"x", "y"}})),
            json::parse("[[[0,2],[0,6]],[[2,4],[0,6]],[[4,6],[0,6]],[[6,8],[0,6]],[[8,10],[0,6]],[[10,12],[0,6]]]"));
  EXPECT_EQ(pieces_of(sharded({{"y", "x"}, {}})),
            json::parse("[[[0,2],[0,6]],[[4,6],[0,6]],[[8,10],[0,6]],[[2,4],[0,6]],[[6,8],[0,6]],[[10,12],[0,6]]]"));
}

TEST(JaxExportSharding, AxesOfDifferentDimensions) {
  EXPECT_EQ(pieces_of(sharded({{"y"}, {"x"}})),
            json::parse("[[[0,4],[0,3]],[[4,8],[0,3]],[[8,12],[0,3]],[[0,4],[3,6]],[[4,8],[3,6]],[[8,12],[3,6]]]"));
}

TEST(JaxExportSharding, AxesThatCutNothingReplicate) {
  EXPECT_EQ(pieces_of(sharded({{}, {"y"}})),
            json::parse("[[[0,12],[0,2]],[[0,12],[2,4]],[[0,12],[4,6]],[[0,12],[0,2]],[[0,12],[2,4]],[[0,12],[4,6]]]"));
  EXPECT_EQ(pieces_of(sharded({{"x"}})),
            json::parse("[[[0,6],[0,6]],[[0,6],[0,6]],[[0,6],[0,6]],[[6,12],[0,6]],[[6,12],[0,6]],[[6,12],[0,6]]]"));
  EXPECT_TRUE(value_of(value_of(parse(sharded({}).build())).inputs()[0].sharding())->is_replicated());
}

TEST(JaxExportSharding, TheMeshMayStandInTheShardingItself) {
  Artifact a = sharded({{"y"}, {"x"}});
  a.shardings[0].own_mesh = std::exchange(a.meshes, {})[0];
  EXPECT_EQ(pieces_of(a), pieces_of(sharded({{"y"}, {"x"}})));
}

/// What JAX writes for arrays on a single device.
TEST(JaxExportSharding, AMeshWithoutAxesReplicates) {
  Artifact a = sharded({{}, {}});
  a.meshes = {{}};
  EXPECT_TRUE(value_of(value_of(parse(a.build())).inputs()[0].sharding())->is_replicated());
}

TEST(JaxExportSharding, TheLastDimensionOfPrngKeysIsWhole) {
  Artifact a = sharded({{"y"}});
  a.types = {{.dims = {"3"}, .dtype = 27}};
  EXPECT_EQ(pieces_of(a),
            json::parse("[[[0,1],[0,2]],[[1,2],[0,2]],[[2,3],[0,2]],[[0,1],[0,2]],[[1,2],[0,2]],[[2,3],[0,2]]]"));
}

TEST(JaxExportSharding, OlderArtifactsHoldAnOpSharding) {
  Artifact a;
  a.devices = 2;
  a.types = {{.dims = {"4"}}};
  a.in_tree = arguments({leaf(), leaf(), leaf()});
  a.in_types = {0, 0, 0};
  // OpSharding{type: OTHER, tile_assignment_dimensions: [2], tile_assignment_devices: [0, 1]}; one of no bytes is
  // replicated
  a.in_hlo_shardings = {test::from_hex("08031a01022202 0001"), "", std::nullopt};
  const JaxExport e = value_of(parse(a.build()));
  EXPECT_EQ(pieces(*value_of(e.inputs()[0].sharding()), {4}, 2), json::parse("[[[0,2]],[[2,4]]]"));
  EXPECT_TRUE(value_of(e.inputs()[1].sharding())->is_replicated());
  EXPECT_FALSE(value_of(e.inputs()[2].sharding()));
}

TEST(JaxExportSharding, PrngKeysMayBeReplicatedByAnOpShardingButNotCut) {
  Artifact a;
  a.devices = 2;
  a.types = {{.dims = {"4"}, .dtype = 27}};
  a.in_tree = arguments({leaf(), leaf()});
  a.in_types = {0, 0};
  a.in_hlo_shardings = {"", test::from_hex("08031a01022202 0001")};
  const JaxExport e = value_of(parse(a.build()));
  EXPECT_TRUE(value_of(e.inputs()[0].sharding())->is_replicated());
  EXPECT_ERROR(e.inputs()[1].sharding(), Unimplemented, "args[1]: sharding: PRNG keys that are cut by an OpSharding");
}

void expect_sharding_error(const Artifact& artifact, ErrorCode code, const std::string& text) {
  const JaxExport e = value_of(parse(artifact.build()));
  EXPECT_TRUE(test::failed_with(e.inputs()[0].sharding(), code, text));
}

TEST(JaxExportSharding, WhatSaysNothingOfTheCutIsUnimplemented) {
  Artifact a = sharded({{"x"}});
  a.shardings[0].unreduced = {"y"};
  expect_sharding_error(a, ErrorCode::Unimplemented, "args[0]: sharding: unreduced axes");
  a = sharded({{"x"}});
  a.meshes[0].types = {1, 3};
  expect_sharding_error(a, ErrorCode::Unimplemented, "manual mesh axes");
}

TEST(JaxExportSharding, WhatDoesNotFitIsAnErrorOfThatValueAlone) {
  expect_sharding_error(sharded({{"z"}}), ErrorCode::InvalidArgument, "its mesh has no axis 'z'");
  expect_sharding_error(sharded({{"x"}, {"x"}}), ErrorCode::InvalidArgument, "the mesh axis 'x' cuts twice");
  expect_sharding_error(sharded({{}, {}, {"x"}}), ErrorCode::InvalidArgument,
                        "axes for 3 dimensions of an array that has 2");
  Artifact a = sharded({{"x"}});
  a.devices = 4;
  expect_sharding_error(a, ErrorCode::InvalidArgument, "a mesh of 6 devices in an artifact for 4");
  a.meshes[0].sizes = {2, 0};
  expect_sharding_error(a, ErrorCode::InvalidArgument, "a mesh axis of size 0");
  a.meshes[0].sizes = {0xFFFFFFFF, 0xFFFFFFFF};
  expect_sharding_error(a, ErrorCode::InvalidArgument, "a mesh axis of size 4294967295");
}

TEST(JaxExportSharding, IndicesAndMeshesAreChecked) {
  Artifact a = sharded({{"x"}});
  a.in_shardings = {2};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "args[0] has sharding 2 of the 1 it lists");
  a = sharded({{"x"}});
  a.in_shardings = {1, 1};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "in_shardings_idxs has 2 entries for the 1 leaves");
  a = sharded({{"x"}});
  a.shardings[0].mesh = 1;
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "it names mesh 1, but there are 1");
  a = sharded({{"x"}});
  a.meshes[0].sizes = {6};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "2 axis names, 1 sizes");
  a = sharded({{"x"}});
  a.meshes[0].names = {"x", "x"};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "two axes 'x'");
}

// Custom calls of modules that this library cannot walk.

/// Bytecode of another version, with nothing but strings.
std::string module_with_strings(const std::vector<std::string>& strings) {
  const auto number = [](std::size_t n) { return std::string(1, static_cast<char>(n << 1 | 1)); };
  std::string section = number(strings.size());
  std::string text;
  for (auto s = strings.rbegin(); s != strings.rend(); ++s) section += number(s->size() + 1);
  for (const std::string& s : strings) text += s + '\0';
  section += text;
  return "ML\xEFR" + number(99) + "p" + '\0' + '\0' + number(section.size()) + section;
}

TEST(JaxExport, CustomCallsOfUnknownBytecodeAreTheKnownOnesAmongItsStrings) {
  Artifact a;
  a.module = module_with_strings({"main", "lapack_sgesdd_ffi", "mine", "Eigh", "not_allowed"});
  a.disabled_checks = {{1, "mine"}, {1, "elsewhere"}, {0, ""}, {2, ""}};
  const JaxExport artifact = value_of(parse(a.build()));
  EXPECT_THAT(artifact.custom_call_targets(), ElementsAre("Eigh", "lapack_sgesdd_ffi", "mine"));
  EXPECT_EQ(to_string(artifact.disabled_checks()[3]), "shape_assertions");
}

// Files that are damaged, contradictory or hostile.

TEST(JaxExport, OtherFilesAreNotTakenForOne) {
  for (const std::string& bytes :
       {std::string(), std::string("\0", 1), std::string("func.func @main() { return }"), std::string("ML\xEFR rest"),
        std::string(64, '\0'), std::string(64, '\xFF'), std::string("PK\x03\x04 and more of a zip archive")}) {
    EXPECT_FALSE(JaxExport::looks_like(as_bytes(bytes)));
    EXPECT_FALSE(parse(bytes));
  }
  Artifact other;
  other.module = "no module";
  EXPECT_FALSE(JaxExport::looks_like(as_bytes(other.build())));
  EXPECT_ERROR(parse(other.build()), InvalidArgument, "jax.export artifact: it has no StableHLO module");
}

/// Cut anywhere, it is an error that says so; only padding at the very end may be missing.
TEST(JaxExport, EveryTruncationIsAnError) {
  for (const char* name : {"sharded_both_axes", "nested_tree"}) {
    const std::string file = file_of(name);
    for (std::size_t length = 0; length < file.size(); ++length) {
      const std::string cut = file.substr(0, length);
      const Result<JaxExport> result = parse(cut);
      if (result) {
        EXPECT_GE(length + 8, file.size()) << name;
        continue;
      }
      EXPECT_TRUE(result.error().code() == ErrorCode::DataLoss || result.error().code() == ErrorCode::InvalidArgument)
          << to_string(result.error());
      EXPECT_THAT(to_string(result.error()), HasSubstr("jax.export artifact: "));
    }
  }
}

/// Whatever a byte becomes, reading ends with a value or an error; sanitizers see the rest.
TEST(JaxExport, NoChangedByteIsACrash) {
  std::mt19937 random(20240229);
  for (const char* name :
       {"sharded_both_axes", "nested_tree", "symbolic_multi_platform", "rng_key_array", "custom_node"}) {
    const std::string file = file_of(name);
    for (std::size_t at = 0; at < file.size(); ++at) {
      std::string changed = file;
      changed[at] = static_cast<char>(random());
      const Result<JaxExport> result = parse(changed);
      if (!result) continue;
      for (const ExportedValue& input : result->inputs()) (void)input.sharding();
      (void)result->check_static();
    }
  }
}

TEST(JaxExport, UnknownCallingConventionsAreNamed) {
  for (const int version : {0, 8, 11}) {
    Artifact a;
    a.calling_convention = static_cast<std::uint16_t>(version);
    EXPECT_ERROR(parse(a.build()), Unimplemented, "calling convention " + std::to_string(version) + "; only 9 and 10");
  }
}

TEST(JaxExport, WhatMustBeThereIsAskedFor) {
  Artifact a;
  a.function_name.reset();
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "no function name");
  a = {};
  a.platforms.clear();
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "names no platform");
  a = {};
  a.devices = 0;
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "it is for 0 devices");
  a.devices_short = -3;
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "it is for -3 devices");
  a.devices = 0xFFFFFFFF;
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "it is for 4294967295 devices");
  a = {};
  a.in_tree.reset();
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "it has no in_tree");
  a = {};
  a.out_tree.reset();
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "it has no out_tree");
}

TEST(JaxExport, LeavesAndTypesMustBeAsMany) {
  Artifact a;
  a.in_types = {0, 0};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "in_avals_idxs has 2 entries for the 1 leaves");
  a = {};
  a.out_tree = tuple({leaf(), leaf()});
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "out_avals_idxs has 1 entries for the 2 leaves");
  a = {};
  a.in_types.clear();
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "in_avals has 0 entries for the 1 leaves");
  a.in_avals = {{}, {}};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "in_avals has 2 entries for the 1 leaves");
  a = {};
  a.in_hlo_shardings = {std::nullopt, std::nullopt};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "in_shardings has 2 entries for the 1 leaves");
}

TEST(JaxExport, IndicesAreChecked) {
  Artifact a;
  a.in_types = {1};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "args[0] is of type 1 of the 1 it lists");
  a = {};
  a.out_types = {0xFFFFFFFF};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "result is of type 4294967295");
  a = {};
  a.kept = {1};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "its module takes input 1, but there are 1");
  for (const std::vector<std::uint16_t>& kept : {std::vector<std::uint16_t>{0, 0}, {1, 0}}) {
    a = {};
    a.in_tree = arguments({leaf(), leaf()});
    a.in_types = {0, 0};
    a.kept = kept;
    EXPECT_ERROR(parse(a.build()), InvalidArgument, "module_kept_var_idx is not ascending");
  }
}

TEST(JaxExport, DimensionsAreNumbersOrExpressions) {
  for (const char* expression : {"b", "2*h + 1", "floordiv(b, 2)", "b^2 - max(a, 3)", "_x1", "mod(b, 3)", "\u03b2"}) {
    Artifact a;
    a.types[0].dims = {expression, "3"};
    const JaxExport artifact = value_of(parse(a.build()));
    EXPECT_EQ(artifact.inputs()[0].shape().dims, (Dimensions{ExportedValue::kSymbolic, 3}));
    EXPECT_EQ(artifact.inputs()[0].dims()[0], expression);
  }
  for (const char* nonsense : {"", " ", "-1", "9223372036854775808", "3 4", "1.5", "+", "b\n", "$b", "b;c"}) {
    Artifact a;
    a.types[0].dims = {nonsense};
    EXPECT_ERROR(parse(a.build()), InvalidArgument, "'" + std::string(nonsense) + "' is not a dimension");
  }
  Artifact a;
  a.types[0].dims = std::vector<std::string>(256, "1");
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "more than 255 dimensions");
}

TEST(JaxExport, TheArgumentsMustBeArgsAndKwargs) {
  for (const Node& tree :
       {leaf(), tuple({leaf()}), tuple({tuple({leaf()}), tuple({})}), tuple({dict({}, {}), dict({}, {})})}) {
    Artifact a;
    a.in_tree = tree;
    EXPECT_ERROR(parse(a.build()), InvalidArgument, "the arguments are not (args, kwargs)");
  }
}

TEST(JaxExport, TreesAreChecked) {
  Artifact a;
  a.out_tree = dict({"a", "b"}, {leaf()});
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "the dict at result has 2 keys for 1 values");
  a.out_tree = Node{.kind = Node::Leaf, .children = {leaf()}};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "a leaf at result has children");
  a.out_tree = Node{.kind = Node::None, .children = {leaf()}};
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "a leaf at result has children");
  a.out_tree = Node{.kind = 6};
  EXPECT_ERROR(parse(a.build()), Unimplemented, "unknown kind 6");
  a.out_tree = Node{.kind = -1};
  EXPECT_ERROR(parse(a.build()), Unimplemented, "unknown kind -1");
}

TEST(JaxExport, TextMustBeUtf8) {
  for (const char* text : {"\xFF", "\xC0\xAF", "\xED\xA0\x80", "\xE2\x82"}) {
    Artifact a;
    a.function_name = text;
    EXPECT_ERROR(parse(a.build()), DataLoss, "Exported.function_name is not valid UTF-8");
  }
}

TEST(JaxExport, EndlesslyNestedTreesAreRefused) {
  const auto nested = [](int levels) {
    Artifact a;
    for (int i = 0; i < levels; ++i) a.out_tree = tuple({*std::exchange(a.out_tree, std::nullopt)});
    return a.build();
  };
  EXPECT_EQ(value_of(parse(nested(300))).outputs()[0].path().size(), std::string("result").size() + 300 * 3);
  EXPECT_ERROR(parse(nested(1000)), InvalidArgument, "PyTreeDef is nested more than 400 levels deep");
}

/// A tuple of twice the same tuple of twice the same …: 2^60 leaves in a file of a few kilobytes.
TEST(JaxExport, TreesThatShareTheirBranchesAreNotFollowedForever) {
  Artifact a;
  a.build_in_tree = [](flatbuffers::FlatBufferBuilder& b) {
    flatbuffers::uoffset_t node = test::ArtifactWriter(b).node(leaf());
    for (int i = 0; i < 60; ++i) {
      const auto children = b.CreateVector(std::vector<flatbuffers::Offset<void>>(2, flatbuffers::Offset<void>(node)));
      const auto start = b.StartTable();
      b.AddElement<std::int8_t>(4, Node::Tuple, 0);
      b.AddOffset(6, children);
      node = b.EndTable(start);
    }
    const auto kwargs = test::ArtifactWriter(b).node(dict({}, {}));
    const auto children = b.CreateVector(
        std::vector<flatbuffers::Offset<void>>{flatbuffers::Offset<void>(node), flatbuffers::Offset<void>(kwargs)});
    const auto start = b.StartTable();
    b.AddElement<std::int8_t>(4, Node::Tuple, 0);
    b.AddOffset(6, children);
    return b.EndTable(start);
  };
  EXPECT_ERROR(parse(a.build()), InvalidArgument, "share the same bytes too many times");
}

/// A key of a megabyte above many leaves: the paths would be a thousand times the file.
TEST(JaxExport, PathsDoNotGrowWithoutBound) {
  Artifact a;
  a.out_tree = dict({std::string(1 << 20, 'k')}, {tuple(std::vector<Node>(1000, leaf()))});
  a.out_types = std::vector<std::uint32_t>(1000, 0);
  EXPECT_ERROR(parse(a.build()), ResourceExhausted, "paths of more than 64 MiB");
}

/// Lengths of vectors and strings that end far outside the file.
TEST(JaxExport, HugeLengthsAreRefused) {
  const std::string file = Artifact().build();
  std::size_t changed = 0;
  for (std::size_t at = 0; at + 4 <= file.size(); at += 4) {
    for (const std::uint32_t length : {0x7FFFFFFFu, 0xFFFFFFFFu, 0x80000000u, 0x20000000u}) {
      std::string huge = file;
      std::memcpy(huge.data() + at, &length, 4);
      if (!parse(huge)) ++changed;
    }
  }
  EXPECT_GT(changed, file.size() / 2);
}

}  // namespace
}  // namespace pjrt::model
