#include "core/timeline.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>

namespace pjrt::detail {

std::int64_t steady_now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Recorder& Recorder::instance() {
  static auto* const recorder = new Recorder;
  return *recorder;
}

void CallTimer::begin(const char* function) noexcept {
  function_ = function;
  start_ = steady_now_ns();
}

void CallTimer::end() noexcept {
  const std::int64_t duration = steady_now_ns() - start_;
  thread_local const auto thread = static_cast<std::uint64_t>(::syscall(SYS_gettid));
  Recorder& recorder = Recorder::instance();
  const std::lock_guard lock(recorder.mutex);
  recorder.records.push_back({function_, thread, start_, duration});
}

}  // namespace pjrt::detail
