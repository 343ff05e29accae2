// What of .npy headers is read and what is refused, as numpy 2.4 does unless a test says otherwise.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "pjrt/host_buffer.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::HasSubstr;

std::string npy(std::string_view header, std::string_view data, char major = 1, char minor = 0) {
  std::string file = "\x93NUMPY";
  file += major;
  file += minor;
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) file += static_cast<char>(header.size() >> 8 * i & 0xff);
  file += header;
  file += data;
  return file;
}

Result<HostBuffer> parse(const std::string& file, std::optional<ElementType> as = std::nullopt) {
  return HostBuffer::parse_npy(test::as_bytes(file), as);
}

std::string header_of(std::string_view descr, std::string_view shape) {
  return "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': " + std::string(shape) + ", }\n";
}

// Dtypes: `numpy.dtype(text)` on 64-bit Linux.

struct Spelling {
  const char* text;
  ElementType type;
};
void PrintTo(const Spelling& s, std::ostream* out) {
  *out << s.text;
}

class NpyDescr : public ::testing::TestWithParam<Spelling> {};
INSTANTIATE_TEST_SUITE_P(
    Spellings, NpyDescr,
    ::testing::Values(
        Spelling{"<f4", ElementType::F32}, Spelling{"=f4", ElementType::F32}, Spelling{"|f4", ElementType::F32},
        Spelling{"f4", ElementType::F32}, Spelling{"f", ElementType::F32}, Spelling{"<f", ElementType::F32},
        Spelling{"float32", ElementType::F32}, Spelling{"single", ElementType::F32}, Spelling{"e", ElementType::F16},
        Spelling{"half", ElementType::F16}, Spelling{"d", ElementType::F64}, Spelling{"float", ElementType::F64},
        Spelling{"double", ElementType::F64}, Spelling{"?", ElementType::Pred}, Spelling{"|b1", ElementType::Pred},
        Spelling{"b1", ElementType::Pred}, Spelling{"bool", ElementType::Pred}, Spelling{"b", ElementType::S8},
        Spelling{"B", ElementType::U8}, Spelling{"i1", ElementType::S8}, Spelling{"byte", ElementType::S8},
        Spelling{"h", ElementType::S16}, Spelling{"H", ElementType::U16}, Spelling{"i", ElementType::S32},
        Spelling{"I", ElementType::U32}, Spelling{"l", ElementType::S64}, Spelling{"L", ElementType::U64},
        Spelling{"q", ElementType::S64}, Spelling{"Q", ElementType::U64}, Spelling{"p", ElementType::S64},
        Spelling{"n", ElementType::S64}, Spelling{"N", ElementType::U64}, Spelling{"i8", ElementType::S64},
        Spelling{"int64", ElementType::S64}, Spelling{"int", ElementType::S64}, Spelling{"uint", ElementType::U64},
        Spelling{"intc", ElementType::S32}, Spelling{"longlong", ElementType::S64}, Spelling{"u2", ElementType::U16},
        Spelling{"F", ElementType::C64}, Spelling{"c8", ElementType::C64}, Spelling{"complex64", ElementType::C64},
        Spelling{"D", ElementType::C128}, Spelling{"complex", ElementType::C128},
        Spelling{"cdouble", ElementType::C128}),
    [](const auto& info) { return "n" + std::to_string(info.index); });

TEST_P(NpyDescr, IsReadAsNumpyReadsIt) {
  const HostBuffer array =
      value_of(parse(npy(header_of(GetParam().text, "()"), std::string(host_size(GetParam().type), '\0'))));
  EXPECT_EQ(array.shape(), (Shape{GetParam().type, {}}));
}

TEST(NpyDescrOrder, BigEndianLettersAreSwapped) {
  EXPECT_EQ(value_of(value_of(parse(npy(header_of(">h", "()"), "\x01\x02"))).at<std::int16_t>({})), 0x0102);
}

