// Buffers that are filled piece by piece: bytes, elements, whole arrays; and what goes wrong on the way.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <thread>

#include "fake_plugin/fixture.hpp"
#include "pjrt/transfer_manager.hpp"

namespace pjrt {
namespace {

using test::chunk_of;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::Pair;
namespace fn = test::fn;
using TransferData = fn::PJRT_AsyncHostToDeviceTransferManager_TransferData;

class FakeTransfer : public test::OnFake {
 protected:
  TransferManager make(std::vector<ShapeSpec> specs) {
    return value_of(client_.create_buffers_for_async_host_to_device(specs, client_.memories()[0]));
  }
  static ShapeSpec bytes(std::int64_t n) { return {{ElementType::U8, {n}}, {}}; }
  static std::string text_of(const Buffer& buffer) {
    const std::vector<std::uint8_t> all = value_of(buffer.to_vector<std::uint8_t>());
    return {all.begin(), all.end()};
  }
  std::size_t transfers() const { return calls_of("PJRT_AsyncHostToDeviceTransferManager_TransferData"); }

  Client client_ = make_client();
};

TEST_F(FakeTransfer, IsMadeOfShapesAndLayoutsInAMemory) {
  std::vector<Shape> shapes;
  std::vector<bool> has_layout;
  fake.watch<fn::PJRT_Client_CreateBuffersForAsyncHostToDevice>([&](const auto& a) {
    EXPECT_EQ(a.memory, client_.memories()[0].raw());
    EXPECT_EQ(a.num_device_layouts, 2u);
    for (std::size_t i = 0; i < a.num_shape_specs; ++i) {
      const abi::PJRT_ShapeSpec& s = a.shape_specs[i];
      shapes.push_back({static_cast<ElementType>(s.element_type), Dimensions(std::span(s.dims, s.num_dims))});
      has_layout.push_back(a.device_layouts[i] != nullptr);
    }
  });
  const TransferManager manager =
      make({{{ElementType::F32, {2, 3}}, Layout::row_major(2)}, {{ElementType::S64, {}}, {}}});
  EXPECT_THAT(shapes, ElementsAre(Shape{ElementType::F32, {2, 3}}, Shape{ElementType::S64, {}}));
  EXPECT_THAT(has_layout, ElementsAre(true, false));
  EXPECT_EQ(value_of(manager.buffer_count()), 2u);
  EXPECT_EQ(value_of(manager.buffer_size(0)), 24u);
  EXPECT_EQ(value_of(manager.buffer_size(1)), 8u);
  EXPECT_EQ(value_of(manager.device()), client_.devices()[0]);
  EXPECT_EQ(manager.specs().size(), 2u);
}

TEST_F(FakeTransfer, WithoutLayoutsPassesNone) {
  make({bytes(4)});
  const auto seen = fake.calls_of<fn::PJRT_Client_CreateBuffersForAsyncHostToDevice>();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].device_layouts, nullptr);
  EXPECT_EQ(seen[0].num_device_layouts, 0u);
}

TEST_F(FakeTransfer, TakesBytesInAnyOrder) {
  TransferManager manager = make({bytes(6)});
  const Buffer buffer = value_of(manager.retrieve_buffer(0));
  EXPECT_FALSE(buffer.ready().is_ready());
  EXPECT_OK(manager.transfer_data(0, chunk_of("ef"), 4, false).await());
  EXPECT_OK(manager.transfer_data(0, chunk_of("ab"), 0, false).await());
  EXPECT_FALSE(buffer.ready().is_ready());
  EXPECT_OK(manager.transfer_data(0, chunk_of("cd"), 2, true).await());
  EXPECT_TRUE(buffer.ready().is_ready());
  EXPECT_EQ(text_of(buffer), "abcdef");
}

TEST_F(FakeTransfer, MarksTheChunkThatFillsTheBufferAsTheLast) {
  TransferManager manager = make({bytes(5)});
  RawTransfer raw = manager.raw(0);
  EXPECT_OK(raw.add(chunk_of("abc")).await());
  EXPECT_OK(raw.add(chunk_of("de")).await());
  EXPECT_EQ(text_of(value_of(raw.retrieve())), "abcde");
  const auto seen = fake.calls_of<TransferData>();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].offset, 0);
  EXPECT_EQ(seen[0].transfer_size, 3);
  EXPECT_FALSE(seen[0].is_last_transfer);
  EXPECT_EQ(seen[1].offset, 3);
  EXPECT_TRUE(seen[1].is_last_transfer);
}

