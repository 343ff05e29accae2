// Custom calls and user data made known to libtpu and the CUDA plugin, without a device.

#include "pjrt/ext/ffi.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "aot/targets.hpp"
#include "plugin/ffi_handlers.hpp"
#include "support/call_counter.hpp"

namespace pjrt {
namespace {

using ext::Ffi;
using test::value_of;

struct Settings {
  int value = 0;
};

TEST(CudaFfi, HandlerIsFoundByTheCompilerOnceItIsRegistered) {
  REQUIRE_PLUGIN("cuda");
  const Plugin cuda = test::counted_plugin("cuda");
  EXPECT_ERROR(compile(test::h100(cuda), Program::mlir(test::kCallNothing)), NotFound, "pjrt_test_nothing");
  ASSERT_OK(value_of(cuda.extension<Ffi>()).register_handler("pjrt_test_nothing", "CUDA", test::do_nothing));
  EXPECT_OK(compile(test::h100(cuda), Program::mlir(test::kCallNothing)));
}

TEST(CudaFfi, UserDataLiveAsLongAsTheContext) {
  REQUIRE_PLUGIN("cuda");
  const Plugin cuda = test::counted_plugin("cuda");
  const Ffi ffi = value_of(cuda.extension<Ffi>());
  const ext::FfiType<Settings> type = value_of(ffi.register_type<Settings>("pjrt_test_settings"));
  auto settings = std::make_shared<Settings>();
  const std::weak_ptr<Settings> watched = settings;
  {
    const ExecuteContext context = value_of(ExecuteContext::create(cuda));
    ASSERT_OK(ffi.add_user_data(context, type, std::move(settings)));
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST(CudaFfi, ContextOfAnotherPluginIsRefused) {
  REQUIRE_PLUGIN("cuda");
  REQUIRE_PLUGIN("cpu");
  const Ffi ffi = value_of(test::counted_plugin("cuda").extension<Ffi>());
  const ExecuteContext context = value_of(ExecuteContext::create(test::counted_plugin("cpu")));
  EXPECT_ERROR(ffi.add_user_data(context, ext::FfiType<Settings>{1}, std::make_shared<Settings>()), InvalidArgument,
               "the execute context belongs to plugin cpu");
  EXPECT_EQ(test::calls_of("cuda", "PJRT_FFI_UserData_Add"), 0);
}

TEST(TpuFfi, TypesAreNumberedAndTheirNamesTaken) {
  REQUIRE_PLUGIN("tpu");
  const Ffi ffi = value_of(test::counted_plugin("tpu").extension<Ffi>());
  const ext::FfiType<Settings> one = value_of(ffi.register_type<Settings>("pjrt_test_one"));
  const ext::FfiType<std::string> other = value_of(ffi.register_type<std::string>("pjrt_test_other"));
  EXPECT_NE(one.id, other.id);
  EXPECT_FALSE(ffi.register_type<Settings>("pjrt_test_one").has_value());
}

TEST(TpuFfi, HandlersAreAccepted) {
  REQUIRE_PLUGIN("tpu");
  EXPECT_OK(value_of(test::counted_plugin("tpu").extension<Ffi>())
                .register_handler("pjrt_test_nothing", "TPU", test::do_nothing));
}

TEST(TpuFfi, ThereAreNoExecuteContexts) {
  REQUIRE_PLUGIN("tpu");
  EXPECT_ERROR(ExecuteContext::create(test::counted_plugin("tpu")), Unimplemented, "");
}

}  // namespace
}  // namespace pjrt
