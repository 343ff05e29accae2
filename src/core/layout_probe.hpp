#pragma once

#include "core/client_state.hpp"

namespace pjrt::detail {

/// Whether the plugin does what it is asked with an order of dimensions other than row-major: stores an upload in that order
/// and gives it back in another. Plugins before about API 0.115 record the order and move the bytes unchanged, which makes
/// wrong numbers without a word. Found out once for each client, with an array of six elements.
Result<bool> honours_layouts(ClientState& client);

}  // namespace pjrt::detail
