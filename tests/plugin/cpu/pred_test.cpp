// No byte other than 0 and 1 reaches a device as PRED, and none comes back: programs take others for what they like.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
using Bytes = std::vector<std::uint8_t>;

class Preds : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  static HostView preds(const Bytes& bytes) {
    return {bytes.data(), Shape{ElementType::Pred, {static_cast<std::int64_t>(bytes.size())}}};
  }
  /// What lies on the device.
  static Bytes raw(const Buffer& buffer, std::size_t size) {
    Bytes bytes(size);
    EXPECT_OK(buffer.copy_raw_to_host(std::as_writable_bytes(std::span(bytes))).await());
    return bytes;
  }

  Client client = test::make_client(test::counted_plugin(GetParam()));
  const Bytes bad = {0, 1, 2, 255, 0, 128};
};

INSTANTIATE_TEST_SUITE_P(Matrix, Preds, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Preds, AreNormalizedByUploads) {
  EXPECT_THAT(raw(value_of(client.upload(preds(bad))), 6), ElementsAre(0, 1, 1, 1, 0, 1));
}

TEST_P(Preds, AreNormalizedByUploadsOfStridedArrays) {
  const HostView gapped = value_of(HostView::strided(bad.data(), {ElementType::Pred, {3}}, {2}));
  EXPECT_THAT(raw(value_of(client.upload(gapped)), 3), ElementsAre(0, 1, 0));
}

TEST_P(Preds, AreNormalizedByAsynchronousUploads) {
  const HostBuffer array = HostBuffer::borrow(preds(bad), nullptr);
  EXPECT_THAT(raw(value_of(client.upload_async(array).await()), 6), ElementsAre(0, 1, 1, 1, 0, 1));
}

TEST_P(Preds, AreRefusedWhereTheirMemoryWouldBeUsedInPlace) {
  EXPECT_ERROR(client.upload_view(preds(bad), {}), InvalidArgument, "bytes other than 0 and 1");
  HostBuffer owned = value_of(HostBuffer::zeros({ElementType::Pred, {2}}));
  owned.mutable_bytes()[1] = std::byte{2};
  EXPECT_ERROR(client.upload_mutable_view(owned), InvalidArgument, "bytes other than 0 and 1");
  owned.mutable_bytes()[1] = std::byte{1};
  EXPECT_OK(client.upload_mutable_view(owned));
}

TEST_P(Preds, AreNormalizedInChunks) {
  const ShapeSpec spec{{ElementType::Pred, {6}}, {}};
  TransferManager manager =
      value_of(client.create_buffers_for_async_host_to_device(std::span(&spec, 1), client.memories()[0]));
  const Buffer buffer = value_of(manager.retrieve_buffer(0));
  EXPECT_OK(manager.transfer_data(0, Chunk::copy_of(std::as_bytes(std::span(bad))), 0, true).await());
  EXPECT_THAT(raw(buffer, 6), ElementsAre(0, 1, 1, 1, 0, 1));
}

TEST_P(Preds, ThatAreNormalAreUploadedOnce) {
  const Bytes good = {0, 1, 1};
  const std::int64_t before = test::calls_of(GetParam(), "PJRT_Client_BufferFromHostBuffer");
  EXPECT_THAT(value_of(value_of(client.upload(preds(good))).to_vector<bool>()), ElementsAre(false, true, true));
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_BufferFromHostBuffer"), before + 1);
}

TEST_P(Preds, ComeBackAsZeroAndOneWhateverTheDeviceHolds) {
  const HostBuffer memory = value_of(HostBuffer::copy_of(bad, {6}));
  const Buffer view = value_of(
      client.create_view_of_device_buffer(const_cast<void*>(memory.view().data()), {ElementType::Pred, {6}}, {}));
  EXPECT_THAT(value_of(view.to_vector<bool>()), ElementsAre(false, true, true, true, false, true));
  const HostBuffer host = value_of(view.to_host());
  EXPECT_THAT(value_of(host.span<bool>()), ElementsAre(false, true, true, true, false, true));
  EXPECT_THAT(value_of(view.to_host_async().await()).to_vector<bool>().value(),
              ElementsAre(false, true, true, true, false, true));
}

TEST_P(Preds, NarrowIntegersReachTheDeviceWithoutTheirHighBits) {
  const Bytes bytes = {0x17, 0xf8, 0x21};  // 7, -8, 1, as ml_dtypes reads them
  const Buffer buffer = value_of(client.upload(HostView(bytes.data(), {ElementType::S4, {3}})));
  EXPECT_THAT(value_of(buffer.to_vector<int4>()), ElementsAre(int4(7), int4(-8), int4(1)));
}

}  // namespace
}  // namespace pjrt
