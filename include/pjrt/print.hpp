#pragma once

#include <cstddef>
#include <string>

#include "pjrt/export.hpp"
#include "pjrt/host_buffer.hpp"

namespace pjrt {

/// As `numpy.printoptions` has them.
struct PrintOptions {
  /// Digits after the decimal point, at most.
  int precision = 8;
  /// Arrays with more elements are summarized.
  std::int64_t threshold = 1000;
  /// Elements at each end of a summarized dimension.
  std::int64_t edge_items = 3;
  std::size_t line_width = 75;
};

/// The array as numpy prints it: [[1.  2.5]
///                                [3.  4. ]].
PJRT_EXPORT std::string to_string(const HostView& array, const PrintOptions& options = {});
/// The same.
inline std::string to_string(const HostBuffer& array, const PrintOptions& options = {}) {
  return to_string(array.view(), options);
}

}  // namespace pjrt
