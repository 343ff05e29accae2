#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pjrt/export.hpp"

namespace pjrt::detail {

/// One character at the beginning of UTF-8 text: its code point and how many bytes it has. What is not UTF-8 (nor
/// complete) is one byte without a code point.
struct Character {
  std::uint32_t code_point = 0;
  std::size_t size = 1;
  bool valid = false;
};
PJRT_EXPORT Character first_character(std::string_view text) noexcept;

/// Whether a character could move a terminal's cursor, change its state, or show text in another order than it stands:
/// controls, line separators, bidirectional and other invisible formatting.
PJRT_EXPORT bool is_control(std::uint32_t code_point) noexcept;

/// Text for one line of a terminal: controls and bytes that are not UTF-8 become escapes as Python's repr has them
/// ("\n",
/// "\x1b", "\u202e"); everything else stays, backslashes included.
PJRT_EXPORT std::string printable(std::string_view text);

/// Appends a code point as UTF-8.
PJRT_EXPORT void append_utf8(std::string& text, std::uint32_t code_point);

}  // namespace pjrt::detail
