#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/model/interface.hpp"

/// Names of arrays in programs of several replicas: "arg0" is an input of all of them, "arg0@1" that of replica 1. No
/// other name of such a program has an '@' in it, for its arrays are numbered or have names of HLO.

namespace pjrt::model {

/// `values`, then each of them once for each replica.
std::vector<SessionValue> inputs_of_replicas(std::vector<SessionValue> values, int replicas);
/// Each of `values` once for each replica.
std::vector<SessionValue> outputs_of_replicas(std::vector<SessionValue> values, int replicas);

/// As `find_value`, among what `inputs_of_replicas` gave.
Result<std::size_t> find_input(std::span<const SessionValue> inputs, std::string_view text);
/// The same among what `outputs_of_replicas` gave: a name without a replica fits several outputs, and is refused.
Result<std::size_t> find_output(std::span<const SessionValue> outputs, std::string_view text);

}  // namespace pjrt::model
