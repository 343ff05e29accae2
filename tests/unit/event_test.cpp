// Events without a plugin: ready ones, joined ones, callbacks and coroutines.

#include "pjrt/event.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/matchers.hpp"
#include "support/pending_event.hpp"

namespace pjrt {
namespace {

using namespace std::chrono_literals;
using test::PendingEvent;
using ::testing::ElementsAre;

Result<void> failure(const char* message) {
  return std::unexpected(Error(ErrorCode::Aborted, message));
}

TEST(Event, ReadyIsReadyAndWell) {
  const Event e = Event::ready();
  EXPECT_TRUE(e.is_ready());
  EXPECT_OK(e.await());
  EXPECT_OK(e.outcome());
  EXPECT_EQ(e.raw(), nullptr);
}

TEST(Event, ReadyCarriesAnError) {
  const Event e = Event::ready(failure("no"));
  EXPECT_TRUE(e.is_ready());
  EXPECT_ERROR(e.await(), Aborted, "no");
  EXPECT_ERROR(e.outcome(), Aborted, "no");
}

TEST(Event, OutcomeMayBeAskedForAgain) {
  const Event e = Event::ready(failure("no"));
  EXPECT_ERROR(e.await(), Aborted, "no");
  EXPECT_ERROR(e.await(), Aborted, "no");
}

TEST(Event, CopiesMeanTheSame) {
  PendingEvent pending;
  const Event copy = pending.event();
  EXPECT_FALSE(copy.is_ready());
  pending.set();
  EXPECT_TRUE(copy.is_ready());
}

TEST(Event, OutcomeOfAPendingOneIsFailedPrecondition) {
  PendingEvent pending;
  EXPECT_ERROR(pending.event().outcome(), FailedPrecondition, "not ready");
  pending.set();
}

TEST(Event, AwaitBlocksUntilItIsReady) {
  PendingEvent pending;
  std::atomic<bool> set = false;
  std::jthread later([&] {
    std::this_thread::sleep_for(20ms);
    set = true;
    pending.set(failure("late"));
  });
  EXPECT_ERROR(pending.event().await(), Aborted, "late");
  EXPECT_TRUE(set);
}

TEST(Event, AwaitForGivesUpAndTheEventStaysUsable) {
  PendingEvent pending;
  EXPECT_FALSE(pending.event().await_for(1ms));
  EXPECT_FALSE(pending.event().await_for(0ms));
  EXPECT_FALSE(pending.event().await_for(-1s));
  pending.set();
  const std::optional<Result<void>> outcome = pending.event().await_for(1ms);
  ASSERT_TRUE(outcome);
  EXPECT_OK(*outcome);
}

TEST(Event, AwaitForEverWaits) {
  PendingEvent pending;
  std::jthread later([&] {
    std::this_thread::sleep_for(20ms);
    pending.set(failure("late"));
  });
  const std::optional<Result<void>> outcome = pending.event().await_for(std::chrono::nanoseconds::max());
  ASSERT_TRUE(outcome) << "it gave up at once";
  EXPECT_ERROR(*outcome, Aborted, "late");
}

// Joined events.

TEST(EventAll, OfNoneIsReady) {
  EXPECT_TRUE(Event::all({}).is_ready());
  EXPECT_OK(Event::all({}).await());
}

TEST(EventAll, OfReadyOnesIsReady) {
  EXPECT_TRUE(Event::all({Event::ready(), Event::ready()}).is_ready());
}

TEST(EventAll, IsReadyWhenTheLastIs) {
  PendingEvent a, b;
  const Event both = Event::all({a.event(), Event::ready(), b.event()});
  EXPECT_FALSE(both.is_ready());
  b.set();
  EXPECT_FALSE(both.is_ready());
  a.set();
  EXPECT_TRUE(both.is_ready());
  EXPECT_OK(both.await());
}

TEST(EventAll, GivesTheFirstErrorByPositionNotByTime) {
  PendingEvent a, b;
  const Event both = Event::all({Event::ready(), a.event(), b.event()});
  b.set(failure("second"));
  a.set(failure("first"));
  EXPECT_ERROR(both.await(), Aborted, "first");
}

TEST(EventAll, WaitsForTheOthersAfterAnError) {
  PendingEvent pending;
  const Event both = Event::all({Event::ready(failure("no")), pending.event()});
  EXPECT_FALSE(both.is_ready());
  pending.set();
  EXPECT_ERROR(both.await(), Aborted, "no");
}

TEST(EventAll, MayHoldTheSameEventTwice) {
  PendingEvent pending;
  const Event both = Event::all({pending.event(), pending.event()});
  pending.set();
  EXPECT_OK(both.await());
}

TEST(EventAll, MayBeNested) {
  PendingEvent pending;
  const Event all = Event::all({Event::all({pending.event()}), Event::all({})});
  EXPECT_FALSE(all.is_ready());
  pending.set(failure("deep"));
  EXPECT_ERROR(all.await(), Aborted, "deep");
}

TEST(EventAll, NeedsNoHandleOfItsParts) {
  PendingEvent pending;
  const Event all = Event::all({pending.event()});
  pending.forget();
  pending.set(failure("no"));
  EXPECT_ERROR(all.await(), Aborted, "no");
}

TEST(EventAll, PartsMayBecomeReadyOnSeveralThreadsAtOnce) {
  for (int round = 0; round < 50; ++round) {
    std::vector<PendingEvent> parts(4);
    std::vector<Event> events;
    for (const PendingEvent& p : parts) events.push_back(p.event());
    const Event all = Event::all(std::move(events));
    std::vector<std::jthread> threads;
    for (PendingEvent& p : parts) threads.emplace_back([&p] { p.set(); });
    EXPECT_OK(all.await());
  }
}

// Callbacks.

TEST(EventOnReady, RunsAtOnceOnThisThreadWhereTheEventIsReady) {
  std::thread::id thread;
  std::string text;
  ASSERT_OK(Event::ready(failure("no")).on_ready([&](const Result<void>& outcome) {
    thread = std::this_thread::get_id();
    text = outcome.error().message();
  }));
  EXPECT_EQ(thread, std::this_thread::get_id());
  EXPECT_EQ(text, "no");
}

// Callbacks that promise not to block, on the thread that makes the event ready.

TEST(EventOnReady, RunsOnceWhenTheEventBecomesReady) {
  PendingEvent pending;
  int calls = 0;
  ASSERT_OK(pending.event().on_ready([&](const Result<void>&) { ++calls; }, RunOn::PluginThread));
  EXPECT_EQ(calls, 0);
  pending.set();
  EXPECT_EQ(calls, 1);
}

TEST(EventOnReady, SeveralRunInTheOrderTheyWereGiven) {
  PendingEvent pending;
  std::vector<int> order;
  for (int i = 0; i < 3; ++i)
    ASSERT_OK(pending.event().on_ready([&order, i](const Result<void>&) { order.push_back(i); }, RunOn::PluginThread));
  pending.set();
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
}

TEST(EventOnReady, RunsThoughTheEventWasDropped) {
  PendingEvent pending;
  std::string text;
  ASSERT_OK(pending.event().on_ready([&](const Result<void>& outcome) { text = outcome.error().message(); },
                                     RunOn::PluginThread));
  pending.forget();
  pending.set(failure("no"));
  EXPECT_EQ(text, "no");
}

TEST(EventOnReady, TakesCallbacksThatCannotBeCopiedAndDropsThemAfterTheCall) {
  PendingEvent pending;
  auto value = std::make_unique<std::shared_ptr<int>>(std::make_shared<int>(7));
  const std::weak_ptr<int> watch = *value;
  int seen = 0;
  ASSERT_OK(pending.event().on_ready([value = std::move(value), &seen](const Result<void>&) { seen = **value; },
                                     RunOn::PluginThread));
  EXPECT_FALSE(watch.expired());
  pending.set();
  EXPECT_EQ(seen, 7);
  EXPECT_TRUE(watch.expired());
}

TEST(EventOnReady, MayUseTheEventInside) {
  PendingEvent pending;
  const Event event = pending.event();
  bool well = false;
  ASSERT_OK(event.on_ready([&, event](const Result<void>&) { well = event.is_ready() && event.await().has_value(); },
                           RunOn::PluginThread));
  pending.set();
  EXPECT_TRUE(well);
}

// Callbacks on the library's own threads.

TEST(EventDispatcher, RunsCallbacksOnAThreadOfItsOwn) {
  PendingEvent pending;
  std::promise<std::thread::id> ran;
  ASSERT_OK(pending.event().on_ready([&](const Result<void>&) { ran.set_value(std::this_thread::get_id()); }));
  pending.set();
  EXPECT_NE(ran.get_future().get(), std::this_thread::get_id());
}

TEST(EventDispatcher, CallbacksThatBlockDoNotKeepOthersFromRunning) {
  // Ten wait for the eleventh, and more threads are started than usually run.
  std::promise<void> last;
  const std::shared_future<void> eleventh = last.get_future().share();
  std::atomic<int> done{0};
  for (int i = 0; i < 10; ++i) {
    PendingEvent pending;
    ASSERT_OK(pending.event().on_ready([&, eleventh](const Result<void>&) {
      eleventh.wait();
      ++done;
    }));
    pending.set();
  }
  PendingEvent pending;
  ASSERT_OK(pending.event().on_ready([&](const Result<void>&) { last.set_value(); }));
  pending.set();
  while (done < 10) std::this_thread::yield();
  EXPECT_EQ(done, 10);
}

TEST(EventDispatcher, RunsEveryOneOfManyCallbacks) {
  std::atomic<int> calls{0};
  for (int i = 0; i < 5000; ++i) {
    PendingEvent pending;
    ASSERT_OK(pending.event().on_ready([&](const Result<void>&) { ++calls; }));
    pending.set();
  }
  while (calls < 5000) std::this_thread::yield();
  EXPECT_EQ(calls, 5000);
}

// Long chains need no deep stack, and chains of what is ready no memory.

TEST(EventAll, AddingReadyEventsInALoopBuildsNoChain) {
  PendingEvent pending;
  Event all = pending.event();
  for (int i = 0; i < 1000000; ++i) all = Event::all({all, Event::ready()});
  EXPECT_EQ(all.state(), pending.event().state());
  pending.set();
  EXPECT_OK(all.await());
}

TEST(EventAll, LongChainsOfPendingEventsCompleteAndGo) {
  PendingEvent first;
  PendingEvent other;
  Event all = first.event();
  for (int i = 0; i < 200000; ++i) all = Event::all({all, other.event()});
  other.set();
  EXPECT_FALSE(all.is_ready());
  first.set(failure("no"));
  EXPECT_ERROR(all.await(), Aborted, "no");
}

TEST(EventAll, LongChainsMayBeAbandoned) {
  PendingEvent first;
  PendingEvent other;
  {
    Event all = first.event();
    for (int i = 0; i < 200000; ++i) all = Event::all({all, other.event()});
  }
  first.set();
  other.set();
}

// Exceptions that callbacks let out.

/// Installs a handler that notes what it is told, for the time of a test.
class CallbackException : public ::testing::Test {
 protected:
  CallbackException() {
    place.clear();
    what.clear();
    before = on_callback_exception([](const char* where) noexcept {
      place = where;
      try {
        throw;
      } catch (const std::exception& e) {
        what = e.what();
      } catch (...) {
        what = "something else";
      }
    });
  }
  ~CallbackException() override { on_callback_exception(before); }

