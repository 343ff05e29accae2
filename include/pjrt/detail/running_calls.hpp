#pragma once

#include <array>
#include <atomic>

#include "pjrt/export.hpp"

namespace pjrt::detail {

/// The calls of plugins that the threads of a process are in, for reports of crashes.
///
/// A signal handler may read a table, and so may another process that shares the memory it lies in: it holds the
/// plugin's path as text, and function names as pointers to constants of the library.
struct RunningCalls {
  struct Call {
    /// The kernel's id of the thread; 0 if the entry is free.
    std::atomic<int> thread{0};
    /// The innermost function that the thread is in.
    std::atomic<const char*> function{nullptr};
    /// The plugin's file, cut to fit.
    std::array<char, 496> plugin{};
  };
  std::array<Call, 64> calls;
  /// The function that returned last, in any thread.
  std::atomic<const char*> last{nullptr};
  /// The plugin that was called last.
  std::array<char, 496> last_plugin{};
  /// Whether a thread is writing that.
  std::atomic_flag is_busy = ATOMIC_FLAG_INIT;
};

/// Writes every call of a plugin into `table` from now on, which must outlive the process's last call; null stops it.
/// Threads beyond the table's size are not written down.
PJRT_EXPORT void watch_calls(RunningCalls* table) noexcept;

}  // namespace pjrt::detail
