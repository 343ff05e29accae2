// Events and futures of real plugins: of work that is done, under way, failed and never to be done, and those that we
// set.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using namespace std::chrono_literals;
using test::value_of;
using Floats = std::vector<float>;

class Events : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Buffer three() const { return value_of(client.upload(Floats{1, 2, 3}, {3})); }
  /// Contents that come when the test says so.
  AliasBuffer pending() const {
    return value_of(
        client.create_alias_buffer(Shape{ElementType::F32, {3}}, value_of(client.devices().front().default_memory())));
  }
  static Error nothing_came() { return Error(ErrorCode::DataLoss, "nothing came"); }
  bool can_create() const { return GetParam() != "cpu-0.81"; }

  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, Events, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Events, AreNotReadyBeforeTheirTime) {
  AliasBuffer alias = pending();
  const Event ready = alias.buffer.ready();
  EXPECT_FALSE(ready.is_ready());
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  EXPECT_OK(ready.await());
  EXPECT_TRUE(ready.is_ready());
}

TEST_P(Events, AreNotAskedForAnErrorBeforeTheirTime) {  // every plugin aborts
  AliasBuffer alias = pending();
  const Event ready = alias.buffer.ready();
  EXPECT_ERROR(ready.outcome(), FailedPrecondition, "not ready");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Event_Error"), 0);
  ASSERT_OK(alias.fulfillment.fulfill(three()));
}

TEST_P(Events, GiveTheirErrorAsOftenAsTheyAreAsked) {
  AliasBuffer alias = pending();
  const Event ready = alias.buffer.ready();
  ASSERT_OK(alias.fulfillment.fail(nothing_came()));
  for (int i = 0; i < 3; ++i) {
    EXPECT_ERROR(ready.await(), DataLoss, "nothing came");
    EXPECT_ERROR(ready.outcome(), DataLoss, "nothing came");
  }
}

TEST_P(Events, AreWaitedForInVainForAWhile) {
  AliasBuffer alias = pending();
  const Event ready = alias.buffer.ready();
  EXPECT_EQ(ready.await_for(20ms), std::nullopt);
  EXPECT_EQ(ready.await_for(0ms), std::nullopt);
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  const std::optional<Result<void>> outcome = ready.await_for(std::chrono::nanoseconds::max());
  ASSERT_TRUE(outcome);
  EXPECT_OK(*outcome);
}

TEST_P(Events, WakeUpEveryThreadThatWaits) {
  AliasBuffer alias = pending();
  const Event ready = alias.buffer.ready();
  std::atomic<int> awake{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const Result<void> outcome = t % 2 == 0 ? ready.await() : ready.await_for(60s).value();
      if (outcome) ++awake;
    });
  }
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(awake, 8);
}

TEST_P(Events, CallBackAtOnceWhenTheyAreReady) {
  const Event ready = three().ready();
  ASSERT_OK(ready.await());
  std::optional<std::thread::id> thread;
  ASSERT_OK(ready.on_ready([&](const Result<void>&) { thread = std::this_thread::get_id(); }));
  EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST_P(Events, CallBackLaterWhenTheyAreNot) {
  AliasBuffer alias = pending();
  std::atomic<int> calls{0};
  ASSERT_OK(alias.buffer.ready().on_ready([&](const Result<void>& outcome) {  // the event is dropped at once
    EXPECT_OK(outcome);
    ++calls;
  }));
  EXPECT_EQ(calls, 0);
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  ASSERT_OK(alias.buffer.ready().await());
  while (calls == 0) std::this_thread::yield();
  EXPECT_EQ(calls, 1);
}

TEST_P(Events, CallBackWithTheError) {
  AliasBuffer alias = pending();
  std::atomic<bool> called{false};
  Result<void> seen;
  ASSERT_OK(alias.buffer.ready().on_ready([&](Result<void> outcome) {
    seen = std::move(outcome);
    called = true;
  }));
  ASSERT_OK(alias.fulfillment.fail(nothing_came()));
  while (!called) std::this_thread::yield();
  EXPECT_ERROR(seen, DataLoss, "nothing came");
}

TEST_P(Events, CallBackEveryoneThatAskedFromAnyThread) {
  for (int round = 0; round < 20; ++round) {
    AliasBuffer alias = pending();
    const Event ready = alias.buffer.ready();
    std::atomic<int> calls{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 10; ++i) ASSERT_OK(ready.on_ready([&](const Result<void>&) { ++calls; }));
      });
    }
    ASSERT_OK(alias.fulfillment.fulfill(three()));  // while they ask
    for (std::thread& thread : threads) thread.join();
    ASSERT_OK(ready.await());
    while (calls < 40) std::this_thread::yield();
    EXPECT_EQ(calls, 40);
  }
}

