#include "pjrt/ext/executable_metadata.hpp"

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

Result<std::string> ExecutableMetadata::serialized_metadata(const Executable& executable) const try {
  PJRT_CHECK(check_same_plugin(executable.plugin(), "executable"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_ExecutableMetadata_GetExecutableMetadata>(
                                state(), {.executable = executable.raw(), .metadata = nullptr}));
  if (args.metadata == nullptr) return std::string();
  std::string bytes(pjrt::detail::text(args.metadata->serialized_metadata, args.metadata->serialized_metadata_size));
  pjrt::detail::call_extension_quietly<fn::PJRT_ExecutableMetadata_DestroySerializedMetadata>(
      state(), {.metadata = args.metadata});
  return bytes;
}
PJRT_CATCH

}  // namespace pjrt::ext
