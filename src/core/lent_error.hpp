#pragma once

#include <string_view>

#include "pjrt/abi/core.h"
#include "pjrt/error.hpp"

namespace pjrt::detail {

struct PluginState;

/// What a plugin's error says that it lends to a callback and frees itself afterwards; null and OK are success.
Result<void> outcome_of_lent(const PluginState& plugin, const abi::PJRT_Error* error, std::string_view function);

}  // namespace pjrt::detail
