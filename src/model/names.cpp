#include "model/names.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

namespace pjrt::model {
namespace {

/// The steps of a path: args[0]['conv1'].kernel and args.0.conv1.kernel are the same.
std::vector<std::string_view> steps(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  const auto end_step = [&](std::size_t end) {
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  };
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) {
        end_step(i);
        quote = 0;
      }
    } else if (c == '\'' || c == '"') {
      begin = i + 1;
      quote = c;
    } else if (c == '[' || c == ']' || c == '.') {
      end_step(i);
    }
  }
  end_step(text.size());
  return parts;
}

bool ends_with(const std::vector<std::string_view>& whole, const std::vector<std::string_view>& end) {
  return !end.empty() && end.size() <= whole.size() && std::equal(end.rbegin(), end.rend(), whole.rbegin());
}

/// The number of "arg3" or "out3".
std::optional<std::size_t> position(std::string_view text) {
  for (const std::string_view prefix : {"arg", "out"}) {
    if (!text.starts_with(prefix) || text.size() == prefix.size()) continue;
    std::size_t n = 0;
    const auto [end, error] = std::from_chars(text.data() + prefix.size(), text.data() + text.size(), n);
    if (error == std::errc() && end == text.data() + text.size()) return n;
  }
  return std::nullopt;
}

}  // namespace

std::string label(const SessionValue& value) {
  return value.name.empty() ? value.path : value.path + " (" + value.name + ")";
}

Result<std::size_t> find_value(std::span<const SessionValue> values, std::string_view text, std::string_view what) {
  for (const auto member : {&SessionValue::path, &SessionValue::name}) {
    const auto it = std::ranges::find(values, text, member);
    if (it != values.end() && !text.empty()) return static_cast<std::size_t>(it - values.begin());
  }
  const std::vector<std::string_view> wanted = steps(text);
  std::vector<std::size_t> fitting;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (ends_with(steps(values[i].path), wanted) || ends_with(steps(values[i].name), wanted)) fitting.push_back(i);
  }
  if (fitting.size() == 1) return fitting.front();
  if (const auto n = position(text); fitting.empty() && n && *n < values.size()) return *n;

  std::string names;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (fitting.empty() || std::ranges::find(fitting, i) != fitting.end())
      names += (names.empty() ? "" : ", ") + label(values[i]);
  }
  if (!fitting.empty()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 "'" + std::string(text) + "' may be any of the " + std::string(what) + "s " + names));
  }
  return std::unexpected(Error(ErrorCode::NotFound, "there is no " + std::string(what) + " '" + std::string(text) + "'")
                             .with_note(names.empty() ? "the model has no " + std::string(what) + "s"
                                                      : "the " + std::string(what) + "s are " + names));
}

}  // namespace pjrt::model
