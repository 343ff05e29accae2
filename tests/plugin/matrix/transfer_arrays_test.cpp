// Filling buffers with whole arrays, putting them in error, and all that a transfer manager may not be asked for.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
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
using Ints = std::vector<std::int32_t>;

const ShapeSpec kThreeInts{{ElementType::S32, {3}}, {}};
const Error kBroken(ErrorCode::DataLoss, "the disk is broken");

Chunk chunk_of(const Ints& values) {
  return Chunk::copy_of(std::as_bytes(std::span(values)));
}
HostBuffer array_of(const Ints& values, Dimensions dims) {
  return value_of(HostBuffer::copy_of(values, std::move(dims)));
}

class TransferredArrays : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  bool has_literals() const { return client.plugin().api_version() >= Version{0, 83}; }
  TransferManager manager_for(const std::vector<ShapeSpec>& specs) const {
    return value_of(client.create_buffers_for_async_host_to_device(specs, memory));
  }
  TransferManager manager() const { return manager_for({kThreeInts}); }
  std::int64_t calls_of(const std::string& function) const {
    return test::calls_of(GetParam(), "PJRT_AsyncHostToDeviceTransferManager_" + function);
  }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
  Memory memory = client.memories()[0];
};

INSTANTIATE_TEST_SUITE_P(Matrix, TransferredArrays, ::testing::ValuesIn(test::kCpuVersions));

// Literals.

TEST_P(TransferredArrays, LiteralFillsABuffer) {
  TransferManager m = manager_for({{{ElementType::S32, {2, 3}}, {}}});
  const Event done = m.transfer_literal(0, array_of({1, 2, 3, 4, 5, 6}, {2, 3}));
  if (!has_literals()) {
    EXPECT_ERROR(done.await(), Unimplemented, "TransferLiteral needs PJRT API 0.83");
    EXPECT_OK(m.add(0, chunk_of({1, 2, 3, 4, 5, 6})).await());  // nothing has been lost
  } else {
    EXPECT_OK(done.await());
  }
  const HostBuffer host = value_of(value_of(m.retrieve_buffer(0)).to_host());
  EXPECT_EQ(host.dims(), (Dimensions{2, 3}));
  EXPECT_EQ(value_of(host.to_vector<std::int32_t>()), (Ints{1, 2, 3, 4, 5, 6}));
}

TEST_P(TransferredArrays, LiteralsMayHaveStrides) {
  if (!has_literals()) GTEST_SKIP() << "literals need API 0.83";
  const Ints values = {1, 2, 3, 4, 5, 6};
  const HostView transposed = value_of(HostView::strided(values.data(), Shape{ElementType::S32, {3, 2}}, {4, 12}));
  TransferManager m = manager_for({{{ElementType::S32, {3, 2}}, {}}});
  EXPECT_OK(m.transfer_literal(0, HostBuffer::borrow(transposed, nullptr)).await());
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<std::int32_t>()), (Ints{1, 4, 2, 5, 3, 6}));
}

TEST_P(TransferredArrays, LiteralsOfEveryRankArrive) {
  if (!has_literals()) GTEST_SKIP() << "literals need API 0.83";
  for (const Dimensions& dims :
       {Dimensions{}, Dimensions{4}, Dimensions{2, 1, 3}, Dimensions{0, 2}, Dimensions{1, 1, 2, 1, 2, 1, 2}}) {
    SCOPED_TRACE(to_string(dims));
    TransferManager m = manager_for({{{ElementType::S32, dims}, {}}});
    const Ints values(static_cast<std::size_t>(element_count(dims).value()), 42);
    EXPECT_OK(m.transfer_literal(0, array_of(values, dims)).await());
    EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<std::int32_t>()), values);
  }
}

TEST_P(TransferredArrays, LiteralsOfNarrowElementsArrive) {
  if (!has_literals()) GTEST_SKIP() << "literals need API 0.83";
  const std::vector<int4> values = {int4(-8), int4(-1), int4(0), int4(1), int4(7)};
  TransferManager m = manager_for({{{ElementType::S4, {5}}, {}}});
  EXPECT_OK(m.transfer_literal(0, value_of(HostBuffer::copy_of(values, {5}))).await());
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<int4>()), values);
}

