#pragma once

#include <nlohmann/json.hpp>

#include "target.hpp"

namespace pjrt::cli {

/// A topology as a table: chips, cores, processes, bounds, and each device with its place, as far as the plugin tells.
nlohmann::ordered_json topology_json(const Target& target);
void print_topology(const Target& target);

}  // namespace pjrt::cli
