#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "core/client_state.hpp"
#include "core/completion.hpp"
#include "core/plugin_state.hpp"
#include "pjrt/event.hpp"

namespace pjrt::detail {

/// An event of a plugin (`raw`), one of the library's own (`completion` alone), or an outcome known from the start
/// (neither).
struct EventState {
  std::atomic<int> references{1};
  const PluginState* plugin = nullptr;
  Ref<ClientState> client;  // whose work it is; kept until that is done, whoever drops the event before
  abi::PJRT_Event* raw = nullptr;
  Result<void> outcome;
  std::atomic<bool> set{false};
  std::atomic<bool> seen_ready{false};

  /// Of an event of the library's own; of a plugin's event what `await_for` waits on, made when it is first called:
  /// plugins keep every callback until the event is ready.
  std::shared_ptr<Completion> completion;
  std::mutex completion_mutex;

  bool is_ready() noexcept;
  ~EventState();
};

/// Owns `raw`; null means ready and well. Without memory for the handle the event is destroyed, and what is given is
/// ready with that error.
Event make_event(const PluginState& plugin, Ref<ClientState> client, abi::PJRT_Event* raw) noexcept;

/// The event of a transfer to or from memory that is freed with its handle: without memory for one, it waits.
Event make_transfer_event(const PluginState& plugin, Ref<ClientState> client, abi::PJRT_Event* raw) noexcept;

/// An event that stands for the one that `start` gives once `first` is ready, well or not.
Event after(const Event& first, std::function<Event()> start);

/// How the plugin hands an error to a callback: taken over and turned into an outcome.
Result<void> outcome_of(const PluginState& plugin, abi::PJRT_Error* error, std::string_view function) noexcept;

/// Keeps `what` until the event is ready, however that turns out.
template <class T>
void hold_until_ready(const Event& event, T what) {
  if (event.is_ready()) return;
  const auto release = [what = std::move(what)](const Result<void>&) {};
  if (!event.on_ready(release, RunOn::PluginThread)) (void)event.await();
}

/// Waits for the event if the scope is left by an exception.
class AwaitedOnFailure {
 public:
  explicit AwaitedOnFailure(Event event) noexcept : event_(std::move(event)) {}
  AwaitedOnFailure(const AwaitedOnFailure&) = delete;
  AwaitedOnFailure& operator=(const AwaitedOnFailure&) = delete;
  ~AwaitedOnFailure() {
    if (std::uncaught_exceptions() > exceptions_) (void)event_.await();
  }

 private:
  Event event_;
  int exceptions_ = std::uncaught_exceptions();
};

/// Marks the current thread as running one of our callbacks under the plugin, where a client must not be destroyed.
class InCallback {
 public:
  InCallback() noexcept { ++depth(); }
  ~InCallback() { --depth(); }
  InCallback(const InCallback&) = delete;
  InCallback& operator=(const InCallback&) = delete;
  static bool active() noexcept { return depth() > 0; }

 private:
  static int& depth() noexcept;
};

}  // namespace pjrt::detail
