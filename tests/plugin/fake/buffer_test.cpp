// Buffers: external references, raw copies, donation, reinterpretation, and plugins that answer what makes no sense.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <thread>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
namespace fn = test::fn;

class FakeBuffer : public test::OnFake {
 protected:
  Client client_ = make_client(2);
  std::optional<Buffer> buffer_ = value_of(client_.upload(std::vector<std::uint8_t>{1, 2, 3, 4}, {4}));
};

TEST_F(FakeBuffer, AnExternalReferenceIsCountedOnceAndDroppedOnce) {
  {
    ExternalReference first = value_of(buffer_->external_reference());
    ExternalReference moved = std::move(first);
    const ExternalReference second = value_of(buffer_->external_reference());
    EXPECT_EQ(value_of(moved.device_pointer()), value_of(second.device_pointer()));
    EXPECT_ERROR(first.device_pointer(), FailedPrecondition, "the external reference was moved from");
    EXPECT_EQ(calls_of("PJRT_Buffer_IncreaseExternalReferenceCount"), 2u);
    EXPECT_EQ(calls_of("PJRT_Buffer_DecreaseExternalReferenceCount"), 0u);
  }
  EXPECT_EQ(calls_of("PJRT_Buffer_DecreaseExternalReferenceCount"), 2u);
}

TEST_F(FakeBuffer, AnExternalReferenceKeepsBufferAndClient) {
  std::optional<ExternalReference> reference = value_of(buffer_->external_reference());
  buffer_.reset();
  EXPECT_EQ(fake.live()["buffer"], 1);
  EXPECT_EQ(static_cast<std::uint8_t*>(value_of(reference->device_pointer()))[2], 3);
  reference.reset();
  EXPECT_EQ(fake.live()["buffer"], 0);
}

// Plugins crash when references are counted by several threads at once.
TEST_F(FakeBuffer, ExternalReferencesAreCountedByOneThreadAtATime) {
  std::atomic<int> inside = 0;
  std::atomic<bool> overlapped = false;
  const auto alone = [&](auto& a, auto usual) {
    if (inside.fetch_add(1) != 0) overlapped = true;
    std::this_thread::yield();
    const fake::Outcome outcome = usual(a);
    inside.fetch_sub(1);
    return outcome;
  };
  using Increase = fn::PJRT_Buffer_IncreaseExternalReferenceCount;
  using Decrease = fn::PJRT_Buffer_DecreaseExternalReferenceCount;
  fake.on<Increase>([&](auto& a) { return alone(a, [&](auto& args) { return fake.usual<Increase>(args); }); });
  fake.on<Decrease>([&](auto& a) { return alone(a, [&](auto& args) { return fake.usual<Decrease>(args); }); });
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) EXPECT_OK(buffer_->external_reference());
      });
    }
  }
  EXPECT_FALSE(overlapped);
  EXPECT_EQ(calls_of("PJRT_Buffer_DecreaseExternalReferenceCount"), 800u);
}

TEST_F(FakeBuffer, AnExternalReferenceThatThePluginRefusesIsNotDropped) {
  fake.fail<fn::PJRT_Buffer_IncreaseExternalReferenceCount>(ErrorCode::Unimplemented, "no references");
  EXPECT_ERROR(buffer_->external_reference(), Unimplemented, "no references");
  EXPECT_EQ(calls_of("PJRT_Buffer_DecreaseExternalReferenceCount"), 0u);
}

TEST_F(FakeBuffer, WhatHoldsItsMemoryInPlaceForbidsToTakeItAway) {
  const ExternalReference reference = value_of(buffer_->external_reference());
  EXPECT_ERROR(std::move(*buffer_).bitcast({ElementType::S32, {1}}), FailedPrecondition,
               "held in place by 1 external references");
  EXPECT_ERROR(std::move(*buffer_).donate_with_control_dependency(), FailedPrecondition, "held in place");
  EXPECT_FALSE(buffer_->is_deleted());
}

TEST_F(FakeBuffer, ARawCopyGivesBytesFromAnOffset) {
  std::byte out[2];
  EXPECT_OK(buffer_->copy_raw_to_host(out, 1).await());
  EXPECT_EQ(out[0], std::byte{2});
  EXPECT_EQ(out[1], std::byte{3});
}

TEST_F(FakeBuffer, ARawCopyOutsideTheBufferFailsInItsEvent) {
  std::byte out[2];
  EXPECT_ERROR(buffer_->copy_raw_to_host(out, 3).await(), InvalidArgument, "the range is not in the buffer");
}

TEST_F(FakeBuffer, ARawCopyIsToldLaterWhereTo) {
  RawCopy copy = value_of(buffer_->copy_raw_to_host_future(2, 2));
  EXPECT_FALSE(copy.event().is_ready());
  std::byte out[2];
  EXPECT_ERROR(copy.provide(std::span(out, 1)), InvalidArgument, "the raw copy is of 2 bytes, the destination has 1");
  std::jthread([&] { EXPECT_OK(copy.provide(out)); }).join();
  EXPECT_OK(copy.event().await());
  EXPECT_EQ(out[0], std::byte{3});
  EXPECT_EQ(out[1], std::byte{4});
  EXPECT_ERROR(copy.provide(out), FailedPrecondition, "the destination of the raw copy has been provided already");
  EXPECT_ERROR(copy.fail(Error(ErrorCode::Aborted, "x")), FailedPrecondition, "already");
}