TEST_P(TransferredArrays, LiteralsAreKeptUntilTheyAreCopied) {
  if (!has_literals()) GTEST_SKIP() << "literals need API 0.83";
  TransferManager m = manager_for({{{ElementType::S32, {1 << 20}}, {}}});
  std::optional<HostBuffer> array = array_of(Ints(1 << 20, 5), {1 << 20});
  const std::weak_ptr<const void> watch = array->owner();
  const Event done = m.transfer_literal(0, *std::exchange(array, std::nullopt));
  EXPECT_OK(done.await());
  EXPECT_TRUE(becomes_true([&] { return watch.expired(); }));
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<std::int32_t>()), Ints(1 << 20, 5));
}

TEST_P(TransferredArrays, LiteralsOfAnotherShapeAreRefusedByUs) {
  TransferManager m = manager();
  EXPECT_ERROR(m.transfer_literal(0, array_of({1, 2}, {2})).await(), InvalidArgument,
               "the array is s32[2], buffer 0 (s32[3])");
  EXPECT_ERROR(m.transfer_literal(0, array_of({1, 2, 3}, {3, 1})).await(), InvalidArgument, "the array is s32[3,1]");
  EXPECT_ERROR(m.transfer_literal(0, value_of(HostBuffer::copy_of(std::vector<float>{1, 2, 3}, {3}))).await(),
               InvalidArgument, "the array is f32[3]");
  EXPECT_EQ(calls_of("TransferLiteral"), 0);
}

// Everything at once.

TEST_P(TransferredArrays, AllBuffersAreFilledTogether) {
  TransferManager m = manager_for({kThreeInts, {{ElementType::F64, {}}, {}}, {{ElementType::U4, {3}}, {}}});
  std::vector<HostBuffer> arrays;
  arrays.push_back(array_of({1, 2, 3}, {3}));
  arrays.push_back(value_of(HostBuffer::copy_of(std::vector<double>{0.5}, {})));
  arrays.push_back(value_of(HostBuffer::copy_of(std::vector<uint4>{uint4(7), uint4(8), uint4(15)}, {3})));
  const std::vector<Buffer> buffers = value_of(m.transfer_all(std::move(arrays)).await());
  ASSERT_EQ(buffers.size(), 3u);
  EXPECT_EQ(value_of(buffers[0].to_vector<std::int32_t>()), (Ints{1, 2, 3}));
  EXPECT_EQ(value_of(buffers[1].to_vector<double>()), std::vector<double>{0.5});
  EXPECT_EQ(value_of(buffers[2].to_vector<uint4>()), (std::vector<uint4>{uint4(7), uint4(8), uint4(15)}));
}

TEST_P(TransferredArrays, TransferOfAllTakesStridedArrays) {
  const Ints values = {1, 2, 3, 4, 5, 6};
  const HostView transposed = value_of(HostView::strided(values.data(), Shape{ElementType::S32, {3, 2}}, {4, 12}));
  TransferManager m = manager_for({{{ElementType::S32, {3, 2}}, {}}});
  std::vector<HostBuffer> arrays;
  arrays.push_back(HostBuffer::borrow(transposed, nullptr));
  const std::vector<Buffer> buffers = value_of(m.transfer_all(std::move(arrays)).await());
  EXPECT_EQ(value_of(buffers.at(0).to_vector<std::int32_t>()), (Ints{1, 4, 2, 5, 3, 6}));
}

TEST_P(TransferredArrays, TransferOfAllWantsOneArrayForEachBuffer) {
  TransferManager m = manager_for({kThreeInts, kThreeInts});
  std::vector<HostBuffer> one;
  one.push_back(array_of({1, 2, 3}, {3}));
  EXPECT_ERROR(m.transfer_all(one).await(), InvalidArgument, "1 arrays for 2 buffers");
  one.push_back(array_of({1, 2}, {2}));
  EXPECT_ERROR(m.transfer_all(one).await(), InvalidArgument, "array 1 is s32[2], buffer 1 (s32[3])");
  EXPECT_EQ(calls_of("TransferData"), 0);
}

TEST_P(TransferredArrays, TransferOfAllWantsUntouchedBuffers) {
  TransferManager m = manager_for({kThreeInts, kThreeInts});
  EXPECT_OK(m.add(1, chunk_of({1})).await());
  std::vector<HostBuffer> arrays;
  arrays.push_back(array_of({1, 2, 3}, {3}));
  arrays.push_back(array_of({4, 5, 6}, {3}));
  EXPECT_ERROR(m.transfer_all(arrays).await(), FailedPrecondition, "buffer 1 (s32[3]) has been filled, in part");
}

