#pragma once

#include <compare>
#include <string>

#include "pjrt/detail/cxx23.hpp"

/// The version of this library; CMake reads it from here.
#define PJRT_CPP_VERSION_MAJOR 0
#define PJRT_CPP_VERSION_MINOR 1
#define PJRT_CPP_VERSION_PATCH 0

namespace pjrt {

/// A version of the PJRT C API (or of another ABI), e.g. 0.115.
struct Version {
  int major = 0;
  int minor = 0;

  friend constexpr auto operator<=>(const Version&, const Version&) = default;
};

/// "0.115".
inline std::string to_string(Version v) {
  return std::to_string(v.major) + "." + std::to_string(v.minor);
}

/// The API version this library was written against: functions newer than that are not wrapped.
inline constexpr Version kApiVersion{0, 114};

/// The oldest API version that plugins may have: 0.57 was the last to reorder the function table.
inline constexpr Version kOldestApiVersion{0, 57};

}  // namespace pjrt
