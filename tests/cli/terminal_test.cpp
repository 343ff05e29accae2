// Nothing raw reaches the terminal: names, paths and messages come from files that anybody may have written.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

/// Whether text has no C0 or C1 control but line breaks and tabs, no character that turns the direction of text, and is
/// UTF-8.
::testing::AssertionResult harmless(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
      return ::testing::AssertionFailure() << "control " << static_cast<int>(c) << " at " << i;
    const std::string_view rest = std::string_view(text).substr(i);
    if (c == 0xc2 && rest.size() > 1 && static_cast<unsigned char>(rest[1]) < 0xa0)
      return ::testing::AssertionFailure() << "a C1 control at " << i;
    for (const std::string_view bidi : {"\xe2\x80\xae", "\xe2\x80\xa8", "\xe2\x81\xa6"}) {
      if (rest.starts_with(bidi)) return ::testing::AssertionFailure() << "a turn of direction at " << i;
    }
  }
  const auto ignored = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
  const auto replaced = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (ignored != replaced) return ::testing::AssertionFailure() << "not UTF-8";
  return ::testing::AssertionSuccess();
}

const std::string kHostile = std::string("\x1b[31m") +
                             "\xc2\x9b"
                             "2J" +
                             "\xe2\x80\xae" + "\x9b" + "\x7f";
const char* const kShown = R"(\x1b[31m\x9b2J\u202e\x9b\x7f)";

class Terminal : public RunTest {
 protected:
  /// An export whose only text of that length is replaced.
  static std::string replaced(std::string file, const std::string& old, const std::string& with) {
    EXPECT_EQ(old.size(), with.size());
    for (std::size_t at = file.find(old); at != std::string::npos; at = file.find(old, at + 1))
      file.replace(at, old.size(), with);
    return file;
  }
};

TEST_F(Terminal, HostilePathsAreEscapedInErrors) {
  const Outcome outcome = run_pjrt({"inspect", "/nowhere/" + kHostile});
  EXPECT_EQ(outcome.status, kFailed);
  EXPECT_TRUE(harmless(outcome.err));
  EXPECT_NE(outcome.err.find(kShown), std::string::npos) << outcome.err;
}

TEST_F(Terminal, HostilePathsAreEscapedInLongErrors) {
  const Outcome outcome = run_pjrt({"inspect", "-v", "/nowhere/" + kHostile});
  EXPECT_TRUE(harmless(outcome.err));
  EXPECT_NE(outcome.err.find(kShown), std::string::npos) << outcome.err;
}

TEST_F(Terminal, HostileOptionsAreEscaped) {
  EXPECT_TRUE(harmless(run_pjrt({kHostile}).err));
  EXPECT_TRUE(harmless(run_pjrt({"run", "x", "--" + kHostile}).err));
  EXPECT_TRUE(harmless(run_pjrt({"run", "x", "--input", kHostile}).err));
  EXPECT_TRUE(harmless(run_pjrt({"run", "x", "--input", kHostile + "=1"}).err));
  EXPECT_TRUE(harmless(run_pjrt({"info", "--plugin", kHostile}).err));
}

TEST_F(Terminal, HostileNamesAreEscapedInListingsAndFound) {
  // "scale" is the name of an argument of kwargs.jaxexp; five bytes that a terminal would obey take its place.
  const std::string file =
      write_file(folder / "m.jaxexp", replaced(read_all(export_file("kwargs.jaxexp")), "scale", "\x1b[7mS"));
  const Outcome listing = run_pjrt({"inspect", file});
  EXPECT_TRUE(succeeds(listing));
  EXPECT_TRUE(harmless(listing.out));
  EXPECT_NE(listing.out.find("\\x1b[7mS"), std::string::npos) << listing.out;
  const Outcome json = run_pjrt({"inspect", "--json", file});
  EXPECT_TRUE(harmless(json.out));
  EXPECT_TRUE(nlohmann::json::accept(json.out));
  const Outcome outcome = run_on(file, {"kwargs['\\x1b[7mS']=f32=3", "a[0]=2xf32=5 6", "w=2xf32=1 4"});
  EXPECT_EQ(values(outcome), "[12.0,6.0]");
}

TEST_F(Terminal, JsonStaysJson) {
  const std::string file = write_file(folder / "m.jaxexp", replaced(read_all(export_file("kwargs.jaxexp")), "scale",
                                                                    "\xe2\x80\xae"
                                                                    "\xc2\x9b"));
  const Outcome json = run_pjrt({"inspect", "--json", file});
  EXPECT_TRUE(succeeds(json));
  EXPECT_TRUE(harmless(json.out));
  EXPECT_NE(nlohmann::json::parse(json.out).dump().find("\xe2\x80\xae\xc2\x9b"), std::string::npos);
}

TEST_F(Terminal, LettersOfEveryScriptStay) {
  const Outcome outcome = run_pjrt({"inspect", "/nowhere/\xe6\x95\xb0 \xf0\x9f\x99\x82"});
  EXPECT_NE(outcome.err.find("\xe6\x95\xb0 \xf0\x9f\x99\x82"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace pjrt::test
