// Host memory that a buffer uses in place: when it does, how long the memory is kept, and who may write to it.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "support/eventually.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::becomes_true;
using test::value_of;
using Floats = std::vector<float>;

/// x + 1 in the memory of x.
constexpr const char* kIncrement = R"(
module @increment {
  func.func public @main(%x: tensor<4xf32> {tf.aliasing_output = 0 : i32}) -> tensor<4xf32> {
    %one = stablehlo.constant dense<1.0> : tensor<4xf32>
    %sum = stablehlo.add %x, %one : tensor<4xf32>
    return %sum : tensor<4xf32>
  }
})";

/// Four floats aligned to 64 bytes, and a watch on what keeps them.
struct Source {
  Source() : array(value_of(HostBuffer::copy_of(Floats{1, 2, 3, 4}, {4}))), watch(token) {}

  Floats values() const { return value_of(array.to_vector<float>()); }
  std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(array.view().data()); }
  /// Given to one upload.
  std::shared_ptr<const void> keep_alive() { return std::exchange(token, nullptr); }
  bool is_kept() const { return !watch.expired(); }

  HostBuffer array;
  std::shared_ptr<int> token = std::make_shared<int>(0);
  std::weak_ptr<int> watch;
};

class ZeroCopy : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Buffer view_of(Source& source) { return value_of(client.upload_view(source.array, {{}, {}, source.keep_alive()})); }
  Buffer mutable_view_of(Source& source) {
    return value_of(client.upload_mutable_view(source.array, {{}, {}, source.keep_alive()}));
  }

  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, ZeroCopy, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(ZeroCopy, AlignedDenseMemoryIsUsedInPlace) {
  Source source;
  const Buffer buffer = view_of(source);
  EXPECT_EQ(value_of(buffer.unsafe_pointer()), source.address());
  EXPECT_EQ(value_of(buffer.to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(ZeroCopy, MemoryThatTheLibraryAllocatesIsAlignedEnough) {
  for (const std::int64_t n : {1, 3, 1000, 100000}) {
    const HostBuffer zeros = value_of(HostBuffer::zeros(Shape{ElementType::U8, {n}}));
    const Buffer buffer = value_of(client.upload_view(zeros, {{}, {}, zeros.owner()}));
    EXPECT_EQ(value_of(buffer.unsafe_pointer()), reinterpret_cast<std::uintptr_t>(zeros.view().data())) << n;
  }
}

TEST_P(ZeroCopy, MemoryIsKeptUntilTheBufferDies) {
  Source source;
  std::optional<Buffer> buffer = view_of(source);
  ASSERT_OK(buffer->ready().await());
  EXPECT_TRUE(source.is_kept());
  buffer.reset();
  EXPECT_FALSE(source.is_kept());
}

TEST_P(ZeroCopy, MemoryIsLetGoByDeleteNow) {
  Source source;
  Buffer buffer = view_of(source);
  EXPECT_OK(buffer.delete_now());
  EXPECT_FALSE(source.is_kept());
}

TEST_P(ZeroCopy, MemoryIsKeptPastDeleteNowForAnExternalReference) {
  Source source;
  std::optional<Buffer> buffer = view_of(source);
  std::optional<ExternalReference> reference = value_of(buffer->external_reference());
  EXPECT_OK(buffer->delete_now());
  EXPECT_TRUE(source.is_kept());
  buffer.reset();
  EXPECT_TRUE(source.is_kept());
  reference.reset();
  EXPECT_FALSE(source.is_kept());
}

TEST_P(ZeroCopy, MemoryIsKeptForAHostView) {
  Source source;
  std::optional<Buffer> buffer = view_of(source);
  std::optional<DeviceSpan<float>> span = value_of(buffer->host_view<float>());
  EXPECT_EQ(span->begin(), reinterpret_cast<const float*>(source.address()));
  buffer.reset();
  EXPECT_TRUE(source.is_kept());
  span.reset();
  EXPECT_FALSE(source.is_kept());
}

TEST_P(ZeroCopy, MemoryIsKeptForARunThatReadsIt) {
  constexpr const char* kTwice = R"(
module @twice {
  func.func public @main(%x: tensor<262144xf32>) -> tensor<262144xf32> {
    %y = stablehlo.add %x, %x : tensor<262144xf32>
    return %y : tensor<262144xf32>
  }
})";
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(kTwice)));
  for (int round = 0; round < 20; ++round) {
    std::optional<HostBuffer> array = value_of(HostBuffer::copy_of(Floats(1 << 18, 1.5f), {1 << 18}));
    std::optional<Buffer> buffer = value_of(client.upload_view(*array, {{}, {}, array->owner()}));
    const Outputs outputs = value_of(twice(*buffer));
    array.reset();  // only the upload keeps the memory now, and the buffer is gone before the run need be over
    buffer.reset();
    EXPECT_EQ(value_of(outputs[0].to_vector<float>()), Floats(1 << 18, 3.0f));
  }
}

