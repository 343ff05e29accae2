#include "pjrt/host_buffer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include "support/matchers.hpp"

/// The address sanitizer ends the process at allocations that cannot be had, unless it is told otherwise.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;

std::vector<std::int32_t> count(int n) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

/// A view of ints with strides counted in elements; nobody owns it.
HostBuffer strided(const std::int32_t* data, Dimensions dims, std::vector<std::int64_t> element_strides) {
  for (std::int64_t& s : element_strides) s *= 4;
  return HostBuffer::borrow(
      value_of(HostView::strided(data, {ElementType::S32, std::move(dims)}, Dimensions(element_strides))), nullptr);
}

// Making arrays.

TEST(HostBuffer, AllocatesAlignedWritableMemory) {
  HostBuffer a = value_of(HostBuffer::allocate({ElementType::F32, {3, 5}}));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.view().data()) % 64, 0u);
  EXPECT_EQ(a.mutable_bytes().size(), 60u);
  EXPECT_TRUE(a.is_mutable());
}

TEST(HostBuffer, ZerosAreZero) {
  const HostBuffer a = value_of(HostBuffer::zeros({ElementType::S32, {3}}));
  EXPECT_THAT(value_of(a.to_vector<std::int32_t>()), ElementsAre(0, 0, 0));
}

TEST(HostBuffer, EmptyArraysCanBeAllocated) {
  const HostBuffer a = value_of(HostBuffer::allocate({ElementType::F32, {3, 0}}));
  EXPECT_EQ(a.element_count(), 0);
  EXPECT_TRUE(a.bytes().empty());
  EXPECT_TRUE(value_of(a.to_vector<float>()).empty());
}

TEST(HostBuffer, EmptyArraysMayHaveLargeDimensions) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  EXPECT_OK(HostBuffer::allocate({ElementType::F32, {0, kMax, kMax}}));
  EXPECT_OK(HostView::strided(nullptr, {ElementType::F32, {0, kMax, kMax}}, {1, 1, 1}));
}

TEST(HostBuffer, ShapesThatNoArrayHasAreRefused) {
  EXPECT_ERROR(HostBuffer::allocate({ElementType::F32, {2, -1}}), InvalidArgument, "f32[2,-1]");
  EXPECT_ERROR(HostBuffer::allocate({ElementType::F32, {std::int64_t{1} << 62}}), InvalidArgument,
               "f32[4611686018427387904]");
  EXPECT_ERROR(HostBuffer::zeros({ElementType::Token, {}}), InvalidArgument, "token[]");
  EXPECT_ERROR(HostBuffer::zeros({ElementType::Invalid, {2}}), InvalidArgument, "invalid[2]");
}

TEST(HostBuffer, MoreMemoryThanThereIsIsResourceExhausted) {
  EXPECT_ERROR(HostBuffer::zeros({ElementType::F32, {std::int64_t{1} << 60}}), ResourceExhausted,
               "f32[1152921504606846976]");
}

TEST(HostBuffer, ScalarHasNoDimensions) {
  const HostBuffer a = HostBuffer::scalar(2.5);
  EXPECT_EQ(to_string(a.shape()), "f64[]");
  EXPECT_EQ(value_of(a.at<double>({})), 2.5);
}

TEST(HostBuffer, FromVectorTakesItsMemory) {
  std::vector<float> values = {1, 2, 3, 4};
  const void* memory = values.data();
  const HostBuffer a = value_of(HostBuffer::from_vector(std::move(values), {2, 2}));
  EXPECT_EQ(a.view().data(), memory);
  EXPECT_TRUE(a.is_mutable());
}

TEST(HostBuffer, DimensionsMustFitTheValues) {
  EXPECT_ERROR(HostBuffer::from_vector(count(5), {2, 3}), InvalidArgument,
               "5 elements do not make an array of dimensions [2,3]");
  EXPECT_ERROR(HostBuffer::copy_of(count(5), {2, 3}), InvalidArgument,
               "5 elements do not make an array of dimensions [2,3]");
  const std::vector<std::int32_t> values = count(4);
  EXPECT_ERROR(HostView::of(values, {-2, -2}), InvalidArgument, "[-2,-2]");
}

