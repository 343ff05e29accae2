// What a buffer tells of itself, and what is left of it when it is gone.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/buffer_state.hpp"
#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

/// f32[4] cut to the first n elements: a size that is known when it has run.
constexpr const char* kFirst = R"(
module @first {
  func.func public @main(%x: tensor<4xf32>, %n: tensor<i32>) -> tensor<?xf32, #stablehlo.bounds<4>> {
    %cut = stablehlo.set_dimension_size %x, %n, dim = 0 : (tensor<4xf32>, tensor<i32>) -> tensor<?xf32, #stablehlo.bounds<4>>
    return %cut : tensor<?xf32, #stablehlo.bounds<4>>
  }
})";

class Buffers : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Buffer six(const UploadOptions& options = {}) const {
    return value_of(client.upload(Floats{1, 2, 3, 4, 5, 6}, {2, 3}, options));
  }
  Buffer first(std::int32_t n) const {
    const LoadedExecutable cut = value_of(client.compile(Program::mlir(kFirst)));
    Outputs outputs = value_of(cut(value_of(client.upload(Floats{1, 2, 3, 4}, {4})), value_of(client.upload(n))));
    return std::move(outputs[0]);
  }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
};

INSTANTIATE_TEST_SUITE_P(Matrix, Buffers, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Buffers, TellTypeAndDimensions) {
  const Buffer buffer = six();
  EXPECT_EQ(buffer.type(), ElementType::F32);
  EXPECT_EQ(buffer.dims(), (Dimensions{2, 3}));
  EXPECT_EQ(to_string(buffer.shape()), "f32[2,3]");
}

TEST_P(Buffers, TellThePluginsViewOfTypeAndDimensionsWhenAdopted) {
  Buffer buffer = six();
  const Buffer adopted = value_of(Buffer::adopt(client, std::exchange(buffer.state()->raw, nullptr)));
  EXPECT_EQ(to_string(adopted.shape()), "f32[2,3]");
  EXPECT_EQ(adopted.device(), client.devices().front());
  EXPECT_EQ(value_of(adopted.to_vector<float>()), (Floats{1, 2, 3, 4, 5, 6}));
}

TEST_P(Buffers, NothingIsNotAdopted) {
  EXPECT_ERROR(Buffer::adopt(client, nullptr), InvalidArgument, "null");
}

TEST_P(Buffers, FixedSizesHaveNoPadding) {
  const Buffer buffer = six();
  EXPECT_EQ(value_of(buffer.unpadded_dims()), (Dimensions{2, 3}));
  EXPECT_EQ(value_of(buffer.dynamic_dimension_indices()), std::vector<std::size_t>{});
}

TEST_P(Buffers, DynamicSizesHaveABoundAndASizeTheyReallyHave) {
  const Buffer buffer = first(2);
  EXPECT_EQ(buffer.dims(), (Dimensions{4}));
  EXPECT_EQ(value_of(buffer.unpadded_dims()), (Dimensions{2}));
  EXPECT_EQ(value_of(buffer.dynamic_dimension_indices()), std::vector<std::size_t>{0});
}

TEST_P(Buffers, OfDynamicSizeAreDownloadedWithoutTheirPadding) {
  EXPECT_EQ(value_of(first(3).to_vector<float>()), (Floats{1, 2, 3}));
  EXPECT_EQ(value_of(first(0).to_vector<float>()), Floats{});
}

TEST_P(Buffers, OfDynamicSizeAreNotLookedAtInPlace) {  // what lies behind the elements is no element
  EXPECT_ERROR(first(2).host_view<float>(), Unimplemented, "its size is dynamic");
}

TEST_P(Buffers, LieRowByRowUnlessToldOtherwise) {
  EXPECT_EQ(value_of(six().layout()), MemoryLayout(Layout::row_major(2)));
}

