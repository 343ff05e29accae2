// Filling buffers piece by piece: as bytes, chunk after chunk or in any order, and as typed elements.

#include "pjrt/transfer_manager.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/eventually.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::becomes_true;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::Pair;
using Ints = std::vector<std::int32_t>;

Ints count_up(std::size_t n) {
  Ints values(n);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

template <class T>
Chunk chunk_of(const std::vector<T>& values) {
  return Chunk::copy_of(std::as_bytes(std::span(values)));
}

const ShapeSpec kSixInts{{ElementType::S32, {6}}, {}};

class Transfers : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  TransferManager manager_for(const std::vector<ShapeSpec>& specs) const {
    return value_of(client.create_buffers_for_async_host_to_device(specs, memory));
  }
  TransferManager manager() const { return manager_for({kSixInts}); }
  std::int64_t calls_of(const std::string& function) const {
    return test::calls_of(GetParam(), "PJRT_AsyncHostToDeviceTransferManager_" + function);
  }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
  Memory memory = client.memories()[0];
};

INSTANTIATE_TEST_SUITE_P(Matrix, Transfers, ::testing::ValuesIn(test::kCpuVersions));

// What a manager knows.

TEST_P(Transfers, KnowTheirBuffers) {
  TransferManager m = manager_for({kSixInts, {{ElementType::F64, {2, 2}}, {}}, {{ElementType::U8, {}}, {}}});
  EXPECT_EQ(value_of(m.buffer_count()), 3u);
  EXPECT_EQ(m.specs().size(), 3u);
  EXPECT_EQ(m.specs()[1].shape, (Shape{ElementType::F64, {2, 2}}));
  EXPECT_EQ(value_of(m.buffer_size(0)), 24u);
  EXPECT_EQ(value_of(m.buffer_size(1)), 32u);
  EXPECT_EQ(value_of(m.buffer_size(2)), 1u);
}

TEST_P(Transfers, KnowTheirDevice) {
  const Device second = client.devices()[1];
  const std::vector<ShapeSpec> specs = {kSixInts};
  TransferManager m =
      value_of(client.create_buffers_for_async_host_to_device(specs, value_of(second.default_memory())));
  EXPECT_EQ(value_of(m.device()), second);
  EXPECT_EQ(value_of(m.retrieve_buffer(0)).device(), second);
  EXPECT_EQ(value_of(manager().device()), client.devices()[0]);
}

TEST_P(Transfers, OfNoBuffersAreFine) {
  const TransferManager m = manager_for({});
  EXPECT_EQ(value_of(m.buffer_count()), 0u);
  EXPECT_ERROR(m.buffer_size(0), OutOfRange, "there is no buffer 0; the transfer has 0");
}

TEST_P(Transfers, CountNarrowElementsAsTheDevicePacksThem) {
  const TransferManager m = manager_for({{{ElementType::S4, {5}}, {}}, {{ElementType::U4, {6}}, {}}});
  EXPECT_EQ(value_of(m.buffer_size(0)), 3u);
  EXPECT_EQ(value_of(m.buffer_size(1)), 3u);
}

// Bytes.

TEST_P(Transfers, WholeBufferInOneChunk) {
  TransferManager m = manager();
  const Buffer buffer = value_of(m.retrieve_buffer(0));
  EXPECT_EQ(buffer.shape(), kSixInts.shape);
  EXPECT_FALSE(buffer.ready().is_ready());
  EXPECT_OK(m.transfer_data(0, chunk_of(count_up(6)), 0, true).await());
  EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), count_up(6));
}

TEST_P(Transfers, ChunksInAnyOrder) {
  TransferManager m = manager();
  const Buffer buffer = value_of(m.retrieve_buffer(0));
  EXPECT_OK(m.transfer_data(0, chunk_of(Ints{5, 6}), 16, false).await());
  EXPECT_OK(m.transfer_data(0, chunk_of(Ints{1}), 0, false).await());
  EXPECT_FALSE(buffer.ready().is_ready());
  EXPECT_OK(m.transfer_data(0, chunk_of(Ints{2, 3, 4}), 4, true).await());
  EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), count_up(6));
}

TEST_P(Transfers, AddedChunksFollowEachOther) {
  TransferManager m = manager();
  const Buffer buffer = value_of(m.retrieve_buffer(0));
  EXPECT_OK(m.add(0, chunk_of(Ints{1, 2})).await());
  EXPECT_OK(m.add(0, chunk_of(Ints{3})).await());
  EXPECT_FALSE(buffer.ready().is_ready());
  EXPECT_OK(m.add(0, chunk_of(Ints{4, 5, 6})).await());  // it fills the buffer, so it is the last
  EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), count_up(6));
}

