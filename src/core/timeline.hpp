#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace pjrt::detail {

/// A call of a plugin's function as the host saw it.
struct CallRecord {
  const char* function;
  std::uint64_t thread;
  std::int64_t start_ns;  // of the steady clock
  std::int64_t duration_ns;
};

/// Whether calls are written down. One recording at a time in a process.
inline std::atomic<bool> recording{false};

struct Recorder {
  std::mutex mutex;
  std::vector<CallRecord> records;

  /// Never destroyed: threads of plugins may end a call after main.
  static Recorder& instance();
};

/// Times the call it stands beside, if calls are recorded. Costs one load otherwise.
class CallTimer {
 public:
  explicit CallTimer(const char* function) noexcept {
    if (recording.load(std::memory_order_relaxed)) [[unlikely]]
      begin(function);
  }
  ~CallTimer() {
    if (function_ != nullptr) [[unlikely]]
      end();
  }
  CallTimer(const CallTimer&) = delete;
  CallTimer& operator=(const CallTimer&) = delete;

 private:
  void begin(const char* function) noexcept;
  void end() noexcept;
  const char* function_ = nullptr;
  std::int64_t start_ = 0;
};

std::int64_t steady_now_ns() noexcept;

}  // namespace pjrt::detail
