// Profiles that libtpu and the CUDA plugin take of themselves, without a device.

#include "pjrt/ext/profiler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "aot/targets.hpp"
#include "pjrt/abi/profiler.h"
#include "plugin/programs.hpp"
#include "support/data.hpp"

namespace pjrt {
namespace {

using ext::Profiler;
using ext::ProfileSession;
using test::value_of;

class TpuProfiles : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }

  void compile_something() const { EXPECT_OK(compile(test::tpu_v4(tpu), Program::mlir(test::kAdd))); }

  Plugin tpu = test::counted_plugin("tpu");
  Profiler profiler = value_of(tpu.extension<Profiler>());
};

TEST_F(TpuProfiles, ProgramsCompiledMeanwhileAreInTheMetadata) {
  ProfileSession session = value_of(profiler.start());
  compile_something();
  ASSERT_OK(session.stop());
  const std::vector<std::byte> bytes = value_of(session.collect());
  EXPECT_NE(test::as_text(bytes).find("add("), std::string::npos);  // the module's name and number
  const Profile profile = value_of(Profile::parse(bytes));
  EXPECT_TRUE(std::ranges::any_of(profile.planes(), [](const ProfilePlane& p) { return p.name == "/host:metadata"; }));
  EXPECT_TRUE(profile.errors().empty());
}

TEST_F(TpuProfiles, FinishStopsAndReads) {
  ProfileSession session = value_of(profiler.start());
  compile_something();
  EXPECT_FALSE(value_of(session.finish()).planes().empty());
  EXPECT_ERROR(session.stop(), FailedPrecondition, "stopped already");
}

TEST_F(TpuProfiles, DataAreThereOnlyAfterTheEnd) {
  ProfileSession session = value_of(profiler.start());
  EXPECT_ERROR(session.collect(), FailedPrecondition, "after it was stopped");
  EXPECT_ERROR(session.consume(), FailedPrecondition, "after it was stopped");
}

TEST_F(TpuProfiles, OneProfileAtATime) {
  const ProfileSession first = value_of(profiler.start());
  EXPECT_ERROR(profiler.start(), Unavailable, "already");
}

TEST_F(TpuProfiles, SessionThatIsDroppedEnds) {
  {
    const ProfileSession dropped = value_of(profiler.start());
  }
  EXPECT_OK(profiler.start());
}

TEST_F(TpuProfiles, MovedSessionEndsOnce) {
  ProfileSession first = value_of(profiler.start());
  ProfileSession second = std::move(first);
  EXPECT_ERROR(first.stop(), FailedPrecondition, "stopped already");
  EXPECT_OK(second.stop());
}

TEST_F(TpuProfiles, NewerInterfaceGivesTheSameProfile) {
  ProfileSession session = value_of(profiler.start());
  compile_something();
  ASSERT_OK(session.stop());
  const Profile profile = value_of(Profile::parse(value_of(session.consume())));
  EXPECT_TRUE(std::ranges::any_of(profile.planes(), [](const ProfilePlane& p) { return p.name == "/host:metadata"; }));
}

TEST_F(TpuProfiles, SecondCollectionIsEmpty) {
  ProfileSession session = value_of(profiler.start());
  compile_something();
  ASSERT_OK(session.stop());
  EXPECT_FALSE(value_of(session.collect()).empty());
  EXPECT_TRUE(value_of(session.collect()).empty());
}

TEST_F(TpuProfiles, FilesHoldWhatWasTaken) {
  ProfileSession session = value_of(profiler.start());
  compile_something();
  const Profile profile = value_of(session.finish());
  const test::TemporaryFolder folder;
  ASSERT_OK(profile.save(folder / "run.xplane.pb"));
  const Profile again = value_of(Profile::parse(test::as_bytes(test::read_all(folder / "run.xplane.pb"))));
  ASSERT_EQ(again.planes().size(), profile.planes().size());
  for (std::size_t i = 0; i < again.planes().size(); ++i) EXPECT_EQ(again.planes()[i].name, profile.planes()[i].name);
  ASSERT_OK(profile.save(folder / "run.json"));
  EXPECT_NE(test::read_all(folder / "run.json").find("/host:metadata"), std::string::npos);
}

TEST(CudaProfiles, NothingHappensWithoutAGpu) {
  REQUIRE_PLUGIN("cuda");
  const Profiler profiler = value_of(test::counted_plugin("cuda").extension<Profiler>());
  ProfileSession session = value_of(profiler.start());
  ASSERT_OK(session.stop());
  EXPECT_TRUE(value_of(session.collect()).empty());  // the plugin's answer is a lone NUL, which is no part of a message
}

TEST(CudaProfiles, InterfaceThatIsNotThereIsUnimplemented) {
  REQUIRE_PLUGIN("cuda");
  const Profiler profiler = value_of(test::counted_plugin("cuda").extension<Profiler>());
  ASSERT_NE(profiler.api(), nullptr);
  EXPECT_EQ(profiler.api()->consume, nullptr);
  ProfileSession session = value_of(profiler.start());
  ASSERT_OK(session.stop());
  EXPECT_ERROR(session.consume(), Unimplemented, "PLUGIN_Profiler_consume");
}

}  // namespace
}  // namespace pjrt
