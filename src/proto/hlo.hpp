#pragma once

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

/// Reads a serialized HloModuleProto (format "hlo") or HloModuleProtoWithConfig (format "hlo_with_config").
PJRT_EXPORT Result<HloSignature> parse_hlo_signature(std::string_view code, std::string_view format);

}  // namespace pjrt::proto
