// Arrays of every rank and stride to the device, and where they go.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "support/call_counter.hpp"
#include "support/eventually.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::becomes_true;
using test::value_of;
using Ints = std::vector<std::int32_t>;

Ints count_up(std::size_t n) {
  Ints values(n);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

class Uploads : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  std::int64_t uploads_seen() const { return test::calls_of(GetParam(), "PJRT_Client_BufferFromHostBuffer"); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
};

INSTANTIATE_TEST_SUITE_P(Matrix, Uploads, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Uploads, ScalarHasNoDimensions) {
  const Buffer buffer = value_of(client.upload(std::int64_t{-7}));
  EXPECT_EQ(buffer.shape(), (Shape{ElementType::S64, {}}));
  EXPECT_EQ(value_of(buffer.to_vector<std::int64_t>()), std::vector<std::int64_t>{-7});
}

TEST_P(Uploads, EveryRankUpToEightRoundTrips) {  // more than six dimensions live on the heap
  const std::int64_t sizes[] = {2, 3, 1, 2, 1, 3, 2, 2};
  for (std::size_t rank = 0; rank <= 8; ++rank) {
    SCOPED_TRACE(rank);
    const Dimensions dims(std::span(sizes, rank));
    const Ints values = count_up(static_cast<std::size_t>(element_count(dims).value()));
    const Buffer buffer = value_of(client.upload(values, dims));
    EXPECT_EQ(buffer.dims(), dims);
    const HostBuffer back = value_of(buffer.to_host());
    EXPECT_EQ(back.dims(), dims);
    EXPECT_EQ(value_of(back.to_vector<std::int32_t>()), values);
  }
}

TEST_P(Uploads, ArraysWithoutElementsKeepTheirDimensions) {
  for (const Dimensions& dims : {Dimensions{0}, Dimensions{2, 0, 3}, Dimensions{0, 0}, Dimensions{5, 0}}) {
    SCOPED_TRACE(to_string(dims));
    const Buffer buffer = value_of(client.upload(Ints{}, dims));
    const HostBuffer back = value_of(buffer.to_host());
    EXPECT_EQ(back.dims(), dims);
    EXPECT_EQ(back.element_count(), 0);
    EXPECT_EQ(value_of(buffer.on_device_size()), 0u);
  }
}

TEST_P(Uploads, WrongNumberOfElementsIsRefusedByUs) {
  EXPECT_ERROR(client.upload(count_up(5), {2, 3}), InvalidArgument,
               "5 elements do not make an array of dimensions [2,3]");
  EXPECT_EQ(uploads_seen(), 0);
}

TEST_P(Uploads, DimensionsThatNoArrayHasAreRefusedByUs) {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  const std::int32_t value = 0;
  for (const Dimensions& dims : {Dimensions{-1}, Dimensions{2, -3}, Dimensions{kHuge, 2}, Dimensions{kHuge / 2}}) {
    SCOPED_TRACE(to_string(dims));
    EXPECT_ERROR(client.upload(HostView(&value, Shape{ElementType::S32, dims})), InvalidArgument,
                 "no array has the shape");
  }
  EXPECT_EQ(uploads_seen(), 0);
}

TEST_P(Uploads, NullAddressIsRefusedByUs) {  // the plugin would crash
  EXPECT_ERROR(client.upload(HostView(nullptr, Shape{ElementType::S32, {2}})), InvalidArgument,
               "the address of the array s32[2] is null");
  EXPECT_EQ(uploads_seen(), 0);
}

TEST_P(Uploads, MoreThanTheMachineHasIsAnError) {
  const std::int32_t one = 1;  // broadcast to 4 TiB
  const HostView view = value_of(HostView::strided(&one, Shape{ElementType::S32, {std::int64_t{1} << 40}}, {0}));
  EXPECT_ERROR(client.upload(view), ResourceExhausted, "");
}

TEST_P(Uploads, SourceMayChangeOnceUploadReturns) {
  Ints values = count_up(1 << 18);
  const Ints before = values;
  const Buffer buffer = value_of(client.upload(values, {1 << 18}));
  std::fill(values.begin(), values.end(), -1);
  EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), before);
}

TEST_P(Uploads, MayComeFromSeveralThreads) {
  std::vector<std::jthread> threads;
  std::vector<Ints> back(8);
  for (std::size_t t = 0; t < back.size(); ++t) {
    threads.emplace_back([this, t, &back] {
      for (int round = 0; round < 20; ++round) {
        const Buffer buffer = value_of(client.upload(Ints(100, static_cast<std::int32_t>(t)), {100}));
        back[t] = value_of(buffer.to_vector<std::int32_t>());
      }
    });
  }
  threads.clear();
  for (std::size_t t = 0; t < back.size(); ++t) EXPECT_EQ(back[t], Ints(100, static_cast<std::int32_t>(t)));
}

