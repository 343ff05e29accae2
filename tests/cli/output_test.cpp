// Where the outputs of `pjrt run` go: to the terminal as numpy prints them, to JSON, to files that numpy reads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/run_fixture.hpp"
#include "cli/zip.hpp"

namespace pjrt::test {
namespace {

using nlohmann::json;
using ::testing::StartsWith;

constexpr const char* kThree = R"(
func.func @main() -> (tensor<2x3xf32>, tensor<2xi1>, tensor<i64>) {
  %count = stablehlo.constant dense<[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]> : tensor<2x3xf32>
  %flags = stablehlo.constant dense<[true, false]> : tensor<2xi1>
  %seven = stablehlo.constant dense<7> : tensor<i64>
  return %count, %flags, %seven : tensor<2x3xf32>, tensor<2xi1>, tensor<i64>
})";

constexpr const char* kOne = R"(
func.func @main() -> tensor<2x3xf32> {
  %count = stablehlo.constant dense<[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]> : tensor<2x3xf32>
  return %count : tensor<2x3xf32>
})";

// To the terminal. The expected texts are numpy's str() of the same arrays, ml_dtypes' for the types that it has.

struct Printed {
  const char* name;
  const char* mlir;
  const char* input;
  const char* text;
};

void PrintTo(const Printed& printed, std::ostream* out) {
  *out << printed.name;
}

class PrintedOutput : public RunFixture<::testing::TestWithParam<Printed>> {};

INSTANTIATE_TEST_SUITE_P(
    AsNumpy, PrintedOutput,
    ::testing::Values(
        Printed{"wide_range", "2x3xf32", "2x3xf32=1.5 -0.25 0.1 nan inf 1024",
                "out0 f32[2,3]\n[[ 1.500e+00 -2.500e-01  1.000e-01]\n [       nan        inf  1.024e+03]]\n"},
        Printed{"powers_of_ten", "3xf32", "3xf32=1e-8 1 1e8", "out0 f32[3]\n[1.e-08 1.e+00 1.e+08]\n"},
        Printed{"integers", "2x2xi32", "2x2xs32=1 -2 300 4", "out0 s32[2,2]\n[[  1  -2]\n [300   4]]\n"},
        Printed{"bools", "1x2xi1", "1x2xpred=1 0", "out0 pred[1,2]\n[[ True False]]\n"},
        Printed{"complex", "2xcomplex<f32>", "2xc64=1+2j -1.5-0.25j", "out0 c64[2]\n[ 1. +2.j   -1.5-0.25j]\n"},
        Printed{"three_dimensions", "2x2x3xi32", "2x2x3xs32=0 1 2 3 4 5 6 7 8 9 10 11",
                "out0 s32[2,2,3]\n[[[ 0  1  2]\n  [ 3  4  5]]\n\n [[ 6  7  8]\n  [ 9 10 11]]]\n"},
        Printed{"many", "2000xf32", "2000xf32=0.5", "out0 f32[2000]\n[0.5 0.5 0.5 ... 0.5 0.5 0.5]\n"},
        Printed{"bfloat16", "3xbf16", "3xbf16=1.5 0.1 3", "out0 bf16[3]\n[1.5 0.100098 3]\n"},
        Printed{"float8", "3xf8E4M3FN", "3xf8e4m3fn=1.5 0.1 3", "out0 f8e4m3fn[3]\n[1.5 0.101562 3]\n"},
        Printed{"int4", "2xi4", "2xs4=-8 7", "out0 s4[2]\n[-8 7]\n"},
        Printed{"scalar", "f32", "f32=0.1", "out0 f32[]\n0.1\n"},
        Printed{"no_elements", "2x0xf32", "2x0xf32=", "out0 f32[2,0]\n[]\n"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_P(PrintedOutput, LooksAsNumpyPrintsIt) {
  const Outcome outcome = run_on(program(identity(GetParam().mlir)), {GetParam().input}, {});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out, GetParam().text);
}

class OutputOf : public RunTest {
 protected:
  void SetUp() override {
    RunTest::SetUp();
    three = write_file(folder / "three.mlir", kThree);
    one = write_file(folder / "one.mlir", kOne);
  }
  std::string three;
  std::string one;
};

TEST_F(OutputOf, SeveralArraysArePrintedWithTheirNames) {
  const Outcome outcome = run(three, {});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out, "out0 f32[2,3]\n[[0. 1. 2.]\n [3. 4. 5.]]\nout1 pred[2]\n[ True False]\nout2 s64[]\n7\n");
}

TEST_F(OutputOf, AnExportIsPrintedWithItsPaths) {
  const Outcome outcome = run_on(export_file("nested_tree.jaxexp"), {"@" + export_file("nested_tree.inputs.npz")}, {});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(
      outcome.out,
      "result['first'] f32[2]\n[6. 8.]\nresult['list'][0] f32[2]\n[ 9. 18.]\nresult['list'][2][0] f32[2]\n[5. 6.]\n");
}

TEST_F(OutputOf, JsonHasPathTypeShapeAndValues) {
  const Outcome outcome = run(three, {"--json"});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(json::parse(outcome.out), json::parse(R"({"outputs": [
      {"path": "out0", "type": "f32", "shape": [2, 3], "values": [[0, 1, 2], [3, 4, 5]]},
      {"path": "out1", "type": "pred", "shape": [2], "values": [true, false]},
      {"path": "out2", "type": "s64", "shape": [], "values": 7}]})"));
}

