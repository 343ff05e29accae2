#include "crash_report.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "command.hpp"
#include "quiet.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PJRT_OTHERS_REPORT_CRASHES 1  // sanitizers do, and say more
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define PJRT_OTHERS_REPORT_CRASHES 1
#endif
#endif

namespace pjrt::cli {
namespace {

struct Fatal {
  int signal;
  const char* text;
};
constexpr Fatal kFatal[] = {{SIGSEGV, "SIGSEGV, invalid memory access"},
                            {SIGBUS, "SIGBUS, memory that is not there"},
                            {SIGILL, "SIGILL, illegal instruction"},
                            {SIGFPE, "SIGFPE, arithmetic fault"},
                            {SIGABRT, "SIGABRT, abort"},
                            {SIGSYS, "SIGSYS, forbidden system call"},
                            {SIGTRAP, "SIGTRAP, trap"}};

bool is_plain(char c) noexcept {
  return c >= 0x20 && c < 0x7f;
}

/// A text in memory of its own that nothing outgrows; made without the heap.
class Line {
 public:
  Line(char* to, std::size_t size) noexcept : at_(to), end_(to + size - 1) { *at_ = '\0'; }

  /// What is not plain ASCII, such as a control character in the name of a file, becomes '?'.
  Line& operator<<(const char* text) noexcept {
    for (; *text != '\0' && at_ != end_; ++text) *at_++ = is_plain(*text) ? *text : '?';
    *at_ = '\0';
    return *this;
  }
  Line& operator<<(int number) noexcept {
    char digits[12];
    char* d = digits + sizeof digits - 1;
    *d = '\0';
    unsigned n = number < 0 ? 0 : static_cast<unsigned>(number);
    do {
      *--d = static_cast<char>('0' + n % 10);
    } while ((n /= 10) != 0);
    return *this << d;
  }

 private:
  char* at_;
  char* const end_;
};

// What the handlers need, in static memory.
CrashRecord own_record;
CrashRecord* record_in_use = nullptr;
std::atomic<pid_t> process{0};
bool has_parent = false;
std::array<char, 64> command_name{};
alignas(64) std::array<char, 128 << 10> stack;  // the faulting one may be full
std::atomic<int> reporter{0};                   // the thread that reports

int this_thread() noexcept {
  return static_cast<int>(::syscall(SYS_gettid));
}

/// Whether this thread is the first to report.
bool takes_the_report() noexcept {
  int nobody = 0;
  return reporter.compare_exchange_strong(nobody, this_thread());
}

/// The last lines of a file, on `to`; what is not plain ASCII becomes '?'.
void show_end(int file, int to) noexcept {
  static std::array<char, 4096> text;
  const off_t size = ::lseek(file, 0, SEEK_END);
  if (size <= 0) return;
  const off_t from = std::max<off_t>(0, size - static_cast<off_t>(text.size()));
  const ssize_t n = ::pread(file, text.data(), text.size(), from);
  if (n <= 0) return;
  char* begin = text.data();
  char* const end = begin + n;
  if (char* const line = std::find(begin, end, '\n'); from > 0 && line != end) begin = line + 1;  // not half a line
  std::replace_if(begin, end, [](char c) { return !is_plain(c) && c != '\n' && c != '\t'; }, '?');
  (void)write_all(to, begin, static_cast<std::size_t>(end - begin));
  if (begin != end && end[-1] != '\n') (void)write_all(to, "\n", 1);
}

/// Tells the parent process, or the user.
void report(Ending ending) noexcept {
  write_crash_line(*record_in_use, ending);
  const int words = silenced_text();
  const int to = visible_stderr();
  if (!has_parent) {
    static std::array<char, 2048> text;
    Line line(text.data(), text.size());
    line << command_name.data() << ": " << record_in_use->line.data();
    if (ending.signal != 0) line << "; with --isolate a crash ends with exit status 1";
    (void)write_all(to, text.data(), std::strlen(text.data()));
    (void)write_all(to, "\n", 1);
  }
  if (words >= 0) show_end(words, to);
}

/// Between fork and exec a plugin's child is a copy of this process; what becomes of it is not ours to tell.
bool is_this_process() noexcept {
  return ::getpid() == process.load();
}

void on_fatal_signal(int signal) {
  if (is_this_process()) {
    if (takes_the_report()) {
      report({signal, this_thread()});
    } else if (reporter != this_thread()) {  // another thread is at it, and ends the process
      for (;;) ::pause();
    }
  }
  std::signal(signal, SIG_DFL);
  ::syscall(SYS_tgkill, ::getpid(), this_thread(), signal);  // takes effect when the handler returns
}

void on_exit() {
  if (!is_this_process() || record_in_use->done || !takes_the_report()) return;
  report({0, this_thread()});
  ::_exit(kFailed);  // whatever status the plugin had in mind, the work was not done
}

}  // namespace

void write_crash_line(CrashRecord& record, Ending ending) noexcept {
  const detail::RunningCalls& calls = record.calls;
  const detail::RunningCalls::Call* own = nullptr;
  const detail::RunningCalls::Call* any = nullptr;
  for (const detail::RunningCalls::Call& call : calls.calls) {
    if (call.thread == 0 || call.function.load() == nullptr) continue;
    if (call.thread == ending.thread) own = &call;
    if (any == nullptr) any = &call;
  }
  const char* verb = ending.signal == 0 ? "ended the process" : ending.signal == SIGKILL ? "was killed" : "crashed";
  Line line(record.line.data(), record.line.size());
  if (own != nullptr || (any != nullptr && ending.thread == 0)) {
    const detail::RunningCalls::Call& call = own != nullptr ? *own : *any;
    line << "plugin " << call.plugin.data() << " " << verb << " in " << call.function.load();
  } else if (any != nullptr) {
    line << "plugin " << any->plugin.data() << " " << verb << " in a thread of its own, while " << any->function.load()
         << " ran";
  } else if (const char* last = calls.last.load(); last != nullptr) {
    line << "the process " << (ending.signal == 0 ? "ended" : verb) << (record.done ? " at its end" : "")
         << ", outside of any call of plugin " << calls.last_plugin.data() << "; the last one was " << last;
  } else {
    line << "the process " << (ending.signal == 0 ? "ended" : verb) << " before any call of a plugin";
  }
  if (ending.signal == 0) {
    line << " (exit)";
    return;
  }
  const auto* fatal = std::ranges::find(kFatal, ending.signal, &Fatal::signal);
  line << " (";
  if (fatal != std::end(kFatal)) {
    line << fatal->text;
  } else if (ending.signal == SIGKILL) {
    line << "SIGKILL; memory may have run out";
  } else {
    line << "signal " << ending.signal;
  }
  line << ")";
}

void report_crashes(std::string_view command, CrashRecord* record) {
  command.copy(command_name.data(), command_name.size() - 1);
  has_parent = record != nullptr;
  record_in_use = has_parent ? record : &own_record;
  process = ::getpid();
  std::atexit(on_exit);
  std::at_quick_exit(on_exit);
  detail::watch_calls(&record_in_use->calls);
  renew_crash_report();
}

void renew_crash_report() noexcept {
#ifndef PJRT_OTHERS_REPORT_CRASHES
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action{};
  action.sa_handler = on_fatal_signal;
  action.sa_flags = SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  for (const Fatal& fatal : kFatal) ::sigaction(fatal.signal, &action, nullptr);
#endif
}

void end_crash_report() noexcept {
  record_in_use->done = true;
}

}  // namespace pjrt::cli
