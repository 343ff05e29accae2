// A session as an object: moves, bound inputs beside runs, what is missing.

#include "pjrt/model/session.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;

static_assert(!std::is_copy_constructible_v<Session> && !std::is_copy_assignable_v<Session>);
static_assert(std::is_nothrow_move_constructible_v<Session> && std::is_nothrow_move_assignable_v<Session>);

HostBuffer array(std::vector<float> values) {
  const auto size = static_cast<std::int64_t>(values.size());
  return value_of(HostBuffer::from_vector(std::move(values), {size}));
}

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cpu"); }
  static Session open(std::string text) {
    SessionOptions options;
    options.plugin = value_of(Plugin::load(test::plugin_file("cpu")->string()));
    return value_of(Session::open(model::Model::from_program(Program::mlir(std::move(text))), options));
  }
  /// x + y.
  static Session sum() {
    return open(
        "func.func @main(%x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2xf32> {"
        " %z = stablehlo.add %x, %y : tensor<2xf32> return %z : tensor<2xf32> }");
  }
};

TEST_F(SessionTest, IsEmptyAfterAMove) {
  Session from = sum();
  const Session to = std::move(from);
  EXPECT_EQ(value_of(value_of(to.run({{"arg0", array({1, 2})}, {"arg1", array({3, 4})}}))[0].to_vector<float>()),
            (std::vector<float>{4, 6}));

  EXPECT_TRUE(from.inputs().empty());
  EXPECT_TRUE(from.outputs().empty());
  EXPECT_EQ(from.client(), Client::none());
  EXPECT_EQ(from.executable().state().get(), nullptr);
  EXPECT_TRUE(from.model().program().code().empty());
  EXPECT_ERROR(from.find_input("arg0"), FailedPrecondition, "Session");
  EXPECT_ERROR(from.find_output("out0"), FailedPrecondition, "Session");
  EXPECT_ERROR(from.bind("arg0", array({1, 2})), FailedPrecondition, "Session");
  EXPECT_ERROR(from.run(NamedArrays{}), FailedPrecondition, "Session");
  EXPECT_ERROR(from.run(std::vector<std::optional<HostBuffer>>(2)), FailedPrecondition, "Session");
}

TEST_F(SessionTest, OutputsAreEmptyAfterAMoveAndBehindTheEnd) {
  const Session session = sum();
  SessionOutputs outputs = value_of(session.run({{"arg0", array({1, 2})}, {"arg1", array({3, 4})}}));
  EXPECT_EQ(outputs[1].element_count(), 0);
  EXPECT_EQ(outputs[~std::size_t{0}].element_count(), 0);
  EXPECT_EQ(outputs.value(1).path, "");
  EXPECT_ERROR(outputs["out7"].to_vector<float>(), NotFound, "out7");

  const SessionOutputs to = std::move(outputs);
  EXPECT_EQ(to.size(), 1u);
  EXPECT_EQ(outputs.size(), 0u);
  EXPECT_EQ(outputs[0].element_count(), 0);
  EXPECT_EQ(outputs.value(0).path, "");
  EXPECT_EQ(outputs.begin(), outputs.end());
  EXPECT_ERROR(outputs.find("out0"), FailedPrecondition, "SessionOutputs");
  EXPECT_ERROR(outputs["out0"].to_vector<float>(), FailedPrecondition, "SessionOutputs");
  EXPECT_ERROR(outputs["out0"].span<float>(), FailedPrecondition, "SessionOutputs");
}

TEST_F(SessionTest, OutputsOfATemporaryCanBeTakenByValue) {
  const Session session = sum();
  const NamedArrays inputs = {{"arg0", array({1, 2})}, {"arg1", array({3, 4})}};
  const HostBuffer by_position = value_of(session.run(inputs))[0];
  const HostBuffer by_name = value_of(value_of(session.run(inputs))["out0"].array());
  EXPECT_EQ(value_of(by_position.to_vector<float>()), (std::vector<float>{4, 6}));
  EXPECT_EQ(value_of(by_name.to_vector<float>()), (std::vector<float>{4, 6}));
}

// A run has the array that was bound when it began, whole.
TEST_F(SessionTest, BindsWhileItRuns) {
  Session session = sum();
  ASSERT_TRUE(session.bind("arg1", array({0, 0})));
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        const auto outputs = session.run({{"arg0", array({1, 1})}});
        const auto values = outputs ? (*outputs)[0].to_vector<float>() : Result<std::vector<float>>({-1, -2});
        if (!values || (*values)[0] != (*values)[1] || (*values)[0] < 1) ++wrong;
      }
    });
  }
  for (int i = 1; i <= 200; ++i) {
    const auto value = static_cast<float>(i);
    EXPECT_TRUE(session.bind("arg1", array({value, value})));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(value_of(value_of(session.run({{"arg0", array({1, 1})}}))[0].to_vector<float>()),
            (std::vector<float>{201, 201}));
}

TEST_F(SessionTest, NamesAllInputsThatAreMissingAtOnce) {
  const Session session = open(
      "func.func @main(%a: tensor<1xf32>, %b: tensor<2xf32>, %c: tensor<3xf32>) -> tensor<2xf32> {"
      " return %b : tensor<2xf32> }");
  EXPECT_ERROR(session.run({{"arg1", array({1, 2})}}), InvalidArgument, "inputs are missing: arg0");
  EXPECT_ERROR(session.run({{"arg1", array({1, 2})}}), InvalidArgument, "f32[1]; arg2");
  EXPECT_ERROR(session.run({{"arg0", array({1})}, {"arg2", array({1, 2, 3})}}), InvalidArgument, "input arg1");
}

TEST_F(SessionTest, RunsAProgramWithoutInputs) {
  const Session session = open(
      "func.func @main() -> tensor<2xf32> {"
      " %c = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf32> return %c : tensor<2xf32> }");
  EXPECT_EQ(value_of(value_of(session.run({}))["out0"].to_vector<float>()), (std::vector<float>{1, 2}));
}

TEST_F(SessionTest, NamesAHandfulOfManyMissingInputs) {
  std::string parameters;
  for (int i = 0; i < 40; ++i) parameters += (i == 0 ? "%x" : ", %x") + std::to_string(i) + ": tensor<f32>";
  const Session session = open("func.func @main(" + parameters + ") -> tensor<f32> { return %x0 : tensor<f32> }");
  const Result<SessionOutputs> outputs = session.run(NamedArrays{});
  EXPECT_ERROR(outputs, InvalidArgument, "arg4");
  EXPECT_ERROR(outputs, InvalidArgument, "; and 35 more");
}

}  // namespace
}  // namespace pjrt
