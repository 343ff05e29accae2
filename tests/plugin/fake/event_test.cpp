// Events of a plugin that stay pending as long as the test wants.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <optional>
#include <thread>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using namespace std::chrono_literals;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FakeEvents : public test::OnFake {
 protected:
  /// The event of a buffer whose contents come when events are released.
  Event pending() {
    fake.hold_events();
    buffer_.emplace(value_of(client_.upload(1.0f)));
    return buffer_->ready();
  }
  std::size_t calls(std::string_view function) {
    return static_cast<std::size_t>(std::ranges::count(fake.calls(), function, &fake::Call::function));
  }

  Client client_ = make_client();
  std::optional<Buffer> buffer_;
};

TEST_F(FakeEvents, IsNotReadyUntilThePluginSaysSo) {
  const Event e = pending();
  EXPECT_FALSE(e.is_ready());
  fake.release_events();
  EXPECT_TRUE(e.is_ready());
  EXPECT_OK(e.outcome());
}

TEST_F(FakeEvents, OutcomeIsNotAskedForBeforeItIsReady) {
  const Event e = pending();
  EXPECT_ERROR(e.outcome(), FailedPrecondition, "not ready");
  EXPECT_EQ(calls("PJRT_Event_Error"), 0u);  // plugins abort at that
  fake.release_events();
  EXPECT_OK(e.outcome());
  EXPECT_EQ(calls("PJRT_Event_Error"), 1u);
}

TEST_F(FakeEvents, AwaitBlocksUntilAnotherThreadReleasesIt) {
  const Event e = pending();
  std::atomic<bool> released = false;
  std::jthread later([&] {
    std::this_thread::sleep_for(20ms);
    released = true;
    fake.release_events();
  });
  EXPECT_OK(e.await());
  EXPECT_TRUE(released);
}

TEST_F(FakeEvents, AwaitForGivesUpAndTheEventStaysUsable) {
  const Event e = pending();
  EXPECT_FALSE(e.await_for(0ms));
  EXPECT_FALSE(e.await_for(5ms));
  fake.release_events();
  const auto outcome = e.await_for(0ms);
  ASSERT_TRUE(outcome);
  EXPECT_OK(*outcome);
}

TEST_F(FakeEvents, AwaitForWakesUpWhenItIsReleased) {
  const Event e = pending();
  std::jthread later([&] {
    std::this_thread::sleep_for(10ms);
    fake.release_events();
  });
  EXPECT_TRUE(e.await_for(60s));
}

TEST_F(FakeEvents, AwaitForGivesTheErrorThatCame) {
  const Event e = pending();
  fake.release_events(fake::Failure{ErrorCode::DataLoss, "gone"});
  const auto outcome = e.await_for(1s);
  ASSERT_TRUE(outcome);
  EXPECT_ERROR(*outcome, DataLoss, "gone");
}

TEST_F(FakeEvents, TheOutcomeMayBeAskedForManyTimes) {
  const Event e = pending();
  fake.release_events(fake::Failure{ErrorCode::DataLoss, "gone", {{"key", "value"}}});
  for (int i = 0; i < 3; ++i) {
    EXPECT_ERROR(e.await(), DataLoss, "gone");
    EXPECT_ERROR(e.outcome(), DataLoss, "gone");
  }
  const Error error = e.outcome().error();
  EXPECT_THAT(error.payloads(), ElementsAre(ErrorPayload{"key", "value"}));
}

TEST_F(FakeEvents, CallbacksRunOnTheThreadThatReleasesThem) {
  const Event e = pending();
  std::thread::id where;
  EXPECT_OK(e.on_ready(
      [&](const Result<void>& outcome) {
        EXPECT_OK(outcome);
        where = std::this_thread::get_id();
      },
      RunOn::PluginThread));
  EXPECT_EQ(where, std::thread::id());
  std::thread::id releaser;
  std::jthread([&] {
    releaser = std::this_thread::get_id();
    fake.release_events();
  }).join();
  EXPECT_EQ(where, releaser);
}

TEST_F(FakeEvents, CallbacksGetTheErrorWithItsPayloads) {
  const Event e = pending();
  std::optional<Error> error;
  EXPECT_OK(e.on_ready([&](const Result<void>& outcome) { error = outcome.error(); }, RunOn::PluginThread));
  fake.release_events(
      fake::Failure{ErrorCode::Unavailable, "preempted", {{"a", "1"}, {"b", std::string("\0\xff", 2)}}});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::Unavailable);
  EXPECT_EQ(error->message(), "preempted");
  EXPECT_THAT(error->payloads(), ElementsAre(ErrorPayload{"a", "1"}, ErrorPayload{"b", std::string("\0\xff", 2)}));
}

