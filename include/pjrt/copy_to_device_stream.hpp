#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "pjrt/chunk.hpp"
#include "pjrt/error.hpp"
#include "pjrt/event.hpp"
#include "pjrt/export.hpp"

namespace pjrt {

namespace abi {
struct PJRT_CopyToDeviceStream;
}

namespace detail {
struct PluginState;
}

/// What a receive callback fills: a stream of chunks to the device. Owned by the callback, which may keep it and fill
/// it later, from any thread. Move-only.
class PJRT_EXPORT CopyToDeviceStream {
 public:
  CopyToDeviceStream(CopyToDeviceStream&& other) noexcept
      : plugin_(other.plugin_), raw_(std::exchange(other.raw_, nullptr)) {}
  CopyToDeviceStream& operator=(CopyToDeviceStream&& other) noexcept {
    CopyToDeviceStream taken(std::move(other));  // what this one had goes now
    std::swap(plugin_, taken.plugin_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_CopyToDeviceStream_Destroy.
  ~CopyToDeviceStream();

  /// Hands a chunk over, memory and all; ready when it is on the device. Its size must be a multiple of the granule,
  /// and the sum may not pass total_bytes: InvalidArgument. Wraps PJRT_CopyToDeviceStream_AddChunk.
  Event add_chunk(Chunk chunk);
  /// The bytes that the stream takes altogether. Wraps PJRT_CopyToDeviceStream_TotalBytes.
  Result<std::int64_t> total_bytes() const;
  /// Wraps PJRT_CopyToDeviceStream_GranuleSize.
  Result<std::int64_t> granule_size() const;
  /// The bytes added so far. Wraps PJRT_CopyToDeviceStream_CurrentBytes.
  Result<std::int64_t> current_bytes() const;

  /// For the library itself; owns `raw`.
  CopyToDeviceStream(const detail::PluginState* plugin, abi::PJRT_CopyToDeviceStream* raw) noexcept
      : plugin_(plugin), raw_(raw) {}

 private:
  const detail::PluginState* plugin_;
  abi::PJRT_CopyToDeviceStream* raw_;
};

}  // namespace pjrt