TEST_F(FakeTransfer, ChunkedTellsItsProgressAfterEveryChunk) {
  TransferManager manager = make({bytes(7)});
  std::vector<std::pair<std::int64_t, std::int64_t>> progress;
  EXPECT_OK(manager.raw(0).transfer_chunked(
      std::as_bytes(std::span("abcdefg", 7)), 3,
      [&](std::int64_t done, std::int64_t total) { progress.emplace_back(done, total); }));
  EXPECT_THAT(progress, ElementsAre(Pair(3, 7), Pair(6, 7), Pair(7, 7)));
  EXPECT_EQ(text_of(value_of(manager.retrieve_buffer(0))), "abcdefg");
}

TEST_F(FakeTransfer, ChunkedOfNothingIsOneEmptyLastChunk) {
  TransferManager manager = make({bytes(0)});
  std::vector<std::pair<std::int64_t, std::int64_t>> progress;
  EXPECT_OK(manager.transfer_chunked(
      0, {}, 3, [&](std::int64_t done, std::int64_t total) { progress.emplace_back(done, total); }));
  EXPECT_THAT(progress, ElementsAre(Pair(0, 0)));
  EXPECT_TRUE(value_of(manager.retrieve_buffer(0)).ready().is_ready());
}

TEST_F(FakeTransfer, ChunkedThatFailsInTheMiddleStopsThere) {
  TransferManager manager = make({bytes(9)});
  int chunks = 0;
  fake.on<TransferData>([&](auto& a) -> fake::Outcome {
    if (++chunks == 2) return fake::Failure{ErrorCode::Unavailable, "the bus is gone"};
    return fake.usual<TransferData>(a);
  });
  std::vector<std::int64_t> progress;
  EXPECT_ERROR(manager.transfer_chunked(0, std::as_bytes(std::span("abcdefghi", 9)), 3,
                                        [&](std::int64_t done, std::int64_t) { progress.push_back(done); }),
               Unavailable, "the bus is gone");
  EXPECT_EQ(chunks, 2);
  EXPECT_THAT(progress, ElementsAre(3));
}

TEST_F(FakeTransfer, ChunkedThatMakesNoSenseIsRefused) {
  TransferManager manager = make({bytes(4)});
  const auto four = std::as_bytes(std::span("abcd", 4));
  EXPECT_ERROR(manager.transfer_chunked(0, four, 0), InvalidArgument, "chunks of 0 bytes never end");
  EXPECT_ERROR(manager.transfer_chunked(0, four.first(3), 2), InvalidArgument, "takes 4 bytes, not 3");
  EXPECT_ERROR(manager.transfer_chunked(1, four, 2), OutOfRange, "there is no buffer 1");
  EXPECT_EQ(transfers(), 0u);
}

TEST_F(FakeTransfer, KeepsTheMemoryOfAChunkUntilItWasRead) {
  TransferManager manager = make({bytes(3)});
  auto memory = std::make_shared<std::string>("abc");
  fake.hold_events();
  const Event done = manager.add(0, Chunk(memory, std::as_bytes(std::span(*memory))));
  EXPECT_FALSE(done.is_ready());
  EXPECT_EQ(memory.use_count(), 2);
  fake.release_events();
  EXPECT_EQ(memory.use_count(), 1);
  EXPECT_EQ(text_of(value_of(manager.retrieve_buffer(0))), "abc");
}

TEST_F(FakeTransfer, KeepsTheMemoryOfAChunkAlsoIfManagerAndEventAreDropped) {
  auto memory = std::make_shared<std::string>("abc");
  fake.hold_events();
  {
    TransferManager manager = make({bytes(3)});
    (void)manager.add(0, Chunk(memory, std::as_bytes(std::span(*memory))));
  }
  EXPECT_EQ(memory.use_count(), 2);
  fake.release_events();
  EXPECT_EQ(memory.use_count(), 1);
}

