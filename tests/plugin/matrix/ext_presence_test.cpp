// Which extensions the CPU plugins have, and what they say who have not.

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "pjrt/ext/abi_version.hpp"
#include "pjrt/ext/callbacks.hpp"
#include "pjrt/ext/executable_metadata.hpp"
#include "pjrt/ext/gpu_custom_call.hpp"
#include "pjrt/ext/host_allocator.hpp"
#include "pjrt/ext/layouts.hpp"
#include "pjrt/ext/memory_descriptions.hpp"
#include "pjrt/ext/phase_compile.hpp"
#include "pjrt/ext/profiler.hpp"
#include "pjrt/ext/raw_buffer.hpp"
#include "pjrt/ext/shardings.hpp"
#include "pjrt/ext/stream.hpp"
#include "pjrt/ext/triton.hpp"
#include "pjrt/ext/xla_transform.hpp"
#include "pjrt/pjrt.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;

class CpuExtensions : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Plugin plugin = test::counted_plugin(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Matrix, CpuExtensions, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(CpuExtensions, AreListedByName) {
  std::set<std::string> expected = {"FFI", "Layouts", "MemoryDescriptions", "PhaseCompile"};
  if (GetParam() != "cpu-0.81") expected.insert("Shardings");
  if (GetParam() == "cpu") expected.insert("XlaTransform");
  std::set<std::string> names;
  for (const ExtensionInfo& info : plugin.extensions()) names.emplace(info.name);
  EXPECT_EQ(names, expected);
}

TEST_P(CpuExtensions, AbsentOnesSayWhichPluginsHaveThem) {
  EXPECT_ERROR(plugin.extension<ext::Profiler>(), Unimplemented,
               "has no Profiler extension; TPU and CUDA plugins have it");
  EXPECT_ERROR(plugin.extension<ext::AbiVersion>(), Unimplemented,
               "has no AbiVersion extension; TPU and CUDA plugins have it");
  EXPECT_ERROR(plugin.extension<ext::RawBuffers>(), Unimplemented, "has no RawBuffer extension; libtpu has it");
  EXPECT_ERROR(plugin.extension<ext::Callbacks>(), Unimplemented, "has no Callback extension; libtpu has it");
  EXPECT_ERROR(plugin.extension<ext::ExecutableMetadata>(), Unimplemented,
               "has no ExecutableMetadata extension; libtpu has it");
  EXPECT_ERROR(plugin.extension<ext::HostMemoryAllocator>(), Unimplemented,
               "has no HostMemoryAllocator extension; libtpu has it");
  EXPECT_ERROR(plugin.extension<ext::Stream>(), Unimplemented, "has no Stream extension; GPU plugins have it");
  EXPECT_ERROR(plugin.extension<ext::GpuCustomCall>(), Unimplemented,
               "has no Gpu_Custom_Call extension; GPU plugins have it");
  EXPECT_ERROR(plugin.extension<ext::Triton>(), Unimplemented,
               "has no Triton extension; no plugin this library was tried with has it");
  EXPECT_ERROR(plugin.extension<ext::HostAllocator>(), Unimplemented,
               "has no HostAllocator extension; no plugin this library was tried with has it");
}

TEST_P(CpuExtensions, AreHadFromAClientToo) {
  const Client client = test::make_client(plugin);
  EXPECT_OK(client.extension<ext::Layouts>());
  EXPECT_ERROR(client.extension<ext::Profiler>(), Unimplemented, "has no Profiler extension");
}

TEST_P(CpuExtensions, PhaseCompileHasNoCompiler) {
  // The slots are null: calling them would end the process.
  EXPECT_ERROR(value_of(plugin.extension<ext::PhaseCompile>()).compiler(), Unimplemented,
               "PJRT_PhaseCompile_Get_Compiler is not offered");
}

TEST_P(CpuExtensions, InfoCountsFunctions) {
  const ExtensionInfo& info = value_of(plugin.extension<ext::Layouts>()).info();
  EXPECT_EQ(info.name, "Layouts");
  EXPECT_EQ(info.functions, GetParam() == "cpu-0.81" ? 6 : 7);
  EXPECT_EQ(info.unknown_functions, 0);
}

TEST_P(CpuExtensions, MemoriesAreNotDescribed) {
  const Client client = test::make_client(plugin);
  const ext::MemoryDescriptions memories = value_of(plugin.extension<ext::MemoryDescriptions>());
  const ext::DeviceMemoryDescriptions all = value_of(memories.memory_descriptions(client.devices()[0].description()));
  EXPECT_TRUE(all.descriptions.empty());
  EXPECT_EQ(all.default_index, std::nullopt);
}

}  // namespace
}  // namespace pjrt