TEST_P(Transfers, ChunksMayCutElementsApart) {
  TransferManager m = manager();
  const Buffer buffer = value_of(m.retrieve_buffer(0));
  const Ints values = count_up(6);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
  EXPECT_OK(m.add(0, Chunk::copy_of(bytes.first(5))).await());
  EXPECT_OK(m.add(0, Chunk::copy_of(bytes.subspan(5, 1))).await());
  EXPECT_OK(m.add(0, Chunk::copy_of(bytes.subspan(6))).await());
  EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), values);
}

TEST_P(Transfers, RawTransferIsOneBufferOfTheManager) {
  TransferManager m = manager_for({kSixInts, kSixInts});
  RawTransfer second = m.raw(1);
  const Buffer buffer = value_of(second.retrieve());
  EXPECT_OK(second.transfer(chunk_of(Ints{4, 5, 6}), 12, false).await());
  EXPECT_OK(second.transfer(chunk_of(Ints{1, 2, 3}), 0, true).await());
  EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), count_up(6));
}

TEST_P(Transfers, ChunksMayBeOfAnySize) {
  for (const std::size_t chunk_size : {1, 5, 24, 1000}) {
    SCOPED_TRACE(chunk_size);
    TransferManager m = manager();
    const Ints values = count_up(6);
    EXPECT_OK(m.transfer_chunked(0, std::as_bytes(std::span(values)), chunk_size));
    EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<std::int32_t>()), values);
  }
}

TEST_P(Transfers, ProgressIsToldAfterEveryChunk) {
  TransferManager m = manager();
  const Ints values = count_up(6);
  std::vector<std::pair<std::int64_t, std::int64_t>> told;
  const auto here = std::this_thread::get_id();
  EXPECT_OK(m.transfer_chunked(0, std::as_bytes(std::span(values)), 10, [&](std::int64_t bytes, std::int64_t total) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    told.emplace_back(bytes, total);
  }));
  EXPECT_THAT(told, ElementsAre(Pair(10, 24), Pair(20, 24), Pair(24, 24)));
}

TEST_P(Transfers, MayBeLargeAndInManyPieces) {
  constexpr std::int64_t kCount = 1 << 20;
  TransferManager m = manager_for({{{ElementType::S32, {kCount}}, {}}});
  const Ints values = count_up(kCount);
  EXPECT_OK(m.transfer_chunked(0, std::as_bytes(std::span(values)), 123457));
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<std::int32_t>()), values);
}

TEST_P(Transfers, BuffersWithoutElementsAreFilledByNothing) {
  TransferManager m =
      manager_for({{{ElementType::F32, {0, 3}}, {}}, {{ElementType::F32, {0}}, {}}, {{ElementType::F32, {0}}, {}}});
  EXPECT_EQ(value_of(m.buffer_size(0)), 0u);
  EXPECT_OK(m.transfer_chunked(0, {}, 16));
  EXPECT_OK(m.add(1, Chunk(nullptr, {})).await());
  EXPECT_OK(m.transfer_data(2, Chunk(nullptr, {}), 0, true).await());
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(value_of(value_of(m.retrieve_buffer(i)).to_vector<float>()), std::vector<float>{});
  }
}

TEST_P(Transfers, KeepTheMemoryOfAChunkUntilItIsCopied) {
  constexpr std::int64_t kCount = 1 << 20;
  TransferManager m = manager_for({{{ElementType::S32, {kCount}}, {}}});
  auto values = std::make_shared<Ints>(count_up(kCount));
  const std::weak_ptr<Ints> watch = values;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(*values));
  const Event done = m.add(0, Chunk(std::move(values), bytes));
  EXPECT_OK(done.await());
  EXPECT_TRUE(becomes_true([&] { return watch.expired(); }));
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<std::int32_t>()), count_up(kCount));
}

TEST_P(Transfers, MayGoWhileAChunkIsUnderWay) {
  constexpr std::int64_t kCount = 1 << 22;
  for (int round = 0; round < 5; ++round) {
    std::optional<TransferManager> m = manager_for({{{ElementType::S32, {kCount}}, {}}});
    const Buffer buffer = value_of(m->retrieve_buffer(0));
    (void)m->add(0, chunk_of(Ints(kCount, round)));
    m.reset();
    EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), Ints(kCount, round));
  }
}

