#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/byte_source.hpp"
#include "pjrt/export.hpp"
#include "pjrt/host_buffer.hpp"

/// numpy's .npy format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

namespace pjrt::detail {

/// Called with the shape that a file promises before memory is taken for it.
using ShapeCheck = std::function<Result<void>(const Shape&)>;

/// Reads one array, which must be all there is: the header, then exactly what the shape needs.
PJRT_EXPORT Result<HostBuffer> read_npy(ByteSource& source, std::optional<ElementType> as,
                                        const ShapeCheck& check = {});

/// Reads no further than the header.
PJRT_EXPORT Result<Shape> read_npy_shape(ByteSource& source, std::optional<ElementType> as);

/// What stands before the elements of a row-major array.
PJRT_EXPORT std::string npy_header(const Shape& shape);

}  // namespace pjrt::detail
