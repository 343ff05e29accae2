#include "pjrt/sharding.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

#include "core/try.hpp"
#include "proto/fields.hpp"
#include "proto/parse.hpp"
#include "proto/shape.hpp"

namespace pjrt {
namespace {

constexpr std::string_view kNoCut = "manual, unreduced and unknown shardings do not say how an array is cut";
constexpr std::string_view kSubgroups = "shardings with manual or unreduced subgroups are not supported";

std::unexpected<Error> bad(std::string what) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, "sharding: " + std::move(what)));
}

/// The devices of XLA's compact notation: 0 … n-1 reshaped to `reshape`, transposed by `transpose`, read row by row.
std::vector<std::int64_t> iota(const std::vector<std::int64_t>& reshape, const std::vector<std::int64_t>& transpose) {
  const std::size_t rank = reshape.size();
  std::vector<std::int64_t> strides(rank, 1);
  for (std::size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * reshape[i];
  std::vector<std::int64_t> out;
  std::vector<std::int64_t> index(rank, 0);
  const std::int64_t total = element_count(reshape).value_or(0);
  for (std::int64_t n = 0; n < total; ++n) {
    std::int64_t value = 0;
    for (std::size_t i = 0; i < rank; ++i) value += index[i] * strides[static_cast<std::size_t>(transpose[i])];
    out.push_back(value);
    for (std::size_t i = rank; i-- > 0;) {
      if (++index[i] < reshape[static_cast<std::size_t>(transpose[i])]) break;
      index[i] = 0;
    }
  }
  return out;
}

Result<std::vector<std::int64_t>> checked_iota(std::vector<std::int64_t> reshape, std::vector<std::int64_t> transpose) {
  // Text of a few letters stands for all of them, in as many dimensions.
  constexpr std::int64_t kMostPartitions = 1 << 16;
  constexpr std::size_t kMostDimensions = 255;
  if (reshape.size() > kMostDimensions || transpose.size() > kMostDimensions)
    return bad("devices in more than " + std::to_string(kMostDimensions) + " dimensions");
  if (transpose.empty()) {
    transpose.resize(reshape.size());
    std::iota(transpose.begin(), transpose.end(), 0);
  }
  std::vector<std::int64_t> order = transpose;
  std::ranges::sort(order);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<std::int64_t>(i)) return bad("its transposition is not a permutation");
  }
  const std::optional<std::int64_t> total = element_count(reshape);
  if (order.size() != reshape.size() || !total || *total < 1 || *total > kMostPartitions)
    return bad("its device list is malformed");
  return iota(reshape, transpose);
}

/// Reads "2,1,4" up to a character that is neither digit nor comma.
bool read_numbers(std::string_view& text, std::vector<std::int64_t>& out) {
  while (!text.empty()) {
    std::int64_t v = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (error != std::errc()) return false;
    out.push_back(v);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty() || text.front() != ',') return true;
    text.remove_prefix(1);
  }
  return !out.empty();
}

bool eat(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

std::unexpected<Error> wrong_rank(std::size_t tiles, std::size_t replicated_dims, std::size_t rank) {
  return bad(std::to_string(tiles - std::min(tiles, replicated_dims)) + " tile counts for an array of " +
             std::to_string(rank) + " dimensions");
}

/// The fields of an xla.OpSharding.
struct OpSharding {
  proto::OpSharding_Type type = proto::OpSharding_Type::REPLICATED;
  std::vector<std::int64_t> tiles, devices, reshape, transpose, last_types;
  bool replicate_last = false;
  std::vector<std::string> tuple;
};

Result<OpSharding> read_op_sharding(std::string_view bytes) {
  namespace f = proto::OpSharding;
  return proto::guarded("OpSharding", [&] {
    OpSharding read;
    protozero::pbf_reader reader(bytes.data(), bytes.size());
    while (reader.next()) {
      switch (reader.tag()) {
        case f::type:
          read.type = static_cast<proto::OpSharding_Type>(reader.get_enum());
          break;
        case f::tile_assignment_dimensions:
          proto::read_int64s(reader, read.tiles);
          break;
        case f::tile_assignment_devices:
          proto::read_int64s(reader, read.devices);
          break;
        case f::iota_reshape_dims:
          proto::read_int64s(reader, read.reshape);
          break;
        case f::iota_transpose_perm:
          proto::read_int64s(reader, read.transpose);
          break;
        case f::last_tile_dims:
          proto::read_int64s(reader, read.last_types);
          break;
        case f::replicate_on_last_tile_dim:
          read.replicate_last = reader.get_bool();
          break;
        case f::tuple_shardings:
          read.tuple.push_back(reader.get_bytes());
          break;
        default:
          reader.skip();
      }
    }
    return read;
  });
}

}  // namespace

