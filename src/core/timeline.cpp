#include "core/timeline.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

namespace pjrt::detail {
namespace {

std::atomic<RunningCalls*> watched{nullptr};

int this_thread() noexcept {
  return static_cast<int>(::syscall(SYS_gettid));
}

template <std::size_t N>
void copy_text(std::array<char, N>& to, const char* text) noexcept {
  const std::size_t size = ::strnlen(text, N - 1);
  std::memcpy(to.data(), text, size);
  to[size] = '\0';
}

/// The thread's entry, or a free one that becomes the thread's; null if the table is full.
RunningCalls::Call* entry_of(RunningCalls& table, int thread) noexcept {
  for (RunningCalls::Call& call : table.calls) {
    if (call.thread.load(std::memory_order_relaxed) == thread) return &call;
  }
  for (RunningCalls::Call& call : table.calls) {
    int nobody = 0;
    if (call.thread.compare_exchange_strong(nobody, thread, std::memory_order_relaxed)) return &call;
  }
  return nullptr;
}

}  // namespace

std::int64_t steady_now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Recorder& Recorder::instance() {
  static auto* const recorder = new Recorder;
  return *recorder;
}

void watch_calls(RunningCalls* table) noexcept {
  watched.store(table);
  if (table != nullptr) {
    observed.fetch_or(kWatched);
  } else {
    observed.fetch_and(~kWatched);
  }
}

void CallScope::begin(unsigned wanted, const char* function, const char* plugin) noexcept {
  function_ = function;
  table_ = (wanted & kWatched) != 0 ? watched.load() : nullptr;
  call_ = nullptr;
  if (table_ != nullptr) {
    if (!table_->is_busy.test_and_set(std::memory_order_acquire)) {
      copy_text(table_->last_plugin, plugin);
      table_->is_busy.clear(std::memory_order_release);
    }
    call_ = entry_of(*table_, this_thread());
  }
  if (call_ != nullptr) {
    outer_ = call_->function.load(std::memory_order_relaxed);
    copy_text(call_->plugin, plugin);
    call_->function.store(function);
  }
  start_ = (wanted & kRecorded) != 0 ? steady_now_ns() : -1;
}

void CallScope::end() noexcept {
  if (start_ >= 0) {
    const std::int64_t duration = steady_now_ns() - start_;
    thread_local const auto thread = static_cast<std::uint64_t>(this_thread());
    Recorder& recorder = Recorder::instance();
    const std::lock_guard lock(recorder.mutex);
    try {
      recorder.records.push_back({function_, thread, start_, duration});
    } catch (...) {  // the timeline lacks a call for which there is no memory
    }
  }
  if (table_ != nullptr) table_->last.store(function_);
  if (call_ != nullptr) {
    call_->function.store(outer_);
    if (outer_ == nullptr) call_->thread.store(0);
  }
}

}  // namespace pjrt::detail
