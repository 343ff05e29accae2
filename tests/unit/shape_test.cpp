#include "pjrt/shape.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace pjrt {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

/// 1, 2, 3, … n.
Dimensions count_to(std::size_t n) {
  std::vector<std::int64_t> dims;
  for (std::size_t i = 1; i <= n; ++i) dims.push_back(static_cast<std::int64_t>(i));
  return Dimensions(dims);
}

std::vector<std::int64_t> values(const Dimensions& dims) {
  return {dims.begin(), dims.end()};
}

TEST(Dimensions, DefaultIsAScalar) {
  EXPECT_EQ(Dimensions().size(), 0u);
  EXPECT_TRUE(Dimensions().empty());
}

TEST(Dimensions, BracesListTheDimensions) {
  const Dimensions dims = {2, 3};
  EXPECT_THAT(values(dims), ElementsAre(2, 3));
  EXPECT_EQ(dims[1], 3);
}

/// Up to six dimensions live inside the object, more on the heap.
class DimensionsOfSize : public ::testing::TestWithParam<std::size_t> {
 protected:
  const Dimensions original = count_to(GetParam());
  const std::vector<std::int64_t> expected = [] {
    std::vector<std::int64_t> v;
    for (std::size_t i = 1; i <= GetParam(); ++i) v.push_back(static_cast<std::int64_t>(i));
    return v;
  }();
};
INSTANTIATE_TEST_SUITE_P(InlineAndHeap, DimensionsOfSize, ::testing::Values(0, 1, 6, 7, 30));

TEST_P(DimensionsOfSize, HoldWhatTheyWereMadeOf) {
  EXPECT_THAT(values(original), ElementsAreArray(expected));
}

TEST_P(DimensionsOfSize, CopyIsEqualAndApart) {
  Dimensions copy = original;
  EXPECT_EQ(copy, original);
  if (!copy.empty()) {
    copy.data()[0] = 99;
    EXPECT_EQ(original[0], 1);
  }
}

TEST_P(DimensionsOfSize, MoveTakesTheValuesAndLeavesAScalar) {
  Dimensions from = original;
  const Dimensions to = std::move(from);
  EXPECT_THAT(values(to), ElementsAreArray(expected));
  EXPECT_TRUE(from.empty());
}

TEST_P(DimensionsOfSize, MovedFromObjectCanBeUsedAgain) {
  Dimensions from = original;
  const Dimensions to = std::move(from);
  from = {4, 5};
  EXPECT_THAT(values(from), ElementsAre(4, 5));
}

TEST_P(DimensionsOfSize, AssignmentOverInlineReplacesIt) {
  Dimensions target = {8, 9};
  target = original;
  EXPECT_THAT(values(target), ElementsAreArray(expected));
}

TEST_P(DimensionsOfSize, AssignmentOverHeapReplacesIt) {
  Dimensions target = count_to(12);
  target = original;
  EXPECT_THAT(values(target), ElementsAreArray(expected));
}

TEST_P(DimensionsOfSize, SelfAssignmentKeepsTheValues) {
  Dimensions d = original;
  const Dimensions& same = d;
  d = same;
  EXPECT_THAT(values(d), ElementsAreArray(expected));
}

TEST_P(DimensionsOfSize, SelfMoveKeepsTheValues) {
  Dimensions d = original;
  Dimensions& same = d;
  d = std::move(same);
  EXPECT_THAT(values(d), ElementsAreArray(expected));
}

TEST(Dimensions, AreEqualOnlyWithEqualRank) {
  EXPECT_NE((Dimensions{2}), (Dimensions{2, 1}));
  EXPECT_NE((Dimensions{}), (Dimensions{0}));
  EXPECT_EQ(count_to(8), count_to(8));
}

TEST(Dimensions, MoveDoesNotThrow) {
  static_assert(std::is_nothrow_move_constructible_v<Dimensions>);
  static_assert(std::is_nothrow_move_assignable_v<Dimensions>);
}

