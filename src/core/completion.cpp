#include "core/completion.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace pjrt::detail {

/// Allocated when it is registered, so that completing needs no memory.
struct Completion::Waiter {
  Callback callback;
  void* user;
  Waiter* next;
  Result<void> outcome;
};

namespace {

Result<void> of_the_parent() {
  return std::unexpected(Error(
      ErrorCode::FailedPrecondition,
      "the event belongs to the process that this one was forked from; it will not become ready in this process"));
}

}  // namespace

Completion::~Completion() {
  while (waiting_ != nullptr) delete std::exchange(waiting_, waiting_->next);
}

void Completion::run(Waiter* waiters) noexcept {
  // The waiters that this thread still has to call, and where more are appended; null while it calls none.
  thread_local Waiter** end = nullptr;
  if (end != nullptr) {
    *end = waiters;
    while (*end != nullptr) end = &(*end)->next;
    return;
  }
  end = &waiters;
  while (*end != nullptr) end = &(*end)->next;
  while (waiters != nullptr) {
    const std::unique_ptr<Waiter> first(waiters);
    waiters = first->next;
    if (waiters == nullptr) end = &waiters;
    first->callback(first->user, std::move(first->outcome));
  }
  end = nullptr;
}

void Completion::set(Result<void> outcome) noexcept {
  Waiter* in_order = nullptr;
  {
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
    while (waiting_ != nullptr) {
      Waiter* next = std::exchange(waiting_, waiting_->next);
      next->outcome = outcome_;
      next->next = std::exchange(in_order, next);
    }
    ready_.store(true, std::memory_order_release);
    arrived_.notify_all();
  }
  run(in_order);
}

Result<void> Completion::await() {
  if (!is_ready()) {
    if (!is_of_this_process()) return of_the_parent();
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return is_ready(); });
  }
  return outcome_;
}

bool Completion::await_for(std::chrono::nanoseconds timeout) {
  if (is_ready()) return true;
  if (!is_of_this_process()) return false;
  std::unique_lock lock(mutex_);
  // Capped, so that "for ever" does not overflow the clock.
  const auto capped = std::min<std::chrono::nanoseconds>(timeout, std::chrono::years(100));
  return arrived_.wait_for(lock, capped, [this] { return is_ready(); });
}

void Completion::on_ready(Callback callback, void* user) {
  if (!is_ready()) {
    if (!is_of_this_process()) return callback(user, of_the_parent());
    auto waiter = std::make_unique<Waiter>(callback, user, nullptr, Result<void>());
    const std::lock_guard lock(mutex_);
    if (!is_ready()) {
      waiter->next = std::exchange(waiting_, waiter.get());
      (void)waiter.release();
      return;
    }
  }
  callback(user, outcome_);
}

}  // namespace pjrt::detail
