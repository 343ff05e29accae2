// What destructors and guards do when there is nothing to destroy: no plugin is asked to destroy null.

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/call.hpp"
#include "core/client_state.hpp"
#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

namespace fn = abi::fn;

using test::value_of;

class HarmlessCalls : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  /// Null and functions that the plugin is too old for are refused by us.
  template <class F>
  void destroy_nothing() const {
    SCOPED_TRACE(F::info.name);
    typename F::Args args{};
    const Result<void> destroyed = detail::call<F>(client.plugin().state(), args);
    if (client.plugin().has_function(F::info.name)) {
      EXPECT_ERROR(destroyed, FailedPrecondition, "is empty");
    } else {
      EXPECT_ERROR(destroyed, Unimplemented, "needs PJRT API");
    }
    EXPECT_EQ(test::calls_of(GetParam(), std::string(F::info.name)), 0);
  }

  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, HarmlessCalls, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(HarmlessCalls, NothingMayBeDestroyed) {
  destroy_nothing<fn::PJRT_Event_Destroy>();
  destroy_nothing<fn::PJRT_Client_Destroy>();
  destroy_nothing<fn::PJRT_Executable_Destroy>();
  destroy_nothing<fn::PJRT_LoadedExecutable_Destroy>();
  destroy_nothing<fn::PJRT_Buffer_Destroy>();
  destroy_nothing<fn::PJRT_TopologyDescription_Destroy>();
  destroy_nothing<fn::PJRT_ExecuteContext_Destroy>();
  destroy_nothing<fn::PJRT_CopyToDeviceStream_Destroy>();
  destroy_nothing<fn::PJRT_AsyncHostToDeviceTransferManager_Destroy>();
  destroy_nothing<fn::PJRT_AsyncTrackingEvent_Destroy>();
}

TEST_P(HarmlessCalls, MemoryThatWasNeverMappedMayBeUnmapped) {
  std::vector<std::byte> memory(4096);
  {
    const DmaMapping mapping(client.state(), memory);
  }
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_DmaUnmap"), 1);
}

TEST_P(HarmlessCalls, MappingsThatWereMovedFromUnmapNothing) {
  std::vector<std::byte> memory(4096);
  {
    DmaMapping mapping(client.state(), memory);
    const DmaMapping taken = std::move(mapping);
    EXPECT_TRUE(mapping.memory().empty());
    EXPECT_EQ(taken.memory().data(), memory.data());
  }
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_DmaUnmap"), 1);
}

TEST_P(HarmlessCalls, EmptyTrackingEventsAreNotDestroyed) {
  {
    const AsyncTrackingEvent nothing(client.state(), nullptr);
  }
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_AsyncTrackingEvent_Destroy"), 0);
}

/// Leaves everything there is behind, busy, and ends the process.
[[noreturn]] void leave_all_behind(const std::string& plugin) {
  auto* client = new Client(test::make_client(test::counted_plugin(plugin), 2));
  auto* twice = new LoadedExecutable(value_of(client->compile(Program::mlir(test::kDouble))));
  auto* alias = new AliasBuffer(value_of(client->create_alias_buffer({ElementType::F32, {3}}, client->memories()[0])));
  auto* waiting = new Outputs(value_of((*twice)(alias->buffer)));
  auto* event = new Event((*waiting)[0].ready());
  (void)event->is_ready();
  std::exit(0);
}

TEST_P(HarmlessCalls, ProcessMayEndWithClientsAtWork) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "what is at work when the process ends is not freed";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(leave_all_behind(GetParam()), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pjrt
