// What `pjrt run --input` takes: values written on the command line, and names.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

struct Literal {
  const char* type;  // as pjrt names it
  const char* mlir;
  const char* text;
  const char* values;  // as ml_dtypes rounds them
};

void PrintTo(const Literal& literal, std::ostream* out) {
  *out << literal.type;
}

class LiteralInput : public RunFixture<::testing::TestWithParam<Literal>> {};

INSTANTIATE_TEST_SUITE_P(
    Types, LiteralInput,
    ::testing::Values(
        Literal{"pred", "i1", "true 0 False 1", "[[true,false],[false,true]]"},
        Literal{"s2", "i2", "-2 1 0 -1", "[[-2,1],[0,-1]]"}, Literal{"s4", "i4", "-8 7 0 -1", "[[-8,7],[0,-1]]"},
        Literal{"s8", "i8", "-128 127 0 +1", "[[-128,127],[0,1]]"},
        Literal{"s16", "i16", "-32768 32767 0 1", "[[-32768,32767],[0,1]]"},
        Literal{"s32", "i32", "-2147483648 2147483647 0 1", "[[-2147483648,2147483647],[0,1]]"},
        Literal{"s64", "i64", "-9223372036854775808 9223372036854775807 0 1",
                "[[-9223372036854775808,9223372036854775807],[0,1]]"},
        Literal{"u2", "ui2", "0 3 1 2", "[[0,3],[1,2]]"}, Literal{"u4", "ui4", "0 15 7 8", "[[0,15],[7,8]]"},
        Literal{"u8", "ui8", "0 255 127 128", "[[0,255],[127,128]]"},
        Literal{"u16", "ui16", "0 65535 1 2", "[[0,65535],[1,2]]"},
        Literal{"u32", "ui32", "0 4294967295 1 2", "[[0,4294967295],[1,2]]"},
        Literal{"u64", "ui64", "0 18446744073709551615 1 2", "[[0,18446744073709551615],[1,2]]"},
        Literal{"f16", "f16", "1.5 -0.25 0.1 65504", "[[1.5,-0.25],[0.0999755859375,65504.0]]"},
        Literal{"bf16", "bf16", "1.5 -0.25 0.1 -inf", "[[1.5,-0.25],[0.10009765625,\"-inf\"]]"},
        Literal{"f32", "f32", "1.5 -25e-2 0.1 nan", "[[1.5,-0.25],[0.10000000149011612,\"nan\"]]"},
        Literal{"f64", "f64", "1.5 -25e-2 0.1 inf", "[[1.5,-0.25],[0.1,\"inf\"]]"},
        Literal{"c64", "complex<f32>", "1+2j -1.5-0.25j 3 2j", R"j([["(1+2j)","(-1.5-0.25j)"],["(3+0j)","2j"]])j"},
        Literal{"c128", "complex<f64>", "(1+2j) -1.5-25e-2j 1e+20 -2j",
                R"j([["(1+2j)","(-1.5-0.25j)"],["(1e+20+0j)","-2j"]])j"},
        Literal{"f8e5m2", "f8E5M2", "1.5 -0.25 0.3 3", "[[1.5,-0.25],[0.3125,3.0]]"},
        Literal{"f8e4m3fn", "f8E4M3FN", "1.5 -0.25 0.3 nan", "[[1.5,-0.25],[0.3125,\"nan\"]]"},
        Literal{"f8e4m3b11fnuz", "f8E4M3B11FNUZ", "1.5 -0.25 0.3 3", "[[1.5,-0.25],[0.3125,3.0]]"},
        Literal{"f8e5m2fnuz", "f8E5M2FNUZ", "1.5 -0.25 0.3 3", "[[1.5,-0.25],[0.3125,3.0]]"},
        Literal{"f8e4m3fnuz", "f8E4M3FNUZ", "1.5 -0.25 0.3 3", "[[1.5,-0.25],[0.3125,3.0]]"},
        Literal{"f8e4m3", "f8E4M3", "1.5 -0.25 0.3 3", "[[1.5,-0.25],[0.3125,3.0]]"},
        Literal{"f8e3m4", "f8E3M4", "1.5 -0.25 0.3 3", "[[1.5,-0.25],[0.296875,3.0]]"},
        Literal{"f8e8m0fnu", "f8E8M0FNU", "2 0.3 0.25 4", "[[2.0,0.25],[0.25,4.0]]"},
        Literal{"f4e2m1fn", "f4E2M1FN", "6 -0.5 1.5 3", "[[6.0,-0.5],[1.5,3.0]]"}),
    [](const auto& info) { return std::string(info.param.type); });

