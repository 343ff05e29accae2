#pragma once

#include <string>
#include <string_view>

#include "pjrt/export.hpp"

namespace pjrt::detail {

/// `text` with control characters, and bytes that are not UTF-8, as \xNN: a file's name must not write to the terminal.
PJRT_EXPORT std::string printable(std::string_view text);

}  // namespace pjrt::detail