// Strides.

/// Uploads elements of 1 2 3 … (laid out at `offset` elements into them) with these strides, given in elements.
Ints through_device(const Client& client, const Ints& memory, std::int64_t offset, const Dimensions& dims,
                    std::vector<std::int64_t> strides) {
  for (std::int64_t& s : strides) s *= 4;
  const HostView view =
      value_of(HostView::strided(memory.data() + offset, Shape{ElementType::S32, dims}, Dimensions(strides)));
  return value_of(value_of(client.upload(view)).to_vector<std::int32_t>());
}

TEST_P(Uploads, TransposedViewComesBackTransposed) {
  EXPECT_EQ(through_device(client, count_up(6), 0, {3, 2}, {1, 3}), (Ints{1, 4, 2, 5, 3, 6}));
}

TEST_P(Uploads, NegativeStridesReverse) {
  EXPECT_EQ(through_device(client, count_up(6), 5, {2, 3}, {-3, -1}), (Ints{6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(through_device(client, count_up(6), 3, {2, 3}, {-3, 1}), (Ints{4, 5, 6, 1, 2, 3}));
}

TEST_P(Uploads, ZeroStridesBroadcast) {
  EXPECT_EQ(through_device(client, count_up(3), 0, {2, 3}, {0, 1}), (Ints{1, 2, 3, 1, 2, 3}));
  EXPECT_EQ(through_device(client, count_up(3), 0, {3, 2}, {1, 0}), (Ints{1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(through_device(client, count_up(1), 0, {2, 2}, {0, 0}), (Ints{1, 1, 1, 1}));
}

TEST_P(Uploads, GapsAreLeftOut) {
  EXPECT_EQ(through_device(client, count_up(12), 0, {2, 3}, {6, 2}), (Ints{1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(through_device(client, count_up(12), 1, {2, 2}, {5, 1}), (Ints{2, 3, 7, 8}));
}

TEST_P(Uploads, ThreeDimensionsInAnyOrder) {
  // numpy: np.arange(1, 25).reshape(2, 3, 4).transpose(2, 0, 1).ravel()
  EXPECT_EQ(through_device(client, count_up(24), 0, {4, 2, 3}, {1, 12, 4}),
            (Ints{1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23, 4, 8, 12, 16, 20, 24}));
}

TEST_P(Uploads, UnalignedAddressesAndStridesAreFine) {
  std::vector<std::byte> memory(64);
  const std::int32_t values[] = {1, 2, 3};
  for (std::size_t i = 0; i < 3; ++i) std::memcpy(memory.data() + 1 + 7 * i, &values[i], 4);
  const HostView view = value_of(HostView::strided(memory.data() + 1, Shape{ElementType::S32, {3}}, {7}));
  EXPECT_EQ(value_of(value_of(client.upload(view)).to_vector<std::int32_t>()), (Ints{1, 2, 3}));
}

TEST_P(Uploads, StridesOfOneElementOrNoneDoNotMatter) {
  EXPECT_EQ(through_device(client, count_up(1), 0, {1, 1}, {1000, -1000}), Ints{1});
  EXPECT_EQ(through_device(client, count_up(1), 0, {0, 3}, {1000, -1000}), Ints{});
}

TEST_P(Uploads, WrongNumberOfStridesNeverReachesThePlugin) {  // older ones abort
  const Ints values = count_up(6);
  EXPECT_ERROR(HostView::strided(values.data(), Shape{ElementType::S32, {2, 3}}, {4}), InvalidArgument,
               "1 strides for an array of shape s32[2,3]");
  EXPECT_ERROR(HostView::strided(values.data(), Shape{ElementType::S32, {2, 3}}, {4, 4, 4}), InvalidArgument,
               "3 strides");
}

// Where it goes.

TEST_P(Uploads, GoToTheFirstDeviceUnlessTold) {
  EXPECT_EQ(value_of(client.upload(1.0f)).device(), client.addressable_devices()[0]);
}

TEST_P(Uploads, GoToTheDeviceAskedFor) {
  UploadOptions options;
  options.device = client.addressable_devices()[1];
  const Buffer buffer = value_of(client.upload(1.0f, options));
  EXPECT_EQ(buffer.device(), *options.device);
  EXPECT_EQ(value_of(buffer.memory()), value_of(options.device->default_memory()));
}

TEST_P(Uploads, GoToTheMemoryAskedFor) {
  for (const Device device : client.addressable_devices()) {
    for (const Memory memory : device.memories()) {
      SCOPED_TRACE(memory.to_string());
      UploadOptions options;
      options.memory = memory;
      const Buffer buffer = value_of(client.upload(std::int32_t{7}, options));
      EXPECT_EQ(value_of(buffer.memory()), memory);
      EXPECT_EQ(buffer.device(), device);
      EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), Ints{7});
    }
  }
}

TEST_P(Uploads, MemoryThatTheDeviceLacksIsRefusedByUs) {
  UploadOptions options;
  options.device = client.addressable_devices()[0];
  options.memory = value_of(client.addressable_devices()[1].default_memory());
  EXPECT_ERROR(client.upload(1.0f, options), InvalidArgument, "cannot address memory");
  EXPECT_EQ(uploads_seen(), 0);
}

TEST_P(Uploads, PlacesOfAnotherClientAreRefusedByUs) {
  const Client other = test::make_client(test::counted_plugin(GetParam()), 1);
  UploadOptions to_device, to_memory;
  to_device.device = other.addressable_devices()[0];
  to_memory.memory = other.memories()[0];
  EXPECT_ERROR(client.upload(1.0f, to_device), InvalidArgument, "belongs to another client");
  EXPECT_ERROR(client.upload(1.0f, to_memory), InvalidArgument, "belongs to another client");
  EXPECT_EQ(uploads_seen(), 0);
}

// Without waiting.

/// A large array and a watch on its memory.
struct Watched {
  explicit Watched(std::size_t count) {
    auto values = std::make_shared<Ints>(count_up(count));
    expected = *values;
    watch = values;
    const HostView view(values->data(), Shape{ElementType::S32, {static_cast<std::int64_t>(count)}});
    array = HostBuffer::borrow(view, std::move(values));
  }
  Ints expected;
  std::weak_ptr<Ints> watch;
  std::optional<HostBuffer> array;
};

TEST_P(Uploads, AsyncGivesTheBufferOnceItsContentsAreThere) {
  Watched watched(1 << 18);
  Future<Buffer> future = client.upload_async(*watched.array);
  const Buffer buffer = value_of(future.await());
  EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), watched.expected);
}

TEST_P(Uploads, AsyncLetsGoOfTheMemoryWhenItHasBeenRead) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{1} << 20}) {
    Watched watched(count);
    Future<Buffer> future = client.upload_async(*std::exchange(watched.array, std::nullopt));
    const Buffer buffer = value_of(future.await());
    EXPECT_TRUE(becomes_true([&] { return watched.watch.expired(); })) << count;
    EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), watched.expected);
  }
}