TEST_F(OutputOf, NoArraysIsNothing) {
  const Outcome outcome = run_on(export_file("no_outputs.jaxexp"), {"@" + export_file("no_outputs.inputs.npz")}, {});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out, "");
}

// To files: byte for byte what numpy.save writes.

TEST_F(OutputOf, NpzHasTheMembersOfNumpySavez) {
  const std::string file = folder / "out.npz";
  const Outcome outcome = run(three, {"--output", file});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(zip_members(read_all(file)), zip_members(read_all(cli_file("outputs.npz"))));
}

TEST_F(OutputOf, NpyIsWhatNumpySaveWrites) {
  const std::string file = folder / "out.npy";
  EXPECT_TRUE(succeeds(run(one, {"--output", file})));
  EXPECT_EQ(read_all(file), read_all(cli_file("out0.npy")));
}

struct RawType {
  const char* name;  // of tests/data/npy
  const char* mlir;
};

class RawOutput : public RunFixture<::testing::TestWithParam<RawType>> {};

INSTANTIATE_TEST_SUITE_P(AsNumpy, RawOutput,
                         ::testing::Values(RawType{"bfloat16", "bf16"}, RawType{"float8_e4m3fn", "f8E4M3FN"},
                                           RawType{"float8_e5m2", "f8E5M2"}, RawType{"float4_e2m1fn", "f4E2M1FN"},
                                           RawType{"int4", "i4"}, RawType{"int2", "i2"},
                                           RawType{"complex128", "complex<f64>"}, RawType{"uint64", "ui64"}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(RawOutput, OfTypesThatNumpyLacksIsWrittenAsNumpyWritesIt) {
  const std::string file = folder / "out.npy";
  const std::string given = npy_file(GetParam().name);
  EXPECT_TRUE(
      succeeds(run_on(program(identity(std::string("2x3x") + GetParam().mlir)), {"@" + given}, {"--output", file})));
  std::string expected = read_all(given);
  // numpy writes float8_e5m2 as '<f1', which it cannot read itself; as bytes it can.
  if (const std::size_t at = expected.find("'<f1'"); at != std::string::npos) expected.replace(at, 5, "'|V1'");
  EXPECT_EQ(read_all(file), expected);
}

TEST_F(OutputOf, FolderGetsAFileForEachArray) {
  EXPECT_TRUE(succeeds(run(three, {"--output", folder.path().string()})));
  for (const char* name : {"out0.npy", "out1.npy", "out2.npy"})
    EXPECT_EQ(read_all(folder / name), read_all(cli_file(name)));
}

TEST_F(OutputOf, FolderIsMadeWhereItIsNamedWithASlash) {
  EXPECT_TRUE(succeeds(run(three, {"--output", (folder / "new").string() + "/"})));
  EXPECT_EQ(read_all(folder / "new/out1.npy"), read_all(cli_file("out1.npy")));
}

TEST_F(OutputOf, FileMayBeInTheFolderOneIsIn) {
  EXPECT_TRUE(succeeds(run(one, {"--output", "out.npy"}, {.folder = folder.path()})));
  EXPECT_EQ(read_all(folder / "out.npy"), read_all(cli_file("out0.npy")));
}

TEST_F(OutputOf, FileThatIsThereIsReplaced) {
  const std::string file = write_file(folder / "out.npy", std::string(10000, 'x'));
  EXPECT_TRUE(succeeds(run(one, {"--output", file})));
  EXPECT_EQ(read_all(file), read_all(cli_file("out0.npy")));
}

TEST_F(OutputOf, FileLeavesNothingElseBehind) {
  const TemporaryFolder results;
  EXPECT_TRUE(succeeds(run(one, {"--output", results / "out.npy"})));
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(results.path()))
    files.push_back(entry.path().filename());
  EXPECT_EQ(files, std::vector<std::string>{"out.npy"});
}

TEST_F(OutputOf, SeveralArraysDoNotFitIntoAnNpy) {
  EXPECT_TRUE(fails(run(three, {"--output", folder / "out.npy"}), kWrongUsage,
                    {"an .npy file holds one array", "the model gives 3"}));
  EXPECT_FALSE(std::filesystem::exists(folder / "out.npy"));
}

}  // namespace
}  // namespace pjrt::test
