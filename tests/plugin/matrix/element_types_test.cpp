// Every element type that has values goes to the device and comes back as it was, or is refused before the plugin sees
// it.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;

/// The API version that brought a type, from the history of PJRT_Buffer_Type; 0 for those older than every plugin here.
int brought_by_minor(ElementType type) {
  switch (type) {
    case ElementType::S1:
    case ElementType::U1:
      return 94;
    case ElementType::F6E2M3FN:
    case ElementType::F6E3M2FN:
      return 107;
    default:
      return 0;
  }
}

int minor_of(const std::string& plugin) {
  return plugin == "cpu-0.106" ? 106 : plugin == "cpu-0.81" ? 81 : 115;
}

std::vector<ElementType> types_with_values() {
  std::vector<ElementType> types;
  for (int i = 0; i < kElementTypeCount; ++i) {
    const auto type = static_cast<ElementType>(i);
    if (type != ElementType::Invalid && type != ElementType::Token) types.push_back(type);
  }
  return types;
}

/// All bit patterns of a type of up to 16 bits; for wider ones bytes that hold NaNs, infinities, denormals and -0 among
/// others.
std::vector<std::uint8_t> patterns(ElementType type) {
  std::vector<std::uint8_t> bytes;
  const int bits = type == ElementType::Pred ? 1 : bit_width(type);
  if (bits <= 8) {
    for (int i = 0; i < 1 << bits; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
    bytes.push_back(1);  // an odd number of them, so that packed ones do not fill their last byte
  } else if (bits == 16) {
    for (int i = 0; i < 1 << 16; ++i) {
      bytes.push_back(static_cast<std::uint8_t>(i));
      bytes.push_back(static_cast<std::uint8_t>(i >> 8));
    }
  } else {
    for (int i = 0; i < 256; ++i) {
      for (const int high : {0x00, 0x3f, 0x7f, 0x80, 0xff}) {
        std::vector<std::uint8_t> element(static_cast<std::size_t>(bits) / 8, static_cast<std::uint8_t>(i));
        element.back() = static_cast<std::uint8_t>(high);
        bytes.insert(bytes.end(), element.begin(), element.end());
      }
    }
  }
  return bytes;
}

Shape shape_of(ElementType type, const std::vector<std::uint8_t>& bytes) {
  return {type, {static_cast<std::int64_t>(bytes.size() / host_size(type))}};
}

class EachElementType : public ::testing::TestWithParam<std::tuple<std::string, ElementType>> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(plugin); }
  const std::string plugin = std::get<0>(GetParam());
  const ElementType type = std::get<1>(GetParam());
  Client client = test::make_client(test::counted_plugin(plugin));
};

std::string name_of(const ::testing::TestParamInfo<EachElementType::ParamType>& info) {
  std::string text = std::get<0>(info.param) + "_" + std::string(name(std::get<1>(info.param)));
  for (char& c : text) {
    if (c == '-' || c == '.') c = '_';
  }
  return text;
}

INSTANTIATE_TEST_SUITE_P(Matrix, EachElementType,
                         ::testing::Combine(::testing::ValuesIn(test::kCpuVersions),
                                            ::testing::ValuesIn(types_with_values())),
                         name_of);

TEST_P(EachElementType, RoundTripsBitForBitOrIsRefusedByUs) {
  const std::vector<std::uint8_t> bytes = patterns(type);
  const Result<Buffer> buffer = client.upload(HostView(bytes.data(), shape_of(type, bytes)));
  if (minor_of(plugin) < brought_by_minor(type)) {
    EXPECT_ERROR(buffer, Unimplemented, "element type " + std::string(name(type)) + " needs PJRT API 0.");
    EXPECT_EQ(test::calls_of(plugin, "PJRT_Client_BufferFromHostBuffer"), 0)
        << "the plugin would have ended the process";
    return;
  }
  ASSERT_OK(buffer);
  EXPECT_EQ(buffer->type(), type);
  const HostBuffer back = value_of(buffer->to_host());
  EXPECT_EQ(back.type(), type);
  ASSERT_EQ(back.bytes().size(), bytes.size());
  EXPECT_EQ(std::memcmp(back.bytes().data(), bytes.data(), bytes.size()), 0);
}

