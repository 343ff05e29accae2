// The Gpu_Custom_Call extension.

#include <gtest/gtest.h>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/gpu_custom_call.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

void first() {}
void second() {}
abi::XLA_FFI_Error* instantiate(abi::XLA_FFI_CallFrame*) {
  return nullptr;
}
abi::XLA_FFI_Error* prepare(abi::XLA_FFI_CallFrame*) {
  return nullptr;
}
abi::XLA_FFI_Error* initialize(abi::XLA_FFI_CallFrame*) {
  return nullptr;
}
abi::XLA_FFI_Error* execute(abi::XLA_FFI_CallFrame*) {
  return nullptr;
}

class ExtGpuCustomCall : public test::OnFake {
 protected:
  ExtGpuCustomCall() {
    fake.on<fn::PJRT_Gpu_Register_Custom_Call>([this](auto& a) {
      seen = a;
      name.assign(a.function_name, a.function_name_size);
    });
  }
  // A plugin of its own for each test: names that are taken stay so for the life of the process.
  const ext::GpuCustomCall calls = value_of(ext::GpuCustomCall::of(with_table({})));
  abi::PJRT_Gpu_Register_Custom_Call_Args seen{};
  std::string name;
};

TEST_F(ExtGpuCustomCall, UntypedOnesAreRegisteredWithApiVersion0) {
  EXPECT_OK(calls.register_untyped("call", first));
  EXPECT_EQ(seen.struct_size, 64u);
  EXPECT_EQ(name, "call");
  EXPECT_EQ(seen.api_version, 0);
  EXPECT_EQ(seen.handler_execute, reinterpret_cast<void*>(&first));
  EXPECT_EQ(seen.handler_instantiate, nullptr);
}

TEST_F(ExtGpuCustomCall, TypedOnesAreRegisteredWithApiVersion1AndAllStages) {
  EXPECT_OK(calls.register_typed("call", {instantiate, prepare, initialize, execute}));
  EXPECT_EQ(seen.api_version, 1);
  EXPECT_EQ(seen.handler_instantiate, reinterpret_cast<void*>(&instantiate));
  EXPECT_EQ(seen.handler_prepare, reinterpret_cast<void*>(&prepare));
  EXPECT_EQ(seen.handler_initialize, reinterpret_cast<void*>(&initialize));
  EXPECT_EQ(seen.handler_execute, reinterpret_cast<void*>(&execute));
}

TEST_F(ExtGpuCustomCall, TypedOnesNeedOnlyExecute) {
  EXPECT_OK(calls.register_typed("call", {.execute = execute}));
  EXPECT_EQ(seen.handler_instantiate, nullptr);
  EXPECT_ERROR(calls.register_typed("call", {.instantiate = instantiate}), InvalidArgument, "an execute handler");
  EXPECT_ERROR(calls.register_typed("", {.execute = execute}), InvalidArgument, "a name");
}

// The plugin ends the process at that.
TEST_F(ExtGpuCustomCall, ANameThatStandsForAnotherFunctionIsRefusedBeforeThePluginIsAsked) {
  EXPECT_OK(calls.register_untyped("call", first));
  EXPECT_ERROR(calls.register_untyped("call", second), AlreadyExists, "'call' stands for another function already");
  EXPECT_OK(calls.register_untyped("call", first));
  EXPECT_OK(calls.register_untyped("other call", second));
  EXPECT_EQ(calls_of("PJRT_Gpu_Register_Custom_Call"), 2u);
}

TEST_F(ExtGpuCustomCall, ANameThatThePluginRefusedIsNotTaken) {
  fake.fail<fn::PJRT_Gpu_Register_Custom_Call>(ErrorCode::Unimplemented, "API version 0");
  EXPECT_ERROR(calls.register_untyped("call", first), Unimplemented, "API version 0");
  EXPECT_ERROR(calls.register_typed("call", {.execute = execute}), Unimplemented, "API version 0");
  fake.on<fn::PJRT_Gpu_Register_Custom_Call>([](auto&) {});
  EXPECT_OK(calls.register_untyped("call", second));
}

TEST_F(ExtGpuCustomCall, OthersThatMakeNoSenseAreRefused) {
  EXPECT_ERROR(calls.register_untyped("", first), InvalidArgument, "a name and a function");
  EXPECT_ERROR(calls.register_untyped("call", nullptr), InvalidArgument, "a name and a function");
  EXPECT_EQ(calls_of("PJRT_Gpu_Register_Custom_Call"), 0u);
}

TEST_F(ExtGpuCustomCall, IsCountedOnTheWayToThePlugin) {
  const std::int64_t before = test::calls_of("fake-0.114", "PJRT_Gpu_Register_Custom_Call");
  EXPECT_OK(value_of(ext::GpuCustomCall::of(plugin)).register_typed("call", {.execute = execute}));
  EXPECT_EQ(test::calls_of("fake-0.114", "PJRT_Gpu_Register_Custom_Call"), before + 1);
}

// The CUDA plugin says 33 for a struct of 32 bytes; an old one might say 24.
TEST_F(ExtGpuCustomCall, TheSizeOfTheExtensionDecidesWhatItOffers) {
  EXPECT_OK(value_of(ext::GpuCustomCall::of(with_extension(0, 33))).register_typed("call", {.execute = execute}));
  EXPECT_ERROR(value_of(ext::GpuCustomCall::of(with_extension(0, 24))).register_typed("call", {.execute = execute}),
               Unimplemented,
               "PJRT_Gpu_Register_Custom_Call is not offered by the Gpu_Custom_Call extension of plugin odd");
}

}  // namespace
}  // namespace pjrt
