#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "core/process.hpp"
#include "pjrt/error.hpp"

namespace pjrt::detail {

/// The outcome of something, known once and waited for by many: what stands behind events that no plugin made.
class Completion {
 public:
  using Callback = void (*)(void* user, Result<void> outcome) noexcept;

  Completion() = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  ~Completion();

  bool is_ready() const noexcept { return ready_.load(std::memory_order_acquire); }

  /// Makes the outcome known and runs the callbacks on this thread, one after the other: callbacks that complete other
  /// completions do not nest, so that long chains need no deep stack.
  void set(Result<void> outcome) noexcept;

  Result<void> await();
  /// Whether it became ready in time.
  bool await_for(std::chrono::nanoseconds timeout);
  /// The outcome, if it is ready.
  const Result<void>& outcome() const noexcept { return outcome_; }

  /// Calls `callback` when it is ready, at once if it is.
  void on_ready(Callback callback, void* user);

 private:
  struct Waiter;
  static void run(Waiter* waiters) noexcept;
  bool is_of_this_process() const noexcept { return generation_ == process_generation(); }

  const std::uint32_t generation_ = process_generation();
  std::atomic<bool> ready_{false};
  std::mutex mutex_;
  std::condition_variable arrived_;
  Result<void> outcome_;
  Waiter* waiting_ = nullptr;  // the newest first
};

}  // namespace pjrt::detail
