// `pjrt run --expected-output`: exit status 0 if the outputs are as expected, 3 if they differ.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// tests/cli/data: out0.npy is [[0 1 2] [3 4 5]]; close.npy is 0.001 more; wrong.npy has 1.25 at [0,1] and 7 at [1,2].
class ExpectedOutput : public RunTest {
 protected:
  Outcome compare(const std::string& expected, std::vector<std::string> options = {}) const {
    options.insert(options.end(), {"--expected-output", expected});
    return run_on(program(identity("2x3xf32")), {"@" + cli_file("out0.npy")}, options);
  }
  /// The one output of one type against an expected value, both as text.
  Outcome compare_values(std::string_view type, const std::string& shape, const std::string& got,
                         const std::string& expected, std::vector<std::string> options = {}) const {
    const std::string file = folder / "expected.npy";
    const std::string model = program(identity(type));
    EXPECT_TRUE(succeeds(run_on(model, {shape + "=" + expected}, {"--output", file})));
    options.insert(options.end(), {"--expected-output", file});
    return run_on(model, {shape + "=" + got}, options);
  }
};

::testing::AssertionResult differs(const Outcome& outcome, std::string_view text) {
  if (outcome.status == kDiffers && outcome.out.find(text) != std::string::npos && outcome.err.empty())
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "expected exit status 3 and '" << text << "' on standard output, got "
                                       << ::testing::PrintToString(outcome);
}

TEST_F(ExpectedOutput, ThatIsEqualSaysSo) {
  const Outcome outcome = compare(cli_file("out0.npy"));
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out, "out0: as expected\n");
}

TEST_F(ExpectedOutput, ThatDiffersNamesTheWorstElement) {
  // 5 against 7 lies farther off than 1 against 1.25. Tolerated: 1e-6 + 1e-5 * 7.
  EXPECT_TRUE(differs(
      compare(cli_file("wrong.npy")),
      "out0: 2 of 6 elements differ; the worst at [1,2]: 5.0, expected 7.0 (difference 2, tolerated 7.1e-05)\n"));
}

TEST_F(ExpectedOutput, IsNotWrittenByPrintingToo) {
  EXPECT_THAT(compare(cli_file("wrong.npy")).out, ::testing::Not(HasSubstr("[[")));
}

TEST_F(ExpectedOutput, WithinTheAbsoluteToleranceIsEqual) {
  EXPECT_TRUE(succeeds(compare(cli_file("close.npy"), {"--atol", "0.0011", "--rtol", "0"})));
}

TEST_F(ExpectedOutput, BeyondTheAbsoluteToleranceDiffers) {
  EXPECT_TRUE(differs(compare(cli_file("close.npy"), {"--atol", "0.0009", "--rtol", "0"}), "6 of 6 elements differ"));
}

TEST_F(ExpectedOutput, RelativeToleranceIsOfTheExpectedValue) {
  // |2.0 - 2.5| = 0.5: 0.2 * 2.5, and more than 0.2 * 2.0.
  EXPECT_TRUE(succeeds(compare_values("f32", "f32", "2", "2.5", {"--rtol", "0.2001", "--atol", "0"})));
  EXPECT_TRUE(
      differs(compare_values("f32", "f32", "2.5", "2", {"--rtol", "0.2001", "--atol", "0"}), "1 of 1 elements differ"));
}

TEST_F(ExpectedOutput, TolerancesAdd) {
  EXPECT_TRUE(succeeds(compare_values("f32", "f32", "2", "2.5", {"--rtol", "0.1", "--atol", "0.2501"})));
}

TEST_F(ExpectedOutput, DefaultToleranceIsByType) {
  EXPECT_TRUE(succeeds(compare_values("bf16", "bf16", "1", "1.0078125")));  // one unit in the last place
  EXPECT_TRUE(differs(compare_values("f32", "f32", "1", "1.0078125"), "1 of 1 elements differ"));
  EXPECT_TRUE(succeeds(compare_values("f32", "f32", "1", "1.000001")));
  EXPECT_TRUE(differs(compare_values("f64", "f64", "1", "1.000001"), "1 of 1 elements differ"));
}

TEST_F(ExpectedOutput, IntegersMustBeEqual) {
  EXPECT_TRUE(differs(compare_values("3xi32", "3xs32", "1 2 3", "1 2 4"),
                      "1 of 3 elements differ; the worst at [2]: 3, expected 4"));
}

TEST_F(ExpectedOutput, LargeIntegersAreNotComparedAsDoubles) {
  EXPECT_TRUE(differs(compare_values("i64", "s64", "9007199254740993", "9007199254740992"),
                      "the worst at []: 9007199254740993, expected 9007199254740992"));
}

