#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"

namespace pjrt {

/// How an array lies in device memory: the order of its dimensions, fastest-varying first, and the tiles it is cut into
/// (the outermost tiling first; none for dense arrays). `{1,0}` is row-major for two dimensions.
class PJRT_EXPORT Layout {
 public:
  Layout() = default;
  /// Refuses anything but a permutation of 0 … n-1.
  static Result<Layout> create(std::vector<std::int64_t> minor_to_major,
                               std::vector<std::vector<std::int64_t>> tiles = {});
  /// The last dimension is minor, as in C and numpy.
  static Layout row_major(std::size_t rank);
  /// The first dimension is minor, as in Fortran.
  static Layout column_major(std::size_t rank);
  /// XLA's text form, "{1,0}" or "{1,0:T(8,128)(2,1)E(4)}". Parts other than the tiles, such as the element size E, are
  /// kept as `suffix`.
  static Result<Layout> parse(std::string_view text);

  std::span<const std::int64_t> minor_to_major() const& noexcept { return minor_to_major_; }
  std::span<const std::int64_t> minor_to_major() const&& = delete;
  std::span<const std::vector<std::int64_t>> tiles() const& noexcept { return tiles_; }
  std::span<const std::vector<std::int64_t>> tiles() const&& = delete;
  /// Parts of a parsed text that are neither order nor tiles, as they stood: "E(4)".
  const std::string& suffix() const noexcept { return suffix_; }
  std::size_t rank() const noexcept { return minor_to_major_.size(); }

  /// Row-major order without tiles: what the host has.
  bool is_row_major() const noexcept;

  friend bool operator==(const Layout&, const Layout&) = default;

 private:
  std::vector<std::int64_t> minor_to_major_;
  std::vector<std::vector<std::int64_t>> tiles_;
  std::string suffix_;
};

/// A layout given by the distance in bytes between neighbours along each dimension.
struct Strides {
  std::vector<std::int64_t> bytes;

  friend bool operator==(const Strides&, const Strides&) = default;
};

/// What `PJRT_Buffer_MemoryLayout` can say.
using MemoryLayout = std::variant<Layout, Strides>;

/// "{1,0:T(8,128)}".
PJRT_EXPORT std::string to_string(const Layout& layout);

}  // namespace pjrt
