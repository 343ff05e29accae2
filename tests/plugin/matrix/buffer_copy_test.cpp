// Copies of buffers: to other devices and memories, and as raw bytes to the host.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

class Copies : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Buffer four(const UploadOptions& options = {}) const {
    return value_of(client.upload(Floats{1, 2, 3, 4}, {2, 2}, options));
  }
  Device second() const { return client.devices()[1]; }
  /// An alias that nobody has fulfilled yet: contents that are not there.
  AliasBuffer pending() const {
    return value_of(client.create_alias_buffer(Shape{ElementType::F32, {2, 2}},
                                               value_of(client.devices().front().default_memory())));
  }
  bool has_raw_copy_futures() const { return GetParam() != "cpu-0.81"; }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
};

INSTANTIATE_TEST_SUITE_P(Matrix, Copies, ::testing::ValuesIn(test::kCpuVersions));

// To devices and memories.

TEST_P(Copies, AreOnTheDeviceTheyWereMadeFor) {
  const Buffer original = four();
  const Buffer copy = value_of(original.copy_to_device(second()));
  EXPECT_EQ(copy.device(), second());
  EXPECT_EQ(value_of(copy.memory()), value_of(second().default_memory()));
  EXPECT_EQ(to_string(copy.shape()), "f32[2,2]");
  EXPECT_EQ(value_of(copy.layout()), MemoryLayout(Layout::row_major(2)));
  EXPECT_EQ(value_of(copy.to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(Copies, HaveMemoryOfTheirOwn) {
  Buffer original = four();
  const Buffer copy = value_of(original.copy_to_device(second()));
  ASSERT_OK(copy.ready().await());
  EXPECT_NE(value_of(copy.unsafe_pointer()), value_of(original.unsafe_pointer()));
  ASSERT_OK(original.delete_now());
  EXPECT_EQ(value_of(copy.to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(Copies, MayOutliveTheOriginalThatIsStillBeingCopied) {
  for (int i = 0; i < 50; ++i) {
    std::optional<Buffer> original = value_of(client.upload(Floats(1 << 14, 1.5f), {1 << 14}));
    const Buffer copy = value_of(original->copy_to_device(second()));
    original.reset();
    EXPECT_EQ(value_of(copy.to_vector<float>()), Floats(1 << 14, 1.5f));
  }
}

TEST_P(Copies, OnTheSameDeviceAreCopiesToo) {  // the header of the C API says an error
  Buffer original = four();
  const Buffer copy = value_of(original.copy_to_device(client.devices().front()));
  ASSERT_OK(original.delete_now());
  EXPECT_EQ(copy.device(), client.devices().front());
  EXPECT_EQ(value_of(copy.to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(Copies, MayGoToAnotherClient) {
  const Client other = test::make_client(client.plugin(), 1);
  std::optional<Buffer> original = four();
  const Buffer copy = value_of(original->copy_to_device(other.devices().front()));
  original.reset();
  EXPECT_EQ(copy.client(), other);
  EXPECT_EQ(copy.device(), other.devices().front());
  EXPECT_EQ(value_of(copy.to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(Copies, DoNotGoToAnotherPlugin) {  // it would be handed objects that it did not make
  const std::string name = GetParam() == "cpu" ? "cpu-0.106" : "cpu";
  REQUIRE_PLUGIN(name);
  const Client other = test::make_client(test::counted_plugin(name), 1);
  const Buffer original = four();
  EXPECT_ERROR(original.copy_to_device(other.devices().front()), InvalidArgument, "belongs to plugin");
  EXPECT_ERROR(original.copy_to_memory(value_of(other.devices().front().default_memory())), InvalidArgument,
               "copy through the host");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_CopyToDevice"), 0);
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_CopyToMemory"), 0);
}

TEST_P(Copies, GoToEveryMemoryOfTheDevice) {
  const Buffer original = four();
  for (const Memory memory : client.memories()) {
    const Buffer copy = value_of(original.copy_to_memory(memory));
    EXPECT_EQ(value_of(copy.memory()), memory);
    EXPECT_EQ(copy.device(), memory.devices().front());
    EXPECT_EQ(value_of(copy.to_vector<float>()), (Floats{1, 2, 3, 4}));
  }
}

TEST_P(Copies, OfContentsToComeComeLater) {
  AliasBuffer alias = pending();
  const Result<Buffer> copy = alias.buffer.copy_to_device(second());
  ASSERT_OK(alias.fulfillment.fulfill(four()));
  ASSERT_OK(copy);
  EXPECT_EQ(value_of(copy->to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(Copies, OfContentsThatNeverComeFail) {
  AliasBuffer alias = pending();
  const Result<Buffer> copy = alias.buffer.copy_to_device(second());
  ASSERT_OK(alias.fulfillment.fail(Error(ErrorCode::DataLoss, "nothing came")));
  if (!copy) return;
  const Result<void> outcome = copy->ready().await();
  ASSERT_FALSE(outcome);
  EXPECT_NE(to_string(outcome.error()).find("nothing came"), std::string::npos) << outcome.error();
}

TEST_P(Copies, OfPackedElementsComeBackRight) {
  const std::vector<uint4> nibbles{uint4(1), uint4(2), uint4(15)};
  const Buffer copy = value_of(value_of(client.upload(nibbles, {3})).copy_to_device(second()));
  EXPECT_EQ(value_of(copy.to_vector<uint4>()), nibbles);
}

TEST_P(Copies, OfOtherLayoutsComeBackRight) {
  const Result<Buffer> original = client.upload(Floats{1, 2, 3, 4}, {2, 2}, {{}, {}, Layout::column_major(2)});
  if (!original) GTEST_SKIP() << "no other layouts on " << GetParam();
  const Buffer copy = value_of(original->copy_to_device(second()));
  EXPECT_EQ(value_of(copy.layout()), MemoryLayout(Layout::column_major(2)));
  EXPECT_EQ(value_of(copy.to_vector<float>()), (Floats{1, 2, 3, 4}));
}

// To memory of the caller.

TEST_P(Copies, ToTheHostFillTheCallersMemory) {
  std::array<float, 4> out{};
  EXPECT_OK(four().to_host(std::span<float>(out)));
  EXPECT_EQ(out, (std::array<float, 4>{1, 2, 3, 4}));
}

TEST_P(Copies, ToTheHostWantExactlyTheElements) {
  const Buffer buffer = four();
  std::array<float, 5> out{};
  EXPECT_ERROR(buffer.to_host(std::span<float>(out)), InvalidArgument, "has 16 bytes, the destination 20");
  EXPECT_ERROR(buffer.to_host(std::span<float>(out).first(3)), InvalidArgument, "has 16 bytes, the destination 12");
}

TEST_P(Copies, ToTheHostWantTheElementType) {
  const Buffer buffer = four();
  std::array<std::int32_t, 4> out{};
  EXPECT_ERROR(buffer.to_host(std::span<std::int32_t>(out)), InvalidArgument, "the buffer holds f32, not s32");
  EXPECT_ERROR(buffer.to_vector<double>(), InvalidArgument, "f32");
  EXPECT_ERROR(buffer.host_view<std::int32_t>(), InvalidArgument, "the buffer holds f32, not s32");
}

TEST_P(Copies, ToTheHostOfNothingAreNothing) {
  const Buffer nothing = value_of(client.upload(Floats{}, {0, 3}));
  EXPECT_OK(nothing.to_host(std::span<float>()));
  EXPECT_EQ(value_of(nothing.to_host()).dims(), (Dimensions{0, 3}));
}

TEST_P(Copies, ToTheHostMayBeginBeforeTheContentsAreThere) {
  AliasBuffer alias = pending();
  Future<HostBuffer> host = alias.buffer.to_host_async();
  EXPECT_FALSE(host.is_ready());
  ASSERT_OK(alias.fulfillment.fulfill(four()));
  EXPECT_EQ(value_of(value_of(host.await()).to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(Copies, ToTheHostFailWithTheContents) {
  AliasBuffer alias = pending();
  Future<HostBuffer> host = alias.buffer.to_host_async();
  ASSERT_OK(alias.fulfillment.fail(Error(ErrorCode::DataLoss, "nothing came")));
  EXPECT_ERROR(host.await(), DataLoss, "nothing came");
  EXPECT_ERROR(alias.buffer.to_host(), DataLoss, "nothing came");
}

TEST_P(Copies, ToTheHostMayBeDroppedUnderWay) {
  for (int i = 0; i < 50; ++i) {
    const Buffer buffer = value_of(client.upload(Floats(1 << 16, 1.0f), {1 << 16}));
    (void)buffer.to_host_async();
  }
}

// Raw bytes.

TEST_P(Copies, RawBytesAreThoseOfTheDevice) {
  std::array<float, 4> out{};
  EXPECT_OK(four().copy_raw_to_host(std::as_writable_bytes(std::span(out))).await());
  EXPECT_EQ(out, (std::array<float, 4>{1, 2, 3, 4}));
}

TEST_P(Copies, RawBytesOfPackedElementsArePacked) {
  const std::vector<uint4> nibbles{uint4(1), uint4(2), uint4(15)};
  const Buffer buffer = value_of(client.upload(nibbles, {3}));
  std::array<std::byte, 2> out{};
  ASSERT_OK(buffer.copy_raw_to_host(out).await());
  EXPECT_EQ(out, (std::array{std::byte{0x21}, std::byte{0x0f}}));
}

TEST_P(Copies, RawBytesBeginAtTheOffset) {
  std::array<float, 2> out{};
  EXPECT_OK(four().copy_raw_to_host(std::as_writable_bytes(std::span(out)), 4).await());
  EXPECT_EQ(out, (std::array<float, 2>{2, 3}));
}

TEST_P(Copies, RawBytesMayBeNone) {
  EXPECT_OK(four().copy_raw_to_host({}).await());
  EXPECT_OK(four().copy_raw_to_host({}, 16).await());
}

TEST_P(Copies, RawBytesOutsideTheBufferAreAnError) {
  const Buffer buffer = four();
  std::array<std::byte, 20> out{};
  for (const auto& [size, offset] :
       std::initializer_list<std::pair<std::size_t, std::int64_t>>{{20, 0},
                                                                   {4, 16},
                                                                   {16, 1},
                                                                   {4, -4},
                                                                   {4, std::numeric_limits<std::int64_t>::max()},
                                                                   {4, std::numeric_limits<std::int64_t>::max() - 3},
                                                                   {4, std::numeric_limits<std::int64_t>::min()}}) {
    const Result<void> outcome = buffer.copy_raw_to_host(std::span(out).first(size), offset).await();
    EXPECT_ERROR(outcome, InvalidArgument, "") << size << " bytes at " << offset;
  }
  EXPECT_EQ(out, (std::array<std::byte, 20>{}));
}

TEST_P(Copies, RawBytesToComeComeLater) {
  AliasBuffer alias = pending();
  std::array<float, 4> out{};
  const Event copied = alias.buffer.copy_raw_to_host(std::as_writable_bytes(std::span(out)));
  EXPECT_FALSE(copied.is_ready());
  ASSERT_OK(alias.fulfillment.fulfill(four()));
  EXPECT_OK(copied.await());
  EXPECT_EQ(out, (std::array<float, 4>{1, 2, 3, 4}));
}

TEST_P(Copies, RawBytesThatNeverComeAreAnError) {
  AliasBuffer alias = pending();
  std::array<std::byte, 16> out{};
  const Event copied = alias.buffer.copy_raw_to_host(out);
  ASSERT_OK(alias.fulfillment.fail(Error(ErrorCode::DataLoss, "nothing came")));
  EXPECT_ERROR(copied.await(), DataLoss, "nothing came");
}

TEST_P(Copies, RawBytesWithoutADestinationNeedApi084) {
  if (has_raw_copy_futures()) GTEST_SKIP() << GetParam() << " has it";
  EXPECT_ERROR(four().copy_raw_to_host_future(16), Unimplemented, "0.84");
}

#define REQUIRE_RAW_COPY_FUTURES() \
  if (!has_raw_copy_futures()) GTEST_SKIP() << "no such function in " << GetParam()

TEST_P(Copies, RawBytesWaitForTheirDestination) {
  REQUIRE_RAW_COPY_FUTURES();
  const Buffer buffer = four();
  RawCopy copy = value_of(buffer.copy_raw_to_host_future(8, 4));
  EXPECT_FALSE(copy.event().is_ready());
  std::array<float, 2> out{};
  ASSERT_OK(copy.provide(std::as_writable_bytes(std::span(out))));
  EXPECT_OK(copy.event().await());
  EXPECT_EQ(out, (std::array<float, 2>{2, 3}));
}

TEST_P(Copies, RawBytesAreToldTheirDestinationOnce) {
  REQUIRE_RAW_COPY_FUTURES();
  const Buffer buffer = four();
  RawCopy copy = value_of(buffer.copy_raw_to_host_future(16));
  std::array<std::byte, 16> out{};
  ASSERT_OK(copy.provide(out));
  EXPECT_ERROR(copy.provide(out), FailedPrecondition, "already");
  EXPECT_ERROR(copy.fail(Error(ErrorCode::Internal, "late")), FailedPrecondition, "already");
  EXPECT_OK(copy.event().await());
}

TEST_P(Copies, RawBytesWantADestinationOfTheirSize) {
  REQUIRE_RAW_COPY_FUTURES();
  RawCopy copy = value_of(four().copy_raw_to_host_future(16));
  std::array<std::byte, 20> out{};
  EXPECT_ERROR(copy.provide(std::span(out).first(8)), InvalidArgument, "of 16 bytes, the destination has 8");
  EXPECT_ERROR(copy.provide(out), InvalidArgument, "of 16 bytes, the destination has 20");
  EXPECT_OK(copy.provide(std::span(out).first(16)));
  EXPECT_OK(copy.event().await());
}

TEST_P(Copies, RawBytesWithoutADestinationFailAsTheyAreTold) {
  REQUIRE_RAW_COPY_FUTURES();
  RawCopy copy = value_of(four().copy_raw_to_host_future(16));
  ASSERT_OK(copy.fail(Error(ErrorCode::ResourceExhausted, "no room")));
  EXPECT_ERROR(copy.event().await(), ResourceExhausted, "no room");
}

TEST_P(Copies, RawBytesThatAreDroppedAreCancelled) {
  REQUIRE_RAW_COPY_FUTURES();
  const Buffer buffer = four();
  std::optional<RawCopy> copy = value_of(buffer.copy_raw_to_host_future(16));
  const Event event = copy->event();
  copy.reset();
  EXPECT_ERROR(event.await(), Cancelled, "destroyed before its destination was provided");
}

TEST_P(Copies, RawBytesMayBeMovedBetweenHandles) {
  REQUIRE_RAW_COPY_FUTURES();
  const Buffer buffer = four();
  RawCopy first = value_of(buffer.copy_raw_to_host_future(16));
  RawCopy copy = std::move(first);
  RawCopy third = value_of(buffer.copy_raw_to_host_future(16));
  third = std::move(copy);
  std::array<float, 4> out{};
  ASSERT_OK(third.provide(std::as_writable_bytes(std::span(out))));
  EXPECT_OK(third.event().await());
  EXPECT_EQ(out, (std::array<float, 4>{1, 2, 3, 4}));
}

TEST_P(Copies, RawBytesKeepTheBufferThatTheyAreOf) {
  REQUIRE_RAW_COPY_FUTURES();
  std::optional<Buffer> buffer = four();
  RawCopy copy = value_of(buffer->copy_raw_to_host_future(16));
  buffer.reset();
  client = test::make_client(client.plugin(), 1);  // the buffer's is gone as far as we hold it
  std::array<float, 4> out{};
  ASSERT_OK(copy.provide(std::as_writable_bytes(std::span(out))));
  EXPECT_OK(copy.event().await());
  EXPECT_EQ(out, (std::array<float, 4>{1, 2, 3, 4}));
}

TEST_P(Copies, RawBytesOutsideTheBufferAreAnErrorForALaterDestinationToo) {
  REQUIRE_RAW_COPY_FUTURES();
  const Buffer buffer = four();
  std::array<std::byte, 20> out{};
  for (const auto& [size, offset] : std::initializer_list<std::pair<std::int64_t, std::int64_t>>{
           {20, 0}, {4, 16}, {16, 1}, {4, -4}, {-4, 4}, {4, std::numeric_limits<std::int64_t>::max()}}) {
    Result<RawCopy> copy = buffer.copy_raw_to_host_future(size, offset);
    if (copy && size >= 0) {
      ASSERT_OK(copy->provide(std::span(out).first(static_cast<std::size_t>(size))));
      EXPECT_ERROR(copy->event().await(), InvalidArgument, "") << size << " bytes at " << offset;
    } else {
      EXPECT_ERROR(copy, InvalidArgument, "") << size << " bytes at " << offset;
    }
  }
  EXPECT_EQ(out, (std::array<std::byte, 20>{}));
}

TEST_P(Copies, RawBytesToComeComeLaterToALaterDestination) {
  REQUIRE_RAW_COPY_FUTURES();
  AliasBuffer alias = pending();
  std::array<float, 4> out{};
  RawCopy copy = value_of(alias.buffer.copy_raw_to_host_future(16));
  ASSERT_OK(copy.provide(std::as_writable_bytes(std::span(out))));
  ASSERT_OK(alias.fulfillment.fulfill(four()));
  EXPECT_OK(copy.event().await());
  EXPECT_EQ(out, (std::array<float, 4>{1, 2, 3, 4}));
}

TEST_P(Copies, RawBytesThatNeverComeAreAnErrorForALaterDestinationToo) {
  REQUIRE_RAW_COPY_FUTURES();
  AliasBuffer alias = pending();
  std::array<std::byte, 16> out{};
  RawCopy copy = value_of(alias.buffer.copy_raw_to_host_future(16));
  ASSERT_OK(copy.provide(out));
  ASSERT_OK(alias.fulfillment.fail(Error(ErrorCode::DataLoss, "nothing came")));
  EXPECT_ERROR(copy.event().await(), DataLoss, "nothing came");
}

}  // namespace
}  // namespace pjrt
