// The Profiler extension: a table of its own behind it, with errors of its own.

#include <gtest/gtest.h>

#include <optional>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/profiler.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace profiler = fake::profiler;

std::string as_text(const std::vector<std::byte>& bytes) {
  return test::text_of(bytes);
}

class ExtProfiler : public test::OnFake {
 protected:
  ExtProfiler() {
    fake.on<profiler::Create>([this](auto& a) {
      options.assign(a.options, a.options_size);
      a.profiler = fake.token<abi::PLUGIN_Profiler>("profiler");
    });
    fake.on<profiler::Destroy>([this](auto& a) { fake.drop(a.profiler, "profiler"); });
    fake.on<profiler::CollectData>([this](auto& a) {
      if (a.buffer == nullptr) {
        a.buffer_size_in_bytes = space.size();
      } else {
        EXPECT_EQ(a.buffer_size_in_bytes, space.size());
        std::copy(space.begin(), space.end(), a.buffer);
      }
    });
    fake.on<profiler::Consume>(
        [this](auto& a) { a.result = fake.token<abi::PLUGIN_Profiler_ConsumeResult>("result"); });
    fake.on<profiler::ConsumeResultDestroy>([this](auto& a) { fake.drop(a.consume_result, "result"); });
    fake.on<profiler::Serialize>([this](auto& a) {
      a.serialized_bytes = reinterpret_cast<const std::uint8_t*>(space.data());
      a.serialized_size = space.size();
    });
  }
  /// The plugin with a profiler table of that size, all slots there.
  ext::Profiler of_size(std::size_t size) {
    const abi::PJRT_Api* table = fake.table({.extensions = {{ext::Profiler::kType}}});
    auto* extension = reinterpret_cast<abi::PJRT_Profiler_Extension*>(table->extension_start);
    api = *extension->profiler_api;
    api.struct_size = size;
    extension->profiler_api = &api;
    return value_of(ext::Profiler::of(value_of(Plugin::adopt(table, "odd"))));
  }

  const ext::Profiler extension = value_of(ext::Profiler::of(plugin));
  std::string options;
  // An XSpace with one plane {id: 1, name: "/host"}: field 1, 9 bytes: field 1 = 1, field 2 = 5 bytes.
  std::string space = "\x0a\x09\x08\x01\x12\x05/host";
  abi::PLUGIN_Profiler_Api api{};
};

TEST_F(ExtProfiler, RecordsFromStartToStop) {
  {
    ext::ProfileSession session = value_of(extension.start("options"));
    EXPECT_EQ(options, "options");
    EXPECT_EQ(calls_of("PLUGIN_Profiler_Start"), 1u);
    EXPECT_EQ(calls_of("PLUGIN_Profiler_Stop"), 0u);
    EXPECT_OK(session.stop());
    EXPECT_EQ(calls_of("PLUGIN_Profiler_Stop"), 1u);
    EXPECT_EQ(fake.live()["profiler"], 1);
  }
  EXPECT_EQ(calls_of("PLUGIN_Profiler_Stop"), 1u);
  EXPECT_EQ(fake.live()["profiler"], 0);
}

TEST_F(ExtProfiler, ThatIsDroppedIsStoppedAndDestroyed) {
  EXPECT_OK(extension.start());
  EXPECT_EQ(calls_of("PLUGIN_Profiler_Stop"), 1u);
  EXPECT_EQ(calls_of("PLUGIN_Profiler_Destroy"), 1u);
}

TEST_F(ExtProfiler, CollectsInTwoCalls) {
  ext::ProfileSession session = value_of(extension.start());
  EXPECT_OK(session.stop());
  EXPECT_EQ(as_text(value_of(session.collect())), space);
  EXPECT_EQ(calls_of("PLUGIN_Profiler_CollectData"), 2u);
}

// libtpu gives its own memory at once.
TEST_F(ExtProfiler, CollectsInOneCallWhereThePluginGivesItsMemory) {
  fake.on<profiler::CollectData>([this](auto& a) {
    a.buffer = reinterpret_cast<std::uint8_t*>(space.data());
    a.buffer_size_in_bytes = space.size();
  });
  ext::ProfileSession session = value_of(extension.start());
  EXPECT_OK(session.stop());
  EXPECT_EQ(as_text(value_of(session.collect())), space);
  EXPECT_EQ(calls_of("PLUGIN_Profiler_CollectData"), 1u);
}

TEST_F(ExtProfiler, DropsTheZeroThatPluginsCountBehindAProfile) {
  const std::string whole = space;
  space.push_back('\0');
  ext::ProfileSession session = value_of(extension.start());
  EXPECT_OK(session.stop());
  EXPECT_EQ(as_text(value_of(session.collect())), whole);
}

TEST_F(ExtProfiler, FinishStopsCollectsAndReads) {
  ext::ProfileSession session = value_of(extension.start());
  const Profile profile = value_of(session.finish());
  ASSERT_EQ(profile.planes().size(), 1u);
  EXPECT_EQ(profile.planes()[0].id, 1);
  EXPECT_EQ(profile.planes()[0].name, "/host");
}

