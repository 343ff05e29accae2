// A plugin that ends the process: the last line says which plugin, which call and how; with --isolate it is the only
// one, and the exit status is 1.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "cli/run_fixture.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKIP_IF_SANITIZED() GTEST_SKIP() << "sanitizers report crashes themselves"
#else
#define SKIP_IF_SANITIZED() (void)0
#endif

namespace pjrt::test {
namespace {

const std::string kPlugin = std::string(PJRT_ODD_PLUGINS) + "/dying.so";

Outcome devices(const std::string& how, std::vector<std::string> options = {}, const std::string& plugin = kPlugin) {
  options.insert(options.begin(), {"devices", "--plugin", plugin});
  return run_pjrt(options, {.environment = {{"DYING_PLUGIN", how}}});
}

::testing::AssertionResult says(const Outcome& outcome, std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts) {
    if (outcome.err.find(text) == std::string::npos)
      return ::testing::AssertionFailure() << "'" << text << "' is not in: " << ::testing::PrintToString(outcome);
  }
  return ::testing::AssertionSuccess();
}

std::ptrdiff_t lines(const std::string& text) {
  return std::ranges::count(text, '\n');
}

struct Death {
  const char* how;
  int signal;
  const char* name;
  bool speaks = false;  // the C++ library does, of an exception
};

void PrintTo(const Death& death, std::ostream* out) {
  *out << death.how;
}

class DeathBySignal : public ::testing::TestWithParam<Death> {
 protected:
  void SetUp() override { SKIP_IF_SANITIZED(); }
};

INSTANTIATE_TEST_SUITE_P(All, DeathBySignal,
                         ::testing::Values(Death{"segv", SIGSEGV, "SIGSEGV"}, Death{"null", SIGSEGV, "SIGSEGV"},
                                           Death{"overflow", SIGSEGV, "SIGSEGV"}, Death{"bus", SIGBUS, "SIGBUS"},
                                           Death{"ill", SIGILL, "SIGILL"}, Death{"fpe", SIGFPE, "SIGFPE"},
                                           Death{"abort", SIGABRT, "SIGABRT"},
                                           Death{"terminate", SIGABRT, "SIGABRT", true}),
                         [](const auto& info) { return info.param.how; });

TEST_P(DeathBySignal, NamesThePluginTheCallAndTheSignalAndKeepsTheSignal) {
  const Outcome outcome = devices(GetParam().how);
  EXPECT_EQ(outcome.signal, GetParam().signal);
  EXPECT_TRUE(outcome.out.empty());
  EXPECT_TRUE(says(
      outcome, {"pjrt devices: plugin ", "dying.so crashed in PJRT_Client_Create (", GetParam().name, "--isolate"}));
  if (!GetParam().speaks) {
    EXPECT_EQ(lines(outcome.err), 1) << outcome.err;
  }
}

TEST_P(DeathBySignal, IsExitStatusOneAndOneLineWhenIsolated) {
  EXPECT_TRUE(fails(devices(GetParam().how, {"--isolate"}), kFailed,
                    {"pjrt devices: plugin ", "dying.so crashed in PJRT_Client_Create (", GetParam().name}));
}

TEST(Death, OfInfoNamesItsCall) {
  SKIP_IF_SANITIZED();
  const Outcome outcome = run_pjrt({"info", "--plugin", kPlugin}, {.environment = {{"DYING_PLUGIN", "null"}}});
  EXPECT_EQ(outcome.signal, SIGSEGV);
  EXPECT_TRUE(says(outcome, {"pjrt info: plugin ", "crashed in PJRT_Plugin_Attributes"}));
}

TEST(Death, InAThreadOfThePluginNamesTheCallThatRan) {
  SKIP_IF_SANITIZED();
  const Outcome outcome = devices("thread");
  EXPECT_EQ(outcome.signal, SIGSEGV);
  EXPECT_TRUE(says(outcome, {"crashed in a thread of its own, while PJRT_Client_Create ran (SIGSEGV"}));
  EXPECT_TRUE(fails(devices("thread", {"--isolate"}), kFailed, {"while PJRT_Client_Create ran (SIGSEGV"}));
}

TEST(Death, OfAChildOfThePluginIsNotReported) {
  SKIP_IF_SANITIZED();
  const Outcome outcome = devices("child");
  EXPECT_EQ(outcome.signal, SIGABRT);
  EXPECT_EQ(lines(outcome.err), 1) << outcome.err;
}

// What a plugin printed while the terminal was kept clear of it is what explains its end.
TEST(Death, ShowsWhatWasPrintedWhileStderrWasSilenced) {
  SKIP_IF_SANITIZED();
  const TemporaryFolder folder;
  const std::string model = write_file(folder / "model.mlir", identity("2xf32"));
  const std::vector<std::string> arguments = {"compile", model, "--plugin", kPlugin};
  const Surroundings speaks{.environment = {{"DYING_PLUGIN", "speak"}}};
  const Outcome outcome = run_pjrt(arguments, speaks);
  EXPECT_EQ(outcome.signal, SIGABRT);
  EXPECT_TRUE(outcome.err.starts_with("pjrt compile: plugin ")) << outcome.err;
  EXPECT_TRUE(outcome.err.ends_with("\nCheck failed: answer == 42\n")) << outcome.err;
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos) << "control characters reach the terminal";

