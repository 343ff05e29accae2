#pragma once

#include "core/client_state.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/shape.hpp"

namespace pjrt::detail {

/// Whether the plugin does what it is asked with an order of dimensions other than row-major: stores an upload in that
/// order and gives it back in another. Plugins before about API 0.115 record the order and move the bytes unchanged,
/// which makes wrong numbers without a word. Found out once for each client, with an array of six elements.
Result<bool> honours_layouts(ClientState& client);

/// Whether a new array may lie so: InvalidArgument for strides and for an order of another number of dimensions,
/// Unimplemented for an order that the plugin is found not to honour.
Result<void> check_layout_of_new(ClientState& client, const Shape& shape, const MemoryLayout& layout);

}  // namespace pjrt::detail