TEST_P(Buffers, OfOtherLayoutsComeBackRightOrAreRefused) {
  const Result<Buffer> buffer = client.upload(Floats{1, 2, 3, 4, 5, 6}, {2, 3}, {{}, {}, Layout::column_major(2)});
  if (GetParam() != "cpu") {  // these say {0,1} and copy the bytes as they are
    EXPECT_ERROR(buffer, Unimplemented, "layout");
    return;
  }
  ASSERT_OK(buffer);
  EXPECT_EQ(value_of(buffer->layout()), MemoryLayout(Layout::column_major(2)));
  EXPECT_EQ(value_of(buffer->to_vector<float>()), (Floats{1, 2, 3, 4, 5, 6}));
  std::array<float, 6> raw{};
  ASSERT_OK(buffer->copy_raw_to_host(std::as_writable_bytes(std::span(raw))).await());
  EXPECT_EQ(raw, (std::array<float, 6>{1, 4, 2, 5, 3, 6}));
}

TEST_P(Buffers, SizeOnDeviceIsThatOfTheElements) {
  EXPECT_EQ(value_of(six().on_device_size()), 24u);
  EXPECT_EQ(value_of(value_of(client.upload(1.0)).on_device_size()), 8u);
  EXPECT_EQ(value_of(value_of(client.upload(Floats{}, {0})).on_device_size()), 0u);
}

TEST_P(Buffers, SizeOnDeviceOfPackedElementsIsHalf) {  // two to a byte; one to a byte on the host
  const std::vector<uint4> nibbles(6, uint4(7));
  EXPECT_EQ(value_of(value_of(client.upload(nibbles, {6})).on_device_size()), 3u);
}

TEST_P(Buffers, AreOnTheDeviceAndInTheMemoryTheyWerePut) {
  for (const Device device : client.devices()) {
    const Buffer buffer = six({.device = device});
    EXPECT_EQ(buffer.device(), device);
    EXPECT_EQ(value_of(buffer.memory()), value_of(device.default_memory()));
    for (const Memory memory : device.memories()) {
      const Buffer there = six({.memory = memory});
      EXPECT_EQ(value_of(there.memory()), memory);
      EXPECT_EQ(there.device(), device);
    }
  }
}

TEST_P(Buffers, AreOnTheCpu) {
  EXPECT_TRUE(value_of(six().is_on_cpu()));
}

TEST_P(Buffers, KnowTheirClient) {
  EXPECT_EQ(six().client(), client);
}

TEST_P(Buffers, AreReadyOnceTheirContentsAreThere) {
  const Buffer buffer = six();
  const Event ready = buffer.ready();
  EXPECT_OK(ready.await());
  EXPECT_TRUE(ready.is_ready());
  EXPECT_OK(ready.outcome());
}

TEST_P(Buffers, AskForThePluginOnlyWhereItKnowsMore) {
  const Buffer buffer = six();
  const std::int64_t before = test::calls_of(GetParam(), "PJRT_Buffer_Dimensions") +
                              test::calls_of(GetParam(), "PJRT_Buffer_ElementType") +
                              test::calls_of(GetParam(), "PJRT_Buffer_Device");
  EXPECT_EQ(buffer.shape(), (Shape{ElementType::F32, {2, 3}}));
  EXPECT_EQ(buffer.device(), client.devices().front());
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_Dimensions") +
                test::calls_of(GetParam(), "PJRT_Buffer_ElementType") +
                test::calls_of(GetParam(), "PJRT_Buffer_Device"),
            before);
}

// Gone.

TEST_P(Buffers, AreDeletedWhenTheyAreTold) {
  Buffer buffer = six();
  EXPECT_FALSE(buffer.is_deleted());
  EXPECT_OK(buffer.delete_now());
  EXPECT_TRUE(buffer.is_deleted());
}

TEST_P(Buffers, MayBeDeletedTwice) {
  Buffer buffer = six();
  EXPECT_OK(buffer.delete_now());
  EXPECT_OK(buffer.delete_now());
}

