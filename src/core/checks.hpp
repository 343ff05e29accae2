#pragma once

#include <string>

#include "core/plugin_state.hpp"
#include "pjrt/abi/tables.hpp"
#include "pjrt/element_type.hpp"
#include "pjrt/error.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/shape.hpp"

namespace pjrt::detail {

/// Refuses element types that an array cannot have and those the plugin is too old to know: it would abort the process.
Result<void> check_element_type(const PluginState& plugin, ElementType type);

/// The same, and dimensions that no array has.
Result<void> check_shape(const PluginState& plugin, const Shape& shape);

/// Refuses a layout of another number of dimensions: plugins take it and garble the array.
Result<void> check_rank(const Shape& shape, const Layout& layout);

}  // namespace pjrt::detail
