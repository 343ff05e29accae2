#include "pjrt/event.hpp"

#include <cstdio>
#include <exception>
#include <new>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/dispatcher.hpp"
#include "core/event_state.hpp"
#include "core/handle_errors.hpp"
#include "core/try.hpp"

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
  if (raw == nullptr) return completion == nullptr || completion->is_ready();
  if (seen_ready.load(std::memory_order_relaxed)) return true;
  const auto args = call<abi::fn::PJRT_Event_IsReady>(*plugin, {.event = raw});
  const bool ready = !args || args->is_ready;
  if (ready) seen_ready.store(true, std::memory_order_relaxed);
  return ready;
}

namespace {

/// Keeps a client until an event is ready: some plugins crash when it goes while they download for it.
void keep_until_ready(const PluginState& plugin, abi::PJRT_Event* event, Ref<ClientState> client) noexcept {
  std::unique_ptr<Ref<ClientState>> held;
  try {
    held = std::make_unique<Ref<ClientState>>(client);
  } catch (...) {  // nothing can hold it but this thread
    return call_quietly<abi::fn::PJRT_Event_Await>(plugin, {.event = event});
  }
  abi::PJRT_Event_OnReady_Args args{};
  args.event = event;
  args.user_arg = held.get();
  args.callback = [](abi::PJRT_Error* error, void* user_arg) {
    const InCallback here;
    const std::unique_ptr<Ref<ClientState>> held(static_cast<Ref<ClientState>*>(user_arg));
    (void)outcome_of(*(*held)->plugin, error, "PJRT_Event_OnReady");
  };
  if (call<abi::fn::PJRT_Event_OnReady>(plugin, args)) {
    (void)held.release();
  } else {
    call_quietly<abi::fn::PJRT_Event_Await>(plugin, {.event = event});
  }
}

}  // namespace

namespace {

/// A ready event whose outcome is that the host's memory is exhausted: made when the library is loaded, never freed.
EventState* const no_memory_for_an_event = [] {
  auto* state = new EventState;
  state->outcome = std::unexpected(Error(ErrorCode::ResourceExhausted, kMemoryExhausted));
  return state;
}();

Event without_memory() noexcept {
  retain(no_memory_for_an_event);
  return Event(Ref<EventState>::adopt(no_memory_for_an_event));
}

}  // namespace

EventState::~EventState() {
  if (raw == nullptr) return;
  if (client && !is_ready()) keep_until_ready(*plugin, raw, std::move(client));
  call_quietly<abi::fn::PJRT_Event_Destroy>(*plugin, {.event = raw});
}

Event make_transfer_event(const PluginState& plugin, Ref<ClientState> client, abi::PJRT_Event* raw) noexcept {
  Event event = make_event(plugin, client, nullptr);
  if (raw == nullptr) return event;
  if (event.state().get() == no_memory_for_an_event) {
    call_quietly<abi::fn::PJRT_Event_Await>(plugin, {.event = raw});
    call_quietly<abi::fn::PJRT_Event_Destroy>(plugin, {.event = raw});
    return event;
  }
  event.state()->client = std::move(client);
  event.state()->raw = raw;
  return event;
}

Event make_event(const PluginState& plugin, Ref<ClientState> client, abi::PJRT_Event* raw) noexcept {
  auto* state = new (std::nothrow) EventState;
  if (state == nullptr) {
    if (raw != nullptr) call_quietly<abi::fn::PJRT_Event_Destroy>(plugin, {.event = raw});
    return without_memory();
  }
  state->plugin = &plugin;
  if (raw != nullptr) state->client = std::move(client);
  state->raw = raw;
  return Event(Ref<EventState>::adopt(state));
}

Result<void> outcome_of(const PluginState& plugin, abi::PJRT_Error* error, std::string_view function) noexcept try {
  if (error == nullptr) return {};
  return std::unexpected(take_error(plugin, error, function));
}
PJRT_CATCH