  std::vector<std::string> isolated = arguments;
  isolated.push_back("--isolate");
  EXPECT_TRUE(
      fails(run_pjrt(isolated, speaks), kFailed, {"crashed in PJRT_Client_Create", "-v shows what it printed"}));
  isolated.push_back("-v");
  const Outcome verbose = run_pjrt(isolated, speaks);
  EXPECT_EQ(verbose.status, kFailed);
  EXPECT_TRUE(says(verbose, {"Check failed: answer == 42\n", "crashed in PJRT_Client_Create"}));
}

class DeathByExit : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, DeathByExit, ::testing::Values("exit", "exit0", "quick_exit"),
                         [](const auto& info) { return info.param; });

TEST_P(DeathByExit, IsAFailureThatNamesTheCall) {
  for (const std::vector<std::string>& options : {std::vector<std::string>{}, {"--isolate"}}) {
    EXPECT_TRUE(fails(devices(GetParam(), options), kFailed,
                      {"plugin ", "dying.so ended the process in PJRT_Client_Create (exit)"}));
  }
}

// No handler runs for these: what is known lies in memory that both processes share.
TEST(Death, ThatLeavesNoTimeForAWordIsTheParentsToTell) {
  EXPECT_TRUE(fails(devices("_exit", {"--isolate"}), kFailed, {"dying.so ended the process in PJRT_Client_Create"}));
  EXPECT_TRUE(
      fails(devices("kill", {"--isolate"}), kFailed, {"dying.so was killed in PJRT_Client_Create (SIGKILL", "memory"}));
  EXPECT_TRUE(fails(devices("handler", {"--isolate"}), kFailed, {"crashed in PJRT_Client_Create (SIGABRT"}));
}

// The work was done by then.
TEST(Death, AtTheEndOfTheProcessKeepsTheOutput) {
  SKIP_IF_SANITIZED();
  for (const bool isolate : {false, true}) {
    std::vector<std::string> arguments = {"info", "--plugin", kPlugin};
    if (isolate) arguments.push_back("--isolate");
    const Outcome outcome = run_pjrt(arguments, {.environment = {{"DYING_PLUGIN", "late"}}});
    if (isolate) {
      EXPECT_EQ(outcome.status, kFailed);
    } else {
      EXPECT_EQ(outcome.signal, SIGABRT);
    }
    EXPECT_NE(outcome.out.find("API         0.114"), std::string::npos) << outcome.out;
    EXPECT_TRUE(says(outcome, {"the process crashed at its end, outside of any call of plugin ",
                               "the last one was PJRT_Plugin_Attributes (SIGABRT"}));
    EXPECT_EQ(lines(outcome.err), 1) << outcome.err;
  }
}

TEST(Death, LeavesNoOutputFile) {
  const TemporaryFolder folder;
  const std::string model = write_file(folder / "model.mlir", identity("2xf32"));
  const std::string file = folder / "model.exe";
  const Outcome outcome = run_pjrt({"compile", model, "--plugin", kPlugin, "-o", file, "--isolate"},
                                   {.environment = {{"DYING_PLUGIN", "kill"}}});
  EXPECT_TRUE(fails(outcome, kFailed, {"was killed in PJRT_Client_Create"}));
  EXPECT_FALSE(std::filesystem::exists(file));
}

