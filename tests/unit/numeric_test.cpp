// The narrow number types, against numpy and ml_dtypes (tests/data/numeric) and by hand.

#include "pjrt/numeric.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "pjrt/host_buffer.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;

template <class T>
constexpr const char* kName = nullptr;
template <>
constexpr const char* kName<float16> = "float16";
template <>
constexpr const char* kName<bfloat16> = "bfloat16";
template <>
constexpr const char* kName<float8_e5m2> = "float8_e5m2";
template <>
constexpr const char* kName<float8_e4m3> = "float8_e4m3";
template <>
constexpr const char* kName<float8_e3m4> = "float8_e3m4";
template <>
constexpr const char* kName<float8_e4m3fn> = "float8_e4m3fn";
template <>
constexpr const char* kName<float8_e4m3b11fnuz> = "float8_e4m3b11fnuz";
template <>
constexpr const char* kName<float8_e5m2fnuz> = "float8_e5m2fnuz";
template <>
constexpr const char* kName<float8_e4m3fnuz> = "float8_e4m3fnuz";
template <>
constexpr const char* kName<float8_e8m0fnu> = "float8_e8m0fnu";
template <>
constexpr const char* kName<float6_e2m3fn> = "float6_e2m3fn";
template <>
constexpr const char* kName<float6_e3m2fn> = "float6_e3m2fn";
template <>
constexpr const char* kName<float4_e2m1fn> = "float4_e2m1fn";

struct NameOf {
  template <class T>
  static std::string GetName(int) {
    return kName<T>;
  }
};

template <class T>
class NarrowFloat : public ::testing::Test {};

using NarrowFloats =
    ::testing::Types<float16, bfloat16, float8_e5m2, float8_e4m3, float8_e3m4, float8_e4m3fn, float8_e4m3b11fnuz,
                     float8_e5m2fnuz, float8_e4m3fnuz, float8_e8m0fnu, float6_e2m3fn, float6_e3m2fn, float4_e2m1fn>;
TYPED_TEST_SUITE(NarrowFloat, NarrowFloats, NameOf);

template <class T>
using BitsOf = decltype(T().bits());

template <class T>
constexpr std::uint32_t kPatterns = 1u << T::kBits;

template <class T>
float widened(std::uint32_t pattern) {
  return static_cast<float>(T::from_bits(static_cast<BitsOf<T>>(pattern)));
}

/// A float's pattern without the payload of a NaN.
std::uint32_t pattern_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::isnan(value) ? (bits & 0x80000000u) | 0x7fc00000u : bits;
}

/// The inputs that make.py converted: see `inputs` there.
template <class T>
std::vector<float> inputs() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> all;
  for (std::uint32_t p = 0; p < kPatterns<T>; ++p) {
    const float here = widened<T>(p);
    if (!std::isfinite(here)) continue;
    all.push_back(here);
    const float next = p + 1 < kPatterns<T> ? widened<T>(p + 1) : kInfinity;
    const float before = p > 0 ? widened<T>(p - 1) : kInfinity;
    const bool last = !std::isfinite(next) || std::signbit(next) != std::signbit(here);
    if (last && !std::isfinite(before)) continue;
    const double step = last ? double{here} - double{before} : double{next} - double{here};
    const auto middle = static_cast<float>(double{here} + step / 2);
    all.push_back(std::nextafter(middle, 0.0f));
    all.push_back(middle);
    all.push_back(std::nextafter(middle, std::copysign(kInfinity, middle)));
  }
  for (const std::uint32_t bits : {0x00000000u, 0x80000000u, 0x7F800000u, 0xFF800000u, 0x7FC00000u, 0xFFC00000u,
                                   0x7F7FFFFFu, 0xFF7FFFFFu, 0x7F400000u, 0x7F3FFFFFu, 0x00800000u, 0x80800000u,
                                   0x007FFFFFu, 0x00400000u, 0x003FFFFFu, 0x00200000u, 0x00000001u, 0x80000001u}) {
    all.push_back(std::bit_cast<float>(bits));
  }
  return all;
}

template <class T>
std::vector<T> stored(const std::string& name) {
  return value_of(value_of(HostBuffer::load(test::data_file("numeric/" + name + ".npy"))).template to_vector<T>());
}

template <class Word>
std::uint64_t fnv1a(const std::vector<Word>& words) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const Word w : words) h = (h ^ w) * 0x100000001b3;
  return h;
}