TEST(NpyDescrOrder, OfNamesIsRefusedAsByNumpy) {
  EXPECT_ERROR(parse(npy(header_of("<float32", "()"), "1234")), InvalidArgument, "dtype '<float32'");
}

TEST(NpyDescrOrder, RawElementsKeepTheirBytes) {
  const HostBuffer a = value_of(parse(npy(header_of(">V2", "()"), "\x80\x3f"), ElementType::BF16));
  EXPECT_EQ(value_of(a.at<bfloat16>({})), bfloat16(1));
}

TEST(NpyDescrRefused, SaysWhatTheArrayHolds) {
  const auto refuses = [](const char* descr, const char* why) {
    EXPECT_ERROR(parse(npy(header_of(descr, "()"), "")), InvalidArgument, why);
  };
  refuses("|O", "pickled Python objects");
  refuses("O", "pickled Python objects");
  refuses("<U3", "they hold text");
  refuses("S3", "they hold text");
  refuses("<M8[s]", "they hold times");
  refuses("<m8", "they hold times");
  refuses("<f16", "no element type is that wide");
  refuses("g", "no element type is that wide");
  refuses("|V4", "raw elements have 1 or 2 bytes");
  refuses("f4,i4", "dtype 'f4,i4'");
  refuses("\x1b[31m", "dtype '\\x1b[31m'");
}

TEST(NpyDescrRefused, StructuredArraysAreNamed) {
  EXPECT_ERROR(parse(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}\n", "1234")), InvalidArgument,
               "structured arrays");
  EXPECT_ERROR(parse(npy("{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': ()}\n", "12345678")),
               InvalidArgument, "structured arrays");
}

TEST(NpyDescrRefused, Float8E5m2IsNoOtherType) {  // '<f1' is how ml_dtypes has numpy write it
  EXPECT_EQ(value_of(parse(npy(header_of("<f1", "()"), "1"), ElementType::F8E4M3FN)).type(), ElementType::F8E5M2);
}

// The dictionary.

class NpyRefusedHeader : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(
    Headers, NpyRefusedHeader,
    ::testing::Values(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",  // numpy does not mind
        std::string("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\0\n", 57),
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}\n",
        "{,'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,),,}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (02,)}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,,)}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}\n",
        "{'descr': '<f4', 'fortran_order': Falsehood, 'shape': (2,)}\n",
        "{'descr': None, 'fortran_order': False, 'shape': (2,)}\n",
        "{'descr': '<i4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n",  // numpy takes the last
        "{'Descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n"));

TEST_P(NpyRefusedHeader, IsInvalidArgument) {
  EXPECT_ERROR(parse(npy(GetParam(), "12345678")), InvalidArgument, "not a .npy array: its header ");
}

TEST(NpyHeaderLength, ThatIsWrongNeverShiftsTheData) {
  const std::string good = npy(header_of("<f4", "(2,)"), "12345678");
  ASSERT_OK(parse(good));
  for (int length = 0; length < 256; ++length) {
    std::string file = good;
    file[8] = static_cast<char>(length);
    if (file == good) continue;
    EXPECT_FALSE(parse(file)) << length;
  }
}

TEST(NpyHeaderLength, IsLimitedAsByNumpy) {
  std::string header = header_of("<f4", "()");
  header.insert(header.size() - 1, 10000 - header.size(), ' ');
  EXPECT_OK(parse(npy(header, "1234", 2)));
  header.insert(header.size() - 1, 1, ' ');
  EXPECT_ERROR(parse(npy(header, "1234", 2)), InvalidArgument, "10001 bytes long; at most 10000 are read");
}

TEST(NpyVersionNumber, HasNoMinorPart) {
  EXPECT_ERROR(parse(npy(header_of("<f4", "()"), "1234", 1, 1)), InvalidArgument, "format version 1.1 is unknown");
}

