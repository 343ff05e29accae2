// What cannot be done: exit status 1 and one line that names the fault, on every version of the plugin, never a signal.

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

struct Fault {
  const char* name;
  const char* model;  // an export, or a program as text
  std::vector<std::string> arguments;
  std::vector<const char*> texts;
};

void PrintTo(const Fault& fault, std::ostream* out) {
  *out << fault.name;
}

const std::string kIdentity = identity("2xf32");
constexpr const char* kTwo =
    "func.func @main(%x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2xf32> { return %y : tensor<2xf32> }";

const std::vector<Fault>& faults() {
  static const std::vector<Fault> kFaults = {
      {"element_type", kIdentity.c_str(), {"--input", "2xs32=1"}, {"input arg0", "is s32[2], the model takes f32[2]"}},
      {"element_type_of_equal_name",
       kIdentity.c_str(),
       {"--input", "2xbf16=1"},
       {"is bf16[2], the model takes f32[2]"}},
      {"shape", kIdentity.c_str(), {"--input", "3xf32=1"}, {"input arg0", "is f32[3], the model takes f32[2]"}},
      {"rank", kIdentity.c_str(), {"--input", "1x2xf32=1"}, {"is f32[1,2], the model takes f32[2]"}},
      {"transposed", "f32_matmul.jaxexp", {"--input", "args[0]=3x4xf32=1"}, {"input args[0]"}},
      {"missing_input", kTwo, {"--input", "2xf32=1"}, {"input arg1", "f32[2], is missing"}},
      {"no_inputs_at_all", kTwo, {}, {"inputs are missing: arg0 (p0), f32[2]; arg1 (p1), f32[2]"}},
      {"extra_input",
       kIdentity.c_str(),
       {"--input", "2xf32=1", "--input", "2xf32=1"},
       {"one input too many; the model takes 1"}},
      {"unknown_input", kIdentity.c_str(), {"--input", "weights=2xf32=1"}, {"there is no input 'weights'", "arg0"}},
      {"array_that_no_memory_holds",
       kIdentity.c_str(),
       {"--input", "4294967296x4294967296xf32:zeros"},
       {"is f32[4294967296,4294967296], the model takes f32[2]"}},
      {"symbolic_dimensions", "symbolic.jaxexp", {}, {"symbolic dimensions (b, h)", "args[0] is f32[b,2*h + 1]"}},
      {"too_few_devices",
       "sharded_shardy.jaxexp",
       {"--client-option", "cpu_device_count=2"},
       {"the model runs on 4 devices; the client has 2"}},
      {"too_many_replicas",
       kIdentity.c_str(),
       {"--client-option", "cpu_device_count=1", "--compile-option", "num_replicas=9"},
       {"runs on 9 devices; the client has 1"}},
      {"partitions_that_the_model_does_not_have",
       "f32_matmul.jaxexp",
       {"--compile-option", "num_partitions=4"},
       {"the model is for 1 replica(s) of 1 partition(s); the compile options ask for 1 replica(s) of 4 partition(s)"}},
      {"no_such_device",
       kIdentity.c_str(),
       {"--client-option", "cpu_device_count=4", "--device", "4"},
       {"there is no device 4; the client has 4"}},
      {"negative_device",
       kIdentity.c_str(),
       {"--client-option", "cpu_device_count=4", "--device", "-1"},
       {"there is no device -1"}},
      {"unknown_client_option", kIdentity.c_str(), {"--client-option", "cpu_devices=4"}, {"cpu_devices"}},
      {"no_devices",
       kIdentity.c_str(),
       {"--client-option", "cpu_device_count=0"},
       {"'cpu_device_count' is 0; it lies between 1 and"}},
      {"negative_devices", kIdentity.c_str(), {"--client-option", "cpu_device_count=-1"}, {"'cpu_device_count' is -1"}},
      {"more_devices_than_an_int",
       kIdentity.c_str(),
       {"--client-option", "cpu_device_count=4294967297"},
       {"'cpu_device_count' is 4294967297"}},
      {"unknown_compile_option",
       kIdentity.c_str(),
       {"--compile-option", "xla_cpu_make_it_fast=true"},
       {"No such compile option: 'xla_cpu_make_it_fast'"}},
      {"compile_option_of_the_wrong_type",
       kIdentity.c_str(),
       {"--compile-option", "xla_cpu_enable_fast_math=maybe"},
       {"xla_cpu_enable_fast_math", "'maybe'"}},
      {"syntax", "func.func @main( {", {}, {"line 1", "is not closed"}},
      {"types_that_do_not_match",
       "func.func @main(%x: tensor<2xf32>) -> tensor<3xf32> { return %x : tensor<2xf32> }",
       {},
       {"error", "tensor"}},
      {"no_main", "func.func @other(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }", {}, {"main"}},
      {"unknown_operation", "func.func @main() { \"stablehlo.levitate\"() : () -> () return }", {}, {"levitate"}},
  };
  return kFaults;
}