namespace {

void write_line(const char* where) noexcept {
  const char* what = "an exception that is not a std::exception";
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

/// What functions that return an event answer with when memory runs out, so it must have an answer itself.
Event Event::ready(Result<void> outcome) {
  auto* state = new (std::nothrow) detail::EventState;
  if (state == nullptr) return detail::without_memory();
  state->outcome = std::move(outcome);
  return Event(detail::Ref<detail::EventState>::adopt(state));
}

namespace detail {
namespace {

Event own_event(std::shared_ptr<Completion> completion) {
  auto* state = new EventState;
  state->completion = std::move(completion);
  return Event(Ref<EventState>::adopt(state));
}

/// Several events that one of ours stands for: counts those that are not ready, and keeps the first error by position.
struct Join {
  std::shared_ptr<Completion> completion = std::make_shared<Completion>();
  std::atomic<std::size_t> pending{1};
  std::mutex mutex;
  std::size_t error_position = 0;
  Result<void> outcome;

  void note(std::size_t position, Result<void> part) {
    if (part) return;
    const std::lock_guard lock(mutex);
    if (!outcome && error_position < position) return;
    error_position = position;
    outcome = std::move(part);
  }
  void part_is_ready() {
    if (pending.fetch_sub(1, std::memory_order_acq_rel) == 1) completion->set(std::move(outcome));
  }
};

/// Has `callback` called when the event is ready, on whichever thread that is; here and now if it cannot be registered.
template <class F>
void when_ready(const Event& event, F callback) {
  if (!event.on_ready(callback, RunOn::PluginThread)) callback(event.await());
}

}  // namespace
}  // namespace detail

Event Event::all(std::vector<Event> events) try {
  auto join = std::make_shared<detail::Join>();
  std::vector<std::size_t> pending;
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (events[i].is_ready()) {
      join->note(i, events[i].outcome());
    } else {
      pending.push_back(i);
    }
  }
  if (pending.empty()) return ready(std::move(join->outcome));
  // What is ready and well adds nothing, so that waiting for one more in a loop builds no chain.
  if (pending.size() == 1 && join->outcome) return std::move(events[pending.front()]);
  join->pending += pending.size();
  for (const std::size_t i : pending) {
    detail::when_ready(events[i], [join, i, part = events[i]](Result<void> outcome) {
      join->note(i, std::move(outcome));
      join->part_is_ready();
    });
  }
  std::shared_ptr<detail::Completion> completion = join->completion;
  join->part_is_ready();
  return detail::own_event(std::move(completion));
}
PJRT_CATCH_EVENT

Event detail::after(const Event& first, std::function<Event()> start) {
  auto completion = std::make_shared<Completion>();
  when_ready(first, [completion, start = std::move(start)](const Result<void>&) {
    const Event second = [&start] {
      try {
        return start();
      } catch (...) {
        return Event::ready(std::unexpected(caught()));
      }
    }();
    when_ready(second, [completion, second](Result<void> outcome) { completion->set(std::move(outcome)); });
  });
  return own_event(completion);
}

Result<std::pair<Event, EventSetter>> Event::create(const Plugin& plugin) try {
  auto args = detail::call<abi::fn::PJRT_Event_Create>(plugin.state(), {});
  if (!args) return std::unexpected(std::move(args).error());
  Event event = detail::make_event(plugin.state(), {}, args->event);
  EventSetter setter(event.state());
  return std::pair(std::move(event), std::move(setter));
}
PJRT_CATCH

abi::PJRT_Event* Event::raw() const noexcept {
  return state_ ? state_->raw : nullptr;
}

bool Event::is_ready() const noexcept {
  return !state_ || state_->is_ready();
}

Result<void> Event::await() const try {
  if (!state_) return std::unexpected(detail::moved_from("event"));
  if (raw() == nullptr) return state_->completion ? state_->completion->await() : state_->outcome;
  abi::PJRT_Event_Await_Args args{};
  args.event = state_->raw;
  Result<void> outcome = detail::call<abi::fn::PJRT_Event_Await>(*state_->plugin, args);
  if (outcome) state_->seen_ready.store(true, std::memory_order_relaxed);
  return outcome;
}
PJRT_CATCH

Result<void> Event::outcome() const try {
  if (!state_) return std::unexpected(detail::moved_from("event"));
  if (!is_ready())
    return std::unexpected(
        Error(ErrorCode::FailedPrecondition, "the event is not ready; its outcome is not known yet"));
  if (raw() == nullptr) return state_->completion ? state_->completion->outcome() : state_->outcome;
  abi::PJRT_Event_Error_Args args{};
  args.event = state_->raw;
  return detail::call<abi::fn::PJRT_Event_Error>(*state_->plugin, args);
}
PJRT_CATCH

std::optional<Result<void>> Event::await_for(std::chrono::nanoseconds timeout) const try {
  if (is_ready()) return await();
  if (timeout <= std::chrono::nanoseconds(0)) return std::nullopt;
  std::shared_ptr<detail::Completion> completion;
  {
    const std::lock_guard lock(state_->completion_mutex);
    if (state_->completion == nullptr) {
      completion = std::make_shared<detail::Completion>();
      const Result<void> registered =
          on_ready([completion](Result<void> outcome) { completion->set(std::move(outcome)); }, RunOn::PluginThread);
      if (!registered) return registered;
      state_->completion = completion;
    }
    completion = state_->completion;
  }
  if (!completion->await_for(timeout)) return std::nullopt;
  return completion->outcome();
}
PJRT_CATCH

namespace {

/// A callback on its way: registered with an event, then run where it was asked to.
struct Registration : detail::Job {
  Registration(void (*c)(void*, Result<void>) noexcept, void* u, RunOn w) noexcept : callback(c), user(u), where(w) {
    run = [](Job* job) noexcept { static_cast<Registration*>(job)->call(); };
  }

