// A key-value store behind a client, asked as plugins ask: with arguments they did not initialize.

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <expected>
#include <stdexcept>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using namespace std::chrono_literals;
using test::value_of;

/// The plugin's side of the callbacks: what it was given when the client was made.
class Asker {
 public:
  Asker(fake::FakePlugin& fake, const abi::PJRT_Client_Create_Args& args) : fake_(fake), args_(args) {}

  std::expected<std::string, fake::Failure> get(const std::string& key, int timeout_ms) const {
    auto a = dirty<abi::PJRT_KeyValueGetCallback_Args>(key, args_.kv_get_user_arg);
    a.timeout_in_ms = timeout_ms;
    return value(args_.kv_get_callback, a);
  }
  std::expected<std::string, fake::Failure> try_get(const std::string& key) const {
    auto a = dirty<abi::PJRT_KeyValueTryGetCallback_Args>(key, args_.kv_try_get_user_arg);
    return value(args_.kv_try_get_callback, a);
  }
  fake::Outcome put(const std::string& key, const std::string& value) const {
    auto a = dirty<abi::PJRT_KeyValuePutCallback_Args>(key, args_.kv_put_user_arg);
    a.value = value.data();
    a.value_size = value.size();
    return fake_.take_error(args_.kv_put_callback(&a));
  }

 private:
  template <class Args>
  Args dirty(const std::string& key, void* user) const {
    Args a;
    std::memset(static_cast<void*>(&a), 0xA5, sizeof a);
    a.key = key.data();
    a.key_size = key.size();
    a.callback_error = const_cast<abi::PJRT_CallbackError*>(&fake_.callback_error);
    a.user_arg = user;
    return a;
  }
  template <class Callback, class Args>
  std::expected<std::string, fake::Failure> value(Callback callback, Args& a) const {
    if (auto failure = fake_.take_error(callback(&a))) return std::unexpected(*failure);
    std::string bytes(a.value, a.value_size);
    a.value_deleter_callback(a.value);
    return bytes;
  }

  fake::FakePlugin& fake_;
  abi::PJRT_Client_Create_Args args_;
};

class KeyValues : public test::OnEveryFake {
 protected:
  /// A client with this store, and the plugin's side of it.
  std::pair<Client, Asker> with(std::shared_ptr<KeyValueStore> store) {
    ClientOptions options;
    options.key_value_store = std::move(store);
    Client client = value_of(Client::create(plugin, options));
    return {std::move(client), Asker(fake, fake.calls_of<test::fn::PJRT_Client_Create>().back())};
  }
  bool has_try_get() const { return GetParam() >= 61; }
};

INSTANTIATE_TEST_SUITE_P(Fake, KeyValues, ::testing::Values(57, 67, 114), test::fake_name);

TEST_P(KeyValues, WithoutAStoreThereAreNoCallbacks) {
  make_client();
  const auto args = fake.calls_of<test::fn::PJRT_Client_Create>().back();
  EXPECT_EQ(args.kv_get_callback, nullptr);
  EXPECT_EQ(args.kv_put_callback, nullptr);
  EXPECT_EQ(args.kv_try_get_callback, nullptr);
}

TEST_P(KeyValues, WithAStoreThereAreAllThatTheVersionHas) {
  with(std::make_shared<InMemoryKeyValueStore>());
  const auto args = fake.calls_of<test::fn::PJRT_Client_Create>().back();
  EXPECT_NE(args.kv_get_callback, nullptr);
  EXPECT_NE(args.kv_put_callback, nullptr);
  EXPECT_EQ(args.kv_try_get_callback != nullptr, has_try_get());
}

TEST_P(KeyValues, WhatThePluginPutsItGets) {
  const auto [client, asker] = with(std::make_shared<InMemoryKeyValueStore>());
  const std::string binary("a\0b\xff", 4);
  EXPECT_FALSE(asker.put("key", binary));
  EXPECT_EQ(asker.get("key", 0), binary);
  if (has_try_get()) {
    EXPECT_EQ(asker.try_get("key"), binary);
  }
}

TEST_P(KeyValues, KeysMayBeBinaryAndValuesEmpty) {
  const auto store = std::make_shared<InMemoryKeyValueStore>();
  const auto [client, asker] = with(store);
  const std::string key("k\0ey", 4);
  EXPECT_FALSE(asker.put(key, ""));
  EXPECT_EQ(asker.get(key, 0), "");
  EXPECT_EQ(value_of(store->try_get(key)), "");
}