Sharding Sharding::replicated() {
  return {};
}

Sharding Sharding::maximal(std::int64_t partition) {
  Sharding s;
  s.kind_ = Kind::Maximal;
  s.partitions_ = {partition};
  return s;
}

Result<Sharding> Sharding::tiled(std::vector<std::int64_t> tiles, std::vector<std::int64_t> partitions,
                                 std::size_t rank) try {
  const std::optional<std::int64_t> count = element_count(tiles);
  if (tiles.size() < rank)
    return bad(std::to_string(tiles.size()) + " tile counts for an array of " + std::to_string(rank) + " dimensions");
  if (!count || *count < 1 || static_cast<std::uint64_t>(*count) != partitions.size()) {
    return bad(std::to_string(partitions.size()) + " partitions for " + to_string(Dimensions(tiles)) + " tiles");
  }
  std::vector<std::int64_t> sorted = partitions;
  std::ranges::sort(sorted);
  if (sorted.front() < 0 || std::ranges::adjacent_find(sorted) != sorted.end())
    return bad("a partition stands twice or is negative");
  Sharding s;
  if (std::all_of(tiles.begin(), tiles.begin() + static_cast<std::ptrdiff_t>(rank),
                  [](std::int64_t t) { return t == 1; }))
    return s;
  s.kind_ = Kind::Tiled;
  s.rank_ = rank;
  s.tiles_ = std::move(tiles);
  s.partitions_ = std::move(partitions);
  return s;
}
PJRT_CATCH

Result<Sharding> Sharding::parse(std::string_view bytes, std::size_t rank) try {
  PJRT_TRY(OpSharding r, read_op_sharding(bytes));
  if (r.type == proto::OpSharding_Type::TUPLE) {
    if (r.tuple.size() != 1) return bad("a tuple of " + std::to_string(r.tuple.size()) + " where one was expected");
    const std::string only = std::move(r.tuple.front());
    PJRT_TRY(r, read_op_sharding(only));
  }
  switch (r.type) {
    case proto::OpSharding_Type::REPLICATED:
      return replicated();
    case proto::OpSharding_Type::MAXIMAL:
      if (r.devices.size() != 1) return bad("maximal, but on " + std::to_string(r.devices.size()) + " devices");
      if (r.devices.front() < 0) return bad("on partition " + std::to_string(r.devices.front()));
      return maximal(r.devices.front());
    case proto::OpSharding_Type::TUPLE:
      return bad("a tuple in a tuple");
    case proto::OpSharding_Type::OTHER:
      break;
    default:
      return std::unexpected(Error(ErrorCode::Unimplemented, std::string(kNoCut)));
  }
  for (const std::int64_t type : r.last_types) {
    if (type != std::to_underlying(proto::OpSharding_Type::REPLICATED)) {
      return std::unexpected(Error(ErrorCode::Unimplemented, std::string(kSubgroups)));
    }
  }
  if (r.devices.empty()) {
    PJRT_TRY(r.devices, checked_iota(std::move(r.reshape), std::move(r.transpose)));
  }
  const std::size_t replicated_dims = r.last_types.size() + (r.replicate_last ? 1 : 0);
  if (r.tiles.size() != rank + replicated_dims) return wrong_rank(r.tiles.size(), replicated_dims, rank);
  return tiled(std::move(r.tiles), std::move(r.devices), rank);
}
PJRT_CATCH

