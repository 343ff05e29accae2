#pragma once

#include <cstdint>

#include "pjrt/buffer.hpp"
#include "pjrt/device.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt::ext {

/// A stream of the platform (cudaStream_t, hipStream_t) as a number.
using StreamHandle = std::intptr_t;

/// Order between the plugin's work and streams of one's own.
class PJRT_EXPORT Stream : public Extension {
  PJRT_EXTENSION(Stream, 3)

  /// The device's stream on which to put work that the plugin shall wait for. Belongs to the plugin. Wraps
  /// PJRT_Get_Stream_For_External_Ready_Events.
  Result<StreamHandle> stream_for_external_ready_events(const Device& device) const;
  /// Lets a stream wait, on the device, until the buffer's contents are there. Wraps
  /// PJRT_Wait_Until_Buffer_Ready_On_Stream.
  [[nodiscard]] Result<void> wait_until_buffer_ready(StreamHandle stream, const Buffer& buffer) const;
};

}  // namespace pjrt::ext
