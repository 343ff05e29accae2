#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "pjrt/profile.hpp"

/// Reads bytes as a serialized XSpace.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pjrt;
  const Result<Profile> profile = Profile::parse(std::as_bytes(std::span(data, size)));
  if (!profile) return to_string(profile.error()).empty();
  const std::string written = profile->to_xspace();
  if (!Profile::parse(std::as_bytes(std::span(written)))) __builtin_trap();
  return profile->to_chrome_json().empty() || profile->planes().size() > size;
}