TEST(HostBuffer, IsMadeOfAnyContiguousRange) {
  const std::array<std::int64_t, 2> array = {1, 2};
  EXPECT_EQ(to_string(value_of(HostBuffer::copy_of(array, {2})).shape()), "s64[2]");
  const bfloat16 raw[] = {bfloat16(1), bfloat16(2)};
  EXPECT_EQ(to_string(value_of(HostBuffer::copy_of(std::span(raw), {2})).shape()), "bf16[2]");
}

TEST(HostBuffer, VectorsOfBoolAreNoRangeOfElements) {
  static_assert(!ElementRange<std::vector<bool>>);  // they have no bools to point at
  static_assert(ElementRange<std::vector<int4>>);
}

TEST(HostBuffer, CopyOfHasMemoryOfItsOwn) {
  std::vector<std::int32_t> values = count(3);
  const HostBuffer a = value_of(HostBuffer::copy_of(values, {3}));
  values[0] = 99;
  EXPECT_EQ(value_of(a.at<std::int32_t>({0})), 0);
}

// Who owns the memory.

TEST(HostBuffer, BorrowedMemoryIsKeptAliveByItsOwner) {
  auto values = std::make_shared<std::vector<std::int32_t>>(count(3));
  const std::weak_ptr<std::vector<std::int32_t>> watch = values;
  {
    const HostBuffer a = HostBuffer::borrow(value_of(HostView::of(*values, {3})), values);
    values.reset();
    EXPECT_FALSE(watch.expired());
    EXPECT_THAT(value_of(a.to_vector<std::int32_t>()), ElementsAre(0, 1, 2));
  }
  EXPECT_TRUE(watch.expired());
}

TEST(HostBuffer, BorrowedMemoryIsReadOnly) {
  const std::vector<std::int32_t> values = count(3);
  HostBuffer a = HostBuffer::borrow(value_of(HostView::of(values, {3})), nullptr);
  EXPECT_FALSE(a.is_mutable());
  EXPECT_TRUE(a.mutable_bytes().empty());
  EXPECT_ERROR(a.mutable_span<std::int32_t>(), FailedPrecondition, "borrowed and read-only");
  EXPECT_OK(a.span<std::int32_t>());
}

TEST(HostBuffer, CopiesShareTheMemory) {
  HostBuffer a = value_of(HostBuffer::from_vector(count(3), {3}));
  const HostBuffer b = a;
  value_of(a.mutable_span<std::int32_t>())[0] = 99;
  EXPECT_EQ(value_of(b.at<std::int32_t>({0})), 99);
}

TEST(HostBuffer, CloneHasMemoryOfItsOwn) {
  HostBuffer a = value_of(HostBuffer::from_vector(count(3), {3}));
  const HostBuffer b = value_of(a.clone());
  value_of(a.mutable_span<std::int32_t>())[0] = 99;
  EXPECT_EQ(value_of(b.at<std::int32_t>({0})), 0);
}

TEST(HostBuffer, CloneOfBorrowedMemoryMayBeWritten) {
  const std::vector<std::int32_t> values = count(3);
  EXPECT_TRUE(value_of(HostBuffer::borrow(value_of(HostView::of(values, {3})), nullptr).clone()).is_mutable());
}

// Reading.

