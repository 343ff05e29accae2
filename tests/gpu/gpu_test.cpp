// What needs an NVIDIA GPU: the CUDA plugin's client, streams, profiles and custom calls. Skipped where there is none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pjrt/ext/abi_version.hpp"
#include "pjrt/ext/ffi.hpp"
#include "pjrt/ext/layouts.hpp"
#include "pjrt/ext/profiler.hpp"
#include "pjrt/ext/stream.hpp"
#include "pjrt/ext/triton.hpp"
#include "pjrt/pjrt.hpp"
#include "plugin/ffi_handlers.hpp"
#include "plugin/programs.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

class Gpu : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_PLUGIN("cuda");
    if (!std::filesystem::exists("/dev/nvidia0")) GTEST_SKIP() << "no NVIDIA GPU is here (/dev/nvidia0)";
    plugin = test::counted_plugin("cuda");
    Result<Client> made = Client::create(*plugin, {.options = NamedValues{{"preallocate", false}}});
    if (!made) GTEST_SKIP() << "the CUDA plugin makes no client: " << to_string(made.error());
    client = *std::move(made);
  }

  /// Without NVIDIA's assembler the driver translates.
  LoadedExecutable compile(const std::string& program) const {
    return value_of(client->compile(
        Program::mlir(program), CompileOptions{}.flag("xla_gpu_unsafe_fallback_to_driver_on_ptxas_not_found", true)));
  }
  Buffer upload(const Floats& values) const {
    return value_of(client->upload(values, {static_cast<std::int64_t>(values.size())}));
  }

  std::optional<Plugin> plugin;
  std::optional<Client> client;
};

TEST_F(Gpu, ClientKnowsItsDevices) {
  EXPECT_THAT(client->platform_name(), ::testing::AnyOf("cuda", "gpu"));
  ASSERT_FALSE(client->addressable_devices().empty());
  EXPECT_NE(client->addressable_devices()[0].description().kind(), "");
}

TEST_F(Gpu, ArraysGoThereAndBack) {
  EXPECT_EQ(value_of(upload({1, -2, 0.5f}).to_vector<float>()), (Floats{1, -2, 0.5f}));
}

TEST_F(Gpu, ProgramsRun) {
  const LoadedExecutable add = compile(test::kAdd);
  const Outputs outputs = value_of(add(upload({1, 2, 3}), upload({10, 20, 30})));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{11, 22, 33}));
}

TEST_F(Gpu, ProgramsTakeTheMemoryOfDonatedArguments) {
  const LoadedExecutable add_to = compile(test::kAddTo);
  const Buffer a = upload({1, 2, 3});
  const Outputs outputs = value_of(add_to(a, upload({10, 20, 30})));
  EXPECT_TRUE(a.is_deleted());
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{11, 22, 33}));
}

TEST_F(Gpu, DeviceLayoutsAreRowMajor) {
  const ext::Layouts layouts = value_of(plugin->extension<ext::Layouts>());
  EXPECT_EQ(value_of(layouts.default_layout(*client, Shape{ElementType::F32, {2, 3}})), Layout::row_major(2));
  EXPECT_EQ(value_of(layouts.layout_of(upload({1, 2}))), Layout::row_major(1));
}

TEST_F(Gpu, StreamsWaitForBuffers) {
  const ext::Stream streams = value_of(plugin->extension<ext::Stream>());
  const ext::StreamHandle stream = value_of(streams.stream_for_external_ready_events(client->addressable_devices()[0]));
  EXPECT_NE(stream, 0);
  const Outputs outputs = value_of(compile(test::kDouble)(upload({1, 2, 3})));
  ASSERT_OK(streams.wait_until_buffer_ready(stream, outputs[0]));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
}

