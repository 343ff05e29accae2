#pragma once

#include <optional>

#include "core/client_state.hpp"
#include "pjrt/device.hpp"

namespace pjrt::detail {

/// Where a new buffer goes: exactly one of the C pointers is set, so that plugins need not choose.
struct Placement {
  abi::PJRT_Device* device = nullptr;
  abi::PJRT_Memory* memory = nullptr;
  /// The device, where it is known.
  const DeviceRecord* record = nullptr;
};

/// The memory if one is given, else the device, else the client's first. InvalidArgument for handles of another client,
/// for a memory that the device given does not have, and for devices of other processes.
Result<Placement> place(const Ref<ClientState>& client, const std::optional<Device>& device,
                        const std::optional<Memory>& memory);

}  // namespace pjrt::detail
