// Handles are destroyed exactly once, in every order and from several threads. The fixture looks at the end.

#include <gtest/gtest.h>

#include <algorithm>
#include <any>
#include <array>
#include <memory>
#include <optional>
#include <thread>

#include "fake_plugin/fixture.hpp"
#include "pjrt/transfer_manager.hpp"
#include "support/eventually.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

class Lifetime : public test::OnFake {
 protected:
  template <class T>
  static std::shared_ptr<void> hold(T value) {
    return std::make_shared<T>(std::move(value));
  }
  /// One of everything that is made of a client, the client itself first.
  std::vector<std::shared_ptr<void>> everything() {
    const Client client = make_client(2);
    fake.program("program", {.outputs = {{ElementType::F32, {}}}});
    Buffer buffer = value_of(client.upload(std::vector<float>{1, 2}, {2}));
    LoadedExecutable exe = value_of(client.compile(Program("fake", "program")));
    const ShapeSpec specs[] = {{{ElementType::F32, {2}}, {}}};
    TransferManager transfer = value_of(client.create_buffers_for_async_host_to_device(specs, client.memories()[0]));
    std::vector<std::shared_ptr<void>> all;
    all.push_back(hold(client));
    all.push_back(hold(client.devices()[1]));
    all.push_back(hold(client.memories()[0]));
    all.push_back(hold(value_of(client.topology())));
    all.push_back(hold(value_of(value_of(client.topology()).device_descriptions())));
    all.push_back(hold(value_of(client.devices()[0].create_async_tracking_event("x"))));
    all.push_back(hold(buffer.ready()));
    all.push_back(hold(value_of(buffer.external_reference())));
    all.push_back(hold(value_of(buffer.copy_raw_to_host_future(4))));
    all.push_back(hold(exe.executable()));
    all.push_back(hold(value_of(exe.executable().serialize_raw())));
    all.push_back(hold(value_of(exe())));
    all.push_back(hold(value_of(transfer.retrieve_buffer(0))));
    all.push_back(hold(value_of(client.create_alias_buffer({ElementType::F32, {}}, client.memories()[0]))));
    all.push_back(hold(buffer.to_host_async()));
    all.push_back(hold(value_of(client.dma_map(memory_))));
    all.push_back(hold(std::move(transfer)));
    all.push_back(hold(std::move(exe)));
    all.push_back(hold(std::move(buffer)));
    return all;
  }

  std::array<std::byte, 64> memory_{};
};

TEST_F(Lifetime, HandlesMayGoInTheOrderTheyWereMade) {
  for (auto& handle : everything()) handle.reset();
}

TEST_F(Lifetime, HandlesMayGoInTheOppositeOrder) {
  auto all = everything();
  while (!all.empty()) all.pop_back();
}

TEST_F(Lifetime, HandlesMayGoInAnyOrder) {
  for (std::size_t first = 0; first < everything().size(); ++first) {
    auto all = everything();
    std::ranges::rotate(all, all.begin() + static_cast<std::ptrdiff_t>(first));
    for (auto& handle : all) handle.reset();
    EXPECT_THAT(fake.live(), ::testing::IsEmpty()) << "from " << first;
  }
}

TEST_F(Lifetime, HandlesMayGoOnAnyThread) {
  auto all = everything();
  {
    std::vector<std::jthread> threads;
    for (auto& handle : all) threads.emplace_back([&handle] { handle.reset(); });
  }
  EXPECT_THAT(fake.live(), ::testing::IsEmpty());
}

TEST_F(Lifetime, ACopyOnEachThreadIsOneHandle) {
  const Client client = make_client();
  fake.program("program", {.outputs = {{ElementType::F32, {}}}});
  const LoadedExecutable exe = value_of(client.compile(Program("fake", "program")));
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([client, e = exe.executable(), topology = value_of(client.topology())] {
      for (int i = 0; i < 50; ++i) {
        const Client copy = client;
        const Executable other = e;
        EXPECT_EQ(value_of(other.num_outputs()), 1u);
        EXPECT_OK(value_of(copy.upload(1.0f)).to_host());
        EXPECT_OK(topology.platform_name());
      }
    });
  }
}

TEST_F(Lifetime, EverythingPendingMayBeDroppedAtOnce) {
  fake.hold_events();
  everything();
  fake.release_events();
  // The last of it may go on a thread of its own.
  EXPECT_TRUE(test::becomes_true([&] { return fake.live().empty(); }));
}

TEST_F(Lifetime, WhatHandlesAreMovedOntoGoesOnce) {
  const Client client = make_client();
  Buffer a = value_of(client.upload(1.0f));
  a = value_of(client.upload(2.0f));
  EXPECT_EQ(fake.live()["buffer"], 1);
  ExternalReference r = value_of(a.external_reference());
  r = value_of(a.external_reference());
  EXPECT_EQ(
      calls_of("PJRT_Buffer_IncreaseExternalReferenceCount") - calls_of("PJRT_Buffer_DecreaseExternalReferenceCount"),
      1u);
  const ShapeSpec specs[] = {{{ElementType::F32, {2}}, {}}};
  TransferManager t = value_of(client.create_buffers_for_async_host_to_device(specs, client.memories()[0]));
  t = value_of(client.create_buffers_for_async_host_to_device(specs, client.memories()[0]));
  EXPECT_EQ(fake.live()["transfer manager"], 1);
}

TEST_F(Lifetime, AHandleWhoseDestructionFailsGoesQuietly) {
  {
    const Client client = make_client();
    const Buffer buffer = value_of(client.upload(1.0f));
    fake.on<fn::PJRT_Buffer_Destroy>([&](auto& a) -> fake::Outcome {
      (void)fake.usual<fn::PJRT_Buffer_Destroy>(a);
      return fake::Failure{ErrorCode::Internal, "too late"};
    });
  }
  EXPECT_EQ(calls_of("PJRT_Buffer_Destroy"), 1u);
  EXPECT_EQ(fake.live()["error"], 0);
}

TEST_F(Lifetime, ACallbackHeldByThePluginMayBeTheLastToKnowTheClient) {
  fake.hold_events();
  bool ran = false;
  {
    const Client client = make_client();
    const Buffer buffer = value_of(client.upload(1.0f));
    EXPECT_OK(buffer.ready().on_ready([&ran, client](auto&&) { ran = true; }, RunOn::PluginThread));
  }
  EXPECT_EQ(fake.live()["client"], 1);
  std::jthread([&] { fake.release_events(); }).join();
  EXPECT_TRUE(ran);
  EXPECT_TRUE(test::becomes_true([&] { return fake.live()["client"] == 0; }));
}

TEST_F(Lifetime, APluginsErrorIsFreedOnceAlsoIfItCannotBeRead) {
  const Plugin bare = with_table({});  // the counter of calls reads codes too
  fake.fail<fn::PJRT_Client_Create>(ErrorCode::Aborted, "first");
  fake.fail<fn::PJRT_Error_GetCode>(ErrorCode::Internal, "no code");
  EXPECT_ERROR(Client::create(bare), Unknown, "first");
  EXPECT_EQ(fake.live()["error"], 0);
  fake.on<fn::PJRT_Error_GetCode>([&](auto& a) { return fake.usual<fn::PJRT_Error_GetCode>(a); });
  fake.on<fn::PJRT_Error_Message>([](auto&) {});
  EXPECT_ERROR(Client::create(bare), Aborted, "");
  EXPECT_EQ(fake.live()["error"], 0);
}

}  // namespace
}  // namespace pjrt