TEST(ElementCount, IsTheProduct) {
  EXPECT_EQ(element_count(Dimensions{2, 3, 4}), 24);
}
TEST(ElementCount, OfAScalarIsOne) {
  EXPECT_EQ(element_count(Dimensions{}), 1);
}
TEST(ElementCount, OfAnEmptyArrayIsZero) {
  EXPECT_EQ(element_count(Dimensions{5, 0, 7}), 0);
}
TEST(ElementCount, OfNegativeDimensionsIsNone) {
  EXPECT_EQ(element_count(Dimensions{2, -1}), std::nullopt);
}
TEST(ElementCount, NegativeDimensionsOfAnEmptyArrayAreStillWrong) {
  EXPECT_EQ(element_count(Dimensions{0, -1}), std::nullopt);
}
TEST(ElementCount, MayBeTheLargestInteger) {
  EXPECT_EQ(element_count(Dimensions{kMax}), kMax);
}
TEST(ElementCount, OverflowIsNone) {
  EXPECT_EQ(element_count(Dimensions{kMax, 2}), std::nullopt);
}
TEST(ElementCount, OverflowThatWrapsToASmallNumberIsNone) {
  EXPECT_EQ(element_count(Dimensions{std::int64_t{1} << 32, std::int64_t{1} << 32, 5}), std::nullopt);
}
TEST(ElementCount, EmptyArrayMayHaveLargeOtherDimensions) {
  EXPECT_EQ(element_count(Dimensions{kMax, kMax, 0}), 0);
}

TEST(HostByteSize, IsElementsTimesTheirSize) {
  EXPECT_EQ(host_byte_size({ElementType::F64, {2, 3}}), 48);
}
TEST(HostByteSize, SubByteTypesHaveAByteEach) {
  EXPECT_EQ(host_byte_size({ElementType::S4, {5}}), 5);
}
TEST(HostByteSize, OverflowIsNone) {
  EXPECT_EQ(host_byte_size({ElementType::C128, {kMax / 8}}), std::nullopt);
}

TEST(RowMajorStrides, LastDimensionIsDense) {
  EXPECT_THAT(values(row_major_strides(Dimensions{2, 3, 4}, 4)), ElementsAre(48, 16, 4));
}
TEST(RowMajorStrides, OfAScalarAreNone) {
  EXPECT_TRUE(row_major_strides(Dimensions{}, 8).empty());
}
TEST(RowMajorStrides, OfAnEmptyArrayAreThoseOfLengthOne) {
  EXPECT_THAT(values(row_major_strides(Dimensions{2, 0, 3}, 2)), ElementsAre(6, 6, 2));  // as numpy has them
}
TEST(RowMajorStrides, OfAHugeEmptyArrayDoNotOverflow) {
  EXPECT_EQ(row_major_strides(Dimensions{0, kMax, kMax}, 8).size(), 3u);
}

TEST(Shape, IsWrittenAsXlaWritesIt) {
  EXPECT_EQ(to_string(Shape{ElementType::F32, {2, 3}}), "f32[2,3]");
  EXPECT_EQ(to_string(Shape{ElementType::Pred, {}}), "pred[]");
  EXPECT_EQ(to_string(Shape{ElementType::Token, {}}), "token[]");
}
TEST(Shape, DimensionsAreWrittenInBrackets) {
  EXPECT_EQ(to_string(Dimensions{7}), "[7]");
}
TEST(Shape, AreEqualWithEqualTypeAndDimensions) {
  EXPECT_EQ((Shape{ElementType::F32, {2}}), (Shape{ElementType::F32, {2}}));
  EXPECT_NE((Shape{ElementType::F32, {2}}), (Shape{ElementType::S32, {2}}));
  EXPECT_NE((Shape{ElementType::F32, {2}}), (Shape{ElementType::F32, {2, 1}}));
}
TEST(Shape, RankIsTheNumberOfDimensions) {
  EXPECT_EQ((Shape{ElementType::F32, {2, 3}}).rank(), 2u);
}

}  // namespace
}  // namespace pjrt
