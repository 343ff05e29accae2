#pragma once

#include <cstdint>

/// The library's own threads, on which users' callbacks run: plugins lend theirs for callbacks, and a callback that
/// blocks there stops transfers (CPU) or hangs for ever (CUDA).
namespace pjrt::detail {

/// Something to run once. Allocated by who posts it, so that posting needs no memory for it; `run` frees it.
struct Job {
  void (*run)(Job* job) noexcept = nullptr;
  Job* next = nullptr;
};

/// Runs jobs in the order of posting, each on one of a few threads that are started when they are first needed. While
/// every thread is blocked inside a job, more are started, up to `kMostThreads`; then jobs wait. Threads that have
/// nothing to do for a while end, but for one, and the one that watches for blocked ones. A forked child gets threads
/// of its own.
class Dispatcher {
 public:
  /// Started at once when they are needed; further ones only when no job was begun for `kStuck`.
  static constexpr int kUsualThreads = 4;
  static constexpr int kMostThreads = 256;

  /// Takes the job over. Runs it on this thread if no thread can be started at all.
  static void post(Job* job) noexcept;
};

}  // namespace pjrt::detail
