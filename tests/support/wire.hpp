#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// A reader of protobuf wire data that shares nothing with the library's.

namespace pjrt::test {

struct WireField {
  std::uint32_t number = 0;
  std::uint64_t value = 0;  // of varints and fixed-width fields
  std::string bytes;        // of length-delimited ones

  friend bool operator==(const WireField&, const WireField&) = default;
};

inline WireField number_field(std::uint32_t number, std::uint64_t value) {
  return {number, value, {}};
}
inline WireField bytes_field(std::uint32_t number, std::string bytes) {
  return {number, 0, std::move(bytes)};
}

inline void PrintTo(const WireField& field, std::ostream* out) {
  *out << field.number << ": " << field.value << " " << ::testing::PrintToString(field.bytes);
}

/// The fields of a message as they stand; an exception that ends the test for what is no message.
inline std::vector<WireField> read_wire(std::string_view data) {
  const auto fixed = [&data](std::size_t size) {
    if (data.size() < size) throw std::runtime_error("message cut off");
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(data[i])) << 8 * i;
    data.remove_prefix(size);
    return value;
  };
  const auto varint = [&fixed] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const std::uint64_t byte = fixed(1);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  std::vector<WireField> fields;
  while (!data.empty()) {
    const std::uint64_t key = varint();
    WireField field;
    field.number = static_cast<std::uint32_t>(key >> 3);
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed(8);
        break;
      case 2: {
        const std::uint64_t size = varint();
        if (size > data.size()) throw std::runtime_error("message cut off");
        field.bytes = data.substr(0, size);
        data.remove_prefix(size);
        break;
      }
      case 5:
        field.value = fixed(4);
        break;
      default:
        throw std::runtime_error("unknown wire type");
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

/// The fields of one number.
inline std::vector<WireField> fields_of(std::string_view data, std::uint32_t number) {
  std::vector<WireField> found;
  for (WireField& field : read_wire(data)) {
    if (field.number == number) found.push_back(std::move(field));
  }
  return found;
}

/// The one submessage, string or packed list of that number; an exception unless there is exactly one.
inline std::string only_bytes(std::string_view data, std::uint32_t number) {
  const std::vector<WireField> found = fields_of(data, number);
  if (found.size() != 1)
    throw std::runtime_error("field " + std::to_string(number) + " stands " + std::to_string(found.size()) + " times");
  return found.front().bytes;
}

}  // namespace pjrt::test