TEST_P(ZeroCopy, MemoryIsKeptForADownloadUnderWay) {
  for (int round = 0; round < 20; ++round) {
    std::optional<HostBuffer> array = value_of(HostBuffer::copy_of(Floats(1 << 18, 1.5f), {1 << 18}));
    std::optional<Buffer> buffer = value_of(client.upload_view(*array, {{}, {}, array->owner()}));
    Future<HostBuffer> back = buffer->to_host_async();
    array.reset();
    buffer.reset();
    EXPECT_EQ(value_of(value_of(back.await()).to_vector<float>()), Floats(1 << 18, 1.5f));
  }
}

TEST_P(ZeroCopy, BufferWithoutKeepAliveReliesOnTheCaller) {
  alignas(64) const float values[] = {1, 2, 3, 4};
  const Buffer buffer = value_of(client.upload_view(HostView(values, Shape{ElementType::F32, {4}}), {}));
  EXPECT_EQ(value_of(buffer.unsafe_pointer()), reinterpret_cast<std::uintptr_t>(values));
}

// What is copied instead.

TEST_P(ZeroCopy, UnalignedMemoryIsCopiedAndLetGo) {
  alignas(64) float memory[] = {0, 1, 2, 3, 4};
  auto token = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = token;
  const Buffer buffer =
      value_of(client.upload_view(HostView(memory + 1, Shape{ElementType::F32, {4}}), {{}, {}, std::move(token)}));
  EXPECT_NE(value_of(buffer.unsafe_pointer()), reinterpret_cast<std::uintptr_t>(memory + 1));
  ASSERT_OK(buffer.ready().await());
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(value_of(buffer.to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(ZeroCopy, StridedMemoryIsCopiedAndLetGo) {
  alignas(64) const float memory[] = {1, 2, 3, 4, 5, 6};
  auto token = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = token;
  const HostView transposed = value_of(HostView::strided(memory, Shape{ElementType::F32, {3, 2}}, {4, 12}));
  const Buffer buffer = value_of(client.upload_view(transposed, {{}, {}, std::move(token)}));
  EXPECT_NE(value_of(buffer.unsafe_pointer()), reinterpret_cast<std::uintptr_t>(memory));
  ASSERT_OK(buffer.ready().await());
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(value_of(buffer.to_vector<float>()), (Floats{1, 4, 2, 5, 3, 6}));
}

TEST_P(ZeroCopy, PackedElementsAreCopied) {  // the device has two to a byte
  alignas(64) const std::uint8_t memory[] = {1, 2, 3, 4};
  const Buffer buffer = value_of(client.upload_view(HostView(memory, Shape{ElementType::U4, {4}}), {}));
  EXPECT_NE(value_of(buffer.unsafe_pointer()), reinterpret_cast<std::uintptr_t>(memory));
}

TEST_P(ZeroCopy, ArraysWithoutElementsAreFine) {
  const Buffer buffer = value_of(client.upload_view(HostView(nullptr, Shape{ElementType::F32, {0, 2}}), {}));
  EXPECT_EQ(value_of(buffer.to_vector<float>()), Floats{});
}

// Donation.

TEST_P(ZeroCopy, DonatedViewIsCopiedAndTheMemoryStaysAsItWas) {
  Source source;
  const Buffer buffer = view_of(source);
  const LoadedExecutable increment = value_of(client.compile(Program::mlir(kIncrement)));
  const Outputs outputs = value_of(increment(buffer));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 3, 4, 5}));
  EXPECT_NE(value_of(outputs[0].unsafe_pointer()), source.address());
  EXPECT_EQ(source.values(), (Floats{1, 2, 3, 4}));
}

TEST_P(ZeroCopy, DonatedMutableViewIsOverwritten) {
  Source source;
  const Buffer buffer = mutable_view_of(source);
  const LoadedExecutable increment = value_of(client.compile(Program::mlir(kIncrement)));
  const Outputs outputs = value_of(increment(buffer));
  ASSERT_OK(outputs.await());
  EXPECT_EQ(value_of(outputs[0].unsafe_pointer()), source.address());
  EXPECT_EQ(source.values(), (Floats{2, 3, 4, 5}));
  EXPECT_TRUE(buffer.is_deleted());
}

