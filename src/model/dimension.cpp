#include "model/dimension.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "pjrt/model/jax_export.hpp"

namespace pjrt::model::detail {
namespace {

bool is_digit(char c) {
  return '0' <= c && c <= '9';
}

bool is_word(char c) {
  return is_digit(c) || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

}  // namespace

Result<std::int64_t> parse_dimension(const std::string& text) {
  std::int64_t size = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, size);
  if (stop == end && error == std::errc() && size >= 0) return size;
  const auto fits = [](char c) { return is_word(c) || (c != '\0' && std::strchr(" +-*/%^(),", c) != nullptr); };
  const auto names = [](char c) { return is_word(c) && !is_digit(c); };
  if (!std::ranges::all_of(text, fits) || std::ranges::none_of(text, names)) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "'" + text + "' is not a dimension"));
  }
  return ExportedValue::kSymbolic;
}

void collect_variables(const std::string& expression, std::set<std::string>& variables) {
  static constexpr std::array<std::string_view, 5> kFunctions = {"floordiv", "mod", "max", "min", "non_negative"};
  for (auto at = expression.begin(); at != expression.end();) {
    const auto word = std::find_if(at, expression.end(), is_word);
    at = std::find_if_not(word, expression.end(), is_word);
    const std::string name(word, at);
    if (!name.empty() && !is_digit(name.front()) && std::ranges::find(kFunctions, name) == kFunctions.end())
      variables.insert(name);
  }
}

}  // namespace pjrt::model::detail
