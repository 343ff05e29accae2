#include "pjrt/layout.hpp"
#include "core/try.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

namespace pjrt {
namespace {

constexpr std::int64_t kCombined = INT64_MIN;  // XLA's size of a tile's dimension that is combined with the next

bool is_permutation_of_indices(std::span<const std::int64_t> order) {
  std::vector<bool> seen(order.size());
  for (const std::int64_t i : order) {
    if (i < 0 || i >= static_cast<std::int64_t>(order.size()) || seen[static_cast<std::size_t>(i)]) return false;
    seen[static_cast<std::size_t>(i)] = true;
  }
  return true;
}

std::string join(std::span<const std::int64_t> values) {
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(values[i]);
  }
  return text;
}

/// Reads "1,0" up to `end`. '*' (a dimension combined with the next) becomes the smallest integer.
bool read_list(std::string_view& text, char end, std::vector<std::int64_t>& out) {
  while (!text.empty() && text.front() != end) {
    if (!out.empty()) {
      if (text.front() != ',') return false;
      text.remove_prefix(1);
    }
    if (text.starts_with('*')) {
      out.push_back(kCombined);
      text.remove_prefix(1);
    } else {
      std::int64_t value = 0;
      const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc()) return false;
      out.push_back(value);
      text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    }
  }
  return true;
}

Error bad_layout(std::string_view text) {
  return Error(ErrorCode::InvalidArgument,
               "'" + std::string(text) + "' is not a layout such as {1,0} or {1,0:T(8,128)}");
}

}  // namespace

Result<Layout> Layout::create(std::vector<std::int64_t> minor_to_major,
                              std::vector<std::vector<std::int64_t>> tiles) try {
  if (!is_permutation_of_indices(minor_to_major)) {
    return std::unexpected(Error(
        ErrorCode::InvalidArgument,
        "{" + join(minor_to_major) + "} is not an order of " + std::to_string(minor_to_major.size()) + " dimensions"));
  }
  for (const std::vector<std::int64_t>& tile : tiles) {
    if (std::ranges::any_of(tile, [](std::int64_t size) { return size < 1 && size != kCombined; })) {
      return std::unexpected(
          Error(ErrorCode::InvalidArgument, "(" + join(tile) + ") is not a tile: its sizes must be positive"));
    }
  }
  Layout layout;
  layout.minor_to_major_ = std::move(minor_to_major);
  layout.tiles_ = std::move(tiles);
  return layout;
}
PJRT_CATCH

Layout Layout::row_major(std::size_t rank) {
  Layout layout = column_major(rank);
  std::reverse(layout.minor_to_major_.begin(), layout.minor_to_major_.end());
  return layout;
}

Layout Layout::column_major(std::size_t rank) {
  Layout layout;
  layout.minor_to_major_.resize(rank);
  std::iota(layout.minor_to_major_.begin(), layout.minor_to_major_.end(), 0);
  return layout;
}

Result<Layout> Layout::parse(std::string_view text) try {
  std::string_view rest = text;
  if (rest.size() < 2 || rest.front() != '{' || rest.back() != '}') return std::unexpected(bad_layout(text));
  rest = rest.substr(1, rest.size() - 2);
  const std::size_t colon = rest.find(':');
  std::string_view order = rest.substr(0, colon);
  std::string_view more = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);

  std::vector<std::int64_t> minor_to_major;
  if (!read_list(order, '}', minor_to_major)) return std::unexpected(bad_layout(text));
  std::vector<std::vector<std::int64_t>> tiles;
  if (!more.empty() && more.front() == 'T') {
    more.remove_prefix(1);
    while (!more.empty() && more.front() == '(') {
      more.remove_prefix(1);
      if (!read_list(more, ')', tiles.emplace_back()) || more.empty()) return std::unexpected(bad_layout(text));
      more.remove_prefix(1);
    }
    if (tiles.empty()) return std::unexpected(bad_layout(text));
  }
  if (more.find("T(") != std::string_view::npos)
    return std::unexpected(bad_layout(text));  // tiles behind parts that come first
  Result<Layout> layout = create(std::move(minor_to_major), std::move(tiles));
  if (!layout) return std::unexpected(bad_layout(text).with_note(std::string(layout.error().message())));
  layout->suffix_ = more;
  return layout;
}
PJRT_CATCH

bool Layout::is_row_major() const noexcept {
  if (!tiles_.empty()) return false;
  for (std::size_t i = 0; i < minor_to_major_.size(); ++i) {
    if (minor_to_major_[i] != static_cast<std::int64_t>(minor_to_major_.size() - 1 - i)) return false;
  }
  return true;
}

std::string to_string(const Layout& layout) {
  std::string text = "{" + join(layout.minor_to_major());
  if (!layout.tiles().empty() || !layout.suffix().empty()) text += ':';
  if (!layout.tiles().empty()) text += 'T';
  for (const std::vector<std::int64_t>& tile : layout.tiles()) {
    text += '(';
    for (std::size_t i = 0; i < tile.size(); ++i) {
      if (i > 0) text += ',';
      text += tile[i] == kCombined ? "*" : std::to_string(tile[i]);
    }
    text += ')';
  }
  return text + layout.suffix() + "}";
}

}  // namespace pjrt
