#include "pjrt/ext/extension.hpp"

#include <algorithm>
#include <string>

#include "core/plugin_state.hpp"
#include "core/try.hpp"
#include "pjrt/client.hpp"

namespace pjrt::ext {
namespace {

/// Which plugins have been seen with an extension (API 0.81 to 0.117).
std::string_view known_carriers(int type) {
  switch (type) {
    case abi::PJRT_Extension_Type_Layouts:
    case abi::PJRT_Extension_Type_FFI:
    case abi::PJRT_Extension_Type_MemoryDescriptions:
      return "CPU, TPU and CUDA plugins have it";
    case abi::PJRT_Extension_Type_Shardings:
    case abi::PJRT_Extension_Type_XlaTransform:
      return "newer CPU, TPU and CUDA plugins have it";
    case abi::PJRT_Extension_Type_PhaseCompile:
      return "CPU and TPU plugins have it";
    case abi::PJRT_Extension_Type_Profiler:
    case abi::PJRT_Extension_Type_CrossHostTransfers:
    case abi::PJRT_Extension_Type_AbiVersion:
      return "TPU and CUDA plugins have it";
    case abi::PJRT_Extension_Type_Gpu_Custom_Call:
    case abi::PJRT_Extension_Type_Custom_Partitioner:
    case abi::PJRT_Extension_Type_Stream:
      return "GPU plugins have it";
    case abi::PJRT_Extension_Type_RawBuffer:
    case abi::PJRT_Extension_Type_Callback:
    case abi::PJRT_Extension_Type_ExecutableMetadata:
    case abi::PJRT_Extension_Type_TpuTopology:
    case abi::PJRT_Extension_Type_TpuExecutable:
    case abi::PJRT_Extension_Type_Megascale:
    case abi::PJRT_Extension_Type_Collectives:
    case abi::PJRT_Extension_Type_MultiSlice:
    case abi::PJRT_Extension_Type_HostMemoryAllocator:
      return "libtpu has it";
    default:
      return "no plugin this library was tried with has it";
  }
}

}  // namespace

Result<void> Extension::check(const Plugin& plugin, int type) try {
  if (plugin.state().extension_copies[static_cast<std::size_t>(type)] != nullptr) return {};
  const abi::ExtensionType& known = abi::extension_types[static_cast<std::size_t>(type)];
  return std::unexpected(Error(ErrorCode::Unimplemented,
                               "plugin " + plugin.description() + " (API " + to_string(plugin.api_version()) +
                                   ") has no " + known.name + " extension; " + std::string(known_carriers(type))));
}
PJRT_CATCH

Result<void> Extension::check_same_plugin(const Plugin& other, std::string_view what) const try {
  if (other == plugin()) return {};
  return std::unexpected(Error(ErrorCode::InvalidArgument, "the " + std::string(what) + " belongs to plugin " +
                                                               other.description() + ", the extension to plugin " +
                                                               plugin().description()));
}
PJRT_CATCH

Plugin Extension::plugin_of(const Client& client) noexcept {
  return client.plugin();
}

const ExtensionInfo& Extension::info() const noexcept {
  const auto extensions = plugin().extensions();
  return *std::ranges::find(extensions, type_, &ExtensionInfo::type);
}

}  // namespace pjrt::ext