class FaultOn : public ::testing::TestWithParam<std::tuple<std::string, Fault>> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(std::get<0>(GetParam())); }
  const TemporaryFolder folder;
};

INSTANTIATE_TEST_SUITE_P(Plugins, FaultOn,
                         ::testing::Combine(::testing::ValuesIn(kCpuVersions), ::testing::ValuesIn(faults())),
                         [](const auto& info) {
                           return test_name(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
                         });

TEST_P(FaultOn, IsNamedInOneLine) {
  const auto& [plugin, fault] = GetParam();
  const std::string model = fault.model;
  std::vector<std::string> arguments = {
      "run", model.ends_with(".jaxexp") ? export_file(model) : write_file(folder / "model.mlir", model), "--plugin",
      plugin};
  arguments.insert(arguments.end(), fault.arguments.begin(), fault.arguments.end());
  const Outcome outcome = run_pjrt(arguments);
  EXPECT_TRUE(fails(outcome, kFailed, {"pjrt run: "}));
  for (const char* text : fault.texts)
    EXPECT_NE(outcome.err.find(text), std::string::npos) << "'" << text << "' is not in: " << outcome.err;
}

// Plugins.

TEST(PluginFault, UnknownNameListsThePlacesAndThePlugins) {
  const Outcome outcome =
      run_pjrt({"info", "--plugin", "abacus"}, {.environment = {{"PJRT_PLUGIN_PATH", "/nowhere/plugins"}}});
  EXPECT_TRUE(fails(outcome, kFailed,
                    {"no plugin named 'abacus'", "PJRT_PLUGIN: not set",
                     "PJRT_PLUGIN_PATH (/nowhere/plugins): no such directory", "lib/pjrt/plugins"}));
}

TEST(PluginFault, MissingFile) {
  EXPECT_TRUE(
      fails(run_pjrt({"info", "--plugin", "/nowhere/plugin.so"}), kFailed, {"/nowhere/plugin.so", "No such file"}));
}

TEST(PluginFault, Folder) {
  EXPECT_TRUE(
      fails(run_pjrt({"info", "--plugin", "/tmp/"}), kFailed, {"plugin /tmp/ cannot be loaded: it is a directory"}));
}

TEST(PluginFault, FileThatIsNoLibrary) {
  EXPECT_TRUE(fails(run_pjrt({"info", "--plugin", export_file("donated.jaxexp")}), kFailed,
                    {"donated.jaxexp cannot be loaded"}));
}

TEST(PluginFault, VariableThatLeadsNowhere) {
  EXPECT_TRUE(fails(run_pjrt({"info"}, {.environment = {{"PJRT_PLUGIN", "/nowhere/plugin.so"}}}), kFailed,
                    {"/nowhere/plugin.so", "No such file"}));
}

class WithoutHardware : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Plugins, WithoutHardware,
                         ::testing::Values("tpu", "tpu-0.75", "tpu-0.69", "tpu-0.67", "tpu-0.57", "cuda"),
                         [](const auto& info) { return test_name(info.param); });

TEST_P(WithoutHardware, DevicesSaysThatThereIsNone) {
  REQUIRE_PLUGIN(GetParam());
  if (GetParam() == "cuda" && std::filesystem::exists("/dev/nvidia0")) GTEST_SKIP() << "there is a GPU";
  EXPECT_TRUE(fails(run_pjrt({"devices", "--plugin", GetParam()}), kFailed, {"pjrt devices: ", "PJRT_Client_Create"}));
}

}  // namespace
}  // namespace pjrt::test
