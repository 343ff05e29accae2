// What every extension class does with plugins that lack the extension, or have another version of it.

#include <gtest/gtest.h>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/abi_version.hpp"
#include "pjrt/ext/callbacks.hpp"
#include "pjrt/ext/custom_partitioner.hpp"
#include "pjrt/ext/executable_metadata.hpp"
#include "pjrt/ext/ffi.hpp"
#include "pjrt/ext/gpu_custom_call.hpp"
#include "pjrt/ext/host_allocator.hpp"
#include "pjrt/ext/layouts.hpp"
#include "pjrt/ext/memory_descriptions.hpp"
#include "pjrt/ext/multi_slice.hpp"
#include "pjrt/ext/phase_compile.hpp"
#include "pjrt/ext/profiler.hpp"
#include "pjrt/ext/raw_buffer.hpp"
#include "pjrt/ext/shardings.hpp"
#include "pjrt/ext/stream.hpp"
#include "pjrt/ext/tpu_executable.hpp"
#include "pjrt/ext/tpu_topology.hpp"
#include "pjrt/ext/triton.hpp"
#include "pjrt/ext/xla_transform.hpp"

namespace pjrt {
namespace {

using test::value_of;

template <class E>
class ExtPresence : public test::OnFake {};

using Extensions =
    ::testing::Types<ext::AbiVersion, ext::Callbacks, ext::CustomPartitioner, ext::ExecutableMetadata, ext::Ffi,
                     ext::GpuCustomCall, ext::HostAllocator, ext::HostMemoryAllocator, ext::Layouts,
                     ext::MemoryDescriptions, ext::MultiSlice, ext::PhaseCompile, ext::Profiler, ext::RawBuffers,
                     ext::Shardings, ext::Stream, ext::TpuExecutable, ext::TpuTopology, ext::Triton, ext::XlaTransform>;
TYPED_TEST_SUITE(ExtPresence, Extensions);

TYPED_TEST(ExtPresence, IsHadFromAPluginOrAClientThatHasIt) {
  EXPECT_EQ(value_of(TypeParam::of(this->plugin)).plugin(), this->plugin);
  EXPECT_EQ(value_of(this->make_client().template extension<TypeParam>()).plugin(), this->plugin);
  EXPECT_EQ(value_of(TypeParam::of(this->plugin)).info().type, TypeParam::kType);
  EXPECT_EQ(value_of(TypeParam::of(this->plugin)).info().unknown_functions, 0);
}

TYPED_TEST(ExtPresence, IsUnimplementedWithoutItAndSaysWhoHasIt) {
  const auto none = TypeParam::of(this->with_table({.extensions = {{}}}));
  EXPECT_ERROR(none, Unimplemented, "plugin odd (API 0.114) has no ");
  EXPECT_ERROR(none, Unimplemented, " extension; ");
}

TYPED_TEST(ExtPresence, OfTheBaseAloneHasNoFunctions) {
  const auto e = value_of(TypeParam::of(this->with_extension(TypeParam::kType, 24)));
  EXPECT_EQ(e.info().functions, 0);
  EXPECT_EQ(e.info().struct_size, 24u);
}

TYPED_TEST(ExtPresence, OfANewerPluginTellsHowMuchIsNotKnown) {
  const std::size_t known = value_of(TypeParam::of(this->plugin)).info().struct_size;
  const auto e = value_of(TypeParam::of(this->with_extension(TypeParam::kType, known + 3 * 8)));
  EXPECT_EQ(e.info().unknown_functions, 3);
  EXPECT_EQ(e.info().functions, value_of(TypeParam::of(this->plugin)).info().functions);
}

}  // namespace
}  // namespace pjrt
