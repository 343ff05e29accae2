#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/shape.hpp"

namespace pjrt {

/// How an array is cut among the partitions of a program (XLA's OpSharding): whole on every partition, whole on one, or
/// in equal tiles. The last tile of a dimension that does not divide evenly is padded.
class PJRT_EXPORT Sharding {
 public:
  /// Replicated: every partition has the whole array.
  Sharding() = default;
  Sharding(const Sharding&) = default;
  Sharding& operator=(const Sharding&) = default;
  /// What was moved from is replicated.
  Sharding(Sharding&& other) noexcept : Sharding() { swap(other); }
  Sharding& operator=(Sharding&& other) noexcept {
    Sharding taken(std::move(other));
    swap(taken);
    return *this;
  }

  /// Every partition has the whole array.
  static Sharding replicated();
  /// Only one partition has it.
  static Sharding maximal(std::int64_t partition);
  /// `tiles[d]` tiles along dimension d (and further, unnamed dimensions over which tiles are replicated); `partitions`
  /// are the partitions that have the tiles, in row-major order of the tiles. InvalidArgument unless the numbers fit.
  static Result<Sharding> tiled(std::vector<std::int64_t> tiles, std::vector<std::int64_t> partitions,
                                std::size_t rank);
  /// A serialized xla.OpSharding, for an array of `rank` dimensions. Unimplemented for manual, unreduced and unknown
  /// ones.
  static Result<Sharding> parse(std::string_view proto, std::size_t rank);
  /// The same from XLA's text: "{replicated}", "{maximal device=0}", "{devices=[2,2]<=[4]}",
  /// "{devices=[2,1,2]0,2,1,3 last_tile_dim_replicate}".
  static Result<Sharding> parse_text(std::string_view text, std::size_t rank);

  bool is_replicated() const noexcept { return kind_ == Kind::Replicated; }
  /// Tiles along each dimension; all 1 when replicated.
  std::vector<std::int64_t> tiles(std::size_t rank) const;

  /// The dimensions of every partition's tile of an array of these dimensions, padding included.
  Dimensions tile_dims(std::span<const std::int64_t> dims) const;
  /// Where a partition's tile begins; nullopt if it has none.
  std::optional<Dimensions> tile_begin(std::int64_t partition, std::span<const std::int64_t> dims) const;

  friend bool operator==(const Sharding&, const Sharding&) = default;
  friend PJRT_EXPORT std::string to_string(const Sharding& sharding);

 private:
  void swap(Sharding& other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(rank_, other.rank_);
    tiles_.swap(other.tiles_);
    partitions_.swap(other.partitions_);
  }
  enum class Kind { Replicated, Maximal, Tiled };
  Kind kind_ = Kind::Replicated;
  std::size_t rank_ = 0;
  std::vector<std::int64_t> tiles_;       // array dimensions, then the replicated ones
  std::vector<std::int64_t> partitions_;  // of the tiles; of Maximal: the one
};

/// "replicated", "on partition 0", "2x2 tiles on partitions 0,1,2,3".
PJRT_EXPORT std::string to_string(const Sharding& sharding);

}  // namespace pjrt
