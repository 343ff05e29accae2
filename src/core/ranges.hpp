#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>

namespace pjrt::detail {

/// A set of bytes by their positions, as ranges that neither overlap nor touch.
class Ranges {
 public:
  /// From `begin` to before `end`.
  struct Range {
    std::size_t begin;
    std::size_t end;
  };

  void add(std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    auto it = ends_.upper_bound(begin);
    if (it != ends_.begin() && std::prev(it)->second >= begin) --it;
    while (it != ends_.end() && it->first <= end) {
      begin = std::min(begin, it->first);
      end = std::max(end, it->second);
      it = ends_.erase(it);
    }
    ends_.emplace(begin, end);
  }

  /// The first part of a range that is in the set.
  std::optional<Range> overlap(std::size_t begin, std::size_t end) const {
    if (begin >= end) return std::nullopt;
    auto it = ends_.upper_bound(begin);
    if (it != ends_.begin() && std::prev(it)->second > begin) --it;
    if (it == ends_.end() || it->first >= end) return std::nullopt;
    return Range{std::max(begin, it->first), std::min(end, it->second)};
  }

  /// The first bytes of [0, size) that are missing.
  std::optional<Range> gap(std::size_t size) const {
    if (size == 0) return std::nullopt;
    if (ends_.empty() || ends_.begin()->first > 0) return Range{0, ends_.empty() ? size : ends_.begin()->first};
    const auto first = ends_.begin();
    if (first->second >= size) return std::nullopt;
    const auto second = std::next(first);
    return Range{first->second, second == ends_.end() ? size : second->first};
  }

 private:
  std::map<std::size_t, std::size_t> ends_;  // by their beginnings
};

}  // namespace pjrt::detail
