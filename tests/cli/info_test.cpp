// `pjrt info` and `pjrt devices`: what a plugin is and has.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "support/data.hpp"
#include "support/plugins.hpp"

namespace pjrt::test {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

std::vector<std::string> keys(const json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

Outcome pjrt_on(const std::string& plugin, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--plugin", plugin});
  return run_pjrt(arguments);
}

json json_on(const std::string& plugin, std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  const Outcome outcome = pjrt_on(plugin, std::move(arguments));
  EXPECT_TRUE(succeeds(outcome));
  return json::parse(outcome.out);
}

TEST(Info, JsonHasTheseKeys) {
  REQUIRE_PLUGIN("cpu-0.81");
  const json info = json_on("cpu-0.81", {"info"});
  EXPECT_THAT(keys(info), UnorderedElementsAre("path", "api_version", "platform", "attributes", "extensions",
                                               "functions", "unusable"));
  EXPECT_THAT(keys(info["api_version"]), UnorderedElementsAre("major", "minor"));
  EXPECT_THAT(keys(info["functions"]), UnorderedElementsAre("present", "absent"));
  ASSERT_FALSE(info["extensions"].empty());
  for (const json& extension : info["extensions"])
    EXPECT_THAT(keys(extension), UnorderedElementsAre("type", "name", "known", "functions"));
}

TEST(Info, JsonSaysWhatAPluginIs) {
  REQUIRE_PLUGIN("cpu-0.81");
  const json info = json_on("cpu-0.81", {"info"});
  EXPECT_TRUE(std::filesystem::equivalent(info["path"].get<std::string>(), *plugin_file("cpu-0.81")));
  EXPECT_EQ(info["api_version"], json::parse(R"({"major": 0, "minor": 81})"));
  EXPECT_EQ(info["platform"], "cpu");
  EXPECT_EQ(
      info["attributes"],
      json::parse(
          R"({"xla_version": 2, "stablehlo_current_version": [1, 13, 3], "stablehlo_minimum_version": [0, 9, 0]})"));
}

TEST(Info, JsonListsTheExtensions) {
  REQUIRE_PLUGIN("cpu-0.81");
  EXPECT_EQ(json_on("cpu-0.81", {"info"})["extensions"], json::parse(R"([
      {"type": 9, "name": "PhaseCompile", "known": true, "functions": 3}, {"type": 5, "name": "FFI", "known": true, "functions": 3},
      {"type": 6, "name": "MemoryDescriptions", "known": true, "functions": 2}, {"type": 4, "name": "Layouts", "known": true, "functions": 6}])"));
}

TEST(Info, JsonListsTheAbsentFunctions) {
  REQUIRE_PLUGIN("cpu-0.81");
  const json functions = json_on("cpu-0.81", {"info"})["functions"];
  EXPECT_EQ(functions["present"], 118);
  EXPECT_EQ(functions["absent"].size(), 20u);
  EXPECT_THAT(functions["absent"], Contains("PJRT_Buffer_Bitcast"));
}

TEST(Info, TextShowsVersionFunctionsAttributesAndExtensions) {
  REQUIRE_PLUGIN("cpu-0.81");
  const Outcome outcome = pjrt_on("cpu-0.81", {"info"});
  EXPECT_TRUE(succeeds(outcome));
  for (const char* line :
       {"plugin      cpu-0.81\n", "\nplatform    cpu\n", "\nAPI         0.81\n", "\nfunctions   118 of 138\n",
        "PJRT_Buffer_Bitcast\n", "stablehlo_current_version = [1, 13, 3]\n", "Layouts: 6 functions\n"}) {
    EXPECT_THAT(outcome.out, HasSubstr(line));
  }
}

TEST(Info, SaysHowManyFunctionsAreNewerThanTheProgram) {
  REQUIRE_PLUGIN("cpu");
  EXPECT_THAT(pjrt_on("cpu", {"info"}).out, HasSubstr("XlaTransform: 2 functions and 2 newer than this program\n"));
}

TEST(Info, TakesTheDefaultPluginWithoutBeingTold) {
  REQUIRE_PLUGIN("cpu");
  const Outcome outcome = run_pjrt({"info", "--json"});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_TRUE(std::filesystem::equivalent(json::parse(outcome.out)["path"].get<std::string>(), *plugin_file("cpu")));
}

class SilentInfo : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Plugins, SilentInfo,
                         ::testing::Values("cpu", "cpu-0.106", "cpu-0.81", "tpu", "tpu-0.75", "tpu-0.69", "tpu-0.67",
                                           "tpu-0.57", "cuda"),
                         [](const auto& info) { return test_name(info.param); });

TEST_P(SilentInfo, WorksWithoutTheHardware) {
  REQUIRE_PLUGIN(GetParam());
  EXPECT_EQ(json_on(GetParam(), {"info"})["platform"], GetParam().substr(0, GetParam().find('-')));
}

TEST(Info, PathThatIsNoUtf8IsShownAsJson) {
  REQUIRE_PLUGIN("cpu");
  const TemporaryFolder folder;
  const std::string link = folder / "pl\xfcgin_pjrt.so";
  std::filesystem::create_symlink(*plugin_file("cpu"), link);
  EXPECT_EQ(json_on(link, {"info"})["path"].get<std::string>(), (folder / "pl\uFFFDgin_pjrt.so").string());
}

// devices

TEST(Devices, JsonHasTheseKeys) {
  REQUIRE_PLUGIN("cpu");
  const json client = json_on("cpu", {"devices"});
  EXPECT_THAT(keys(client), UnorderedElementsAre("platform", "platform_version", "process_index", "devices"));
  EXPECT_THAT(keys(client["devices"][0]),
              UnorderedElementsAre("id", "kind", "process_index", "addressable", "local_hardware_id", "text",
                                   "memories", "default_memory", "attributes"));
  EXPECT_THAT(keys(client["devices"][0]["memories"][0]), UnorderedElementsAre("id", "kind"));
}

class CpuDevices : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Plugins, CpuDevices, ::testing::ValuesIn(kCpuVersions),
                         [](const auto& info) { return test_name(info.param); });

TEST_P(CpuDevices, AreAsManyAsAskedFor) {
  const json client = json_on(GetParam(), {"devices", "--client-option", "cpu_device_count=3"});
  EXPECT_EQ(client["platform"], "cpu");
  EXPECT_EQ(client["process_index"], 0);
  ASSERT_EQ(client["devices"].size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client["devices"][i]["id"], i);
    EXPECT_EQ(client["devices"][i]["kind"], "cpu");
    EXPECT_EQ(client["devices"][i]["addressable"], true);
  }
}

TEST(Devices, TextHasALineForEach) {
  REQUIRE_PLUGIN("cpu");
  const Outcome outcome = pjrt_on("cpu", {"devices", "--client-option", "cpu_device_count=2"});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out,
            "cpu (cpu), process 0, 2 devices\n"
            "  0  cpu  CpuDevice(id=0)  memories: device, pinned_host, unpinned_host\n"
            "  1  cpu  CpuDevice(id=1)  memories: device, pinned_host, unpinned_host\n");
}

TEST(Devices, OfAnotherProcessHaveOtherNumbers) {
  REQUIRE_PLUGIN("cpu");
  const json client =
      json_on("cpu", {"devices", "--client-option", "process_id=1", "--client-option", "cpu_device_count=1"});
  EXPECT_EQ(client["process_index"], 1);
  EXPECT_EQ(client["devices"][0]["id"], 2048);  // ids of process p begin at 2048 p
}

}  // namespace
}  // namespace pjrt::test
