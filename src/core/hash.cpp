#include "core/hash.hpp"

#include <charconv>
#include <cstring>
#include <fstream>
#include <vector>

namespace pjrt::detail {

std::uint64_t hash(std::span<const std::byte> bytes, std::uint64_t seed) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  std::uint64_t h = seed;
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    h = (h ^ word) * kPrime;
    h ^= h >> 29;
    bytes = bytes.subspan(sizeof word);
  }
  for (const std::byte b : bytes) h = (h ^ static_cast<std::uint64_t>(b)) * kPrime;
  return h;
}

std::string file_id(const std::filesystem::path& path) {
  constexpr std::uint64_t kPage = 4096;
  constexpr std::uint64_t kSamples = 64;
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (!file || error) return "unreadable";
  std::uint64_t h = hash({}, size);
  std::vector<std::byte> page(kPage);
  for (std::uint64_t i = 0; i <= kSamples; ++i) {
    const std::uint64_t at = size <= kPage ? 0 : (size - kPage) / kSamples * i;
    file.clear();
    file.seekg(static_cast<std::streamoff>(at));
    file.read(reinterpret_cast<char*>(page.data()), static_cast<std::streamsize>(page.size()));
    h = hash(std::span(page).first(static_cast<std::size_t>(file.gcount())), h);
  }
  char digits[17];
  return std::to_string(size) + "-" + std::string(digits, std::to_chars(digits, digits + 16, h, 16).ptr);
}

}  // namespace pjrt::detail
