#include "terminal.hpp"

#include <algorithm>
#include <iostream>
#include <utility>

#include "core/printable.hpp"

namespace pjrt::cli {
namespace {

bool is_plain(char c) {
  return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t';
}

/// How many bytes at the end of `text` are the beginning of a character that is not complete.
std::size_t unfinished(std::string_view text) {
  for (std::size_t n = 1; n <= std::min<std::size_t>(3, text.size()); ++n) {
    const auto c = static_cast<unsigned char>(text[text.size() - n]);
    if (c < 0x80) return 0;
    if (c >= 0xc0) return n < (c >= 0xf0 ? 4U : c >= 0xe0 ? 3U : 2U) ? n : 0;
  }
  return 0;
}

}  // namespace

std::string shown(std::string_view text) {
  return pjrt::detail::printable(text);
}

std::string shown_lines(std::string_view text) {
  if (std::ranges::all_of(text, is_plain)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\t"), text.size());
    out += pjrt::detail::printable(text.substr(0, end));
    if (end < text.size()) out += text[end];
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string shown_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const pjrt::detail::Character c = pjrt::detail::first_character(json);
    const bool stays = c.valid && (c.code_point == '\n' || !pjrt::detail::is_control(c.code_point));
    if (stays) {
      out += json.substr(0, c.size);
    } else {
      constexpr char kHex[] = "0123456789abcdef";
      const auto unit = [&](std::uint32_t u) {
        out += "\\u";
        for (int shift = 12; shift >= 0; shift -= 4) out += kHex[u >> shift & 0xf];
      };
      const std::uint32_t code = c.valid ? c.code_point : 0xfffd;
      if (code >= 0x10000) unit(0xd7c0 + (code >> 10));
      unit(code >= 0x10000 ? 0xdc00 | (code & 0x3ff) : code);
    }
    json.remove_prefix(c.size);
  }
  return out;
}

void ShownText::install() {
  // Never destroyed: the streams are flushed through them when the process ends.
  static auto* const out = new ShownText(std::cout.rdbuf());
  static auto* const err = new ShownText(std::cerr.rdbuf());
  std::cout.rdbuf(out);
  std::cerr.rdbuf(err);
}

bool ShownText::write(std::string_view text) {
  return to_->sputn(text.data(), static_cast<std::streamsize>(text.size())) ==
         static_cast<std::streamsize>(text.size());
}

ShownText::int_type ShownText::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char letter = traits_type::to_char_type(c);
  return xsputn(&letter, 1) == 1 ? c : traits_type::eof();
}

std::streamsize ShownText::xsputn(const char* text, std::streamsize size) {
  std::string_view rest(text, static_cast<std::size_t>(size));
  if (begun_.empty() && std::ranges::all_of(rest, is_plain)) return write(rest) ? size : 0;
  begun_ += rest;
  const std::string whole = std::exchange(begun_, {});
  const std::size_t keep = unfinished(whole);
  begun_ = whole.substr(whole.size() - keep);
  return write(shown_lines(std::string_view(whole).substr(0, whole.size() - keep))) ? size : 0;
}

int ShownText::sync() {
  const std::string rest = std::exchange(begun_, {});
  const bool written = rest.empty() || write(shown_lines(rest));
  return to_->pubsync() == 0 && written ? 0 : -1;
}

}  // namespace pjrt::cli
