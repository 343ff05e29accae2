// Alias buffers: used before there is anything in them, and fulfilled or failed later.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

class Aliases : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  AliasBuffer make_alias() const { return value_of(client.create_alias_buffer({ElementType::F32, {3}}, memory)); }
  Buffer upload(const Floats& values) const {
    return value_of(client.upload(values, {static_cast<std::int64_t>(values.size())}));
  }
  /// A thread that fulfils the alias in a moment.
  static std::jthread fulfil_soon(AliasBuffer& alias, Buffer source) {
    return std::jthread([fulfillment = std::move(alias.fulfillment), source = std::move(source)]() mutable {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      EXPECT_OK(fulfillment.fulfill(std::move(source)));
    });
  }
  std::int64_t fulfilments() const { return test::calls_of(GetParam(), "PJRT_Client_FulfillAliasBuffer"); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
  Memory memory = client.memories()[0];
};

INSTANTIATE_TEST_SUITE_P(Matrix, Aliases, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Aliases, TakeTheContentsOfWhatFulfilsThem) {
  AliasBuffer alias = make_alias();
  ASSERT_OK(alias.fulfillment.fulfill(upload({1, 2, 3})));
  EXPECT_EQ(value_of(alias.buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Aliases, AreNotReadyBefore) {
  AliasBuffer alias = make_alias();
  const Event ready = alias.buffer.ready();
  EXPECT_FALSE(ready.is_ready());
  ASSERT_OK(alias.fulfillment.fulfill(upload({1, 2, 3})));
  EXPECT_OK(ready.await());
}

TEST_P(Aliases, KnowTheirShapeAndPlaceBefore) {
  const AliasBuffer alias = make_alias();
  EXPECT_EQ(alias.buffer.shape(), (Shape{ElementType::F32, {3}}));
  EXPECT_EQ(value_of(alias.buffer.memory()), memory);
  EXPECT_EQ(alias.buffer.device(), client.devices()[0]);
  EXPECT_EQ(value_of(alias.buffer.layout()), MemoryLayout(Layout::row_major(1)));
}

TEST_P(Aliases, ConsumeWhatFulfilsThem) {
  AliasBuffer alias = make_alias();
  Buffer source = upload({1, 2, 3});
  const std::uintptr_t address = value_of(source.unsafe_pointer());
  ASSERT_OK(alias.fulfillment.fulfill(std::move(source)));
  EXPECT_TRUE(source.is_deleted());
  EXPECT_ERROR(source.to_host(), FailedPrecondition, "used to fulfil an alias");
  EXPECT_EQ(value_of(alias.buffer.unsafe_pointer()), address);
}

TEST_P(Aliases, MayBeDownloadedBeforeTheyAreFulfilled) {
  AliasBuffer alias = make_alias();
  Future<HostBuffer> host = alias.buffer.to_host_async();
  EXPECT_FALSE(host.is_ready());
  ASSERT_OK(alias.fulfillment.fulfill(upload({4, 5, 6})));
  EXPECT_EQ(value_of(value_of(host.await()).to_vector<float>()), (Floats{4, 5, 6}));
}

TEST_P(Aliases, MayBeArgumentsBeforeTheyAreFulfilled) {
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  AliasBuffer alias = make_alias();
  const Outputs outputs = value_of(twice(alias.buffer));
  EXPECT_FALSE(outputs[0].ready().is_ready());
  ASSERT_OK(alias.fulfillment.fulfill(upload({1, 2, 3})));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
}

TEST_P(Aliases, MayBeFulfilledFromAnotherThread) {
  AliasBuffer alias = make_alias();
  const std::jthread other = fulfil_soon(alias, upload({1, 2, 3}));
  EXPECT_EQ(value_of(alias.buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Aliases, MayBeFulfilledByWhatIsStillComputed) {
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  AliasBuffer first = make_alias();
  AliasBuffer second = make_alias();
  Outputs outputs = value_of(twice(first.buffer));
  ASSERT_OK(second.fulfillment.fulfill(std::move(outputs[0])));
  EXPECT_FALSE(second.buffer.ready().is_ready());
  ASSERT_OK(first.fulfillment.fulfill(upload({1, 2, 3})));
  EXPECT_EQ(value_of(second.buffer.to_vector<float>()), (Floats{2, 4, 6}));
}

TEST_P(Aliases, OfEveryRankAreFulfilled) {
  for (const Dimensions& dims :
       {Dimensions{}, Dimensions{6}, Dimensions{2, 3}, Dimensions{0, 4}, Dimensions{1, 2, 3}}) {
    SCOPED_TRACE(to_string(dims));
    AliasBuffer alias = value_of(client.create_alias_buffer({ElementType::S32, dims}, memory));
    const std::vector<std::int32_t> values(static_cast<std::size_t>(element_count(dims).value()), 7);
    ASSERT_OK(alias.fulfillment.fulfill(value_of(client.upload(values, dims))));
    EXPECT_EQ(value_of(alias.buffer.to_vector<std::int32_t>()), values);
  }
}

TEST_P(Aliases, MayDieBeforeTheyAreFulfilled) {
  std::optional<AliasBuffer> alias = make_alias();
  AliasFulfillment fulfillment = std::move(alias->fulfillment);
  alias.reset();
  EXPECT_OK(fulfillment.fulfill(upload({1, 2, 3})));
}

TEST_P(Aliases, OutliveTheHandlesOfTheirClient) {
  std::optional<Client> only = test::make_client(test::counted_plugin(GetParam()), 1);
  AliasBuffer alias = value_of(only->create_alias_buffer({ElementType::F32, {1}}, only->memories()[0]));
  Buffer source = value_of(only->upload(Floats{9}, {1}));
  only.reset();
  ASSERT_OK(alias.fulfillment.fulfill(std::move(source)));
  EXPECT_EQ(value_of(alias.buffer.to_vector<float>()), Floats{9});
}

// Used before they are fulfilled.

TEST_P(Aliases, AnswerWhatNeedsNoContents) {
  const AliasBuffer alias = make_alias();
  EXPECT_EQ(value_of(alias.buffer.unpadded_dims()), (Dimensions{3}));
  EXPECT_EQ(value_of(alias.buffer.dynamic_dimension_indices()), std::vector<std::size_t>{});
  EXPECT_EQ(value_of(alias.buffer.on_device_size()), 12u);
  EXPECT_TRUE(value_of(alias.buffer.is_on_cpu()));
  EXPECT_FALSE(alias.buffer.is_deleted());
}

TEST_P(Aliases, WaitWhenTheirMemoryIsAskedFor) {  // which is not there, or another's, before
  AliasBuffer alias = make_alias();
  Buffer source = upload({1, 2, 3});
  const std::uintptr_t address = value_of(source.unsafe_pointer());
  const std::jthread other = fulfil_soon(alias, std::move(source));
  EXPECT_EQ(value_of(alias.buffer.unsafe_pointer()), address);
}

TEST_P(Aliases, WaitForAnExternalReference) {
  AliasBuffer alias = make_alias();
  Buffer source = upload({1, 2, 3});
  const std::uintptr_t address = value_of(source.unsafe_pointer());
  const std::jthread other = fulfil_soon(alias, std::move(source));
  const ExternalReference reference = value_of(alias.buffer.external_reference());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(value_of(reference.device_pointer())), address);
}

TEST_P(Aliases, WaitToBeLookedAtInPlace) {
  AliasBuffer alias = make_alias();
  const std::jthread other = fulfil_soon(alias, upload({1, 2, 3}));
  const DeviceSpan<float> span = value_of(alias.buffer.host_view<float>());
  EXPECT_EQ(Floats(span.begin(), span.end()), (Floats{1, 2, 3}));
}

TEST_P(Aliases, AreCopiedOnceTheyAreFulfilled) {
  AliasBuffer alias = make_alias();
  const std::jthread other = fulfil_soon(alias, upload({1, 2, 3}));
  Floats raw(3);
  const Event read = alias.buffer.copy_raw_to_host(std::as_writable_bytes(std::span(raw)));
  const Buffer elsewhere = value_of(alias.buffer.copy_to_device(client.devices()[1]));
  const Buffer pinned = value_of(alias.buffer.copy_to_memory(value_of(client.devices()[0].memory("pinned_host"))));
  EXPECT_EQ(value_of(elsewhere.to_vector<float>()), (Floats{1, 2, 3}));
  EXPECT_EQ(value_of(pinned.to_vector<float>()), (Floats{1, 2, 3}));
  EXPECT_OK(read.await());
  EXPECT_EQ(raw, (Floats{1, 2, 3}));
}

TEST_P(Aliases, MayBeDonatedBeforeTheyAreFulfilled) {
  const LoadedExecutable add_to = value_of(client.compile(Program::mlir(test::kAddTo)));
  AliasBuffer alias = make_alias();
  const std::jthread other = fulfil_soon(alias, upload({1, 2, 3}));
  const Outputs outputs = value_of(add_to(alias.buffer, upload({10, 20, 30})));
  EXPECT_TRUE(alias.buffer.is_deleted());
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{11, 22, 33}));
}

TEST_P(Aliases, MayFulfilEachOther) {
  AliasBuffer first = make_alias();
  AliasBuffer second = make_alias();
  ASSERT_OK(second.fulfillment.fulfill(std::move(first.buffer)));
  EXPECT_FALSE(second.buffer.ready().is_ready());
  ASSERT_OK(first.fulfillment.fulfill(upload({1, 2, 3})));
  EXPECT_EQ(value_of(second.buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Aliases, MayBeDeletedBeforeTheyAreFulfilled) {
  AliasBuffer alias = make_alias();
  EXPECT_OK(alias.buffer.delete_now());
  EXPECT_TRUE(alias.buffer.is_deleted());
  (void)alias.fulfillment.fulfill(upload({1, 2, 3}));
  EXPECT_ERROR(alias.buffer.to_host(), FailedPrecondition, "");
}

// Failing.

TEST_P(Aliases, FailWithTheErrorTheyAreGiven) {
  AliasBuffer alias = make_alias();
  EXPECT_OK(alias.fulfillment.fail(Error(ErrorCode::Unavailable, "the link is down")));
  EXPECT_ERROR(alias.buffer.ready().await(), Unavailable, "the link is down");
  EXPECT_ERROR(alias.buffer.to_vector<float>(), Unavailable, "the link is down");
}

TEST_P(Aliases, FailWithEveryCode) {
  for (int code = 1; code <= 16; ++code) {
    AliasBuffer alias = make_alias();
    const Error error(static_cast<ErrorCode>(code), "reason");
    EXPECT_OK(alias.fulfillment.fail(error));
    const Result<void> outcome = alias.buffer.ready().await();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code(), error.code());
  }
}

TEST_P(Aliases, ArePutInErrorWhenThePromiseIsDropped) {
  std::optional<AliasBuffer> alias = make_alias();
  const Event ready = alias->buffer.ready();
  {
    const AliasFulfillment dropped = std::move(alias->fulfillment);
  }
  EXPECT_ERROR(ready.await(), Cancelled, "abandoned before it was fulfilled");
}

TEST_P(Aliases, FailWhatWaitsForThem) {
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  AliasBuffer alias = make_alias();
  const Outputs outputs = value_of(twice(alias.buffer));
  Future<HostBuffer> host = alias.buffer.to_host_async();
  EXPECT_OK(alias.fulfillment.fail(Error(ErrorCode::Unavailable, "the link is down")));
  EXPECT_ERROR(host.await(), Unavailable, "the link is down");
  const Result<void> outcome = outputs.await();
  ASSERT_FALSE(outcome);
  EXPECT_NE(to_string(outcome.error()).find("the link is down"), std::string::npos) << outcome.error();
}

TEST_P(Aliases, ThatFailedHaveNoMemory) {  // plugins abort when they are asked for it
  AliasBuffer alias = make_alias();
  EXPECT_OK(alias.fulfillment.fail(Error(ErrorCode::Unavailable, "the link is down")));
  EXPECT_ERROR(alias.buffer.unsafe_pointer(), Unavailable, "the link is down");
  EXPECT_ERROR(alias.buffer.external_reference(), Unavailable, "the link is down");
  EXPECT_ERROR(alias.buffer.host_view<float>(), Unavailable, "the link is down");
  std::vector<std::byte> bytes(12);
  EXPECT_ERROR(alias.buffer.copy_raw_to_host(bytes).await(), Unavailable, "the link is down");
}

TEST_P(Aliases, AreFulfilledByABufferInErrorWithItsError) {
  Result<Buffer> broken =
      client.create_error_buffer(Error(ErrorCode::DataLoss, "broken"), {ElementType::F32, {3}}, memory);
  if (!broken) GTEST_SKIP() << "error buffers need API 0.82";
  AliasBuffer alias = make_alias();
  (void)alias.fulfillment.fulfill(std::move(*broken));
  EXPECT_ERROR(alias.buffer.ready().await(), DataLoss, "broken");
}

// What does not fit.

TEST_P(Aliases, AreFulfilledOnce) {  // a second time would be a use after free in the plugin
  AliasBuffer alias = make_alias();
  ASSERT_OK(alias.fulfillment.fulfill(upload({1, 2, 3})));
  Buffer more = upload({4, 5, 6});
  EXPECT_ERROR(alias.fulfillment.fulfill(std::move(more)), FailedPrecondition, "fulfilled already");
  EXPECT_FALSE(more.is_deleted());
  EXPECT_ERROR(alias.fulfillment.fail(Error(ErrorCode::Aborted, "no")), FailedPrecondition, "fulfilled already");
  EXPECT_EQ(fulfilments(), 1);
  EXPECT_EQ(value_of(alias.buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Aliases, RefuseAnotherShape) {
  AliasBuffer alias = make_alias();
  Buffer source = upload({1, 2});
  EXPECT_ERROR(alias.fulfillment.fulfill(std::move(source)), InvalidArgument, "the buffer is f32[2], the alias f32[3]");
  EXPECT_EQ(value_of(source.to_vector<float>()), (Floats{1, 2}));
  EXPECT_OK(alias.fulfillment.fulfill(upload({1, 2, 3})));  // it can still be fulfilled
}

TEST_P(Aliases, RefuseAnotherElementType) {
  AliasBuffer alias = make_alias();
  EXPECT_ERROR(alias.fulfillment.fulfill(value_of(client.upload(std::vector<std::int32_t>{1, 2, 3}, {3}))),
               InvalidArgument, "the buffer is s32[3], the alias f32[3]");
}

TEST_P(Aliases, RefuseAnotherMemory) {  // older plugins would not notice
  AliasBuffer alias = make_alias();
  const Buffer elsewhere = value_of(client.upload(Floats{1, 2, 3}, {3}, {client.devices()[1], {}, {}}));
  EXPECT_ERROR(alias.fulfillment.fulfill(value_of(elsewhere.copy_to_device(client.devices()[1]))), InvalidArgument,
               "the buffer lies in memory");
  UploadOptions pinned;
  pinned.memory = value_of(client.devices()[0].memory("pinned_host"));
  EXPECT_ERROR(alias.fulfillment.fulfill(value_of(client.upload(Floats{1, 2, 3}, {3}, pinned))), InvalidArgument,
               "the alias in");
}

TEST_P(Aliases, RefuseABufferOfAnotherClient) {
  const Client other = test::make_client(test::counted_plugin(GetParam()));
  AliasBuffer alias = make_alias();
  EXPECT_ERROR(alias.fulfillment.fulfill(value_of(other.upload(Floats{1, 2, 3}, {3}))), InvalidArgument,
               "belongs to another client");
}

TEST_P(Aliases, RefuseThemselves) {
  AliasBuffer alias = make_alias();
  EXPECT_ERROR(alias.fulfillment.fulfill(std::move(alias.buffer)), InvalidArgument, "with itself");
}

TEST_P(Aliases, RefuseABufferThatIsGone) {
  AliasBuffer alias = make_alias();
  Buffer source = upload({1, 2, 3});
  ASSERT_OK(source.delete_now());
  EXPECT_ERROR(alias.fulfillment.fulfill(std::move(source)), FailedPrecondition, "");
  Buffer moved = upload({1, 2, 3});
  const Buffer taken = std::move(moved);
  EXPECT_ERROR(alias.fulfillment.fulfill(std::move(moved)), FailedPrecondition, "moved from");
  EXPECT_EQ(fulfilments(), 0);
}

TEST_P(Aliases, RefuseABufferThatIsHeldInPlace) {
  AliasBuffer alias = make_alias();
  Buffer source = upload({1, 2, 3});
  std::optional<ExternalReference> reference = value_of(source.external_reference());
  EXPECT_ERROR(alias.fulfillment.fulfill(std::move(source)), FailedPrecondition, "1 external reference");
  reference.reset();
  EXPECT_OK(alias.fulfillment.fulfill(std::move(source)));
}

TEST_P(Aliases, OfElementsThatShareBytesCannotBe) {  // no plugin could be told their layout
  EXPECT_ERROR(client.create_alias_buffer({ElementType::S4, {4}}, memory), Unimplemented, "could never be fulfilled");
}

TEST_P(Aliases, ShapesThatPluginsAbortOnAreRefusedByUs) {
  EXPECT_ERROR(client.create_alias_buffer({ElementType::Invalid, {4}}, memory), InvalidArgument, "elements of type");
  EXPECT_ERROR(client.create_alias_buffer({ElementType::Token, {}}, memory), InvalidArgument, "elements of type");
  EXPECT_ERROR(client.create_alias_buffer({ElementType::F32, {-4}}, memory), InvalidArgument, "no array has the shape");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_CreateAliasBuffer"), 0);
}

}  // namespace
}  // namespace pjrt
