#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "pjrt/detail/running_calls.hpp"

namespace pjrt::detail {

/// A call of a plugin's function as the host saw it.
struct CallRecord {
  const char* function;
  std::uint64_t thread;
  std::int64_t start_ns;  // of the steady clock
  std::int64_t duration_ns;
};

/// What calls are written down for: a timeline (one recording at a time in a process), or a table of running calls.
inline constexpr unsigned kRecorded = 1;
inline constexpr unsigned kWatched = 2;
inline std::atomic<unsigned> observed{0};

struct Recorder {
  std::mutex mutex;
  std::vector<CallRecord> records;

  /// Never destroyed: threads of plugins may end a call after main.
  static Recorder& instance();
};

/// Writes down the call that it stands beside, if calls are observed. Costs one load otherwise.
class CallScope {
 public:
  /// Both texts must outlive the call; `plugin` is the plugin's file.
  CallScope(const char* function, const char* plugin) noexcept {
    if (const unsigned wanted = observed.load(std::memory_order_relaxed); wanted != 0) [[unlikely]]
      begin(wanted, function, plugin);
  }
  ~CallScope() {
    if (function_ != nullptr) [[unlikely]]
      end();
  }
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  void begin(unsigned wanted, const char* function, const char* plugin) noexcept;
  void end() noexcept;
  const char* function_ = nullptr;
  // Set by `begin` alone, so that a call that nobody observes does not pay for them.
  std::int64_t start_;        // -1 if it is not recorded
  RunningCalls* table_;       // null if it is not watched
  RunningCalls::Call* call_;  // null if the table is full as well
  const char* outer_;         // the call that this one was made in, by a callback
};

std::int64_t steady_now_ns() noexcept;

}  // namespace pjrt::detail
