// `pjrt inspect` with devices in mind: what a topology is, and whether a model fits its devices.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

Outcome inspect(std::vector<std::string> options) {
  options.insert(options.begin(), "inspect");
  return run_pjrt(options);
}

json inspect_json(std::vector<std::string> options) {
  options.emplace_back("--json");
  const Outcome outcome = inspect(std::move(options));
  EXPECT_TRUE(succeeds(outcome));
  return json::parse(outcome.out);
}

class TpuTopology : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }
  static json topology(const std::string& name) { return inspect_json({"--plugin", "tpu", "--topology", name}); }
  const TemporaryFolder folder;
};

TEST_F(TpuTopology, V5e2x2IsFourChipsOfOneCoreInOneProcess) {
  const json said = topology("v5e:2x2");
  EXPECT_EQ(said["devices"], 4);
  EXPECT_EQ(said["chips"], 4);
  EXPECT_EQ(said["cores"], 4);
  EXPECT_EQ(said["processes"], 1);
  EXPECT_EQ(said["chip_bounds"], json({2, 2, 1}));
}

TEST_F(TpuTopology, V4ChipsHaveTwoCores) {
  const json said = topology("v4:2x2x1");
  EXPECT_EQ(said["chips"], 4);
  EXPECT_EQ(said["cores"], 8);
}

TEST_F(TpuTopology, SixteenChipsAreFourProcesses) {
  const json said = topology("v5e:4x4");
  EXPECT_EQ(said["chips"], 16);
  EXPECT_EQ(said["processes"], 4);
  EXPECT_EQ(said["chip_bounds"], json({4, 4, 1}));
  EXPECT_EQ(said["process_bounds"], json({2, 2, 1}));
  EXPECT_EQ(said["chips_per_process_bounds"], json({2, 2, 1}));
}

TEST_F(TpuTopology, EveryDeviceHasAPlaceOfItsOwn) {
  const json said = topology("v6e:2x2");
  std::set<json> places;
  std::set<int> ids;
  for (const json& device : said["device_list"]) {
    places.insert(device["attributes"]["coords"]);
    ids.insert(device["id"].get<int>());
  }
  EXPECT_EQ(places, (std::set<json>{{0, 0, 0}, {0, 1, 0}, {1, 0, 0}, {1, 1, 0}}));
  EXPECT_EQ(ids, (std::set<int>{0, 1, 2, 3}));
}

TEST_F(TpuTopology, TheTableHasALineForEachDevice) {
  const Outcome outcome = inspect({"--plugin", "tpu", "--topology", "v5e:2x2"});
  EXPECT_TRUE(succeeds(outcome));
  for (const char* place : {"(0,0,0)", "(1,0,0)", "(0,1,0)", "(1,1,0)"}) EXPECT_THAT(outcome.out, HasSubstr(place));
}

TEST_F(TpuTopology, TheMemoryOfADeviceIsAboutWhatTheChipIsSoldWith) {
  const auto memory = [](const json& said) { return said["device_memory"].get<std::int64_t>(); };
  EXPECT_NEAR(static_cast<double>(memory(topology("v5e:2x2"))), 16.0 * kGiB, 1.0 * kGiB);
  EXPECT_NEAR(static_cast<double>(memory(topology("v6e:2x2"))), 32.0 * kGiB, 1.0 * kGiB);
  EXPECT_NEAR(static_cast<double>(memory(topology("v5p:2x2x1"))), 95.0 * kGiB, 1.0 * kGiB);
}

TEST_F(TpuTopology, DevicesThatShareAChipsMemoryAreSaidToDoSo) {
  const Outcome outcome = inspect({"--plugin", "tpu", "--topology", "v4:2x2x1"});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_THAT(outcome.out, HasSubstr("2 devices share the 32 GiB of a chip"));
}

TEST_F(TpuTopology, AModelThatFitsIsSaidToFit) {
  const json said = inspect_json({export_file("multi_platform.jaxexp"), "--plugin", "tpu", "--topology", "v5e:2x2"});
  EXPECT_EQ(said["format"], "jax.export artifact");
  EXPECT_EQ(said["compiled"]["fits"], true);
  EXPECT_GT(said["compiled"]["memory"]["needed"], 0);
}

