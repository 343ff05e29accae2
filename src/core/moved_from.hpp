#pragma once

#include <string>
#include <string_view>

#include "pjrt/error.hpp"

namespace pjrt::detail {

/// FailedPrecondition: what every function that can fail answers on an empty handle.
inline Error moved_from(std::string_view what) {
  return Error(ErrorCode::FailedPrecondition, "the " + std::string(what) + " is empty: it was moved from");
}

}  // namespace pjrt::detail
