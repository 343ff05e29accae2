// One module in all the forms that StableHLO goes about in: the command says and computes the same of each
// (tests/data/modules).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string module_file(const std::string& name) {
  return data_file("modules/" + name);
}

const json& facts_of(const std::string& name) {
  static const json kAll = json::parse(read_all(module_file("facts.json")));
  for (const json& facts : kAll) {
    if (facts["name"] == name) return facts;
  }
  throw std::runtime_error("there is no module " + name);
}

/// What `inspect` says, but for what is about the form itself.
json inspected(const std::string& file, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"inspect", module_file(file), "--json"});
  const Outcome outcome = run_pjrt(more);
  EXPECT_TRUE(succeeds(outcome)) << file;
  json said = json::parse(outcome.out);
  said.erase("program_bytes");
  said.erase("stablehlo_version");
  return said;
}

class InspectedModule : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Modules, InspectedModule,
                         ::testing::Values("replicas", "gspmd", "shardy", "carried_shardy", "types", "custom_calls",
                                           "dangling", "unbounded_call"));

TEST_P(InspectedModule, IsTheSameInEveryForm) {
  const json& facts = facts_of(GetParam());
  const json first = inspected(facts["forms"][0]);
  EXPECT_EQ(first["replicas"], facts["replicas"]);
  EXPECT_EQ(first["partitions"], facts["partitions"]);
  EXPECT_EQ(first["devices"], facts["replicas"].get<int>() * facts["partitions"].get<int>());
  EXPECT_EQ(first["inputs"].size(), facts["inputs"]);
  EXPECT_EQ(first["outputs"].size(), facts["outputs"]);
  EXPECT_EQ(first["custom_calls"], facts["custom_calls"]);
  for (const json& form : facts["forms"]) EXPECT_EQ(inspected(form), first) << form;
}

// Compiled for devices that are not here, the partitioner's part included.

class ModuleForTpu : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }
};
INSTANTIATE_TEST_SUITE_P(Modules, ModuleForTpu, ::testing::Values("replicas", "gspmd", "shardy"));

TEST_P(ModuleForTpu, IsCompiledTheSameFromTextAndBytecode) {
  const std::string name = GetParam();
  const std::vector<std::string> target = {"--plugin", "tpu", "--topology", "v5e:2x4"};
  const json first = inspected(name + ".mlir", target)["compiled"];
  EXPECT_EQ(first["replicas"], facts_of(name)["replicas"]);
  EXPECT_EQ(first["partitions"], facts_of(name)["partitions"]);
  for (const char* form : {".mlirbc", ".1.17.0.mlirbc"}) {
    const json compiled = inspected(name + form, target)["compiled"];
    for (const char* key : {"replicas", "partitions", "inputs", "outputs", "per_partition"})
      EXPECT_EQ(compiled[key], first[key]) << form << ", " << key;
  }
}

TEST_P(ModuleForTpu, WithUnboundedSizesIsRefused) {
  const TemporaryFolder folder;
  const std::string file = write_file(
      folder / "m.mlir", "func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> { return %x : tensor<?xf32> }");
  const std::vector<std::string> command = {"compile", file, "--plugin", "tpu", "--topology", "v5e:2x2"};
  EXPECT_TRUE(fails(run_pjrt(command), kFailed, {"dynamic dimensions without a bound (arg0 is f32[?])"}));
}

class RunModule : public RunTest {};

TEST_F(RunModule, SumsOverReplicasInEveryForm) {
  for (const json& form : facts_of("replicas")["forms"])
    EXPECT_EQ(values(run_on(module_file(form), {"3xf32=1 2 3"})), "[2.0,4.0,6.0]") << form;
}

TEST_F(RunModule, SumsOverReplicasOfHloThatNamesThem) {
  // replicas.hlo.pb is what StableHLO's replicas.mlir is translated to; it has no field for the number of replicas.
  EXPECT_EQ(values(run_on(module_file("replicas.hlo.pb"), {"3xf32=1 2 3"})), "[2.0,4.0,6.0]");
}

TEST_F(RunModule, IsCutTheSameInEveryForm) {
  std::string first;
  for (const json& form : facts_of("shardy")["forms"]) {
    const Outcome outcome = run_on(module_file(form), {"8x8xf32:random", "8x8xf32:ones"});
    ASSERT_TRUE(succeeds(outcome)) << form;
    if (first.empty()) first = outcome.out;
    EXPECT_EQ(outcome.out, first) << form;
  }
}

