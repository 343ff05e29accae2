// Whether the registry is right about extensions: every function is told that its arguments are one byte long, and the
// plugin's refusal says which function it is and how long they ought to be. Nothing of ours but the slots is in
// between.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aot/targets.hpp"
#include "core/call.hpp"
#include "pjrt/abi/functions.hpp"

namespace pjrt {
namespace {

template <class...>
struct List {};

/// Functions that do not look at the size, and would read null pointers.
bool looks_at_size(std::string_view function) {
  return function != "PJRT_Transfers_PJRT_Client_CrossHostSendBuffers";
}

/// What plugins call the arguments of functions that are named otherwise in the table.
const std::map<std::string_view, std::string> kOtherNames = {
    {"PJRT_Transfers_PJRT_Client_MakeCrossHostReceiveBuffers", "PJRT_Client_MakeCrossHostReceiveBuffers_Args"},
    {"PJRT_PhaseCompile_Get_PhaseNames", "PJRT_PhaseCompile_Get_Phase_Names_Args"},
    {"PJRT_Register_Callback", "PJRT_Callback_RegisterCallback_Args"},
    {"PJRT_TpuTopology_ProcIdAndIdxOnProcForLogiDevice",
     "PJRT_TpuTopology_ProcessIdAndIndexOnProcessForLogiDeviceOfDefaultType_Args"},
};

/// What plugins want where it is not what API 0.114 has: less of older callers, or more since.
const std::map<std::string_view, std::size_t> kOtherSizes = {
    {"PJRT_Transfers_PJRT_Client_MakeCrossHostReceiveBuffers", 104},
    {"PJRT_Transfers_PJRT_Client_CrossHostReceiveBuffers", 96},
    {"PJRT_Megascale_ClientContext_Initialize", 32},
};

template <class F>
void expect_refusal(const Plugin& plugin, std::vector<std::string_view>& asked) {
  using Args = typename F::Args;
  if constexpr (F::fallible && abi::struct_size<Args> != 0) {
    const auto* extension =
        plugin.state().extension<typename F::Extension>(abi::extension_type_of<typename F::Extension>);
    const std::string_view function = F::info.function;
    if (extension == nullptr || extension->*F::slot == nullptr || !looks_at_size(function)) return;
    detail::Padded<Args> padded;
    padded.args.struct_size = 1;
    abi::PJRT_Error* raw = (extension->*F::slot)(&padded.args);
    ASSERT_NE(raw, nullptr) << function;
    const Error error = detail::take_error(plugin.state(), raw, function);
    const auto name = kOtherNames.find(function);
    const auto size = kOtherSizes.find(function);
    const std::string wanted =
        "Unexpected " + (name != kOtherNames.end() ? name->second : std::string(function) + "_Args") +
        " size: expected " + std::to_string(size != kOtherSizes.end() ? size->second : abi::struct_size<Args>) +
        ", got 1";
    EXPECT_EQ(error.code(), ErrorCode::InvalidArgument) << function;
    const bool transform = function.find("Xla_Transform") != std::string_view::npos;  // says no more than this
    EXPECT_EQ(error.message().substr(0, transform ? 19 : wanted.size()), transform ? "Invalid struct_size" : wanted);
    asked.push_back(function);
  }
}

template <class... F>
std::size_t expect_refusals(const std::string& name, List<F...>) {
  const Plugin plugin = test::counted_plugin(name);
  std::vector<std::string_view> asked;
  (expect_refusal<F>(plugin, asked), ...);
  return asked.size();
}

TEST(ExtensionSlots, OfLibtpuAreWhatTheRegistrySays) {
  REQUIRE_PLUGIN("tpu");
  EXPECT_GE(expect_refusals("tpu", abi::extension_functions_of<List>()), 110u);
}

TEST(ExtensionSlots, OfTheCudaPluginAreWhatTheRegistrySays) {
  REQUIRE_PLUGIN("cuda");
  EXPECT_GE(expect_refusals("cuda", abi::extension_functions_of<List>()), 34u);
}

TEST(ExtensionSlots, OfTheCpuPluginAreWhatTheRegistrySays) {
  REQUIRE_PLUGIN("cpu");
  EXPECT_GE(expect_refusals("cpu", abi::extension_functions_of<List>()), 18u);
}

}  // namespace
}  // namespace pjrt
