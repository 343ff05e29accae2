// Functions of ours inside the CPU compiler: what they change is seen in the numbers.

#include "pjrt/ext/xla_transform.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using ext::XlaTransform;
using test::value_of;
using Floats = std::vector<float>;
using Rewritten = Result<std::optional<std::string>>;
using Stage = XlaTransform::Stage;

/// x + {10, 20, 30}.
constexpr const char* kAddConstant = R"(
module @add_constant {
  func.func public @main(%x: tensor<3xf32>) -> tensor<3xf32> {
    %c = stablehlo.constant dense<[10.0, 20.0, 30.0]> : tensor<3xf32>
    %sum = stablehlo.add %x, %c : tensor<3xf32>
    return %sum : tensor<3xf32>
  }
})";

/// The elements as a literal of the module has them.
std::string literal(const Floats& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// Ten times the constant of kAddConstant; other modules stay as they are.
Rewritten tenfold(std::string_view module) {
  const std::size_t at = module.find(literal({10, 20, 30}));
  if (at == std::string_view::npos) return std::nullopt;
  std::string rewritten(module);
  rewritten.replace(at, 3 * sizeof(float), literal({100, 200, 300}));
  return rewritten;
}

class Transforms : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cpu"); }

  Result<LoadedExecutable> compile() const { return client.compile(Program::mlir(kAddConstant)); }
  Floats run(const LoadedExecutable& program) const {
    const Outputs outputs = value_of(program(value_of(client.upload(Floats{1, 2, 3}, {3}))));
    return value_of(outputs[0].to_vector<float>());
  }

  Client client = test::make_client(test::counted_plugin("cpu"));
  XlaTransform transforms = value_of(client.plugin().extension<XlaTransform>());
};

TEST_F(Transforms, BeforeSchedulingChangeTheNumbers) {
  EXPECT_EQ(run(value_of(compile())), (Floats{11, 22, 33}));
  ASSERT_OK(transforms.register_transform("tenfold", Stage::PreScheduler, tenfold));
  EXPECT_EQ(run(value_of(compile())), (Floats{101, 202, 303}));
}

TEST_F(Transforms, AfterSchedulingChangeTheNumbers) {
  ASSERT_OK(transforms.register_transform("tenfold", Stage::PostScheduler, tenfold));
  EXPECT_EQ(run(value_of(compile())), (Floats{101, 202, 303}));
}

TEST_F(Transforms, ClearedLeaveTheNumbersAlone) {
  ASSERT_OK(transforms.register_transform("tenfold", Stage::PreScheduler, tenfold));
  const LoadedExecutable changed = value_of(compile());
  EXPECT_TRUE(value_of(transforms.clear_transform("tenfold", Stage::PreScheduler)));
  EXPECT_EQ(run(value_of(compile())), (Floats{11, 22, 33}));
  EXPECT_EQ(run(changed), (Floats{101, 202, 303}));  // compiled is compiled
}

TEST_F(Transforms, ThatGiveNothingLeaveTheProgramAsItIs) {
  int calls = 0;
  ASSERT_OK(transforms.register_transform("look", Stage::PreScheduler, [&](std::string_view module) -> Rewritten {
    EXPECT_EQ(test::only_bytes(module, 1), "add_constant");  // HloModuleProto.name
    ++calls;
    return std::nullopt;
  }));
  EXPECT_EQ(run(value_of(compile())), (Floats{11, 22, 33}));
  EXPECT_EQ(calls, 1);
}

TEST_F(Transforms, BeforeSchedulingComeBeforeThoseAfter) {
  std::string order;
  const auto note = [&order](char mark) {
    return [&order, mark](std::string_view) -> Rewritten {
      order += mark;
      return std::nullopt;
    };
  };
  ASSERT_OK(transforms.register_transform("same", Stage::PostScheduler, note('c')));
  ASSERT_OK(transforms.register_transform("same", Stage::PreScheduler, note('a')));
  ASSERT_OK(transforms.register_transform("same", Stage::PreScheduler, note('b')));
  ASSERT_OK(compile());
  EXPECT_EQ(order, "abc");
}

TEST_F(Transforms, OfTheSameNameAreClearedOneByOne) {
  ASSERT_OK(transforms.register_transform("twice", Stage::PreScheduler, tenfold));
  ASSERT_OK(transforms.register_transform("twice", Stage::PreScheduler, tenfold));
  EXPECT_TRUE(value_of(transforms.clear_transform("twice", Stage::PreScheduler)));
  EXPECT_EQ(run(value_of(compile())), (Floats{101, 202, 303}));
  EXPECT_TRUE(value_of(transforms.clear_transform("twice", Stage::PreScheduler)));
  EXPECT_FALSE(value_of(transforms.clear_transform("twice", Stage::PreScheduler)));
  EXPECT_EQ(run(value_of(compile())), (Floats{11, 22, 33}));
}

TEST_F(Transforms, ErrorFailsTheCompilationWithItsMessage) {
  ASSERT_OK(transforms.register_transform("refuse", Stage::PreScheduler, [](std::string_view) -> Rewritten {
    return std::unexpected(Error(ErrorCode::Aborted, "not this one"));
  }));
  const Result<LoadedExecutable> failed = compile();
  ASSERT_FALSE(failed.has_value());
  EXPECT_NE(failed.error().message().find("not this one"), std::string_view::npos) << failed.error();
}

TEST_F(Transforms, ExceptionFailsTheCompilation) {
  for (const Stage stage : {Stage::PreScheduler, Stage::PostScheduler}) {
    ASSERT_OK(transforms.register_transform(
        "throw", stage, [](std::string_view) -> Rewritten { throw std::runtime_error("not today"); }));
    EXPECT_ERROR(compile(), Internal, "the transform threw: not today");
    ASSERT_OK(transforms.clear_transform("throw", stage));
  }
  EXPECT_OK(compile());
}

TEST_F(Transforms, ThrownThingsThatAreNoExceptionsFailTheCompilation) {
  ASSERT_OK(
      transforms.register_transform("throw", Stage::PreScheduler, [](std::string_view) -> Rewritten { throw 42; }));
  EXPECT_ERROR(compile(), Internal, "not a std::exception");
}

TEST_F(Transforms, BytesThatAreNoModuleFailTheCompilation) {
  ASSERT_OK(transforms.register_transform("break", Stage::PreScheduler,
                                          [](std::string_view) -> Rewritten { return "\xff\xff"; }));
  EXPECT_ERROR(compile(), Internal, "parse");
}

TEST_F(Transforms, AreCalledInEveryCompilationAtOnce) {
  std::atomic<int> calls{0};
  ASSERT_OK(transforms.register_transform("count", Stage::PreScheduler, [&](std::string_view module) -> Rewritten {
    ++calls;
    return tenfold(module);
  }));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5; ++n) EXPECT_EQ(run(value_of(compile())), (Floats{101, 202, 303}));
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(calls, 20);
}

TEST_F(Transforms, NamelessAndEmptyAreRefusedByUs) {
  EXPECT_ERROR(transforms.register_transform("", Stage::PreScheduler, tenfold), InvalidArgument,
               "a name and a function");
  EXPECT_ERROR(transforms.register_transform("empty", Stage::PreScheduler, nullptr), InvalidArgument,
               "a name and a function");
  EXPECT_ERROR(transforms.clear_transform("", Stage::PreScheduler), InvalidArgument, "a name");
  EXPECT_EQ(test::calls_of("cpu", "PJRT_Register_Xla_Transform_Fn"), 0);
}

}  // namespace
}  // namespace pjrt