// Layouts.

TEST_P(TransferredArrays, OtherOrdersAreHonouredOrRefused) {  // older plugins would garble the array
  const std::vector<ShapeSpec> specs = {{{ElementType::S32, {2, 3}}, Layout::column_major(2)}};
  Result<TransferManager> m = client.create_buffers_for_async_host_to_device(specs, memory);
  if (GetParam() != "cpu") {
    EXPECT_ERROR(m, Unimplemented, "does not honour layouts other than row-major");
    return;
  }
  ASSERT_OK(m);
  EXPECT_ERROR(m->typed<std::int32_t>(0), Unimplemented, "row-major order");
  EXPECT_OK(m->transfer_literal(0, array_of({1, 2, 3, 4, 5, 6}, {2, 3})).await());
  const Buffer buffer = value_of(m->retrieve_buffer(0));
  EXPECT_EQ(value_of(buffer.layout()), MemoryLayout(Layout::column_major(2)));
  EXPECT_EQ(value_of(buffer.to_vector<std::int32_t>()), (Ints{1, 2, 3, 4, 5, 6}));
  Ints as_it_lies(6);
  EXPECT_OK(buffer.copy_raw_to_host(std::as_writable_bytes(std::span(as_it_lies))).await());
  EXPECT_EQ(as_it_lies, (Ints{1, 4, 2, 5, 3, 6}));
}

TEST_P(TransferredArrays, TransferOfAllReordersWhereTheLayoutWantsIt) {
  if (GetParam() != "cpu") GTEST_SKIP() << "this plugin has no other layouts";
  TransferManager m = manager_for({{{ElementType::S32, {2, 3}}, Layout::column_major(2)}});
  std::vector<HostBuffer> arrays;
  arrays.push_back(array_of({1, 2, 3, 4, 5, 6}, {2, 3}));
  const std::vector<Buffer> buffers = value_of(m.transfer_all(std::move(arrays)).await());
  EXPECT_EQ(value_of(buffers[0].to_vector<std::int32_t>()), (Ints{1, 2, 3, 4, 5, 6}));
}

// Errors.

TEST_P(TransferredArrays, BufferIsPutInError) {
  TransferManager m = manager();
  const Buffer buffer = value_of(m.retrieve_buffer(0));
  EXPECT_OK(m.set_buffer_error(0, kBroken));
  EXPECT_ERROR(buffer.ready().await(), DataLoss, "the disk is broken");
  EXPECT_ERROR(buffer.to_vector<std::int32_t>(), DataLoss, "the disk is broken");
}

TEST_P(TransferredArrays, BufferIsPutInErrorWhenHalfFull) {
  TransferManager m = manager_for({kThreeInts, kThreeInts});
  EXPECT_OK(m.add(0, chunk_of({1})).await());
  EXPECT_OK(m.set_buffer_error(0, kBroken));
  EXPECT_ERROR(value_of(m.retrieve_buffer(0)).ready().await(), DataLoss, "the disk is broken");
  EXPECT_OK(m.add(1, chunk_of({4, 5, 6})).await());  // the other is well
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(1)).to_vector<std::int32_t>()), (Ints{4, 5, 6}));
}

TEST_P(TransferredArrays, EveryErrorCodeReachesTheBuffer) {
  for (int code = 1; code <= 16; ++code) {
    TransferManager m = manager();
    const Buffer buffer = value_of(m.retrieve_buffer(0));
    EXPECT_OK(m.set_buffer_error(0, Error(static_cast<ErrorCode>(code), "reason")));
    const Result<void> outcome = buffer.ready().await();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code(), static_cast<ErrorCode>(code));
  }
}

TEST_P(TransferredArrays, BuffersOfADeadManagerFailIfTheyAreNotFull) {
  std::optional<TransferManager> m = manager_for({kThreeInts, kThreeInts});
  const Buffer full = value_of(m->retrieve_buffer(0));
  const Buffer half = value_of(m->retrieve_buffer(1));
  EXPECT_OK(m->add(0, chunk_of({1, 2, 3})).await());
  EXPECT_OK(m->add(1, chunk_of({1})).await());
  m.reset();
  EXPECT_EQ(value_of(full.to_vector<std::int32_t>()), (Ints{1, 2, 3}));
  EXPECT_FALSE(half.ready().await());
}

