#pragma once

#include "pjrt/detail/cxx23.hpp"  // first: <coroutine> has an #error of its own

#include <atomic>
#include <chrono>
#include <concepts>
#include <coroutine>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/plugin.hpp"

namespace pjrt {

namespace abi {
struct PJRT_Event;
}

class EventSetter;

namespace detail {

struct EventState;
PJRT_EXPORT void retain(EventState*) noexcept;
PJRT_EXPORT void release(EventState*) noexcept;

/// Runs a user's callback so that no exception leaves it: what it throws goes to the handler of
/// `on_callback_exception`.
PJRT_EXPORT void report_callback_exception(const char* where) noexcept;

template <class F, class... Args>
void run_guarded(const char* where, F& f, Args&&... args) noexcept {
#if defined(__cpp_exceptions)
  try {
    f(std::forward<Args>(args)...);
  } catch (...) {
    report_callback_exception(where);
  }
#else
  f(std::forward<Args>(args)...);
#endif
}

}  // namespace detail

/// Installs what is told of an exception that a user's callback let out where no error can be returned
/// (`Event::on_ready`, deleters). It is called inside the catch block, on the thread of the callback, with the name of
/// the place; the default writes one line to stderr. Returns the handler before.
using CallbackExceptionHandler = void (*)(const char* where) noexcept;
/// See CallbackExceptionHandler.
PJRT_EXPORT CallbackExceptionHandler on_callback_exception(CallbackExceptionHandler handler) noexcept;

/// Where a callback runs.
enum class RunOn : int {
  /// On a thread of the library, of which there are a few for the whole process, started at first use. The callback may
  /// block and may call anything. Costs a change of threads, some microseconds.
  Dispatcher,
  /// On the thread that makes the event ready, often one of the plugin's. Cheapest, for callbacks that promise to be
  /// brief: one that blocks stops the plugin's transfers (CPU) or waits for ever (CUDA).
  PluginThread,
};

/// The completion of something asynchronous, and whether it failed.
///
/// A cheap handle: copies mean the same event. All members may be used from several threads. An Event may outlive the
/// buffer, the executable and the handles of the client it came from. An operation that failed before it started gives
/// an Event that is ready and carries the error, so that there is one place to look. Wraps PJRT_Event_Destroy.
class PJRT_EXPORT Event {
 public:
  /// An event that is ready, with that outcome.
  static Event ready(Result<void> outcome = {});

  /// Ready when all of them are; the first error by position. Events that are ready already cost nothing, so that
  /// adding to an event in a loop builds no chain.
  static Event all(std::vector<Event> events);

  /// An event that the caller sets. Wraps PJRT_Event_Create, since 0.89.
  static Result<std::pair<Event, EventSetter>> create(const Plugin& plugin);

  /// Whether the outcome is known. Wraps PJRT_Event_IsReady.
  bool is_ready() const noexcept;

  /// Blocks until the outcome is known and gives it. May be repeated. Wraps PJRT_Event_Await.
  [[nodiscard]] Result<void> await() const;

  /// The outcome if it is known within `timeout`, else nullopt; the event stays usable.
  std::optional<Result<void>> await_for(std::chrono::nanoseconds timeout) const;

  /// The outcome of a ready event; FailedPrecondition if it is not ready. Wraps PJRT_Event_Error.
  [[nodiscard]] Result<void> outcome() const;

  /// Calls `callback(Result<void>)` once: at once on this thread if the event is ready, else later where `where` says.
  /// On the default, a thread of the library, it may block, start transfers and drop handles; callbacks of one event
  /// may run in any order and side by side. Exceptions that it throws stop there (`on_callback_exception`). The event
  /// may be dropped before. Wraps PJRT_Event_OnReady.
  template <std::invocable<Result<void>> F>
  [[nodiscard]] Result<void> on_ready(F callback, RunOn where = RunOn::Dispatcher) const {
    std::unique_ptr<F> owned;
    auto made = detail::catching([&]() -> Result<void> {
      owned = std::make_unique<F>(std::move(callback));
      return {};
    });
    if (!made) return made;
    auto result = on_ready(
        [](void* user, Result<void> outcome) noexcept {
          const std::unique_ptr<F> f(static_cast<F*>(user));
          detail::run_guarded("an event callback", *f, std::move(outcome));
        },
        owned.get(), where);
    if (result) (void)owned.release();
    return result;
  }

  /// The C event; null for one that was ready from the start.
  abi::PJRT_Event* raw() const noexcept;

  /// For the library itself.
  explicit Event(detail::Ref<detail::EventState> state) noexcept : state_(std::move(state)) {}
  const detail::Ref<detail::EventState>& state() const noexcept { return state_; }

 private:
  [[nodiscard]] Result<void> on_ready(void (*callback)(void*, Result<void>) noexcept, void* user, RunOn where) const;
  detail::Ref<detail::EventState> state_;
};

/// The writing end of an Event made by `Event::create`. The event is set exactly once: by `set`, or with Cancelled when
/// the setter is dropped without it.
class PJRT_EXPORT EventSetter {
 public:
  EventSetter(EventSetter&&) noexcept = default;
  EventSetter& operator=(EventSetter&& other) noexcept;
  ~EventSetter();

  /// Sets the event; FailedPrecondition the second time. Wraps PJRT_Event_Set, since 0.89.
  [[nodiscard]] Result<void> set(Result<void> outcome = {});

  /// For the library itself.
  explicit EventSetter(detail::Ref<detail::EventState> state) noexcept : state_(std::move(state)) {}

 private:
  void abandon() noexcept;
  detail::Ref<detail::EventState> state_;
};

namespace detail {

/// Resumes a coroutine of any type when an event is ready, or does not suspend it if it is.
class EventAwaiter {
 public:
  explicit EventAwaiter(Event event, RunOn where = RunOn::Dispatcher) noexcept
      : event_(std::move(event)), where_(where) {}

  bool await_ready() const noexcept { return event_.is_ready(); }

  bool await_suspend(std::coroutine_handle<> waiting) {
    // The callback may run before this function returns; whoever comes second continues the coroutine.
    auto meeting = std::make_shared<std::atomic<bool>>(false);
    const Result<void> registered = event_.on_ready(
        [waiting, meeting](Result<void>) {
          if (meeting->exchange(true)) waiting.resume();
        },
        where_);
    return registered && !meeting->exchange(true);
  }

  [[nodiscard]] Result<void> await_resume() const { return event_.await(); }

 private:
  Event event_;
  RunOn where_;
};

}  // namespace detail

/// `co_await on_plugin_thread(event)` resumes the coroutine on the thread that makes the event ready; see
/// `RunOn::PluginThread`.
inline detail::EventAwaiter on_plugin_thread(Event event) noexcept {
  return detail::EventAwaiter(std::move(event), RunOn::PluginThread);
}

/// `co_await event` gives Result<void> in any coroutine type. A coroutine that has to wait is resumed on a thread of
/// the library, where it may block.
inline detail::EventAwaiter operator co_await(Event event) noexcept {
  return detail::EventAwaiter(std::move(event));
}

}  // namespace pjrt