TEST_P(Events, CallBackMayTransferAndDropHandles) {
  AliasBuffer alias = pending();
  auto buffer = std::make_shared<std::optional<Buffer>>(std::move(alias.buffer));
  std::atomic<bool> done{false};
  Floats seen;
  ASSERT_OK((*buffer)->ready().on_ready([&, buffer](const Result<void>&) {
    Future<HostBuffer> host = (*buffer)->to_host_async();
    seen = value_of(value_of(host.await()).to_vector<float>());
    buffer->reset();
    done = true;
  }));
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  while (!done) std::this_thread::yield();
  EXPECT_EQ(seen, (Floats{1, 2, 3}));
}

TEST_P(Events, CallBacksThatThrowAreReportedAndStopThere) {  // 0.106 would crash
  static std::atomic<int> reports{0};
  const CallbackExceptionHandler before = on_callback_exception([](const char*) noexcept { ++reports; });
  AliasBuffer alias = pending();
  ASSERT_OK(alias.buffer.ready().on_ready([](const Result<void>&) { throw std::runtime_error("oops"); }));
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  ASSERT_OK(alias.buffer.ready().await());
  ASSERT_OK(alias.buffer.ready().on_ready([](const Result<void>&) { throw 7; }));  // inline
  while (reports < 2) std::this_thread::yield();
  on_callback_exception(before);
  EXPECT_EQ(reports, 2);
}

TEST_P(Events, OutliveBufferAndClient) {
  std::optional<Client> other = test::make_client(client.plugin());
  std::optional<Buffer> buffer = value_of(other->upload(Floats{1, 2, 3}, {3}));
  const Event ready = buffer->ready();
  buffer.reset();
  other.reset();
  EXPECT_OK(ready.await());
}

TEST_P(Events, DroppedBeforeTheirTimeKeepTheirClientUntilThen) {  // 0.106 crashes when it goes during a download
  for (int i = 0; i < 20; ++i) {
    std::optional<Client> other = test::make_client(client.plugin());
    std::optional<Buffer> buffer = value_of(other->upload(Floats(1 << 16, 1), {1 << 16}));
    other.reset();
    std::optional<Future<HostBuffer>> download = buffer->to_host_async();
    buffer.reset();
    download.reset();
  }
}

TEST_P(Events, OfAllAreReadyWithTheLast) {
  AliasBuffer first = pending();
  AliasBuffer second = pending();
  const Event all = Event::all({first.buffer.ready(), three().ready(), second.buffer.ready()});
  ASSERT_OK(first.fulfillment.fulfill(three()));
  EXPECT_EQ(all.await_for(10ms), std::nullopt);
  ASSERT_OK(second.fulfillment.fail(nothing_came()));
  EXPECT_ERROR(all.await(), DataLoss, "nothing came");
}

TEST_P(Events, OfOneBufferMayBeTakenByManyThreads) {
  const Buffer buffer = three();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) ASSERT_OK(buffer.ready().await());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(Events, AreDestroyedAsOftenAsTheyAreMade) {
  const std::int64_t before = test::calls_of(GetParam(), "PJRT_Event_Destroy");
  const std::int64_t made = test::calls_of(GetParam(), "PJRT_Buffer_ReadyEvent");
  const Buffer buffer = three();
  const std::int64_t uploaded = test::calls_of(GetParam(), "PJRT_Event_Destroy") - before;
  {
    const Event ready = buffer.ready();
    const Event copy = ready;
    const Event all = Event::all({copy, buffer.ready()});
    ASSERT_OK(all.await());
  }
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Event_Destroy") - before - uploaded,
            test::calls_of(GetParam(), "PJRT_Buffer_ReadyEvent") - made);
}

// Coroutines.

