#pragma once

#include <string_view>

#include "core/client_state.hpp"
#include "pjrt/named_value.hpp"

namespace pjrt::detail {

/// Checks the types and ranges of the options this library knows: older plugins abort the process at a wrong one. A
/// whole number given for a float becomes one.
Result<NamedValues> check_client_options(const NamedValues& options);
/// The same for the options of `Topology::create`.
Result<NamedValues> check_topology_options(const NamedValues& options);

/// See pjrt::parse_client_option.
Result<NamedValue> parse_option(std::string_view text);

/// Older CPU plugins ignore names they do not know; this says so instead.
Result<void> refuse_ignored_options(const ClientState& client, const NamedValues& options);

}  // namespace pjrt::detail
