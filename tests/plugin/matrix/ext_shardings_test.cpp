// How a program on four CPU devices cuts its arrays, by the Shardings extension.

#include "pjrt/ext/shardings.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using ext::Shardings;
using test::value_of;

class ShardingsExtension : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  static std::vector<Sharding> parse_all(const std::optional<std::vector<std::string>>& protos) {
    std::vector<Sharding> all;
    for (const std::string& proto : protos.value()) all.push_back(value_of(Sharding::parse(proto, 2)));
    return all;
  }

  Client client = test::make_client(test::counted_plugin(GetParam()), 4);
};

INSTANTIATE_TEST_SUITE_P(Matrix, ShardingsExtension, ::testing::Values("cpu", "cpu-0.106"));  // since API 0.91

TEST_P(ShardingsExtension, PartitionedProgramTellsHowItsArraysAreCut) {
  const Shardings shardings = value_of(client.plugin().extension<Shardings>());
  const LoadedExecutable program =
      value_of(client.compile(Program::mlir(test::kShardedAdd), CompileOptions{}.num_partitions(4).use_spmd(true)));
  const Sharding rows = value_of(Sharding::parse_text("{devices=[4,1]<=[4]}", 2));
  EXPECT_EQ(parse_all(value_of(shardings.parameter_shardings(program.executable()))),
            (std::vector{rows, Sharding::replicated()}));
  EXPECT_EQ(parse_all(value_of(shardings.output_shardings(program.executable()))), std::vector{rows});
}

TEST_P(ShardingsExtension, ProgramOfOneDeviceHasNone) {
  const Shardings shardings = value_of(client.plugin().extension<Shardings>());
  const LoadedExecutable program = value_of(client.compile(Program::mlir(test::kAdd)));
  EXPECT_EQ(value_of(shardings.parameter_shardings(program.executable())), std::nullopt);
  EXPECT_EQ(value_of(shardings.output_shardings(program.executable())), std::nullopt);
}

TEST_P(ShardingsExtension, ProgramOfAnotherPluginIsRefused) {
  const std::string other = GetParam() == "cpu" ? "cpu-0.106" : "cpu";
  REQUIRE_PLUGIN(other);
  const Client stranger = test::make_client(test::counted_plugin(other));
  const LoadedExecutable program = value_of(stranger.compile(Program::mlir(test::kAdd)));
  const Shardings shardings = value_of(client.plugin().extension<Shardings>());
  EXPECT_ERROR(shardings.parameter_shardings(program.executable()), InvalidArgument,
               "the executable belongs to plugin " + other);
  EXPECT_ERROR(shardings.output_shardings(program.executable()), InvalidArgument,
               "the executable belongs to plugin " + other);
}

}  // namespace
}  // namespace pjrt