TEST_P(TransferredArrays, RunsThatWaitForADeadManagerFail) {
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  std::optional<TransferManager> m = manager_for({{{ElementType::F32, {3}}, {}}});
  const Outputs outputs = value_of(twice(value_of(m->retrieve_buffer(0))));
  EXPECT_FALSE(outputs[0].ready().is_ready());
  m.reset();
  EXPECT_FALSE(outputs.await());
}

TEST_P(TransferredArrays, RunsWaitUntilTheirArgumentsAreFull) {
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  TransferManager m = manager_for({{{ElementType::F32, {3}}, {}}});
  const Outputs outputs = value_of(twice(value_of(m.retrieve_buffer(0))));
  EXPECT_FALSE(outputs[0].ready().is_ready());
  EXPECT_OK(value_of(m.typed<float>(0)).add({1, 2, 3}).await());
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (std::vector<float>{2, 4, 6}));
}

TEST_P(TransferredArrays, ManagersOutliveTheHandlesOfTheirClient) {
  std::optional<Client> only = test::make_client(test::counted_plugin(GetParam()));
  const std::vector<ShapeSpec> specs = {kThreeInts};
  TransferManager m = value_of(only->create_buffers_for_async_host_to_device(specs, only->memories()[0]));
  only.reset();
  EXPECT_OK(m.add(0, chunk_of({1, 2, 3})).await());
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<std::int32_t>()), (Ints{1, 2, 3}));
}

TEST_P(TransferredArrays, MetadataIsForThePlugin) {
  TransferManager m = manager();
  const std::vector<std::pair<std::string, std::string>> metadata = {
      {"job", "7"}, {"empty", ""}, {"bytes", std::string("\0\xff", 2)}};
  EXPECT_OK(m.add_metadata(metadata));
  EXPECT_OK(m.add_metadata({}));
  EXPECT_EQ(calls_of("AddMetadata"), 2);
  EXPECT_OK(m.add(0, chunk_of({1, 2, 3})).await());
}

// What plugins abort or crash on is refused before they see it.

TEST_P(TransferredArrays, SecondFinalStateIsRefused) {
  TransferManager m = manager_for({kThreeInts, kThreeInts});
  EXPECT_OK(m.set_buffer_error(0, kBroken));
  EXPECT_OK(m.add(1, chunk_of({1, 2, 3})).await());
  for (const std::size_t i : {0, 1}) {
    const std::string finished = "buffer " + std::to_string(i) + " (s32[3]) has had its last bytes or an error already";
    EXPECT_ERROR(m.set_buffer_error(i, kBroken), FailedPrecondition, finished);
    EXPECT_ERROR(m.add(i, chunk_of({1})).await(), FailedPrecondition, finished);
    EXPECT_ERROR(m.transfer_data(i, chunk_of({1}), 0, false).await(), FailedPrecondition, finished);
    if (has_literals()) {
      EXPECT_ERROR(m.transfer_literal(i, array_of({1, 2, 3}, {3})).await(), FailedPrecondition, finished);
    }
  }
  EXPECT_EQ(calls_of("SetBufferError"), 1);
  EXPECT_EQ(calls_of("TransferData"), 1);
}

TEST_P(TransferredArrays, SecondRetrievalIsRefused) {
  TransferManager m = manager();
  const Buffer buffer = value_of(m.retrieve_buffer(0));
  EXPECT_ERROR(m.retrieve_buffer(0), FailedPrecondition, "buffer 0 (s32[3]) has been retrieved already");
  EXPECT_EQ(calls_of("RetrieveBuffer"), 1);
}

TEST_P(TransferredArrays, IndicesOutsideAreRefused) {
  TransferManager m = manager();
  for (const std::size_t i : {std::size_t{1}, std::size_t{1} << 32, ~std::size_t{0}}) {
    EXPECT_ERROR(m.buffer_size(i), OutOfRange, "the transfer has 1");
    EXPECT_ERROR(m.retrieve_buffer(i), OutOfRange, "the transfer has 1");
    EXPECT_ERROR(m.set_buffer_error(i, kBroken), OutOfRange, "the transfer has 1");
    EXPECT_ERROR(m.add(i, chunk_of({1})).await(), OutOfRange, "the transfer has 1");
    EXPECT_ERROR(m.transfer_data(i, chunk_of({1}), 0, true).await(), OutOfRange, "the transfer has 1");
    EXPECT_ERROR(m.transfer_literal(i, array_of({1}, {1})).await(), OutOfRange, "the transfer has 1");
    EXPECT_ERROR(m.transfer_chunked(i, {}, 1), OutOfRange, "the transfer has 1");
    EXPECT_ERROR(m.raw(i).retrieve(), OutOfRange, "the transfer has 1");
  }
}

