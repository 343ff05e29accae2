// `pjrt compile`: what it writes can be loaded by the plugin that wrote it, what it reports is what hand arithmetic and
// the models' makers say, and a failure leaves no file behind.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/run_fixture.hpp"
#include "pjrt/client.hpp"
#include "pjrt/serialized_executable.hpp"
#include "support/matchers.hpp"

namespace pjrt::test {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string model_file(const std::string& name) {
  return std::string(PJRT_TEST_SOURCE_DIR) + "/models/" + name + "/model.jaxexp";
}

/// x . y + x . y of f32[4,8] and f32[8,16]: 128 + 512 bytes in, 256 bytes out.
constexpr std::string_view kDot = R"(func.func @main(%x: tensor<4x8xf32>, %y: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %0 = stablehlo.dot %x, %y : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  %1 = stablehlo.add %0, %0 : tensor<4x16xf32>
  return %1 : tensor<4x16xf32>
})";

class CompileFor : public ::testing::Test {
 protected:
  static Outcome compile(const std::string& model, std::vector<std::string> options,
                         const Surroundings& surroundings = {}) {
    options.insert(options.begin(), {"compile", model});
    return run_pjrt(options, surroundings);
  }
  static json report(const std::string& model, std::vector<std::string> options) {
    options.emplace_back("--json");
    const Outcome outcome = compile(model, std::move(options));
    EXPECT_TRUE(succeeds(outcome));
    return json::parse(outcome.out);
  }
  std::string program(std::string_view text) const { return write_file(folder / "model.mlir", text); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }

  const TemporaryFolder folder;
};

class CompileForCpu : public CompileFor {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cpu"); }
};

TEST_F(CompileForCpu, WritesAnExecutableThatItsPluginLoadsAndRuns) {
  const std::string file = folder / "dot.exe";
  ASSERT_TRUE(succeeds(compile(program(kDot), {"--plugin", "cpu", "-o", file})));
  const Client client = value_of(Client::create(value_of(Plugin::load(plugin_file("cpu")->string()))));
  const SerializedExecutable serialized = value_of(SerializedExecutable::load(file));
  const LoadedExecutable loaded = value_of(client.deserialize(serialized));
  const Buffer x = value_of(client.upload(std::vector<float>(32, 1.0F), {4, 8}));
  const Buffer y = value_of(client.upload(std::vector<float>(128, 0.5F), {8, 16}));
  const Outputs outputs = value_of(loaded(x, y));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), std::vector<float>(64, 8.0F));  // 2 x 8 x 0.5
}

TEST_F(CompileForCpu, TagsTheFileWithThePluginThatWroteIt) {
  const std::string file = folder / "dot.exe";
  const json said = report(program(kDot), {"--plugin", "cpu", "-o", file});
  const SerializedExecutable serialized = value_of(SerializedExecutable::load(file));
  EXPECT_EQ(serialized.origin().platform, "cpu");
  EXPECT_EQ(said["origin"]["platform"], "cpu");
  EXPECT_EQ(said["origin"]["plugin_id"], serialized.origin().plugin_id);
  EXPECT_EQ(said["bytes"], std::filesystem::file_size(file));
}

TEST_F(CompileForCpu, ReportsTheBytesOfArgumentsAndOutputs) {
  const json said = report(program(kDot), {"--plugin", "cpu"});
  EXPECT_EQ(said["memory"]["arguments"], 640);
  EXPECT_EQ(said["memory"]["outputs"], 256);
}

TEST_F(CompileForCpu, SaysNothingOfAFitWhereADevicesMemoryIsNotTold) {
  const json said = report(program(kDot), {"--plugin", "cpu"});
  EXPECT_TRUE(said["fits"].is_null());
  EXPECT_TRUE(said["device_memory"].is_null());
}

TEST_F(CompileForCpu, WithoutAFileItOnlyReports) {
  const std::string model = program(kDot);
  const Outcome outcome = compile(model, {"--plugin", "cpu"}, {.folder = folder.path()});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_THAT(outcome.out, ::testing::StartsWith("not written"));
  EXPECT_THAT(files(), ::testing::ElementsAre("model.mlir"));
}

