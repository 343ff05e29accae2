#include "pjrt/copy_to_device_stream.hpp"

#include "core/call.hpp"
#include "core/event_state.hpp"
#include "core/try.hpp"

namespace pjrt {

namespace fn = abi::fn;

CopyToDeviceStream::~CopyToDeviceStream() {
  if (raw_ != nullptr) detail::call_quietly<fn::PJRT_CopyToDeviceStream_Destroy>(*plugin_, {.stream = raw_});
}

Result<std::int64_t> CopyToDeviceStream::total_bytes() const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_CopyToDeviceStream_TotalBytes>(*plugin_, {.stream = raw_}));
  return args.total_bytes;
}
PJRT_CATCH

Result<std::int64_t> CopyToDeviceStream::granule_size() const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_CopyToDeviceStream_GranuleSize>(*plugin_, {.stream = raw_}));
  return args.granule_size_in_bytes;
}
PJRT_CATCH

Result<std::int64_t> CopyToDeviceStream::current_bytes() const try {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_CopyToDeviceStream_CurrentBytes>(*plugin_, {.stream = raw_}));
  return args.current_bytes;
}
PJRT_CATCH

Event CopyToDeviceStream::add_chunk(Chunk chunk) try {
  const auto check = [&]() -> Result<void> {
    PJRT_TRY(const std::int64_t granule, granule_size());
    PJRT_TRY(const std::int64_t total, total_bytes());
    PJRT_TRY(const std::int64_t current, current_bytes());
    const auto size = static_cast<std::int64_t>(chunk.size());
    if (granule > 0 && size % granule != 0) {
      return std::unexpected(Error(ErrorCode::InvalidArgument, "a chunk of " + std::to_string(size) +
                                                                   " bytes is not a multiple of the granule of " +
                                                                   std::to_string(granule)));
    }
    if (size > total - current) {
      return std::unexpected(Error(ErrorCode::InvalidArgument, "a chunk of " + std::to_string(size) + " bytes after " +
                                                                   std::to_string(current) + " of " +
                                                                   std::to_string(total)));
    }
    return {};
  };
  if (auto ok = check(); !ok) return Event::ready(std::move(ok));

  // The plugin owns the chunk's memory from here on, also if the call fails, and gives it back through the deleter.
  auto owner = std::make_unique<Chunk>(std::move(chunk));
  abi::PJRT_Chunk c{};
  c.data = const_cast<std::byte*>(owner->bytes().data());
  c.size = owner->size();
  c.deleter = [](void*, void* user) {
    const detail::InCallback here;
    delete static_cast<Chunk*>(user);
  };
  c.deleter_arg = owner.release();
  auto args = detail::call<fn::PJRT_CopyToDeviceStream_AddChunk>(*plugin_, {.stream = raw_, .chunk = &c});
  if (!args) return Event::ready(std::unexpected(std::move(args).error()));
  return detail::make_event(*plugin_, {}, args->transfer_complete);
}
PJRT_CATCH_EVENT

}  // namespace pjrt