TEST_F(ExpectedOutput, BoolsMustBeEqual) {
  EXPECT_TRUE(differs(compare_values("2xi1", "2xpred", "1 1", "1 0"), "the worst at [1]: True, expected False"));
}

TEST_F(ExpectedOutput, ComplexNumbersAreComparedByTheirDistance) {
  EXPECT_TRUE(succeeds(compare_values("complex<f32>", "c64", "3+4j", "3.3+4.4j", {"--rtol", "0", "--atol", "0.501"})));
  EXPECT_TRUE(differs(compare_values("complex<f32>", "c64", "3+4j", "3.3+4.4j", {"--rtol", "0", "--atol", "0.499"}),
                      "difference 0.5"));
}

TEST_F(ExpectedOutput, NanEqualsNan) {
  EXPECT_TRUE(succeeds(compare_values("2xf32", "2xf32", "nan 1", "nan 1")));
}

TEST_F(ExpectedOutput, NanDiffersFromNumbersWhateverTheTolerance) {
  EXPECT_TRUE(differs(compare_values("2xf32", "2xf32", "nan 1", "1 1", {"--atol", "1e30"}),
                      "the worst at [0]: nan, expected 1.0"));
  EXPECT_TRUE(differs(compare_values("2xf32", "2xf32", "2 1", "2 nan", {"--atol", "1e30"}),
                      "the worst at [1]: 1.0, expected nan"));
}

TEST_F(ExpectedOutput, InfinityEqualsOnlyItself) {
  EXPECT_TRUE(succeeds(compare_values("f32", "f32", "inf", "inf")));
  EXPECT_TRUE(differs(compare_values("f32", "f32", "inf", "-inf", {"--rtol", "10"}), "at []: inf, expected -inf"));
  EXPECT_TRUE(differs(compare_values("f32", "f32", "1", "inf", {"--rtol", "10"}), "at []: 1.0, expected inf"));
}

TEST_F(ExpectedOutput, NoElementsAreEqual) {
  EXPECT_TRUE(succeeds(compare_values("0xf32", "0xf32", "", "")));
}

TEST_F(ExpectedOutput, OfAnotherShapeDiffers) {
  EXPECT_TRUE(differs(compare(cli_file("wrong_shape.npy")), "out0: it is f32[2,3], expected f32[3,2]\n"));
}

TEST_F(ExpectedOutput, OfAnotherTypeDiffers) {
  EXPECT_TRUE(differs(compare(cli_file("wrong_type.npy")), "out0: it is f32[2,3], expected f64[2,3]\n"));
}

TEST_F(ExpectedOutput, JsonSaysWhichOutputsDiffer) {
  const Outcome equal = compare(cli_file("out0.npy"), {"--json"});
  EXPECT_TRUE(succeeds(equal));
  EXPECT_EQ(json::parse(equal.out),
            json::parse(R"({"equal": true, "outputs": [{"output": "out0", "equal": true, "difference": ""}]})"));

  const Outcome wrong = compare(cli_file("wrong.npy"), {"--json"});
  EXPECT_EQ(wrong.status, kDiffers);
  const json report = json::parse(wrong.out);
  EXPECT_FALSE(report["equal"]);
  EXPECT_FALSE(report["outputs"][0]["equal"]);
  EXPECT_THAT(report["outputs"][0]["difference"].get<std::string>(), HasSubstr("the worst at [1,2]"));
}

TEST_F(ExpectedOutput, OfAnExportIsFoundByPath) {
  const Outcome outcome = run_on(export_file("dict_order.jaxexp"), {"@" + export_file("dict_order.inputs.npz")},
                                 {"--expected-output", export_file("dict_order.outputs.npz")});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out, "out0 (result): as expected\n");
}

TEST_F(ExpectedOutput, MayBeWrittenBesides) {
  const std::string file = folder / "out.npy";
  EXPECT_EQ(compare(cli_file("wrong.npy"), {"--output", file}).status, kDiffers);
  EXPECT_EQ(read_all(file), read_all(cli_file("out0.npy")));
}

TEST_F(ExpectedOutput, ThatIsMissingFromTheArchiveFails) {
  const Outcome outcome = run_on(export_file("ordered_dict.jaxexp"), {"@" + export_file("ordered_dict.inputs.npz")},
                                 {"--expected-output", export_file("dict_order.outputs.npz")});
  EXPECT_TRUE(fails(outcome, kFailed, {"dict_order.outputs.npz"}));
}

TEST_F(ExpectedOutput, ThatIsNoFileFails) {
  EXPECT_TRUE(fails(compare(folder / "none.npz"), kFailed, {"none.npz", "No such file"}));
}

TEST_F(ExpectedOutput, ForNoOutputFails) {
  EXPECT_TRUE(fails(compare(export_file("dict_order.outputs.npz")), kFailed, {"there is no output 'result'"}));
}

}  // namespace
}  // namespace pjrt::test