class ElementTypes : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  std::vector<ElementType> known_types() const {
    std::vector<ElementType> types = types_with_values();
    std::erase_if(types, [this](ElementType type) { return minor_of(GetParam()) < brought_by_minor(type); });
    return types;
  }

  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, ElementTypes, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(ElementTypes, StridedArraysOfEachRoundTrip) {
  for (const ElementType type : known_types()) {
    SCOPED_TRACE(name(type));
    const std::vector<std::uint8_t> bytes = patterns(type);
    const auto size = static_cast<std::int64_t>(host_size(type));
    const auto count = static_cast<std::int64_t>(bytes.size()) / size;
    // From the last element to the first.
    const HostView reversed =
        value_of(HostView::strided(bytes.data() + (count - 1) * size, Shape{type, {count}}, {-size}));
    const HostBuffer back = value_of(value_of(client.upload(reversed)).to_host());
    ASSERT_EQ(back.bytes().size(), bytes.size());
    for (std::int64_t i = 0; i < count; ++i) {
      ASSERT_EQ(std::memcmp(back.bytes().data() + i * size, bytes.data() + (count - 1 - i) * size, host_size(type)), 0)
          << i;
    }
  }
}

TEST_P(ElementTypes, DeviceMemoryOfEachHasTheBitsOfTheType) {
  for (const ElementType type : known_types()) {
    SCOPED_TRACE(name(type));
    const std::vector<std::uint8_t> bytes = patterns(type);
    const Shape shape = shape_of(type, bytes);
    const Buffer buffer = value_of(client.upload(HostView(bytes.data(), shape)));
    const int bits_on_device = bit_width(type) == 6 ? 8 : bit_width(type);
    EXPECT_EQ(value_of(buffer.on_device_size()), static_cast<std::size_t>((shape.dims[0] * bits_on_device + 7) / 8));
  }
}

TEST_P(ElementTypes, EmptyArraysOfEachRoundTrip) {
  for (const ElementType type : known_types()) {
    SCOPED_TRACE(name(type));
    const Buffer buffer = value_of(client.upload(HostView(nullptr, Shape{type, {0}})));
    EXPECT_EQ(value_of(buffer.to_host()).shape(), (Shape{type, {0}}));
  }
}

TEST_P(ElementTypes, TokensAndInvalidNumbersNeverReachThePlugin) {  // it aborts or crashes at them
  const int value = 0;
  for (const ElementType type :
       {ElementType::Token, ElementType::Invalid, static_cast<ElementType>(34), static_cast<ElementType>(-1)}) {
    SCOPED_TRACE(static_cast<int>(type));
    EXPECT_ERROR(client.upload(HostView(&value, Shape{type, {}})), InvalidArgument,
                 "an array cannot have elements of type");
    EXPECT_ERROR(client.upload_view(HostView(&value, Shape{type, {}}), {}), InvalidArgument,
                 "an array cannot have elements of type");
    EXPECT_ERROR(client.upload_async(HostBuffer::borrow(HostView(&value, Shape{type, {}}), nullptr)).await(),
                 InvalidArgument, "an array cannot have elements of type");
  }
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_BufferFromHostBuffer"), 0);
}

TEST_P(ElementTypes, HighBitsOfPackedElementsAreDropped) {
  const std::vector<std::uint8_t> bytes = {0xf7, 0x18, 0xff};
  const Buffer s4 = value_of(client.upload(HostView(bytes.data(), Shape{ElementType::S4, {3}})));
  const HostBuffer s4_back = value_of(s4.to_host());
  EXPECT_EQ(static_cast<int>(s4_back.bytes()[0]), 0x7);
  EXPECT_EQ(static_cast<int>(s4_back.bytes()[1]), 0x8);
  EXPECT_EQ(static_cast<int>(s4_back.bytes()[2]), 0xf);
  const Buffer u2 = value_of(client.upload(HostView(bytes.data(), Shape{ElementType::U2, {3}})));
  const HostBuffer u2_back = value_of(u2.to_host());
  EXPECT_EQ(static_cast<int>(u2_back.bytes()[0]), 0x3);
  EXPECT_EQ(static_cast<int>(u2_back.bytes()[1]), 0x0);
  EXPECT_EQ(static_cast<int>(u2_back.bytes()[2]), 0x3);
}

TEST_P(ElementTypes, NegativeNarrowIntegersKeepTheirSign) {
  const std::vector<int4> values = {int4(-8), int4(-1), int4(0), int4(7)};
  const Buffer buffer = value_of(client.upload(values, {4}));
  EXPECT_EQ(value_of(buffer.to_vector<int4>()), values);
}

TEST_P(ElementTypes, BooleansComeBackAsBooleans) {
  const bool values[] = {true, false, true};
  const Buffer buffer = value_of(client.upload(values, {3}));
  EXPECT_EQ(value_of(buffer.to_vector<bool>()), (std::vector<bool>{true, false, true}));
}

TEST_P(ElementTypes, OtherBytesThanZeroAndOneAreTrue) {  // plugins keep the byte as it is
  const std::uint8_t bytes[] = {0, 1, 2, 0xff};
  const Buffer buffer = value_of(client.upload(HostView(bytes, Shape{ElementType::Pred, {4}})));
  EXPECT_EQ(value_of(buffer.to_vector<bool>()), (std::vector<bool>{false, true, true, true}));
}

}  // namespace
}  // namespace pjrt
