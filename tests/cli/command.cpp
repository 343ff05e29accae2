#include "cli/command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <system_error>

extern char** environ;

namespace pjrt::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  }
  ~Pipe() {
    close_reader();
    close_writer();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reader() const { return ends[0]; }
  int writer() const { return ends[1]; }
  void close_reader() { close(ends[0]); }
  void close_writer() { close(ends[1]); }

 private:
  static void close(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  std::array<int, 2> ends{-1, -1};
};

/// The environment of this process without what would lead `pjrt` to other plugins or change what it says.
std::vector<std::string> environment_of(const Surroundings& surroundings) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    const std::size_t equals = text.find('=');
    variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  std::erase_if(variables, [](const auto& v) {
    const std::string& name = v.first;
    return name.starts_with("PJRT_") || name.starts_with("TF_CPP_") || name.starts_with("TPU_") || name == "HOME" ||
           name == "XDG_DATA_HOME" || name == "VIRTUAL_ENV" || name == "CONDA_PREFIX" || name == "PYTHONPATH" ||
           name == "XLA_FLAGS";
  });
  for (const auto& [name, value] : surroundings.environment) variables[name] = value;
  std::vector<std::string> entries;
  for (const auto& [name, value] : variables) entries.push_back(name + "=" + value);
  return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

/// Reads both ends until they are closed or time is up.
bool read_both(int out, int err, Outcome& outcome, Clock::time_point deadline) {
  std::array<pollfd, 2> ends{{{out, POLLIN, 0}, {err, POLLIN, 0}}};
  const std::array<std::string*, 2> texts{&outcome.out, &outcome.err};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    if (::poll(ends.data(), ends.size(), static_cast<int>(left)) <= 0) continue;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      std::array<char, 65536> chunk;
      const ssize_t n = ::read(ends[i].fd, chunk.data(), chunk.size());
      if (n > 0) {
        texts[i]->append(chunk.data(), static_cast<std::size_t>(n));
      } else {
        ends[i].fd = -1;
      }
    }
  }
  return true;
}

}  // namespace

Outcome run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                    const Surroundings& surroundings) {
  Pipe out;
  Pipe err;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addchdir_np(&actions, surroundings.folder.c_str());
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, err.writer(), STDERR_FILENO);
  switch (surroundings.standard_output) {
    case StandardOutput::BrokenPipe:
      out.close_reader();
      [[fallthrough]];
    case StandardOutput::Captured:
      ::posix_spawn_file_actions_adddup2(&actions, out.writer(), STDOUT_FILENO);
      break;
    case StandardOutput::Closed:
      ::posix_spawn_file_actions_addclose(&actions, STDOUT_FILENO);
      break;
    case StandardOutput::Full:
      ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/full", O_WRONLY, 0);
      break;
  }
  posix_spawnattr_t attributes;  // the signals as a shell leaves them
  ::posix_spawnattr_init(&attributes);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::posix_spawnattr_setsigmask(&attributes, &signals);
  ::sigaddset(&signals, SIGPIPE);
  ::posix_spawnattr_setsigdefault(&attributes, &signals);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);

  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment_of(surroundings);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, program.c_str(), &actions, &attributes, pointers(words).data(), pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) throw std::system_error(error, std::generic_category(), program.string());
  out.close_writer();
  err.close_writer();

  Outcome outcome;
  outcome.timed_out = !read_both(out.reader(), err.reader(), outcome, Clock::now() + surroundings.patience);
  if (outcome.timed_out) ::kill(pid, SIGKILL);
  int ended = 0;
  while (::waitpid(pid, &ended, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(ended)) outcome.status = WEXITSTATUS(ended);
  if (WIFSIGNALED(ended)) outcome.signal = WTERMSIG(ended);
  return outcome;
}

Outcome run_pjrt(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  return run_program(PJRT_CLI, arguments, surroundings);
}

void PrintTo(const Outcome& outcome, std::ostream* to) {
  if (outcome.timed_out) *to << "it took too long; ";
  if (outcome.signal != 0) *to << "signal " << outcome.signal;
  if (outcome.signal == 0) *to << "exit status " << outcome.status;
  *to << "\nstandard output:\n"
      << outcome.out.substr(0, 4000) << "\nstandard error:\n"
      << outcome.err.substr(0, 4000) << "\n";
}

::testing::AssertionResult succeeds(const Outcome& outcome) {
  if (outcome.status == 0 && outcome.err.empty()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "expected success and silence, got " << ::testing::PrintToString(outcome);
}

::testing::AssertionResult fails(const Outcome& outcome, int status, std::initializer_list<std::string_view> texts) {
  const auto failure = [&](std::string_view expected) {
    return ::testing::AssertionFailure() << "expected " << expected << ", got " << ::testing::PrintToString(outcome);
  };
  if (outcome.status != status) return failure("exit status " + std::to_string(status));
  if (!outcome.out.empty()) return failure("nothing on standard output");
  if (std::ranges::count(outcome.err, '\n') != 1 || !outcome.err.ends_with('\n'))
    return failure("one line on standard error");
  if (!outcome.err.starts_with("pjrt")) return failure("a line that names the command first");
  for (const std::string_view text : texts) {
    if (outcome.err.find(text) == std::string::npos) return failure("'" + std::string(text) + "' in that line");
  }
  return ::testing::AssertionSuccess();
}

std::string identity(std::string_view type) {
  const std::string tensor = "tensor<" + std::string(type) + ">";
  return "func.func @main(%x: " + tensor + ") -> " + tensor + " { return %x : " + tensor + " }";
}

std::string write_file(const std::filesystem::path& path, std::string_view contents) {
  std::ofstream file(path, std::ios::binary);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
  return path.string();
}

std::string test_name(std::string_view text) {
  std::string name(text);
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

}  // namespace pjrt::test