TEST_F(Gpu, ProfilesShowTheDevicesWork) {
  const LoadedExecutable twice = compile(test::kDouble);
  const Buffer x = upload({1, 2, 3});
  ext::ProfileSession session = value_of(value_of(plugin->extension<ext::Profiler>()).start());
  for (int i = 0; i < 3; ++i) EXPECT_OK(value_of(twice(x)).await());
  const Profile profile = value_of(session.finish());
  std::size_t events = 0;
  for (const ProfilePlane& plane : profile.planes()) {
    if (!plane.name.starts_with("/device:GPU:")) continue;
    for (const ProfileLine& line : plane.lines) events += line.events.size();
  }
  EXPECT_GE(events, 3u) << "planes " << profile.planes().size() << ", errors "
                        << ::testing::PrintToString(profile.errors());
}

TEST_F(Gpu, RuntimeRunsWhatItCompiled) {
  const ext::AbiVersion versions = value_of(plugin->extension<ext::AbiVersion>());
  const ext::RuntimeAbiVersion runtime = value_of(versions.runtime_version(*client));
  const ext::ExecutableAbiVersion program = value_of(versions.executable_version(compile(test::kAdd).executable()));
  EXPECT_OK(runtime.check_compatible(program));
  EXPECT_EQ(value_of(runtime.platform_id()), value_of(program.platform_id()));
  const ext::RuntimeAbiVersion again = value_of(versions.runtime_version_from_proto(value_of(runtime.to_proto())));
  EXPECT_OK(again.check_compatible(program));
}

/// What a handler notes of the calls it gets. Its arrays lie in device memory, so it looks at their shapes only.
struct Seen {
  std::atomic<int> calls{0};
  std::atomic<std::int64_t> elements{0};
};

std::int64_t seen_type = 0;

abi::XLA_FFI_Error* note(abi::XLA_FFI_CallFrame* frame) {
  if (test::answers_metadata(frame)) return nullptr;
  abi::XLA_FFI_TypeId type{seen_type};
  abi::XLA_FFI_ExecutionContext_Get_Args get{};
  get.struct_size = sizeof get;
  get.ctx = frame->ctx;
  get.type_id = &type;
  if (abi::XLA_FFI_Error* error = frame->api->XLA_FFI_ExecutionContext_Get(&get)) return error;
  auto& seen = *static_cast<Seen*>(get.data);
  ++seen.calls;
  seen.elements = test::argument(frame, 0).dims[0];
  return nullptr;
}

TEST_F(Gpu, CustomCallsFindTheirUserData) {
  const ext::Ffi ffi = value_of(plugin->extension<ext::Ffi>());
  const ext::FfiType<Seen> type = value_of(ffi.register_type<Seen>("pjrt_test_seen"));
  seen_type = type.id;
  ASSERT_OK(ffi.register_handler("pjrt_test_note", "CUDA", note));
  const LoadedExecutable program = compile(test::call_of("pjrt_test_note"));
  const auto seen = std::make_shared<Seen>();
  const ExecuteContext context = value_of(ExecuteContext::create(*plugin));
  ASSERT_OK(ffi.add_user_data(context, type, seen));
  const Buffer x = upload({1, 2, 3});
  ASSERT_OK(value_of(program.execute(std::vector<Argument>{x}, {.context = context})).await());
  EXPECT_EQ(seen->calls, 1);
  EXPECT_EQ(seen->elements, 3);
}

TEST_F(Gpu, TritonKernelsBecomeAssembly) {
  if (!plugin->has_extension<ext::Triton>()) GTEST_SKIP() << "the plugin compiles no Triton kernels";
  const ext::Triton triton = value_of(plugin->extension<ext::Triton>());
  const ext::TritonKernel kernel = value_of(triton.compile(R"(
module {
  tt.func public @nothing(%x: !tt.ptr<f32>) {
    tt.return
  }
})",
                                                           {.arch = "9.0", .num_warps = 1, .num_stages = 1}));
  EXPECT_EQ(kernel.shared_memory_bytes, 0);
  EXPECT_THAT(kernel.assembly, ::testing::HasSubstr("nothing"));
}

}  // namespace
}  // namespace pjrt
