// `pjrt run` on everything that JAX exported for this project, on three versions of the CPU plugin, against what JAX
// itself computed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "cli/command.hpp"
#include "support/data.hpp"
#include "support/plugins.hpp"

namespace pjrt::test {
namespace {

using nlohmann::json;
using ::testing::Combine;
using ::testing::Values;
using ::testing::ValuesIn;

const std::vector<json>& cases() {
  static const std::vector<json> kCases = json::parse(read_all(data_file("exports/cases.json")));
  return kCases;
}

std::vector<std::string> names_of_cases(std::string_view expect) {
  std::vector<std::string> names;
  for (const json& c : cases()) {
    if (c["expect"] == expect) names.push_back(c["name"]);
  }
  return names;
}

const json& case_named(const std::string& name) {
  return *std::ranges::find_if(cases(), [&](const json& c) { return c["name"] == name; });
}

std::size_t count_lines(const std::string& text, std::string_view end) {
  std::size_t count = 0;
  for (std::size_t at = text.find(end); at != std::string::npos; at = text.find(end, at + 1)) ++count;
  return count;
}

using PluginAndName = std::tuple<std::string, std::string>;

std::string parameter_name(const ::testing::TestParamInfo<PluginAndName>& info) {
  return test_name(std::get<0>(info.param) + "_" + std::get<1>(info.param));
}

class Zoo : public ::testing::TestWithParam<PluginAndName> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(plugin); }

  /// `pjrt run` on an artifact and the inputs beside it.
  Outcome run(const std::string& model, const std::string& inputs, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"run", model, "--plugin", plugin, "--input", "@" + inputs};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_pjrt(arguments);
  }
  Outcome run_export(std::vector<std::string> more = {}) const {
    return run(data_file("exports/" + name + ".jaxexp"), data_file("exports/" + name + ".inputs.npz"), std::move(more));
  }

  const std::string plugin = std::get<0>(GetParam());
  const std::string name = std::get<1>(GetParam());
};

/// What StableHLO 1.13 cannot say, or the compiler of API 0.81 cannot do.
bool is_beyond_plugin(const std::string& plugin, const std::string& name) {
  return plugin == "cpu-0.81" && (name == "f4e2m1fn" || name == "top_k" || name == "sampling");
}

void expect_to_name_both_versions(const Outcome& outcome) {
  EXPECT_TRUE(fails(outcome, kFailed,
                    {"pjrt run: the program needs StableHLO 1.15.0, plugin cpu-0.81 (API 0.81) has StableHLO 0.9.0 to "
                     "1.13.3: "}));
}

class RunnableExport : public Zoo {};
INSTANTIATE_TEST_SUITE_P(Exports, RunnableExport, Combine(ValuesIn(kCpuVersions), ValuesIn(names_of_cases("run"))),
                         parameter_name);

TEST_P(RunnableExport, GivesWhatJaxGives) {
  if (is_beyond_plugin(plugin, name)) return expect_to_name_both_versions(run_export());
  const json& facts = case_named(name);
  const Outcome outcome = run_export({"--expected-output", data_file("exports/" + name + ".outputs.npz"), "--rtol",
                                      facts["rtol"].dump(), "--atol", facts["atol"].dump()});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(count_lines(outcome.out, ": as expected\n"), facts["outputs"].size());
}

class RefusedExport : public Zoo {};
INSTANTIATE_TEST_SUITE_P(Exports, RefusedExport, Combine(ValuesIn(kCpuVersions), ValuesIn(names_of_cases("refuse"))),
                         parameter_name);

TEST_P(RefusedExport, FailsNamingTheFault) {
  // "custom call: zoo_double", "platform: the artifact is for tpu", "ordered effects"
  const std::string reason = case_named(name)["reason"];
  const std::string fault = reason.starts_with("custom call: ") ? "custom calls " + reason.substr(13)
                            : reason.starts_with("platform")    ? "exported for tpu, not for cpu"
                                                                : reason;
  EXPECT_TRUE(fails(run_export(), kFailed, {fault}));
}

class RunnableModel : public Zoo {};
INSTANTIATE_TEST_SUITE_P(Models, RunnableModel,
                         Combine(ValuesIn(kCpuVersions), Values("attention", "convnet", "digits", "fft", "ode",
                                                                "sampling", "sharded", "train")),
                         parameter_name);

TEST_P(RunnableModel, GivesWhatJaxGives) {
  const std::string folder = std::string(PJRT_TEST_SOURCE_DIR) + "/models/" + name + "/";
  if (is_beyond_plugin(plugin, name))
    return expect_to_name_both_versions(run(folder + "model.jaxexp", folder + "inputs.npz"));
  std::vector<std::string> more = {"--expected-output", folder + "outputs.npz"};
  if (name == "digits")
    more.insert(more.end(),
                {"--atol", "1e-5"});  // logits near 0 are sums of terms near 20; the old compiler adds in another order
  const Outcome outcome = run(folder + "model.jaxexp", folder + "inputs.npz", more);
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_GE(count_lines(outcome.out, ": as expected\n"), 1u);
}

}  // namespace
}  // namespace pjrt::test
