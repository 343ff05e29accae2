#include "pjrt/future.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <coroutine>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "support/matchers.hpp"
#include "support/pending_event.hpp"

namespace pjrt {
namespace {

using namespace std::chrono_literals;
using test::PendingEvent;
using test::value_of;

Result<void> failure(const char* message) {
  return std::unexpected(Error(ErrorCode::Aborted, message));
}

TEST(Future, AwaitGivesTheValue) {
  EXPECT_EQ(value_of(Future<int>(Event::ready(), 7).await()), 7);
}

TEST(Future, ValueIsTakenOnce) {
  Future<int> future(Event::ready(), 7);
  EXPECT_OK(future.await());
  EXPECT_ERROR(future.await(), FailedPrecondition, "has been taken already");
  EXPECT_ERROR(*future.await_for(1ms), FailedPrecondition, "has been taken already");
}

TEST(Future, FailedOneGivesTheErrorEachTime) {
  Future<int> future(Error(ErrorCode::NotFound, "nothing"));
  EXPECT_TRUE(future.is_ready());
  EXPECT_ERROR(future.await(), NotFound, "nothing");
  EXPECT_ERROR(future.await(), NotFound, "nothing");
  EXPECT_ERROR(*future.await_for(1ms), NotFound, "nothing");
}

TEST(Future, FailedEventGivesItsErrorInsteadOfTheValue) {
  EXPECT_ERROR(Future<int>(Event::ready(failure("no")), 7).await(), Aborted, "no");
}

TEST(Future, IsMovedNotCopied) {
  static_assert(!std::is_copy_constructible_v<Future<int>>);
  static_assert(std::is_nothrow_move_constructible_v<Future<int>>);
  static_assert(std::is_nothrow_move_assignable_v<Future<int>>);
}

TEST(Future, HoldsValuesThatCannotBeCopied) {
  Future<std::unique_ptr<int>> future(Event::ready(), std::make_unique<int>(7));
  EXPECT_EQ(*value_of(future.await()), 7);
}

TEST(Future, MovedFromOneHasNoValue) {
  Future<int> future(Event::ready(), 7);
  Future<int> other = std::move(future);
  EXPECT_ERROR(future.await(), FailedPrecondition, "has been taken already");
  EXPECT_EQ(value_of(other.await()), 7);
}

TEST(Future, AwaitWaitsForTheEvent) {
  PendingEvent pending;
  Future<int> future(pending.event(), 7);
  EXPECT_FALSE(future.is_ready());
  std::jthread later([&] {
    std::this_thread::sleep_for(10ms);
    pending.set();
  });
  EXPECT_EQ(value_of(future.await()), 7);
}

TEST(Future, AwaitForGivesUpAndTheFutureStaysUsable) {
  PendingEvent pending;
  Future<int> future(pending.event(), 7);
  EXPECT_FALSE(future.await_for(1ms));
  pending.set();
  EXPECT_EQ(value_of(*future.await_for(1ms)), 7);
}

TEST(Future, DroppedOneKeepsItsValueUntilTheEventIsReady) {  // the plugin may still write to it
  PendingEvent pending;
  auto value = std::make_shared<int>(7);
  const std::weak_ptr<int> watch = value;
  {
    const Future<std::shared_ptr<int>> dropped(pending.event(), std::move(value));
  }
  EXPECT_FALSE(watch.expired());
  pending.set();
  EXPECT_TRUE(watch.expired());
}

TEST(Future, DroppedReadyOneDropsItsValue) {
  auto value = std::make_shared<int>(7);
  const std::weak_ptr<int> watch = value;
  {
    const Future<std::shared_ptr<int>> dropped(Event::ready(), std::move(value));
  }
  EXPECT_TRUE(watch.expired());
}

TEST(Future, AssignmentKeepsTheOldValueUntilItsEventIsReady) {
  PendingEvent pending;
  auto value = std::make_shared<int>(7);
  const std::weak_ptr<int> watch = value;
  Future<std::shared_ptr<int>> future(pending.event(), std::move(value));
  future = Future<std::shared_ptr<int>>(Event::ready(), std::make_shared<int>(8));
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(*value_of(future.await()), 8);
  pending.set();
  EXPECT_TRUE(watch.expired());
}

TEST(Future, SelfMoveKeepsTheValue) {
  Future<int> future(Event::ready(), 7);
  Future<int>& same = future;
  future = std::move(same);
  EXPECT_EQ(value_of(future.await()), 7);
}

// In a coroutine.

struct Task {
  struct promise_type {
    Task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Task wait_for(Future<std::string> future, std::promise<Result<std::string>> result) {
  result.set_value(co_await future);
}

/// What a coroutine gets that waits for the future.
std::future<Result<std::string>> awaited(Future<std::string> future) {
  std::promise<Result<std::string>> result;
  std::future<Result<std::string>> taken = result.get_future();
  wait_for(std::move(future), std::move(result));
  return taken;
}

TEST(FutureCoAwait, ReadyOneGivesItsValueWithoutSuspending) {
  std::future<Result<std::string>> result = awaited(Future<std::string>(Event::ready(), "value"));
  ASSERT_EQ(result.wait_for(0s), std::future_status::ready);
  EXPECT_EQ(value_of(result.get()), "value");
}

TEST(FutureCoAwait, PendingOneGivesItsValueLater) {
  PendingEvent pending;
  std::future<Result<std::string>> result = awaited(Future<std::string>(pending.event(), "value"));
  EXPECT_EQ(result.wait_for(0s), std::future_status::timeout);
  pending.set();
  EXPECT_EQ(value_of(result.get()), "value");
}

TEST(FutureCoAwait, FailedOneGivesItsError) {
  std::future<Result<std::string>> result = awaited(Future<std::string>(Error(ErrorCode::NotFound, "nothing")));
  EXPECT_ERROR(result.get(), NotFound, "nothing");
}

}  // namespace
}  // namespace pjrt
