#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/client_state.hpp"
#include "core/plugin_state.hpp"
#include "pjrt/event.hpp"

namespace pjrt::detail {

/// The events that an event of ours stands for, and who waits for them.
struct JoinedEvents {
  std::vector<Event> parts;
  std::atomic<std::size_t> pending{0};
  std::mutex mutex;
  std::condition_variable ready;
  bool done = false;
  std::vector<std::pair<void (*)(void*, Result<void>) noexcept, void*>> callbacks;

  Result<void> outcome() const;
  void part_is_ready();
};

struct EventState {
  std::atomic<int> references{1};
  std::shared_ptr<JoinedEvents> joined;  // instead of a C event
  const PluginState* plugin = nullptr;
  Ref<ClientState> client;  // whose work it is; kept until that is done, whoever drops the event before
  abi::PJRT_Event* raw = nullptr;
  Result<void> outcome;  // of an event without a C event
  std::atomic<bool> set{false};
  std::atomic<bool> seen_ready{false};

  bool is_ready() noexcept;
  ~EventState();
};

/// Owns `raw`; null means ready and well.
Event make_event(const PluginState& plugin, Ref<ClientState> client, abi::PJRT_Event* raw);

/// An event that stands for the one that `start` gives once `first` is ready, well or not.
Event after(const Event& first, std::function<Event()> start);

/// How the plugin hands an error to a callback: taken over and turned into an outcome.
Result<void> outcome_of(const PluginState& plugin, abi::PJRT_Error* error, std::string_view function);

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
