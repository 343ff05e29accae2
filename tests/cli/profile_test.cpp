// `pjrt run --profile`: what the run did when, as a file for Perfetto or for TensorBoard.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class ProfileTest : public RunTest {
 protected:
  Outcome profile(const std::string& file) const {
    return run(program(identity("3xf32")), {"--input", "3xf32=1 2 3", "--json", "--profile", file});
  }
};

TEST_F(ProfileTest, SaysThatThePluginHasNoProfiler) {
  const Outcome outcome = profile(folder / "p.json");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("has no profiler"));
}

TEST_F(ProfileTest, TheRunGivesWhatItGivesWithoutAProfile) {
  const Outcome outcome = profile(folder / "p.json");
  EXPECT_EQ(json::parse(outcome.out)["outputs"][0]["values"], json({1.0, 2.0, 3.0}));
}

TEST_F(ProfileTest, JsonIsATraceOfTheCallsOfTheRun) {
  const std::string file = folder / "p.json";
  ASSERT_EQ(profile(file).status, 0);
  const json trace = json::parse(read_all(file));
  double last = 0;
  std::vector<std::string> names;
  for (const json& event : trace.at("traceEvents")) {
    if (event["ph"] != "X") continue;  // complete events alone have a duration
    EXPECT_GE(event.at("dur").get<double>(), 0);
    EXPECT_GE(event.at("ts").get<double>(), last);
    last = event["ts"];
    names.push_back(event["name"]);
  }
  EXPECT_THAT(names, ::testing::IsSupersetOf({"PJRT_Client_BufferFromHostBuffer", "PJRT_LoadedExecutable_Execute",
                                              "PJRT_Buffer_ToHostBuffer"}));
  EXPECT_THAT(names, ::testing::Not(::testing::Contains("PJRT_Client_Compile")))
      << "of the run, not of what came before";
}

TEST_F(ProfileTest, PbIsAnXSpaceWithAPlane) {
  const std::string file = folder / "p.xplane.pb";
  ASSERT_EQ(profile(file).status, 0);
  const std::string bytes = read_all(file);
  ASSERT_FALSE(bytes.empty());
  EXPECT_EQ(bytes[0], '\x0a');  // XSpace.planes is field 1, length-delimited
  EXPECT_THAT(bytes, HasSubstr("PJRT_LoadedExecutable_Execute"));
}

TEST_F(ProfileTest, AnotherEndingIsWrongUsage) {
  EXPECT_TRUE(fails(profile(folder / "p.txt"), kWrongUsage, {"p.txt", ".xplane.pb", ".json"}));
}

TEST_F(ProfileTest, AFolderThatIsNotThereIsAnErrorBeforeTheRun) {
  EXPECT_TRUE(fails(profile(folder / "no/p.json"), kFailed, {"there is no folder"}));
}

}  // namespace
}  // namespace pjrt::test
