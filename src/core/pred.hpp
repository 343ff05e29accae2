#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

/// Bytes of PRED arrays. Programs take a byte other than 0 and 1 for whatever they like (2 + 1 true elements), so none
/// reaches a device: as for numpy, every byte but 0 means true.

namespace pjrt::detail {

/// Whether every byte is 0 or 1. Looks at 64 bytes at once, since every upload of a PRED array asks.
inline bool preds_are_normal(std::span<const std::byte> bytes) noexcept {
  constexpr std::uint64_t kOthers = 0xfefefefefefefefe;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 64; left -= 64, at += 64) {
    std::uint64_t words[8];
    std::memcpy(words, at, sizeof words);
    std::uint64_t all = 0;
    for (const std::uint64_t w : words) all |= w;
    if ((all & kOthers) != 0) return false;
  }
  std::byte rest{};
  for (; left > 0; --left, ++at) rest |= *at;
  return (rest & std::byte{0xfe}) == std::byte{0};
}

/// Makes every byte but 0 a 1.
inline void normalize_preds(std::span<std::byte> bytes) noexcept {
  for (std::byte& b : bytes) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
}

}  // namespace pjrt::detail
