#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "pjrt/device_description.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt::ext {

/// A kind of memory that a device has.
struct MemoryDescription {
  std::string kind;
  int kind_id = 0;
};

/// The kinds of memory of a device that need not be here.
struct DeviceMemoryDescriptions {
  std::vector<MemoryDescription> descriptions;
  /// Which of them arrays go to unless told otherwise; nullopt if the plugin does not say.
  std::optional<std::size_t> default_index;
};

/// What memories the devices of a description have: the plugin's MemoryDescriptions extension.
class PJRT_EXPORT MemoryDescriptions : public Extension {
  PJRT_EXTENSION(MemoryDescriptions, 6)

  /// Wraps PJRT_DeviceDescription_MemoryDescriptions and PJRT_MemoryDescription_Kind, since 0.59. CPU plugins give
  /// none.
  Result<DeviceMemoryDescriptions> memory_descriptions(const DeviceDescription& device) const;
};

}  // namespace pjrt::ext
