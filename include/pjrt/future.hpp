#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "pjrt/error.hpp"
#include "pjrt/event.hpp"

namespace pjrt {

/// A value that is whole once an event is ready. Move-only; the value is taken once. Dropping a Future does not wait:
/// what the plugin still writes to stays alive until it is done.
template <class T>
class Future {
 public:
  Future(Event event, T value) : event_(std::move(event)), value_(std::make_unique<T>(std::move(value))) {}
  explicit Future(Error error) : event_(Event::ready(std::unexpected(std::move(error)))) {}
  Future(Future&&) noexcept = default;
  Future& operator=(Future&& other) noexcept {
    if (this != &other) {
      let_go();
      event_ = std::move(other.event_);
      value_ = std::move(other.value_);
    }
    return *this;
  }
  ~Future() { let_go(); }

  Event event() const noexcept { return event_; }
  bool is_ready() const noexcept { return event_.is_ready(); }

  /// Waits and takes the value, or gives the error. FailedPrecondition the second time.
  Result<T> await() {
    if (!event_.state()) return take();  // moved from
    if (auto outcome = event_.await(); !outcome) return std::unexpected(std::move(outcome).error());
    return take();
  }

  /// As await, but nullopt if it is not there within `timeout`; the Future stays usable.
  std::optional<Result<T>> await_for(std::chrono::nanoseconds timeout) {
    if (!event_.state()) return take();
    std::optional<Result<void>> outcome = event_.await_for(timeout);
    if (!outcome) return std::nullopt;
    if (!*outcome) return Result<T>(std::unexpected(std::move(*outcome).error()));
    return take();
  }

  /// `co_await future` gives Result<T>; see `operator co_await(Event)`.
  auto operator co_await() noexcept {
    struct Awaiter : detail::EventAwaiter {
      explicit Awaiter(Future& f) : EventAwaiter(f.event_), future(f) {}
      Result<T> await_resume() const { return future.await(); }
      Future& future;
    };
    return Awaiter(*this);
  }

 private:
  Result<T> take() {
    if (value_ == nullptr)
      return std::unexpected(Error(ErrorCode::FailedPrecondition, "the value of this future has been taken already"));
    const std::unique_ptr<T> value = std::move(value_);
    return std::move(*value);
  }

  void let_go() noexcept {
    if (value_ == nullptr || event_.is_ready()) return;
    std::shared_ptr<T> value = std::move(value_);
    if (!event_.on_ready([value](const Result<void>&) {}, RunOn::PluginThread)) (void)event_.await();
  }

  Event event_;
  std::unique_ptr<T> value_;
};

}  // namespace pjrt
