#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/detail/owned_bytes.hpp"
#include "pjrt/detail/ref.hpp"
#include "pjrt/device_description.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/named_value.hpp"
#include "pjrt/plugin.hpp"
#include "pjrt/shape.hpp"

namespace pjrt {

namespace abi {
struct PJRT_TopologyDescription;
}

class Client;

namespace detail {
struct TopologyState;
PJRT_EXPORT void retain(TopologyState*) noexcept;
PJRT_EXPORT void release(TopologyState*) noexcept;
}  // namespace detail

/// A topology as the plugin wrote it down.
using SerializedTopology = detail::OwnedBytes;

/// Devices to compile for, whether they are here or not.
///
/// Made by name, read back from bytes, or a client's own (which it keeps alive, and does not own). A cheap handle;
/// copies mean the same topology. Wraps PJRT_TopologyDescription_Destroy. All members may be used from several threads.
class PJRT_EXPORT Topology {
 public:
  /// Moving copies, so that no handle is ever empty.
  Topology(const Topology&) noexcept = default;
  Topology& operator=(const Topology&) noexcept = default;

  /// By the plugin's name for it: libtpu knows "v5e:2x2" and the like; InvalidArgument for an empty name, which it
  /// would take for another, and for an option of the wrong type. The CUDA plugin is told by options: "topology" ("1 x
  /// 1 x 1") and "target_config". Unimplemented on CPU plugins. Wraps PJRT_TopologyDescription_Create.
  static Result<Topology> create(const Plugin& plugin, std::string_view name, const NamedValues& options = {});
  /// What `serialize` gave. Wraps PJRT_TopologyDescription_Deserialize, since 0.75.
  static Result<Topology> deserialize(const Plugin& plugin, std::span<const std::byte> bytes);

  /// Wraps PJRT_TopologyDescription_PlatformName.
  Result<std::string> platform_name() const;
  /// Wraps PJRT_TopologyDescription_PlatformVersion.
  Result<std::string> platform_version() const;
  /// Wraps PJRT_TopologyDescription_GetDeviceDescriptions.
  Result<std::vector<DeviceDescription>> device_descriptions() const;
  /// Wraps PJRT_TopologyDescription_Attributes.
  Result<NamedValues> attributes() const;
  /// Wraps PJRT_TopologyDescription_Serialize.
  Result<SerializedTopology> serialize() const;
  /// Equal for equal topologies. Wraps PJRT_TopologyDescription_Fingerprint, since 0.101.
  Result<std::uint64_t> fingerprint() const;
  /// The shape an array really has in memory of that kind, as a serialized xla.ShapeProto. InvalidArgument for a kind
  /// that is none of memory_space_kind_ids(). Wraps PJRT_TopologyDescription_MakeCanonicalShapeForMemorySpace, since
  /// 0.109.
  Result<std::string> make_canonical_shape_for_memory_space(int memory_space_kind_id, const Shape& shape,
                                                            const Layout& layout) const;
  /// The kinds of memory its devices have. Wraps PJRT_TopologyDescription_GetMemorySpaceKindIds, since 0.110.
  Result<std::vector<int>> memory_space_kind_ids() const;

  /// The extension `E` of its plugin; see Plugin::extension.
  template <class E>
  Result<E> extension() const {
    return E::of(plugin());
  }

  Plugin plugin() const noexcept;
  abi::PJRT_TopologyDescription* raw() const noexcept;

  /// For the library itself.
  explicit Topology(detail::Ref<detail::TopologyState> state) noexcept : state_(std::move(state)) {}
  const detail::Ref<detail::TopologyState>& state() const noexcept { return state_; }

 private:
  detail::Ref<detail::TopologyState> state_;
};

}  // namespace pjrt
