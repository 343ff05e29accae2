// Configurations of several TPU slices, which ext::Megascale makes, without a TPU.

#include "pjrt/ext/multi_slice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "aot/targets.hpp"
#include "pjrt/ext/megascale.hpp"
#include "plugin/programs.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using ext::MultiSliceConfig;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::Pair;

class TpuMultiSlice : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }

  const Plugin tpu = test::counted_plugin("tpu");
  const Topology topology = test::tpu_v4(tpu);  // 8 devices
  const ext::Megascale megascale = value_of(tpu.extension<ext::Megascale>());
};

TEST_F(TpuMultiSlice, TellsTheSlicesAndTheirDevices) {
  const MultiSliceConfig config = value_of(megascale.create_aot_config(topology, 3));
  EXPECT_EQ(value_of(config.num_slices()), 3);
  EXPECT_EQ(value_of(config.slice_id()), 0);
  EXPECT_THAT(value_of(config.num_devices_per_slice()), ElementsAre(Pair(0, 8), Pair(1, 8), Pair(2, 8)));
  EXPECT_EQ(config.plugin(), tpu);
}

TEST_F(TpuMultiSlice, TellsWhichSliceThisIs) {
  const auto context = value_of(megascale.create_default_client_context());
  const MultiSliceConfig config =
      value_of(megascale.create_multi_slice_config(topology, {.num_slices = 2, .local_slice_id = 1}, context));
  EXPECT_EQ(value_of(config.num_slices()), 2);
  EXPECT_EQ(value_of(config.slice_id()), 1);
}

TEST_F(TpuMultiSlice, SerializedIsGoodToCompileWith) {
  const std::string bytes = value_of(value_of(megascale.create_aot_config(topology, 2)).serialize());
  EXPECT_FALSE(bytes.empty());
  const Executable e = value_of(
      compile(topology, Program::mlir(test::kAdd), CompileOptions{}.num_replicas(2).multi_slice_config(bytes)));
  EXPECT_EQ(test::only_bytes(value_of(e.compile_options()).serialize(), 6),
            bytes);  // CompileOptionsProto.serialized_multi_slice_config
}

TEST_F(TpuMultiSlice, BytesThatAreNoConfigFailTheCompilation) {
  EXPECT_FALSE(
      compile(topology, Program::mlir(test::kAdd), CompileOptions{}.num_replicas(2).multi_slice_config("\xff\xff")));
}

TEST_F(TpuMultiSlice, AConfigThatWasMovedFromRefusesEverything) {
  MultiSliceConfig config = value_of(megascale.create_aot_config(topology, 2));
  const MultiSliceConfig moved = std::move(config);
  EXPECT_ERROR(config.num_slices(), FailedPrecondition, "moved from");
  EXPECT_ERROR(config.slice_id(), FailedPrecondition, "moved from");
  EXPECT_ERROR(config.num_devices_per_slice(), FailedPrecondition, "moved from");
  EXPECT_ERROR(config.serialize(), FailedPrecondition, "moved from");
  EXPECT_EQ(value_of(moved.num_slices()), 2);
}

TEST(MultiSliceOfOlderLibtpu, IsNotThere) {
  REQUIRE_PLUGIN("tpu-0.75");
  EXPECT_ERROR(ext::MultiSlice::of(test::counted_plugin("tpu-0.75")), Unimplemented,
               "has no MultiSlice extension; libtpu has it");
}

}  // namespace
}  // namespace pjrt
