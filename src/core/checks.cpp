#include "core/checks.hpp"

#include "core/convert.hpp"
#include "core/try.hpp"

namespace pjrt::detail {

Result<void> check_element_type(const PluginState& plugin, ElementType type) {
  if (host_size(type) == 0) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "an array cannot have elements of type " + std::string(name(type))));
  }
  const Version since{0, abi::since_minor(to_c(type))};
  if (plugin.version < since) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "element type " + std::string(name(type)) +
                                                               " needs PJRT API " + to_string(since) + "; plugin " +
                                                               Plugin(&plugin).description() + " has " +
                                                               to_string(plugin.version)));
  }
  return {};
}

Result<void> check_shape(const PluginState& plugin, const Shape& shape) {
  PJRT_CHECK(check_element_type(plugin, shape.type));
  if (shape.rank() > kMaxRank) {  // before plugins recurse over dimensions
    return std::unexpected(Error(ErrorCode::InvalidArgument, "an array of " + std::to_string(shape.rank()) +
                                                                 " dimensions; at most " + std::to_string(kMaxRank) +
                                                                 " are supported"));
  }
  if (!host_byte_size(shape)) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "no array has the shape " + to_string(shape)));
  }
  return {};
}

Result<void> check_rank(const Shape& shape, const Layout& layout) {
  if (layout.rank() == shape.rank()) return {};
  return std::unexpected(
      Error(ErrorCode::InvalidArgument, "layout " + to_string(layout) + " for an array of shape " + to_string(shape)));
}

}  // namespace pjrt::detail