TEST(NpyLongIntegers, OfPython2AreReadInVersionsBefore3) {
  EXPECT_EQ(value_of(parse(npy(header_of("<f4", "(2L,)"), "12345678", 1))).dims(), (Dimensions{2}));
  EXPECT_EQ(value_of(parse(npy(header_of("<f4", "(2L,)"), "12345678", 2))).dims(), (Dimensions{2}));
  EXPECT_ERROR(parse(npy(header_of("<f4", "(2L,)"), "12345678", 3)), InvalidArgument, "malformed shape");
}

// Sizes.

TEST(NpySize, BytesBehindTheArrayAreRefused) {
  EXPECT_ERROR(parse(npy(header_of("<f4", "(1,)"), "12345678")), InvalidArgument,
               "4 bytes behind the 4 bytes of f32[1]");
  EXPECT_ERROR(parse(npy(header_of("<f4", "(0,)"), "1")), InvalidArgument, "behind the 0 bytes of f32[0]");
}

TEST(NpySize, IsComparedBeforeMemoryIsTaken) {
  EXPECT_ERROR(parse(npy(header_of("<f4", "(1000000000000,)"), "12345678")), DataLoss,
               "8 of 4000000000000 bytes of f32[1000000000000]");
}

std::string ones(std::size_t rank) {
  std::string shape = "(";
  for (std::size_t i = 0; i < rank; ++i) shape += "1,";
  return shape + ")";
}

TEST(NpyRank, IsLimitedTo64AsByNumpy) {
  EXPECT_EQ(value_of(parse(npy(header_of("<f4", ones(64)), "1234"))).dims().size(), 64U);
  EXPECT_ERROR(parse(npy(header_of("<f4", ones(65)), "1234")), InvalidArgument, "more than 64 dimensions");
}

TEST(ArrayRank, IsLimitedWhereverArraysAreMade) {
  const Dimensions deep(std::vector<std::int64_t>(65, 1));
  EXPECT_ERROR(HostBuffer::allocate({ElementType::F32, deep}), InvalidArgument, "65 dimensions; at most 64");
  EXPECT_ERROR(HostBuffer::from_vector(std::vector<float>{1}, deep), InvalidArgument, "65 dimensions; at most 64");
  const float one = 1;
  EXPECT_ERROR(HostView::strided(&one, {ElementType::F32, deep}, deep), InvalidArgument, "65 dimensions; at most 64");
}

// Every type that has values is written so that numpy reads it without other packages.

TEST(NpyWritten, EveryTypeHasADescrThatNumpyKnows) {
  for (int t = 0; t < kElementTypeCount; ++t) {
    const auto type = static_cast<ElementType>(t);
    if (host_size(type) == 0) continue;
    const HostBuffer array = value_of(HostBuffer::zeros({type, {2}}));
    const std::string file(test::as_text(array.to_npy()));
    const std::size_t begin = file.find("'descr': '") + 10;
    const std::string descr = file.substr(begin, file.find('\'', begin) - begin);
    EXPECT_THAT((std::vector<std::string>{"|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f2", "<f4",
                                          "<f8", "<c8", "<c16", "<V1", "|V1", "<V2"}),
                ::testing::Contains(descr))
        << name(type);
    EXPECT_EQ(value_of(parse(file, type)).shape(), array.shape());
  }
}

TEST(NpyWritten, Float8E5m2IsRawBytes) {
  const HostBuffer array = value_of(HostBuffer::copy_of(std::vector<float8_e5m2>{float8_e5m2(1.5F)}, {1}));
  EXPECT_THAT(std::string(test::as_text(array.to_npy())), HasSubstr("'descr': '|V1'"));
}

// Bools.

TEST(NpyBool, EveryByteButZeroIsTrue) {
  const HostBuffer array = value_of(parse(npy(header_of("|b1", "(5,)"), std::string("\x00\x01\x02\x80\xff", 5))));
  EXPECT_THAT(value_of(array.to_vector<bool>()), ::testing::ElementsAre(false, true, true, true, true));
  EXPECT_EQ(test::as_text(array.bytes()), std::string("\x00\x01\x01\x01\x01", 5));
}

}  // namespace
}  // namespace pjrt
