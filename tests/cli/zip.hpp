#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// A reader and a writer of ZIP archives without compression, as numpy.savez writes them, that share nothing with the
/// library's.

namespace pjrt::test {

/// Names and contents, in the archive's order.
using ZipMembers = std::vector<std::pair<std::string, std::string>>;

namespace detail {

inline std::string zip_number(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i & 0xff);
  return text;
}

inline std::size_t zip_number(const std::string& file, std::size_t at, int bytes) {
  std::size_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value |= static_cast<std::size_t>(static_cast<unsigned char>(file.at(at + static_cast<std::size_t>(i)))) << 8 * i;
  return value;
}

inline std::uint32_t zip_checksum(const std::string& data) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

}  // namespace detail

inline std::string zip_of(const ZipMembers& members) {
  using detail::zip_number;
  std::string files;
  std::string directory;
  for (const auto& [name, data] : members) {
    const std::string facts = zip_number(20, 2) + zip_number(0, 4) + zip_number(0x210000, 4) +
                              zip_number(detail::zip_checksum(data), 4) + zip_number(data.size(), 4) +
                              zip_number(data.size(), 4) + zip_number(name.size(), 2) + zip_number(0, 2);
    directory += "PK\x01\x02" + zip_number(20, 2) + facts + zip_number(0, 10) + zip_number(files.size(), 4) + name;
    files += "PK\x03\x04" + facts + name + data;
  }
  return files + directory + "PK\x05\x06" + zip_number(0, 4) + zip_number(members.size(), 2) +
         zip_number(members.size(), 2) + zip_number(directory.size(), 4) + zip_number(files.size(), 4) +
         zip_number(0, 2);
}

/// An exception that ends the test for what is no archive, is compressed, or fails its checksum.
inline ZipMembers zip_members(const std::string& file) {
  using detail::zip_number;
  const std::size_t end = file.rfind("PK\x05\x06");
  if (end == std::string::npos) throw std::runtime_error("no ZIP archive");
  ZipMembers members;
  std::size_t at = zip_number(file, end + 16, 4);
  for (std::size_t left = zip_number(file, end + 10, 2); left > 0; --left) {
    if (zip_number(file, at + 10, 2) != 0) throw std::runtime_error("a compressed member");
    const std::size_t size = zip_number(file, at + 24, 4);
    const std::size_t name_size = zip_number(file, at + 28, 2);
    const std::size_t local = zip_number(file, at + 42, 4);
    const std::size_t data = local + 30 + zip_number(file, local + 26, 2) + zip_number(file, local + 28, 2);
    members.emplace_back(file.substr(at + 46, name_size), file.substr(data, size));
    if (detail::zip_checksum(members.back().second) != zip_number(file, at + 16, 4))
      throw std::runtime_error("a damaged member");
    at += 46 + name_size + zip_number(file, at + 30, 2) + zip_number(file, at + 32, 2);
  }
  return members;
}

}  // namespace pjrt::test