TEST_F(TpuTopology, AModelThatDoesNotFitIsAnAnswerAndNoFailure) {
  // Two arrays of 16 GiB in and one out, for a chip of 16 GiB.
  const std::string model = write_file(
      folder / "model.mlir",
      R"(func.func @main(%x: tensor<65536x65536xf32>, %y: tensor<65536x65536xf32>) -> tensor<65536x65536xf32> {
    %0 = stablehlo.add %x, %y : tensor<65536x65536xf32>
    return %0 : tensor<65536x65536xf32>
  })");
  const json said = inspect_json({model, "--plugin", "tpu", "--topology", "v5e:2x2"});
  EXPECT_EQ(said["compiled"]["fits"], false);
  EXPECT_THAT(said["compiled"]["reason"], HasSubstr("HBM"));
}

TEST_F(TpuTopology, ANonsenseNameIsOneClearLine) {
  EXPECT_TRUE(fails(inspect({"--plugin", "tpu", "--topology", "v5e:two"}), kFailed, {"v5e:two"}));
  EXPECT_TRUE(fails(inspect({"--plugin", "tpu", "--topology", "v5e:9x9"}), kFailed, {"v5e:9x9"}));
}

TEST(OldTpuTopology, TheMemoryThatThePluginDoesNotTellIsThePublicFigure) {
  REQUIRE_PLUGIN("tpu-0.57");
  const json said = inspect_json({"--plugin", "tpu-0.57", "--topology", "v5e:2x2"});
  EXPECT_EQ(said["device_memory"], 16 * kGiB);
  EXPECT_EQ(said["device_memory_source"], "public figures");
}

class GpuTopology : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cuda"); }
  const TemporaryFolder folder;
};

TEST_F(GpuTopology, TwoByTwoByTwoIsEightDevicesOfFourProcesses) {
  const json said = inspect_json({"--plugin", "cuda", "--target-config", "l4", "--topology", "2 x 2 x 2"});
  EXPECT_EQ(said["devices"], 8);
  EXPECT_EQ(said["processes"], 4);
  EXPECT_EQ(said["device_kind"], "NVIDIA L4");
  EXPECT_EQ(said["device_memory"], 24 * kGiB);
}

TEST_F(GpuTopology, FortyEightGibibytesDoNotFitAnL4ButAnH100) {
  const std::string model = write_file(
      folder / "model.mlir",
      R"(func.func @main(%x: tensor<65536x65536xf32>, %y: tensor<65536x65536xf32>) -> tensor<65536x65536xf32> {
    %0 = stablehlo.add %x, %y : tensor<65536x65536xf32>
    return %0 : tensor<65536x65536xf32>
  })");
  EXPECT_EQ(inspect_json({model, "--plugin", "cuda", "--target-config", "l4"})["compiled"]["fits"], false);
  const json h100 = inspect_json({model, "--plugin", "cuda", "--target-config", "h100_sxm"})["compiled"];
  EXPECT_EQ(h100["fits"], true);
  EXPECT_EQ(h100["memory"]["arguments"], 32 * kGiB);
  EXPECT_EQ(h100["memory"]["outputs"], 16 * kGiB);
}

TEST(InspectForDevices, WithoutModelAndTopologyIsWrongUsage) {
  EXPECT_TRUE(fails(inspect({}), kWrongUsage, {"MODEL", "--topology"}));
}

TEST(InspectForDevices, OptionsForCompilingNeedAPlugin) {
  EXPECT_TRUE(fails(inspect({export_file("f32_matmul.jaxexp"), "--compile-option", "num_partitions=2"}), kWrongUsage,
                    {"--plugin"}));
}

TEST(InspectForDevices, OnAClientItReportsMemoryButNoFit) {
  REQUIRE_PLUGIN("cpu");
  const json said = inspect_json({export_file("f32_matmul.jaxexp"), "--plugin", "cpu"});  // two f32[3,3] in, one out
  EXPECT_EQ(said["compiled"]["memory"]["arguments"], 72);
  EXPECT_EQ(said["compiled"]["memory"]["outputs"], 36);
  EXPECT_TRUE(said["compiled"]["fits"].is_null());
}

TEST(InspectForDevices, AnEmptyNameIsWrongUsage) {
  EXPECT_TRUE(fails(inspect({"--topology", ""}), kWrongUsage, {"--topology"}));
}

TEST(InspectForDevices, CpuPluginsHaveNoTopologies) {
  REQUIRE_PLUGIN("cpu");
  EXPECT_TRUE(fails(inspect({"--plugin", "cpu", "--topology", "1x1"}), kFailed, {"CPU"}));
}

}  // namespace
}  // namespace pjrt::test
