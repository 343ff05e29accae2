#include "model/names.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/printable.hpp"
#include "core/try.hpp"

namespace pjrt::model {
namespace {

using Steps = std::vector<std::string>;
using Indices = std::vector<std::size_t>;

constexpr std::size_t kShown = 6;  // names in a message

// ---- paths ----

/// A string literal's contents, with Python's escapes undone.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char kind = text[++i];
    const std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    const std::string_view hex = text.substr(i + 1, digits);
    std::uint32_t code = 0;
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    if (digits > 0 && hex.size() == digits && error == std::errc() && end == hex.data() + digits && code <= 0x10ffff) {
      pjrt::detail::append_utf8(out, code);
      i += digits;
    } else if (kind == 'n') {
      out += '\n';
    } else if (kind == 't') {
      out += '\t';
    } else if (kind == 'r') {
      out += '\r';
    } else if (kind == '\\' || kind == '\'' || kind == '"') {
      out += kind;
    } else {
      out += '\\';
      out += kind;
    }
  }
  return out;
}

/// The end of the string literal at `at` (the place of its closing quote); npos if it has none.
std::size_t closing_quote(std::string_view text, std::size_t at) {
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == text[at]) {
      return i;
    }
  }
  return std::string_view::npos;
}

bool is_quote(char c) {
  return c == '\'' || c == '"';
}

/// A step as it stands between separators: a string literal's contents, or the text itself.
std::string step(std::string_view text) {
  std::string_view literal = text;
  if (literal.size() > 2 && literal[0] == 'b' && is_quote(literal[1])) literal.remove_prefix(1);  // a key of bytes
  if (literal.size() >= 2 && is_quote(literal[0]) && closing_quote(literal, 0) == literal.size() - 1)
    return unescaped(literal.substr(1, literal.size() - 2));
  return unescaped(text);
}

/// The steps of a path: args[0]['conv1'].kernel and args.0.conv1.kernel are the same.
Steps steps(std::string_view text) {
  Steps parts;
  std::size_t at = 0;
  while (at < text.size()) {
    const bool in_brackets = text[at] == '[';
    const std::size_t begin = at + (in_brackets || text[at] == '.' ? 1 : 0);
    std::size_t end = begin;
    bool fresh = true;  // where a string literal may begin
    while (end < text.size()) {
      const char c = text[end];
      if (in_brackets ? c == ']' : c == '.' || c == '[') break;
      if (is_quote(c) && (fresh || in_brackets)) {
        const std::size_t close = closing_quote(text, end);
        if (close != std::string_view::npos) end = close;
      }
      fresh = fresh && c == 'b';
      ++end;
    }
    const std::string_view part = text.substr(begin, end - begin);
    if (!part.empty()) parts.push_back(step(part));
    at = end + (in_brackets && end < text.size() ? 1 : 0);
  }
  return parts;
}

/// The steps with keys taken apart: "params/conv1.kernel" has three.
Steps pieces(const Steps& steps) {
  Steps parts;
  for (const std::string& s : steps) {
    for (std::size_t at = 0; at < s.size();) {
      const std::size_t end = std::min(s.find_first_of("./", at), s.size());
      if (end > at) parts.push_back(s.substr(at, end - at));
      at = end + 1;
    }
  }
  return parts;
}

bool ends_with(const Steps& whole, const Steps& end) {
  return end.size() <= whole.size() && std::equal(end.rbegin(), end.rend(), whole.rbegin());
}

/// The number of "arg3", "out3" or "arr_3".
std::optional<std::size_t> position(std::string_view text, std::string_view what) {
  for (const std::string_view prefix : {what == "input" ? "arg" : "out", "arr_"}) {
    if (!text.starts_with(prefix)) continue;
    const std::string_view digits = text.substr(prefix.size());
    std::size_t n = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    const bool canonical = digits.size() == 1 || !digits.starts_with('0');
    if (!digits.empty() && canonical && error == std::errc() && end == digits.data() + digits.size()) return n;
  }
  return std::nullopt;
}

// ---- tables ----

/// Values by a text.
class TextTable {
 public:
  void add(const std::string& text, std::size_t value) {
    Indices& all = values_[text];
    if (all.empty() || all.back() != value) all.push_back(value);
  }
  Indices find(std::string_view text) const {
    const auto it = values_.find(text);
    return it == values_.end() ? Indices() : it->second;
  }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, Indices, Hash, std::equal_to<>> values_;
};

/// Values by the last steps of their paths: the hash of every end leads to the paths that may have it.
class EndTable {
 public:
  void add(Steps steps, std::size_t value) {
    if (steps.empty()) return;
    std::uint64_t hash = kStart;
    for (std::size_t i = steps.size(); i-- > 0;) ends_[hash = hashed(hash, steps[i])].push_back(paths_.size());
    paths_.push_back({std::move(steps), value});
  }
  Indices find(const Steps& wanted) const {
    if (wanted.empty()) return {};
    std::uint64_t hash = kStart;
    for (std::size_t i = wanted.size(); i-- > 0;) hash = hashed(hash, wanted[i]);
    Indices found;
    const auto it = ends_.find(hash);
    if (it == ends_.end()) return found;
    for (const std::size_t p : it->second) {
      const auto& [steps, value] = paths_[p];
      if (ends_with(steps, wanted) && (found.empty() || found.back() != value)) found.push_back(value);
    }
    return found;
  }

