#include "isolate.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <new>
#include <optional>

#include "command.hpp"
#include "quiet.hpp"

namespace pjrt::cli {
namespace {

constexpr int kEndings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

std::atomic<pid_t> child{0};
std::atomic<int> asked_to_end{0};

/// The first time the child may end as it likes, the second time it is ended.
void hand_on(int signal) {
  const int error = errno;
  ::kill(child, asked_to_end.exchange(signal) == 0 ? signal : SIGKILL);
  errno = error;
}

/// While it lives, signals that ask the process to end go to the child.
class SignalsGoToChild {
 public:
  SignalsGoToChild() {
    ::sigemptyset(&set_);
    for (const int signal : kEndings) ::sigaddset(&set_, signal);
    ::sigprocmask(SIG_BLOCK, &set_, &before_);  // until there is a child
  }
  ~SignalsGoToChild() { end(); }
  SignalsGoToChild(const SignalsGoToChild&) = delete;
  SignalsGoToChild& operator=(const SignalsGoToChild&) = delete;

  void begin(pid_t pid) {
    child = pid;
    struct sigaction action{};
    action.sa_handler = hand_on;
    ::sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < actions_.size(); ++i) {
      struct sigaction before{};
      ::sigaction(kEndings[i], nullptr, &before);
      if (before.sa_handler == SIG_IGN) continue;  // nohup
      actions_[i] = before;
      ::sigaction(kEndings[i], &action, nullptr);
    }
    unblock();
  }
  void end() {
    for (std::size_t i = 0; i < actions_.size(); ++i) {
      if (actions_[i]) ::sigaction(kEndings[i], &*actions_[i], nullptr);
      actions_[i].reset();
    }
  }
  void unblock() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t set_;
  sigset_t before_;
  std::array<std::optional<struct sigaction>, std::size(kEndings)> actions_;
};

/// Writes the whole file to `to`.
bool copy_file(int file, int to) {
  if (file < 0 || ::lseek(file, 0, SEEK_SET) != 0) return file < 0;
  std::array<char, 65536> chunk;
  for (;;) {
    const ssize_t n = ::read(file, chunk.data(), chunk.size());
    if (n <= 0) return n == 0;
    if (!write_all(to, chunk.data(), static_cast<std::size_t>(n))) return false;
  }
}

int cannot_isolate(const std::string& command, const char* what) {
  std::cerr << command << ": --isolate: " << what << ": " << std::strerror(errno) << "\n";
  return kFailed;
}

}  // namespace

int run_isolated(const std::string& command, bool verbose, const std::function<int(CrashRecord*)>& work) {
  void* shared = ::mmap(nullptr, sizeof(CrashRecord), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return cannot_isolate(command, "cannot share memory with a child process");
  auto* const record = new (shared) CrashRecord;
  const int out = nameless_file("stdout");
  const int err = verbose ? -1 : nameless_file("stderr");
  if (out < 0 || (!verbose && err < 0)) return cannot_isolate(command, "cannot keep the output of a child process");

  std::signal(SIGCHLD, SIG_DFL);  // ignored, it would leave nothing to wait for
  SignalsGoToChild signals;
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    signals.unblock();
    return cannot_isolate(command, "cannot start a child process");
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(kFailed);
    signals.unblock();
    ::dup2(out, STDOUT_FILENO);
    if (err >= 0) ::dup2(err, STDERR_FILENO);
    return work(record);
  }

  signals.begin(pid);
  int ended = 0;
  while (::waitpid(pid, &ended, 0) < 0) {
    if (errno != EINTR) return cannot_isolate(command, "cannot wait for the child process");
  }
  signals.end();
  if (const int signal = asked_to_end; signal != 0 && WIFSIGNALED(ended)) {  // as if there had been no child
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  if (record->done) {  // a plugin that crashes when the process ends does so after the work
    (void)copy_file(err, STDERR_FILENO);
    const bool is_written = copy_file(out, STDOUT_FILENO);
    if (!is_written) std::cerr << command << ": cannot write to standard output\n";
    if (WIFEXITED(ended)) return is_written ? WEXITSTATUS(ended) : kFailed;
  }
  if (record->line[0] == '\0') write_crash_line(*record, {.signal = WIFSIGNALED(ended) ? WTERMSIG(ended) : 0});
  const bool has_words = !record->done && err >= 0 && ::lseek(err, 0, SEEK_END) > 0;
  std::cerr << command << ": " << record->line.data() << (has_words ? "; -v shows what it printed" : "") << "\n";
  return kFailed;
}

}  // namespace pjrt::cli
