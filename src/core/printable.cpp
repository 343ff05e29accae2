#include "core/printable.hpp"

#include <cstddef>
#include <cstdio>

namespace pjrt::detail {

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // The length that the first byte of a UTF-8 sequence announces; C1 controls (U+0080 to U+009F) begin with C2.
    std::size_t length = byte < 0x80                   ? 1
                         : byte >= 0xC2 && byte < 0xE0 ? 2
                         : byte >= 0xE0 && byte < 0xF0 ? 3
                         : byte >= 0xF0 && byte < 0xF5 ? 4
                                                       : 0;
    if (byte < 0x20 || byte == 0x7F || i + length > text.size()) length = 0;
    for (std::size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) length = 0;
    }
    if (length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0) length = 0;
    if (length > 0) {
      out += text.substr(i, length);
      i += length;
    } else {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", byte);
      out += escape;
      ++i;
    }
  }
  return out;
}

}  // namespace pjrt::detail
