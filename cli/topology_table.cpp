#include "topology_table.hpp"

#include <algorithm>
#include <iostream>
#include <map>
#include <set>

#include "compiled.hpp"
#include "json.hpp"
#include "pjrt/ext/tpu_topology.hpp"

namespace pjrt::cli {
namespace {

using Coordinates = std::vector<std::int64_t>;

Coordinates coordinates(const Result<NamedValues>& attributes) {
  const Value* value = attributes ? attributes->find("coords") : nullptr;
  return value != nullptr && value->int64_list() != nullptr ? *value->int64_list() : Coordinates{};
}

/// What is counted over all devices of a topology.
struct Counts {
  std::set<int> processes;
  /// Devices of each chip, by coordinates; empty if the plugin gives none.
  std::map<Coordinates, int> chips;
  std::int64_t cores = 0;
  Coordinates bounds;
  /// How the chips are dealt to processes, where the plugin has the TpuTopology extension.
  Coordinates process_bounds;
  Coordinates chips_per_process;
};

Coordinates if_told(const Result<ext::TpuCoords>& coords) {
  return coords ? Coordinates(coords->begin(), coords->end()) : Coordinates{};
}

Counts count(const Target& target) {
  Counts c;
  for (const DeviceDescription& device : target.devices) {
    c.processes.insert(device.process_index());
    const Result<NamedValues> attributes = device.attributes();
    c.cores += number(attributes, "num_cores").value_or(0);
    const Coordinates at = coordinates(attributes);
    if (at.empty()) continue;
    ++c.chips[at];
    c.bounds.resize(std::max(c.bounds.size(), at.size()), 0);
    for (std::size_t i = 0; i < at.size(); ++i) c.bounds[i] = std::max(c.bounds[i], at[i] + 1);
  }
  if (!target.topology) return c;
  if (const auto tpu = target.topology->extension<ext::TpuTopology>()) {
    c.process_bounds = if_told(tpu->process_bounds(*target.topology));
    c.chips_per_process = if_told(tpu->chips_per_process_bounds(*target.topology));
  }
  return c;
}

std::string joined(const Coordinates& numbers, const char* between) {
  std::string text;
  for (const std::int64_t n : numbers) text += (text.empty() ? "" : between) + std::to_string(n);
  return text;
}

}  // namespace

nlohmann::ordered_json topology_json(const Target& target) {
  const Counts counts = count(target);
  nlohmann::ordered_json j = to_json(target);
  j["processes"] = counts.processes.size();
  if (!counts.chips.empty()) {
    j["chips"] = counts.chips.size();
    j["chip_bounds"] = counts.bounds;
  }
  if (counts.cores > 0) j["cores"] = counts.cores;
  if (!counts.process_bounds.empty()) j["process_bounds"] = counts.process_bounds;
  if (!counts.chips_per_process.empty()) j["chips_per_process_bounds"] = counts.chips_per_process;
  if (target.topology) {
    if (const auto attributes = target.topology->attributes()) j["attributes"] = to_json(*attributes);
  }
  j["device_list"] = nlohmann::ordered_json::array();
  for (const DeviceDescription& device : target.devices) {
    nlohmann::ordered_json row = {{"id", device.id()},
                                  {"kind", device.kind()},
                                  {"process_index", device.process_index()},
                                  {"text", device.to_string()}};
    if (const auto attributes = device.attributes()) row["attributes"] = to_json(*attributes);
    j["device_list"].push_back(std::move(row));
  }
  return j;
}

void print_topology(const Target& target) {
  const Counts counts = count(target);
  print(target);
  if (!counts.chips.empty()) {
    std::cout << "chips         " << counts.chips.size() << " (" << joined(counts.bounds, "x") << ")";
    if (const int devices = counts.chips.begin()->second; devices > 1)
      std::cout << ", " << devices << " devices on each";
    std::cout << "\n";
  }
  if (counts.cores > 0) std::cout << "cores         " << counts.cores << "\n";
  std::cout << "processes     " << counts.processes.size();
  if (!counts.process_bounds.empty() && !counts.chips_per_process.empty()) {
    std::cout << " (" << joined(counts.process_bounds, "x") << "), " << joined(counts.chips_per_process, "x")
              << " chips each";
  }
  std::cout << "\n";
  std::cout << "  id  process  coordinates\n";
  for (const DeviceDescription& device : target.devices) {
    const Result<NamedValues> attributes = device.attributes();
    const std::string id = std::to_string(device.id());
    const std::string process = std::to_string(device.process_index());
    std::cout << std::string(id.size() < 4 ? 4 - id.size() : 0, ' ') << id << "  "
              << std::string(process.size() < 7 ? 7 - process.size() : 0, ' ') << process << "  ";
    const Coordinates at = coordinates(attributes);
    if (at.empty()) {
      std::cout << device.to_string() << "\n";
      continue;
    }
    std::cout << "(" << joined(at, ",") << ")";
    if (const auto core = number(attributes, "core_on_chip")) std::cout << " core " << *core;
    std::cout << "\n";
  }
}

}  // namespace pjrt::cli