TEST_F(FakeEvents, SeveralCallbacksRunInTheOrderTheyWereGiven) {
  const Event e = pending();
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) EXPECT_OK(e.on_ready([&order, i](auto&&) { order.push_back(i); }, RunOn::PluginThread));
  fake.release_events();
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
}

TEST_F(FakeEvents, CallbackOfADroppedEventRunsAllTheSame) {
  bool ran = false;
  {
    const Event e = pending();
    EXPECT_OK(e.on_ready([&](auto&&) { ran = true; }, RunOn::PluginThread));
  }
  EXPECT_THAT(fake.live(), ::testing::Contains(::testing::Key("client")));
  EXPECT_THAT(fake.live(), ::testing::Not(::testing::Contains(::testing::Key("event"))));
  EXPECT_FALSE(ran);
  fake.release_events();
  EXPECT_TRUE(ran);
}

TEST_F(FakeEvents, DroppedUnheardIsNoLeak) {
  pending();
  EXPECT_THAT(fake.live(), ::testing::Not(::testing::Contains(::testing::Key("event"))));
  fake.release_events(fake::Failure{ErrorCode::DataLoss, "nobody hears it"});
}

TEST_F(FakeEvents, ACallbackMayDropTheEventAndItsClient) {
  fake.hold_events();
  std::optional<Client> own = make_client();
  std::optional<Buffer> buffer = value_of(own->upload(1.0f));
  std::optional<Event> e = buffer->ready();
  EXPECT_OK(e->on_ready(
      [&](auto&&) {
        e.reset();
        buffer.reset();
        own.reset();
      },
      RunOn::PluginThread));
  fake.release_events();
  // The client goes on a thread of its own, for its plugin's threads may be waited for.
  for (int i = 0; i < 1000 && fake.live()["client"] > 1; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(fake.live()["client"], 1);  // the fixture's
}

TEST_F(FakeEvents, AllWaitsForTheLastAndTellsTheFirstErrorByPosition) {
  auto [first, set_first] = value_of(Event::create(plugin));
  auto [second, set_second] = value_of(Event::create(plugin));
  const Event all = Event::all({first, second});
  EXPECT_OK(set_second.set(std::unexpected(Error(ErrorCode::Aborted, "second"))));
  EXPECT_FALSE(all.is_ready());
  EXPECT_OK(set_first.set(std::unexpected(Error(ErrorCode::Cancelled, "first"))));
  EXPECT_TRUE(all.is_ready());
  EXPECT_ERROR(all.await(), Cancelled, "first");
}

TEST_F(FakeEvents, ASetterThatIsDroppedCancelsTheEvent) {
  std::optional<Event> kept;
  {
    auto [event, setter] = value_of(Event::create(plugin));
    kept = event;
  }
  EXPECT_ERROR(kept->await(), Cancelled, "the event was abandoned before it was set");
}

TEST_F(FakeEvents, SetTwiceReachesThePluginOnce) {
  auto [event, setter] = value_of(Event::create(plugin));
  EXPECT_OK(setter.set());
  EXPECT_ERROR(setter.set(), FailedPrecondition, "set already");
  EXPECT_EQ(calls("PJRT_Event_Set"), 1u);  // plugins abort at a second one
  EXPECT_OK(event.await());
}

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

TEST_F(FakeEvents, ACoroutineGoesOnWhenTheEventIsReleased) {
  std::optional<Result<void>> outcome;
  const auto wait = [](Event e, std::optional<Result<void>>& out) -> Detached { out = co_await on_plugin_thread(e); };
  wait(pending(), outcome);
  EXPECT_FALSE(outcome);
  fake.release_events(fake::Failure{ErrorCode::Aborted, "no"});
  ASSERT_TRUE(outcome);
  EXPECT_ERROR(*outcome, Aborted, "no");
}

TEST_F(FakeEvents, WhatCannotBeRegisteredIsAnErrorAndIsNotCalled) {
  const Event e = pending();
  fake.fail<test::fn::PJRT_Event_OnReady>(ErrorCode::ResourceExhausted, "full");
  bool ran = false;
  EXPECT_ERROR(e.on_ready([&](auto&&) { ran = true; }), ResourceExhausted, "full");
  fake.release_events();
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace pjrt