TEST_F(RunModule, HloInAnHloProtoIsUnwrapped) {
  const std::string module = read_all(data_file("program/add_one.hlo.pb"));
  const std::string head = {'\x0a', static_cast<char>(module.size() % 128 + 128),
                            static_cast<char>(module.size() / 128)};
  const std::string file = write_file(folder / "dump.pb", head + module);
  EXPECT_EQ(run_on(file, {"3xf32=1 2 3"}).out, run_on(data_file("program/add_one.hlo.pb"), {"3xf32=1 2 3"}).out);
}

TEST_F(RunModule, OfTextMayBeginWithAByteOrderMark) {
  EXPECT_EQ(values(run_on(program("\xef\xbb\xbf" + identity("2xf32")), {"2xf32=1 2"})), "[1.0,2.0]");
}

TEST_F(RunModule, OfSixBitFloatsRuns) {
  EXPECT_EQ(values(run_on(program(identity("3xf6E2M3FN")), {"3xf6e2m3fn=1 0.5 -7.5"})), "[1.0,0.5,-7.5]");
}

TEST_F(RunModule, OfTokensSaysThatTheyCannotBeGiven) {
  const std::string text =
      "func.func @main(%t: !stablehlo.token, %a: tensor<3xf32>) -> tensor<3xf32> { return %a : tensor<3xf32> }";
  EXPECT_TRUE(fails(run_on(program(text), {"3xf32=1 2 3"}), kFailed,
                    {"the module takes token[] as arg0, which no run can be given"}));
}

TEST_F(RunModule, WithAMissingSymbolIsRefused) {
  EXPECT_TRUE(fails(run_on(module_file("dangling.mlirbc"), {"3xf32=1 2 3"}), kFailed,
                    {"the module uses @nowhere, which it does not define"}));
}

TEST_F(RunModule, NestedTooDeepIsRefused) {
  std::string type = "tensor<f32>";
  for (int i = 0; i < 20'000; ++i) type = "tuple<" + type + ">";
  EXPECT_TRUE(fails(run_on(program("func.func @main(%a: " + type + ") { return }"), {"f32=1"}), kFailed,
                    {"model.mlir", "line 1: it is nested more than 512 deep"}));
}

TEST_F(RunModule, ErrorsEndWithTheirFirstSentence) {
  const Outcome outcome = run_on(program("module {\n  func.func oops\n}"), {});
  EXPECT_TRUE(fails(outcome, kFailed, {"pjrt run: -:2:13: error: ", "(-v for the rest)"}));
  EXPECT_THAT(outcome.err, ::testing::Not(HasSubstr("StableHLO")));
}

// What is no model.

struct Foreign {
  const char* name;
  std::string content;
  const char* said;
};
class ForeignFile : public ::testing::TestWithParam<Foreign> {};
INSTANTIATE_TEST_SUITE_P(
    Files, ForeignFile,
    ::testing::Values(Foreign{"lfs.jaxexp", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
                              "it is a Git LFS pointer, not a model (run 'git lfs pull')"},
                      Foreign{"page.mlir", "<!DOCTYPE html>\n<html>404</html>", "it is an HTML page, not a model"},
                      Foreign{"j.json", "{\"a\": 1}", "it is JSON, not a model"},
                      Foreign{"text.mlir", "hello", "it is text of no known format, not a model"},
                      Foreign{"m.txt", "// comment\nHloModule m\n", "it is HLO text, which plugins do not parse"},
                      Foreign{"m.mlir.gz", "\x1f\x8b\x08", "it is gzip-compressed, not a model (decompress it"},
                      Foreign{"wide.mlir", std::string("\xff\xfem\0o\0", 6), "it is text in UTF-16"},
                      Foreign{"x.npy", "\x93NUMPY\x01", "it is a numpy array (.npy), not a model"}),
    [](const auto& info) { return test_name(info.param.name); });

TEST_P(ForeignFile, IsNamedForWhatItIs) {
  const TemporaryFolder folder;
  const std::string file = write_file(folder / GetParam().name, GetParam().content);
  EXPECT_TRUE(fails(run_pjrt({"inspect", file}), kFailed, {GetParam().name, GetParam().said}));
}

}  // namespace
}  // namespace pjrt::test
