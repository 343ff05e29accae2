#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/shape.hpp"

namespace pjrt::detail {

/// What the header of an .npy file says.
struct NpyHeader {
  ElementType type = ElementType::Invalid;  // Invalid: raw bytes ("V"), `width` of them to an element
  std::size_t width = 0;
  bool swapped = false;  // big-endian
  bool fortran_order = false;
  Dimensions dims;
};

/// InvalidArgument for what numpy refuses as well, for more than kMaxRank dimensions, and, by name, for dtypes that no
/// element type stands for. `version` 1 to 3.
Result<NpyHeader> parse_npy_header(std::string_view text, int version);

/// The dtype that numpy would write; for types that only ml_dtypes has, raw bytes, which it writes for them.
std::string npy_descr(ElementType type);

}  // namespace pjrt::detail
