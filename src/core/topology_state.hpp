#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "core/client_state.hpp"
#include "pjrt/topology.hpp"

namespace pjrt::detail {

struct TopologyState {
  std::atomic<int> references{1};
  const PluginState* plugin = nullptr;
  abi::PJRT_TopologyDescription* raw = nullptr;
  /// Whose it is; null if it is ours. Destroying a client's topology would make the client free it twice.
  Ref<ClientState> client;
  std::mutex mutex;
  std::unique_ptr<std::vector<DescriptionRecord>> descriptions;  // read when first asked for

  ~TopologyState();
};

Topology borrow_topology(Ref<ClientState> client, abi::PJRT_TopologyDescription* raw);
Topology own_topology(const PluginState& plugin, abi::PJRT_TopologyDescription* raw);

}  // namespace pjrt::detail