TEST_F(FakeBuffer, ARawCopyMayBeGivenUp) {
  RawCopy copy = value_of(buffer_->copy_raw_to_host_future(2));
  EXPECT_OK(copy.fail(Error(ErrorCode::ResourceExhausted, "no room")));
  EXPECT_ERROR(copy.event().await(), ResourceExhausted, "no room");
}

TEST_F(FakeBuffer, ARawCopyThatIsDroppedUntoldIsCancelledAndKeepsItsBufferUntilThen) {
  std::optional<RawCopy> copy = value_of(buffer_->copy_raw_to_host_future(2));
  const Event done = copy->event();
  buffer_.reset();
  EXPECT_EQ(fake.live()["buffer"], 1);
  copy.reset();
  EXPECT_ERROR(done.await(), Cancelled, "the raw copy was destroyed before its destination was provided");
  EXPECT_EQ(fake.live()["raw copy"], 0);
  EXPECT_EQ(fake.live()["buffer"], 0);
}

TEST_F(FakeBuffer, ARawCopyThatIsReplacedIsCancelled) {
  RawCopy copy = value_of(buffer_->copy_raw_to_host_future(2));
  const Event first = copy.event();
  copy = value_of(buffer_->copy_raw_to_host_future(2));
  EXPECT_ERROR(first.await(), Cancelled, "destroyed before");
  EXPECT_FALSE(copy.event().is_ready());
}

TEST_F(FakeBuffer, ADonatedBufferWaitsForItsDependency) {
  DonatedBuffer donated = value_of(std::move(*buffer_).donate_with_control_dependency());
  EXPECT_TRUE(buffer_->is_deleted());
  EXPECT_ERROR(buffer_->to_host(), FailedPrecondition, "it was donated with a control dependency");
  EXPECT_FALSE(donated.buffer.ready().is_ready());
  EXPECT_OK(donated.dependency.resolve());
  EXPECT_EQ(value_of(donated.buffer.to_vector<std::uint8_t>()), (std::vector<std::uint8_t>{1, 2, 3, 4}));
  EXPECT_ERROR(donated.dependency.resolve(), FailedPrecondition, "resolved already");
}

TEST_F(FakeBuffer, ADependencyThatFailsOrIsDroppedFailsTheBuffer) {
  DonatedBuffer first = value_of(std::move(*buffer_).donate_with_control_dependency());
  EXPECT_OK(first.dependency.resolve(std::unexpected(Error(ErrorCode::DataLoss, "no use"))));
  EXPECT_ERROR(first.buffer.ready().await(), DataLoss, "no use");
  Buffer other = value_of(client_.upload(1.0f));
  std::optional<DonatedBuffer> second = value_of(std::move(other).donate_with_control_dependency());
  const Event ready = second->buffer.ready();
  second.reset();
  EXPECT_ERROR(ready.await(), Cancelled, "the control dependency was destroyed before it was resolved");
  EXPECT_EQ(fake.live()["control dependency"], 0);
}

TEST_F(FakeBuffer, ADonationThatThePluginRefusesTakesNothing) {
  fake.fail<fn::PJRT_Buffer_DonateWithControlDependency>(ErrorCode::Unimplemented, "no donations");
  EXPECT_ERROR(std::move(*buffer_).donate_with_control_dependency(), Unimplemented, "no donations");
  EXPECT_FALSE(buffer_->is_deleted());
  EXPECT_OK(buffer_->to_host());
}

TEST_F(FakeBuffer, ABitcastIsTheSameMemoryAsAnotherType) {
  const std::uintptr_t address = value_of(buffer_->unsafe_pointer());
  const Buffer number = value_of(std::move(*buffer_).bitcast({ElementType::U32, {1}}));
  EXPECT_TRUE(buffer_->is_deleted());
  EXPECT_ERROR(buffer_->to_host(), FailedPrecondition, "it was bitcast");
  EXPECT_EQ(value_of(number.unsafe_pointer()), address);
  EXPECT_EQ(value_of(number.to_vector<std::uint32_t>()), std::vector<std::uint32_t>{0x04030201});
}

TEST_F(FakeBuffer, ABitcastThatFailsTakesNothing) {
  EXPECT_ERROR(std::move(*buffer_).bitcast({ElementType::F64, {1}}), InvalidArgument, "the sizes differ");
  EXPECT_FALSE(buffer_->is_deleted());
  EXPECT_OK(buffer_->to_host());
}

TEST_F(FakeBuffer, CopiesToAnotherDeviceAndMemory) {
  const Buffer there = value_of(buffer_->copy_to_device(client_.devices()[1]));
  EXPECT_EQ(there.device(), client_.devices()[1]);
  EXPECT_EQ(value_of(there.to_vector<std::uint8_t>()), (std::vector<std::uint8_t>{1, 2, 3, 4}));
  const Buffer host = value_of(buffer_->copy_to_memory(client_.memories()[1]));
  EXPECT_EQ(value_of(host.memory()), client_.memories()[1]);
  EXPECT_OK(buffer_->delete_now());
  EXPECT_EQ(value_of(host.to_vector<std::uint8_t>()), (std::vector<std::uint8_t>{1, 2, 3, 4}));
}

