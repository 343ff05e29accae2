// Output that cannot be written: exit status 1, and nothing is left half written.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

class UnwritableOutput : public RunTest {
 protected:
  Outcome write_to(const std::string& file) const {
    return run_on(program(identity("2xf32")), {"2xf32=1"}, {"--output", file});
  }
};

TEST_F(UnwritableOutput, OnAFullDevice) {
  EXPECT_TRUE(fails(write_to("/dev/full"), kFailed, {"cannot write /dev/full", "No space left on device"}));
}

TEST_F(UnwritableOutput, InAFolderThatIsNotThere) {
  for (const char* file : {"/nowhere/out.npz", "/nowhere/out.npy", "/nowhere/folder/"})
    EXPECT_TRUE(fails(write_to(file), kFailed, {"cannot write", "/nowhere"})) << file;
}

TEST_F(UnwritableOutput, InAFolderThatTakesNoFiles) {
  EXPECT_TRUE(fails(write_to("/proc/out.npz"), kFailed, {"cannot write /proc/out.npz"}));
}

TEST_F(UnwritableOutput, UnderAFile) {
  const std::string file = write_file(folder / "file", "text");
  EXPECT_TRUE(fails(write_to(file + "/out.npy"), kFailed, {"cannot write"}));
  EXPECT_EQ(read_all(file), "text");
}

TEST_F(UnwritableOutput, InAFolderThatMayNotBeWritten) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const std::filesystem::path closed = folder / "closed";
  std::filesystem::create_directory(closed);
  ::chmod(closed.c_str(), 0500);
  EXPECT_TRUE(fails(write_to(closed / "out.npy"), kFailed, {"out.npy", "Permission denied"}));
}

// The terminal's place taken by what takes nothing.

struct Command {
  const char* name;
  std::vector<std::string> arguments;
};

void PrintTo(const Command& command, std::ostream* out) {
  *out << command.name;
}

class UnwritableTerminal : public ::testing::TestWithParam<std::tuple<StandardOutput, Command>> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cpu"); }
};

const char* const kEnds[] = {"captured", "closed", "full", "broken_pipe"};
const std::vector<std::string> kRun = {"run", export_file("scalars.jaxexp"), "--input",
                                       "@" + export_file("scalars.inputs.npz")};

INSTANTIATE_TEST_SUITE_P(
    Of, UnwritableTerminal,
    ::testing::Combine(::testing::Values(StandardOutput::Full, StandardOutput::Closed, StandardOutput::BrokenPipe),
                       ::testing::Values(Command{"run", kRun},
                                         Command{"run_json", {kRun[0], kRun[1], kRun[2], kRun[3], "--json"}},
                                         Command{"comparison",
                                                 {kRun[0], kRun[1], kRun[2], kRun[3], "--expected-output",
                                                  export_file("scalars.outputs.npz")}},
                                         Command{"inspect", {"inspect", export_file("donated.jaxexp")}},
                                         Command{"info", {"info", "--json"}}, Command{"devices", {"devices"}},
                                         Command{"help", {"--help"}}, Command{"version", {"--version"}})),
    [](const auto& info) {
      return std::string(std::get<1>(info.param).name) + "_to_" + kEnds[static_cast<int>(std::get<0>(info.param))];
    });

TEST_P(UnwritableTerminal, FailsSayingSo) {
  const auto& [end, command] = GetParam();
  EXPECT_TRUE(
      fails(run_pjrt(command.arguments, {.standard_output = end}), kFailed, {"cannot write to standard output"}));
}

TEST(ClosedTerminal, DoesNotMixTextIntoFiles) {
  REQUIRE_PLUGIN("cpu");
  const TemporaryFolder folder;
  const std::string file = folder / "out.npy";
  std::vector<std::string> arguments = {
      "run", write_file(folder / "model.mlir", identity("2xf32")), "--input", "2xf32=1", "--output", file};
  run_pjrt(arguments, {.standard_output = StandardOutput::Closed});
  EXPECT_EQ(read_all(file).size(), 128u + 8u);  // numpy's header and two floats
}

}  // namespace
}  // namespace pjrt::test
