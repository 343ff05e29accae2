// Programs, in the forms that JAX writes them (tests/data/program).

#include "pjrt/program.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "support/data.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::value_of;

std::filesystem::path file(const std::string& name) {
  return test::data_file("program/" + name);
}

Program load(const std::string& name) {
  return value_of(Program::load(file(name)));
}

TEST(Program, IsCodeAndTheNameOfItsFormat) {
  EXPECT_EQ(Program::mlir("code").format(), "mlir");
  EXPECT_EQ(Program::hlo("code").format(), "hlo");
  EXPECT_EQ(Program("own", "code").format(), "own");
  const Program own("own", "code");
  EXPECT_EQ(own.code(), "code");
  const Program of_bytes = Program::hlo(test::as_bytes(std::string_view("a\0b", 3)));
  EXPECT_EQ(of_bytes.code(), std::string_view("a\0b", 3));
}

TEST(Program, CopiesShareTheCode) {
  const Program p = Program::mlir("a program of some length, so that it is on the heap");
  const Program copy = p;
  EXPECT_EQ(copy.code().data(), p.code().data());
}

TEST(ProgramLoad, MlirTextIsMlir) {
  EXPECT_EQ(load("add_one.mlir").format(), "mlir");
}
TEST(ProgramLoad, MlirBytecodeIsMlir) {
  EXPECT_EQ(load("add_one_unversioned.mlirbc").format(), "mlir");
}
TEST(ProgramLoad, PortableArtifactsAreMlir) {
  EXPECT_EQ(load("add_one_1.0.0.mlirbc").format(), "mlir");
}
TEST(ProgramLoad, SerializedHloModulesAreHlo) {
  EXPECT_EQ(load("add_one.hlo.pb").format(), "hlo");
}
TEST(ProgramLoad, CodeIsTheWholeFile) {
  const Program program = load("add_one.hlo.pb");
  EXPECT_EQ(program.code(), test::read_all(file("add_one.hlo.pb")));
}

TEST(ProgramLoad, HloTextIsRefusedWithWhatWouldDo) {
  EXPECT_ERROR(Program::load(file("add_one.hlo.txt")), Unimplemented, "is HLO text, which plugins do not parse");
  EXPECT_ERROR(Program::load(file("add_one.hlo.txt")), Unimplemented, "StableHLO can be compiled");
}

TEST(ProgramLoad, TextMayHaveOtherAlphabets) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "umlaut.mlir") << "// größer\nmodule {}\n";
  EXPECT_EQ(value_of(Program::load(folder / "umlaut.mlir")).format(), "mlir");
}

TEST(ProgramLoad, EmptyFilesAreRefused) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "empty.mlir").flush();
  EXPECT_ERROR(Program::load(folder / "empty.mlir"), InvalidArgument, (folder / "empty.mlir").string() + " is empty");
}

TEST(ProgramLoad, MissingFilesAreNotFoundWithTheirPath) {
  EXPECT_ERROR(Program::load("/nowhere/a.mlir"), NotFound, "/nowhere/a.mlir");
}
TEST(ProgramLoad, FoldersAreRefused) {
  const test::TemporaryFolder folder;
  EXPECT_ERROR(Program::load(folder.path()), InvalidArgument, folder.path().string());
}

TEST(StablehloVersion, IsThatOfTheStamp) {
  EXPECT_EQ(load("add_one_1.0.0.mlirbc").stablehlo_version(), "1.0.0");
  EXPECT_EQ(load("add_one_1.9.0.mlirbc").stablehlo_version(), "1.9.0");
}
TEST(StablehloVersion, OfUnversionedBytecodeIsNone) {
  EXPECT_EQ(load("add_one_unversioned.mlirbc").stablehlo_version(), std::nullopt);
}
TEST(StablehloVersion, OfTextIsNone) {
  EXPECT_EQ(load("add_one.mlir").stablehlo_version(), std::nullopt);
}
TEST(StablehloVersion, OfOtherFormatsIsNone) {
  EXPECT_EQ(load("add_one.hlo.pb").stablehlo_version(), std::nullopt);
}

TEST(StablehloVersion, OfACutOffStampIsNone) {
  const std::string all = test::read_all(file("add_one_1.9.0.mlirbc"));
  const std::size_t end_of_stamp = all.find('\0');
  for (std::size_t size = 0; size <= end_of_stamp; ++size)
    EXPECT_EQ(Program::mlir(all.substr(0, size)).stablehlo_version(), std::nullopt) << size;
}

}  // namespace
}  // namespace pjrt
