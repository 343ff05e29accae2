#include "pjrt/topology.hpp"

#include <algorithm>
#include <utility>

#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/client_options.hpp"
#include "core/convert.hpp"
#include "core/topology_state.hpp"
#include "core/try.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace detail {

void retain(TopologyState* s) noexcept {
  s->references.fetch_add(1, std::memory_order_relaxed);
}

void release(TopologyState* s) noexcept {
  if (s->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete s;
}

TopologyState::~TopologyState() {
  if (!client && raw != nullptr) call_quietly<fn::PJRT_TopologyDescription_Destroy>(*plugin, {.topology = raw});
}

Topology borrow_topology(Ref<ClientState> client, abi::PJRT_TopologyDescription* raw) {
  auto* state = new TopologyState;
  state->plugin = client->plugin;
  state->raw = raw;
  state->client = std::move(client);
  return Topology(Ref<TopologyState>::adopt(state));
}

Topology own_topology(const PluginState& plugin, abi::PJRT_TopologyDescription* raw) {
  auto* state = new TopologyState;
  state->plugin = &plugin;
  state->raw = raw;
  return Topology(Ref<TopologyState>::adopt(state));
}

}  // namespace detail

Result<Topology> Topology::create(const Plugin& plugin, std::string_view name, const NamedValues& options) try {
  if (name.empty() && options.empty()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 "a topology needs a name, e.g. v5e:2x2 for libtpu, or options that describe it"));
  }
  PJRT_TRY(const NamedValues checked, detail::check_topology_options(options));
  const detail::NamedValuesC c_options(checked);
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_TopologyDescription_Create>(plugin.state(), {.topology_name = name.data(),
                                                                              .topology_name_size = name.size(),
                                                                              .create_options = c_options.data(),
                                                                              .num_options = c_options.size()}));
  return detail::own_topology(plugin.state(), args.topology);
}
PJRT_CATCH

Result<Topology> Topology::deserialize(const Plugin& plugin, std::span<const std::byte> bytes) try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_TopologyDescription_Deserialize>(
                                plugin.state(), {.serialized_topology = reinterpret_cast<const char*>(bytes.data()),
                                                 .serialized_topology_size = bytes.size()}));
  return detail::own_topology(plugin.state(), args.topology);
}
PJRT_CATCH

Plugin Topology::plugin() const noexcept {
  return Plugin(state_->plugin);
}
abi::PJRT_TopologyDescription* Topology::raw() const noexcept {
  return state_->raw;
}

Result<std::string> Topology::platform_name() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_TopologyDescription_PlatformName>(*state_->plugin, {.topology = state_->raw}));
  return std::string(detail::text(args.platform_name, args.platform_name_size));
}
PJRT_CATCH

Result<std::string> Topology::platform_version() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_TopologyDescription_PlatformVersion>(*state_->plugin, {.topology = state_->raw}));
  return std::string(detail::text(args.platform_version, args.platform_version_size));
}
PJRT_CATCH

Result<std::vector<DeviceDescription>> Topology::device_descriptions() const try {
  const std::lock_guard lock(state_->mutex);
  if (state_->descriptions == nullptr) {
    PJRT_TRY(const auto args, detail::call<fn::PJRT_TopologyDescription_GetDeviceDescriptions>(
                                  *state_->plugin, {.topology = state_->raw}));
    auto records = std::make_unique<std::vector<detail::DescriptionRecord>>();
    PJRT_TRY(const auto descriptions, detail::given<fn::PJRT_TopologyDescription_GetDeviceDescriptions>(
                                          args.descriptions, args.num_descriptions));
    for (auto* description : descriptions) {
      PJRT_TRY(detail::DescriptionRecord record, detail::read_description(*state_->plugin, description));
      records->push_back(std::move(record));
    }
    state_->descriptions = std::move(records);
  }
  auto owner = std::make_shared<detail::Ref<detail::TopologyState>>(state_);
  std::vector<DeviceDescription> all;
  for (const detail::DescriptionRecord& record : *state_->descriptions)
    all.emplace_back(owner, state_->plugin, &record);
  return all;
}
PJRT_CATCH

Result<NamedValues> Topology::attributes() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_TopologyDescription_Attributes>(*state_->plugin, {.topology = state_->raw}));
  return detail::from_c(args.attributes, args.num_attributes);
}
PJRT_CATCH

Result<SerializedTopology> Topology::serialize() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_TopologyDescription_Serialize>(*state_->plugin, {.topology = state_->raw}));
  return detail::own_bytes(*state_->plugin, args.serialized_bytes, args.serialized_bytes_size, args.serialized_topology,
                           args.serialized_topology_deleter);
}
PJRT_CATCH

Result<std::uint64_t> Topology::fingerprint() const try {
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_TopologyDescription_Fingerprint>(*state_->plugin, {.topology = state_->raw}));
  return args.fingerprint;
}
PJRT_CATCH

Result<std::string> Topology::make_canonical_shape_for_memory_space(int memory_space_kind_id, const Shape& shape,
                                                                    const Layout& layout) const try {
  PJRT_CHECK(detail::check_shape(*state_->plugin, shape));
  PJRT_CHECK(detail::check_rank(shape, layout));
  if (const auto kinds = memory_space_kind_ids(); kinds && std::ranges::find(*kinds, memory_space_kind_id) ==
                                                               kinds->end()) {  // CPU and TPU plugins make something up
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 "the topology has no memory space of kind " + std::to_string(memory_space_kind_id)));
  }
  detail::MemoryLayoutC c_layout(layout);
  PJRT_TRY(const auto args, detail::call<fn::PJRT_TopologyDescription_MakeCanonicalShapeForMemorySpace>(
                                *state_->plugin, {.topology = state_->raw,
                                                  .memory_space_kind_id = memory_space_kind_id,
                                                  .dims = shape.dims.data(),
                                                  .num_dims = shape.rank(),
                                                  .element_type = detail::to_c(shape.type),
                                                  .layout = c_layout.get()}));
  std::string bytes(detail::text(args.serialized_shape, args.serialized_shape_size));
  if (args.serialized_shape_deleter != nullptr) args.serialized_shape_deleter(args.serialized_shape);
  return bytes;
}
PJRT_CATCH

Result<std::vector<int>> Topology::memory_space_kind_ids() const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_TopologyDescription_GetMemorySpaceKindIds>(
                                *state_->plugin, {.topology = state_->raw}));
  PJRT_TRY(const auto ids, detail::given<fn::PJRT_TopologyDescription_GetMemorySpaceKindIds>(
                               args.memory_space_kind_ids, args.num_memory_space_kind_ids));
  return std::vector<int>(ids.begin(), ids.end());
}
PJRT_CATCH

}  // namespace pjrt