Result<Sharding> Sharding::parse_text(std::string_view text, std::size_t rank) try {
  const std::string whole(text);
  const auto malformed = [&] { return bad("'" + whole + "' is not of a known form"); };
  if (!eat(text, "{") || !text.ends_with("}")) return malformed();
  text.remove_suffix(1);
  if (text.starts_with("replicated")) return replicated();
  for (const std::string_view word : {"manual", "unreduced", "unknown"}) {
    if (text.starts_with(word)) return std::unexpected(Error(ErrorCode::Unimplemented, std::string(kNoCut)));
  }
  if (eat(text, "maximal device=")) {
    std::vector<std::int64_t> device;
    if (!read_numbers(text, device) || device.size() != 1 || device.front() < 0) return malformed();
    return maximal(device.front());
  }
  std::vector<std::int64_t> tiles, devices;
  if (!eat(text, "devices=[") || !read_numbers(text, tiles) || !eat(text, "]")) return malformed();
  if (eat(text, "<=[")) {
    std::vector<std::int64_t> reshape, transpose;
    if (!read_numbers(text, reshape) || !eat(text, "]")) return malformed();
    if (eat(text, "T(") && (!read_numbers(text, transpose) || !eat(text, ")"))) return malformed();
    PJRT_TRY(devices, checked_iota(std::move(reshape), std::move(transpose)));
  } else if (!read_numbers(text, devices)) {
    return malformed();
  }
  std::size_t replicated_dims = 0;
  if (eat(text, " last_tile_dim_replicate")) {
    replicated_dims = 1;
  } else if (eat(text, " last_tile_dims={")) {
    do {
      if (text.starts_with("manual") || text.starts_with("unreduced")) {
        return std::unexpected(Error(ErrorCode::Unimplemented, std::string(kSubgroups)));
      }
      if (!eat(text, "replicated")) return malformed();
      ++replicated_dims;
    } while (eat(text, ", "));
    if (!eat(text, "}")) return malformed();
  }
  if (tiles.size() != rank + replicated_dims) return wrong_rank(tiles.size(), replicated_dims, rank);
  return tiled(std::move(tiles), std::move(devices), rank);
}
PJRT_CATCH

std::vector<std::int64_t> Sharding::tiles(std::size_t rank) const {
  if (kind_ != Kind::Tiled) return std::vector<std::int64_t>(rank, 1);
  return {tiles_.begin(), tiles_.begin() + static_cast<std::ptrdiff_t>(rank_)};
}

Dimensions Sharding::tile_dims(std::span<const std::int64_t> dims) const {
  Dimensions tile(dims);
  if (kind_ != Kind::Tiled) return tile;
  for (std::size_t i = 0; i < tile.size() && i < rank_; ++i) tile.data()[i] = (dims[i] + tiles_[i] - 1) / tiles_[i];
  return tile;
}

std::optional<Dimensions> Sharding::tile_begin(std::int64_t partition, std::span<const std::int64_t> dims) const {
  Dimensions begin(dims);
  std::fill(begin.data(), begin.data() + begin.size(), 0);
  if (kind_ == Kind::Replicated) return begin;
  const auto it = std::ranges::find(partitions_, partition);
  if (it == partitions_.end()) return std::nullopt;
  if (kind_ == Kind::Maximal) return begin;
  const Dimensions tile = tile_dims(dims);
  std::int64_t at = it - partitions_.begin();
  for (std::size_t i = tiles_.size(); i-- > 0;) {
    const std::int64_t index = at % tiles_[i];
    at /= tiles_[i];
    if (i < begin.size()) begin.data()[i] = std::min(index * tile[i], dims[i]);
  }
  return begin;
}

std::string to_string(const Sharding& sharding) {
  if (sharding.is_replicated()) return "replicated";
  const auto join = [](std::span<const std::int64_t> numbers, char between) {
    std::string text;
    for (const std::int64_t n : numbers) text += (text.empty() ? "" : std::string(1, between)) + std::to_string(n);
    return text;
  };
  const std::string partitions = join(sharding.partitions_, ',');
  if (sharding.kind_ == Sharding::Kind::Maximal) return "on partition " + partitions;
  return join(std::span(sharding.tiles_).first(sharding.rank_), 'x') + " tiles on partitions " + partitions;
}

}  // namespace pjrt
