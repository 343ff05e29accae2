#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/shape.hpp"

namespace pjrt::proto {

/// What an HLO module says of its entry computation.
struct HloSignature {
  std::string name;
  std::vector<ParsedShape> parameters;  // tuples taken apart
  bool has_tuple_parameter = false;
  std::vector<std::string> parameter_names;
  std::vector<ParsedShape> results;
  /// For each parameter, whether an output may take its memory (input-output alias) or whether it is given away
  /// (donor).
  std::vector<bool> donated;
  /// Serialized xla.OpShardings that the partitioner settled on; empty if there are none.
  std::vector<std::string> parameter_shardings;
  std::vector<std::string> result_shardings;
  /// The order of its instructions is settled, which is the end of optimizing.
  bool is_scheduled = false;
};

/// How many devices an HLO module is for. It has no field for that, outside of the options it was compiled with: this
/// is what its device assignment, shardings and collectives need.
struct HloDevices {
  std::int64_t replicas = 1;
  std::int64_t partitions = 1;
  /// The targets of its custom calls, sorted, each once.
  std::vector<std::string> custom_calls;
  /// Serialized xla.OpShardings of the parameters, by number, and of the result; empty where it has none.
  std::vector<std::string> parameter_shardings;
  std::string result_sharding;
};

/// Reads a serialized HloModuleProto. Goes over all instructions.
PJRT_EXPORT Result<HloDevices> parse_hlo_devices(std::string_view code);

/// The elements of a serialized xla.OpSharding, if it is a tuple; itself otherwise.
PJRT_EXPORT Result<std::vector<std::string>> sharding_elements(std::string_view sharding);

/// Reads a serialized HloModuleProto (format "hlo") or HloModuleProtoWithConfig (format "hlo_with_config").
PJRT_EXPORT Result<HloSignature> parse_hlo_signature(std::string_view code, std::string_view format);

}  // namespace pjrt::proto
