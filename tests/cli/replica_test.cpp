// Programs of several replicas on the command line: every replica's arrays by name, in and out. Values by hand.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

/// The sum of x over two replicas, and x and the number of the replica.
constexpr std::string_view kTwoReplicas = R"(
module @pmap attributes {mhlo.num_replicas = 2 : i32, mhlo.num_partitions = 1 : i32} {
  func.func public @main(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
    %sum = "stablehlo.all_reduce"(%x) ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %s = stablehlo.add %a, %b : tensor<f32>
      stablehlo.return %s : tensor<f32>
    }) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<2xf32>) -> tensor<2xf32>
    %id = stablehlo.replica_id : tensor<ui32>
    %number = stablehlo.convert %id : (tensor<ui32>) -> tensor<f32>
    %numbers = stablehlo.broadcast_in_dim %number, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %z = stablehlo.add %x, %numbers : tensor<2xf32>
    return %sum, %z : tensor<2xf32>, tensor<2xf32>
  }
})";

class ReplicasOfRun : public RunTest {
 protected:
  std::string model() const { return program(kTwoReplicas); }
};

TEST_F(ReplicasOfRun, TakeArraysByNameAndPrintTheirOwn) {
  const Outcome outcome = run_on(model(), {"arg0@0=2xf32=1 2", "arg0@1=2xf32=10 20"}, {});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out,
            "out0@0 f32[2]\n[11. 22.]\n"
            "out0@1 f32[2]\n[11. 22.]\n"
            "out1@0 f32[2]\n[1. 2.]\n"
            "out1@1 f32[2]\n[11. 21.]\n");
}

TEST_F(ReplicasOfRun, TakeOneArrayForAllByPosition) {
  const Outcome outcome = run_on(model(), {"2xf32=1 2"});
  EXPECT_EQ(output(outcome, 0).at("path"), "out0@0");
  EXPECT_EQ(values(outcome, 0), "[2.0,4.0]");
  EXPECT_EQ(values(outcome, 1), "[2.0,4.0]");
  EXPECT_EQ(values(outcome, 2), "[1.0,2.0]");
  EXPECT_EQ(values(outcome, 3), "[2.0,3.0]");
}

TEST_F(ReplicasOfRun, WriteAndCompareFilesUnderTheirNames) {
  const std::string archive = folder / "out.npz";
  const std::vector<std::string> inputs = {"--input", "arg0@0=2xf32=1 2", "--input", "arg0@1=2xf32=10 20"};
  const auto run_with = [&](std::vector<std::string> options) {
    options.insert(options.end(), inputs.begin(), inputs.end());
    return run(model(), options);
  };
  EXPECT_TRUE(succeeds(run_with({"--output", archive})));
  const Outcome same = run_with({"--expected-output", archive});
  EXPECT_TRUE(succeeds(same));
  EXPECT_EQ(same.out, "out0@0: as expected\nout0@1: as expected\nout1@0: as expected\nout1@1: as expected\n");
  const Outcome other = run(model(), {"--input", "arg0@0=2xf32=1 2", "--input", "arg0@1=2xf32=10 21",
                                      "--expected-output", archive, "--atol", "0.5", "--rtol", "0"});
  EXPECT_EQ(other.status, kDiffers);
  EXPECT_NE(other.out.find("out1@0: as expected"), std::string::npos) << other.out;
  EXPECT_NE(other.out.find("out1@1: 1 of 2 elements differ"), std::string::npos) << other.out;

  std::filesystem::create_directory(folder / "arrays");
  EXPECT_TRUE(succeeds(run_with({"--output", folder / "arrays"})));
  for (const char* name : {"out0@0.npy", "out0@1.npy", "out1@0.npy", "out1@1.npy"})
    EXPECT_TRUE(std::filesystem::exists(folder / "arrays" / name)) << name;
  EXPECT_TRUE(fails(run_with({"--output", folder / "one.npy"}), kWrongUsage, {"the model gives 4"}));
}

TEST_F(ReplicasOfRun, RefuseWhatIsMissingOrTooMuch) {
  EXPECT_TRUE(fails(run_on(model(), {"arg0@1=2xf32=1 2"}), kFailed, {"input arg0@0", "is missing"}));
  EXPECT_TRUE(fails(run_on(model(), {"2xf32=1 2", "2xf32=1 2"}), kFailed, {"one input too many; the model takes 1"}));
  EXPECT_TRUE(fails(run_on(model(), {"2xf32=1 2", "arg0@1=2xf32=1 2"}), kFailed, {"is given for every replica"}));
  EXPECT_TRUE(fails(run_on(model(), {"arg0@2=2xf32=1 2"}), kFailed, {"there is no replica 2"}));
}

TEST(ReplicasOfCompile, AreListedForDevicesThatAreNotHere) {
  REQUIRE_PLUGIN("tpu");
  const TemporaryFolder folder;
  const std::string model = write_file(folder / "model.mlir", kTwoReplicas);
  const std::vector<std::string> arguments = {"compile", model, "--plugin", "tpu", "--topology", "v5e:2x2"};
  std::vector<std::string> as_json = arguments;
  as_json.push_back("--json");
  const Outcome json = run_pjrt(as_json);
  ASSERT_TRUE(succeeds(json));
  const auto j = nlohmann::json::parse(json.out);
  EXPECT_EQ(j.at("replicas"), 2);
  EXPECT_EQ(j.at("partitions"), 1);
  EXPECT_EQ(j.at("assignment").dump(), R"([{"partition":0,"replica":0},{"partition":0,"replica":1}])");
  const Outcome text = run_pjrt(arguments);
  ASSERT_TRUE(succeeds(text));
  EXPECT_NE(text.out.find("2 replicas x 1 partition"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("replica 1, partition 0"), std::string::npos) << text.out;
}

}  // namespace
}  // namespace pjrt::test
