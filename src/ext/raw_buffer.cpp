#include "pjrt/ext/raw_buffer.hpp"

#include <string>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/event_state.hpp"
#include "core/handle_errors.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

Result<RawBuffer> RawBuffers::create_raw_alias(const Buffer& buffer) const try {
  PJRT_TRY(const pjrt::detail::BufferState* b, pjrt::detail::live(buffer));
  PJRT_CHECK(check_same_plugin(Plugin(b->client->plugin), "buffer"));
  PJRT_TRY(const auto args,
           pjrt::detail::call_extension<fn::PJRT_RawBuffer_CreateRawAliasOfBuffer>(state(), {.buffer = b->raw}));
  return RawBuffer(buffer.state(), args.raw_buffer);
}
PJRT_CATCH

RawBuffer::~RawBuffer() {
  if (raw_ != nullptr)
    pjrt::detail::call_extension_quietly<fn::PJRT_RawBuffer_Destroy>(buffer_->plugin(), {.buffer = raw_});
}

Result<std::size_t> RawBuffer::on_device_size() const try {
  if (raw_ == nullptr) return std::unexpected(pjrt::detail::moved_from("raw buffer"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_RawBuffer_GetOnDeviceSizeInBytes>(buffer_->plugin(),
                                                                                                    {.buffer = raw_}));
  return args.on_device_size_in_bytes;
}
PJRT_CATCH

Result<Memory> RawBuffer::memory_space() const try {
  if (raw_ == nullptr) return std::unexpected(pjrt::detail::moved_from("raw buffer"));
  PJRT_TRY(const auto args,
           pjrt::detail::call_extension<fn::PJRT_RawBuffer_GetMemorySpace>(buffer_->plugin(), {.buffer = raw_}));
  const auto it = buffer_->client->memory_by_raw.find(args.memory_space);
  if (it == buffer_->client->memory_by_raw.end())
    return std::unexpected(Error(ErrorCode::Internal, "the plugin names a memory that none of its devices has"));
  return Memory(buffer_->client, it->second);
}
PJRT_CATCH

Result<void*> RawBuffer::host_pointer() const try {
  if (raw_ == nullptr) return std::unexpected(pjrt::detail::moved_from("raw buffer"));
  PJRT_TRY(const auto args,
           pjrt::detail::call_extension<fn::PJRT_RawBuffer_GetHostPointer>(buffer_->plugin(), {.buffer = raw_}));
  return args.host_pointer;
}
PJRT_CATCH

Result<void> RawBuffer::check(std::size_t size, std::int64_t offset) const try {
  PJRT_TRY(const std::size_t whole, on_device_size());
  if (offset >= 0 && static_cast<std::size_t>(offset) <= whole && size <= whole - static_cast<std::size_t>(offset))
    return {};
  return std::unexpected(Error(ErrorCode::InvalidArgument, std::to_string(size) + " bytes at offset " +
                                                               std::to_string(offset) + " do not lie in a buffer of " +
                                                               std::to_string(whole)));
}
PJRT_CATCH

Event RawBuffer::copy_host_to_device(std::span<const std::byte> bytes, std::int64_t offset) const try {
  if (auto ok = check(bytes.size(), offset); !ok) return Event::ready(std::move(ok));
  auto args = pjrt::detail::call_extension<fn::PJRT_RawBuffer_CopyRawHostToDevice>(
      buffer_->plugin(), {.buffer = raw_,
                          .src = bytes.data(),
                          .offset = offset,
                          .transfer_size = static_cast<std::int64_t>(bytes.size())});
  if (!args) return Event::ready(std::unexpected(std::move(args).error()));
  return pjrt::detail::make_transfer_event(buffer_->plugin(), buffer_->client, args->event);
}
PJRT_CATCH_EVENT

Event RawBuffer::copy_device_to_host(std::span<std::byte> bytes, std::int64_t offset) const try {
  if (auto ok = check(bytes.size(), offset); !ok) return Event::ready(std::move(ok));
  auto args = pjrt::detail::call_extension<fn::PJRT_RawBuffer_CopyRawDeviceToHost>(
      buffer_->plugin(), {.buffer = raw_,
                          .dst = bytes.data(),
                          .offset = offset,
                          .transfer_size = static_cast<std::int64_t>(bytes.size())});
  if (!args) return Event::ready(std::unexpected(std::move(args).error()));
  return pjrt::detail::make_transfer_event(buffer_->plugin(), buffer_->client, args->event);
}
PJRT_CATCH_EVENT

}  // namespace pjrt::ext
