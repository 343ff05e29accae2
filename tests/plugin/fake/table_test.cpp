// Tables of unusual shapes: null slots, wrong sizes, extensions that are shorter, longer or unknown.

#include <gtest/gtest.h>

#include <algorithm>

#include "core/call.hpp"
#include "fake_plugin/fixture.hpp"
#include "fake_plugin/subject.hpp"
#include "pjrt/version.hpp"

namespace pjrt {
namespace {

using test::value_of;

class Table : public test::OnFake {
 protected:
  Result<Plugin> adopt(const fake::TableOptions& options) { return Plugin::adopt(fake.table(options), "odd"); }

  static const ExtensionInfo* find(const Plugin& p, int type) {
    const auto it = std::ranges::find(p.extensions(), type, &ExtensionInfo::type);
    return it != p.extensions().end() ? &*it : nullptr;
  }
};

TEST_F(Table, OfAnotherMajorVersionIsRefused) {
  EXPECT_ERROR(adopt({.major = 1}), Unimplemented, "it has PJRT API 1.114; this library speaks major version 0");
}

TEST_F(Table, OfAVersionBefore57IsRefused) {
  EXPECT_ERROR(adopt({.minor = 56}), Unimplemented, "it has PJRT API 0.56; the oldest that can be used is 0.57");
}

TEST_F(Table, ThatEndsInItsVersionIsRefused) {
  EXPECT_ERROR(adopt({.struct_size = 24}), InvalidArgument,
               "its table is too small: 24 bytes, and the version alone ends at 40");
}

TEST_F(Table, SmallerThanItsVersionNeedsIsRefused) {
  // 40 bytes before the first of the 101 slots of 0.57.
  EXPECT_ERROR(adopt({.struct_size = 40 + 100 * 8}), InvalidArgument,
               "its table is too small: 840 bytes; PJRT API 0.114 has at least 848");
}

TEST_F(Table, WithoutTheFunctionsThatReadErrorsIsRefused) {
  for (const char* function : {"PJRT_Error_Destroy", "PJRT_Error_Message", "PJRT_Error_GetCode"}) {
    EXPECT_ERROR(adopt({.null_slots = {function}}), InvalidArgument, std::string("its table lacks ") + function);
  }
}

TEST_F(Table, ThatIsNullIsRefused) {
  EXPECT_ERROR(Plugin::adopt(nullptr, "odd"), InvalidArgument, "returns a null table");
}

TEST_F(Table, WhoseInitializationFailsIsRefusedWithThePluginsWords) {
  fake.fail<test::fn::PJRT_Plugin_Initialize>(ErrorCode::Unavailable, "no driver");
  const auto refused = adopt({});
  EXPECT_ERROR(refused, Unavailable, "no driver");
  EXPECT_ERROR(refused, Unavailable, "while initializing plugin odd");
}

TEST_F(Table, NewerThanThisLibraryIsUsed) {
  const Plugin p = value_of(adopt({.minor = 250, .struct_size = sizeof(abi::PJRT_Api) + 16}));
  EXPECT_EQ(p.api_version(), (Version{0, 250}));
  EXPECT_EQ(p.function_count(), 138);
  EXPECT_OK(p.attributes());
}

TEST_F(Table, SizesNeedNotBeWholeSlots) {
  const Plugin p = value_of(adopt({.struct_size = sizeof(abi::PJRT_Api) - 1}));
  EXPECT_EQ(p.function_count(), 137);
  EXPECT_FALSE(p.has_function("PJRT_TopologyDescription_GetMemorySpaceKindIds"));
}

TEST_F(Table, ANullSlotAnswersThatItIsMissing) {
  const Plugin p = value_of(adopt({.null_slots = {"PJRT_Plugin_Attributes"}}));
  EXPECT_EQ(p.absent_functions(), std::vector<std::string_view>{"PJRT_Plugin_Attributes"});
  EXPECT_ERROR(p.attributes(), Unimplemented, "PJRT_Plugin_Attributes is missing from the table of plugin odd");
}

TEST_F(Table, WithoutInitializeIsUsedUninitialized) {
  EXPECT_OK(adopt({.null_slots = {"PJRT_Plugin_Initialize"}}));
}

TEST_F(Table, ExtensionsAreAll23ThatAreKnown) {
  EXPECT_EQ(plugin.extensions().size(), 23u);
  EXPECT_TRUE(std::ranges::all_of(plugin.extensions(), &ExtensionInfo::known));
}

TEST_F(Table, ExtensionsStandInThePluginsOrder) {
  const Plugin p = value_of(adopt({.extensions = {{5, 24, 0}}}));
  ASSERT_EQ(p.extensions().size(), 3u);
  EXPECT_EQ(p.extensions()[0].name, "FFI");
  EXPECT_EQ(p.extensions()[1].name, "XlaTransform");
  EXPECT_EQ(p.extensions()[2].name, "Gpu_Custom_Call");
}

TEST_F(Table, UnknownExtensionsAreListedAndLeftAlone) {
  const Plugin p = value_of(adopt({.extensions = {{99, -3, 5, 10}}, .extension_sizes = {{99, 56}}}));
  ASSERT_EQ(p.extensions().size(), 4u);
  EXPECT_FALSE(p.extensions()[0].known);
  EXPECT_EQ(p.extensions()[0].name, "unknown");
  EXPECT_EQ(p.extensions()[0].struct_size, 56u);
  EXPECT_EQ(p.extensions()[0].unknown_functions, 4);  // (56 - 24) / 8
  EXPECT_FALSE(p.extensions()[1].known);
  EXPECT_FALSE(p.extensions()[3].known);  // a number that is reserved without a struct
  EXPECT_TRUE(p.has_extension_type(5));
}

// Layouts has 24 + 7 * 8 = 80 bytes; the CPU plugin of API 0.81 has 72.
TEST_F(Table, AShorterExtensionLacksItsLastFunctions) {
  const Plugin p = value_of(adopt({.extensions = {{4}}, .extension_sizes = {{4, 72}}}));
  EXPECT_EQ(find(p, 4)->functions, 6);
  auto there = test::with_subject<abi::PJRT_Layouts_PJRT_Executable_GetOutputLayouts_Args>();
  EXPECT_OK(detail::call_extension<test::fn::PJRT_Layouts_PJRT_Executable_GetOutputLayouts>(p.state(), there));
  abi::PJRT_Layouts_PJRT_Executable_GetParameterLayouts_Args absent{};
  EXPECT_ERROR(
      detail::call_extension<test::fn::PJRT_Layouts_PJRT_Executable_GetParameterLayouts>(p.state(), absent),
      Unimplemented,
      "PJRT_Layouts_PJRT_Executable_GetParameterLayouts is not offered by the Layouts extension of plugin odd");
}

// XlaTransform has 24 + 2 * 8 = 40 bytes here, and 56 in newer plugins.
TEST_F(Table, ALongerExtensionTellsHowManyFunctionsAreNotKnown) {
  const Plugin p = value_of(adopt({.extensions = {{24}}, .extension_sizes = {{24, 56}}}));
  EXPECT_EQ(find(p, 24)->functions, 2);
  EXPECT_EQ(find(p, 24)->unknown_functions, 2);
}

// One CUDA plugin says 33 for a struct of 32 bytes.
TEST_F(Table, AnExtensionsSizeNeedNotBeWholeSlots) {
  const Plugin longer = value_of(adopt({.extensions = {{0}}, .extension_sizes = {{0, 33}}}));
  EXPECT_EQ(find(longer, 0)->functions, 1);
  EXPECT_EQ(find(longer, 0)->unknown_functions, 0);
  const Plugin shorter = value_of(adopt({.extensions = {{0}}, .extension_sizes = {{0, 31}}}));
  EXPECT_EQ(find(shorter, 0)->functions, 0);
}

TEST_F(Table, ANullSlotOfAnExtensionIsNotOffered) {
  const Plugin p = value_of(adopt({.null_slots = {"PJRT_PhaseCompile_Get_Compiler"}, .extensions = {{9}}}));
  EXPECT_EQ(find(p, 9)->functions, 4);
  abi::PJRT_PhaseCompile_Get_Compiler_Args args{};
  EXPECT_ERROR(detail::call_extension<test::fn::PJRT_PhaseCompile_Get_Compiler>(p.state(), args), Unimplemented,
               "not offered by the PhaseCompile extension");
}

TEST_F(Table, AnExtensionThatIsNotThereIsNotOffered) {
  const Plugin p = value_of(adopt({.extensions = {{}}}));
  EXPECT_TRUE(p.extensions().empty());
  abi::PJRT_Triton_Compile_Args args{};
  EXPECT_ERROR(detail::call_extension<test::fn::PJRT_Triton_Compile>(p.state(), args), Unimplemented,
               "PJRT_Triton_Compile is not offered");
}

template <class... F>
struct EveryFunction {
  template <class Check>
  static void each(Check&& check) {
    (check.template operator()<F>(), ...);
  }
};

TEST_F(Table, EveryExtensionFunctionIsReachedAndItsErrorHandedOn) {
  int reached = 0;
  abi::extension_functions_of<EveryFunction>::each([&]<class F>() {
    ++reached;
    fake.on<F>([](auto&) {});
    auto args = test::with_subject<typename F::Args>();
    EXPECT_OK(detail::call_extension<F>(plugin.state(), args));
    EXPECT_EQ(fake.calls_of<F>().size(), 1u);
    if constexpr (F::fallible) {
      fake.fail<F>(ErrorCode::DataLoss, "lost");
      EXPECT_ERROR(detail::call_extension<F>(plugin.state(), args), DataLoss,
                   std::string("lost (") + F::info.function + ")");
    }
  });
  EXPECT_EQ(reached, 133);
}

// libtpu of API 0.117 wants 32 bytes where this library knows of 16.
TEST_F(Table, ArgumentsThatANewerExtensionWantsLargerAreSentLarger) {
  using Initialize = test::fn::PJRT_Megascale_ClientContext_Initialize;
  fake.wanted_sizes["PJRT_Megascale_ClientContext_Initialize"] = 32;
  auto args = test::with_subject<abi::PJRT_Megascale_ClientContext_Initialize_Args>();
  EXPECT_OK(detail::call_extension<Initialize>(plugin.state(), args));
  const auto calls = fake.calls_of<Initialize>();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].struct_size, 16u);
  EXPECT_EQ(calls[1].struct_size, 32u);
  for (const fake::Call& call : fake.calls()) {
    if (call.function != "PJRT_Megascale_ClientContext_Initialize" || call.bytes.size() < 32) continue;
    EXPECT_TRUE(std::all_of(call.bytes.begin() + 16, call.bytes.end(), [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST_F(Table, ArgumentsThatAreWantedFarLargerAreRefused) {
  fake.wanted_sizes["PJRT_Megascale_ClientContext_Initialize"] = 4000;
  auto args = test::with_subject<abi::PJRT_Megascale_ClientContext_Initialize_Args>();
  EXPECT_ERROR(detail::call_extension<test::fn::PJRT_Megascale_ClientContext_Initialize>(plugin.state(), args),
               InvalidArgument, "expected 4000, got 16");
}

}  // namespace
}  // namespace pjrt
