// Plugins that are there and cannot be used, as the command reports them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command.hpp"
#include "support/data.hpp"
#include "support/plugins.hpp"

namespace pjrt::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class UnusablePlugin : public ::testing::Test {
 protected:
  Surroundings searched() const { return {.environment = {{"PJRT_PLUGIN_PATH", folder.path().string()}}}; }
  /// The first megabyte of the CPU plugin.
  std::string cut_plugin() const {
    return write_file(folder / "pjrt_plugin_cpu.so", read_all(*plugin_file("cpu")).substr(0, 1 << 20));
  }
  const TemporaryFolder folder;
};

TEST_F(UnusablePlugin, OfTheDefaultNameIsAnErrorAlthoughAnotherIsThere) {
  REQUIRE_PLUGIN("cpu");
  const std::string file = cut_plugin();
  const std::string place = "PJRT_PLUGIN_PATH (" + folder.path().string() + ")";
  EXPECT_TRUE(fails(run_pjrt({"info"}, searched()), kFailed,
                    {file, "the file is cut short", place, "another plugin of that name was not tried"}));
}

TEST_F(UnusablePlugin, IsListedByInfo) {
  REQUIRE_PLUGIN("cpu");
  const std::string file = cut_plugin();
  const Outcome text = run_pjrt({"info", "--plugin", "cpu-0.81"}, searched());
  EXPECT_TRUE(succeeds(text));
  EXPECT_THAT(text.out, HasSubstr("unusable    " + file + ": the file is cut short (PJRT_PLUGIN_PATH ("));
  const Outcome json = run_pjrt({"info", "--json", "--plugin", "cpu-0.81"}, searched());
  EXPECT_TRUE(succeeds(json));
  const auto unusable = nlohmann::json::parse(json.out)["unusable"];
  ASSERT_EQ(unusable.size(), 1u);
  EXPECT_EQ(unusable[0]["path"], file);
  EXPECT_EQ(unusable[0]["problem"], "the file is cut short");
}

TEST_F(UnusablePlugin, ThatIsAFifoIsRefusedAtOnce) {
  const std::string file = (folder / "f.so").string();
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  Surroundings impatient;
  impatient.patience = std::chrono::seconds(10);
  EXPECT_TRUE(fails(run_pjrt({"info", "--plugin", file}, impatient), kFailed, {file, "it is a FIFO"}));
}

TEST_F(UnusablePlugin, DoesNotWriteToTheTerminalByItsName) {
  const std::string file = write_file(folder / "\x1b[31mred.so", "");
  const Outcome outcome = run_pjrt({"info", "--plugin", file});
  EXPECT_TRUE(fails(outcome, kFailed, {"\\x1b[31mred.so cannot be loaded: the file is empty"}));
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos);
}

/// A program with more rights than the user who runs it: here, root runs a program of nobody's.
TEST_F(UnusablePlugin, VariablesAreIgnoredUnderSetuid) {
  struct statvfs system{};
  ASSERT_EQ(::statvfs(folder.path().c_str(), &system), 0);
  const fs::path program = folder / "pjrt";
  fs::copy_file(PJRT_CLI, program);
  if (::geteuid() != 0 || (system.f_flag & ST_NOSUID) != 0 || ::chown(program.c_str(), 65534, 65534) != 0 ||
      ::chmod(program.c_str(), 04755) != 0)
    GTEST_SKIP() << "takes root, and a file system that allows setuid";
  Surroundings surroundings;
  surroundings.environment = {{"PJRT_PLUGIN", "/nowhere/x.so"},
                              {"PJRT_NAMES_AND_LIBRARY_PATHS", "cpu:/nowhere/x.so"},
                              {"PJRT_PLUGIN_PATH", "/nowhere"},
                              {"HOME", "/nowhere"}};
  EXPECT_TRUE(fails(run_program(program, {"info", "--plugin", "abacus"}, surroundings), kFailed,
                    {"no plugin named 'abacus' was found", "PJRT_PLUGIN: not set",
                     "PJRT_NAMES_AND_LIBRARY_PATHS: not set", "PJRT_PLUGIN_PATH: not set"}));
}

}  // namespace
}  // namespace pjrt::test