TEST_F(CompileForCpu, ReplacesAFileThatIsThere) {
  const std::string file = write_file(folder / "dot.exe", std::string(100000, 'x'));
  ASSERT_TRUE(succeeds(compile(program(kDot), {"--plugin", "cpu", "-o", file})));
  EXPECT_OK(SerializedExecutable::load(file));
}

TEST_F(CompileForCpu, AProgramThatDoesNotCompileLeavesTheOldFile) {
  const std::string file = write_file(folder / "old.exe", "old");
  EXPECT_TRUE(fails(compile(program("func.func @main() { return %x : f32 }"), {"--plugin", "cpu", "-o", file}), kFailed,
                    {"pjrt compile: "}));
  EXPECT_EQ(read_all(file), "old");
}

TEST_F(CompileForCpu, AFullDeviceIsAnError) {
  EXPECT_TRUE(
      fails(compile(program(kDot), {"--plugin", "cpu", "-o", "/dev/full"}), kFailed, {"/dev/full", "No space left"}));
}

TEST_F(CompileForCpu, NothingHalfWrittenIsLeft) {
  const std::string model = program(kDot);
  const std::string file = folder / "dot.exe";
  // A file may have 1024 bytes; the executable has more.
  const Outcome outcome = run_program("/bin/bash", {"-c", "ulimit -f 1 && exec \"$@\"", "bash", PJRT_CLI, "compile",
                                                    model, "--plugin", "cpu", "-o", file});
  EXPECT_TRUE(fails(outcome, kFailed, {"cannot write", file}));
  EXPECT_THAT(files(), ::testing::ElementsAre("model.mlir"));
}

TEST_F(CompileForCpu, AFolderThatIsNotThereIsAnErrorBeforeTheWork) {
  EXPECT_TRUE(fails(compile(folder / "no-model", {"--plugin", "cpu", "-o", folder / "no/dot.exe"}), kFailed,
                    {"there is no folder"}));
}

TEST_F(CompileForCpu, AFolderIsNoPlaceForAnExecutable) {
  EXPECT_TRUE(
      fails(compile(program(kDot), {"--plugin", "cpu", "-o", folder.path().string()}), kWrongUsage, {"is a folder"}));
}

TEST_F(CompileForCpu, ACompiledExecutableIsNoModel) {
  const std::string file = folder / "dot.exe";
  ASSERT_TRUE(succeeds(compile(program(kDot), {"--plugin", "cpu", "-o", file})));
  EXPECT_TRUE(fails(compile(file, {"--plugin", "cpu"}), kFailed, {file, "a compiled executable"}));
}

TEST_F(CompileForCpu, FourPartitionsGetTheTilesThatTheModelsMeshGivesThem) {
  // models/sharded/make.py: a 2x2 mesh of axes data and model, row-major; x is cut by data along its rows, w1 by model
  // along its columns.
  const json said = report(model_file("sharded"), {"--plugin", "cpu"});
  EXPECT_EQ(said["partitions"], 4);
  ASSERT_EQ(said["per_partition"].size(), 4U);
  for (int p = 0; p < 4; ++p) {
    json tiles;
    for (const json& input : said["per_partition"][p]["inputs"]) tiles[input["path"].get<std::string>()] = input;
    EXPECT_EQ(tiles["args[1]"]["shape"], json({4, 32}));
    EXPECT_EQ(tiles["args[1]"]["begin"], json({p / 2 * 4, 0}));
    EXPECT_EQ(tiles["args[0]['w1']"]["shape"], json({32, 32}));
    EXPECT_EQ(tiles["args[0]['w1']"]["begin"], json({0, p % 2 * 32}));
  }
}

class CompileForTpu : public CompileFor {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }
  static std::vector<std::string> v5e(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--plugin", "tpu", "--topology", "v5e:2x2"});
    return more;
  }
};

class EveryModel : public CompileForTpu, public ::testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(Models, EveryModel,
                         ::testing::Values("attention", "convnet", "digits", "fft", "ode", "sampling", "sharded",
                                           "train"),
                         [](const auto& info) { return info.param; });

