#include "pjrt/event.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"

namespace pjrt {
namespace detail {

int& InCallback::depth() noexcept {
  thread_local int depth = 0;
  return depth;
}

void retain(EventState* s) noexcept {
  s->references.fetch_add(1, std::memory_order_relaxed);
}

void release(EventState* s) noexcept {
  if (s->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete s;
}

bool EventState::is_ready() noexcept {
  if (raw == nullptr || seen_ready.load(std::memory_order_relaxed)) return true;
  const auto args = call<abi::fn::PJRT_Event_IsReady>(*plugin, {.event = raw});
  const bool ready = !args || args->is_ready;
  if (ready) seen_ready.store(true, std::memory_order_relaxed);
  return ready;
}

namespace {

/// Keeps a client until an event is ready: some plugins crash when it goes while they download for it.
void keep_until_ready(const PluginState& plugin, abi::PJRT_Event* event, Ref<ClientState> client) noexcept {
  auto held = std::make_unique<Ref<ClientState>>(std::move(client));
  abi::PJRT_Event_OnReady_Args args{};
  args.event = event;
  args.user_arg = held.get();
  args.callback = [](abi::PJRT_Error* error, void* user_arg) {
    const InCallback here;
    const std::unique_ptr<Ref<ClientState>> held(static_cast<Ref<ClientState>*>(user_arg));
    (void)outcome_of(*(*held)->plugin, error, "PJRT_Event_OnReady");
  };
  if (call<abi::fn::PJRT_Event_OnReady>(plugin, args)) (void)held.release();
}

}  // namespace

EventState::~EventState() {
  if (raw == nullptr) return;
  if (client && !is_ready()) keep_until_ready(*plugin, raw, std::move(client));
  call_quietly<abi::fn::PJRT_Event_Destroy>(*plugin, {.event = raw});
}

Event make_event(const PluginState& plugin, Ref<ClientState> client, abi::PJRT_Event* raw) {
  auto* state = new EventState;
  state->plugin = &plugin;
  if (raw != nullptr) state->client = std::move(client);
  state->raw = raw;
  return Event(Ref<EventState>::adopt(state));
}

Result<void> outcome_of(const PluginState& plugin, abi::PJRT_Error* error, std::string_view function) {
  if (error == nullptr) return {};
  return std::unexpected(take_error(plugin, error, function));
}

namespace {

void write_line(const char* where) noexcept {
  const char* what = "an exception that is no std::exception";
  std::string text;
#if defined(__cpp_exceptions)
  try {
    throw;
  } catch (const std::exception& e) {
    text = e.what();
    what = text.c_str();
  } catch (...) {
  }
#endif
  std::fprintf(stderr, "pjrt: %s threw: %s\n", where, what);
}

std::atomic<CallbackExceptionHandler> exception_handler{write_line};

}  // namespace

void report_callback_exception(const char* where) noexcept {
  exception_handler.load()(where);
}

}  // namespace detail

CallbackExceptionHandler on_callback_exception(CallbackExceptionHandler handler) noexcept {
  return detail::exception_handler.exchange(handler != nullptr ? handler : detail::write_line);
}

Event Event::ready(Result<void> outcome) {
  auto* state = new detail::EventState;
  state->outcome = std::move(outcome);
  return Event(detail::Ref<detail::EventState>::adopt(state));
}

Result<void> detail::JoinedEvents::outcome() const {
  for (const Event& part : parts) {
    if (auto ok = part.outcome(); !ok) return ok;
  }
  return {};
}

void detail::JoinedEvents::part_is_ready() {
  if (pending.fetch_sub(1) != 1) return;
  decltype(callbacks) waiting;
  {
    const std::lock_guard lock(mutex);
    done = true;
    waiting.swap(callbacks);
    ready.notify_all();
  }
  for (const auto& [callback, user] : waiting) callback(user, outcome());
}

Event Event::all(std::vector<Event> events) {
  auto joined = std::make_shared<detail::JoinedEvents>();
  joined->parts = std::move(events);
  joined->pending = joined->parts.size() + 1;
  auto* state = new detail::EventState;
  state->joined = joined;
  for (const Event& part : joined->parts) {
    if (!part.on_ready([joined](const Result<void>&) { joined->part_is_ready(); })) {
      (void)part.await();
      joined->part_is_ready();
    }
  }
  joined->part_is_ready();
  return Event(detail::Ref<detail::EventState>::adopt(state));
}

Event detail::after(const Event& first, std::function<Event()> start) {
  auto joined = std::make_shared<JoinedEvents>();
  joined->pending = 1;
  auto* state = new EventState;
  state->joined = joined;
  const auto begin = [joined, start = std::move(start)](const Result<void>&) {
    const Event second = start();
    joined->parts.push_back(second);
    if (second.on_ready([joined](const Result<void>&) { joined->part_is_ready(); })) return;
    (void)second.await();
    joined->part_is_ready();
  };
  if (auto ok = first.on_ready(begin); !ok) begin(first.await());
  return Event(Ref<EventState>::adopt(state));
}

Result<std::pair<Event, EventSetter>> Event::create(const Plugin& plugin) {
  auto args = detail::call<abi::fn::PJRT_Event_Create>(plugin.state(), {});
  if (!args) return std::unexpected(std::move(args).error());
  Event event = detail::make_event(plugin.state(), {}, args->event);
  EventSetter setter(event.state());
  return std::pair(std::move(event), std::move(setter));
}

namespace {

Result<void> moved_from() {
  return std::unexpected(Error(ErrorCode::FailedPrecondition, "the event was moved from"));
}

}  // namespace

abi::PJRT_Event* Event::raw() const noexcept {
  return state_ ? state_->raw : nullptr;
}

bool Event::is_ready() const noexcept {
  if (state_ && state_->joined) return state_->joined->pending.load() == 0;
  return !state_ || state_->is_ready();
}

Result<void> Event::await() const {
  if (state_ && state_->joined) {
    detail::JoinedEvents& joined = *state_->joined;
    std::unique_lock lock(joined.mutex);
    joined.ready.wait(lock, [&] { return joined.done; });
    lock.unlock();
    return joined.outcome();
  }
  if (!state_) return moved_from();
  if (raw() == nullptr) return state_->outcome;
  abi::PJRT_Event_Await_Args args{};
  args.event = state_->raw;
  Result<void> outcome = detail::call<abi::fn::PJRT_Event_Await>(*state_->plugin, args);
  if (outcome) state_->seen_ready.store(true, std::memory_order_relaxed);
  return outcome;
}

Result<void> Event::outcome() const {
  if (!is_ready())
    return std::unexpected(
        Error(ErrorCode::FailedPrecondition, "the event is not ready; its outcome is not known yet"));
  if (state_ && state_->joined) return state_->joined->outcome();
  if (!state_) return moved_from();
  if (raw() == nullptr) return state_->outcome;
  abi::PJRT_Event_Error_Args args{};
  args.event = state_->raw;
  return detail::call<abi::fn::PJRT_Event_Error>(*state_->plugin, args);
}

std::optional<Result<void>> Event::await_for(std::chrono::nanoseconds timeout) const {
  if (is_ready()) return await();
  struct Meeting {
    std::mutex mutex;
    std::condition_variable arrived;
    bool ready = false;
  };
  auto meeting = std::make_shared<Meeting>();
  const Result<void> registered = on_ready([meeting](const Result<void>&) {
    const std::lock_guard lock(meeting->mutex);
    meeting->ready = true;
    meeting->arrived.notify_all();
  });
  if (!registered) return registered;
  std::unique_lock lock(meeting->mutex);
  // Capped, so that "for ever" does not overflow the clock.
  const auto capped = std::min<std::chrono::nanoseconds>(timeout, std::chrono::years(100));
  if (!meeting->arrived.wait_for(lock, capped, [&] { return meeting->ready; })) return std::nullopt;
  lock.unlock();
  return await();
}

Result<void> Event::on_ready(void (*callback)(void*, Result<void>) noexcept, void* user) const {
  if (state_ && state_->joined) {
    detail::JoinedEvents& joined = *state_->joined;
    std::unique_lock lock(joined.mutex);
    if (!joined.done) {
      joined.callbacks.emplace_back(callback, user);
      return {};
    }
    lock.unlock();
    callback(user, joined.outcome());
    return {};
  }
  if (raw() == nullptr) {
    callback(user, state_ ? state_->outcome : moved_from());
    return {};
  }
  struct Registration {
    const detail::PluginState* plugin;
    void (*callback)(void*, Result<void>) noexcept;
    void* user;
  };
  auto registration = std::make_unique<Registration>(state_->plugin, callback, user);
  abi::PJRT_Event_OnReady_Args args{};
  args.event = state_->raw;
  args.user_arg = registration.get();
  args.callback = [](abi::PJRT_Error* error, void* user_arg) {
    const std::unique_ptr<Registration> r(static_cast<Registration*>(user_arg));
    const detail::InCallback here;
    r->callback(r->user, detail::outcome_of(*r->plugin, error, "PJRT_Event_OnReady"));
  };
  Result<void> result = detail::call<abi::fn::PJRT_Event_OnReady>(*state_->plugin, args);
  if (result) (void)registration.release();
  return result;
}

Result<void> EventSetter::set(Result<void> outcome) {
  if (!state_ || state_->set.exchange(true)) {
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "the event has been set already"));
  }
  abi::PJRT_Event_Set_Args args{};
  args.event = state_->raw;
  std::string message;
  if (!outcome) {
    message = outcome.error().message();
    args.error_code = detail::to_c(outcome.error().code());
    args.error_message = message.data();
    args.error_message_size = message.size();
  }
  return detail::call<abi::fn::PJRT_Event_Set>(*state_->plugin, args);
}

void EventSetter::abandon() noexcept {
  if (state_ && !state_->set.load())
    (void)set(std::unexpected(Error(ErrorCode::Cancelled, "the event was abandoned before it was set")));
}

EventSetter& EventSetter::operator=(EventSetter&& other) noexcept {
  if (this != &other) {
    abandon();
    state_ = std::move(other.state_);
  }
  return *this;
}

EventSetter::~EventSetter() {
  abandon();
}

}  // namespace pjrt