TEST_P(LiteralInput, ReachesTheModel) {
  const Literal& literal = GetParam();
  const Outcome outcome = run_on(program(identity(std::string("2x2x") + literal.mlir)),
                                 {std::string("2x2x") + literal.type + "=" + literal.text});
  EXPECT_EQ(output(outcome)["type"], literal.type);
  EXPECT_EQ(output(outcome)["shape"].dump(), "[2,2]");
  EXPECT_EQ(values(outcome), literal.values);
}

class Input : public RunTest {
 protected:
  std::string echo(std::string_view type, const std::string& input) {
    return values(run_on(program(identity(type)), {input}));
  }
};

TEST_F(Input, OneValueFillsAnArray) {
  EXPECT_EQ(echo("2x3xi32", "2x3xs32=7"), "[[7,7,7],[7,7,7]]");
}

TEST_F(Input, WithoutDimensionsIsAScalar) {
  EXPECT_EQ(echo("f32", "f32=2.5"), "2.5");
}

TEST_F(Input, OfNoElementsNeedsNoValues) {
  EXPECT_EQ(echo("2x0xf32", "2x0xf32="), "[[],[]]");
}

TEST_F(Input, ValuesMayStandInBracketsWithCommas) {
  EXPECT_EQ(echo("2x2xi32", "2x2xs32=[[1, 2], [3, 4]]"), "[[1,2],[3,4]]");
}

TEST_F(Input, TypesMayBeNamedAsMlirNamesThem) {
  EXPECT_EQ(echo("2xi32", "2xi32=1 2"), "[1,2]");
}

TEST_F(Input, TypesMayBeNamedAsNumpyNamesThem) {
  EXPECT_EQ(echo("2xf32", "2xfloat32=1 2"), "[1.0,2.0]");
}

TEST_F(Input, ZerosFillsWithZeros) {
  EXPECT_EQ(echo("2x2xi32", "2x2xs32:zeros"), "[[0,0],[0,0]]");
}

TEST_F(Input, OnesFillsWithOnes) {
  EXPECT_EQ(echo("2x2xbf16", "2x2xbf16:ones"), "[[1.0,1.0],[1.0,1.0]]");
}

TEST_F(Input, RandomIsTheSameForTheSameSeed) {
  const std::string model = program(identity("8xf32"));
  EXPECT_EQ(values(run_on(model, {"8xf32:random"}, {"--json", "--seed", "7"})),
            values(run_on(model, {"8xf32:random"}, {"--json", "--seed", "7"})));
}

TEST_F(Input, RandomIsAnotherForAnotherSeed) {
  const std::string model = program(identity("8xf32"));
  EXPECT_NE(values(run_on(model, {"8xf32:random"}, {"--json", "--seed", "7"})),
            values(run_on(model, {"8xf32:random"}, {"--json", "--seed", "8"})));
}

TEST_F(Input, RandomFloatsAreNormallyDistributed) {
  double sum = 0;
  double squares = 0;
  const nlohmann::json drawn = output(run_on(program(identity("10000xf32")), {"10000xf32:random"}))["values"];
  for (const double x : drawn) {
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 10000, 0, 0.05);  // five standard deviations of the mean
  EXPECT_NEAR(squares / 10000, 1, 0.07);
}

