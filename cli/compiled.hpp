#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "command.hpp"
#include "pjrt/executable.hpp"
#include "pjrt/model/interface.hpp"
#include "pjrt/model/model.hpp"
#include "target.hpp"

namespace pjrt::cli {

/// A compiled model, and what it needs of each device. What a plugin does not tell is absent.
struct Compiled {
  Executable executable;
  int replicas = 1;
  int partitions = 1;
  std::string name;
  std::optional<CompiledMemoryStats> memory;
  std::optional<NamedValues> cost;
  std::optional<model::Interface> interface;
  /// For artifacts of several platforms: what to give as the first argument.
  std::optional<std::size_t> platform_index;
  /// The plugin's ABI version of the program, a serialized message.
  std::optional<std::string> abi_version;

  /// Bytes that a run takes of a device's memory.
  std::optional<std::int64_t> needed() const;
};

/// Compiles for the target's devices.
std::expected<Compiled, Failure> compile_for(const Target& target, const model::Model& model,
                                             const std::vector<std::string>& compile_options, const Output& output);

/// What `pjrt compile` and `pjrt inspect --topology` say.
nlohmann::ordered_json to_json(const Target& target);
nlohmann::ordered_json to_json(const Target& target, const Compiled& compiled);
void print(const Target& target);
/// `with_values`: with its inputs and outputs, which inspect has shown already.
void print(const Target& target, const Compiled& compiled, bool with_values);

}  // namespace pjrt::cli
