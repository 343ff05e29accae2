#include "core/printable.hpp"

namespace pjrt::detail {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void append_escape(std::string& text, char kind, std::uint32_t value, int digits) {
  text += '\\';
  text += kind;
  for (int i = digits - 1; i >= 0; --i) text += kHex[value >> 4 * i & 0xf];
}

}  // namespace

Character first_character(std::string_view text) noexcept {
  if (text.empty()) return {0, 0, false};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  std::uint32_t code = lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return {};
  return {code, size, true};
}

bool is_control(std::uint32_t c) noexcept {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return true;
  return c == 0xad || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_character(text);
    if (!c.valid) {
      append_escape(out, 'x', static_cast<unsigned char>(text[0]), 2);
    } else if (!is_control(c.code_point)) {
      out += text.substr(0, c.size);
    } else if (c.code_point == '\n') {
      out += "\\n";
    } else if (c.code_point == '\t') {
      out += "\\t";
    } else if (c.code_point == '\r') {
      out += "\\r";
    } else if (c.code_point < 0x100) {
      append_escape(out, 'x', c.code_point, 2);
    } else if (c.code_point < 0x10000) {
      append_escape(out, 'u', c.code_point, 4);
    } else {
      append_escape(out, 'U', c.code_point, 8);
    }
    text.remove_prefix(c.size);
  }
  return out;
}

void append_utf8(std::string& text, std::uint32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  text += static_cast<char>((0xff00 >> (more + 1) & 0xff) | static_cast<int>(c >> 6 * more));
  for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | (c >> 6 * i & 0x3f));
}

}  // namespace pjrt::detail