TEST_P(EveryModel, CompilesForATpuThatIsNotHere) {
  const std::string file = folder / "model.exe";
  const json said = report(model_file(GetParam()), v5e({"-o", file}));
  EXPECT_EQ(said["platform"], "tpu");
  EXPECT_EQ(said["platform_index"], 3);  // of cpu, cuda, rocm, tpu
  EXPECT_EQ(said["partitions"], GetParam() == "sharded" ? 4 : 1);
  EXPECT_EQ(said["fits"], true);
  EXPECT_GT(said["memory"]["code"], 0);
  EXPECT_GT(said["cost"]["flops"], 0);
  const SerializedExecutable serialized = value_of(SerializedExecutable::load(file));
  EXPECT_EQ(serialized.origin().platform, "tpu");
}

TEST_F(CompileForTpu, OtherTopologiesOfFourChips) {
  for (const std::string topology : {"v4:2x2x1", "v6e:2x2"}) {
    const json said = report(model_file("sharded"), {"--plugin", "tpu", "--topology", topology});
    EXPECT_EQ(said["topology"], topology);
    EXPECT_EQ(said["partitions"], 4);
  }
}

TEST_F(CompileForTpu, ThePlatformIndexIsThePlaceAmongTheArtifactsPlatforms) {
  EXPECT_EQ(report(export_file("multi_platform.jaxexp"), v5e())["platform_index"], 2);        // of cpu, cuda, tpu
  EXPECT_EQ(report(export_file("multi_platform_order.jaxexp"), v5e())["platform_index"], 0);  // of tpu, cpu, cuda
}

TEST_F(CompileForTpu, AnArtifactForAnotherPlatformIsCompiledWithANote) {
  const Outcome outcome = compile(export_file("f32_matmul.jaxexp"), v5e({"-o", folder / "x"}));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("exported for cpu, not for tpu"));
  EXPECT_THAT(files(), ElementsAre("x"));
}

TEST_F(CompileForTpu, ANonsenseTopologyIsOneClearLine) {
  EXPECT_TRUE(fails(compile(program(kDot), {"--plugin", "tpu", "--topology", "nonsense"}), kFailed,
                    {"topology name nonsense is invalid"}));
}

TEST_F(CompileForTpu, ATopologyOfTooFewDevicesIsRefused) {
  EXPECT_TRUE(fails(compile(model_file("sharded"), {"--plugin", "tpu", "--topology", "v5e:1x1"}), kFailed,
                    {"runs on 4 devices", "v5e:1x1 has 1"}));
}

TEST_F(CompileForTpu, WithoutATopologyTheErrorSaysHow) {
  EXPECT_TRUE(fails(compile(program(kDot), {"--plugin", "tpu"}), kFailed, {"--topology v5e:2x2"}));
}

TEST_F(CompileForTpu, AClientOptionDoesNotGoWithATopology) {
  EXPECT_TRUE(fails(compile(program(kDot), v5e({"--client-option", "x=1"})), kWrongUsage, {"--client-option"}));
}

TEST_F(CompileForTpu, WhatDoesNotFitFailsWithTheCompilersWords) {
  // Two arrays of 16 GiB in, one out; a v5e chip has 16 GiB.
  const std::string model =
      program(R"(func.func @main(%x: tensor<65536x65536xf32>, %y: tensor<65536x65536xf32>) -> tensor<65536x65536xf32> {
    %0 = stablehlo.add %x, %y : tensor<65536x65536xf32>
    return %0 : tensor<65536x65536xf32>
  })");
  EXPECT_TRUE(fails(compile(model, v5e({"-o", folder / "x"})), kFailed, {"HBM"}));
  EXPECT_THAT(files(), ::testing::ElementsAre("model.mlir"));
}

class CompileForGpu : public CompileFor {
 protected:
  void SetUp() override {
    REQUIRE_PLUGIN("cuda");
    if (!std::filesystem::exists(std::string(PJRT_TEST_SOURCE_DIR) + "/.plugins/cuda-nvcc"))
      GTEST_SKIP() << "ptxas is not there; run scripts/fetch-plugins cuda-nvcc";
  }
  static std::vector<std::string> h100(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--plugin", "cuda", "--target-config", "h100_sxm"});
    return more;
  }
};

