// The Collectives extension: what goes to a communicator and comes back, and who owns it.

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "fake_plugin/fixture.hpp"
#include "fake_plugin/objects.hpp"
#include "pjrt/ext/collectives.hpp"

namespace pjrt {
namespace {

using ext::Collectives;
using ext::Communicator;
using ext::ReductionKind;
using ext::Rendezvous;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fn = test::fn;

/// What stays of a rendezvous after the call.
struct Met {
  std::int64_t run_id = 0;
  std::vector<std::int64_t> devices;
  int local = 0, kind = 0;
  std::int64_t op_id = 0, timeout = 0;
};

class ExtCollectives : public test::OnFake {
 protected:
  ExtCollectives() {
    fake.on<fn::PJRT_Collectives_Destroy>([this](auto& a) { fake.drop(a.collectives, "collectives"); });
    fake.on<fn::PJRT_Collectives_Communicator_Destroy>([this](auto& a) { fake.drop(a.communicator, "communicator"); });
    fake.on<fn::PJRT_Collectives_CreateCommunicators>([this](auto& a) {
      made.clear();
      for (std::size_t i = 0; i < a.num_device_ranks; ++i)
        made.push_back(fake.token<abi::PJRT_Collectives_Communicator>("communicator"));
      a.communicators = made.data();
      a.num_communicators = made.size();
      a.communicators_holder = reinterpret_cast<abi::PJRT_Collectives_Communicators*>(this);
      a.communicators_holder_deleter = [](abi::PJRT_Collectives_Communicators* holder) {
        ++reinterpret_cast<ExtCollectives*>(holder)->holders_freed;
      };
    });
  }

  Collectives make() {
    return extension.adopt(fake.token<abi::PJRT_Collectives>("collectives"), std::exchange(owner, nullptr));
  }
  Communicator communicator() {
    return std::move(
        value_of(make().create_communicators(std::array<std::int64_t, 1>{5}, std::array<std::int64_t, 1>{0})).front());
  }
  /// Answers with an event, and keeps what came.
  template <class F>
  void answer() {
    fake.on<F>([this](auto& a) {
      const abi::PJRT_Collectives_CpuExecutor& e = *a.cpu_executor;
      met = {e.run_id,
             {e.global_device_ids, e.global_device_ids + e.num_global_device_ids},
             e.num_local_participants,
             e.collective_op_kind,
             e.op_id,
             e.timeout_in_ns};
      auto done = std::make_shared<fake::Promise>();
      a.event = fake::event_of(fake, done);
      fake.settle(done);
    });
  }

  const ext::CollectivesExtension extension = value_of(ext::CollectivesExtension::of(plugin));
  std::shared_ptr<int> owner = std::make_shared<int>();
  std::vector<abi::PJRT_Collectives_Communicator*> made;
  int holders_freed = 0;
  Met met;

