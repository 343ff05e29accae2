// The Triton extension, which no plugin within reach has.

#include <gtest/gtest.h>

#include <algorithm>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/triton.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

/// What the plugin gives is freed with delete[].
const char* given(std::string_view text) {
  char* copy = new char[text.size()];
  std::ranges::copy(text, copy);
  return copy;
}

class ExtTriton : public test::OnFake {
 protected:
  const ext::Triton triton = value_of(ext::Triton::of(plugin));
};

TEST_F(ExtTriton, CompilesWithTheOptionsItIsGiven) {
  std::string module, arch;
  abi::PJRT_Triton_Compile_Args seen{};
  fake.on<fn::PJRT_Triton_Compile>([&](auto& a) {
    seen = a;
    module.assign(a.module, a.module_size);
    arch.assign(a.arch_name, a.arch_name_size);
  });
  EXPECT_OK(triton.compile("module {}", {.arch = "9.0a", .num_warps = 8, .num_ctas = 2, .num_stages = 5}));
  EXPECT_EQ(module, "module {}");
  EXPECT_EQ(arch, "9.0a");
  EXPECT_EQ(seen.num_warps, 8);
  EXPECT_EQ(seen.num_ctas, 2);
  EXPECT_EQ(seen.num_stages, 5);
}

TEST_F(ExtTriton, GivesTheAssemblyAndTheSharedMemoryItNeeds) {
  fake.on<fn::PJRT_Triton_Compile>([](auto& a) {
    a.out_asm = given(".version 8.7");
    a.out_asm_size = 12;
    a.out_smem_bytes = 49152;
  });
  const ext::TritonKernel kernel = value_of(triton.compile("module {}", {.arch = "7.0"}));
  EXPECT_EQ(kernel.assembly, ".version 8.7");
  EXPECT_EQ(kernel.shared_memory_bytes, 49152);
  EXPECT_EQ(kernel.path, "");
}

TEST_F(ExtTriton, GivesThePathWhereThePluginWritesAFile) {
  fake.on<fn::PJRT_Triton_Compile>([](auto& a) {
    a.out_path = given("/tmp/kernel.hsaco");
    a.out_path_size = 17;
  });
  const ext::TritonKernel kernel = value_of(triton.compile("module {}", {.arch = "gfx942"}));
  EXPECT_EQ(kernel.assembly, "");
  EXPECT_EQ(kernel.path, "/tmp/kernel.hsaco");
}

TEST_F(ExtTriton, HandsTheCompilersWordsOn) {
  fake.fail<fn::PJRT_Triton_Compile>(ErrorCode::InvalidArgument, "expected operation name");
  EXPECT_ERROR(triton.compile("garbage", {.arch = "7.0"}), InvalidArgument,
               "expected operation name (PJRT_Triton_Compile)");
}

TEST_F(ExtTriton, WithoutItsFunctionIsUnimplemented) {
  EXPECT_ERROR(value_of(ext::Triton::of(with_extension(ext::Triton::kType, 24))).compile("module {}", {}),
               Unimplemented, "PJRT_Triton_Compile is not offered by the Triton extension of plugin odd");
}

}  // namespace
}  // namespace pjrt
