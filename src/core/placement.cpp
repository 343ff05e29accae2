#include "core/placement.hpp"

#include <algorithm>

namespace pjrt::detail {

Result<Placement> place(const Ref<ClientState>& client, const std::optional<Device>& device,
                        const std::optional<Memory>& memory) {
  const auto refuse = [](std::string why) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, std::move(why)));
  };
  if (device) {
    if (!(device->client_state() == client))
      return refuse("device " + device->to_string() + " belongs to another client");
    if (!device->is_addressable())
      return refuse("device " + device->to_string() + " belongs to process " + std::to_string(device->process_index()));
  }
  if (memory) {
    if (!(memory->client_state() == client))
      return refuse("memory " + memory->to_string() + " belongs to another client");
    const MemoryRecord* record = client->memory_by_raw.at(memory->raw());
    if (device && std::ranges::find(record->devices, device->record()) == record->devices.end()) {
      return refuse("device " + device->to_string() + " cannot address memory " + memory->to_string());
    }
    return Placement{nullptr, memory->raw(), record->devices.size() == 1 ? record->devices.front() : nullptr};
  }
  if (device) return Placement{device->raw(), nullptr, device->record()};
  if (client->addressable_devices.empty()) return refuse("the client has no device");
  const DeviceRecord* first = client->addressable_devices.front();
  return Placement{first->raw, nullptr, first};
}

}  // namespace pjrt::detail