// What does not crash is as without --isolate.

class Isolated : public RunTest {};

TEST_F(Isolated, PassesOutputAndStatusOn) {
  const std::string model = program(identity("2xf32"));
  const Outcome plain = run(model, {"--input", "2xf32=1 2"});
  EXPECT_TRUE(succeeds(plain));
  const Outcome isolated = run(model, {"--input", "2xf32=1 2", "--isolate"});
  EXPECT_TRUE(succeeds(isolated));
  EXPECT_EQ(isolated.out, plain.out);

  EXPECT_TRUE(fails(run(model, {"--input", "3xf32=1 2 3", "--isolate"}), kFailed, {"pjrt run: input arg0"}));
  EXPECT_TRUE(fails(run(model, {"--input", "x", "--isolate"}), kWrongUsage, {"pjrt run: --input 'x'"}));
}

TEST_F(Isolated, PassesTheStatusOfOutputsThatDiffer) {
  const std::string model = program(identity("2xf32"));
  const std::string expected = folder / "expected.npz";
  EXPECT_TRUE(succeeds(run(model, {"--input", "2xf32=1 2", "--output", expected, "--isolate"})));
  const Outcome same = run(model, {"--input", "2xf32=1 2", "--expected-output", expected, "--isolate"});
  EXPECT_TRUE(succeeds(same));
  const Outcome differs = run(model, {"--input", "2xf32=1 3", "--expected-output", expected, "--isolate"});
  EXPECT_EQ(differs.status, kDiffers);
  EXPECT_NE(differs.out.find("1 of 2 elements differ"), std::string::npos) << differs.out;
}

TEST_F(Isolated, ReadsStandardInput) {
  const std::string model = program(identity("2xf32"));
  const Outcome outcome =
      run_program("/bin/sh", {"-c", "cat '" + model + "' | '" PJRT_CLI "' inspect --isolate /dev/stdin"});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_NE(outcome.out.find("StableHLO"), std::string::npos) << outcome.out;
}

TEST_F(Isolated, FailsIfItsOutputCannotBeWritten) {
  const Outcome outcome =
      run(program(identity("2xf32")), {"--input", "2xf32=1 2", "--isolate"}, {.standard_output = StandardOutput::Full});
  EXPECT_TRUE(fails(outcome, kFailed, {"cannot write to standard output"}));
}

/// Processes whose command line has `text` in it.
std::vector<std::string> processes_with(const std::string& text) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    const std::string line((std::istreambuf_iterator<char>(file)), {});
    const bool is_ours = entry.path().filename() == std::to_string(::getpid());
    if (!is_ours && line.find(text) != std::string::npos) found.push_back(entry.path().filename());
  }
  return found;
}

class EndedFromOutside : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, EndedFromOutside, ::testing::Values("TERM", "HUP", "KILL"),
                         [](const auto& info) { return info.param; });

// The parent ends as if it had worked by itself, and the child goes with it.
TEST_P(EndedFromOutside, EndsBothProcesses) {
  const TemporaryFolder folder;
  const std::string plugin = folder / "hanging.so";  // a name to find the processes by
  std::filesystem::create_symlink(kPlugin, plugin);
  const std::string script = "'" PJRT_CLI "' devices -v --isolate --plugin '" + plugin + "' 2>'" +
                             std::string(folder / "err") +
                             "' & p=$!\n"
                             "until grep -q hanging '" +
                             std::string(folder / "err") +
                             "'; do sleep 0.05; done\n"
                             "kill -" +
                             GetParam() +
                             " $p\n"
                             "wait $p\n"
                             "echo $?\n";
  const std::string file = write_file(folder / "script", script);
  const Outcome outcome = run_program("/bin/sh", {file}, {.environment = {{"DYING_PLUGIN", "hang"}}});
  const int number = GetParam() == "TERM" ? SIGTERM : GetParam() == "HUP" ? SIGHUP : SIGKILL;
  EXPECT_EQ(outcome.out, std::to_string(128 + number) + "\n") << outcome.err;
  for (int i = 0; i < 100 && !processes_with(plugin).empty(); ++i) ::usleep(50'000);  // the kernel ends it
  EXPECT_TRUE(processes_with(plugin).empty());
}

}  // namespace
}  // namespace pjrt::test
