// Profiles read from XLA's XSpace messages and written for Chrome.

#include "pjrt/profile.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/wire_writer.hpp"

namespace pjrt {
namespace {

using test::put_bytes;
using test::put_number;
using test::value_of;

/// An entry of a map from numbers to metadata {1: id, 2: name, 4: display name}.
std::string metadata(std::uint64_t id, const std::string& name, const std::string& display = "") {
  return put_number(1, id) +
         put_bytes(2, put_number(1, id) + put_bytes(2, name) + (display.empty() ? "" : put_bytes(4, display)));
}

Profile parse(const std::string& xspace) {
  return value_of(Profile::parse(test::as_bytes(xspace)));
}

/// A profile of one event.
Profile of_event(std::int64_t line_ns, ProfileEvent event) {
  return Profile({ProfilePlane{1, "/host", {ProfileLine{7, "main", line_ns, {std::move(event)}}}}});
}

// XSpace {1: planes {1: id, 2: name, 3: lines {1: id, 2: name, 3: timestamp, 4: events {1: metadata, 2: offset, 3:
// duration, 4: stats}, 11: display name}, 4: event metadata, 5: stat metadata}, 2: errors, 3: warnings}

TEST(Profiles, NamesOfEventsMayComeBehindThem) {
  const std::string event = put_number(1, 5) + put_number(2, 300) + put_number(3, 40);
  const std::string line = put_number(1, 9) + put_bytes(2, "thread") + put_number(3, 1000) + put_bytes(4, event);
  const Profile profile = parse(put_bytes(
      1, put_number(1, 2) + put_bytes(2, "/host:CPU") + put_bytes(3, line) + put_bytes(4, metadata(5, "matmul"))));
  ASSERT_EQ(profile.planes().size(), 1u);
  EXPECT_EQ(profile.planes()[0].id, 2);
  EXPECT_EQ(profile.planes()[0].name, "/host:CPU");
  const ProfileLine& read = profile.planes()[0].lines.at(0);
  EXPECT_EQ(read.id, 9);
  EXPECT_EQ(read.name, "thread");
  EXPECT_EQ(read.timestamp_ns, 1000);
  EXPECT_EQ(read.events.at(0).name, "matmul");
  EXPECT_EQ(read.events[0].offset_ps, 300);
  EXPECT_EQ(read.events[0].duration_ps, 40);
}

TEST(Profiles, DisplayNamesGoBeforeNames) {
  const std::string line = put_bytes(2, "line") + put_bytes(11, "shown line") + put_bytes(4, put_number(1, 5));
  const Profile profile = parse(put_bytes(1, put_bytes(3, line) + put_bytes(4, metadata(5, "fusion.17", "matmul"))));
  EXPECT_EQ(profile.planes().at(0).lines.at(0).name, "shown line");
  EXPECT_EQ(profile.planes()[0].lines[0].events.at(0).name, "matmul");
}

TEST(Profiles, EventsWithoutANameAreNumbered) {
  EXPECT_EQ(
      parse(put_bytes(1, put_bytes(3, put_bytes(4, put_number(1, 5))))).planes().at(0).lines.at(0).events.at(0).name,
      "#5");
}

TEST(Profiles, StatsBecomeText) {
  // XStat {1: metadata, 3: uint64, 4: int64, 5: text, 6: bytes, 7: the number of a stat's name}
  const std::string event = put_number(1, 1) + put_bytes(4, put_number(1, 1) + put_number(3, 64)) +
                            put_bytes(4, put_number(1, 2) + put_number(4, static_cast<std::uint64_t>(-3))) +
                            put_bytes(4, put_number(1, 2) + put_bytes(5, "text")) +
                            put_bytes(4, put_number(1, 2) + put_bytes(6, "1234")) +
                            put_bytes(4, put_number(1, 2) + put_number(7, 1));
  const Profile profile =
      parse(put_bytes(1, put_bytes(3, put_bytes(4, event)) + put_bytes(5, metadata(1, "bytes accessed")) +
                             put_bytes(5, metadata(2, "note"))));
  using Stats = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(profile.planes().at(0).lines.at(0).events.at(0).stats, (Stats{{"bytes accessed", "64"},
                                                                          {"note", "-3"},
                                                                          {"note", "text"},
                                                                          {"note", "4 bytes"},
                                                                          {"note", "bytes accessed"}}));
}

TEST(Profiles, ErrorsAndWarningsAreKept) {
  const Profile profile = parse(put_bytes(2, "no permission") + put_bytes(3, "events were dropped"));
  EXPECT_EQ(profile.errors(), std::vector<std::string>{"no permission"});
  EXPECT_EQ(profile.warnings(), std::vector<std::string>{"events were dropped"});
  EXPECT_EQ(parse(profile.to_xspace()).errors(), profile.errors());
  EXPECT_EQ(parse(profile.to_xspace()).warnings(), profile.warnings());
}

TEST(Profiles, MessagesThatAreCutOffAreRefused) {
  const std::string whole = put_bytes(1, put_bytes(2, "/host:CPU"));
  EXPECT_ERROR(Profile::parse(test::as_bytes(whole.substr(0, whole.size() - 1))), InvalidArgument,
               "not a serialized XSpace");
}

TEST(Profiles, EmptyMessageIsAnEmptyProfile) {
  EXPECT_TRUE(parse("").planes().empty());
}

TEST(Profiles, ChromeTimesAreMicroseconds) {
  const std::string json = of_event(1'500'000, {"e", 2'500'000, 1'250'000, {}}).to_chrome_json();
  EXPECT_NE(json.find("\"ts\":1502.500000"), std::string::npos) << json;
  EXPECT_NE(json.find("\"dur\":1.250000"), std::string::npos) << json;
}

TEST(Profiles, ChromeTimesOfTheClockSince1970DoNotOverflow) {  // 2026 is 1.8e18 ns, which is 1.8e21 ps
  const std::string json = of_event(1'795'392'015'030'386'123, {"e", 1'000'001, 1, {}}).to_chrome_json();
  EXPECT_NE(json.find("\"ts\":1795392015030387.123001"), std::string::npos) << json;
  EXPECT_NE(json.find("\"dur\":0.000001"), std::string::npos) << json;
}

TEST(Profiles, ChromeTimesBeforeTheBeginningAreNegative) {
  EXPECT_NE(of_event(0, {"e", -1'500'000, 0, {}}).to_chrome_json().find("\"ts\":-1.500000"), std::string::npos);
  EXPECT_NE(of_event(1, {"e", -1'001, 0, {}}).to_chrome_json().find("\"ts\":-0.000001"), std::string::npos);
}

TEST(Profiles, ChromeNamesProcessesAndThreads) {
  const nlohmann::json events = nlohmann::json::parse(of_event(0, {"e", 0, 1, {}}).to_chrome_json()).at("traceEvents");
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].at("name"), "process_name");
  EXPECT_EQ(events[0].at("args").at("name"), "/host");
  EXPECT_EQ(events[1].at("name"), "thread_name");
  EXPECT_EQ(events[1].at("args").at("name"), "main");
  EXPECT_EQ(events[1].at("tid"), events[2].at("tid"));
  EXPECT_EQ(events[2].at("ph"), "X");
}

TEST(Profiles, ChromeTextIsEscaped) {
  const ProfileEvent event{"a \"quoted\"\\\n\x01 name", 0, 1, {{"k\t", "\x1f"}}};
  const nlohmann::json events = nlohmann::json::parse(of_event(0, event).to_chrome_json()).at("traceEvents");
  EXPECT_EQ(events[2].at("name"), event.name);
  EXPECT_EQ(events[2].at("args").at("k\t"), "\x1f");
}

TEST(Profiles, ALongNameOfManyEventsIsRefusedBeforeItFillsTheMemory) {
  std::string line;
  for (int i = 0; i < 2000; ++i) line += put_bytes(4, put_number(1, 5));
  const std::string xspace = put_bytes(1, put_bytes(3, line) + put_bytes(4, metadata(5, std::string(1 << 20, 'x'))));
  EXPECT_ERROR(Profile::parse(test::as_bytes(xspace)), InvalidArgument, "the names of its events are too long");
}

}  // namespace
}  // namespace pjrt
