#include "pjrt/layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;

class LayoutText : public ::testing::TestWithParam<std::string> {};
// As XLA prints layouts.
INSTANTIATE_TEST_SUITE_P(RoundTrip, LayoutText,
                         ::testing::Values("{}", "{0}", "{1,0}", "{0,1}", "{3,2,1,0}", "{1,0:T(8,128)}",
                                           "{1,0:T(8,128)(2,1)}", "{1,0:T(8,128)(2,1)E(4)}", "{1,0:E(4)}",
                                           "{2,1,0:T(2,128)S(1)}", "{0:T(1024)L(1024)E(32)S(5)}", "{2,1,0:T(*,8,128)}",
                                           "{11,10,9,8,7,6,5,4,3,2,1,0}"));

TEST_P(LayoutText, IsPrintedAsItWasRead) {
  EXPECT_EQ(to_string(value_of(Layout::parse(GetParam()))), GetParam());
}

class BadLayoutText : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Refused, BadLayoutText,
                         ::testing::Values("", "{", "}", "1,0", "{1,0", "1,0}", "{1,1}", "{2,0}", "{-1,0}", "{0,}",
                                           "{,0}", "{0,,1}", "{1 0}", "{1-0}", "{a}", "{1,0}{", "{*}", "{1,0:T(8,128}",
                                           "{1,0:T(8,,128)}", "{1,0:T(8,)}", "{1,0:T(8 128)}", "{1,0:T(x)}", "{1,0:T}",
                                           "{1,0:T8,128}", "{1,0:T(0,128)}", "{1,0:T(-8,128)}", "{1,0:D(D,C)T(8,128)}",
                                           "{99999999999999999999}"));

TEST_P(BadLayoutText, IsRefusedWithTheText) {
  EXPECT_ERROR(Layout::parse(GetParam()), InvalidArgument, "'" + GetParam() + "' is not a layout");
}

TEST(Layout, TextGivesOrderTilesAndTheRest) {
  const Layout layout = value_of(Layout::parse("{1,0:T(8,128)(2,1)E(4)S(1)}"));
  EXPECT_THAT(layout.minor_to_major(), ElementsAre(1, 0));
  EXPECT_THAT(layout.tiles(), ElementsAre(ElementsAre(8, 128), ElementsAre(2, 1)));
  EXPECT_EQ(layout.suffix(), "E(4)S(1)");
  EXPECT_EQ(layout.rank(), 2u);
}

TEST(Layout, StarInATileIsACombinedDimension) {
  const Layout layout = value_of(Layout::parse("{1,0:T(*,128)}"));
  EXPECT_THAT(layout.tiles(),
              ElementsAre(ElementsAre(std::numeric_limits<std::int64_t>::min(), 128)));  // XLA's number for it
}

TEST(Layout, OrderMustBeAPermutation) {
  EXPECT_ERROR(Layout::create({0, 0}), InvalidArgument, "{0,0} is not an order of 2 dimensions");
  EXPECT_ERROR(Layout::create({1, 2}), InvalidArgument, "{1,2} is not an order of 2 dimensions");
  EXPECT_ERROR(Layout::create({-1}), InvalidArgument, "{-1} is not an order of 1 dimensions");
}

TEST(Layout, TilesArePositive) {
  EXPECT_ERROR(Layout::create({1, 0}, {{8, 0}}), InvalidArgument, "tile");
  EXPECT_ERROR(Layout::create({1, 0}, {{-8, 128}}), InvalidArgument, "tile");
}

TEST(Layout, RowMajorHasTheLastDimensionFirst) {
  EXPECT_EQ(to_string(Layout::row_major(3)), "{2,1,0}");
  EXPECT_TRUE(Layout::row_major(3).is_row_major());
}

TEST(Layout, ColumnMajorHasTheFirstDimensionFirst) {
  EXPECT_EQ(to_string(Layout::column_major(3)), "{0,1,2}");
  EXPECT_FALSE(Layout::column_major(3).is_row_major());
}

TEST(Layout, OfScalarsAndVectorsIsAlwaysRowMajor) {
  EXPECT_TRUE(Layout().is_row_major());
  EXPECT_TRUE(Layout::column_major(1).is_row_major());
}

TEST(Layout, WithTilesIsNotRowMajor) {
  EXPECT_FALSE(value_of(Layout::create({1, 0}, {{8, 128}})).is_row_major());
}

TEST(Layout, AreEqualWithEqualOrderTilesAndRest) {
  EXPECT_EQ(value_of(Layout::parse("{1,0:T(8,128)}")), value_of(Layout::create({1, 0}, {{8, 128}})));
  EXPECT_NE(value_of(Layout::parse("{1,0}")), value_of(Layout::parse("{1,0:E(4)}")));
  EXPECT_NE(value_of(Layout::parse("{1,0:T(8,128)}")), value_of(Layout::parse("{1,0:T(8,128)(2,1)}")));
}

TEST(MemoryLayout, IsALayoutOrStrides) {
  const MemoryLayout strides = Strides{{8, 4}};
  EXPECT_TRUE(std::holds_alternative<Strides>(strides));
  EXPECT_NE(strides, MemoryLayout(Layout::row_major(2)));
}

}  // namespace
}  // namespace pjrt
