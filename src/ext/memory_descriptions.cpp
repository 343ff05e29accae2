#include "pjrt/ext/memory_descriptions.hpp"

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

Result<DeviceMemoryDescriptions> MemoryDescriptions::memory_descriptions(const DeviceDescription& device) const try {
  PJRT_CHECK(check_same_plugin(Plugin(&device.plugin_state()), "device description"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_DeviceDescription_MemoryDescriptions>(
                                state(), {.device_description = device.raw()}));
  DeviceMemoryDescriptions all;
  for (std::size_t i = 0; i < args.num_memory_descriptions; ++i) {
    PJRT_TRY(const auto kind, pjrt::detail::call_extension<fn::PJRT_MemoryDescription_Kind>(
                                  state(), {.memory_description = args.memory_descriptions[i]}));
    all.descriptions.push_back({std::string(pjrt::detail::text(kind.kind, kind.kind_size)), kind.kind_id});
  }
  if (args.default_memory_index < all.descriptions.size()) all.default_index = args.default_memory_index;  // -1: none
  return all;
}
PJRT_CATCH

}  // namespace pjrt::ext
