// Every call of the plugin fails once, each in a run of its own: whatever fails is reported, and nothing is left
// behind.

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

/// What a run gives: numbers, or the first error on the way.
using Flow = std::function<Result<Floats>()>;

#define TRY(name, ...)       \
  auto name = (__VA_ARGS__); \
  if (!name) return std::unexpected(std::move(name).error())

class FaultSweep : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cpu"); }
  void TearDown() override { test::fail_call(0); }

  Result<Client> make_client(int devices = 1) const {
    ClientOptions options;
    options.options.add("cpu_device_count", devices);
    return Client::create(plugin, options);
  }

  static std::int64_t made(std::initializer_list<const char*> functions) {
    std::int64_t count = 0;
    for (const char* f : functions) count += test::successes_of("cpu", f);
    return count;
  }
  static std::int64_t called(const char* function) { return test::calls_of("cpu", function); }

  /// Handles that were made and not destroyed. One output to an execution on each device; no events of executions.
  static std::vector<std::pair<std::string, std::int64_t>> alive(std::int64_t devices) {
    return {
        {"clients", made({"PJRT_Client_Create"}) - called("PJRT_Client_Destroy")},
        {"programs", made({"PJRT_Client_Compile", "PJRT_Executable_DeserializeAndLoad", "PJRT_Client_Load"}) -
                         called("PJRT_LoadedExecutable_Destroy")},
        {"views of programs",
         made({"PJRT_LoadedExecutable_GetExecutable", "PJRT_Compile"}) - called("PJRT_Executable_Destroy")},
        {"buffers", made({"PJRT_Client_BufferFromHostBuffer", "PJRT_Buffer_CopyToDevice", "PJRT_Buffer_CopyToMemory",
                          "PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer"}) +
                        devices * made({"PJRT_LoadedExecutable_Execute"}) - called("PJRT_Buffer_Destroy")},
        {"events", made({"PJRT_Client_BufferFromHostBuffer", "PJRT_Buffer_ReadyEvent", "PJRT_Buffer_ToHostBuffer",
                         "PJRT_Buffer_CopyRawToHost", "PJRT_AsyncHostToDeviceTransferManager_TransferData",
                         "PJRT_AsyncHostToDeviceTransferManager_TransferLiteral"}) -
                       called("PJRT_Event_Destroy")},
        {"transfer managers", made({"PJRT_Client_CreateBuffersForAsyncHostToDevice"}) -
                                  called("PJRT_AsyncHostToDeviceTransferManager_Destroy")},
        {"contexts", made({"PJRT_ExecuteContext_Create"}) - called("PJRT_ExecuteContext_Destroy")},
    };
  }

  /// Runs `flow` with each of its calls failing in turn. What the library can do without may fail unnoticed:
  /// `optional`.
  static void sweep(const Flow& flow, const Floats& expected, const std::set<std::string>& optional,
                    std::int64_t devices = 1) {
    test::fail_call(0);
    ASSERT_EQ(value_of(flow()), expected);
    const std::int64_t calls = test::fallible_calls();
    ASSERT_GT(calls, 20);
    const auto before = alive(devices);
    for (std::int64_t n = 1; n <= calls; ++n) {
      test::fail_call(n);
      const Result<Floats> result = flow();
      const std::string failed = test::failed_function();
      if (failed.empty()) continue;  // fewer calls this time: less to wait for
      const std::string where = "call " + std::to_string(n) + " of " + std::to_string(calls) + ", " + failed;
      if (optional.contains(failed) && result) {
        EXPECT_EQ(*result, expected) << where;
      } else {
        ASSERT_FALSE(result) << where;
        EXPECT_ERROR(result, Internal, "injected failure") << where;
        EXPECT_EQ(result.error().function(), failed) << where;
      }
      test::fail_call(0);
      ASSERT_EQ(alive(devices), before) << where;
    }
  }

  Plugin plugin = test::counted_plugin("cpu");
};

/// Asked for once and known from then on, or only to make something better.
const std::set<std::string> kOptional = {
    "PJRT_Plugin_Attributes",
    "PJRT_Device_AddressableMemories",
    "PJRT_Device_DefaultMemory",
    "PJRT_Executable_OutputElementTypes",
    "PJRT_Executable_OutputDimensions",
    "PJRT_Executable_OptimizedProgram",
    "PJRT_Event_OnReady",
};

TEST_F(FaultSweep, CompileExecuteDownload) {
  const Flow flow = [&]() -> Result<Floats> {
    TRY(client, make_client());
    TRY(add, client->compile(Program::mlir(test::kAdd)));
    TRY(a, client->upload(Floats{1, 2, 3}, {3}));
    TRY(b, client->upload(Floats{10, 20, 30}, {3}));
    TRY(sum, (*add)(*a, *b));
    TRY(ready, sum->await());
    return (*sum)[0].to_vector<float>();
  };
  sweep(flow, {11, 22, 33}, kOptional);
}

TEST_F(FaultSweep, UploadAndDownloadWithoutWaiting) {
  const Flow flow = [&]() -> Result<Floats> {
    TRY(client, make_client());
    TRY(array, HostBuffer::copy_of(Floats{1, 2, 3}, {3}));
    Future<Buffer> upload = client->upload_async(*array);
    TRY(buffer, upload.await());
    Future<HostBuffer> download = buffer->to_host_async();
    TRY(host, download.await());
    return host->to_vector<float>();
  };
  sweep(flow, {1, 2, 3}, kOptional);
}

