// Buffers that are not uploads: in error, aliases of what is to come, views of memory of others, uninitialized.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
namespace fn = test::fn;

const Shape kTwo = {ElementType::F32, {2}};

class BufferCreation : public test::OnFake {
 protected:
  Client client_ = make_client();
  const Memory memory_ = client_.memories()[0];
};

using ErrorBuffers = BufferCreation;

TEST_F(ErrorBuffers, GiveTheirErrorToWhoeverUsesThem) {
  const Error error =
      Error(ErrorCode::Unavailable, "lost in transit").with_payloads({{"type.url/a", std::string("\0\x01", 2)}});
  const Buffer buffer = value_of(client_.create_error_buffer(error, kTwo, memory_));
  EXPECT_EQ(buffer.shape(), kTwo);
  EXPECT_TRUE(buffer.ready().is_ready());
  const Result<void> outcome = buffer.ready().await();
  EXPECT_ERROR(outcome, Unavailable, "lost in transit");
  EXPECT_THAT(outcome.error().payloads(), ElementsAre(ErrorPayload{"type.url/a", std::string("\0\x01", 2)}));
  EXPECT_ERROR(buffer.to_host(), Unavailable, "lost in transit");
  const auto seen = fake.calls_of<fn::PJRT_Client_CreateErrorBuffer>();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].memory, memory_.raw());
  EXPECT_NE(seen[0].shape_layout, nullptr);  // downloads of one without a layout abort some plugins
}

TEST_F(ErrorBuffers, ThatCannotBeMadeAreTheirOwnError) {
  fake.fail<fn::PJRT_Client_CreateErrorBuffer>(ErrorCode::Unimplemented, "only successes here");
  EXPECT_ERROR(client_.create_error_buffer(Error(ErrorCode::Aborted, "x"), kTwo, memory_), Unimplemented,
               "only successes here");
}

using AliasBuffers = BufferCreation;

TEST_F(AliasBuffers, HaveTheContentsOfWhatFulfilsThem) {
  AliasBuffer alias = value_of(client_.create_alias_buffer(kTwo, memory_));
  EXPECT_FALSE(alias.buffer.ready().is_ready());
  Buffer source = value_of(client_.upload(std::vector<float>{1, 2}, {2}));
  EXPECT_OK(alias.fulfillment.fulfill(std::move(source)));
  EXPECT_TRUE(source.is_deleted());
  EXPECT_EQ(value_of(alias.buffer.to_vector<float>()), (std::vector<float>{1, 2}));
  EXPECT_ERROR(alias.fulfillment.fulfill(value_of(client_.upload(1.0f))), FailedPrecondition, "fulfilled already");
  EXPECT_ERROR(alias.fulfillment.fail(Error(ErrorCode::Aborted, "x")), FailedPrecondition, "fulfilled already");
}

TEST_F(AliasBuffers, MayBeArgumentsBeforeTheyAreFulfilled) {
  AliasBuffer alias = value_of(client_.create_alias_buffer(kTwo, memory_));
  const LoadedExecutable exe = compile(client_, {.outputs = {{ElementType::F32, {}}}});
  EXPECT_OK(exe(alias.buffer));
  EXPECT_OK(alias.fulfillment.fail(Error(ErrorCode::Cancelled, "never mind")));
}

TEST_F(AliasBuffers, ThatFailGiveTheError) {
  AliasBuffer alias = value_of(client_.create_alias_buffer(kTwo, memory_));
  EXPECT_OK(alias.fulfillment.fail(Error(ErrorCode::NotFound, "no data")));
  EXPECT_ERROR(alias.buffer.ready().await(), NotFound, "no data");
}

TEST_F(AliasBuffers, ThatAreAbandonedAreCancelled) {
  std::optional<Buffer> buffer;
  {
    AliasBuffer alias = value_of(client_.create_alias_buffer(kTwo, memory_));
    buffer = std::move(alias.buffer);
  }
  EXPECT_ERROR(buffer->ready().await(), Cancelled, "the alias was abandoned before it was fulfilled");
  EXPECT_EQ(calls_of("PJRT_Client_FulfillAliasBuffer"), 1u);
}

