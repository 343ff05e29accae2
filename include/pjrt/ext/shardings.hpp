#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pjrt/executable.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt::ext {

/// How a partitioned program's arguments and results are cut: serialized xla.OpShardings, for `Sharding::parse`.
class PJRT_EXPORT Shardings : public Extension {
  PJRT_EXTENSION(Shardings, 19)

  /// One for each parameter; nullopt for a program that is not partitioned. Wraps
  /// PJRT_Shardings_PJRT_Executable_ParameterShardings, since 0.91.
  Result<std::optional<std::vector<std::string>>> parameter_shardings(const Executable& executable) const;
  /// One for each output; nullopt for a program that is not partitioned. Wraps
  /// PJRT_Shardings_PJRT_Executable_OutputShardings, since 0.91.
  Result<std::optional<std::vector<std::string>>> output_shardings(const Executable& executable) const;
};

}  // namespace pjrt::ext
