#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// A writer of protobuf wire data that shares nothing with the library's: messages are concatenated fields.

namespace pjrt::test {

inline std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(0x80 | (value & 0x7f));
  return bytes + static_cast<char>(value);
}

inline std::string put_number(std::uint32_t field, std::uint64_t value) {
  return varint(field << 3 | 0) + varint(value);
}

inline std::string put_bytes(std::uint32_t field, std::string_view bytes) {
  return varint(field << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}

}  // namespace pjrt::test
