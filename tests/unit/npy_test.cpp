// The .npy format, against files that numpy wrote (tests/data/npy).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/host_buffer.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

std::filesystem::path file(const std::string& name) {
  return test::data_file("npy/" + name + ".npy");
}

HostBuffer load(const std::string& name, std::optional<ElementType> as = std::nullopt) {
  return value_of(HostBuffer::load(file(name), as));
}

/// The elements of a file of shape (2, 3).
template <class T>
std::vector<T> table(const std::string& name, std::optional<ElementType> as = std::nullopt) {
  const HostBuffer a = load(name, as);
  EXPECT_EQ(a.shape(), (Shape{element_type_of<T>, {2, 3}}));
  return value_of(a.to_vector<T>());
}

template <class T>
void expect_signed(const std::string& name) {
  EXPECT_THAT(table<T>(name), ElementsAre(0, 1, -1, 2, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

template <class T>
void expect_unsigned(const std::string& name) {
  EXPECT_THAT(table<T>(name), ElementsAre(0, 1, 2, 3, 4, std::numeric_limits<T>::max()));
}

/// A file of version 1.0 with a header and data of our own.
Result<HostBuffer> parse_with_header(std::string header, std::string_view data = "12345678") {
  header += '\n';
  std::string bytes = std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size() & 0xff) +
                      static_cast<char>(header.size() >> 8) + header;
  bytes += data;
  return HostBuffer::parse_npy(test::as_bytes(bytes));
}

// Every dtype.

TEST(NpyDtype, Bool) {
  EXPECT_THAT(table<bool>("bool"), ElementsAre(true, false, true, false, false, true));
}
TEST(NpyDtype, Int8) {
  expect_signed<std::int8_t>("int8");
}
TEST(NpyDtype, Int16) {
  expect_signed<std::int16_t>("int16");
}
TEST(NpyDtype, Int32) {
  expect_signed<std::int32_t>("int32");
}
TEST(NpyDtype, Int64) {
  expect_signed<std::int64_t>("int64");
}
TEST(NpyDtype, Uint8) {
  expect_unsigned<std::uint8_t>("uint8");
}
TEST(NpyDtype, Uint16) {
  expect_unsigned<std::uint16_t>("uint16");
}
TEST(NpyDtype, Uint32) {
  expect_unsigned<std::uint32_t>("uint32");
}
TEST(NpyDtype, Uint64) {
  expect_unsigned<std::uint64_t>("uint64");
}

TEST(NpyDtype, Float16) {
  EXPECT_THAT(table<float16>("float16"),
              ElementsAre(float16(0), float16(0.5), float16(-1), float16(1.5), float16(INFINITY), float16(1024)));
}
TEST(NpyDtype, Float32) {
  EXPECT_THAT(table<float>("float32"), ElementsAre(0.f, 0.5f, -1.f, 1.5f, INFINITY, 1024.f));
}
TEST(NpyDtype, Float64) {
  EXPECT_THAT(table<double>("float64"), ElementsAre(0., 0.5, -1., 1.5, INFINITY, 1024.));
}
TEST(NpyDtype, Complex64) {
  EXPECT_THAT(table<complex64>("complex64"), ElementsAre(complex64(0, 0), complex64(0, 1), complex64(-1, 0),
                                                         complex64(1, 2), complex64(3, -4), complex64(0.5, 0)));
}
TEST(NpyDtype, Complex128) {
  EXPECT_THAT(table<complex128>("complex128"), ElementsAre(complex128(0, 0), complex128(0, 1), complex128(-1, 0),
                                                           complex128(1, 2), complex128(3, -4), complex128(0.5, 0)));
}

// Types that only ml_dtypes has, which numpy writes as raw bytes.

template <class T>
void expect_powers_of_two(const std::string& name) {
  EXPECT_THAT(table<T>(name, element_type_of<T>), ElementsAre(T(1), T(2), T(4), T(0.5), T(1), T(2)));
}

TEST(NpyRawDtype, Bfloat16) {
  expect_powers_of_two<bfloat16>("bfloat16");
}
TEST(NpyRawDtype, Float8E4m3fn) {
  expect_powers_of_two<float8_e4m3fn>("float8_e4m3fn");
}
TEST(NpyRawDtype, Float8E5m2) {
  expect_powers_of_two<float8_e5m2>("float8_e5m2");
}
TEST(NpyRawDtype, Float8E8m0fnu) {
  expect_powers_of_two<float8_e8m0fnu>("float8_e8m0fnu");
}
TEST(NpyRawDtype, Float4E2m1fn) {
  expect_powers_of_two<float4_e2m1fn>("float4_e2m1fn");
}
TEST(NpyRawDtype, Int4) {
  EXPECT_THAT(table<int4>("int4", ElementType::S4),
              ElementsAre(int4(0), int4(1), int4(-1), int4(1), int4(0), int4(-2)));
}
TEST(NpyRawDtype, Int2) {
  EXPECT_THAT(table<int2>("int2", ElementType::S2),
              ElementsAre(int2(0), int2(1), int2(-1), int2(1), int2(0), int2(-2)));
}

TEST(NpyRawDtype, NeedsToBeToldItsType) {
  EXPECT_ERROR(HostBuffer::load(file("bfloat16")), InvalidArgument, "raw 2-byte elements");
  EXPECT_ERROR(HostBuffer::load(file("float8_e4m3fn")), InvalidArgument, "say which type they are");
}
TEST(NpyRawDtype, RefusesATypeOfAnotherWidth) {
  EXPECT_ERROR(HostBuffer::load(file("bfloat16"), ElementType::F8E5M2), InvalidArgument,
               "raw 2-byte elements, but f8e5m2 has 1");
  EXPECT_ERROR(HostBuffer::load(file("float8_e4m3fn"), ElementType::BF16), InvalidArgument,
               "raw 1-byte elements, but bf16 has 2");
  EXPECT_ERROR(HostBuffer::load(file("float8_e4m3fn"), ElementType::Token), InvalidArgument, "token has 0");
}
TEST(NpyRawDtype, OfFloat8E5m2IsKnownByItsCode) {
  EXPECT_EQ(load("float8_e5m2").type(), ElementType::F8E5M2);
}

// Orders of elements and of bytes.

TEST(NpyOrder, FortranArraysBecomeRowMajor) {
  EXPECT_THAT(table<std::int32_t>("fortran"), ElementsAre(0, 1, 2, 3, 4, 5));
}
TEST(NpyOrder, FortranArraysOfThreeDimensionsBecomeRowMajor) {
  const HostBuffer a = load("fortran_3d");
  EXPECT_EQ(a.shape(), (Shape{ElementType::S16, {2, 3, 4}}));
  std::vector<std::int16_t> expected(24);
  std::iota(expected.begin(), expected.end(), std::int16_t{0});
  EXPECT_THAT(value_of(a.span<std::int16_t>()), ElementsAreArray(expected));
}
TEST(NpyOrder, FortranArraysMayBeBigEndian) {
  EXPECT_THAT(table<std::int32_t>("fortran_big_endian"), ElementsAre(0, 1, 2, 3, 4, 5));
}
TEST(NpyOrder, FortranArraysMayBeComplex) {
  EXPECT_THAT(table<complex128>("fortran_complex"),
              ElementsAre(complex128(0), complex128(1), complex128(2), complex128(3), complex128(4), complex128(5)));
}
TEST(NpyOrder, BigEndianIntegers) {
  EXPECT_THAT(table<std::int16_t>("big_endian_i2"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(table<std::uint32_t>("big_endian_u4"), ElementsAre(0, 1, 2, 3, 4, 5));
}
TEST(NpyOrder, BigEndianFloats) {
  EXPECT_THAT(table<double>("big_endian_f8"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(table<float16>("big_endian_f2"),
              ElementsAre(float16(0), float16(1), float16(2), float16(3), float16(4), float16(5)));
}
TEST(NpyOrder, BigEndianComplexNumbersKeepTheirPartsInPlace) {
  EXPECT_THAT(table<complex64>("big_endian_c8"),
              ElementsAre(complex64(0), complex64(1), complex64(2), complex64(3), complex64(4), complex64(5)));
  EXPECT_THAT(table<complex128>("big_endian_c16"),
              ElementsAre(complex128(0), complex128(1), complex128(2), complex128(3), complex128(4), complex128(5)));
}

// Shapes.

TEST(NpyShape, Scalar) {
  const HostBuffer a = load("scalar");
  EXPECT_EQ(a.shape(), (Shape{ElementType::F32, {}}));
  EXPECT_EQ(value_of(a.at<float>({})), 2.5f);
}
TEST(NpyShape, Vector) {
  EXPECT_THAT(value_of(load("vector").to_vector<std::int64_t>()), ElementsAre(0, 1, 2, 3, 4));
}
TEST(NpyShape, Empty) {
  EXPECT_EQ(load("empty").shape(), (Shape{ElementType::F32, {0}}));
  EXPECT_EQ(load("empty_2d").shape(), (Shape{ElementType::F64, {3, 0}}));
}
TEST(NpyShape, EmptyWithLongDimensions) {
  EXPECT_EQ(load("long_dimensions").dims(), (Dimensions{1000000000, 0, 1000000000}));
}
TEST(NpyShape, EmptyFortranArrayWithLongDimensions) {
  EXPECT_OK(parse_with_header(
      "{'descr': '<f4', 'fortran_order': True, 'shape': (9223372036854775807, 9223372036854775807, 0), }", ""));
}
TEST(NpyShape, ManyDimensions) {
  EXPECT_EQ(load("rank_8").dims(), (Dimensions{1, 2, 1, 1, 2, 1, 1, 1}));
  EXPECT_EQ(load("rank_32").dims().size(), 32u);
}

// Versions of the format.

TEST(NpyVersion, Two) {
  EXPECT_THAT(table<std::int32_t>("version_2"), ElementsAre(0, 1, 2, 3, 4, 5));
}
TEST(NpyVersion, Three) {
  EXPECT_THAT(table<std::int32_t>("version_3"), ElementsAre(0, 1, 2, 3, 4, 5));
}
TEST(NpyVersion, OthersAreRefusedByNumber) {
  std::string bytes = test::read_all(file("int32"));
  bytes[6] = 4;
  EXPECT_ERROR(HostBuffer::parse_npy(test::as_bytes(bytes)), InvalidArgument, "format version 4.0 is unknown");
  bytes[6] = 0;
  EXPECT_ERROR(HostBuffer::parse_npy(test::as_bytes(bytes)), InvalidArgument, "format version 0.0 is unknown");
}

// Writing: the bytes that numpy writes.

class NpyWriting : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Files, NpyWriting,
                         ::testing::Values("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
                                           "uint64", "float16", "float32", "float64", "complex64", "complex128",
                                           "scalar", "vector", "empty", "empty_2d", "rank_8", "rank_32",
                                           "long_dimensions", "aligned_8", "aligned_9", "aligned_10", "aligned_11",
                                           "aligned_12", "aligned_13", "aligned_14", "aligned_15", "aligned_16",
                                           "aligned_17", "aligned_18", "aligned_19"));

TEST_P(NpyWriting, GivesTheBytesThatNumpyWrites) {
  EXPECT_EQ(test::as_text(load(GetParam()).to_npy()), test::read_all(file(GetParam())));
}

class NpyRawWriting : public ::testing::TestWithParam<ElementType> {};
INSTANTIATE_TEST_SUITE_P(Files, NpyRawWriting,
                         ::testing::Values(ElementType::BF16, ElementType::F8E4M3FN, ElementType::F8E8M0FNU,
                                           ElementType::F4E2M1FN, ElementType::S4, ElementType::S2),
                         [](const ::testing::TestParamInfo<ElementType>& info) {
                           return std::string(name(info.param));
                         });

TEST_P(NpyRawWriting, GivesTheBytesThatNumpyWrites) {
  const std::map<ElementType, std::string> files = {{ElementType::BF16, "bfloat16"},
                                                    {ElementType::F8E4M3FN, "float8_e4m3fn"},
                                                    {ElementType::F8E8M0FNU, "float8_e8m0fnu"},
                                                    {ElementType::F4E2M1FN, "float4_e2m1fn"},
                                                    {ElementType::S4, "int4"},
                                                    {ElementType::S2, "int2"}};
  const std::string& name = files.at(GetParam());
  EXPECT_EQ(test::as_text(load(name, GetParam()).to_npy()), test::read_all(file(name)));
}

TEST(NpyWriting, OfStridedArraysIsRowMajor) {
  const std::vector<std::int32_t> values = {0, 3, 1, 4, 2, 5};
  const HostView view = value_of(HostView::strided(values.data(), {ElementType::S32, {2, 3}}, {4, 8}));
  const HostBuffer back = value_of(HostBuffer::parse_npy(HostBuffer::borrow(view, nullptr).to_npy()));
  EXPECT_THAT(value_of(back.span<std::int32_t>()), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(NpyFile, IsSavedAndLoaded) {
  const test::TemporaryFolder folder;
  ASSERT_OK(load("int32").save(folder / "a.npy"));
  EXPECT_EQ(test::read_all(folder / "a.npy"), test::read_all(file("int32")));
}
TEST(NpyFile, ThatIsNotThereIsNotFoundWithItsPath) {
  EXPECT_ERROR(HostBuffer::load("/nowhere/a.npy"), NotFound, "/nowhere/a.npy");
  EXPECT_ERROR(load("int32").save("/nowhere/a.npy"), NotFound, "/nowhere/a.npy");
}
TEST(NpyFile, ErrorsNameThePath) {
  const test::TemporaryFolder folder;
  ASSERT_OK(load("int32").save(folder / "good.npy"));
  std::ofstream(folder / "bad.npy") << "hello";
  EXPECT_ERROR(HostBuffer::load(folder / "bad.npy"), InvalidArgument, (folder / "bad.npy").string());
}

// What is no array, or none of ours.

class NpyTruncated : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Files, NpyTruncated,
                         ::testing::Values("int32", "fortran", "version_2", "version_3", "scalar", "big_endian_c16"));

TEST_P(NpyTruncated, AtEveryByteIsAnError) {
  const std::string whole = test::read_all(file(GetParam()));
  ASSERT_OK(HostBuffer::parse_npy(test::as_bytes(whole)));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(HostBuffer::parse_npy(test::as_bytes(whole.substr(0, size))))
        << size << " of " << whole.size() << " bytes";
  }
}

TEST(NpyTruncated, DataIsDataLossAndSaysHowMuchIsThere) {
  const std::string whole = test::read_all(file("int32"));
  EXPECT_ERROR(HostBuffer::parse_npy(test::as_bytes(whole.substr(0, whole.size() - 5))), DataLoss,
               "19 of 24 bytes of s32[2,3]");
}

TEST(NpyBad, OtherFilesAreNoArrays) {
  EXPECT_ERROR(HostBuffer::parse_npy(test::as_bytes("PK\x03\x04 a zip archive")), InvalidArgument,
               "does not begin with");
  EXPECT_ERROR(HostBuffer::parse_npy({}), InvalidArgument, "does not begin with");
}

TEST(NpyBad, UnsupportedDtypesAreNamed) {
  EXPECT_ERROR(HostBuffer::load(file("unsupported_unicode")), InvalidArgument, "dtype '<U3'");
  EXPECT_ERROR(HostBuffer::load(file("unsupported_bytes")), InvalidArgument, "dtype '|S3'");
  EXPECT_ERROR(HostBuffer::load(file("unsupported_datetime")), InvalidArgument, "dtype '<M8[s]'");
  EXPECT_ERROR(HostBuffer::load(file("unsupported_object")), InvalidArgument, "dtype '|O'");
  EXPECT_ERROR(HostBuffer::load(file("unsupported_longdouble")), InvalidArgument, "dtype '<f16'");
  EXPECT_ERROR(HostBuffer::load(file("unsupported_void4")), InvalidArgument, "dtype '|V4'");
  EXPECT_ERROR(HostBuffer::load(file("unsupported_record")), InvalidArgument, "structured arrays");
}

class NpyBadHeader : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(
    Refused, NpyBadHeader,
    ::testing::Values("", "{", "[]", "{'descr': '<f4', 'fortran_order': False}", "{'descr': '<f4', 'shape': (2,)}",
                      "{'fortran_order': False, 'shape': (2,)}", "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
                      "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
                      "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
                      "{'descr': '<f4', 'fortran_order': False, 'shape': (x,)}",
                      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,",
                      "{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}",
                      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                      "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807)}",
                      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
                      "{'descr': '?f4', 'fortran_order': False, 'shape': (2,)}",
                      "{'descr': '<f3', 'fortran_order': False, 'shape': (2,)}",
                      "{'descr': '<f4x', 'fortran_order': False, 'shape': (2,)}",
                      "{'descr': '', 'fortran_order': False, 'shape': (2,)}"));

TEST_P(NpyBadHeader, IsInvalidArgument) {
  EXPECT_ERROR(parse_with_header(GetParam()), InvalidArgument, "");
}

TEST(NpyHeader, MayBeSpelledInOtherWays) {  // as older writers do
  EXPECT_OK(parse_with_header("{\"shape\":(2L,),\"descr\":\"<f4\",\"fortran_order\":False}"));
}

}  // namespace
}  // namespace pjrt