  std::array<std::byte, 8> send{};
  std::array<std::byte, 8> receive{};
  const Rendezvous rendezvous = {.run_id = 11,
                                 .global_device_ids = {5, 7},
                                 .num_local_participants = 2,
                                 .collective_op_kind = ext::CollectiveOpKind::CrossModule,
                                 .op_id = 13,
                                 .timeout = std::chrono::milliseconds(3)};
};

TEST_F(ExtCollectives, AreDestroyedWithTheLastCopyAndThenTheirOwner) {
  const std::weak_ptr<int> watched = owner;
  std::optional<Collectives> first = make();
  std::optional<Collectives> second = first;
  first.reset();
  EXPECT_EQ(fake.live()["collectives"], 1);
  EXPECT_FALSE(watched.expired());
  second.reset();
  EXPECT_EQ(fake.live()["collectives"], 0);
  EXPECT_TRUE(watched.expired());
}

TEST_F(ExtCollectives, MakeACommunicatorForEachRank) {
  std::vector<std::int64_t> devices, ranks;
  fake.on<fn::PJRT_Collectives_CreateCommunicators>([&](auto& a) {
    devices.assign(a.device_ids, a.device_ids + a.num_device_ids);
    ranks.assign(a.rank_ids, a.rank_ids + a.num_device_ranks);
    EXPECT_EQ(a.clique_ids, nullptr);
    EXPECT_EQ(a.num_clique_ids, 0u);
  });
  EXPECT_THAT(
      value_of(make().create_communicators(std::array<std::int64_t, 3>{5, 7, 9}, std::array<std::int64_t, 2>{2, 0})),
      IsEmpty());
  EXPECT_THAT(devices, ElementsAre(5, 7, 9));
  EXPECT_THAT(ranks, ElementsAre(2, 0));
}

TEST_F(ExtCollectives, CliqueIdsAreBytesOfAnyKind) {
  std::vector<std::string> ids;
  fake.on<fn::PJRT_Collectives_CreateCommunicators>([&](auto& a) {
    for (std::size_t i = 0; i < a.num_clique_ids; ++i) ids.emplace_back(a.clique_ids[i], a.clique_id_sizes[i]);
  });
  EXPECT_OK(make().create_communicators({}, {}, std::vector<std::string>{std::string("a\0b", 3), ""}));
  EXPECT_THAT(ids, ElementsAre(std::string("a\0b", 3), ""));
}

TEST_F(ExtCollectives, CommunicatorsKeepThemAndAreDestroyedOnce) {
  auto communicators =
      value_of(make().create_communicators(std::array<std::int64_t, 2>{5, 7}, std::array<std::int64_t, 2>{0, 1}));
  ASSERT_EQ(communicators.size(), 2u);
  EXPECT_EQ(holders_freed, 1);
  EXPECT_EQ(fake.live()["communicator"], 2);
  communicators.pop_back();
  EXPECT_EQ(fake.live()["communicator"], 1);
  EXPECT_EQ(fake.live()["collectives"], 1);
  communicators.clear();
  EXPECT_EQ(fake.live()["collectives"], 0);
}

TEST_F(ExtCollectives, ThatFailToMakeCommunicatorsSayWhy) {
  fake.fail<fn::PJRT_Collectives_CreateCommunicators>(ErrorCode::Unavailable, "nobody there");
  EXPECT_ERROR(make().create_communicators({}, {}), Unavailable, "nobody there");
}

TEST_F(ExtCollectives, AllReduceTakesArraysKindAndRendezvous) {
  answer<fn::PJRT_Collectives_Communicator_AllReduce>();
  const Communicator c = communicator();
  ASSERT_OK(c.all_reduce(send, receive, ElementType::F32, 2, ReductionKind::Max, rendezvous).await());
  const auto args = fake.calls_of<fn::PJRT_Collectives_Communicator_AllReduce>().at(0);
  EXPECT_EQ(args.communicator, made.at(0));
  EXPECT_EQ(args.send_buffer_ptr, send.data());
  EXPECT_EQ(args.send_buffer_size, 8u);
  EXPECT_EQ(args.recv_buffer_ptr, receive.data());
  EXPECT_EQ(args.recv_buffer_size, 8u);
  EXPECT_EQ(args.primitive_type, abi::PJRT_Buffer_Type_F32);
  EXPECT_EQ(args.count, 2u);
  EXPECT_EQ(args.reduction_kind, abi::PJRT_COLLECTIVES_REDUCTION_MAX);
  EXPECT_EQ(met.run_id, 11);
  EXPECT_THAT(met.devices, ElementsAre(5, 7));
  EXPECT_EQ(met.local, 2);
  EXPECT_EQ(met.kind, abi::PJRT_COLLECTIVES_COLLECTIVE_OP_KIND_CROSS_MODULE);
  EXPECT_EQ(met.op_id, 13);
  EXPECT_EQ(met.timeout, 3'000'000);
}

TEST_F(ExtCollectives, ReduceScatterTakesItsKind) {
  answer<fn::PJRT_Collectives_Communicator_ReduceScatter>();
  ASSERT_OK(
      communicator()
          .reduce_scatter(send, std::span(receive).first(2), ElementType::S8, 2, ReductionKind::Product, rendezvous)
          .await());
  const auto args = fake.calls_of<fn::PJRT_Collectives_Communicator_ReduceScatter>().at(0);
  EXPECT_EQ(args.send_buffer_size, 8u);
  EXPECT_EQ(args.recv_buffer_size, 2u);
  EXPECT_EQ(args.reduction_kind, abi::PJRT_COLLECTIVES_REDUCTION_PRODUCT);
}

TEST_F(ExtCollectives, AllGatherTakesMoreRoomThanItGives) {
  answer<fn::PJRT_Collectives_Communicator_AllGather>();
  ASSERT_OK(communicator().all_gather(std::span(send).first(4), receive, ElementType::S16, 2, rendezvous).await());
  const auto args = fake.calls_of<fn::PJRT_Collectives_Communicator_AllGather>().at(0);
  EXPECT_EQ(args.send_buffer_size, 4u);
  EXPECT_EQ(args.recv_buffer_size, 8u);
  EXPECT_EQ(args.primitive_type, abi::PJRT_Buffer_Type_S16);
}

TEST_F(ExtCollectives, PermuteTakesSourceAndTargets) {
  answer<fn::PJRT_Collectives_Communicator_CollectivePermute>();
  const Communicator c = communicator();
  ASSERT_OK(c.collective_permute(send, receive, ElementType::U8, 8, 3, std::array<std::int64_t, 2>{1, 2}, rendezvous)
                .await());
  ASSERT_OK(c.collective_permute(send, receive, ElementType::U8, 8, std::nullopt, {}, rendezvous).await());
  const auto args = fake.calls_of<fn::PJRT_Collectives_Communicator_CollectivePermute>();
  EXPECT_TRUE(args.at(0).has_source_rank);
  EXPECT_EQ(args.at(0).source_rank, 3);
  EXPECT_EQ(args.at(0).num_target_ranks, 2u);
  EXPECT_FALSE(args.at(1).has_source_rank);
  EXPECT_EQ(args.at(1).num_target_ranks, 0u);
}

TEST_F(ExtCollectives, AllToAllTakesListsOfArrays) {
  std::vector<void*> sent, received;
  std::vector<std::size_t> sizes;
  fake.on<fn::PJRT_Collectives_Communicator_AllToAll>([&](auto& a) {
    sent.assign(a.send_buffers_ptrs, a.send_buffers_ptrs + a.num_send_buffers);
    received.assign(a.recv_buffers_ptrs, a.recv_buffers_ptrs + a.num_recv_buffers);
    sizes.assign(a.send_buffers_sizes, a.send_buffers_sizes + a.num_send_buffers);
    EXPECT_EQ(a.count, 3u);
  });
  const std::array<std::span<const std::byte>, 2> from = {std::span(send).first(4), std::span(send).subspan(4, 3)};
  const std::array<std::span<std::byte>, 2> to = {std::span(receive).subspan(4), std::span(receive).first(4)};
  ASSERT_OK(communicator().all_to_all(from, to, ElementType::U8, 3, rendezvous).await());
  EXPECT_THAT(sent, ElementsAre(send.data(), send.data() + 4));
  EXPECT_THAT(received, ElementsAre(receive.data() + 4, receive.data()));
  EXPECT_THAT(sizes, ElementsAre(4, 3));
}

TEST_F(ExtCollectives, AreReadyWhenTheEventIs) {
  answer<fn::PJRT_Collectives_Communicator_AllGather>();
  fake.hold_events();
  const Event event = communicator().all_gather(send, receive, ElementType::U8, 8, rendezvous);
  EXPECT_FALSE(event.is_ready());
  fake.release_events(fake::Failure{ErrorCode::DeadlineExceeded, "one is missing"});
  EXPECT_ERROR(event.await(), DeadlineExceeded, "one is missing");
}

TEST_F(ExtCollectives, ThatDoNotStartSayItInTheEvent) {
  fake.fail<fn::PJRT_Collectives_Communicator_AllReduce>(ErrorCode::Aborted, "not begun");
  EXPECT_ERROR(communicator().all_reduce(send, receive, ElementType::U8, 8, ReductionKind::Sum, rendezvous).await(),
               Aborted, "not begun");
}

TEST_F(ExtCollectives, RefuseArraysThatAreTooSmall) {
  const Communicator c = communicator();
  EXPECT_ERROR(c.all_gather(send, receive, ElementType::F32, 3, rendezvous).await(), InvalidArgument,
               "the array to send has 8 bytes, too few for 3 elements of f32");
  const std::array<std::span<const std::byte>, 1> from = {send};
  const std::array<std::span<std::byte>, 1> to = {std::span(receive).first(3)};
  EXPECT_ERROR(c.all_to_all(from, to, ElementType::F32, 1, rendezvous).await(), InvalidArgument,
               "the array to receive has 3 bytes");
  EXPECT_EQ(calls_of("PJRT_Collectives_Communicator_AllGather"), 0u);
  EXPECT_EQ(calls_of("PJRT_Collectives_Communicator_AllToAll"), 0u);
}

TEST_F(ExtCollectives, SayWhoTheyAre) {
  fake.on<fn::PJRT_Collectives_Communicator_ToString>(
      [this](auto& a) { fake.give_bytes("rank 3 of 4", a.str, a.str_size, a.str_holder, a.str_holder_deleter); });
  EXPECT_EQ(value_of(communicator().to_string()), "rank 3 of 4");
}

TEST_F(ExtCollectives, MovedFromAreRefused) {
  Communicator c = communicator();
  const Communicator moved = std::move(c);
  EXPECT_ERROR(c.to_string(), FailedPrecondition, "moved from");
  EXPECT_ERROR(c.all_gather(send, receive, ElementType::U8, 8, rendezvous).await(), FailedPrecondition, "moved from");
}

}  // namespace
}  // namespace pjrt