TEST_F(Input, TwoRandomInputsDiffer) {
  const std::string model = program(
      "func.func @main(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) { return %x, %y : "
      "tensor<4xf32>, tensor<4xf32> }");
  const Outcome outcome = run_on(model, {"4xf32:random", "4xf32:random"});
  EXPECT_NE(values(outcome, 0), values(outcome, 1));
}

TEST_F(Input, RandomFillsEveryKindOfType) {
  for (const char* type : {"i1", "i8", "ui64", "bf16", "complex<f32>", "i4", "f8E4M3FN"}) {
    const std::string mlir = std::string("6x") + type;
    const std::string spec = type == std::string("complex<f32>") ? "6xc64:random" : mlir + ":random";
    const nlohmann::json drawn = output(run_on(program(identity(mlir)), {spec}))["values"];
    EXPECT_EQ(drawn.size(), 6u) << type;
  }
}

// Names. `kwargs` is f(x, *, scale, y) = (x - y['w']) * scale: (5 - 1) * 3 = 12, (6 - 4) * 3 = 6.

TEST_F(Input, MayBeNamedByPath) {
  EXPECT_EQ(values(run_on(export_file("kwargs.jaxexp"),
                          {"kwargs['y']['w']=2xf32=1 4", "kwargs['scale']=f32=3", "args[0]=2xf32=5 6"})),
            "[12.0,6.0]");
}

TEST_F(Input, MayBeNamedByTheEndOfThePath) {
  EXPECT_EQ(values(run_on(export_file("kwargs.jaxexp"), {"w=2xf32=1 4", "scale=f32=3", "args[0]=2xf32=5 6"})),
            "[12.0,6.0]");
}

TEST_F(Input, MayBeNamedByTheAuthorsOwnName) {
  EXPECT_EQ(
      values(run_on(export_file("kwargs.jaxexp"), {"k['y']['w']=2xf32=1 4", "k['scale']=f32=3", "a[0]=2xf32=5 6"})),
      "[12.0,6.0]");
}

TEST_F(Input, MayBeNamedByNumber) {
  EXPECT_EQ(values(run_on(export_file("kwargs.jaxexp"), {"arg2=2xf32=1 4", "arg1=f32=3", "arg0=2xf32=5 6"})),
            "[12.0,6.0]");
}

TEST_F(Input, WithoutNameTakesTheNextFreePlace) {
  EXPECT_EQ(values(run_on(export_file("kwargs.jaxexp"), {"scale=f32=3", "2xf32=5 6", "2xf32=1 4"})), "[12.0,6.0]");
}

TEST_F(Input, WithoutNamePassesOverWhatTheModelDoesNotUse) {
  EXPECT_EQ(values(run_on(export_file("unused_arguments.jaxexp"), {"2xf32=20 21", "2xf32=4 5"})), "[16.0,16.0]");
}

TEST_F(Input, ThatIsNotUsedMayBeGiven) {
  EXPECT_EQ(values(run_on(export_file("unused_arguments.jaxexp"),
                          {"args[1]=2xf32=20 21", "args[2]=3xf32=1", "args[3]=2xf32=4 5"})),
            "[16.0,16.0]");
}

TEST_F(Input, NamesMayHoldQuotesSlashesAndEveryLetter) {
  const Outcome outcome =
      run_on(export_file("odd_keys.jaxexp"),
             {R"(args[0][""]=1xf32=6)", R"(args[0]['back\\slash']=1xf32=7)", "args[0]['conv/kernel']=1xf32=4",
              R"(args[0]["it's"]=1xf32=9)", "two words=1xf32=3", "args[0]['ü']=1xf32=5"});
  EXPECT_EQ(output(outcome, 3)["path"], "result['ü']");
  EXPECT_EQ(values(outcome, 0), "[21.0]");
  EXPECT_EQ(values(outcome, 3), "[11.0]");
}

}  // namespace
}  // namespace pjrt::test