TEST_P(KeyValues, ClientsOfOneStoreMeet) {
  const auto store = std::make_shared<InMemoryKeyValueStore>();
  const auto [one, asks_one] = with(store);
  const auto [two, asks_two] = with(store);
  EXPECT_FALSE(asks_one.put("address", "10.0.0.1:80"));
  EXPECT_EQ(asks_two.get("address", 0), "10.0.0.1:80");
}

TEST_P(KeyValues, ATimeoutIsDeadlineExceededAfterThatManyMilliseconds) {
  const auto [client, asker] = with(std::make_shared<InMemoryKeyValueStore>());
  const auto begin = std::chrono::steady_clock::now();
  const auto value = asker.get("nothing", 30);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::DeadlineExceeded);
}

TEST_P(KeyValues, NothingToTryGetIsNotFound) {
  if (!has_try_get()) GTEST_SKIP() << "try_get came with 0.61";
  const auto [client, asker] = with(std::make_shared<InMemoryKeyValueStore>());
  const auto value = asker.try_get("nothing");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::NotFound);
}

struct Throwing : KeyValueStore {
  Result<std::string> get(std::string_view, std::chrono::milliseconds) override {
    throw std::runtime_error("get threw");
  }
  Result<std::string> try_get(std::string_view) override { throw std::runtime_error("try_get threw"); }
  Result<void> put(std::string_view, std::string_view) override { throw 42; }
};

TEST_P(KeyValues, WhatAStoreThrowsReachesThePluginAsAnError) {
  const auto [client, asker] = with(std::make_shared<Throwing>());
  const auto got = asker.get("key", 0);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::Internal);
  EXPECT_EQ(got.error().message, "the key-value store threw: get threw");
  const auto put = asker.put("key", "value");
  ASSERT_TRUE(put);
  EXPECT_EQ(put->message, "the key-value store threw something that is not a std::exception");
  if (has_try_get()) {
    ASSERT_FALSE(asker.try_get("key"));
    EXPECT_EQ(asker.try_get("key").error().message, "the key-value store threw: try_get threw");
  }
}

struct Refusing : KeyValueStore {
  Result<std::string> get(std::string_view, std::chrono::milliseconds) override { return refuse(); }
  Result<std::string> try_get(std::string_view) override { return refuse(); }
  Result<void> put(std::string_view, std::string_view) override { return refuse(); }
  static std::unexpected<Error> refuse() { return std::unexpected(Error(ErrorCode::PermissionDenied, "not you")); }
};

TEST_P(KeyValues, AStoresErrorsReachThePluginWithTheirCodes) {
  const auto [client, asker] = with(std::make_shared<Refusing>());
  const auto put = asker.put("key", "value");
  ASSERT_TRUE(put);
  EXPECT_EQ(put->code, ErrorCode::PermissionDenied);
  EXPECT_EQ(put->message, "not you");
  EXPECT_EQ(asker.get("key", 0).error().code, ErrorCode::PermissionDenied);
}

TEST_P(KeyValues, TheStoreLivesAsLongAsTheClient) {
  auto store = std::make_shared<InMemoryKeyValueStore>();
  const std::weak_ptr<KeyValueStore> watch = store;
  {
    const auto [client, asker] = with(std::move(store));
    EXPECT_FALSE(watch.expired());
    EXPECT_FALSE(asker.put("key", "value"));
  }
  EXPECT_TRUE(watch.expired());
}

TEST_P(KeyValues, ThePluginMayAskWhileTheClientIsMade) {
  std::string seen;
  fake.on<test::fn::PJRT_Client_Create>([&](abi::PJRT_Client_Create_Args& args) {
    const Asker asker(fake, args);
    EXPECT_FALSE(asker.put("topology", "2x2"));
    seen = *asker.get("topology", 1000);
    return fake.usual<test::fn::PJRT_Client_Create>(args);
  });
  with(std::make_shared<InMemoryKeyValueStore>());
  EXPECT_EQ(seen, "2x2");
}

TEST_P(KeyValues, TheStoreOutlivesAClientThatDestroysItself) {
  struct Noted : Refusing {
    explicit Noted(bool& gone) : gone(gone) {}
    ~Noted() override { gone = true; }
    bool& gone;
  };
  bool gone = false;
  bool gone_before_the_client = true;
  fake.on<test::fn::PJRT_Client_Destroy>([&](auto& args) {
    gone_before_the_client = gone;
    return fake.usual<test::fn::PJRT_Client_Destroy>(args);
  });
  with(std::make_shared<Noted>(gone));
  EXPECT_FALSE(gone_before_the_client);
  EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace pjrt
