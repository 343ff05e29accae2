// Arrays of PRED never hold bytes other than 0 and 1 where a bool is made of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/pred.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/print.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;

TEST(PredScan, FindsABadByteWhereverItLies) {
  for (const std::size_t size : {1U, 7U, 63U, 64U, 65U, 200U}) {
    std::vector<std::byte> bytes(size, std::byte{1});
    EXPECT_TRUE(detail::preds_are_normal(bytes));
    for (std::size_t i = 0; i < size; ++i) {
      for (const int bad : {2, 3, 0x80, 0xff}) {
        bytes[i] = static_cast<std::byte>(bad);
        EXPECT_FALSE(detail::preds_are_normal(bytes)) << size << " " << i;
      }
      bytes[i] = std::byte{0};
    }
  }
}

TEST(PredBuffer, ReinterpretedBytesBecomeZeroOrOne) {
  const HostBuffer bytes = value_of(HostBuffer::copy_of(std::vector<std::uint8_t>{0, 1, 2, 255}, {4}));
  const HostBuffer preds = value_of(bytes.reinterpret(ElementType::Pred));
  EXPECT_EQ(test::as_text(preds.bytes()), std::string("\0\1\1\1", 4));
  EXPECT_EQ(test::as_text(bytes.bytes()), std::string("\0\1\2\xff", 4));
}

TEST(PredBuffer, ReinterpretedNormalBytesAreShared) {
  const HostBuffer bytes = value_of(HostBuffer::copy_of(std::vector<std::uint8_t>{0, 1}, {2}));
  const HostBuffer preds = value_of(bytes.reinterpret(ElementType::Pred));
  EXPECT_EQ(preds.view().data(), bytes.view().data());
}

TEST(PredBuffer, CopiesBecomeZeroOrOne) {
  const std::uint8_t bytes[] = {7, 0, 1, 9, 0, 2};
  const HostView dense(bytes, {ElementType::Pred, {6}});
  const HostBuffer of_dense = value_of(HostBuffer::copy_of(dense));
  EXPECT_EQ(test::as_text(of_dense.bytes()), std::string("\1\0\1\1\0\1", 6));
  const HostView gapped = value_of(HostView::strided(bytes, {ElementType::Pred, {3}}, {2}));
  const HostBuffer of_gapped = value_of(HostBuffer::copy_of(gapped));
  EXPECT_EQ(test::as_text(of_gapped.bytes()), std::string("\1\1\0", 3));
}

TEST(PredBuffer, BorrowedBadBytesAreNotHandedOutAsBools) {
  const std::uint8_t bytes[] = {0, 3};
  const HostBuffer borrowed = HostBuffer::borrow(HostView(bytes, {ElementType::Pred, {2}}), nullptr);
  EXPECT_ERROR(borrowed.span<bool>(), InvalidArgument, "bytes other than 0 and 1");
  EXPECT_THAT(value_of(borrowed.to_vector<bool>()), ElementsAre(false, true));
  EXPECT_EQ(value_of(borrowed.at<bool>({1})), true);
  const HostBuffer clone = value_of(borrowed.clone());
  EXPECT_THAT(value_of(clone.span<bool>()), ElementsAre(false, true));
  EXPECT_EQ(to_string(borrowed.view()), "[False  True]");
}

TEST(PredBuffer, OfNewMemoryCanBeWrittenWhateverWasInIt) {
  HostBuffer array = value_of(HostBuffer::allocate({ElementType::Pred, {3}}));
  for (std::byte& b : array.mutable_bytes()) b = std::byte{0xee};
  value_of(array.mutable_span<bool>())[1] = false;
  EXPECT_THAT(value_of(array.span<bool>()), ElementsAre(true, false, true));
}

TEST(NarrowTypes, ReadOnlyTheirLowBits) {  // as ml_dtypes has it: numpy.array([0x17], 'u1').view('int4') is 7
  const std::uint8_t bytes[] = {0x17, 0xf8};
  const HostBuffer s4 = HostBuffer::borrow(HostView(bytes, {ElementType::S4, {2}}), nullptr);
  EXPECT_EQ(static_cast<int>(value_of(s4.at<int4>({0}))), 7);
  EXPECT_EQ(static_cast<int>(value_of(s4.at<int4>({1}))), -8);
  EXPECT_EQ(value_of(s4.at<int4>({0})), int4(7));
}

}  // namespace
}  // namespace pjrt
