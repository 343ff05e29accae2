// Files of arrays are told by what is in them, come through pipes as well, and take no memory that the model has not
// asked for.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <string>
#include <vector>

#include "cli/run_fixture.hpp"
#include "cli/zip.hpp"
#include "support/npy_bytes.hpp"

namespace pjrt::test {
namespace {

/// As safetensors.numpy.save writes it.
std::string safetensors(const std::string& head, const std::string& data) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(head.size() >> 8 * i & 0xff);
  return file + head + data;
}

class ArrayFile : public RunTest {
 protected:
  const std::string identity_of_two = program(identity("2xf32"));
  const std::string one_npy = npy_bytes("<f4", "(2,)", bytes_of({1, 2}));

  static Outcome shell(const std::string& command) { return run_program("/bin/sh", {"-c", command}, {}); }
};

TEST_F(ArrayFile, IsToldByItsContentWhateverItsName) {
  const std::string npz = zip_of({{"arg0.npy", one_npy}});
  for (const char* name : {"a.npz", "a.NPZ", "a", "a.npy", "a.bin"})
    EXPECT_EQ(values(run_on(identity_of_two, {"@" + write_file(folder / name, npz)})), "[1.0,2.0]") << name;
  for (const char* name : {"b.npy", "b.NPY", "b", "b.npz", "b.safetensors"})
    EXPECT_EQ(values(run_on(identity_of_two, {"@" + write_file(folder / name, one_npy)})), "[1.0,2.0]") << name;
}

TEST_F(ArrayFile, ThatIsExpectedIsToldByItsContentToo) {
  const std::string npz = write_file(folder / "expected", zip_of({{"arr_0.npy", one_npy}}));
  const Outcome outcome = run(identity_of_two, {"--input", "2xf32=1 2", "--expected-output", npz});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out, "out0: as expected\n");
}

TEST_F(ArrayFile, ComesThroughStandardInput) {
  const std::string npz = write_file(folder / "a", zip_of({{"arg0.npy", one_npy}}));
  const std::string plain = write_file(folder / "b", one_npy);
  const std::string command = std::string(PJRT_CLI) + " run " + identity_of_two + " --json --input ";
  for (const std::string& file : {npz, plain}) {
    EXPECT_EQ(values(shell("cat " + file + " | " + command + "@-")), "[1.0,2.0]");
    EXPECT_EQ(values(shell("cat " + file + " | " + command + "@/dev/stdin")), "[1.0,2.0]");
    EXPECT_EQ(values(shell(command + "@- < " + file)), "[1.0,2.0]");
  }
  EXPECT_EQ(values(shell("cat " + plain + " | " + command + "arg0=@-")), "[1.0,2.0]");
}

TEST_F(ArrayFile, ModelComesThroughStandardInput) {
  EXPECT_EQ(values(shell("cat " + identity_of_two + " | " + PJRT_CLI + " run - --json --input '2xf32=1 2'")),
            "[1.0,2.0]");
  EXPECT_TRUE(succeeds(shell("cat " + identity_of_two + " | " + PJRT_CLI + " inspect -")));
}

TEST_F(ArrayFile, StandardInputIsReadOnce) {
  EXPECT_TRUE(fails(shell(std::string(PJRT_CLI) + " run - --input @- < " + identity_of_two), kWrongUsage,
                    {"standard input is given 2 times"}));
}

TEST_F(ArrayFile, MayBeSafetensors) {
  const std::string head =
      R"({"__metadata__":{"format":"np"},"arg1":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"arg0":{"dtype":"BOOL","shape":[2],"data_offsets":[8,10]}})";
  const std::string model = program(
      "func.func @main(%x: tensor<2xi1>, %y: tensor<2xf32>) -> (tensor<2xi1>, tensor<2xf32>) { return %x, %y : "
      "tensor<2xi1>, tensor<2xf32> }");
  const std::string data = bytes_of({5, 6}) + std::string("\x02\x00", 2);
  const Outcome outcome = run_on(model, {"@" + write_file(folder / "weights", safetensors(head, data))});
  EXPECT_EQ(values(outcome, 0), "[true,false]");
  EXPECT_EQ(values(outcome, 1), "[5.0,6.0]");
}

TEST_F(ArrayFile, OfSafetensorsThatDisagreesWithItselfIsRefused) {
  const auto refuses = [&](const std::string& head, const std::string& data, std::string_view why) {
    EXPECT_TRUE(
        fails(run_on(identity_of_two, {"@" + write_file(folder / "w", safetensors(head, data))}), kFailed, {why}));
  };
  refuses(R"({"arg0":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234", "data_offsets do not fit");
  refuses(R"({"arg0":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", "123456789012", "overlap or leave gaps");
  refuses(R"({"arg0":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678x",
          "has 9 bytes of arrays, its head says 8");
  refuses(R"({"arg0":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", "x", "'F4', which is not supported");
  refuses(
      R"({"arg0":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"arg0":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
      "1234", "twice");
}

TEST_F(ArrayFile, ThatIsSomethingElseIsNamed) {
  const auto refuses = [&](const std::string& content, std::string_view what) {
    EXPECT_TRUE(
        fails(run_on(identity_of_two, {"@" + write_file(folder / "x.npy", content)}), kFailed, {"x.npy", what}));
  };
  refuses("", "is empty");
  refuses("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
          "a Git LFS pointer, not a file of arrays");
  refuses("hello", "is not a file of arrays");
  EXPECT_TRUE(fails(run_on(identity_of_two, {"@" + std::string(folder.path())}), kFailed, {"Is a directory"}));
}

