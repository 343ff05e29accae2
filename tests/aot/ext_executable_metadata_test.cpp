// What libtpu notes of a program it compiled.

#include "pjrt/ext/executable_metadata.hpp"

#include <gtest/gtest.h>

#include <string>

#include "aot/targets.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using ext::ExecutableMetadata;
using test::value_of;

TEST(TpuExecutableMetadata, IsAMessageGivenBackToThePlugin) {
  REQUIRE_PLUGIN("tpu");
  const Plugin tpu = test::counted_plugin("tpu");
  const Executable add = value_of(compile(test::tpu_v4(tpu), Program::mlir(test::kAdd)));
  const std::string bytes = value_of(value_of(tpu.extension<ExecutableMetadata>()).serialized_metadata(add));
  EXPECT_FALSE(test::read_wire(bytes).empty());
  EXPECT_EQ(test::calls_of("tpu", "PJRT_ExecutableMetadata_DestroySerializedMetadata"), 1);
}

TEST(TpuExecutableMetadata, IsTheSameForTheSameProgram) {
  REQUIRE_PLUGIN("tpu");
  const Plugin tpu = test::counted_plugin("tpu");
  const ExecutableMetadata metadata = value_of(tpu.extension<ExecutableMetadata>());
  const auto of = [&](const char* program) {
    return value_of(metadata.serialized_metadata(value_of(compile(test::tpu_v4(tpu), Program::mlir(program)))));
  };
  EXPECT_EQ(of(test::kAdd), of(test::kAdd));
  EXPECT_NE(of(test::kAdd), of(test::kDouble));
}

}  // namespace
}  // namespace pjrt
