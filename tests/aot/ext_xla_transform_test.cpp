// Functions of ours inside the compilers for TPUs and GPUs.

#include "pjrt/ext/xla_transform.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "aot/targets.hpp"
#include "pjrt/ext/ffi.hpp"
#include "plugin/ffi_handlers.hpp"
#include "plugin/programs.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using ext::XlaTransform;
using test::value_of;
using Rewritten = Result<std::optional<std::string>>;
using Stage = XlaTransform::Stage;

class TpuTransforms : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }

  Result<Executable> compile_add() const { return compile(test::tpu_v4(tpu), Program::mlir(test::kAdd)); }

  Plugin tpu = test::counted_plugin("tpu");
  XlaTransform transforms = value_of(tpu.extension<XlaTransform>());
};

TEST_F(TpuTransforms, SeeTheModuleThatIsCompiled) {
  std::string module;
  ASSERT_OK(transforms.register_transform("look", Stage::PreScheduler, [&](std::string_view hlo) -> Rewritten {
    module = hlo;
    return std::nullopt;
  }));
  ASSERT_OK(compile_add());
  EXPECT_EQ(test::only_bytes(module, 1), "add");  // HloModuleProto.name
}

TEST_F(TpuTransforms, OfTheSameNameRunInTheOrderTheyCame) {
  std::string order;
  for (const char mark : {'1', '2'}) {
    ASSERT_OK(transforms.register_transform("same", Stage::PreScheduler, [&order, mark](std::string_view) -> Rewritten {
      order += mark;
      return std::nullopt;
    }));
  }
  ASSERT_OK(compile_add());
  EXPECT_EQ(std::exchange(order, ""), "12");
  EXPECT_TRUE(value_of(transforms.clear_transform("same", Stage::PreScheduler)));
  ASSERT_OK(compile_add());
  EXPECT_EQ(order, "2");
}

TEST_F(TpuTransforms, ClearedAreNotCalled) {
  int calls = 0;
  ASSERT_OK(transforms.register_transform("count", Stage::PostScheduler, [&](std::string_view) -> Rewritten {
    ++calls;
    return std::nullopt;
  }));
  ASSERT_OK(compile_add());
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(value_of(transforms.clear_transform("count", Stage::PreScheduler)));  // another stage
  EXPECT_TRUE(value_of(transforms.clear_transform("count", Stage::PostScheduler)));
  EXPECT_FALSE(value_of(transforms.clear_transform("count", Stage::PostScheduler)));
  ASSERT_OK(compile_add());
  EXPECT_EQ(calls, 1);
}

TEST_F(TpuTransforms, ExceptionFailsTheCompilation) {
  ASSERT_OK(transforms.register_transform(
      "throw", Stage::PreScheduler, [](std::string_view) -> Rewritten { throw std::runtime_error("not today"); }));
  EXPECT_ERROR(compile_add(), Internal, "the transform threw: not today");
}

TEST_F(TpuTransforms, BytesThatAreNoModuleFailTheCompilation) {
  ASSERT_OK(transforms.register_transform("break", Stage::PreScheduler,
                                          [](std::string_view) -> Rewritten { return "\xff\xff"; }));
  EXPECT_ERROR(compile_add(), Internal, "parse");
}

TEST(CudaTransforms, SeeTheModuleThatIsCompiled) {
  REQUIRE_PLUGIN("cuda");
  const Plugin cuda = test::counted_plugin("cuda");
  const XlaTransform transforms = value_of(cuda.extension<XlaTransform>());
  ASSERT_OK(value_of(cuda.extension<ext::Ffi>()).register_handler("pjrt_test_nothing", "CUDA", test::do_nothing));
  std::string module;
  ASSERT_OK(transforms.register_transform("look", Stage::PreScheduler, [&](std::string_view hlo) -> Rewritten {
    module = hlo;
    return std::nullopt;
  }));
  ASSERT_OK(compile(test::h100(cuda), Program::mlir(test::kCallNothing)));
  EXPECT_EQ(test::only_bytes(module, 1), "call_nothing");
  EXPECT_TRUE(value_of(transforms.clear_transform("look", Stage::PreScheduler)));
}

}  // namespace
}  // namespace pjrt