TEST_F(FaultSweep, Donation) {
  const Flow flow = [&]() -> Result<Floats> {
    TRY(client, make_client());
    TRY(add_to, client->compile(Program::mlir(test::kAddTo)));
    TRY(a, client->upload(Floats{1, 2, 3}, {3}));
    TRY(b, client->upload(Floats{10, 20, 30}, {3}));
    for (int i = 0; i < 2; ++i) {
      TRY(sum, (*add_to)(*a, keep(*b)));
      *a = std::move((*sum)[0]);
    }
    return a->to_vector<float>();
  };
  sweep(flow, {21, 42, 63}, kOptional);
}

TEST_F(FaultSweep, PreparedExecution) {
  const Flow flow = [&]() -> Result<Floats> {
    TRY(client, make_client());
    TRY(add, client->compile(Program::mlir(test::kAdd)));
    TRY(a, client->upload(Floats{1, 2, 3}, {3}));
    TRY(sum, add->prepare(*a, *a));
    for (int i = 0; i < 3; ++i) {
      TRY(ran, sum->run());
      if (i < 2) {
        TRY(fed, sum->feed_back(0, 0));
      }
    }
    TRY(last, sum->take_output(0));
    return last->to_vector<float>();
  };
  sweep(flow, {4, 8, 12}, kOptional);
}

TEST_F(FaultSweep, SerializeAndLoad) {
  const Flow flow = [&]() -> Result<Floats> {
    TRY(client, make_client());
    TRY(add, client->compile(Program::mlir(test::kAdd)));
    TRY(serialized, add->executable().serialize());
    TRY(parsed, SerializedExecutable::parse(serialized->bytes()));
    TRY(loaded, client->deserialize(*parsed));
    TRY(a, client->upload(Floats{1, 2, 3}, {3}));
    TRY(sum, (*loaded)(*a, *a));
    return (*sum)[0].to_vector<float>();
  };
  std::set<std::string> optional = kOptional;
  optional.insert("PJRT_Executable_GetCompileOptions");
  sweep(flow, {2, 4, 6}, optional);
}

TEST_F(FaultSweep, CompileAheadOfTimeAndLoad) {
  const Flow flow = [&]() -> Result<Floats> {
    TRY(client, make_client());
    TRY(topology, client->topology());
    TRY(compiled, compile(*topology, Program::mlir(test::kAdd)));
    TRY(loaded, client->load(*compiled));
    TRY(a, client->upload(Floats{1, 2, 3}, {3}));
    TRY(sum, (*loaded)(*a, *a));
    return (*sum)[0].to_vector<float>();
  };
  sweep(flow, {2, 4, 6}, kOptional);
}

TEST_F(FaultSweep, TransferInPieces) {
  const Flow flow = [&]() -> Result<Floats> {
    TRY(client, make_client());
    const std::vector<ShapeSpec> specs{{Shape{ElementType::F32, {4}}, {}}};
    TRY(manager, client->create_buffers_for_async_host_to_device(specs, client->memories().front()));
    TRY(buffer, manager->retrieve_buffer(0));
    const Floats values{1, 2, 3, 4};
    TRY(transferred, manager->transfer_chunked(0, std::as_bytes(std::span(values)), 8));
    return buffer->to_vector<float>();
  };
  sweep(flow, {1, 2, 3, 4}, kOptional);
}

TEST_F(FaultSweep, TransferOfWholeArrays) {
  const Flow flow = [&]() -> Result<Floats> {
    TRY(client, make_client());
    const std::vector<ShapeSpec> specs{{Shape{ElementType::F32, {2}}, {}}, {Shape{ElementType::F32, {3}}, {}}};
    TRY(manager, client->create_buffers_for_async_host_to_device(specs, client->memories().front()));
    TRY(first, HostBuffer::copy_of(Floats{1, 2}, {2}));
    TRY(second, HostBuffer::copy_of(Floats{3, 4, 5}, {3}));
    Future<std::vector<Buffer>> future = manager->transfer_all({*first, *second});
    TRY(buffers, future.await());
    return (*buffers)[1].to_vector<float>();
  };
  sweep(flow, {3, 4, 5}, kOptional);
}

TEST_F(FaultSweep, SeveralDevices) {
  const Flow flow = [&]() -> Result<Floats> {
    TRY(client, make_client(2));
    TRY(twice, client->compile(Program::mlir(test::kDouble), CompileOptions().num_replicas(2)));
    std::vector<std::vector<Buffer>> lists(2);
    for (std::size_t d = 0; d < 2; ++d) {
      TRY(x, client->upload(Floats{1, 2, 3}, {3}, {.device = client->devices()[d]}));
      lists[d].push_back(*std::move(x));
    }
    TRY(outputs, twice->execute(std::span<const std::vector<Buffer>>(lists)));
    TRY(first, (*outputs)[0][0].copy_to_device(client->devices()[1]));
    TRY(reference, first->external_reference());
    TRY(waited, first->ready().await());
    TRY(pointer, reference->device_pointer());
    const auto* values = static_cast<const float*>(*pointer);
    return Floats(values, values + 3);
  };
  sweep(flow, {2, 4, 6}, kOptional, 2);
}

}  // namespace
}  // namespace pjrt
