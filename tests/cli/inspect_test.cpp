// `pjrt inspect`: what a model is, takes and gives, without a plugin.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "support/data.hpp"

namespace pjrt::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::vector<json>& cases() {
  static const std::vector<json> kCases = json::parse(read_all(data_file("exports/cases.json")));
  return kCases;
}

std::string export_file(const std::string& name) {
  return data_file("exports/" + name + ".jaxexp");
}

json inspect(const std::string& file) {
  const Outcome outcome = run_pjrt({"inspect", file, "--json"});
  EXPECT_TRUE(succeeds(outcome));
  return json::parse(outcome.out);
}

std::string inspect_text(const std::string& file) {
  const Outcome outcome = run_pjrt({"inspect", file});
  EXPECT_TRUE(succeeds(outcome));
  return outcome.out;
}

std::vector<std::string> keys(const json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

// Of every artifact in the zoo, what JAX itself wrote about it in cases.json.

class InspectedExport : public ::testing::TestWithParam<std::size_t> {
 protected:
  const json& facts = cases()[GetParam()];
  const std::string file = export_file(facts["name"]);
};

INSTANTIATE_TEST_SUITE_P(Exports, InspectedExport, ::testing::Range(std::size_t{0}, cases().size()),
                         [](const auto& info) {
                           return test_name(cases()[info.param]["name"].template get<std::string>());
                         });

TEST_P(InspectedExport, JsonSaysWhatJaxSays) {
  const json said = inspect(file);
  EXPECT_EQ(said["format"], "jax.export artifact");
  EXPECT_EQ(said["devices"], facts["nr_devices"]);
  EXPECT_EQ(said["calling_convention_version"], facts["calling_convention_version"]);
  EXPECT_EQ(said["platforms"], facts["platforms"]);
  EXPECT_EQ(said["ordered_effects"], facts["ordered_effects"]);
  EXPECT_EQ(said["disabled_checks"], facts["disabled_checks"]);
  EXPECT_EQ(said["has_vjp"], facts["has_vjp"]);
  for (const json& target : facts["custom_calls"]) EXPECT_THAT(said["custom_calls"], ::testing::Contains(target));
}

TEST_P(InspectedExport, JsonNamesEveryInput) {
  const json said = inspect(file)["inputs"];
  ASSERT_EQ(said.size(), facts["inputs"].size());
  for (std::size_t i = 0; i < said.size(); ++i) {
    const json& fact = facts["inputs"][i];
    EXPECT_EQ(said[i]["path"], fact["path"]);
    EXPECT_EQ(said[i]["type"], fact["type"]);
    EXPECT_EQ(said[i]["shape"], fact["shape"]);
    EXPECT_EQ(said[i]["used"], fact["kept"]);
    if (fact.contains("key")) {
      EXPECT_EQ(said[i]["dtype"], "key<" + fact["key"].get<std::string>() + ">");
    }
    const bool donated = ::testing::Value(facts["donated"], ::testing::Contains(fact["path"]));
    EXPECT_EQ(said[i].value("donated", false), donated);
    const bool sharded = fact.contains("sharding") && !fact["sharding"].is_null();
    EXPECT_EQ(said[i].contains("sharding"), sharded);
  }
}

TEST_P(InspectedExport, JsonNamesEveryOutput) {
  const json said = inspect(file)["outputs"];
  ASSERT_EQ(said.size(), facts["outputs"].size());
  for (std::size_t i = 0; i < said.size(); ++i) {
    const json& fact = facts["outputs"][i];
    EXPECT_EQ(said[i]["path"], fact["path"]);
    EXPECT_EQ(said[i]["type"], fact["type"]);
    EXPECT_EQ(said[i]["shape"], fact["shape"]);
    if (fact.contains("key")) {
      EXPECT_EQ(said[i]["dtype"], "key<" + fact["key"].get<std::string>() + ">");
    }
  }
}

TEST(Inspect, JsonOfAnExportHasAllItsKeys) {
  const json said = inspect(export_file("donated"));
  EXPECT_THAT(keys(said), ::testing::UnorderedElementsAre(
                              "format", "devices", "stablehlo_version", "program_bytes", "function",
                              "serialization_version", "calling_convention_version", "platforms", "ordered_effects",
                              "unordered_effects", "disabled_checks", "custom_calls", "has_vjp", "inputs", "outputs"));
  EXPECT_EQ(said["function"], "donated");
  EXPECT_EQ(said["stablehlo_version"], "1.15.0");
  EXPECT_EQ(
      said["inputs"][0],
      json::parse(
          R"({"path": "args[0]", "name": "a[0]", "dtype": "float32", "type": "f32", "shape": [3], "used": true, "donated": true})"));
}

TEST(Inspect, JsonSaysHowArraysAreCut) {
  // A mesh of x = 2 by y = 2 devices, numbered along y first. Whole; rows over x; columns over y; rows over y and
  // columns over x.
  const json inputs = inspect(export_file("sharded_shardy"))["inputs"];
  EXPECT_EQ(inputs[0]["sharding"], "replicated");
  EXPECT_EQ(inputs[1]["sharding"], "2x1 tiles on partitions 0,1,2,3");
  EXPECT_EQ(inputs[2]["sharding"], "1x2 tiles on partitions 0,2,1,3");
  EXPECT_EQ(inputs[3]["sharding"], "2x2 tiles on partitions 0,2,1,3");
}

TEST(Inspect, JsonOfStableHloSaysWhatTextSays) {
  const TemporaryFolder folder;
  const std::string file = write_file(
      folder / "model.mlir",
      "module attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 3 : i32} { " + identity("f32") + " }");
  const json said = inspect(file);
  EXPECT_THAT(keys(said), ::testing::UnorderedElementsAre("format", "devices", "program_bytes", "replicas",
                                                          "partitions", "custom_calls", "inputs", "outputs"));
  EXPECT_EQ(said["format"], "StableHLO");
  EXPECT_EQ(said["devices"], 6);
  EXPECT_EQ(said["replicas"], 3);
  EXPECT_EQ(said["partitions"], 2);
  EXPECT_EQ(said["inputs"], json::parse(R"([{"path": "arg0", "name": "", "type": "f32", "shape": []}])"));
  EXPECT_EQ(said["program_bytes"], std::filesystem::file_size(file));
}

TEST(Inspect, RefusesNamesThatAreNoUtf8) {
  std::string artifact = read_all(export_file("donated"));
  const std::size_t at =
      artifact.find(std::string("\x07\0\0\0donated", 11));  // flatbuffers write the length before a text
  ASSERT_NE(at, std::string::npos);
  artifact[at + 4] = '\xff';
  const TemporaryFolder folder;
  EXPECT_TRUE(fails(run_pjrt({"inspect", write_file(folder / "model.jaxexp", artifact)}), kFailed,
                    {"model.jaxexp", "function_name is not valid UTF-8"}));
}

// For people.

TEST(Inspect, TextShowsAnExport) {
  EXPECT_EQ(inspect_text(export_file("unused_arguments")),
            "format        jax.export artifact\n"
            "function      unused_arguments\n"
            "jax           not said (calling convention 10)\n"
            "platforms     cpu\n"
            "devices       1\n"
            "StableHLO     1.15.0, 475 bytes\n"
            "inputs\n"
            "  args[0]  f32[1]  not used\n"
            "  args[1] (a[1])  f32[2]\n"
            "  args[2]  f32[3]  not used\n"
            "  args[3] (a[3])  f32[2]\n"
            "  args[4]['e']  f32[1]  not used\n"
            "outputs\n"
            "  result  f32[2]\n");
}

TEST(Inspect, TextSaysWhatIsDonated) {
  EXPECT_THAT(inspect_text(export_file("donated")),
              HasSubstr("\n  args[0] (a[0])  f32[3]  donated\n  args[1] (a[1])  f32[3]\n"));
}

TEST(Inspect, TextSaysWhichArraysAreKeys) {
  EXPECT_THAT(inspect_text(export_file("rng_typed_key")), HasSubstr("u32[2]  as key<fry>\n"));
}

TEST(Inspect, TextSaysHowArraysAreCut) {
  EXPECT_THAT(inspect_text(export_file("sharded_shardy")), HasSubstr("f32[4,4]  1x2 tiles on partitions 0,2,1,3\n"));
}

TEST(Inspect, TextListsThePlatforms) {
  EXPECT_THAT(inspect_text(export_file("multi_platform")), HasSubstr("\nplatforms     cpu, cuda, tpu\n"));
}

TEST(Inspect, TextSaysWhyASymbolicExportCannotRun) {
  const std::string text = inspect_text(export_file("symbolic"));
  EXPECT_THAT(text, HasSubstr("\ncannot run    'symbolic' was exported with symbolic dimensions (b, h)"));
  EXPECT_THAT(text, HasSubstr("\n  args[0]  f32[b,2*h + 1]\n"));
}

TEST(Inspect, TextListsCustomCallsAndChecksThatAreOff) {
  const std::string text = inspect_text(export_file("custom_call"));
  EXPECT_THAT(text, HasSubstr("\ncustom calls  zoo_double\n"));
  EXPECT_THAT(text, HasSubstr("\ndisabled      custom_call:zoo_double\n"));
}

TEST(Inspect, TextListsOrderedEffects) {
  EXPECT_THAT(inspect_text(export_file("ordered_effect")),
              HasSubstr("\neffects       ordered: <class 'zoo.calling_convention.OrderedTick'>\n"));
}

TEST(Inspect, TextOfAModelWithoutArraysSaysSo) {
  EXPECT_THAT(inspect_text(export_file("no_inputs")), HasSubstr("\ninputs\n  none\n"));
}

TEST(Inspect, NeedsNoPlugin) {
  EXPECT_TRUE(succeeds(
      run_pjrt({"inspect", export_file("f32_matmul")}, {.environment = {{"PJRT_PLUGIN", "/nowhere/plugin.so"}}})));
}

}  // namespace
}  // namespace pjrt::test