  void (*callback)(void*, Result<void>) noexcept;
  void* user;
  RunOn where;
  const detail::PluginState* plugin = nullptr;
  Result<void> outcome;
  enum Phase { Registering, Registered, Arrived };
  std::atomic<Phase> phase;

  /// Frees the registration.
  void call() noexcept {
    const std::unique_ptr<Registration> self(this);
    callback(user, std::move(outcome));
  }

  /// The event is ready. An event that gets ready during the registration calls back on the registering thread, where
  /// nothing may run under the plugin's locks: that thread runs the callback itself, once the registration is over.
  void arrive(Result<void> result) noexcept {
    outcome = std::move(result);
    if (where == RunOn::PluginThread) return call();
    if (phase.exchange(Arrived, std::memory_order_acq_rel) == Registered) detail::Dispatcher::post(this);
  }
};

void on_plugins_event(abi::PJRT_Error* error, void* user_arg) {
  const detail::InCallback here;
  auto* r = static_cast<Registration*>(user_arg);
  // The plugin handed it from one thread to another in ways that a race detector cannot see into.
  (void)r->phase.load(std::memory_order_acquire);
  r->arrive(detail::outcome_of(*r->plugin, error, "PJRT_Event_OnReady"));
}

void on_our_event(void* user_arg, Result<void> outcome) noexcept {
  static_cast<Registration*>(user_arg)->arrive(std::move(outcome));
}

}  // namespace

Result<void> Event::on_ready(void (*callback)(void*, Result<void>) noexcept, void* user, RunOn where) const try {
  if (!state_ || (state_->raw == nullptr && state_->completion == nullptr)) {
    callback(user, state_ ? state_->outcome : std::unexpected(detail::moved_from("event")));
    return {};
  }
  auto owned = std::make_unique<Registration>(callback, user, where);
  Registration* r = owned.get();
  r->plugin = state_->plugin;
  r->phase.store(Registration::Registering, std::memory_order_release);
  if (state_->raw == nullptr) {
    state_->completion->on_ready(on_our_event, r);
  } else {
    abi::PJRT_Event_OnReady_Args args{};
    args.event = state_->raw;
    args.user_arg = r;
    args.callback = on_plugins_event;
    PJRT_CHECK(detail::call<abi::fn::PJRT_Event_OnReady>(*state_->plugin, args));
  }
  (void)owned.release();
  if (where == RunOn::Dispatcher &&
      r->phase.exchange(Registration::Registered, std::memory_order_acq_rel) == Registration::Arrived)
    r->call();
  return {};
}
PJRT_CATCH

Result<void> EventSetter::set(Result<void> outcome) try {
  if (!state_ || state_->set.exchange(true)) {
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "the event has been set already"));
  }
  abi::PJRT_Event_Set_Args args{};
  args.event = state_->raw;
  if (!outcome) {
    args.error_code = detail::to_c(outcome.error().code());
    args.error_message = outcome.error().message().data();
    args.error_message_size = outcome.error().message().size();
  }
  return detail::call<abi::fn::PJRT_Event_Set>(*state_->plugin, args);
}
PJRT_CATCH

void EventSetter::abandon() noexcept {
  if (state_ && !state_->set.load())
    (void)set(std::unexpected(detail::cancelled("the event was abandoned before it was set")));
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
