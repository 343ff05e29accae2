#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <vector>

#include "pjrt/detail/handle_list.hpp"
#include "pjrt/detail/ref.hpp"
#include "pjrt/export.hpp"

namespace pjrt {

namespace abi {
struct PJRT_Memory;
}

class Device;

namespace detail {
struct ClientState;
struct MemoryRecord;
PJRT_EXPORT void retain(ClientState*) noexcept;
PJRT_EXPORT void release(ClientState*) noexcept;
}  // namespace detail

/// A memory space that devices of a client can address ("device", "pinned_host", "unpinned_host", …).
///
/// Borrowed from the client, which it keeps alive; a cheap value. All members may be used from several threads.
class PJRT_EXPORT Memory {
 public:
  /// Moving copies, so that no handle is ever empty.
  Memory(const Memory&) noexcept = default;
  Memory& operator=(const Memory&) noexcept = default;

  /// Unique within the client. Wraps PJRT_Memory_Id.
  int id() const noexcept;
  /// What sort of memory: "device". Wraps PJRT_Memory_Kind.
  const std::string& kind() const& noexcept;
  std::string kind() const&& { return kind(); }
  /// The kind as a number. Wraps PJRT_Memory_Kind_Id.
  int kind_id() const noexcept;
  /// For debugging, verbose. Wraps PJRT_Memory_DebugString.
  const std::string& debug_string() const& noexcept;
  std::string debug_string() const&& { return debug_string(); }
  /// For people, short. Wraps PJRT_Memory_ToString.
  const std::string& to_string() const& noexcept;
  std::string to_string() const&& { return to_string(); }
  /// The devices that can address it. Wraps PJRT_Memory_AddressableByDevices.
  std::vector<Device> devices() const;

  abi::PJRT_Memory* raw() const noexcept;
  friend bool operator==(const Memory& a, const Memory& b) noexcept { return a.record_ == b.record_; }

  /// The empty handle: id -1, no devices.
  static Memory none() noexcept;
  /// For the library itself.
  Memory(detail::Ref<detail::ClientState> client, const detail::MemoryRecord* record) noexcept
      : client_(std::move(client)), record_(record) {}
  const detail::Ref<detail::ClientState>& client_state() const noexcept { return client_; }

 private:
  detail::Ref<detail::ClientState> client_;
  const detail::MemoryRecord* record_;
};

/// The memories of a client or device, in the plugin's order.
using Memories = detail::HandleList<Memory, detail::ClientState, detail::MemoryRecord>;

}  // namespace pjrt