  static inline std::string place, what;
  CallbackExceptionHandler before = nullptr;
};

TEST_F(CallbackException, OfAReadyEventGoesToTheHandler) {
  EXPECT_OK(Event::ready().on_ready([](const Result<void>&) { throw std::runtime_error("oops"); }));
  EXPECT_EQ(place, "an event callback");
  EXPECT_EQ(what, "oops");
}

TEST_F(CallbackException, OfAPendingEventGoesToTheHandler) {
  PendingEvent pending;
  ASSERT_OK(pending.event().on_ready([](const Result<void>&) { throw 5; }, RunOn::PluginThread));
  pending.set();
  EXPECT_EQ(what, "something else");
}

TEST_F(CallbackException, DoesNotKeepOthersFromRunning) {
  PendingEvent pending;
  bool ran = false;
  ASSERT_OK(
      pending.event().on_ready([](const Result<void>&) { throw std::runtime_error("oops"); }, RunOn::PluginThread));
  ASSERT_OK(pending.event().on_ready([&](const Result<void>&) { ran = true; }, RunOn::PluginThread));
  pending.set();
  EXPECT_TRUE(ran);
}

TEST(CallbackExceptionHandler, InstallingOneGivesTheOneBefore) {
  const CallbackExceptionHandler mine = [](const char*) noexcept {};
  const CallbackExceptionHandler before = on_callback_exception(mine);
  EXPECT_EQ(on_callback_exception(before), mine);
}

TEST(CallbackExceptionHandler, DefaultWritesOneLineToStderr) {
  on_callback_exception(on_callback_exception(nullptr));
  ::testing::internal::CaptureStderr();
  EXPECT_OK(Event::ready().on_ready([](const Result<void>&) { throw std::runtime_error("oops"); }));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "pjrt: an event callback threw: oops\n");
}

// Coroutines of a type that knows nothing of this library.

struct Task {
  struct promise_type {
    Task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

struct Seen {
  bool done = false;
  Result<void> outcome;
  std::thread::id thread;
};

Task wait_for(Event event, Seen& seen) {
  seen.outcome = co_await on_plugin_thread(std::move(event));
  seen.thread = std::this_thread::get_id();
  seen.done = true;
}

TEST(EventCoAwait, ReadyEventDoesNotSuspend) {
  Seen seen;
  wait_for(Event::ready(failure("no")), seen);
  EXPECT_TRUE(seen.done);
  EXPECT_ERROR(seen.outcome, Aborted, "no");
}

TEST(EventCoAwait, PendingEventSuspendsAndResumesWhereItBecomesReady) {
  PendingEvent pending;
  Seen seen;
  wait_for(pending.event(), seen);
  EXPECT_FALSE(seen.done);
  std::thread::id setter;
  std::thread([&] {
    setter = std::this_thread::get_id();
    pending.set(failure("no"));
  }).join();
  EXPECT_TRUE(seen.done);
  EXPECT_EQ(seen.thread, setter);
  EXPECT_ERROR(seen.outcome, Aborted, "no");
}

TEST(EventCoAwait, EventThatBecomesReadyWhileSuspendingResumesOnce) {
  for (int round = 0; round < 200; ++round) {
    PendingEvent pending;
    auto seen = std::make_unique<Seen>();
    std::jthread setter([&] { pending.set(); });
    wait_for(pending.event(), *seen);
    setter.join();
    EXPECT_TRUE(seen->done);
  }
}

TEST(EventCoAwait, CoroutinesThatWaitAreResumedWhereTheyMayBlock) {
  PendingEvent pending;
  std::promise<std::thread::id> resumed;
  const auto run = [](Event event, std::promise<std::thread::id>& where) -> Task {
    EXPECT_OK(co_await event);
    where.set_value(std::this_thread::get_id());
  };
  run(pending.event(), resumed);
  pending.set();
  EXPECT_NE(resumed.get_future().get(), std::this_thread::get_id());
}

TEST(EventCoAwait, SeveralInARow) {
  std::vector<PendingEvent> pending(3);
  int passed = 0;
  const auto run = [](std::vector<PendingEvent>& events, int& count) -> Task {
    for (PendingEvent& p : events) {
      if (co_await on_plugin_thread(p.event())) ++count;
    }
  };
  run(pending, passed);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(passed, i);
    pending[static_cast<std::size_t>(i)].set();
  }
  EXPECT_EQ(passed, 3);
}

}  // namespace
}  // namespace pjrt