/// A coroutine that runs at once and whose end somebody else notices.
struct Started {
  struct promise_type {
    Started get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

TEST_P(Events, AreAwaitedByCoroutines) {
  AliasBuffer alias = pending();
  std::atomic<bool> done{false};
  Floats seen;
  [](const Buffer& buffer, Floats& out, std::atomic<bool>& end) -> Started {
    EXPECT_OK(co_await buffer.ready());
    Future<HostBuffer> host = buffer.to_host_async();
    out = value_of(value_of(co_await host).to_vector<float>());
    end = true;
  }(alias.buffer, seen, done);
  EXPECT_FALSE(done);
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  while (!done) std::this_thread::yield();
  EXPECT_EQ(seen, (Floats{1, 2, 3}));
}

// Futures.

TEST_P(Events, OfFuturesSayWhenTheValueIsThere) {
  AliasBuffer alias = pending();
  Future<HostBuffer> host = alias.buffer.to_host_async();
  EXPECT_FALSE(host.is_ready());
  EXPECT_FALSE(host.await_for(10ms));
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  ASSERT_OK(host.event().await());
  EXPECT_TRUE(host.is_ready());
  EXPECT_EQ(value_of(value_of(host.await_for(1s).value()).to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Events, OfFuturesHaveTheirValueTakenOnce) {
  Future<HostBuffer> host = three().to_host_async();
  EXPECT_OK(host.await());
  EXPECT_ERROR(host.await(), FailedPrecondition, "taken already");
  EXPECT_ERROR(host.await_for(1s).value(), FailedPrecondition, "taken already");
}

TEST_P(Events, OfFuturesMayBeMoved) {
  AliasBuffer alias = pending();
  Future<HostBuffer> first = alias.buffer.to_host_async();
  Future<HostBuffer> second = three().to_host_async();
  second = std::move(first);
  EXPECT_ERROR(first.await(), FailedPrecondition, "");
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  EXPECT_EQ(value_of(value_of(second.await()).to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Events, OfFuturesKeepTheMemoryThatIsStillWrittenTo) {
  AliasBuffer alias = pending();
  {
    const Future<HostBuffer> dropped = alias.buffer.to_host_async();
  }
  ASSERT_OK(alias.fulfillment.fulfill(three()));  // ASan would see the copy
  EXPECT_EQ(value_of(alias.buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

// Events that we set.

TEST_P(Events, AreCreatedSinceApi089) {
  if (can_create()) GTEST_SKIP() << GetParam() << " has it";
  EXPECT_ERROR(Event::create(client.plugin()), Unimplemented, "0.89");
}

#define REQUIRE_CREATION() \
  if (!can_create()) GTEST_SKIP() << "no PJRT_Event_Create in " << GetParam()

TEST_P(Events, OfOursAreReadyWhenWeSaySo) {
  REQUIRE_CREATION();
  auto [event, setter] = value_of(Event::create(client.plugin()));
  EXPECT_FALSE(event.is_ready());
  EXPECT_ERROR(event.outcome(), FailedPrecondition, "not ready");
  ASSERT_OK(setter.set());
  EXPECT_TRUE(event.is_ready());
  EXPECT_OK(event.await());
  EXPECT_OK(event.outcome());
}

TEST_P(Events, OfOursFailAsWeSay) {
  REQUIRE_CREATION();
  auto [event, setter] = value_of(Event::create(client.plugin()));
  ASSERT_OK(setter.set(std::unexpected(nothing_came())));
  EXPECT_ERROR(event.await(), DataLoss, "nothing came");
  EXPECT_ERROR(event.outcome(), DataLoss, "nothing came");
}

TEST_P(Events, OfOursAreSetOnce) {  // the plugins abort the second time
  REQUIRE_CREATION();
  auto [event, setter] = value_of(Event::create(client.plugin()));
  ASSERT_OK(setter.set());
  EXPECT_ERROR(setter.set(), FailedPrecondition, "already");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Event_Set"), 1);
}

TEST_P(Events, OfOursAreSetByOneOfManyThreads) {
  REQUIRE_CREATION();
  for (int round = 0; round < 50; ++round) {
    auto [event, setter] = value_of(Event::create(client.plugin()));
    std::atomic<int> successes{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, &s = setter] { successes += s.set().has_value(); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(successes, 1);
    EXPECT_OK(event.await());
  }
}

TEST_P(Events, OfOursAreCancelledWhenNobodyCanSetThem) {
  REQUIRE_CREATION();
  const Event event = [&] { return value_of(Event::create(client.plugin())).first; }();
  EXPECT_ERROR(event.await(), Cancelled, "abandoned");
}

TEST_P(Events, OfOursMayBeDroppedBeforeTheyAreSet) {
  REQUIRE_CREATION();
  std::atomic<int> calls{0};
  EventSetter setter = [&] {
    auto [event, s] = value_of(Event::create(client.plugin()));
    EXPECT_OK(event.on_ready([&](const Result<void>& outcome) {
      EXPECT_OK(outcome);
      ++calls;
    }));
    return std::move(s);
  }();
  EXPECT_EQ(calls, 0);
  ASSERT_OK(setter.set());
  while (calls == 0) std::this_thread::yield();
  EXPECT_EQ(calls, 1);
}

TEST_P(Events, OfOursSettersMayBeMovedAndReplaced) {
  REQUIRE_CREATION();
  auto [first, a] = value_of(Event::create(client.plugin()));
  auto [second, b] = value_of(Event::create(client.plugin()));
  a = std::move(b);
  EXPECT_ERROR(first.await(), Cancelled, "abandoned");
  EXPECT_ERROR(b.set(), FailedPrecondition, "already");
  ASSERT_OK(a.set());
  EXPECT_OK(second.await());
}

}  // namespace
}  // namespace pjrt
