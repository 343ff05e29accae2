// A plugin that loads, and ends the process in PJRT_Plugin_Attributes and PJRT_Client_Create; DYING_PLUGIN says how.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace {

[[gnu::noinline]] int overflow(volatile char* before) {
  volatile char frame[4096];
  frame[0] = before != nullptr ? before[0] : '\0';
  return overflow(frame) + frame[0];
}

void throws() {
  throw std::runtime_error("nobody catches this");
}

void terminates() noexcept {
  throws();
}

void raise_here(int signal) {
  ::raise(signal);
}

void* die(void*) {
  const char* chosen = std::getenv("DYING_PLUGIN");
  const std::string_view how = chosen != nullptr ? chosen : "";
  if (how == "segv") raise_here(SIGSEGV);
  if (how == "null") *static_cast<volatile int*>(nullptr) = 1;
  if (how == "bus") raise_here(SIGBUS);
  if (how == "ill") __builtin_trap();
  if (how == "fpe") raise_here(SIGFPE);
  if (how == "kill") raise_here(SIGKILL);
  if (how == "abort") std::abort();
  if (how == "terminate") terminates();
  if (how == "overflow") (void)overflow(nullptr);
  if (how == "exit") std::exit(7);
  if (how == "exit0") std::exit(0);
  if (how == "quick_exit") std::quick_exit(0);
  if (how == "_exit") ::_exit(0);
  if (how == "thread") std::thread(raise_here, SIGSEGV).join();
  if (how == "handler") {  // of its own, as frameworks install them
    ::signal(SIGABRT, SIG_DFL);
    std::abort();
  }
  if (how == "speak") {
    std::fputs("the plugin \x1b[31mspeaks\x1b[0m\nCheck failed: answer == 42\n", stderr);
    std::abort();
  }
  if (how == "child") {  // one that crashes between fork and exec is the plugin's own affair
    const pid_t pid = ::fork();
    if (pid == 0) std::abort();
    ::waitpid(pid, nullptr, 0);
    const pid_t leaving = ::fork();
    if (leaving == 0) std::exit(3);
    ::waitpid(leaving, nullptr, 0);
    std::abort();
  }
  if (how == "late") std::atexit([] { std::abort(); });
  if (how == "hang") {
    std::fputs("hanging\n", stderr);
    for (;;) ::pause();
  }
  return nullptr;
}

void destroy_error(void*) {}

using Function = void (*)();

struct Table {
  std::size_t struct_size;
  void* extension_start;
  struct {
    std::size_t struct_size;
    void* extension_start;
    int major;
    int minor;
  } version;
  Function functions[138];
};

Table table;

}  // namespace

extern "C" __attribute__((visibility("default"))) const void* GetPjrtApi() {
  table.struct_size = sizeof table;
  table.version = {24, nullptr, 0, 114};
  for (const int i : {0, 1, 2}) table.functions[i] = reinterpret_cast<Function>(destroy_error);  // PJRT_Error_*
  table.functions[4] = reinterpret_cast<Function>(die);                                          // Plugin_Attributes
  table.functions[10] = reinterpret_cast<Function>(die);                                         // Client_Create
  return &table;
}
