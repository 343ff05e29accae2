// How a program for several TPUs or GPUs that are not here cuts its arrays.

#include "pjrt/ext/shardings.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "aot/targets.hpp"
#include "pjrt/ext/ffi.hpp"
#include "pjrt/sharding.hpp"
#include "plugin/ffi_handlers.hpp"
#include "plugin/programs.hpp"

namespace pjrt {
namespace {

using test::value_of;

std::vector<Sharding> parse_all(const std::optional<std::vector<std::string>>& protos, std::size_t rank) {
  std::vector<Sharding> all;
  for (const std::string& proto : protos.value()) all.push_back(value_of(Sharding::parse(proto, rank)));
  return all;
}

TEST(TpuShardings, PartitionedProgramTellsHowItsArraysAreCut) {
  REQUIRE_PLUGIN("tpu");
  const Plugin tpu = test::counted_plugin("tpu");
  const ext::Shardings shardings = value_of(tpu.extension<ext::Shardings>());
  const Executable program = value_of(
      compile(test::tpu_v4(tpu), Program::mlir(test::kShardedAdd), CompileOptions{}.num_partitions(4).use_spmd(true)));
  const Sharding rows = value_of(Sharding::parse_text("{devices=[4,1]<=[4]}", 2));
  EXPECT_EQ(parse_all(value_of(shardings.parameter_shardings(program)), 2),
            (std::vector{rows, Sharding::replicated()}));
  EXPECT_EQ(parse_all(value_of(shardings.output_shardings(program)), 2), std::vector{rows});
}

TEST(TpuShardings, ProgramOfOneDeviceHasNone) {
  REQUIRE_PLUGIN("tpu");
  const Plugin tpu = test::counted_plugin("tpu");
  const ext::Shardings shardings = value_of(tpu.extension<ext::Shardings>());
  const Executable program = value_of(compile(test::tpu_v4(tpu), Program::mlir(test::kAdd)));
  EXPECT_EQ(value_of(shardings.parameter_shardings(program)), std::nullopt);
  EXPECT_EQ(value_of(shardings.output_shardings(program)), std::nullopt);
}

TEST(CudaShardings, ProgramOfOneDeviceHasNone) {
  REQUIRE_PLUGIN("cuda");
  const Plugin cuda = test::counted_plugin("cuda");
  // A program of custom calls only: the plugin compiles it without NVIDIA's assembler.
  ASSERT_OK(value_of(cuda.extension<ext::Ffi>()).register_handler("pjrt_test_nothing", "CUDA", test::do_nothing));
  const Executable program = value_of(compile(test::h100(cuda), Program::mlir(test::kCallNothing)));
  const ext::Shardings shardings = value_of(cuda.extension<ext::Shardings>());
  EXPECT_EQ(value_of(shardings.parameter_shardings(program)), std::nullopt);
  EXPECT_EQ(value_of(shardings.output_shardings(program)), std::nullopt);
}

}  // namespace
}  // namespace pjrt
