#include "pjrt/ext/multi_slice.hpp"

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/handle_errors.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;
using pjrt::detail::call_extension;

namespace {

std::unexpected<Error> moved_from() {
  return std::unexpected(pjrt::detail::moved_from("multi-slice config"));
}

}  // namespace

MultiSliceConfig::~MultiSliceConfig() {
  if (raw_ != nullptr) call_extension_quietly<fn::PJRT_MultiSlice_Config_Destroy>(*plugin_, {.config = raw_});
}

Result<int> MultiSliceConfig::num_slices() const try {
  if (raw_ == nullptr) return moved_from();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_MultiSlice_Config_NumSlices>(*plugin_, {.config = raw_}));
  return args.num_slices;
}
PJRT_CATCH

Result<int> MultiSliceConfig::slice_id() const try {
  if (raw_ == nullptr) return moved_from();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_MultiSlice_Config_SliceId>(*plugin_, {.config = raw_}));
  return args.slice_id;
}
PJRT_CATCH

Result<std::map<int, int>> MultiSliceConfig::num_devices_per_slice() const try {
  if (raw_ == nullptr) return moved_from();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_MultiSlice_Config_NumDevicesPerSlice>(*plugin_, {.config = raw_}));
  std::map<int, int> devices;
  for (std::size_t i = 0; i < args.num_devices_per_slice_map; ++i)
    devices.emplace(args.slice_ids[i], args.num_devices[i]);
  if (args.devices_per_slice_map_deleter != nullptr && args.devices_per_slice_map != nullptr)
    args.devices_per_slice_map_deleter(args.devices_per_slice_map);
  return devices;
}
PJRT_CATCH

Result<std::string> MultiSliceConfig::serialize() const try {
  if (raw_ == nullptr) return moved_from();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_MultiSlice_Config_Serialize>(*plugin_, {.config = raw_}));
  return std::string(pjrt::detail::own_bytes(*plugin_, args.serialized, args.size, args.serialized_config,
                                             args.serialized_config_deleter)
                         .text());
}
PJRT_CATCH

}  // namespace pjrt::ext