TEST_P(Uploads, AsyncMayBeDroppedAtOnce) {
  for (int round = 0; round < 10; ++round) {
    Watched watched(1 << 18);
    (void)client.upload_async(*std::exchange(watched.array, std::nullopt));
    EXPECT_TRUE(becomes_true([&] { return watched.watch.expired(); }));
  }
}

TEST_P(Uploads, AsyncOutlivesTheHandlesOfItsClient) {
  Watched watched(1 << 18);
  std::optional<Client> only = test::make_client(test::counted_plugin(GetParam()));
  Future<Buffer> future = only->upload_async(*watched.array);
  only.reset();
  EXPECT_EQ(value_of(value_of(future.await()).to_vector<std::int32_t>()), watched.expected);
}

TEST_P(Uploads, AsyncReadsStridedArrays) {
  const Ints values = count_up(6);
  const HostView transposed = value_of(HostView::strided(values.data(), Shape{ElementType::S32, {3, 2}}, {4, 12}));
  Future<Buffer> future = client.upload_async(HostBuffer::borrow(transposed, nullptr));
  EXPECT_EQ(value_of(value_of(future.await()).to_vector<std::int32_t>()), (Ints{1, 4, 2, 5, 3, 6}));
}

TEST_P(Uploads, AsyncErrorsComeOutOfTheFuture) {
  Future<Buffer> future =
      client.upload_async(HostBuffer::borrow(HostView(nullptr, Shape{ElementType::S32, {2}}), nullptr));
  EXPECT_TRUE(future.is_ready());
  EXPECT_ERROR(future.await(), InvalidArgument, "is null");
}

}  // namespace
}  // namespace pjrt