TEST(HostBuffer, SpanIsTheElementsInRowMajorOrder) {
  const HostBuffer a = value_of(HostBuffer::from_vector(count(6), {2, 3}));
  EXPECT_THAT(value_of(a.span<std::int32_t>()), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(HostBuffer, SpanOfAnotherTypeIsRefused) {
  const HostBuffer a = value_of(HostBuffer::from_vector(count(6), {2, 3}));
  EXPECT_ERROR(a.span<float>(), InvalidArgument, "the array holds s32, not f32");
  EXPECT_ERROR(a.span<std::uint32_t>(), InvalidArgument, "the array holds s32, not u32");
}

TEST(HostBuffer, ToVectorOfAnotherTypeIsRefused) {
  EXPECT_ERROR(HostBuffer::scalar(1).to_vector<float>(), InvalidArgument, "the array holds s32, not f32");
}

TEST(HostBuffer, ToVectorOfBooleansTakesEveryNonzeroByteForTrue) {
  const std::uint8_t bytes[] = {0, 1, 2, 255};
  const HostBuffer a = HostBuffer::borrow(HostView(bytes, {ElementType::Pred, {4}}), nullptr);
  EXPECT_THAT(value_of(a.to_vector<bool>()), ElementsAre(false, true, true, true));
}

TEST(HostBuffer, AtTakesEveryNonzeroByteForTrue) {
  const std::uint8_t bytes[] = {2};
  const HostBuffer a = HostBuffer::borrow(HostView(bytes, {ElementType::Pred, {1}}), nullptr);
  EXPECT_TRUE(value_of(a.at<bool>({0})));
}

TEST(HostBuffer, AtGivesTheElement) {
  const HostBuffer a = value_of(HostBuffer::from_vector(count(6), {2, 3}));
  EXPECT_EQ(value_of(a.at<std::int32_t>({1, 2})), 5);
}

TEST(HostBuffer, AtOutsideIsOutOfRange) {
  const HostBuffer a = value_of(HostBuffer::from_vector(count(6), {2, 3}));
  EXPECT_ERROR(a.at<std::int32_t>({0, 3}), OutOfRange, "index [0,3] lies outside s32[2,3]");
  EXPECT_ERROR(a.at<std::int32_t>({-1, 0}), OutOfRange, "index [-1,0] lies outside s32[2,3]");
}

TEST(HostBuffer, AtWantsAnIndexForEachDimension) {
  const HostBuffer a = value_of(HostBuffer::from_vector(count(6), {2, 3}));
  EXPECT_ERROR(a.at<std::int32_t>({1}), InvalidArgument, "1 indices for an array of shape s32[2,3]");
  EXPECT_ERROR(a.at<std::int32_t>({}), InvalidArgument, "0 indices");
}

TEST(HostBuffer, AtOfAnotherTypeIsRefused) {
  EXPECT_ERROR(HostBuffer::scalar(1).at<float>({}), InvalidArgument, "the array holds s32, not f32");
}

// Strides.

TEST(HostView, TransposedIsCopiedInItsOwnOrder) {
  const std::vector<std::int32_t> values = count(6);
  const HostBuffer a = strided(values.data(), {3, 2}, {1, 3});
  EXPECT_FALSE(a.view().is_dense());
  EXPECT_THAT(value_of(a.to_vector<std::int32_t>()), ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST(HostView, BroadcastRepeatsElements) {
  const std::vector<std::int32_t> values = count(2);
  EXPECT_THAT(value_of(strided(values.data(), {2, 3}, {1, 0}).to_vector<std::int32_t>()),
              ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST(HostView, NegativeStridesGoBackwards) {
  const std::vector<std::int32_t> values = count(4);
  EXPECT_THAT(value_of(strided(values.data() + 3, {4}, {-1}).to_vector<std::int32_t>()), ElementsAre(3, 2, 1, 0));
}

TEST(HostView, GapsAreSkipped) {
  const std::vector<std::int32_t> values = count(12);
  EXPECT_THAT(value_of(strided(values.data(), {2, 2, 2}, {6, 4, 1}).to_vector<std::int32_t>()),
              ElementsAre(0, 1, 4, 5, 6, 7, 10, 11));
}

TEST(HostView, ElementsMayLieAtAnyAddress) {  // as in a numpy record
  std::vector<std::byte> memory(1 + 5 * 3);
  for (int i = 0; i < 3; ++i) std::memcpy(memory.data() + 1 + i * 5, &i, 4);
  const HostBuffer a =
      HostBuffer::borrow(value_of(HostView::strided(memory.data() + 1, {ElementType::S32, {3}}, {5})), nullptr);
  EXPECT_THAT(value_of(a.to_vector<std::int32_t>()), ElementsAre(0, 1, 2));
  EXPECT_EQ(value_of(a.at<std::int32_t>({1})), 1);
}

TEST(HostView, ElementsOfEverySizeAreCopied) {
  const auto backwards = []<class T>(std::vector<T> values) {
    const auto size = static_cast<std::int64_t>(sizeof(T));
    const Shape shape{element_type_of<T>, {static_cast<std::int64_t>(values.size())}};
    const HostView view = value_of(HostView::strided(values.data() + values.size() - 1, shape, {-size}));
    return value_of(HostBuffer::borrow(view, nullptr).to_vector<T>());
  };
  EXPECT_THAT(backwards(std::vector<std::uint8_t>{1, 2, 3}), ElementsAre(3, 2, 1));
  EXPECT_THAT(backwards(std::vector<std::uint16_t>{1, 2, 3}), ElementsAre(3, 2, 1));
  EXPECT_THAT(backwards(std::vector<float>{1, 2, 3}), ElementsAre(3, 2, 1));
  EXPECT_THAT(backwards(std::vector<double>{1, 2, 3}), ElementsAre(3, 2, 1));
  EXPECT_THAT(backwards(std::vector<complex128>{1, 2, 3}), ElementsAre(complex128(3), complex128(2), complex128(1)));
}

TEST(HostView, OneStrideForEachDimension) {
  EXPECT_ERROR(HostView::strided(nullptr, {ElementType::S32, {2, 3}}, {4}), InvalidArgument,
               "1 strides for an array of shape s32[2,3]");
}

TEST(HostView, StridedArraysHavePossibleDimensions) {
  EXPECT_ERROR(HostView::strided(nullptr, {ElementType::S32, {-2}}, {4}), InvalidArgument,
               "no array has the shape s32[-2]");
}

TEST(HostView, StridedArraysHaveElementsWithValues) {
  EXPECT_ERROR(HostView::strided(nullptr, {ElementType::Token, {2}}, {16}), InvalidArgument, "token");
}

TEST(HostView, RowMajorStridesAreDense) {
  const std::vector<std::int32_t> values = count(6);
  const HostBuffer array = strided(values.data(), {2, 3}, {3, 1});
  EXPECT_TRUE(array.view().is_dense());
}

TEST(HostView, StridesOfDimensionsOfOneDoNotMatter) {
  const std::vector<std::int32_t> values = count(6);
  const HostBuffer array = strided(values.data(), {1, 6, 1}, {77, 1, -5});
  EXPECT_TRUE(array.view().is_dense());
}

TEST(HostView, EmptyArraysAreDense) {
  const HostBuffer array = strided(nullptr, {3, 0}, {50, 7});
  EXPECT_TRUE(array.view().is_dense());
}

TEST(HostView, BytesAreOfDenseArraysOnly) {
  const std::vector<std::int32_t> values = count(6);
  const HostBuffer dense = strided(values.data(), {2, 3}, {3, 1});
  const HostBuffer transposed = strided(values.data(), {3, 2}, {1, 3});
  EXPECT_EQ(dense.bytes().size(), 24u);
  EXPECT_TRUE(transposed.bytes().empty());
}

TEST(HostBuffer, SpanOfStridedArraysIsRefused) {
  const std::vector<std::int32_t> values = count(6);
  const HostBuffer transposed = strided(values.data(), {3, 2}, {1, 3});
  EXPECT_ERROR(transposed.span<std::int32_t>(), InvalidArgument, "s32[3,2] is not dense; take dense() of it");
}

TEST(HostBuffer, AtFollowsTheStrides) {
  const std::vector<std::int32_t> values = count(6);
  EXPECT_EQ(value_of(strided(values.data(), {3, 2}, {1, 3}).at<std::int32_t>({2, 1})), 5);
}

TEST(HostBuffer, DenseOfADenseArrayIsItself) {
  const HostBuffer a = value_of(HostBuffer::from_vector(count(6), {2, 3}));
  const HostBuffer dense = value_of(a.dense());
  EXPECT_EQ(dense.view().data(), a.view().data());
}

TEST(HostBuffer, DenseOfAStridedArrayIsACopy) {
  const std::vector<std::int32_t> values = count(6);
  const HostBuffer a = value_of(strided(values.data(), {3, 2}, {1, 3}).dense());
  EXPECT_NE(a.view().data(), values.data());
  EXPECT_THAT(value_of(a.span<std::int32_t>()), ElementsAre(0, 3, 1, 4, 2, 5));
}

// Other views of the same elements.

TEST(HostBuffer, ReshapeSharesTheMemory) {
  const HostBuffer a = value_of(HostBuffer::from_vector(count(6), {2, 3}));
  const HostBuffer b = value_of(a.reshape({3, 2}));
  EXPECT_EQ(b.view().data(), a.view().data());
  EXPECT_EQ(value_of(b.at<std::int32_t>({2, 1})), 5);
}

TEST(HostBuffer, ReshapeOfAStridedArrayKeepsItsOrder) {
  const std::vector<std::int32_t> values = count(6);
  const HostBuffer a = value_of(strided(values.data(), {3, 2}, {1, 3}).reshape({6}));
  EXPECT_THAT(value_of(a.span<std::int32_t>()), ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST(HostBuffer, ReshapeKeepsTheNumberOfElements) {
  const HostBuffer a = value_of(HostBuffer::from_vector(count(6), {2, 3}));
  EXPECT_ERROR(a.reshape({4}), InvalidArgument, "an array of shape s32[2,3] cannot become [4]");
  EXPECT_ERROR(a.reshape({-6}), InvalidArgument, "cannot become [-6]");
}

TEST(HostBuffer, ReinterpretReadsTheSameBytesAsAnotherType) {
  const HostBuffer raw = value_of(HostBuffer::from_vector(std::vector<std::uint16_t>{0x3f80, 0xc000}, {2}));
  const HostBuffer a = value_of(raw.reinterpret(ElementType::BF16));
  EXPECT_THAT(value_of(a.to_vector<bfloat16>()), ElementsAre(bfloat16(1), bfloat16(-2)));
}

TEST(HostBuffer, ReinterpretKeepsStrides) {
  const std::vector<std::int32_t> values = count(6);
  const HostBuffer a = value_of(strided(values.data(), {3, 2}, {1, 3}).reinterpret(ElementType::U32));
  EXPECT_THAT(value_of(a.to_vector<std::uint32_t>()), ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST(HostBuffer, ReinterpretWantsTheSameWidth) {
  EXPECT_ERROR(HostBuffer::scalar(1.0f).reinterpret(ElementType::F64), InvalidArgument,
               "elements of f32 (4 bytes) cannot be read as f64 (8)");
  EXPECT_ERROR(HostBuffer::scalar(1.0f).reinterpret(ElementType::Token), InvalidArgument, "token");
}

TEST(TypedHostBuffer, GivesElementsWithoutChecks) {
  const auto a = value_of(TypedHostBuffer<std::int32_t>::from_vector(count(6), {2, 3}));
  EXPECT_EQ(a[4], 4);
  EXPECT_EQ(a.dims(), (Dimensions{2, 3}));
}

TEST(TypedHostBuffer, RefusesAnotherType) {
  EXPECT_ERROR(TypedHostBuffer<float>::from(HostBuffer::scalar(1)), InvalidArgument, "the array holds s32, not f32");
}

TEST(TypedHostBuffer, CopiesStridedArrays) {
  const std::vector<std::int32_t> values = count(6);
  const auto typed = value_of(TypedHostBuffer<std::int32_t>::from(strided(values.data(), {3, 2}, {1, 3})));
  EXPECT_THAT(typed.span(), ElementsAre(0, 3, 1, 4, 2, 5));
}

}  // namespace
}  // namespace pjrt