TEST_P(Buffers, KeepShapeAndPlaceWhenDeleted) {
  Buffer buffer = six();
  const Memory memory = value_of(buffer.memory());
  ASSERT_OK(buffer.delete_now());
  EXPECT_EQ(to_string(buffer.shape()), "f32[2,3]");
  EXPECT_EQ(buffer.device(), client.devices().front());
  EXPECT_EQ(value_of(buffer.memory()), memory);
  EXPECT_TRUE(value_of(buffer.is_on_cpu()));
}

/// Everything that needs the memory says that it is gone, and how.
void expect_gone(Buffer& buffer, const Client& client, const std::string& how) {
  std::array<std::byte, 24> bytes;
  std::array<float, 6> floats;
  EXPECT_ERROR(buffer.unpadded_dims(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.dynamic_dimension_indices(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.layout(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.on_device_size(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.ready().await(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.to_host(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.to_host_async().await(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.to_host(std::span<float>(floats)), FailedPrecondition, how);
  EXPECT_ERROR(buffer.to_vector<float>(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.host_view<float>(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.copy_raw_to_host(bytes).await(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.copy_raw_to_host_future(24), FailedPrecondition, how);
  EXPECT_ERROR(buffer.copy_to_device(client.devices()[1]), FailedPrecondition, how);
  EXPECT_ERROR(buffer.copy_to_memory(value_of(client.devices()[1].default_memory())), FailedPrecondition, how);
  EXPECT_ERROR(std::move(buffer).bitcast(Shape{ElementType::S32, {6}}), FailedPrecondition, how);
  EXPECT_ERROR(std::move(buffer).donate_with_control_dependency(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.external_reference(), FailedPrecondition, how);
  EXPECT_ERROR(buffer.unsafe_pointer(), FailedPrecondition, how);
  EXPECT_TRUE(buffer.is_deleted());
  EXPECT_OK(buffer.delete_now());
}

TEST_P(Buffers, SayThatTheyWereDeletedWhateverIsAskedOfThem) {
  Buffer buffer = six();
  ASSERT_OK(buffer.delete_now());
  expect_gone(buffer, client, "the buffer f32[2,3] is gone: it was deleted");
}

TEST_P(Buffers, SayThatTheyWereMovedWhateverIsAskedOfThem) {
  Buffer buffer = six();
  const Buffer moved = std::move(buffer);
  expect_gone(buffer, client, "the buffer was moved from");
  EXPECT_ERROR(buffer.memory(), FailedPrecondition, "moved from");
  EXPECT_ERROR(buffer.is_on_cpu(), FailedPrecondition, "moved from");
  EXPECT_EQ(buffer.raw(), nullptr);
  EXPECT_EQ(buffer.type(), ElementType::Invalid);
  EXPECT_EQ(value_of(moved.to_vector<float>()), (Floats{1, 2, 3, 4, 5, 6}));
}

TEST_P(Buffers, GoWithWhatTheyAreAssigned) {
  Buffer buffer = six();
  const std::int64_t before = test::calls_of(GetParam(), "PJRT_Buffer_Destroy");
  buffer = value_of(client.upload(7.0f));
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_Destroy"), before + 1);
  EXPECT_EQ(value_of(buffer.to_vector<float>()), Floats{7});
}

TEST_P(Buffers, TakenReadyBeforeDeletionStaysWell) {
  Buffer buffer = six();
  const Event ready = buffer.ready();
  ASSERT_OK(ready.await());
  ASSERT_OK(buffer.delete_now());
  EXPECT_OK(ready.await());
}

TEST_P(Buffers, DeletedWhileTheirContentsComeAreNoDanger) {
  for (int i = 0; i < 50; ++i) {
    Future<Buffer> coming = client.upload_async(value_of(HostBuffer::zeros(Shape{ElementType::F32, {1 << 16}})));
    Buffer buffer = value_of(coming.await());
    Future<HostBuffer> download = buffer.to_host_async();
    ASSERT_OK(buffer.delete_now());
    const Result<HostBuffer> host = download.await();
    ASSERT_TRUE(host || host.error().code() == ErrorCode::InvalidArgument);
  }
}

}  // namespace
}  // namespace pjrt
