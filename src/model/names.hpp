#pragma once

#include <span>
#include <string>
#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/model/session.hpp"

namespace pjrt::model {

/// Finds a value by path, by name, by the end of either ("w", "conv1.kernel"), or by number ("arg3", "out0"). `what` is
/// "input" or "output", for messages.
Result<std::size_t> find_value(std::span<const SessionValue> values, std::string_view text, std::string_view what);

/// "args[0]['w'] (params['w'])".
std::string label(const SessionValue& value);

}  // namespace pjrt::model
