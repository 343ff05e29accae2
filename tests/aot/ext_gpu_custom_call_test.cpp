// Custom calls made known to the CUDA plugin, without a GPU.

#include "pjrt/ext/gpu_custom_call.hpp"

#include <gtest/gtest.h>

#include "aot/targets.hpp"
#include "plugin/ffi_handlers.hpp"
#include "support/call_counter.hpp"

namespace pjrt {
namespace {

using ext::GpuCustomCall;
using test::value_of;

void untyped(void*, void**, const char*, std::size_t) {}
void other_untyped(void*, void**, const char*, std::size_t) {}

GpuCustomCall::UntypedFunction as_untyped(void (*function)(void*, void**, const char*, std::size_t)) {
  return reinterpret_cast<GpuCustomCall::UntypedFunction>(function);
}

class GpuCustomCalls : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cuda"); }

  std::int64_t registrations() const { return test::calls_of("cuda", "PJRT_Gpu_Register_Custom_Call"); }

  Plugin cuda = test::counted_plugin("cuda");
  GpuCustomCall calls = value_of(cuda.extension<GpuCustomCall>());
};

TEST_F(GpuCustomCalls, TypedHandlerIsFoundByTheCompiler) {
  EXPECT_ERROR(compile(test::h100(cuda), Program::mlir(test::kCallNothing)), NotFound, "pjrt_test_nothing");
  ASSERT_OK(calls.register_typed("pjrt_test_nothing", {.execute = test::do_nothing}));
  EXPECT_OK(compile(test::h100(cuda), Program::mlir(test::kCallNothing)));
}

TEST_F(GpuCustomCalls, TypedHandlerNeedsItsExecuteStage) {
  EXPECT_ERROR(calls.register_typed("incomplete", {.prepare = test::do_nothing}), InvalidArgument,
               "an execute handler");
  EXPECT_EQ(registrations(), 0);
}

TEST_F(GpuCustomCalls, UntypedFunctionMayBeRegisteredAgain) {
  ASSERT_OK(calls.register_untyped("twice", as_untyped(untyped)));
  EXPECT_OK(calls.register_untyped("twice", as_untyped(untyped)));
  EXPECT_EQ(registrations(), 1);
}

TEST_F(GpuCustomCalls, AnotherFunctionOfTheSameNameIsRefusedByUs) {  // the plugin would end the process
  ASSERT_OK(calls.register_untyped("taken", as_untyped(untyped)));
  EXPECT_ERROR(calls.register_untyped("taken", as_untyped(other_untyped)), AlreadyExists,
               "'taken' stands for another function");
  EXPECT_EQ(registrations(), 1);
}

TEST_F(GpuCustomCalls, NamelessAndNullAreRefusedByUs) {
  EXPECT_ERROR(calls.register_untyped("", as_untyped(untyped)), InvalidArgument, "a name and a function");
  EXPECT_ERROR(calls.register_untyped("null", nullptr), InvalidArgument, "a name and a function");
  EXPECT_ERROR(calls.register_typed("", {.execute = test::do_nothing}), InvalidArgument, "a name");
  EXPECT_EQ(registrations(), 0);
}

}  // namespace
}  // namespace pjrt