TEST_F(AliasBuffers, MayBeFulfilledAfterTheirBufferWasDropped) {
  std::optional<AliasFulfillment> fulfillment;
  {
    AliasBuffer alias = value_of(client_.create_alias_buffer(kTwo, memory_));
    fulfillment.emplace(std::move(alias.fulfillment));
  }
  EXPECT_OK(fulfillment->fulfill(value_of(client_.upload(std::vector<float>{1, 2}, {2}))));
}

TEST_F(AliasBuffers, AreNotFulfilledByWhatIsOfAnotherShapeMemoryOrClient) {
  AliasBuffer alias = value_of(client_.create_alias_buffer(kTwo, memory_));
  EXPECT_ERROR(alias.fulfillment.fulfill(value_of(client_.upload(1.0f))), InvalidArgument,
               "the buffer is f32[], the alias f32[2]");
  const std::vector<float> two = {1, 2};
  EXPECT_ERROR(alias.fulfillment.fulfill(value_of(client_.upload(two, {2}, {.memory = client_.memories()[1]}))),
               InvalidArgument, "lies in memory pinned_host:1");
  EXPECT_ERROR(alias.fulfillment.fulfill(value_of(make_client().upload(two, {2}))), InvalidArgument, "another client");
  EXPECT_ERROR(alias.fulfillment.fulfill(std::move(alias.buffer)), InvalidArgument, "with itself");
  EXPECT_EQ(calls_of("PJRT_Client_FulfillAliasBuffer"), 0u);
}

TEST_F(AliasBuffers, ThatThePluginRefusesToFulfilLeaveTheSourceAlone) {
  AliasBuffer alias = value_of(client_.create_alias_buffer(kTwo, memory_));
  Buffer source = value_of(client_.upload(std::vector<float>{1, 2}, {2}));
  fake.on<fn::PJRT_Client_FulfillAliasBuffer>([&](auto& a) -> fake::Outcome {
    if (a.status_code != abi::PJRT_Error_Code_OK) return fake.usual<fn::PJRT_Client_FulfillAliasBuffer>(a);
    auto told = a;  // the handle is used up, also by a failure
    told.buffer = nullptr;
    told.status_code = abi::PJRT_Error_Code_INTERNAL;
    (void)fake.usual<fn::PJRT_Client_FulfillAliasBuffer>(told);
    return fake::Failure{ErrorCode::Internal, "wrong layout"};
  });
  EXPECT_ERROR(alias.fulfillment.fulfill(std::move(source)), Internal, "wrong layout");
  EXPECT_FALSE(source.is_deleted());
  EXPECT_EQ(value_of(source.to_vector<float>()), (std::vector<float>{1, 2}));
}

TEST_F(AliasBuffers, ThatCannotBeMadeAreAnError) {
  fake.fail<fn::PJRT_Client_CreateAliasBuffer>(ErrorCode::FailedPrecondition, "no aliases");
  EXPECT_ERROR(client_.create_alias_buffer(kTwo, memory_), FailedPrecondition, "no aliases");
}

class Views : public BufferCreation {
 protected:
  Result<Buffer> view(std::function<void()> on_delete, void* at = nullptr) {
    return client_.create_view_of_device_buffer(at != nullptr ? at : memory, kTwo, {}, std::move(on_delete), 0x55);
  }
  alignas(64) float memory[2] = {1, 2};
  int deleted = 0;
};

TEST_F(Views, ShowMemoryOfOthersAndTellOnceWhenItIsNotNeeded) {
  {
    const Buffer buffer = value_of(view([&] { ++deleted; }));
    EXPECT_EQ(value_of(buffer.to_vector<float>()), (std::vector<float>{1, 2}));
    memory[0] = 5;
    EXPECT_EQ(value_of(buffer.to_vector<float>()), (std::vector<float>{5, 2}));
    EXPECT_EQ(deleted, 0);
  }
  EXPECT_EQ(deleted, 1);
  const auto seen = fake.calls_of<fn::PJRT_Client_CreateViewOfDeviceBuffer>();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].device_buffer_ptr, memory);
  EXPECT_EQ(seen[0].stream, 0x55);
  EXPECT_EQ(seen[0].device, client_.devices()[0].raw());
}

// Plugins abort when it is null.
TEST_F(Views, AlwaysHaveADeleter) {
  EXPECT_OK(view({}));
  EXPECT_NE(fake.calls_of<fn::PJRT_Client_CreateViewOfDeviceBuffer>()[0].on_delete_callback, nullptr);
}

