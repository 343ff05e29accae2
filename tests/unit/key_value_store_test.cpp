#include "pjrt/key_value_store.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/matchers.hpp"

namespace pjrt {
namespace {

using namespace std::chrono_literals;
using test::value_of;

TEST(InMemoryKeyValueStore, GivesWhatWasPut) {
  InMemoryKeyValueStore store;
  ASSERT_OK(store.put("key", "value"));
  EXPECT_EQ(value_of(store.get("key", 0ms)), "value");
  EXPECT_EQ(value_of(store.try_get("key")), "value");
}

TEST(InMemoryKeyValueStore, ValuesMayBeBinaryOrEmpty) {
  InMemoryKeyValueStore store;
  const std::string binary("a\0b\xff", 4);
  ASSERT_OK(store.put("binary", binary));
  ASSERT_OK(store.put("empty", ""));
  EXPECT_EQ(value_of(store.try_get("binary")), binary);
  EXPECT_EQ(value_of(store.try_get("empty")), "");
}

TEST(InMemoryKeyValueStore, PutReplacesAnOldValue) {
  InMemoryKeyValueStore store;
  ASSERT_OK(store.put("key", "old"));
  ASSERT_OK(store.put("key", "new"));
  EXPECT_EQ(value_of(store.try_get("key")), "new");
}

TEST(InMemoryKeyValueStore, TryGetOfNothingIsNotFound) {
  InMemoryKeyValueStore store;
  EXPECT_ERROR(store.try_get("key"), NotFound, "no value for key 'key'");
}

TEST(InMemoryKeyValueStore, GetGivesUpAfterTheTimeout) {
  InMemoryKeyValueStore store;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_ERROR(store.get("key", 20ms), DeadlineExceeded, "no value for key 'key' after 20 ms");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 20ms);
}

TEST(InMemoryKeyValueStore, GetWaitsForAPut) {
  InMemoryKeyValueStore store;
  std::jthread later([&] {
    std::this_thread::sleep_for(10ms);
    EXPECT_OK(store.put("other", "1"));
    EXPECT_OK(store.put("key", "2"));
  });
  EXPECT_EQ(value_of(store.get("key", 60s)), "2");
}

TEST(InMemoryKeyValueStore, GetMayWaitForEver) {
  InMemoryKeyValueStore store;
  std::jthread later([&] {
    std::this_thread::sleep_for(10ms);
    EXPECT_OK(store.put("key", "value"));
  });
  EXPECT_EQ(value_of(store.get("key", std::chrono::milliseconds::max())), "value");
}

TEST(InMemoryKeyValueStore, ServesManyThreads) {
  InMemoryKeyValueStore store;
  constexpr int kThreads = 4, kKeys = 200;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&store, t] {
      for (int k = 0; k < kKeys; ++k) {
        EXPECT_OK(store.put(std::to_string(t) + "/" + std::to_string(k), std::to_string(k)));
        const std::string neighbour = std::to_string((t + 1) % kThreads) + "/" + std::to_string(k);
        EXPECT_EQ(value_of(store.get(neighbour, 60s)), std::to_string(k));
      }
    });
  }
}

}  // namespace
}  // namespace pjrt
