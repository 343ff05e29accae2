// What the library sees of a plugin's work from the host: the profiler for plugins that have none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "pjrt/profile.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

class HostTimelines : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  void run() const {
    const Buffer x = value_of(client.upload(Floats{1, 2, 3}, {3}));
    const Outputs outputs = value_of(twice(x));
    EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{2, 4, 6}));
  }
  static std::size_t count(const Profile& profile, std::string_view function) {
    std::size_t n = 0;
    for (const ProfilePlane& plane : profile.planes()) {
      for (const ProfileLine& line : plane.lines)
        n += static_cast<std::size_t>(std::ranges::count(line.events, function, &ProfileEvent::name));
    }
    return n;
  }

  Client client = test::make_client(test::counted_plugin(GetParam()));
  LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
};

INSTANTIATE_TEST_SUITE_P(Matrix, HostTimelines, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(HostTimelines, CountTheCallsThatReachThePlugin) {
  const char* const functions[] = {"PJRT_LoadedExecutable_Execute", "PJRT_Client_BufferFromHostBuffer",
                                   "PJRT_Buffer_ToHostBuffer", "PJRT_Event_Await"};
  std::vector<std::int64_t> before;
  for (const char* f : functions) before.push_back(test::calls_of(GetParam(), f));
  HostTimeline timeline = value_of(HostTimeline::start());
  for (int i = 0; i < 3; ++i) run();
  const Profile profile = timeline.stop();
  for (std::size_t i = 0; i < std::size(functions); ++i) {
    EXPECT_EQ(static_cast<std::int64_t>(count(profile, functions[i])),
              test::calls_of(GetParam(), functions[i]) - before[i])
        << functions[i];
  }
  EXPECT_EQ(count(profile, "PJRT_LoadedExecutable_Execute"), 3u);
}

TEST_P(HostTimelines, CallsOfAThreadFollowOneAnother) {
  HostTimeline timeline = value_of(HostTimeline::start());
  run();
  const Profile profile = timeline.stop();
  for (const ProfileLine& line : profile.planes().at(0).lines) {
    std::int64_t last = 0;
    for (const ProfileEvent& e : line.events) {
      EXPECT_GE(e.offset_ps, last) << e.name;
      EXPECT_GE(e.duration_ps, 0) << e.name;
      last = e.offset_ps;
    }
  }
}

TEST_P(HostTimelines, EveryThreadHasItsLine) {
  HostTimeline timeline = value_of(HostTimeline::start());
  std::thread([&] { run(); }).join();
  run();
  const Profile profile = timeline.stop();
  std::set<std::int64_t> threads;
  for (const ProfileLine& line : profile.planes().at(0).lines) {
    if (std::ranges::count(line.events, "PJRT_LoadedExecutable_Execute", &ProfileEvent::name) > 0)
      threads.insert(line.id);
  }
  EXPECT_EQ(threads.size(), 2u);
}

TEST_P(HostTimelines, NothingIsNotedBeforeOrAfter) {
  run();
  HostTimeline timeline = value_of(HostTimeline::start());
  EXPECT_EQ(count(timeline.stop(), "PJRT_LoadedExecutable_Execute"), 0u);
  run();
  HostTimeline next = value_of(HostTimeline::start());
  run();
  EXPECT_EQ(count(next.stop(), "PJRT_LoadedExecutable_Execute"), 1u);
}

TEST_P(HostTimelines, OneAtATime) {
  const HostTimeline timeline = value_of(HostTimeline::start());
  EXPECT_ERROR(HostTimeline::start(), FailedPrecondition, "another timeline is being recorded");
}

TEST_P(HostTimelines, DroppedEndsTheRecording) {
  {
    const HostTimeline dropped = value_of(HostTimeline::start());
  }
  HostTimeline timeline = value_of(HostTimeline::start());
  HostTimeline moved = std::move(timeline);
  run();
  EXPECT_TRUE(timeline.stop().planes().empty());
  EXPECT_EQ(count(moved.stop(), "PJRT_LoadedExecutable_Execute"), 1u);
}

TEST_P(HostTimelines, ChromeReadsThem) {
  HostTimeline timeline = value_of(HostTimeline::start());
  run();
  const test::TemporaryFolder folder;
  ASSERT_OK(timeline.stop().save(folder / "run.json"));
  const nlohmann::json trace = nlohmann::json::parse(test::read_all(folder / "run.json"));
  int executions = 0;
  for (const nlohmann::json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X" || event.at("name") != "PJRT_LoadedExecutable_Execute") continue;
    ++executions;
    EXPECT_GT(event.at("dur").get<double>(), 0);
    EXPECT_GT(event.at("ts").get<double>(), 0);
    EXPECT_TRUE(event.at("pid").is_number_integer());
    EXPECT_TRUE(event.at("tid").is_number_integer());
  }
  EXPECT_EQ(executions, 1);
}

TEST_P(HostTimelines, XspaceHoldsTheSame) {
  HostTimeline timeline = value_of(HostTimeline::start());
  run();
  const Profile profile = timeline.stop();
  const test::TemporaryFolder folder;
  ASSERT_OK(profile.save(folder / "run.xplane.pb"));
  const Profile again = value_of(Profile::parse(test::as_bytes(test::read_all(folder / "run.xplane.pb"))));
  ASSERT_EQ(again.planes().size(), 1u);
  const auto& lines = profile.planes()[0].lines;
  ASSERT_EQ(again.planes()[0].lines.size(), lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const ProfileLine& line = again.planes()[0].lines[i];
    EXPECT_EQ(line.timestamp_ns, lines[i].timestamp_ns);
    ASSERT_EQ(line.events.size(), lines[i].events.size());
    for (std::size_t e = 0; e < line.events.size(); ++e) {
      EXPECT_EQ(line.events[e].name, lines[i].events[e].name);
      EXPECT_EQ(line.events[e].offset_ps, lines[i].events[e].offset_ps);
      EXPECT_EQ(line.events[e].duration_ps, lines[i].events[e].duration_ps);
    }
  }
}

TEST_P(HostTimelines, OtherEndingsOfFilesAreRefused) {
  EXPECT_ERROR(Profile().save("/tmp/profile.txt"), InvalidArgument, ".json (Chrome, Perfetto) or .pb file (XSpace)");
}

}  // namespace
}  // namespace pjrt
