// Transfers that leave holes, overlap or cut elements apart: refused, so that no buffer shows memory that nobody wrote.

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

class TransferHoles : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  TransferManager of(Shape shape) const {
    const std::vector<ShapeSpec> specs = {{std::move(shape), {}}};
    return value_of(client.create_buffers_for_async_host_to_device(specs, client.memories()[0]));
  }
  TransferManager four() const { return of({ElementType::F32, {4}}); }
  static Chunk bytes(std::size_t begin, std::size_t end) {
    static const Floats values = {1, 2, 3, 4};
    return Chunk(nullptr, std::as_bytes(std::span(values)).subspan(begin, end - begin));
  }

  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, TransferHoles, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(TransferHoles, TheLastTransferMustLeaveNoGap) {
  TransferManager m = four();
  EXPECT_ERROR(m.transfer_data(0, bytes(0, 8), 0, true).await(), FailedPrecondition,
               "bytes 8 to 16 of 16 have not been transferred");
  // Nothing is lost: the rest may still come.
  EXPECT_OK(m.transfer_data(0, bytes(0, 8), 0, false).await());
  EXPECT_OK(m.transfer_data(0, bytes(8, 16), 8, true).await());
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(TransferHoles, GapsAreSeenWhereverTheyAre) {
  TransferManager at_the_beginning = four();
  EXPECT_ERROR(at_the_beginning.transfer_data(0, bytes(4, 16), 4, true).await(), FailedPrecondition, "bytes 0 to 4");
  TransferManager in_the_middle = four();
  EXPECT_OK(in_the_middle.transfer_data(0, bytes(0, 4), 0, false).await());
  EXPECT_ERROR(in_the_middle.transfer_data(0, bytes(12, 16), 12, true).await(), FailedPrecondition, "bytes 4 to 12");
  TransferManager of_one_byte = four();
  EXPECT_OK(of_one_byte.transfer_data(0, bytes(0, 7), 0, false).await());
  EXPECT_ERROR(of_one_byte.transfer_data(0, bytes(8, 16), 8, true).await(), FailedPrecondition, "bytes 7 to 8");
  TransferManager nothing_at_all = four();
  EXPECT_ERROR(nothing_at_all.transfer_data(0, bytes(0, 0), 0, true).await(), FailedPrecondition, "bytes 0 to 16");
}

TEST_P(TransferHoles, OverlapsAreRefused) {  // which of two transfers in flight comes last is not defined
  TransferManager m = four();
  EXPECT_OK(m.transfer_data(0, bytes(4, 12), 4, false).await());
  EXPECT_ERROR(m.transfer_data(0, bytes(0, 8), 0, false).await(), InvalidArgument, "bytes 4 to 8");
  EXPECT_ERROR(m.transfer_data(0, bytes(8, 16), 8, true).await(), InvalidArgument, "bytes 8 to 12");
  EXPECT_OK(m.transfer_data(0, bytes(12, 16), 12, false).await());
  EXPECT_OK(m.transfer_data(0, bytes(0, 4), 0, true).await());
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(TransferHoles, ChunksInAnyOrderAndSizeFillTheBuffer) {
  TransferManager m = four();
  for (const auto& [begin, end] : std::vector<std::pair<int, int>>{{13, 16}, {0, 1}, {5, 13}, {1, 5}}) {
    const auto b = static_cast<std::size_t>(begin);
    EXPECT_OK(m.transfer_data(0, bytes(b, static_cast<std::size_t>(end)), begin, begin == 1).await());
  }
  EXPECT_EQ(value_of(value_of(m.retrieve_buffer(0)).to_vector<float>()), (Floats{1, 2, 3, 4}));
}

TEST_P(TransferHoles, AManagerThatGoesBeforeTheLastTransferLeavesAnError) {
  std::optional<TransferManager> m = four();
  const Buffer buffer = value_of(m->retrieve_buffer(0));
  EXPECT_OK(m->transfer_data(0, bytes(0, 8), 0, false).await());
  m.reset();
  EXPECT_FALSE(buffer.to_vector<float>());
}

TEST_P(TransferHoles, NarrowElementsAreCountedInBytesOfTheDevice) {
  TransferManager m = of({ElementType::S4, {5}});  // three bytes
  const std::array<std::byte, 3> packed = {std::byte{0x21}, std::byte{0x43}, std::byte{0x05}};
  const std::span<const std::byte> all(packed);
  EXPECT_ERROR(m.transfer_data(0, Chunk(nullptr, all.first(2)), 0, true).await(), FailedPrecondition, "bytes 2 to 3");
  EXPECT_OK(m.transfer_data(0, Chunk(nullptr, all), 0, true).await());
}

}  // namespace
}  // namespace pjrt
