#include "pjrt/element_type.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/abi/core.h"

namespace pjrt {
namespace {

/// What XLA, MLIR, and numpy with ml_dtypes call each type, and how wide it is; written down from their documentation.
struct Row {
  ElementType type;
  abi::PJRT_Buffer_Type number;
  const char* xla;
  const char* mlir;
  const char* numpy;  // null where numpy has no such type
  int bits;
  std::size_t host_bytes;
};

const std::vector<Row>& rows() {
  using enum ElementType;
  static const std::vector<Row> kRows = {
      {Pred, abi::PJRT_Buffer_Type_PRED, "pred", "i1", "bool", 8, 1},
      {S1, abi::PJRT_Buffer_Type_S1, "s1", "si1", "int1", 1, 1},
      {S2, abi::PJRT_Buffer_Type_S2, "s2", "i2", "int2", 2, 1},
      {S4, abi::PJRT_Buffer_Type_S4, "s4", "i4", "int4", 4, 1},
      {S8, abi::PJRT_Buffer_Type_S8, "s8", "i8", "int8", 8, 1},
      {S16, abi::PJRT_Buffer_Type_S16, "s16", "i16", "int16", 16, 2},
      {S32, abi::PJRT_Buffer_Type_S32, "s32", "i32", "int32", 32, 4},
      {S64, abi::PJRT_Buffer_Type_S64, "s64", "i64", "int64", 64, 8},
      {U1, abi::PJRT_Buffer_Type_U1, "u1", "ui1", "uint1", 1, 1},
      {U2, abi::PJRT_Buffer_Type_U2, "u2", "ui2", "uint2", 2, 1},
      {U4, abi::PJRT_Buffer_Type_U4, "u4", "ui4", "uint4", 4, 1},
      {U8, abi::PJRT_Buffer_Type_U8, "u8", "ui8", "uint8", 8, 1},
      {U16, abi::PJRT_Buffer_Type_U16, "u16", "ui16", "uint16", 16, 2},
      {U32, abi::PJRT_Buffer_Type_U32, "u32", "ui32", "uint32", 32, 4},
      {U64, abi::PJRT_Buffer_Type_U64, "u64", "ui64", "uint64", 64, 8},
      {F16, abi::PJRT_Buffer_Type_F16, "f16", "f16", "float16", 16, 2},
      {F32, abi::PJRT_Buffer_Type_F32, "f32", "f32", "float32", 32, 4},
      {F64, abi::PJRT_Buffer_Type_F64, "f64", "f64", "float64", 64, 8},
      {BF16, abi::PJRT_Buffer_Type_BF16, "bf16", "bf16", "bfloat16", 16, 2},
      {C64, abi::PJRT_Buffer_Type_C64, "c64", "complex<f32>", "complex64", 64, 8},
      {C128, abi::PJRT_Buffer_Type_C128, "c128", "complex<f64>", "complex128", 128, 16},
      {F8E5M2, abi::PJRT_Buffer_Type_F8E5M2, "f8e5m2", "f8E5M2", "float8_e5m2", 8, 1},
      {F8E4M3FN, abi::PJRT_Buffer_Type_F8E4M3FN, "f8e4m3fn", "f8E4M3FN", "float8_e4m3fn", 8, 1},
      {F8E4M3B11FNUZ, abi::PJRT_Buffer_Type_F8E4M3B11FNUZ, "f8e4m3b11fnuz", "f8E4M3B11FNUZ", "float8_e4m3b11fnuz", 8,
       1},
      {F8E5M2FNUZ, abi::PJRT_Buffer_Type_F8E5M2FNUZ, "f8e5m2fnuz", "f8E5M2FNUZ", "float8_e5m2fnuz", 8, 1},
      {F8E4M3FNUZ, abi::PJRT_Buffer_Type_F8E4M3FNUZ, "f8e4m3fnuz", "f8E4M3FNUZ", "float8_e4m3fnuz", 8, 1},
      {F8E4M3, abi::PJRT_Buffer_Type_F8E4M3, "f8e4m3", "f8E4M3", "float8_e4m3", 8, 1},
      {F8E3M4, abi::PJRT_Buffer_Type_F8E3M4, "f8e3m4", "f8E3M4", "float8_e3m4", 8, 1},
      {F8E8M0FNU, abi::PJRT_Buffer_Type_F8E8M0FNU, "f8e8m0fnu", "f8E8M0FNU", "float8_e8m0fnu", 8, 1},
      {F4E2M1FN, abi::PJRT_Buffer_Type_F4E2M1FN, "f4e2m1fn", "f4E2M1FN", "float4_e2m1fn", 4, 1},
      {F6E2M3FN, abi::PJRT_Buffer_Type_F6E2M3FN, "f6e2m3fn", "f6E2M3FN", "float6_e2m3fn", 6, 1},
      {F6E3M2FN, abi::PJRT_Buffer_Type_F6E3M2FN, "f6e3m2fn", "f6E3M2FN", "float6_e3m2fn", 6, 1},
  };
  return kRows;
}

class EveryElementType : public ::testing::TestWithParam<Row> {};
INSTANTIATE_TEST_SUITE_P(Types, EveryElementType, ::testing::ValuesIn(rows()),
                         [](const ::testing::TestParamInfo<Row>& info) { return std::string(info.param.xla); });

TEST_P(EveryElementType, HasTheNumberOfTheCApi) {
  EXPECT_EQ(std::to_underlying(GetParam().type), static_cast<int>(GetParam().number));
}
TEST_P(EveryElementType, IsCalledAsXlaCallsIt) {
  EXPECT_EQ(name(GetParam().type), GetParam().xla);
}
TEST_P(EveryElementType, IsFoundByItsXlaName) {
  EXPECT_EQ(element_type_from_name(GetParam().xla), GetParam().type);
}
TEST_P(EveryElementType, IsFoundByItsMlirName) {
  EXPECT_EQ(element_type_from_name(GetParam().mlir), GetParam().type);
}
TEST_P(EveryElementType, IsFoundByItsNumpyName) {
  EXPECT_EQ(element_type_from_name(GetParam().numpy), GetParam().type);
}
TEST_P(EveryElementType, HasItsWidth) {
  EXPECT_EQ(bit_width(GetParam().type), GetParam().bits);
}
TEST_P(EveryElementType, HasItsSizeOnTheHost) {
  EXPECT_EQ(host_size(GetParam().type), GetParam().host_bytes);
}

TEST_P(EveryElementType, IsVisitedWithAHostTypeOfItsSizeThatStandsForIt) {
  std::size_t size = 0;
  ElementType back = ElementType::Invalid;
  EXPECT_TRUE(visit(GetParam().type, [&]<class T>() {
    size = sizeof(T);
    back = element_type_of<T>;
  }));
  EXPECT_EQ(size, GetParam().host_bytes);
  EXPECT_EQ(back, GetParam().type);
}

TEST(ElementType, AllOfTheCApiAreThere) {
  EXPECT_EQ(rows().size() + 2, static_cast<std::size_t>(kElementTypeCount));  // all but invalid and token
  EXPECT_EQ(static_cast<int>(abi::PJRT_Buffer_Type_F6E3M2FN) + 1, kElementTypeCount);
}

TEST(ElementType, SignedSpellingsOfMlirAreIntegers) {
  EXPECT_EQ(element_type_from_name("si4"), ElementType::S4);
  EXPECT_EQ(element_type_from_name("si8"), ElementType::S8);
  EXPECT_EQ(element_type_from_name("si16"), ElementType::S16);
  EXPECT_EQ(element_type_from_name("si32"), ElementType::S32);
  EXPECT_EQ(element_type_from_name("si64"), ElementType::S64);
}

TEST(ElementType, I1IsABooleanAsInStableHlo) {
  EXPECT_EQ(element_type_from_name("i1"), ElementType::Pred);
}

TEST(ElementType, UnknownNamesAreNone) {
  for (const char* name : {"", "invalid", "f33", "F32", "float", "int", " f32", "f32 ", "complex", "string"}) {
    EXPECT_EQ(element_type_from_name(name), std::nullopt) << name;
  }
}

TEST(ElementType, NumbersOutsideTheEnumAreInvalid) {
  for (const int number : {-1, kElementTypeCount, 1 << 30}) {
    EXPECT_EQ(name(static_cast<ElementType>(number)), "invalid");
    EXPECT_EQ(bit_width(static_cast<ElementType>(number)), 0);
  }
}

TEST(ElementType, TokenHasANameButNoSize) {
  EXPECT_EQ(name(ElementType::Token), "token");
  EXPECT_EQ(element_type_from_name("token"), ElementType::Token);
  EXPECT_EQ(bit_width(ElementType::Token), 0);
  EXPECT_EQ(host_size(ElementType::Token), 0u);
}

TEST(ElementType, TokenAndInvalidAreNotVisited) {
  bool called = false;
  const auto visitor = [&]<class T>() { called = true; };
  EXPECT_FALSE(visit(ElementType::Token, visitor));
  EXPECT_FALSE(visit(ElementType::Invalid, visitor));
  EXPECT_FALSE(called);
}

std::vector<std::string> names_where(bool (*predicate)(ElementType)) {
  std::vector<std::string> names;
  for (int i = 0; i < kElementTypeCount; ++i) {
    if (predicate(static_cast<ElementType>(i))) names.emplace_back(name(static_cast<ElementType>(i)));
  }
  return names;
}

TEST(ElementType, PackedTypesAreThoseOf1And2And4Bits) {
  EXPECT_THAT(names_where([](ElementType t) { return is_packed(t); }),
              ::testing::UnorderedElementsAre("s1", "u1", "s2", "u2", "s4", "u4", "f4e2m1fn"));
}

TEST(ElementType, FloatingTypes) {
  EXPECT_THAT(names_where([](ElementType t) { return is_floating(t); }),
              ::testing::UnorderedElementsAre("f16", "f32", "f64", "bf16", "f8e5m2", "f8e4m3fn", "f8e4m3b11fnuz",
                                              "f8e5m2fnuz", "f8e4m3fnuz", "f8e4m3", "f8e3m4", "f8e8m0fnu", "f4e2m1fn",
                                              "f6e2m3fn", "f6e3m2fn"));
}

TEST(ElementType, ComplexTypes) {
  EXPECT_THAT(names_where([](ElementType t) { return is_complex(t); }), ::testing::UnorderedElementsAre("c64", "c128"));
}

TEST(ElementType, IntegerTypesAreNeitherBooleansNorFloats) {
  EXPECT_THAT(names_where([](ElementType t) { return is_integer(t); }),
              ::testing::UnorderedElementsAre("s1", "s2", "s4", "s8", "s16", "s32", "s64", "u1", "u2", "u4", "u8",
                                              "u16", "u32", "u64"));
}

TEST(ElementType, HostTypesOfLanguageTypes) {
  static_assert(std::is_same_v<host_type_t<ElementType::Pred>, bool>);
  static_assert(std::is_same_v<host_type_t<ElementType::F64>, double>);
  static_assert(std::is_same_v<host_type_t<ElementType::C64>, std::complex<float>>);
  static_assert(std::is_void_v<host_type_t<ElementType::Token>>);
  static_assert(element_type_of<float> == ElementType::F32);
  static_assert(element_type_of<std::uint64_t> == ElementType::U64);
  static_assert(HostElement<const float>);
}

TEST(ElementType, TypesWithoutAnElementTypeAreNoHostElements) {
  static_assert(!HostElement<char>);  // text or number? the caller must say
  static_assert(!HostElement<void*>);
  static_assert(!HostElement<long double>);
}

}  // namespace
}  // namespace pjrt
