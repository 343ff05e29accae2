// Custom calls written in C++, run by CPU plugins.

#include "pjrt/ext/ffi.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/ffi_handlers.hpp"
#include "support/call_counter.hpp"
#include "support/eventually.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using ext::Ffi;
using test::value_of;
using Floats = std::vector<float>;

/// What handlers find as user data.
struct Scale {
  float factor = 1;
};

std::int64_t scale_type_id = 0;

abi::XLA_FFI_Error* twice_plus_one(abi::XLA_FFI_CallFrame* frame) {
  if (test::answers_metadata(frame)) return nullptr;
  const auto x = test::floats(test::argument(frame, 0));
  const auto y = test::floats(test::result(frame, 0));
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = 2 * x[i] + 1;
  return nullptr;
}

abi::XLA_FFI_Error* scale(abi::XLA_FFI_CallFrame* frame) {
  if (test::answers_metadata(frame)) return nullptr;
  abi::XLA_FFI_TypeId type{scale_type_id};
  abi::XLA_FFI_ExecutionContext_Get_Args get{};
  get.struct_size = sizeof get;
  get.ctx = frame->ctx;
  get.type_id = &type;
  if (abi::XLA_FFI_Error* error = frame->api->XLA_FFI_ExecutionContext_Get(&get)) return error;
  if (get.data == nullptr) return test::fail(frame, abi::XLA_FFI_Error_Code_NOT_FOUND, "no scale");
  const auto x = test::floats(test::argument(frame, 0));
  const auto y = test::floats(test::result(frame, 0));
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = static_cast<Scale*>(get.data)->factor * x[i];
  return nullptr;
}

abi::XLA_FFI_Error* out_of_range(abi::XLA_FFI_CallFrame* frame) {
  if (test::answers_metadata(frame)) return nullptr;
  return test::fail(frame, abi::XLA_FFI_Error_Code_OUT_OF_RANGE, "three is too many");
}

abi::XLA_FFI_Error* of_the_future(abi::XLA_FFI_CallFrame* frame) {
  (void)test::answers_metadata(frame, 99);
  return nullptr;
}

class FfiExtension : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  LoadedExecutable program(const std::string& target) const {
    return value_of(client.compile(Program::mlir(test::call_of(target))));
  }
  Buffer one_two_three() const { return value_of(client.upload(Floats{1, 2, 3}, {3})); }
  /// The error of an execution, wherever it comes out.
  static Result<void> outcome(Result<Outputs> outputs) {
    if (!outputs) return std::unexpected(std::move(outputs).error());
    return outputs->await();
  }

  Plugin plugin = test::counted_plugin(GetParam());
  Client client = test::make_client(plugin);
  Ffi ffi = value_of(plugin.extension<Ffi>());
};

INSTANTIATE_TEST_SUITE_P(Matrix, FfiExtension, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(FfiExtension, HandlerComputesAResult) {
  ASSERT_OK(ffi.register_handler("pjrt_test_twice_plus_one", "Host", twice_plus_one));
  const Outputs outputs = value_of(program("pjrt_test_twice_plus_one")(one_two_three()));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{3, 5, 7}));
}

TEST_P(FfiExtension, HandlersErrorIsTheExecutions) {
  ASSERT_OK(ffi.register_handler("pjrt_test_out_of_range", "Host", out_of_range));
  const Result<void> failed = outcome(program("pjrt_test_out_of_range")(one_two_three()));
  ASSERT_FALSE(failed.has_value());
  EXPECT_NE(to_string(failed.error()).find("three is too many"), std::string::npos) << failed.error();
}

TEST_P(FfiExtension, UnknownTargetFailsTheCompilation) {
  EXPECT_FALSE(client.compile(Program::mlir(test::call_of("pjrt_test_nobody"))).has_value());
}

TEST_P(FfiExtension, HandlerOfANewerVersionIsAcceptedAndNotFound) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the plugin leaks the handler that it refuses";
#endif
  ASSERT_OK(ffi.register_handler("pjrt_test_future", "Host", of_the_future));
  EXPECT_FALSE(client.compile(Program::mlir(test::call_of("pjrt_test_future"))).has_value());
}