TEST_F(ArrayFile, EmptyArchiveIsRefused) {
  EXPECT_TRUE(fails(run_on(identity_of_two, {"@" + write_file(folder / "e.npz", zip_of({}))}), kFailed,
                    {"e.npz", "holds no arrays"}));
}

// numpy.savez(file, x, y) calls its arrays arr_0, arr_1: they are meant in order.

TEST_F(ArrayFile, PositionalArraysOfSavezAreInOrder) {
  const std::string model = program(
      "func.func @main(%x: tensor<2xf32>, %y: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) { return %y, %x : "
      "tensor<2xf32>, tensor<2xf32> }");
  const std::string other = npy_bytes("<f4", "(2,)", bytes_of({3, 4}));
  const std::string in = write_file(folder / "in.npz", zip_of({{"arr_0.npy", one_npy}, {"arr_1.npy", other}}));
  const std::string out = write_file(folder / "out.npz", zip_of({{"arr_0.npy", other}, {"arr_1.npy", one_npy}}));
  const Outcome outcome = run(model, {"--input", "@" + in, "--expected-output", out});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(outcome.out, "out0: as expected\nout1: as expected\n");
}

TEST_F(ArrayFile, PositionalArraysPassOverWhatTheModelDoesNotUse) {  // as inputs without a name do
  const std::string in =
      write_file(folder / "in.npz", zip_of({{"arr_0.npy", npy_bytes("<f4", "(2,)", bytes_of({20, 21}))},
                                            {"arr_1.npy", npy_bytes("<f4", "(2,)", bytes_of({4, 5}))}}));
  EXPECT_EQ(values(run_on(export_file("unused_arguments.jaxexp"), {"@" + in})), "[16.0,16.0]");
}

TEST_F(ArrayFile, PositionalArraysMayCountWhatTheModelDoesNotUse) {
  const Outcome by_position = run_on(
      export_file("unused_arguments.jaxexp"),
      {"@" + write_file(folder / "in.npz", zip_of({{"arr_1.npy", npy_bytes("<f4", "(2,)", bytes_of({20, 21}))},
                                                   {"arr_3.npy", npy_bytes("<f4", "(2,)", bytes_of({4, 5}))}}))});
  EXPECT_EQ(values(by_position), "[16.0,16.0]");
}

// Nothing is read or made that the model does not take.

class HugeInput : public ArrayFile {
 protected:
  /// Refused within the time that a small run takes, by shape.
  void refuses(const std::string& input) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(fails(run(identity_of_two, {"--input", input}), kFailed, {"input arg0", "the model takes f32[2]"}));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  }
};

TEST_F(HugeInput, IsRefusedBeforeItIsFilled) {
  refuses("1000000000000xf32:zeros");
  refuses("99999999999999xf32:random");
  refuses("9223372036854775807x9223372036854775807xf32:ones");
  refuses("arg0=1000000000000xf32=1");
}

TEST_F(HugeInput, IsRefusedByItsHeader) {
  refuses("@" + write_file(folder / "a.npy", npy_bytes("<f4", "(1000000000000,)", "1234")));
  refuses("@" + write_file(folder / "a.npz", zip_of({{"arg0.npy", npy_bytes("<f4", "(1000000000000,)", "1234")}})));
}

TEST_F(HugeInput, OfTooManyDimensionsIsRefused) {
  std::string shape;
  for (int i = 0; i < 1000; ++i) shape += "1x";
  EXPECT_TRUE(fails(run(identity_of_two, {"--input", shape + "f32:zeros"}), kWrongUsage, {"at most 64 dimensions"}));
}

TEST_F(HugeInput, FromADeviceIsRefused) {
  EXPECT_TRUE(fails(run(identity_of_two, {"--input", "@/dev/zero"}), kFailed, {"/dev/zero is not a file of arrays"}));
  EXPECT_TRUE(fails(run(identity_of_two, {"--input", "@/dev/null"}), kFailed, {"/dev/null is empty"}));
}

TEST_F(ArrayFile, BoolsMayBeAnyByteButZero) {
  const std::string file = write_file(folder / "b.npy", npy_bytes("|b1", "(4,)", std::string("\x00\x01\x02\xff", 4)));
  const std::string model = program(R"(func.func @main(%x: tensor<4xi1>) -> tensor<i32> {
    %0 = stablehlo.convert %x : (tensor<4xi1>) -> tensor<4xi32>
    %z = stablehlo.constant dense<0> : tensor<i32>
    %1 = stablehlo.reduce(%0 init: %z) applies stablehlo.add across dimensions = [0] : (tensor<4xi32>, tensor<i32>) -> tensor<i32>
    return %1 : tensor<i32>
  })");
  EXPECT_EQ(values(run_on(model, {"@" + file})), "3");
}

// Names on the command line.

TEST_F(ArrayFile, NamesMayHoldEqualsSignsAndDots) {
  const std::string model = export_file("odd_keys.jaxexp");
  const auto finds = [&](const std::string& name) {
    const Outcome outcome = run_on(model, {name + "=7xf32=1"});  // of the wrong shape, so that the name is told
    EXPECT_TRUE(fails(outcome, kFailed, {"the model takes f32[1]"}));
  };
  finds(R"(args[0]['back\\slash'])");
  finds("back\\slash");
  finds("conv/kernel");
  finds("it's");
  finds(R"(args[0]['it\'s'])");
  finds("['two words']");
  finds("\xc3\xbc");
}

}  // namespace
}  // namespace pjrt::test