TEST_F(ExtProfiler, FinishAfterStopOnlyCollects) {
  ext::ProfileSession session = value_of(extension.start());
  EXPECT_OK(session.stop());
  EXPECT_OK(session.finish());
  EXPECT_EQ(calls_of("PLUGIN_Profiler_Stop"), 1u);
}

TEST_F(ExtProfiler, ConsumesByTheNewerInterfaceAndGivesTheResultBack) {
  ext::ProfileSession session = value_of(extension.start());
  EXPECT_OK(session.stop());
  EXPECT_EQ(as_text(value_of(session.consume())), space);
  EXPECT_EQ(fake.live()["result"], 0);
  fake.fail(profiler::Serialize::kName, {ErrorCode::Internal, "no bytes"});
  EXPECT_ERROR(session.consume(), Internal, "no bytes");
  EXPECT_EQ(fake.live()["result"], 0);
}

TEST_F(ExtProfiler, InTheWrongOrderIsRefused) {
  ext::ProfileSession session = value_of(extension.start());
  EXPECT_ERROR(session.collect(), FailedPrecondition, "a profile is collected after it was stopped");
  EXPECT_ERROR(session.consume(), FailedPrecondition, "a profile is collected after it was stopped");
  EXPECT_OK(session.stop());
  EXPECT_ERROR(session.stop(), FailedPrecondition, "stopped already");
  ext::ProfileSession moved = std::move(session);
  EXPECT_ERROR(session.collect(), FailedPrecondition, "after it was stopped");
  EXPECT_OK(moved.collect());
}

TEST_F(ExtProfiler, ASessionThatIsReplacedEnds) {
  {
    ext::ProfileSession session = value_of(extension.start());
    session = value_of(extension.start());
    EXPECT_EQ(fake.live()["profiler"], 1);
  }
  EXPECT_EQ(calls_of("PLUGIN_Profiler_Stop"), 2u);
}

TEST_F(ExtProfiler, ThatCannotBeMadeIsAnErrorOfItsOwnKind) {
  fake.fail(profiler::Create::kName, {ErrorCode::ResourceExhausted, "one at a time"});
  EXPECT_ERROR(extension.start(), ResourceExhausted, "one at a time");
  EXPECT_EQ(calls_of("PLUGIN_Profiler_Error_Destroy"), 1u);
  EXPECT_EQ(calls_of("PLUGIN_Profiler_Destroy"), 0u);
}

TEST_F(ExtProfiler, ThatCannotBeStartedIsDestroyedAndNotStopped) {
  fake.fail(profiler::Start::kName, {ErrorCode::Unavailable, "no device"});
  EXPECT_ERROR(extension.start(), Unavailable, "no device");
  EXPECT_EQ(calls_of("PLUGIN_Profiler_Stop"), 0u);
  EXPECT_EQ(calls_of("PLUGIN_Profiler_Destroy"), 1u);
}

TEST_F(ExtProfiler, WhoseEndFailsSaysSo) {
  ext::ProfileSession session = value_of(extension.start());
  fake.fail(profiler::Stop::kName, {ErrorCode::Aborted, "not ended"});
  EXPECT_ERROR(session.stop(), Aborted, "not ended");
  fake.fail(profiler::CollectData::kName, {ErrorCode::DataLoss, "nothing there"});
  EXPECT_ERROR(session.collect(), DataLoss, "nothing there");
  fake.fail(profiler::Consume::kName, {ErrorCode::DataLoss, "nothing left"});
  EXPECT_ERROR(session.consume(), DataLoss, "nothing left");
}

TEST_F(ExtProfiler, WhoseBytesAreNoProfileSaysSo) {
  space = "\x0a\x7f";
  EXPECT_FALSE(value_of(extension.start()).finish());
}

// The table of 104 bytes ends behind serialize; consume and what follows are its last 24.
TEST_F(ExtProfiler, OfAnOlderPluginLacksTheNewerInterface) {
  ext::ProfileSession session = value_of(of_size(80).start());
  EXPECT_OK(session.stop());
  EXPECT_OK(session.collect());
  EXPECT_ERROR(session.consume(), Unimplemented, "is not offered by the profiler of plugin odd");
}

TEST_F(ExtProfiler, WhoseTableIsNullOrEmptyIsUnimplemented) {
  EXPECT_ERROR(of_size(16).start(), Unimplemented, "is not offered by the profiler of plugin odd");
  const abi::PJRT_Api* table = fake.table({.extensions = {{ext::Profiler::kType}}});
  reinterpret_cast<abi::PJRT_Profiler_Extension*>(table->extension_start)->profiler_api = nullptr;
  const auto without = value_of(ext::Profiler::of(value_of(Plugin::adopt(table, "odd"))));
  EXPECT_EQ(without.api(), nullptr);
  EXPECT_ERROR(without.start(), Unimplemented, "is not offered by the profiler of plugin odd");
}

TEST_F(ExtProfiler, GivesTheNumberThatRelatesItsEvents) {
  const abi::PJRT_Api* table = fake.table({.extensions = {{ext::Profiler::kType}}});
  reinterpret_cast<abi::PJRT_Profiler_Extension*>(table->extension_start)->traceme_context_id = 77;
  EXPECT_EQ(value_of(ext::Profiler::of(value_of(Plugin::adopt(table, "odd")))).traceme_context_id(), 77);
}

}  // namespace
}  // namespace pjrt