 private:
  static constexpr std::uint64_t kStart = 0x9e3779b97f4a7c15;
  static std::uint64_t hashed(std::uint64_t rest, const std::string& step) {
    return (rest ^ std::hash<std::string>()(step)) * 0x100000001b3 + 1;
  }
  std::vector<std::pair<Steps, std::size_t>> paths_;
  std::unordered_map<std::uint64_t, Indices> ends_;
};

// ---- messages ----

/// How many letters must change to make one of the other; case does not count.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({row[j + 1] + 1, row[j] + 1, change}));
    }
  }
  return row.back();
}

template <class Range>
std::string listed(const Range& indices, const std::vector<std::string>& labels) {
  std::string text;
  std::size_t shown = 0;
  for (const std::size_t i : indices) {
    if (shown == kShown) break;
    text += (shown++ == 0 ? "" : ", ") + labels[i];
  }
  if (indices.size() > shown) text += " and " + std::to_string(indices.size() - shown) + " more";
  return text;
}

}  // namespace

std::string label(const SessionValue& value) {
  return pjrt::detail::printable(value.name.empty() ? value.path : value.path + " (" + value.name + ")");
}

struct NameIndex::Tables {
  std::string what;
  TextTable paths;
  TextTable names;
  TextTable shown;
  TextTable keys;
  EndTable ends;
  EndTable piece_ends;
  /// For messages: label, and what may have been meant.
  std::vector<std::string> labels;
  std::vector<std::vector<std::string>> words;

  Indices look_up(std::string_view text) const;
  Result<std::size_t> ambiguous(std::string_view text, const Indices& found) const;
  std::optional<std::size_t> closest(std::string_view text) const;
};

NameIndex::NameIndex() = default;
NameIndex::NameIndex(NameIndex&&) noexcept = default;
NameIndex& NameIndex::operator=(NameIndex&&) noexcept = default;
NameIndex::~NameIndex() = default;

NameIndex::NameIndex(std::span<const SessionValue> values, std::string_view what) {
  auto t = std::make_unique<Tables>();
  t->what = what;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const SessionValue& value = values[i];
    t->paths.add(value.path, i);
    if (!value.name.empty()) t->names.add(value.name, i);
    t->labels.push_back(label(value));
    t->shown.add(t->labels.back(), i);
    std::vector<std::string>& words = t->words.emplace_back();
    for (const std::string& text : {value.path, value.name}) {
      if (text.empty()) continue;
      t->shown.add(pjrt::detail::printable(text), i);
      Steps all = steps(text);
      words.push_back(text);
      if (!all.empty()) {
        t->keys.add(all.back(), i);
        words.push_back(all.back());
      }
      t->piece_ends.add(pieces(all), i);
      t->ends.add(std::move(all), i);
    }
  }
  tables_ = std::move(t);
}

Indices NameIndex::Tables::look_up(std::string_view text) const {
  if (text.empty()) return {};
  for (const TextTable* table : {&paths, &names, &shown, &keys}) {
    if (Indices found = table->find(text); !found.empty()) return found;
  }
  const Steps wanted = steps(text);
  if (Indices found = ends.find(wanted); !found.empty()) return found;
  return piece_ends.find(pieces(wanted));
}

Result<std::size_t> NameIndex::Tables::ambiguous(std::string_view text, const Indices& found) const {
  return std::unexpected(
      Error(ErrorCode::InvalidArgument,
            "'" + pjrt::detail::printable(text) + "' may be any of the " + what + "s " + listed(found, labels)));
}

std::optional<std::size_t> NameIndex::Tables::closest(std::string_view text) const {
  constexpr std::size_t kLongest = 128;  // the work grows with the square
  if (text.size() > kLongest) return std::nullopt;
  std::size_t least = std::max<std::size_t>(1, text.size() / 3) + 1;
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < words.size() && i < 10000; ++i) {
    for (const std::string& word : words[i]) {
      const std::size_t difference = word.size() > text.size() ? word.size() - text.size() : text.size() - word.size();
      if (difference >= least || word.size() > kLongest) continue;
      if (const std::size_t d = edit_distance(text, word); d < least) {
        least = d;
        best = i;
      }
    }
  }
  return best;
}

bool NameIndex::contains(std::string_view text) const {
  return tables_ != nullptr && !tables_->look_up(text).empty();
}

Result<std::size_t> NameIndex::find(std::string_view text) const try {
  if (tables_ == nullptr) return std::unexpected(Error(ErrorCode::NotFound, "there are no names"));
  const Tables& t = *tables_;
  const Indices found = t.look_up(text);
  if (found.size() == 1) return found.front();
  if (!found.empty()) return t.ambiguous(text, found);
  const std::optional<std::size_t> n = position(text, t.what);
  if (n && *n < t.labels.size()) return *n;

  std::string message = "there is no " + t.what + " '" + pjrt::detail::printable(text) + "'";
  if (const std::optional<std::size_t> close = t.closest(text)) message += "; did you mean " + t.labels[*close] + "?";
  Indices all(t.labels.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return std::unexpected(Error(ErrorCode::NotFound, std::move(message))
                             .with_note(all.empty() ? "the model has no " + t.what + "s"
                                                    : "the " + t.what + "s are " + listed(all, t.labels)));
}
PJRT_CATCH

}  // namespace pjrt::model