TEST_P(ZeroCopy, MemoryOfADonatedMutableViewIsKeptUntilTheOutputDies) {
  Source source;
  std::optional<Buffer> buffer = mutable_view_of(source);
  const LoadedExecutable increment = value_of(client.compile(Program::mlir(kIncrement)));
  std::optional<Outputs> outputs = value_of(increment(*buffer));
  ASSERT_OK(outputs->await());
  buffer.reset();
  EXPECT_TRUE(source.is_kept());
  outputs.reset();
  EXPECT_FALSE(source.is_kept());
}

TEST_P(ZeroCopy, MemoryOfAMutableViewIsKeptByTheLibraryItself) {  // no keep_alive given
  std::optional<HostBuffer> array = value_of(HostBuffer::copy_of(Floats{1, 2, 3, 4}, {4}));
  const std::weak_ptr<const void> watch = array->owner();
  std::optional<Buffer> buffer = value_of(client.upload_mutable_view(*array));
  array.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(value_of(buffer->to_vector<float>()), (Floats{1, 2, 3, 4}));
  buffer.reset();
  EXPECT_TRUE(becomes_true([&] { return watch.expired(); }));
}

TEST_P(ZeroCopy, KeptArgumentIsNotOverwritten) {
  Source source;
  const Buffer buffer = mutable_view_of(source);
  const LoadedExecutable increment = value_of(client.compile(Program::mlir(kIncrement)));
  const Outputs outputs = value_of(increment(keep(buffer)));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 3, 4, 5}));
  EXPECT_EQ(source.values(), (Floats{1, 2, 3, 4}));
}

TEST_P(ZeroCopy, BorrowedMemoryIsNoMutableView) {
  const Source source;
  const HostBuffer borrowed = HostBuffer::borrow(source.array.view(), source.array.owner());
  EXPECT_ERROR(client.upload_mutable_view(borrowed), InvalidArgument, "borrowed and read-only");
}

TEST_P(ZeroCopy, ViewDoesNotFulfilAnAlias) {  // the alias could be donated, and every plugin would overwrite the memory
  Source source;
  Buffer buffer = view_of(source);
  AliasBuffer alias = value_of(client.create_alias_buffer(buffer.shape(), value_of(buffer.memory())));
  EXPECT_ERROR(alias.fulfillment.fulfill(std::move(buffer)), InvalidArgument, "host memory that may not be written");
  EXPECT_FALSE(buffer.is_deleted());

  // A copy does.
  ASSERT_OK(alias.fulfillment.fulfill(value_of(buffer.copy_to_memory(value_of(buffer.memory())))));
  const LoadedExecutable increment = value_of(client.compile(Program::mlir(kIncrement)));
  EXPECT_EQ(value_of(value_of(increment(alias.buffer))[0].to_vector<float>()), (Floats{2, 3, 4, 5}));
  EXPECT_EQ(source.values(), (Floats{1, 2, 3, 4}));
}

TEST_P(ZeroCopy, ViewThatWasCopiedFulfilsAnAlias) {
  alignas(64) float memory[] = {0, 1, 2, 3, 4};
  Buffer buffer = value_of(client.upload_view(HostView(memory + 1, Shape{ElementType::F32, {4}}), {}));
  AliasBuffer alias = value_of(client.create_alias_buffer(buffer.shape(), value_of(buffer.memory())));
  EXPECT_OK(alias.fulfillment.fulfill(std::move(buffer)));
}

TEST_P(ZeroCopy, MemoryOfAMutableViewInAnAliasIsKeptUntilTheAliasDies) {
  Source source;
  std::optional<Buffer> buffer = mutable_view_of(source);
  std::optional<AliasBuffer> alias = value_of(client.create_alias_buffer(buffer->shape(), value_of(buffer->memory())));
  ASSERT_OK(alias->fulfillment.fulfill(std::move(*buffer)));
  buffer.reset();
  EXPECT_EQ(value_of(alias->buffer.to_vector<float>()), (Floats{1, 2, 3, 4}));
  EXPECT_TRUE(source.is_kept());
  alias.reset();
  // The plugin's thread may not be quite done with the download.
  EXPECT_TRUE(becomes_true([&] { return !source.is_kept(); }));
}

TEST_P(ZeroCopy, DeleterMayDropTheLastHandleOfTheClient) {  // destroying the client there would wait for its own thread
  auto only = std::make_shared<std::optional<Client>>(test::make_client(test::counted_plugin(GetParam())));
  Source source;
  const std::shared_ptr<const void> drops_client(source.token.get(), [only](const void*) { only->reset(); });
  std::optional<Buffer> buffer = value_of((*only)->upload_view(source.array, {{}, {}, drops_client}));
  buffer.reset();
  SUCCEED();
}

}  // namespace
}  // namespace pjrt
