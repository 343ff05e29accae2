#include "pjrt/ext/shardings.hpp"

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

namespace {

std::optional<std::vector<std::string>> copy(const char* const* texts, const std::size_t* sizes, std::size_t count) {
  if (texts == nullptr || sizes == nullptr) return std::nullopt;
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.emplace_back(pjrt::detail::text(texts[i], sizes[i]));
  return all;
}

}  // namespace

Result<std::optional<std::vector<std::string>>> Shardings::parameter_shardings(const Executable& executable) const try {
  PJRT_CHECK(check_same_plugin(executable.plugin(), "executable"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_Shardings_PJRT_Executable_ParameterShardings>(
                                state(), {.executable = executable.raw()}));
  return copy(args.shardings, args.sharding_sizes, args.num_parameters);
}
PJRT_CATCH

Result<std::optional<std::vector<std::string>>> Shardings::output_shardings(const Executable& executable) const try {
  PJRT_CHECK(check_same_plugin(executable.plugin(), "executable"));
  PJRT_TRY(const auto args, pjrt::detail::call_extension<fn::PJRT_Shardings_PJRT_Executable_OutputShardings>(
                                state(), {.executable = executable.raw()}));
  return copy(args.shardings, args.sharding_sizes, args.num_outputs);
}
PJRT_CATCH

}  // namespace pjrt::ext