/// Compares `mine` with a stored table: all of it, or every 61st entry and the hash of all.
template <class T, class Word>
void expect_as_stored(const std::vector<Word>& mine, const std::string& table, std::size_t hash) {
  constexpr std::size_t kStride = T::kBits == 16 ? 61 : 1;
  const std::vector<Word> expected = stored<Word>(std::string(kName<T>) + "." + table);
  ASSERT_EQ((mine.size() + kStride - 1) / kStride, expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(mine[i * kStride], expected[i]) << "entry " << i * kStride;
  if constexpr (kStride > 1) {
    EXPECT_EQ(fnv1a(mine), stored<std::uint64_t>(std::string(kName<T>) + ".hashes").at(hash));
  }
}

TYPED_TEST(NarrowFloat, EveryPatternWidensToTheReferenceFloat) {
  std::vector<std::uint32_t> mine;
  for (std::uint32_t p = 0; p < kPatterns<TypeParam>; ++p) mine.push_back(pattern_of(widened<TypeParam>(p)));
  expect_as_stored<TypeParam>(mine, "to_float", 0);
}

TYPED_TEST(NarrowFloat, EveryValueAndEveryMiddleBetweenTwoRoundsAsTheReferenceDoes) {
  std::vector<BitsOf<TypeParam>> mine;
  for (const float f : inputs<TypeParam>()) mine.push_back(TypeParam(f).bits());
  expect_as_stored<TypeParam>(mine, "from_float", 1);
}

TYPED_TEST(NarrowFloat, ValueInitializedIsPatternZeroOrNan) {
  if constexpr (std::is_same_v<TypeParam, float8_e8m0fnu>) {
    EXPECT_TRUE(std::isnan(static_cast<float>(TypeParam())));  // it has no zero
  } else {
    EXPECT_EQ(TypeParam().bits(), 0);
  }
}

TYPED_TEST(NarrowFloat, IsAsWideOnTheHostAsPjrtWantsIt) {
  EXPECT_EQ(sizeof(TypeParam), TypeParam::kBits == 16 ? 2u : 1u);
}

// A double just above the middle rounds up; if it went through float first, it would be the middle and round to even,
// down.
TEST(Float16, DoublesAreRoundedOnce) {
  EXPECT_EQ(float16(1.0 + 0x1p-11 + 0x1p-50).bits(), 0x3c01);
}
TEST(Bfloat16, DoublesAreRoundedOnce) {
  EXPECT_EQ(bfloat16(1.0 + 0x1p-8 + 0x1p-50).bits(), 0x3f81);
}
TEST(Float8E4m3fn, DoublesAreRoundedOnce) {
  EXPECT_EQ(float8_e4m3fn(1.0 + 0x1p-4 + 0x1p-50).bits(), 0x39);
}

TEST(Float16, DoublesBeyondTheRangeOfFloatOverflow) {
  EXPECT_EQ(float16(-1e300).bits(), 0xfc00);
}
TEST(Bfloat16, DoublesBelowTheRangeOfFloatBecomeZeroWithTheirSign) {
  EXPECT_EQ(bfloat16(-1e-300).bits(), 0x8000);
}
TEST(Float4E2m1fn, DoublesBeyondTheRangeSaturate) {
  EXPECT_EQ(static_cast<float>(float4_e2m1fn(1e300)), 6.0f);
}
TEST(Float8E8m0fnu, DoublesBeyondTheRangeAreNan) {
  EXPECT_EQ(float8_e8m0fnu(1e300).bits(), 0xff);
}

TEST(NarrowFloat, ConvertsAtCompileTime) {
  static_assert(float16(1.5).bits() == 0x3e00);
  static_assert(float(bfloat16::from_bits(0xc040)) == -3.0f);
  static_assert(float8_e8m0fnu(2.0).bits() == 128);
}

TEST(NarrowFloat, BitsAboveTheWidthAreIgnored) {
  EXPECT_EQ(float4_e2m1fn::from_bits(0xf2).bits(), 2);
  EXPECT_EQ(float6_e3m2fn::from_bits(0xc1).bits(), 1);
}

TEST(NarrowFloat, ZerosOfBothSignsAreEqual) {
  EXPECT_EQ(float16(0.0), float16(-0.0));
}
TEST(NarrowFloat, NanEqualsNothing) {
  const bfloat16 nan(std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(nan == nan);
  EXPECT_FALSE(nan < nan);
}
TEST(NarrowFloat, IsOrderedByValue) {
  EXPECT_LT(float8_e5m2(-2.0), float8_e5m2(-1.0));
  EXPECT_GT(float8_e8m0fnu(4.0), float8_e8m0fnu(2.0));
}

// Integers: two's complement of the width, by hand.

template <class T>
std::vector<int> values_of_patterns() {
  std::vector<int> values;
  for (int p = 0; p < 1 << T::kBits; ++p) values.push_back(T::from_bits(static_cast<std::uint8_t>(p)));
  return values;
}

TEST(NarrowInteger, PatternsOfInt1) {
  EXPECT_THAT(values_of_patterns<int1>(), ElementsAre(0, -1));
}
TEST(NarrowInteger, PatternsOfUint1) {
  EXPECT_THAT(values_of_patterns<uint1>(), ElementsAre(0, 1));
}
TEST(NarrowInteger, PatternsOfInt2) {
  EXPECT_THAT(values_of_patterns<int2>(), ElementsAre(0, 1, -2, -1));
}
TEST(NarrowInteger, PatternsOfUint2) {
  EXPECT_THAT(values_of_patterns<uint2>(), ElementsAre(0, 1, 2, 3));
}
TEST(NarrowInteger, PatternsOfInt4) {
  EXPECT_THAT(values_of_patterns<int4>(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1));
}
TEST(NarrowInteger, PatternsOfUint4) {
  EXPECT_THAT(values_of_patterns<uint4>(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

TEST(NarrowInteger, ConversionKeepsTheLowBits) {
  EXPECT_EQ(int{int4(17)}, 1);
  EXPECT_EQ(int{int4(8)}, -8);
  EXPECT_EQ(int{int4(-9)}, 7);
  EXPECT_EQ(int{uint4(-1)}, 15);
  EXPECT_EQ(int{uint4(16)}, 0);
  EXPECT_EQ(int{int2(2)}, -2);
  EXPECT_EQ(int{uint2(7)}, 3);
  EXPECT_EQ(int{int1(1)}, -1);
  EXPECT_EQ(int{uint1(2)}, 0);
  EXPECT_EQ(int{int4(std::numeric_limits<int>::min())}, 0);
}

TEST(NarrowInteger, BitsAboveTheWidthAreZero) {
  EXPECT_EQ(int4(-1).bits(), 0x0f);
  EXPECT_EQ(int2::from_bits(0xfe).bits(), 0x02);
}

TEST(NarrowInteger, IsOrderedByValue) {
  EXPECT_LT(int4(-8), int4(7));
  EXPECT_LT(uint4(7), uint4(8));
}

// Packing: the first element in the low bits.

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> out;
  for (const int v : values) out.push_back(static_cast<std::byte>(v));
  return out;
}

TEST(Pack, FourBitsTwoToAByte) {
  EXPECT_EQ(pack(bytes({0x1, 0x2, 0xf}), 4), bytes({0x21, 0x0f}));
}
TEST(Pack, TwoBitsFourToAByte) {
  EXPECT_EQ(pack(bytes({1, 2, 3, 0, 1}), 2), bytes({0x39, 0x01}));
}
TEST(Pack, OneBitEightToAByte) {
  EXPECT_EQ(pack(bytes({1, 0, 1, 1, 0, 0, 0, 1, 1}), 1), bytes({0x8d, 0x01}));
}
TEST(Pack, IgnoresBitsAboveTheWidth) {
  EXPECT_EQ(pack(bytes({0xf1, 0xf2}), 4), bytes({0x21}));
}
TEST(Pack, NothingIsNothing) {
  EXPECT_TRUE(pack({}, 4).empty());
}

TEST(Unpack, FourBitsTwoToAByte) {
  EXPECT_EQ(unpack(bytes({0x21, 0x0f}), 4, 3), bytes({0x1, 0x2, 0xf}));
}
TEST(Unpack, TwoBitsFourToAByte) {
  EXPECT_EQ(unpack(bytes({0x39, 0x01}), 2, 5), bytes({1, 2, 3, 0, 1}));
}
TEST(Unpack, OneBitEightToAByte) {
  EXPECT_EQ(unpack(bytes({0x8d, 0x01}), 1, 9), bytes({1, 0, 1, 1, 0, 0, 0, 1, 1}));
}
TEST(Unpack, DoesNotExtendTheSign) {
  EXPECT_EQ(unpack(bytes({0xff}), 4, 2), bytes({0x0f, 0x0f}));
}
TEST(Unpack, ElementsBehindTheBytesAreZero) {
  EXPECT_EQ(unpack(bytes({0xff}), 4, 3), bytes({0x0f, 0x0f, 0x00}));
}

}  // namespace
}  // namespace pjrt
