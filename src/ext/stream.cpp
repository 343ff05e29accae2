#include "pjrt/ext/stream.hpp"

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

Result<StreamHandle> Stream::stream_for_external_ready_events(const Device& device) const try {
  PJRT_CHECK(check_same_plugin(Plugin(device.client_state()->plugin), "device"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_Get_Stream_For_External_Ready_Events>(
                                state(), {.device = device.raw()}));
  return args.stream;
}
PJRT_CATCH

Result<void> Stream::wait_until_buffer_ready(StreamHandle stream, const Buffer& buffer) const try {
  PJRT_TRY(const pjrt::detail::BufferState* b, pjrt::detail::live(buffer));
  PJRT_CHECK(check_same_plugin(Plugin(b->client->plugin), "buffer"));
  abi::PJRT_Wait_Until_Buffer_Ready_On_Stream_Args args{};
  args.stream = stream;
  args.buffer = b->raw;
  return pjrt::detail::call_extension<fn::PJRT_Wait_Until_Buffer_Ready_On_Stream>(state(), args);
}
PJRT_CATCH

}  // namespace pjrt::ext