TEST_F(FakeTransfer, OfElementsFillsTheBufferInOrder) {
  TransferManager manager = make({{{ElementType::F32, {3}}, {}}});
  TypedTransfer<float> typed = value_of(manager.typed<float>(0));
  EXPECT_OK(typed.add({1.0f, 2.0f}).await());
  EXPECT_OK(typed.add({3.0f}).await());
  EXPECT_EQ(value_of(value_of(typed.retrieve()).to_vector<float>()), (std::vector<float>{1, 2, 3}));
}

TEST_F(FakeTransfer, OfElementsNeedsTheirTypeAndRowMajorOrder) {
  TransferManager manager =
      make({{{ElementType::F32, {2, 2}}, {}}, {{ElementType::F32, {2, 2}}, Layout::row_major(2)}});
  EXPECT_ERROR(manager.typed<std::int32_t>(0), InvalidArgument, "does not hold s32");
  EXPECT_ERROR(manager.typed<float>(0), Unimplemented, "may lie in another on the device");
  EXPECT_OK(manager.typed<float>(1));
  EXPECT_ERROR(manager.typed<float>(2), OutOfRange, "there is no buffer 2");
}

TEST_F(FakeTransfer, OfALiteralHandsOverArrayShapeAndLayout) {
  TransferManager manager = make({{{ElementType::F32, {2, 2}}, Layout::row_major(2)}});
  fake.watch<fn::PJRT_AsyncHostToDeviceTransferManager_TransferLiteral>([](const auto& a) {
    EXPECT_EQ(a.shape_element_type, abi::PJRT_Buffer_Type_F32);
    EXPECT_THAT(std::span(a.shape_dims, a.shape_num_dims), ElementsAre(2, 2));
    ASSERT_NE(a.shape_layout, nullptr);  // plugins abort without one
    EXPECT_THAT(std::span(a.shape_layout->tiled.minor_to_major, 2), ElementsAre(1, 0));
  });
  EXPECT_OK(
      manager.transfer_literal(0, value_of(HostBuffer::from_vector(std::vector<float>{1, 2, 3, 4}, {2, 2}))).await());
  EXPECT_EQ(value_of(value_of(manager.retrieve_buffer(0)).to_vector<float>()), (std::vector<float>{1, 2, 3, 4}));
}

TEST_F(FakeTransfer, OfALiteralOfAnotherShapeIsRefused) {
  TransferManager manager = make({{{ElementType::F32, {2}}, {}}});
  EXPECT_ERROR(manager.transfer_literal(0, value_of(HostBuffer::from_vector(std::vector<float>{1}, {1}))).await(),
               InvalidArgument, "the array is f32[1], buffer 0 (f32[2])");
}

TEST_F(FakeTransfer, OfAllArraysRetrievesAllAndIsReadyWithTheLast) {
  TransferManager manager = make({{{ElementType::F32, {2}}, {}}, {{ElementType::S32, {}}, {}}});
  fake.hold_events();
  std::vector<HostBuffer> arrays = {value_of(HostBuffer::from_vector(std::vector<float>{1, 2}, {2})),
                                    value_of(HostBuffer::from_vector(std::vector<std::int32_t>{7}, {}))};
  Future<std::vector<Buffer>> future = manager.transfer_all(std::move(arrays));
  EXPECT_FALSE(future.is_ready());
  fake.release_events();
  const std::vector<Buffer> buffers = value_of(future.await());
  ASSERT_EQ(buffers.size(), 2u);
  EXPECT_EQ(value_of(buffers[0].to_vector<float>()), (std::vector<float>{1, 2}));
  EXPECT_EQ(value_of(buffers[1].to_vector<std::int32_t>()), std::vector<std::int32_t>{7});
}

TEST_F(FakeTransfer, OfAllArraysThatFailsInTheMiddleTellsIt) {
  TransferManager manager = make({bytes(1), bytes(1)});
  int chunks = 0;
  fake.on<TransferData>([&](auto& a) -> fake::Outcome {
    if (++chunks == 2) return fake::Failure{ErrorCode::ResourceExhausted, "full"};
    return fake.usual<TransferData>(a);
  });
  const auto one = value_of(HostBuffer::from_vector(std::vector<std::uint8_t>{1}, {1}));
  EXPECT_ERROR(manager.transfer_all({one, one}).await(), ResourceExhausted, "full");
}