TEST_P(FfiExtension, UserDataReachTheHandler) {
  const ext::FfiType<Scale> type = value_of(ffi.register_type<Scale>("pjrt_test_scale"));
  scale_type_id = type.id;
  ASSERT_OK(ffi.register_handler("pjrt_test_scale", "Host", scale));
  const LoadedExecutable executable = program("pjrt_test_scale");
  const Buffer x = one_two_three();
  const std::vector<Argument> arguments{x};
  for (const float factor : {10.f, -1.f}) {
    const ExecuteContext context = value_of(ExecuteContext::create(plugin));
    ASSERT_OK(ffi.add_user_data(context, type, std::make_shared<Scale>(Scale{factor})));
    const Outputs outputs = value_of(executable.execute(arguments, {.context = context}));
    EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{factor, 2 * factor, 3 * factor}));
  }
}

TEST_P(FfiExtension, UserDataOutliveTheExecutionAndNotTheContext) {
  const ext::FfiType<Scale> type = value_of(ffi.register_type<Scale>("pjrt_test_scale"));
  scale_type_id = type.id;
  ASSERT_OK(ffi.register_handler("pjrt_test_scale", "Host", scale));
  auto data = std::make_shared<Scale>(Scale{3});
  const std::weak_ptr<Scale> watched = data;
  {
    const LoadedExecutable executable = program("pjrt_test_scale");
    const Buffer x = one_two_three();
    std::vector<Outputs> outputs;
    {
      const ExecuteContext context = value_of(ExecuteContext::create(plugin));
      ASSERT_OK(ffi.add_user_data(context, type, std::move(data)));
      outputs.push_back(value_of(executable.execute(std::vector<Argument>{x}, {.context = context})));
      EXPECT_FALSE(watched.expired());
    }
    EXPECT_EQ(value_of(outputs[0][0].to_vector<float>()), (Floats{3, 6, 9}));
  }
  EXPECT_TRUE(test::becomes_true([&] { return watched.expired(); }));
}

TEST_P(FfiExtension, HandlerThatMissesItsDataFails) {
  scale_type_id = value_of(ffi.register_type<Scale>("pjrt_test_scale")).id;
  ASSERT_OK(ffi.register_handler("pjrt_test_scale", "Host", scale));
  const ExecuteContext without =
      value_of(ExecuteContext::create(plugin));  // without any, the plugin would read a null pointer
  const Buffer x = one_two_three();
  EXPECT_FALSE(outcome(program("pjrt_test_scale").execute(std::vector<Argument>{x}, {.context = without})).has_value());
}

TEST_P(FfiExtension, NamesOfTypesAreTakenOnce) {
  const ext::FfiType<Scale> first = value_of(ffi.register_type<Scale>("pjrt_test_once"));
  EXPECT_FALSE(ffi.register_type<Scale>("pjrt_test_once").has_value());
  EXPECT_NE(value_of(ffi.register_type<Scale>("pjrt_test_other")).id, first.id);
}

TEST_P(FfiExtension, WhatIsNoHandlerIsRefusedByUs) {
  EXPECT_ERROR(ffi.register_handler("pjrt_test_null", "Host", nullptr), InvalidArgument,
               "the handler of 'pjrt_test_null' is null");
  EXPECT_ERROR(ffi.register_handler("", "Host", twice_plus_one), InvalidArgument, "a target name");
  EXPECT_ERROR(ffi.register_handler("pjrt_test_nowhere", "", twice_plus_one), InvalidArgument, "a platform");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_FFI_Register_Handler"), 0);
}

TEST_P(FfiExtension, NullUserDataAreRefusedByUs) {
  const ExecuteContext context = value_of(ExecuteContext::create(plugin));
  EXPECT_ERROR(ffi.add_user_data(context, ext::FfiType<Scale>{1}, std::shared_ptr<Scale>()), InvalidArgument,
               "the user data is null");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_FFI_UserData_Add"), 0);
}

}  // namespace
}  // namespace pjrt
