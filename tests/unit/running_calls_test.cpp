// The table of running calls, which reports of crashes read.

#include "pjrt/detail/running_calls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "core/timeline.hpp"

namespace pjrt::detail {
namespace {

class RunningCallsTest : public ::testing::Test {
 protected:
  RunningCallsTest() { watch_calls(table.get()); }
  ~RunningCallsTest() override { watch_calls(nullptr); }

  std::string running() const {
    std::string all;
    for (const RunningCalls::Call& call : table->calls) {
      if (const char* function = call.function.load(); call.thread != 0 && function != nullptr)
        all += std::string(function) + " of " + call.plugin.data() + "; ";
    }
    return all;
  }

  const std::unique_ptr<RunningCalls> table = std::make_unique<RunningCalls>();
};

TEST_F(RunningCallsTest, HasACallWhileItRuns) {
  {
    const CallScope scope("PJRT_Client_Compile", "/plugins/a.so");
    EXPECT_EQ(running(), "PJRT_Client_Compile of /plugins/a.so; ");
  }
  EXPECT_EQ(running(), "");
  EXPECT_STREQ(table->last.load(), "PJRT_Client_Compile");
  EXPECT_STREQ(table->last_plugin.data(), "/plugins/a.so");
}

TEST_F(RunningCallsTest, HasTheInnermostCallOfAThreadAndReturnsToTheOuter) {
  const CallScope outer("PJRT_LoadedExecutable_Execute", "a");
  {
    const CallScope inner("PJRT_Buffer_Destroy", "a");
    EXPECT_EQ(running(), "PJRT_Buffer_Destroy of a; ");
  }
  EXPECT_EQ(running(), "PJRT_LoadedExecutable_Execute of a; ");
}

TEST_F(RunningCallsTest, HasTheCallsOfAllThreads) {
  const CallScope here("PJRT_Event_Await", "a");
  std::thread([&] {
    const CallScope there("PJRT_Client_Create", "b");
    EXPECT_EQ(running(), "PJRT_Event_Await of a; PJRT_Client_Create of b; ");
  }).join();
  EXPECT_EQ(running(), "PJRT_Event_Await of a; ");
}

TEST_F(RunningCallsTest, CutsLongPaths) {
  const std::string path(5000, 'x');
  const CallScope scope("PJRT_Client_Create", path.c_str());
  EXPECT_EQ(std::strlen(table->calls[0].plugin.data()), table->calls[0].plugin.size() - 1);
}

TEST_F(RunningCallsTest, StopsWhenNobodyWatches) {
  watch_calls(nullptr);
  const CallScope scope("PJRT_Client_Create", "a");
  EXPECT_EQ(running(), "");
}

}  // namespace
}  // namespace pjrt::detail
