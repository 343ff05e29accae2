// Files that are cut short, mixed up or something else: one line that names the file, never a signal.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "cli/run_fixture.hpp"
#include "cli/zip.hpp"

namespace pjrt::test {
namespace {

/// Done, or failed in one line.
::testing::AssertionResult ends_well(const Outcome& outcome) {
  return outcome.status == 0 ? ::testing::AssertionSuccess() : fails(outcome, kFailed, {});
}

std::string random_bytes(std::mt19937& generator, std::size_t count) {
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(generator());
  return bytes;
}

class DamagedModel : public RunTest {};

TEST_F(DamagedModel, ThatIsEmpty) {
  EXPECT_TRUE(fails(run(program(""), {}), kFailed, {"model.mlir cannot be opened as a model: it is empty"}));
}

TEST_F(DamagedModel, ThatIsNotThere) {
  EXPECT_TRUE(fails(run(folder / "none.jaxexp", {}), kFailed, {"none.jaxexp", "No such file or directory"}));
}

TEST_F(DamagedModel, ThatIsAFolder) {
  EXPECT_TRUE(fails(run(folder.path(), {}), kFailed, {folder.path().string(), "Is a directory"}));
}

TEST_F(DamagedModel, ThatNeverEnds) {
  EXPECT_TRUE(fails(run("/dev/zero", {}), kFailed, {"cannot read /dev/zero", "at most 1073741824 are read"}));
}

TEST_F(DamagedModel, ThatIsAnArrayFile) {
  EXPECT_TRUE(
      fails(run(export_file("donated.inputs.npz"), {}), kFailed, {"donated.inputs.npz cannot be opened as a model"}));
}

TEST_F(DamagedModel, OfRandomBytes) {
  std::mt19937 generator(1);
  for (int i = 0; i < 40; ++i) {
    const std::string file = write_file(folder / "model", random_bytes(generator, std::size_t{64} << i % 8));
    EXPECT_TRUE(fails(run_pjrt({"inspect", file}), kFailed, {"model"})) << "number " << i;
  }
}

TEST_F(DamagedModel, ThatIsCutShortAnywhere) {
  for (const char* name : {"kwargs", "sharded_shardy", "older/jax_0.4.30"}) {
    const std::filesystem::path path = export_file(std::string(name) + ".jaxexp");
    if (!std::filesystem::exists(path)) continue;
    const std::string whole = read_all(path);
    for (std::size_t i = 0; i < 60; ++i) {
      const std::string file = write_file(folder / "model.jaxexp", whole.substr(0, whole.size() * i / 60));
      EXPECT_TRUE(fails(run(file, {}), kFailed, {"model.jaxexp"})) << name << " cut at " << whole.size() * i / 60;
    }
  }
}

TEST_F(DamagedModel, WithWrongBytesEndsWell) {
  std::mt19937 generator(2);
  for (const char* name : {"cholesky", "kwargs", "sharded_shardy"}) {
    const std::string whole = read_all(export_file(std::string(name) + ".jaxexp"));
    for (int i = 0; i < 40; ++i) {
      std::string wrong = whole;
      for (int n = 1 + i % 5; n > 0; --n) wrong[generator() % wrong.size()] = static_cast<char>(generator());
      EXPECT_TRUE(ends_well(run_pjrt({"inspect", write_file(folder / "model.jaxexp", wrong)})))
          << name << ", number " << i;
    }
  }
}

TEST_F(DamagedModel, OfFieldsWithOtherTypesThanTheFormatHas) {
  // An HLO module whose program shape (field 4) is a number.
  EXPECT_TRUE(fails(run(write_file(folder / "model.pb", "\x0a\x01m\x20\x07"), {}), kFailed,
                    {"model.pb cannot be opened as a model"}));
}

TEST_F(DamagedModel, BytecodeThatIsCutShort) {
  const std::string whole = read_all(export_file("kwargs.jaxexp"));
  const std::size_t begin = whole.find("ML\xefR");  // how MLIR bytecode begins
  ASSERT_NE(begin, std::string::npos);
  for (const std::size_t size : {4, 20, 100, 400})
    EXPECT_TRUE(fails(run(write_file(folder / "model.mlirbc", whole.substr(begin, size)), {}), kFailed, {"pjrt run: "}))
        << size;
}

// Arrays.

class DamagedInput : public RunTest {
 protected:
  Outcome run_with(const std::string& name, const std::string& contents) const {
    return run_on(program(identity("2x3xf32")), {"@" + write_file(folder / name, contents)});
  }
};

TEST_F(DamagedInput, ThatIsNotThere) {
  EXPECT_TRUE(fails(run_on(program(identity("2xf32")), {"@/nowhere/x.npy"}), kFailed,
                    {"input arg0: cannot read /nowhere/x.npy: No such file"}));
  EXPECT_TRUE(
      fails(run_on(program(identity("2xf32")), {"@/nowhere/x.npz"}), kFailed, {"/nowhere/x.npz", "No such file"}));
}

TEST_F(DamagedInput, NpyThatIsCutShortAnywhere) {
  const std::string whole = read_all(npy_file("float32"));
  for (std::size_t size = 0; size < whole.size(); size += size < 12 ? 1 : 9)
    EXPECT_TRUE(fails(run_with("x.npy", whole.substr(0, size)), kFailed, {"input arg0", "x.npy"})) << size;
}

TEST_F(DamagedInput, NpyWithMoreThanItsShapeHoldsIsRefused) {  // which numpy leaves unread
  EXPECT_TRUE(fails(run_with("x.npy", read_all(npy_file("float32")) + "more"), kFailed,
                    {"input arg0", "4 bytes behind the 24 bytes of f32[2,3]"}));
}

TEST_F(DamagedInput, NpzThatIsCutShortAnywhere) {
  const std::string whole = zip_of({{"arg0.npy", read_all(npy_file("float32"))}});
  for (std::size_t i = 0; i < 40; ++i)
    EXPECT_TRUE(fails(run_with("x.npz", whole.substr(0, whole.size() * i / 40)), kFailed, {"x.npz"})) << i;
}

TEST_F(DamagedInput, CompressedNpzThatIsDamaged) {
  std::string wrong = read_all(cli_file("compressed.npz"));
  for (std::size_t i = 45; i < 60; ++i) wrong[i] = static_cast<char>(~wrong[i]);
  EXPECT_TRUE(fails(run_with("x.npz", wrong), kFailed, {"x.npz"}));
}

TEST_F(DamagedInput, NpzWithWrongBytesEndsWell) {
  std::mt19937 generator(3);
  const std::string whole = zip_of({{"arg0.npy", read_all(npy_file("float32"))}});
  for (int i = 0; i < 60; ++i) {
    std::string wrong = whole;
    wrong[generator() % wrong.size()] = static_cast<char>(generator());
    EXPECT_TRUE(ends_well(run_with("x.npz", wrong))) << "number " << i;
  }
}

TEST_F(DamagedInput, OfRandomBytes) {
  std::mt19937 generator(4);
  for (const char* name : {"x.npy", "x.npz"}) {
    for (int i = 0; i < 10; ++i)
      EXPECT_TRUE(fails(run_with(name, random_bytes(generator, std::size_t{1} << i)), kFailed, {name}))
          << "number " << i;
  }
}

TEST_F(DamagedInput, NpzWithoutArraysIsRefused) {
  EXPECT_TRUE(fails(run_with("x.npz", zip_of({{"readme.txt", "hello"}})), kFailed, {"x.npz holds no arrays"}));
}

}  // namespace
}  // namespace pjrt::test
