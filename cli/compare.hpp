#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pjrt/error.hpp"
#include "pjrt/host_buffer.hpp"

namespace pjrt::cli {

/// How far an element may lie from what is expected: |got - expected| <= atol + rtol * |expected|. Unset: by the type's
/// precision.
struct Tolerance {
  std::optional<double> rtol;
  std::optional<double> atol;
};

struct Comparison {
  std::int64_t differing = 0;
  /// "at [2,5]: 1.25, expected 1.5 (…)": the element that lies farthest beyond its tolerance.
  std::string worst;
};

/// "it is f32[2], expected f32[3]".
Error shape_differs(const Shape& got, const Shape& expected);

/// Compares arrays of one shape; NaN equals NaN. InvalidArgument if type or shape differ.
Result<Comparison> compare(const HostBuffer& got, const HostBuffer& expected, const Tolerance& tolerance);

}  // namespace pjrt::cli
