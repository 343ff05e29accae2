#pragma once

#include <string>

#include "pjrt/executable.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt::ext {

/// What a plugin notes of a program it compiled.
class PJRT_EXPORT ExecutableMetadata : public Extension {
  PJRT_EXTENSION(ExecutableMetadata, 13)

  /// A serialized message of the plugin's own. Wraps PJRT_ExecutableMetadata_GetExecutableMetadata and
  /// PJRT_ExecutableMetadata_DestroySerializedMetadata.
  Result<std::string> serialized_metadata(const Executable& executable) const;
};

}  // namespace pjrt::ext