TEST_F(Views, WhoseDeleterThrowsAreHeardOf) {
  const test::HeardExceptions heard;
  EXPECT_OK(view([] { throw std::runtime_error("no"); }));
  EXPECT_THAT(heard.where(), ElementsAre("a deleter"));
}

TEST_F(Views, MayDropTheirClientInTheDeleter) {
  std::optional<Client> own = make_client();
  {
    const Buffer buffer = value_of(own->create_view_of_device_buffer(memory, kTwo, {}, [&] { own.reset(); }));
  }
  EXPECT_FALSE(own);
}

TEST_F(Views, ThatThePluginRefusesDeleteOnceWhetherThePluginCalledOrNot) {
  fake.fail<fn::PJRT_Client_CreateViewOfDeviceBuffer>(ErrorCode::InvalidArgument, "not aligned");
  EXPECT_ERROR(view([&] { ++deleted; }), InvalidArgument, "not aligned");
  EXPECT_EQ(deleted, 1);
  fake.on<fn::PJRT_Client_CreateViewOfDeviceBuffer>([](auto& a) -> fake::Outcome {
    a.on_delete_callback(a.device_buffer_ptr, a.on_delete_callback_arg);
    return fake::Failure{ErrorCode::Unimplemented, "no streams"};
  });
  EXPECT_ERROR(view([&] { ++deleted; }), Unimplemented, "no streams");
  EXPECT_EQ(deleted, 2);
}

TEST_F(Views, ThatAreRefusedBeforeThePluginIsAskedDeleteOnceToo) {
  EXPECT_ERROR(client_.create_view_of_device_buffer(nullptr, kTwo, {}, [&] { ++deleted; }), InvalidArgument, "is null");
  EXPECT_EQ(deleted, 1);
  const Client other = make_client();
  EXPECT_ERROR(client_.create_view_of_device_buffer(memory, kTwo, {.device = other.devices()[0]}, [&] { ++deleted; }),
               InvalidArgument, "belongs to another client");
  EXPECT_EQ(deleted, 2);
}

TEST_F(Views, OutliveTheirHandleWhileAnExternalReferenceHoldsThem) {
  std::optional<Buffer> buffer = value_of(view([&] { ++deleted; }));
  std::optional<ExternalReference> reference = value_of(buffer->external_reference());
  EXPECT_EQ(value_of(reference->device_pointer()), memory);
  EXPECT_OK(buffer->delete_now());
  buffer.reset();
  EXPECT_EQ(deleted, 0);
  reference.reset();
  EXPECT_EQ(deleted, 1);
}

using UninitializedBuffers = BufferCreation;

TEST_F(UninitializedBuffers, HaveShapePlaceAndALayout) {
  fake.watch<fn::PJRT_Client_CreateUninitializedBuffer>([&](const auto& a) {
    EXPECT_THAT(std::span(a.shape_dims, a.shape_num_dims), ElementsAre(2, 3));
    EXPECT_EQ(a.shape_element_type, abi::PJRT_Buffer_Type_S16);
    EXPECT_EQ(a.memory, client_.memories()[1].raw());
    EXPECT_EQ(a.device, nullptr);  // plugins would prefer it
    ASSERT_NE(a.shape_layout, nullptr);
    EXPECT_THAT(std::span(a.shape_layout->tiled.minor_to_major, 2), ElementsAre(1, 0));
  });
  const Buffer buffer =
      value_of(client_.create_uninitialized_buffer({ElementType::S16, {2, 3}}, {.memory = client_.memories()[1]}));
  EXPECT_EQ(value_of(buffer.on_device_size()), 12u);
  EXPECT_EQ(value_of(buffer.memory()), client_.memories()[1]);
  EXPECT_TRUE(buffer.ready().is_ready());
}

TEST_F(UninitializedBuffers, ThatCannotBeMadeAreAnError) {
  fake.fail<fn::PJRT_Client_CreateUninitializedBuffer>(ErrorCode::ResourceExhausted, "no room");
  EXPECT_ERROR(client_.create_uninitialized_buffer(kTwo), ResourceExhausted, "no room");
}

}  // namespace
}  // namespace pjrt