TEST_P(Transfers, DropEventsAtWill) {
  for (int round = 0; round < 20; ++round) {
    TransferManager m = manager();
    (void)m.add(0, chunk_of(count_up(6)));
    EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<std::int32_t>()), count_up(6));
  }
}

TEST_P(Transfers, OfDifferentBuffersMayComeFromSeveralThreads) {
  constexpr std::size_t kThreads = 8;
  TransferManager m = manager_for(std::vector<ShapeSpec>(kThreads, {{ElementType::S32, {1000}}, {}}));
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&m, t] {
        const Ints values(1000, static_cast<std::int32_t>(t));
        EXPECT_OK(m.transfer_chunked(t, std::as_bytes(std::span(values)), 64));
      });
    }
  }
  for (std::size_t t = 0; t < kThreads; ++t) {
    EXPECT_EQ(value_of(value_of(m.retrieve_buffer(t)).to_vector<std::int32_t>()),
              Ints(1000, static_cast<std::int32_t>(t)));
  }
}

// Elements.

TEST_P(Transfers, ElementsFollowEachOther) {
  TransferManager m = manager();
  TypedTransfer<std::int32_t> ints = value_of(m.typed<std::int32_t>(0));
  const Buffer buffer = value_of(ints.retrieve());
  EXPECT_OK(ints.add({1, 2}).await());
  EXPECT_OK(ints.add({3, 4, 5, 6}).await());
  EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), count_up(6));
}

TEST_P(Transfers, ElementsOfAnArrayComeRowMajor) {
  TransferManager m = manager_for({{{ElementType::S32, {2, 3}}, {}}});
  TypedTransfer<std::int32_t> ints = value_of(m.typed<std::int32_t>(0));
  EXPECT_OK(ints.add({1, 2, 3, 4}).await());
  EXPECT_OK(ints.add({5, 6}).await());
  const HostBuffer host = value_of(value_of(ints.retrieve()).to_host());
  EXPECT_EQ(host.dims(), (Dimensions{2, 3}));
  EXPECT_EQ(value_of(host.to_vector<std::int32_t>()), count_up(6));
}

TEST_P(Transfers, NarrowElementsArePackedOnTheWay) {
  TransferManager m = manager_for({{{ElementType::U4, {5}}, {}}});
  TypedTransfer<uint4> nibbles = value_of(m.typed<uint4>(0));
  EXPECT_OK(nibbles.add({uint4(1), uint4(2)}).await());
  EXPECT_OK(nibbles.add({uint4(13), uint4(14), uint4(15)}).await());
  const Buffer buffer = value_of(nibbles.retrieve());
  EXPECT_EQ(value_of(buffer.to_vector<uint4>()),
            (std::vector<uint4>{uint4(1), uint4(2), uint4(13), uint4(14), uint4(15)}));
}

TEST_P(Transfers, NarrowElementsMustFillBytesExceptTheLast) {
  TransferManager m = manager_for({{{ElementType::U4, {5}}, {}}});
  TypedTransfer<uint4> nibbles = value_of(m.typed<uint4>(0));
  EXPECT_ERROR(nibbles.add({uint4(1)}).await(), InvalidArgument, "1 elements of u4 do not fill whole bytes");
  EXPECT_OK(nibbles.add({uint4(1), uint4(2), uint4(3), uint4(4)}).await());
  EXPECT_OK(nibbles.add({uint4(5)}).await());
}

TEST_P(Transfers, ElementsOfAnotherTypeAreRefused) {
  TransferManager m = manager();
  EXPECT_ERROR(m.typed<float>(0), InvalidArgument, "buffer 0 (s32[6]) does not hold f32");
  EXPECT_ERROR(m.typed<float>(7), OutOfRange, "there is no buffer 7");
}

TEST_P(Transfers, TooManyElementsAreRefused) {
  TransferManager m = manager_for({kSixInts, {{ElementType::U4, {5}}, {}}});
  EXPECT_ERROR(value_of(m.typed<std::int32_t>(0)).add(count_up(7)).await(), InvalidArgument,
               "28 bytes at offset 0 do not lie in buffer 0 (s32[6]) of 24 bytes");
  EXPECT_ERROR(value_of(m.typed<uint4>(1)).add(std::vector<uint4>(6)).await(), InvalidArgument,
               "6 elements after 0 do not fit into buffer 1 (u4[5])");
  EXPECT_OK(value_of(m.typed<std::int32_t>(0)).add(count_up(6)).await());
}

}  // namespace
}  // namespace pjrt
