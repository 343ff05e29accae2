#include "pjrt/ext/host_allocator.hpp"

#include <bit>
#include <string>

#include "core/call.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

namespace {

std::unexpected<Error> nothing_allocated(std::size_t size) {
  return std::unexpected(
      Error(ErrorCode::ResourceExhausted, "the plugin gave no host memory for " + std::to_string(size) + " bytes"));
}

}  // namespace

Result<std::size_t> HostAllocator::preferred_alignment(const Client& client) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_HostAllocator_GetPreferredAlignment>(
                                state(), {.client = client.raw()}));
  return args.preferred_alignment;
}
PJRT_CATCH

Result<HostMemory> HostAllocator::allocate(const Client& client, std::size_t size, std::size_t alignment) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  if (!std::has_single_bit(alignment))
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "an alignment is a power of two, not " + std::to_string(alignment)));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_HostAllocator_Allocate>(
                                state(), {.client = client.raw(), .size = size, .alignment = alignment}));
  if (args.ptr == nullptr) return nothing_allocated(size);
  std::shared_ptr<void> owner(args.ptr, [client](void* p) {
    pjrt::detail::call_extension_quietly<fn::PJRT_HostAllocator_Free>(client.plugin().state(),
                                                                      {.client = client.raw(), .ptr = p});
  });
  return HostMemory(std::move(owner), {static_cast<std::byte*>(args.ptr), size});
}
PJRT_CATCH

Result<HostMemory> HostMemoryAllocator::allocate(const Client& client, std::size_t size, int numa_node) const try {
  PJRT_CHECK(check_same_plugin(client.plugin(), "client"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_HostMemoryAllocator_Allocate>(
                                state(), {.client = client.raw(), .size = size, .numa_node = numa_node}));
  if (args.ptr == nullptr) return nothing_allocated(size);
  std::shared_ptr<void> owner(args.ptr, [client, deleter = args.deleter, arg = args.deleter_arg](void* p) {
    if (deleter != nullptr) deleter(p, arg);
  });
  return HostMemory(std::move(owner), {reinterpret_cast<std::byte*>(args.ptr), size});
}
PJRT_CATCH

}  // namespace pjrt::ext