TEST_F(FakeTransfer, ThatFailsLaterTellsItInTheEvent) {
  TransferManager manager = make({bytes(3)});
  const Buffer buffer = value_of(manager.retrieve_buffer(0));
  fake.hold_events();
  const Event done = manager.add(0, chunk_of("abc"));
  fake.release_events(fake::Failure{ErrorCode::DataLoss, "bits fell off"});
  EXPECT_ERROR(done.await(), DataLoss, "bits fell off");
  EXPECT_ERROR(buffer.ready().await(), DataLoss, "bits fell off");
}

TEST_F(FakeTransfer, AfterTheLastByteTakesNoMore) {
  TransferManager manager = make({bytes(3)});
  EXPECT_OK(manager.add(0, chunk_of("abc")).await());
  EXPECT_ERROR(manager.add(0, chunk_of("d")).await(), FailedPrecondition, "has had its last bytes or an error already");
  EXPECT_ERROR(manager.set_buffer_error(0, Error(ErrorCode::Aborted, "x")), FailedPrecondition,
               "has had its last bytes");
  EXPECT_EQ(transfers(), 1u);
  EXPECT_EQ(calls_of("PJRT_AsyncHostToDeviceTransferManager_SetBufferError"), 0u);
}

TEST_F(FakeTransfer, OutsideTheBufferIsRefused) {
  TransferManager manager = make({bytes(3)});
  EXPECT_ERROR(manager.transfer_data(0, chunk_of("ab"), 2, false).await(), InvalidArgument,
               "2 bytes at offset 2 do not lie in buffer 0");
  EXPECT_ERROR(manager.transfer_data(0, chunk_of("ab"), -1, false).await(), InvalidArgument, "at offset -1");
  EXPECT_ERROR(manager.transfer_data(1, chunk_of("ab"), 0, false).await(), OutOfRange,
               "there is no buffer 1; the transfer has 1");
  EXPECT_EQ(transfers(), 0u);
}

TEST_F(FakeTransfer, ABufferPutInErrorGivesItToWhoeverUsesIt) {
  TransferManager manager = make({bytes(3), bytes(3)});
  const Buffer buffer = value_of(manager.retrieve_buffer(0));
  EXPECT_OK(manager.add(0, chunk_of("a")).await());
  EXPECT_OK(manager.set_buffer_error(0, Error(ErrorCode::Cancelled, "changed my mind")));
  EXPECT_ERROR(buffer.ready().await(), Cancelled, "changed my mind");
  EXPECT_ERROR(buffer.to_host(), Cancelled, "changed my mind");
  // Plugins abort at a second error.
  EXPECT_ERROR(manager.set_buffer_error(0, Error(ErrorCode::Cancelled, "again")), FailedPrecondition,
               "an error already");
  EXPECT_OK(manager.add(1, chunk_of("abc")).await());
}

TEST_F(FakeTransfer, ABufferIsRetrievedOnce) {
  TransferManager manager = make({bytes(3)});
  EXPECT_OK(manager.retrieve_buffer(0));
  EXPECT_ERROR(manager.retrieve_buffer(0), FailedPrecondition, "has been retrieved already");
  EXPECT_ERROR(manager.retrieve_buffer(1), OutOfRange, "there is no buffer 1");
  EXPECT_EQ(calls_of("PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer"), 1u);
}

TEST_F(FakeTransfer, ABufferWhoseRetrievalFailsMayBeAskedForAgain) {
  TransferManager manager = make({bytes(3)});
  fake.fail<fn::PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer>(ErrorCode::Unavailable, "not yet");
  EXPECT_ERROR(manager.retrieve_buffer(0), Unavailable, "not yet");
  fake.on<fn::PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer>(
      [&](auto& a) { return fake.usual<fn::PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer>(a); });
  EXPECT_OK(manager.retrieve_buffer(0));
}

