#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/layout.hpp"
#include "pjrt/shape.hpp"
#include "proto/fields.hpp"
#include "proto/parse.hpp"

namespace pjrt::proto {

/// xla.ShapeProto: an array, a token, or a tuple of shapes.
struct ParsedShape {
  bool is_tuple = false;
  std::vector<ParsedShape> tuple;
  Shape shape;  // type Invalid for an element type this library does not know
  bool is_opaque = false;
  bool has_dynamic_dimension = false;
  std::optional<Layout> layout;
};

/// Tuples in tuples; the same as Protocol Buffers allow of messages in messages.
inline constexpr int kMostNesting = 100;
inline constexpr std::size_t kMostDimensions = 255;
/// Parameters, results, elements of tuples.
inline constexpr std::size_t kMostValues = std::size_t{1} << 20;

/// May throw protozero::exception; see `guarded`.
ParsedShape parse_shape(protozero::pbf_reader reader, int nesting = 0);

/// An array shape as a serialized xla.ShapeProto.
std::string serialize_shape(const Shape& shape, const Layout& layout);

ElementType element_type_of(PrimitiveType type) noexcept;
PrimitiveType primitive_type_of(ElementType type) noexcept;

/// Reads a repeated int64, packed or not, into `out`. Throws beyond `most` of them.
void read_int64s(protozero::pbf_reader& reader, std::vector<std::int64_t>& out, std::size_t most = SIZE_MAX);

}  // namespace pjrt::proto
