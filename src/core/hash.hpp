#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace pjrt::detail {

/// FNV-1a over 64-bit words: tells damage and difference, nothing more.
std::uint64_t hash(std::span<const std::byte> bytes, std::uint64_t seed = 0xcbf29ce484222325);

/// Tells plugin files apart without reading all of them: size, ends and sampled pages.
std::string file_id(const std::filesystem::path& path);

}  // namespace pjrt::detail