TEST_F(FakeTransfer, AManagerThatGoesPutsTheRestInError) {
  std::optional<Buffer> full, rest;
  {
    TransferManager manager = make({bytes(1), bytes(1)});
    full = value_of(manager.retrieve_buffer(0));
    rest = value_of(manager.retrieve_buffer(1));
    EXPECT_OK(manager.add(0, chunk_of("a")).await());
  }
  EXPECT_EQ(text_of(*full), "a");
  EXPECT_ERROR(rest->ready().await(), Internal, "the transfer manager is gone");
}

TEST_F(FakeTransfer, MetadataAreNamedStrings) {
  TransferManager manager = make({bytes(1)});
  std::vector<std::pair<std::string, std::string>> seen;
  fake.watch<fn::PJRT_AsyncHostToDeviceTransferManager_AddMetadata>([&](const auto& a) {
    for (std::size_t i = 0; i < a.num_metadata; ++i) {
      const abi::PJRT_NamedValue& v = a.transfer_metadata[i];
      EXPECT_EQ(v.type, abi::PJRT_NamedValue_kString);  // plugins abort at another
      seen.emplace_back(std::string(v.name, v.name_size), std::string(v.string_value, v.value_size));
    }
  });
  const std::pair<std::string, std::string> metadata[] = {{"source", "disk"}, {"", ""}};
  EXPECT_OK(manager.add_metadata(metadata));
  EXPECT_THAT(seen, ElementsAre(Pair("source", "disk"), Pair("", "")));
  fake.fail<fn::PJRT_AsyncHostToDeviceTransferManager_AddMetadata>(ErrorCode::InvalidArgument, "what for?");
  EXPECT_ERROR(manager.add_metadata(metadata), InvalidArgument, "what for?");
}

TEST_F(FakeTransfer, AManagerThatWasMovedFromSaysSo) {
  TransferManager manager = make({bytes(1)});
  TransferManager moved = std::move(manager);
  EXPECT_ERROR(manager.buffer_count(), FailedPrecondition, "the transfer manager was moved from");
  EXPECT_ERROR(manager.buffer_size(0), FailedPrecondition, "moved from");
  EXPECT_ERROR(manager.device(), FailedPrecondition, "moved from");
  EXPECT_ERROR(manager.add(0, chunk_of("a")).await(), FailedPrecondition, "moved from");
  EXPECT_ERROR(manager.set_buffer_error(0, Error(ErrorCode::Aborted, "")), FailedPrecondition, "moved from");
  EXPECT_ERROR(manager.transfer_all({}).await(), FailedPrecondition, "moved from");
  EXPECT_TRUE(manager.specs().empty());
  EXPECT_OK(moved.add(0, chunk_of("a")).await());
}

TEST_F(FakeTransfer, ThatCannotBeMadeLeavesNothing) {
  const ShapeSpec specs[] = {bytes(1)};
  fake.fail<fn::PJRT_AsyncHostToDeviceTransferManager_BufferSize>(ErrorCode::Internal, "how big?");
  EXPECT_ERROR(client_.create_buffers_for_async_host_to_device(specs, client_.memories()[0]), Internal, "how big?");
  EXPECT_EQ(fake.live()["transfer manager"], 0);
  fake.fail<fn::PJRT_Client_CreateBuffersForAsyncHostToDevice>(ErrorCode::ResourceExhausted, "no room");
  EXPECT_ERROR(client_.create_buffers_for_async_host_to_device(specs, client_.memories()[0]), ResourceExhausted,
               "no room");
}

TEST_F(FakeTransfer, FillsDifferentBuffersFromSeveralThreads) {
  constexpr std::int64_t kSize = 100;
  TransferManager manager = make({bytes(kSize), bytes(kSize), bytes(kSize), bytes(kSize)});
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < 4; ++i) {
      threads.emplace_back([&manager, i] {
        for (int n = 0; n < kSize; ++n)
          EXPECT_OK(manager.add(i, chunk_of(std::string(1, static_cast<char>('a' + i)))).await());
      });
    }
  }
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(text_of(value_of(manager.retrieve_buffer(i))), std::string(kSize, static_cast<char>('a' + i)));
  }
}

}  // namespace
}  // namespace pjrt
