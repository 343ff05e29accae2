#include "pjrt/ext/layouts.hpp"

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/convert.hpp"
#include "core/try.hpp"
#include "pjrt/client.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;
using pjrt::detail::PluginState;

namespace {

Result<Layout> read(const PluginState& plugin, abi::PJRT_Layouts_MemoryLayout* raw) {
  PJRT_TRY(const auto args,
           pjrt::detail::call_extension<fn::PJRT_Layouts_MemoryLayout_Serialize>(plugin, {.layout = raw}));
  const auto bytes = pjrt::detail::own_bytes(plugin, args.serialized_bytes, args.serialized_bytes_size,
                                             args.serialized_layout, args.serialized_layout_deleter);
  return Layout::parse(bytes.text());
}

/// Of a layout that is ours.
Result<Layout> take(const PluginState& plugin, abi::PJRT_Layouts_MemoryLayout* raw) {
  Result<Layout> layout = read(plugin, raw);
  pjrt::detail::call_extension_quietly<fn::PJRT_Layouts_MemoryLayout_Destroy>(plugin, {.layout = raw});
  return layout;
}

/// Of layouts that belong to an executable.
Result<std::vector<Layout>> read_all(const PluginState& plugin, abi::PJRT_Layouts_MemoryLayout* const* raw,
                                     std::size_t count) {
  std::vector<Layout> layouts;
  for (std::size_t i = 0; i < count; ++i) {
    PJRT_TRY(Layout layout, read(plugin, raw[i]));
    layouts.push_back(std::move(layout));
  }
  return layouts;
}

}  // namespace

Result<Layout> Layouts::default_layout(const Client& client, const Shape& shape) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  PJRT_CHECK(pjrt::detail::check_shape(state(), shape));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_Layouts_PJRT_Client_GetDefaultLayout>(
                                state(), {.client = client.raw(),
                                          .type = pjrt::detail::to_c(shape.type),
                                          .dims = shape.dims.data(),
                                          .num_dims = shape.rank()}));
  return take(state(), args.layout);
}
PJRT_CATCH

Result<Layout> Layouts::default_layout(const Topology& topology, const Shape& shape) const try {
  PJRT_CHECK(check_same_plugin(topology.plugin(), "topology"));
  PJRT_CHECK(pjrt::detail::check_shape(state(), shape));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_Layouts_PJRT_Topology_GetDefaultLayout>(
                                state(), {.topology_description = topology.raw(),
                                          .type = pjrt::detail::to_c(shape.type),
                                          .dims = shape.dims.data(),
                                          .num_dims = shape.rank()}));
  return take(state(), args.layout);
}
PJRT_CATCH

Result<Layout> Layouts::layout_of(const Buffer& buffer) const try {
  PJRT_TRY(const pjrt::detail::BufferState* b, pjrt::detail::live(buffer));
  PJRT_CHECK(check_same_plugin(Plugin(b->client->plugin), "buffer"));
  PJRT_TRY(const auto args,
           pjrt::detail::call_extension<fn::PJRT_Layouts_PJRT_Buffer_MemoryLayout>(state(), {.buffer = b->raw}));
  return take(state(), args.layout);
}
PJRT_CATCH

Result<std::vector<Layout>> Layouts::output_layouts(const Executable& executable) const try {
  PJRT_CHECK(check_same_plugin(executable.plugin(), "executable"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_Layouts_PJRT_Executable_GetOutputLayouts>(
                                state(), {.executable = executable.raw()}));
  return read_all(state(), args.layouts, args.num_outputs);
}
PJRT_CATCH

Result<std::vector<Layout>> Layouts::parameter_layouts(const Executable& executable) const try {
  PJRT_CHECK(check_same_plugin(executable.plugin(), "executable"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_Layouts_PJRT_Executable_GetParameterLayouts>(
                                state(), {.executable = executable.raw()}));
  return read_all(state(), args.layouts, args.num_parameters);
}
PJRT_CATCH

}  // namespace pjrt::ext