TEST_F(FakeBuffer, DeletedTwiceIsFineAndAsksThePluginOnce) {
  EXPECT_OK(buffer_->delete_now());
  EXPECT_OK(buffer_->delete_now());
  EXPECT_EQ(calls_of("PJRT_Buffer_Delete"), 1u);
  EXPECT_ERROR(buffer_->to_host(), FailedPrecondition, "it was deleted");
  EXPECT_EQ(buffer_->shape(), (Shape{ElementType::U8, {4}}));
}

TEST_F(FakeBuffer, TakenOverFromCIsAskedWhatItIsAndDestroyedOnce) {
  const Buffer original = value_of(client_.upload(std::vector<float>{1, 2}, {2}));
  abi::PJRT_Buffer_CopyToDevice_Args copy{};
  copy.buffer = original.raw();
  copy.dst_device = client_.devices()[1].raw();
  ASSERT_FALSE(fake.usual<fn::PJRT_Buffer_CopyToDevice>(copy));
  {
    const Buffer taken = value_of(Buffer::adopt(client_, copy.dst_buffer));
    EXPECT_EQ(taken.shape(), (Shape{ElementType::F32, {2}}));
    EXPECT_EQ(taken.device(), client_.devices()[1]);
    EXPECT_EQ(value_of(taken.to_vector<float>()), (std::vector<float>{1, 2}));
  }
  EXPECT_ERROR(Buffer::adopt(client_, nullptr), InvalidArgument, "it is null");
}

TEST_F(FakeBuffer, WhoseMemoryTheClientDoesNotListIsAnError) {
  fake.on<fn::PJRT_Buffer_Memory>([](auto& a) { a.memory = nullptr; });
  EXPECT_ERROR(buffer_->memory(), Internal, "names a memory that none of its devices has");
}

TEST_F(FakeBuffer, WhoseLayoutIsOfAnUnknownKindIsAnError) {
  const Buffer matrix = value_of(client_.upload(std::vector<float>(6), {2, 3}));
  fake.on<fn::PJRT_Buffer_GetMemoryLayout>(
      [](auto& a) { a.layout.type = static_cast<abi::PJRT_Buffer_MemoryLayout_Type>(9); });
  EXPECT_ERROR(matrix.layout(), Internal, "a layout of a kind this library does not know (9)");
}

TEST_F(FakeBuffer, ALayoutThatIsNoPermutationIsAnError) {
  const Buffer matrix = value_of(client_.upload(std::vector<float>(6), {2, 3}));
  fake.on<fn::PJRT_Buffer_GetMemoryLayout>([](auto& a) {
    static const std::int64_t order[] = {7, 7};
    a.layout.type = abi::PJRT_Buffer_MemoryLayout_Type_Tiled;
    a.layout.tiled.minor_to_major = order;
    a.layout.tiled.minor_to_major_size = 2;
  });
  EXPECT_FALSE(matrix.layout());
}

TEST_F(FakeBuffer, ALayoutOfTilesIsReadWithAllOfThem) {
  const Buffer matrix = value_of(client_.upload(std::vector<float>(6), {2, 3}));
  fake.on<fn::PJRT_Buffer_GetMemoryLayout>([](auto& a) {
    static const std::int64_t order[] = {1, 0};
    static const std::int64_t tiles[] = {8, 128, 2, 1};
    static const std::size_t sizes[] = {2, 2};
    a.layout.type = abi::PJRT_Buffer_MemoryLayout_Type_Tiled;
    a.layout.tiled.minor_to_major = order;
    a.layout.tiled.minor_to_major_size = 2;
    a.layout.tiled.tile_dims = tiles;
    a.layout.tiled.tile_dim_sizes = sizes;
    a.layout.tiled.num_tiles = 2;
  });
  EXPECT_EQ(std::get<Layout>(value_of(matrix.layout())), value_of(Layout::parse("{1,0:T(8,128)(2,1)}")));
}

TEST_F(FakeBuffer, DynamicDimensionsAreThePlugins) {
  [[maybe_unused]] static const std::size_t dynamic[] = {1};
  fake.on<fn::PJRT_Buffer_DynamicDimensionIndices>([](auto& a) {
    a.dynamic_dim_indices = dynamic;
    a.num_dynamic_dims = 1;
  });
  EXPECT_THAT(value_of(buffer_->dynamic_dimension_indices()), ElementsAre(1));
  fake.on<fn::PJRT_Buffer_UnpaddedDimensions>([](auto& a) {
    static const std::int64_t dims[] = {3};
    a.unpadded_dims = dims;
    a.num_dims = 1;
  });
  EXPECT_EQ(value_of(buffer_->unpadded_dims()), (Dimensions{3}));
}

}  // namespace
}  // namespace pjrt