TEST_F(CompileForGpu, CompilesForAGpuThatIsNotHere) {
  const std::string file = folder / "dot.exe";
  const json said = report(program(kDot), h100({"-o", file}));
  EXPECT_EQ(said["platform"], "cuda");
  EXPECT_EQ(said["device_kind"], "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(said["memory"]["arguments"], 640);
  EXPECT_EQ(said["memory"]["outputs"], 256);
  EXPECT_EQ(said["device_memory"], 80LL << 30);
  EXPECT_EQ(said["fits"], true);
  EXPECT_OK(SerializedExecutable::load(file));
}

TEST_F(CompileForGpu, EveryDescriptionThatComesAlongCompiles) {
  const std::filesystem::path targets = std::filesystem::path(PJRT_TEST_SOURCE_DIR) / "cli/targets";
  for (const auto& entry : std::filesystem::directory_iterator(targets)) {
    EXPECT_TRUE(succeeds(compile(program(kDot), {"--plugin", "cuda", "--target-config", entry.path().string()})))
        << entry.path();
  }
}

TEST_F(CompileForGpu, TheDigitsAreToldThatThePlatformIsCuda) {
  EXPECT_EQ(report(model_file("digits"), h100())["platform_index"], 1);  // of cpu, cuda, rocm, tpu
}

TEST_F(CompileForGpu, AModelWithExponentialsFindsLibdevice) {
  if (!std::filesystem::exists(std::string(PJRT_TEST_SOURCE_DIR) + "/.plugins/cuda-nvvm")) {
    GTEST_SKIP() << "libdevice is not there; run scripts/fetch-plugins cuda-nvvm";
  }
  EXPECT_EQ(report(model_file("sampling"), h100())["fits"], true);
}

TEST_F(CompileForGpu, ATopologyOfFourGpusTakesFourPartitions) {
  const json said = report(model_file("sharded"), h100({"--topology", "1 x 1 x 4"}));
  EXPECT_EQ(said["devices"], 4);
  EXPECT_EQ(said["partitions"], 4);
}

TEST_F(CompileForGpu, WithoutPtxasTheErrorSaysWhatIsMissingAndHowToGetIt) {
  if (std::filesystem::exists("/usr/local/cuda")) GTEST_SKIP() << "there is a CUDA toolkit here";
  const std::filesystem::path lonely = folder / "site/jax_plugins/xla_cuda13";
  std::filesystem::create_directories(lonely);
  std::filesystem::create_symlink(*plugin_file("cuda"), lonely / "xla_cuda_plugin.so");
  const Surroundings bare{.environment = {{"PATH", "/nowhere"}, {"CUDA_HOME", ""}, {"CUDA_PATH", ""}}};
  EXPECT_TRUE(fails(compile(program(kDot), {"--plugin", lonely / "xla_cuda_plugin.so", "--target-config", "l4"}, bare),
                    kFailed, {"ptxas", "pip install nvidia-cuda-nvcc", "--cuda-dir"}));
}

TEST_F(CompileForGpu, ACudaDirWithoutPtxasIsWrongUsage) {
  EXPECT_TRUE(fails(compile(program(kDot), h100({"--cuda-dir", folder.path().string()})), kWrongUsage,
                    {"--cuda-dir", "bin/ptxas"}));
}

TEST_F(CompileForGpu, AnUnknownDescriptionListsThoseThereAre) {
  EXPECT_TRUE(fails(compile(program(kDot), {"--plugin", "cuda", "--target-config", "h1000"}), kFailed,
                    {"h1000", "h100_sxm", "a100_sxm_80gb", "l4"}));
}

TEST_F(CompileForGpu, AMalformedDescriptionIsOneClearLine) {
  const std::string config = write_file(folder / "bad.txtpb", "gpu_device_info {");
  EXPECT_TRUE(fails(compile(program(kDot), {"--plugin", "cuda", "--target-config", config}), kFailed,
                    {"GpuTargetConfigProto"}));
}

TEST_F(CompileForGpu, ADescriptionIsNothingForATpu) {
  REQUIRE_PLUGIN("tpu");
  EXPECT_TRUE(
      fails(compile(program(kDot), {"--plugin", "tpu", "--target-config", "l4"}), kWrongUsage, {"--target-config"}));
}

}  // namespace
}  // namespace pjrt::test
