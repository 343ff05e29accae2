// What `pjrt run --input @…` reads: arrays that numpy wrote.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/run_fixture.hpp"
#include "cli/zip.hpp"
#include "support/npy_bytes.hpp"

namespace pjrt::test {
namespace {

struct NpyFile {
  const char* name;  // in tests/data/npy, written by numpy; what it holds stands in make.py there
  const char* mlir;
  const char* values;
};

void PrintTo(const NpyFile& file, std::ostream* out) {
  *out << file.name;
}

class NpyInput : public RunFixture<::testing::TestWithParam<NpyFile>> {};

INSTANTIATE_TEST_SUITE_P(
    Files, NpyInput,
    ::testing::Values(NpyFile{"float32", "2x3xf32", "[[0.0,0.5,-1.0],[1.5,\"inf\",1024.0]]"},
                      NpyFile{"int64", "2x3xi64", "[[0,1,-1],[2,-9223372036854775808,9223372036854775807]]"},
                      NpyFile{"bool", "2x3xi1", "[[true,false,true],[false,false,true]]"},
                      NpyFile{"complex64", "2x3xcomplex<f32>",
                              R"j([["0j","1j","(-1+0j)"],["(1+2j)","(3-4j)","(0.5+0j)"]])j"},
                      NpyFile{"fortran", "2x3xi32", "[[0,1,2],[3,4,5]]"},
                      NpyFile{"big_endian_f8", "2x3xf64", "[[0.0,1.0,2.0],[3.0,4.0,5.0]]"},
                      NpyFile{"scalar", "f32", "2.5"}, NpyFile{"empty_2d", "3x0xf64", "[[],[],[]]"},
                      NpyFile{"version_3", "2x3xi32", "[[0,1,2],[3,4,5]]"},
                      // numpy calls these '<V2', '<V1' and '<f1': the model says what they are
                      NpyFile{"bfloat16", "2x3xbf16", "[[1.0,2.0,4.0],[0.5,1.0,2.0]]"},
                      NpyFile{"float8_e4m3fn", "2x3xf8E4M3FN", "[[1.0,2.0,4.0],[0.5,1.0,2.0]]"},
                      NpyFile{"float8_e5m2", "2x3xf8E5M2", "[[1.0,2.0,4.0],[0.5,1.0,2.0]]"},
                      NpyFile{"float8_e8m0fnu", "2x3xf8E8M0FNU", "[[1.0,2.0,4.0],[0.5,1.0,2.0]]"},
                      NpyFile{"float4_e2m1fn", "2x3xf4E2M1FN", "[[1.0,2.0,4.0],[0.5,1.0,2.0]]"},
                      NpyFile{"int4", "2x3xi4", "[[0,1,-1],[1,0,-2]]"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_P(NpyInput, ReachesTheModel) {
  EXPECT_EQ(values(run_on(program(identity(GetParam().mlir)), {"@" + npy_file(GetParam().name)})), GetParam().values);
}

class InputFile : public RunTest {
 protected:
  /// An .npz of .npy files.
  std::string archive(ZipMembers arrays) const {
    for (auto& [name, file] : arrays) name += ".npy";
    return write_file(folder / "arrays.npz", zip_of(arrays));
  }
};

TEST_F(InputFile, MayBeNamed) {
  const std::string model = program(
      "func.func @main(%x: tensor<i32>, %y: tensor<2x3xi32>) -> tensor<2x3xi32> { return %y : tensor<2x3xi32> }");
  EXPECT_EQ(values(run_on(model, {"arg1=@" + npy_file("fortran"), "s32=1"})), "[[0,1,2],[3,4,5]]");
}

TEST_F(InputFile, NameMayHoldSpacesAndEveryLetter) {
  const std::string file = write_file(folder / "zwei Wörter = 数.npy", read_all(npy_file("int8")));
  EXPECT_EQ(values(run_on(program(identity("2x3xi8")), {"@" + file})), "[[0,1,-1],[2,-128,127]]");
}

TEST_F(InputFile, RawBytesMustBeAsWideAsTheParameter) {
  EXPECT_TRUE(fails(run_on(program(identity("2x3xf32")), {"@" + npy_file("bfloat16")}), kFailed,
                    {"input arg0", "bfloat16.npy"}));
}

TEST_F(InputFile, RawBytesAreNotTakenForTypesThatNumpyHas) {
  EXPECT_TRUE(fails(run_on(program(identity("2x3xi32")), {"@" + npy_file("float32")}), kFailed,
                    {"f32[2,3]", "the model takes s32[2,3]"}));
}

// An archive fills every input that it has an array for.

TEST_F(InputFile, ArchiveFillsInputsByPath) {
  EXPECT_EQ(values(run_on(export_file("kwargs.jaxexp"), {"@" + export_file("kwargs.inputs.npz")})), "[12.0,6.0]");
}

/// An .npy file of 32-bit floats.
std::string npy(const std::string& shape, const std::vector<float>& elements) {
  return npy_bytes("<f4", shape, bytes_of(elements));
}

TEST_F(InputFile, ArchiveFillsInputsByTheEndOfThePath) {
  const std::string file =
      archive({{"w", npy("(2,)", {1, 4})}, {"scale", npy("()", {3})}, {"a[0]", npy("(2,)", {5, 6})}});
  EXPECT_EQ(values(run_on(export_file("kwargs.jaxexp"), {"@" + file})), "[12.0,6.0]");
}

TEST_F(InputFile, ArchiveFillsInputsByNumber) {
  const std::string file =
      archive({{"arg2", npy("(2,)", {1, 4})}, {"arg1", npy("()", {3})}, {"arg0", npy("(2,)", {5, 6})}});
  EXPECT_EQ(values(run_on(export_file("kwargs.jaxexp"), {"@" + file})), "[12.0,6.0]");
}

TEST_F(InputFile, ArchiveMayLeaveTheRestToOtherInputs) {
  const std::string file = archive({{"w", npy("(2,)", {1, 4})}, {"a[0]", npy("(2,)", {5, 6})}});
  EXPECT_EQ(values(run_on(export_file("kwargs.jaxexp"), {"@" + file, "f32=3"})), "[12.0,6.0]");
}

TEST_F(InputFile, ArchiveWithAnArrayForNoInputIsRefused) {
  const std::string file = archive({{"nobody", npy("()", {1})}});
  EXPECT_TRUE(fails(run_on(export_file("kwargs.jaxexp"), {"@" + file}), kFailed,
                    {"arrays.npz", "there is no input 'nobody'", "kwargs['scale']"}));
}

TEST_F(InputFile, ArchiveUnderANameIsRefused) {
  EXPECT_TRUE(fails(run_on(export_file("kwargs.jaxexp"), {"w=@" + export_file("kwargs.inputs.npz")}), kWrongUsage,
                    {"an .npz holds 3 arrays; give it without a name"}));
}

TEST_F(InputFile, ArchiveOfOneArrayMayBeNamed) {
  const std::string file = archive({{"whatever", npy("(2,)", {1, 4})}});
  EXPECT_EQ(values(run_on(export_file("kwargs.jaxexp"), {"w=@" + file, "scale=f32=3", "a[0]=2xf32=5 6"})),
            "[12.0,6.0]");
}

TEST_F(InputFile, CompressedArchiveIsRead) {  // numpy.savez_compressed
  EXPECT_EQ(values(run_on(program(identity("2x3xf32")), {"@" + cli_file("compressed.npz")})),
            "[[0.0,1.0,2.0],[3.0,4.0,5.0]]");
}

}  // namespace
}  // namespace pjrt::test
