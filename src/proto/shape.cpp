#include "proto/shape.hpp"

#include <utility>

namespace pjrt::proto {
namespace {

constexpr std::pair<ElementType, PrimitiveType> kTypes[] = {
    {ElementType::Pred, PrimitiveType::PRED},
    {ElementType::S1, PrimitiveType::S1},
    {ElementType::S2, PrimitiveType::S2},
    {ElementType::S4, PrimitiveType::S4},
    {ElementType::S8, PrimitiveType::S8},
    {ElementType::S16, PrimitiveType::S16},
    {ElementType::S32, PrimitiveType::S32},
    {ElementType::S64, PrimitiveType::S64},
    {ElementType::U1, PrimitiveType::U1},
    {ElementType::U2, PrimitiveType::U2},
    {ElementType::U4, PrimitiveType::U4},
    {ElementType::U8, PrimitiveType::U8},
    {ElementType::U16, PrimitiveType::U16},
    {ElementType::U32, PrimitiveType::U32},
    {ElementType::U64, PrimitiveType::U64},
    {ElementType::F16, PrimitiveType::F16},
    {ElementType::F32, PrimitiveType::F32},
    {ElementType::F64, PrimitiveType::F64},
    {ElementType::BF16, PrimitiveType::BF16},
    {ElementType::C64, PrimitiveType::C64},
    {ElementType::C128, PrimitiveType::C128},
    {ElementType::F8E5M2, PrimitiveType::F8E5M2},
    {ElementType::F8E4M3, PrimitiveType::F8E4M3},
    {ElementType::F8E4M3FN, PrimitiveType::F8E4M3FN},
    {ElementType::F8E4M3B11FNUZ, PrimitiveType::F8E4M3B11FNUZ},
    {ElementType::F8E3M4, PrimitiveType::F8E3M4},
    {ElementType::F8E5M2FNUZ, PrimitiveType::F8E5M2FNUZ},
    {ElementType::F8E4M3FNUZ, PrimitiveType::F8E4M3FNUZ},
    {ElementType::F4E2M1FN, PrimitiveType::F4E2M1FN},
    {ElementType::F8E8M0FNU, PrimitiveType::F8E8M0FNU},
    {ElementType::F6E2M3FN, PrimitiveType::F6E2M3FN},
    {ElementType::F6E3M2FN, PrimitiveType::F6E3M2FN},
    {ElementType::Token, PrimitiveType::TOKEN},
};

std::optional<Layout> parse_layout(protozero::pbf_reader reader) {
  constexpr std::size_t kMostTiles = 64;
  std::vector<std::int64_t> order;
  std::vector<std::vector<std::int64_t>> tiles;
  while (reader.next()) {
    switch (reader.tag()) {
      case LayoutProto::minor_to_major:
        read_int64s(reader, order, kMostDimensions);
        break;
      case LayoutProto::tiles: {
        if (tiles.size() == kMostTiles) throw TooLarge("a layout has too many tiles");
        std::vector<std::int64_t>& tile = tiles.emplace_back();
        protozero::pbf_reader dims = reader.get_message();
        while (dims.next(TileProto::dimensions)) read_int64s(dims, tile, kMostDimensions);
        break;
      }
      default:
        reader.skip();
    }
  }
  Result<Layout> layout = Layout::create(std::move(order), std::move(tiles));
  return layout ? std::optional(*std::move(layout)) : std::nullopt;
}

}  // namespace

ElementType element_type_of(PrimitiveType type) noexcept {
  for (const auto& [ours, theirs] : kTypes) {
    if (theirs == type) return ours;
  }
  return ElementType::Invalid;
}

PrimitiveType primitive_type_of(ElementType type) noexcept {
  for (const auto& [ours, theirs] : kTypes) {
    if (ours == type) return theirs;
  }
  return PrimitiveType::PRIMITIVE_TYPE_INVALID;
}

void read_int64s(protozero::pbf_reader& reader, std::vector<std::int64_t>& out, std::size_t most) {
  const auto add = [&](std::int64_t v) {
    if (out.size() == most) throw TooLarge("a list of numbers is too long");
    out.push_back(v);
  };
  if (reader.wire_type() == protozero::pbf_wire_type::length_delimited) {
    for (const std::int64_t v : reader.get_packed_int64()) add(v);
  } else {
    add(reader.get_int64());
  }
}

ParsedShape parse_shape(protozero::pbf_reader reader, int nesting) {
  if (nesting > kMostNesting) throw TooLarge("shapes are nested too deep");
  ParsedShape s;
  std::vector<std::int64_t> dims;
  std::vector<std::int64_t> dynamic;
  while (reader.next()) {
    switch (reader.tag()) {
      case ShapeProto::element_type: {
        const auto type = static_cast<PrimitiveType>(reader.get_enum());
        s.is_tuple = type == PrimitiveType::TUPLE;
        s.is_opaque = type == PrimitiveType::OPAQUE_TYPE;
        s.shape.type = element_type_of(type);
        break;
      }
      case ShapeProto::dimensions:
        read_int64s(reader, dims, kMostDimensions);
        break;
      case ShapeProto::is_dynamic_dimension:
        read_int64s(reader, dynamic, kMostDimensions);
        break;
      case ShapeProto::tuple_shapes:
        if (s.tuple.size() == kMostValues) throw TooLarge("a tuple has too many elements");
        s.tuple.push_back(parse_shape(reader.get_message(), nesting + 1));
        break;
      case ShapeProto::layout:
        s.layout = parse_layout(reader.get_message());
        break;
      default:
        reader.skip();
    }
  }
  for (const std::int64_t d : dynamic) s.has_dynamic_dimension |= d != 0;
  s.shape.dims = Dimensions(dims);
  return s;
}

std::string serialize_shape(const Shape& shape, const Layout& layout) {
  std::string bytes;
  protozero::pbf_writer w(bytes);
  w.add_enum(ShapeProto::element_type, std::to_underlying(primitive_type_of(shape.type)));
  w.add_packed_int64(ShapeProto::dimensions, shape.dims.begin(), shape.dims.end());
  for (std::size_t i = 0; i < shape.rank(); ++i) w.add_bool(ShapeProto::is_dynamic_dimension, false);
  protozero::pbf_writer l(w, ShapeProto::layout);
  l.add_packed_int64(LayoutProto::minor_to_major, layout.minor_to_major().begin(), layout.minor_to_major().end());
  for (const std::vector<std::int64_t>& tile : layout.tiles()) {
    protozero::pbf_writer t(l, LayoutProto::tiles);
    t.add_packed_int64(TileProto::dimensions, tile.begin(), tile.end());
  }
  return bytes;
}

}  // namespace pjrt::proto
