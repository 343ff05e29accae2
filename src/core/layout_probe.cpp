#include "core/layout_probe.hpp"

#include <array>

#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/convert.hpp"
#include "core/try.hpp"

namespace pjrt::detail {

namespace fn = abi::fn;

namespace {

using Six = std::array<std::int32_t, 6>;

Result<void> await(const PluginState& plugin, abi::PJRT_Event* event) {
  abi::PJRT_Event_Await_Args wait{};
  wait.event = event;
  Result<void> outcome = call<fn::PJRT_Event_Await>(plugin, wait);
  call_quietly<fn::PJRT_Event_Destroy>(plugin, {.event = event});
  return outcome;
}

Result<bool> experiment(const ClientState& client) {
  const PluginState& plugin = *client.plugin;
  if (client.addressable_devices.empty()) return false;
  const std::array<std::int64_t, 2> dims{2, 3};
  const Six rows{1, 2, 3, 4, 5, 6};
  const Six columns{1, 4, 2, 5, 3, 6};
  MemoryLayoutC column_major(Layout::column_major(2));
  MemoryLayoutC row_major(Layout::row_major(2));

  abi::PJRT_Client_BufferFromHostBuffer_Args upload{};
  upload.client = client.raw;
  upload.data = rows.data();
  upload.type = abi::PJRT_Buffer_Type_S32;
  upload.dims = dims.data();
  upload.num_dims = dims.size();
  upload.host_buffer_semantics = abi::PJRT_HostBufferSemantics_kImmutableOnlyDuringCall;
  upload.device = client.addressable_devices.front()->raw;
  upload.device_layout = column_major.get();
  if (!call<fn::PJRT_Client_BufferFromHostBuffer>(plugin, upload)) return false;
  struct Guard {
    const PluginState& plugin;
    abi::PJRT_Buffer* buffer;
    ~Guard() { call_quietly<fn::PJRT_Buffer_Destroy>(plugin, {.buffer = buffer}); }
  } const guard{plugin, upload.buffer};
  PJRT_CHECK(await(plugin, upload.done_with_host_buffer));

  Six stored{};
  PJRT_TRY(const auto raw,
           call<fn::PJRT_Buffer_CopyRawToHost>(
               plugin, {.buffer = upload.buffer, .dst = stored.data(), .offset = 0, .transfer_size = sizeof stored}));
  PJRT_CHECK(await(plugin, raw.event));
  Six read{};
  PJRT_TRY(
      const auto host,
      call<fn::PJRT_Buffer_ToHostBuffer>(
          plugin, {.src = upload.buffer, .host_layout = row_major.get(), .dst = read.data(), .dst_size = sizeof read}));
  PJRT_CHECK(await(plugin, host.event));
  return stored == columns && read == rows;
}

}  // namespace

Result<bool> honours_layouts(ClientState& client) {
  Verdict known = client.device_layouts.load(std::memory_order_acquire);
  if (known == Verdict::Unknown) {
    PJRT_TRY(const bool honoured, experiment(client));
    known = honoured ? Verdict::Honoured : Verdict::Ignored;
    client.device_layouts.store(known, std::memory_order_release);
  }
  return known == Verdict::Honoured;
}

Result<void> check_layout_of_new(ClientState& client, const Shape& shape, const MemoryLayout& layout) {
  const auto* order = std::get_if<Layout>(&layout);
  if (order == nullptr)
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "a new buffer's layout is an order of dimensions, not strides"));
  PJRT_CHECK(check_rank(shape, *order));
  if (order->is_row_major()) return {};
  if (client.is_cpu && !order->tiles().empty()) {
    return std::unexpected(
        Error(ErrorCode::Unimplemented, "CPU plugins have no tiled arrays such as " + pjrt::to_string(*order)));
  }
  PJRT_TRY(const bool honoured, honours_layouts(client));
  if (honoured) return {};
  return std::unexpected(
      Error(ErrorCode::Unimplemented, "plugin " + Plugin(client.plugin).description() +
                                          " does not honour layouts other than row-major: it records " +
                                          pjrt::to_string(*order) + " and leaves the bytes as they are"));
}

}  // namespace pjrt::detail
