#pragma once

#include <string>
#include <string_view>

#include "pjrt/error.hpp"

namespace pjrt::detail {

/// FailedPrecondition: what every function that can fail answers on an empty handle.
inline Error moved_from(std::string_view what) {
  return Error(ErrorCode::FailedPrecondition, "the " + std::string(what) + " was moved from");
}

inline constexpr const char* kMemoryExhausted = "the host's memory is exhausted";

/// What a promise that is destroyed unfulfilled fails with; destructors have nobody to tell that memory ran out.
inline Error cancelled(const char* why) noexcept {
  try {
    return Error(ErrorCode::Cancelled, why);
  } catch (...) {
    return caught();
  }
}

}  // namespace pjrt::detail