TEST_P(TransferredArrays, BytesOutsideTheBufferAreRefused) {
  TransferManager m = manager();
  EXPECT_ERROR(m.transfer_data(0, chunk_of({1, 2}), 8, true).await(), InvalidArgument,
               "8 bytes at offset 8 do not lie in buffer 0 (s32[3]) of 12 bytes");
  EXPECT_ERROR(m.transfer_data(0, chunk_of({1}), -4, false).await(), InvalidArgument, "at offset -4");
  EXPECT_ERROR(m.transfer_data(0, chunk_of({1}), INT64_MAX, false).await(), InvalidArgument, "do not lie in");
  EXPECT_ERROR(m.add(0, chunk_of({1, 2, 3, 4})).await(), InvalidArgument, "16 bytes at offset 0");
  EXPECT_EQ(calls_of("TransferData"), 0);
  EXPECT_OK(m.add(0, chunk_of({1, 2, 3})).await());  // nothing of it counted
}

TEST_P(TransferredArrays, ChunkedTransferTakesTheWholeBuffer) {
  TransferManager m = manager();
  const Ints two = {1, 2};
  EXPECT_ERROR(m.transfer_chunked(0, std::as_bytes(std::span(two)), 4), InvalidArgument, "takes 12 bytes, not 8");
  EXPECT_ERROR(m.transfer_chunked(0, std::as_bytes(std::span(two)), 0), InvalidArgument, "chunks of 0 bytes never end");
}

TEST_P(TransferredArrays, ShapesThatPluginsAbortOnAreRefused) {
  for (const Shape& shape :
       {Shape{ElementType::Invalid, {2}}, Shape{ElementType::Token, {}}, Shape{ElementType::S32, {-1}}}) {
    const std::vector<ShapeSpec> specs = {kThreeInts, {shape, {}}};
    EXPECT_ERROR(client.create_buffers_for_async_host_to_device(specs, memory), InvalidArgument, "");
  }
  const std::vector<ShapeSpec> wrong_rank = {{{ElementType::S32, {3}}, Layout::row_major(2)}};
  EXPECT_ERROR(client.create_buffers_for_async_host_to_device(wrong_rank, memory), InvalidArgument,
               "for an array of shape");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_CreateBuffersForAsyncHostToDevice"), 0);
}

TEST_P(TransferredArrays, MoreThanTheMachineHasIsAnError) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the plugin leaks what it has made when the memory does not suffice";
#endif
  const std::vector<ShapeSpec> specs = {kThreeInts, {{ElementType::S32, {std::int64_t{1} << 48}}, {}}};
  EXPECT_ERROR(client.create_buffers_for_async_host_to_device(specs, memory), ResourceExhausted, "");
}

TEST_P(TransferredArrays, MemoriesOfAnotherClientAreRefused) {
  const Client other = test::make_client(test::counted_plugin(GetParam()));
  const std::vector<ShapeSpec> specs = {kThreeInts};
  EXPECT_ERROR(client.create_buffers_for_async_host_to_device(specs, other.memories()[0]), InvalidArgument,
               "belongs to another client");
}

TEST_P(TransferredArrays, ManagerThatWasMovedFromSaysSo) {
  TransferManager m = manager();
  const TransferManager taken = std::move(m);
  EXPECT_ERROR(m.buffer_count(), FailedPrecondition, "moved from");
  EXPECT_ERROR(m.device(), FailedPrecondition, "moved from");
  EXPECT_ERROR(m.retrieve_buffer(0), FailedPrecondition, "moved from");
  EXPECT_ERROR(m.add(0, chunk_of({1})).await(), FailedPrecondition, "moved from");
  EXPECT_ERROR(m.transfer_all({}).await(), FailedPrecondition, "moved from");
  EXPECT_ERROR(m.add_metadata({}), FailedPrecondition, "moved from");
  EXPECT_TRUE(m.specs().empty());
}

}  // namespace
}  // namespace pjrt
