#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/dispatcher.hpp"
#include "core/plugin_state.hpp"
#include "pjrt/abi/core.h"
#include "pjrt/detail/ref.hpp"
#include "pjrt/memory.hpp"

namespace pjrt {
class KeyValueStore;
}

namespace pjrt::detail {

struct DescriptionRecord {
  abi::PJRT_DeviceDescription* raw = nullptr;
  int id = 0;
  int process_index = 0;
  std::string kind;
  std::string debug_string;
  std::string text;
};

/// Reads what a description says and never changes.
Result<DescriptionRecord> read_description(const PluginState& plugin, abi::PJRT_DeviceDescription* raw);

struct DeviceRecord {
  abi::PJRT_Device* raw = nullptr;
  DescriptionRecord description;
  int local_hardware_id = -1;
  bool addressable = false;
  std::vector<const MemoryRecord*> memories;
  const MemoryRecord* default_memory = nullptr;
};

struct MemoryRecord {
  abi::PJRT_Memory* raw = nullptr;
  int id = 0;
  int kind_id = 0;
  std::string kind;
  std::string debug_string;
  std::string text;
  std::vector<const DeviceRecord*> devices;
};

/// Whether the plugin does with a layout what it was asked to: asked once, by experiment.
enum class Verdict : int { Unknown, Honoured, Ignored };

struct ClientState {
  std::atomic<int> references{1};
  const PluginState* plugin = nullptr;
  abi::PJRT_Client* raw = nullptr;
  std::string platform_name;
  std::string platform_version;
  int process_index = 0;
  bool is_cpu = false;
  std::vector<std::unique_ptr<DeviceRecord>> device_storage;
  std::vector<std::unique_ptr<MemoryRecord>> memory_storage;
  std::vector<const DeviceRecord*> devices;
  std::vector<const DeviceRecord*> addressable_devices;
  std::vector<const MemoryRecord*> memories;
  std::unordered_map<abi::PJRT_Device*, const DeviceRecord*> device_by_raw;
  std::unordered_map<abi::PJRT_Memory*, const MemoryRecord*> memory_by_raw;
  /// The plugin may call it as long as the client lives.
  std::shared_ptr<KeyValueStore> key_value_store;
  std::atomic<Verdict> device_layouts{Verdict::Unknown};

  /// Keeps something until the plugin's client is gone: what the plugin may call or look at as long as it lives.
  void attach(std::shared_ptr<void> what) {
    const std::lock_guard lock(attachments_mutex);
    attachments.push_back(std::move(what));
  }
  std::mutex attachments_mutex;
  std::vector<std::shared_ptr<void>> attachments;

  /// The destruction of the client on another thread.
  struct Destruction : Job {
    ClientState* client = nullptr;
  };
  Destruction destruction;

  ~ClientState();
};

/// What empty handles refer to: a client without a plugin, a device and a memory of it. Their members answer with empty
/// values, and the choke point refuses calls for them.
const Ref<ClientState>& no_client() noexcept;
const DeviceRecord& no_device() noexcept;
const MemoryRecord& no_memory() noexcept;

/// The record of a device the plugin named; Internal if the client does not list it.
Result<const DeviceRecord*> find_device(const ClientState& client, abi::PJRT_Device* raw);

/// Adopts `raw` and reads everything that never changes; destroys it on failure.
Result<Ref<ClientState>> make_client_state(const PluginState& plugin, abi::PJRT_Client* raw,
                                           std::shared_ptr<KeyValueStore> store);

}  // namespace pjrt::detail
