// Text of unknown origin, as messages show it.

#include "core/printable.hpp"

#include <gtest/gtest.h>

namespace pjrt::detail {
namespace {

TEST(Printable, KeepsTextInAnyLanguage) {
  EXPECT_EQ(printable("/tmp/a b-é-абак-算盤-🧮.so"), "/tmp/a b-é-абак-算盤-🧮.so");
}

TEST(Printable, EscapesControlCharacters) {
  EXPECT_EQ(printable("\x1b[31m\r\n\t\x7f"), "\\x1b[31m\\r\\n\\t\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\x9b31m");  // U+009B, which some terminals take for ESC [
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("\xff\x80z\xc3"), "\\xff\\x80z\\xc3");
  EXPECT_EQ(printable("\xe7\xae"), "\\xe7\\xae");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");  // an overlong '/'
}

}  // namespace
}  // namespace pjrt::detail
