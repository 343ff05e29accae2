#include "pjrt/serialized_executable.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "support/data.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::as_bytes;
using test::as_text;
using test::value_of;

const SerializedExecutable::Origin kOrigin{"cpu", {0, 115}, "20260101", "123-abc"};

std::string whole(const std::string& payload = "the plugin's\n\nbytes") {
  const SerializedExecutable executable(kOrigin, as_bytes(payload));
  return as_text(executable.bytes());
}

TEST(SerializedExecutable, GivesOriginAndPayloadBack) {
  const std::string payload("a\0b\n\nc", 6);
  const SerializedExecutable s = value_of(SerializedExecutable::parse(as_bytes(whole(payload))));
  EXPECT_EQ(s.origin(), kOrigin);
  EXPECT_EQ(as_text(s.payload()), payload);
}

TEST(SerializedExecutable, GivesTheSameBytesBack) {
  const SerializedExecutable read = value_of(SerializedExecutable::parse(as_bytes(whole())));
  EXPECT_EQ(as_text(read.bytes()), whole());
}

TEST(SerializedExecutable, OriginMayLackParts) {
  const SerializedExecutable::Origin origin{"tpu", {1, 2}, "", ""};
  const SerializedExecutable s(origin, as_bytes("x"));
  EXPECT_EQ(value_of(SerializedExecutable::parse(s.bytes())).origin(), origin);
}

TEST(SerializedExecutable, OriginWithLineBreaksDoesNotBreakTheHeader) {
  const SerializedExecutable s({"cpu\n\nx: y", {0, 115}, "", ""}, as_bytes("x"));
  const SerializedExecutable back = value_of(SerializedExecutable::parse(s.bytes()));
  EXPECT_EQ(as_text(back.payload()), "x");
  EXPECT_EQ(back.origin(), s.origin());
}

TEST(SerializedExecutable, PayloadMayBeEmpty) {
  const SerializedExecutable read = value_of(SerializedExecutable::parse(as_bytes(whole(""))));
  EXPECT_TRUE(read.payload().empty());
}

TEST(SerializedExecutable, ForeignBytesAreRefusedWithTheWayAround) {
  EXPECT_ERROR(SerializedExecutable::parse(as_bytes("\x0a\x05plugin bytes")), InvalidArgument,
               "not written by this library");
  EXPECT_ERROR(SerializedExecutable::parse(as_bytes("")), InvalidArgument, "Client::deserialize_raw");
}

TEST(SerializedExecutable, TruncationAnywhereIsAnError) {
  const std::string all = whole();
  for (std::size_t size = 0; size < all.size(); ++size)
    EXPECT_FALSE(SerializedExecutable::parse(as_bytes(all.substr(0, size)))) << size;
}

TEST(SerializedExecutable, TruncationOfThePayloadIsDataLossAndSaysHowMuchIsThere) {
  const std::string all = whole("0123456789");
  EXPECT_ERROR(SerializedExecutable::parse(as_bytes(all.substr(0, all.size() - 3))), DataLoss, "it has 7 bytes of 10");
}

TEST(SerializedExecutable, TruncationOfTheHeaderIsDataLoss) {
  EXPECT_ERROR(SerializedExecutable::parse(as_bytes(whole().substr(0, 40))), DataLoss, "cut off in its header");
}

TEST(SerializedExecutable, BytesBehindItAreAnError) {
  EXPECT_ERROR(SerializedExecutable::parse(as_bytes(whole() + "x")), DataLoss, "");
}

TEST(SerializedExecutable, DamageAnywhereIsAnError) {
  const std::string all = whole();
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const char flip : {'\x01', '\x04', '\x80'}) {
      std::string damaged = all;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      EXPECT_FALSE(SerializedExecutable::parse(as_bytes(damaged)))
          << "byte " << i << " of " << all.size() << ": " << damaged;
    }
  }
}

TEST(SerializedExecutable, DamageOfThePayloadIsDataLoss) {
  std::string damaged = whole();
  damaged.back() ^= 1;
  EXPECT_ERROR(SerializedExecutable::parse(as_bytes(damaged)), DataLoss, "its bytes are damaged");
}

TEST(SerializedExecutable, IsSavedAndLoaded) {
  const test::TemporaryFolder folder;
  ASSERT_OK(SerializedExecutable(kOrigin, as_bytes("payload")).save(folder / "add.pjrt"));
  const SerializedExecutable s = value_of(SerializedExecutable::load(folder / "add.pjrt"));
  EXPECT_EQ(s.origin(), kOrigin);
  EXPECT_EQ(as_text(s.payload()), "payload");
}

TEST(SerializedExecutable, LoadErrorsNameThePath) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "bad") << "hello";
  EXPECT_ERROR(SerializedExecutable::load(folder / "bad"), InvalidArgument, (folder / "bad").string());
  EXPECT_ERROR(SerializedExecutable::load(folder / "none"), NotFound, (folder / "none").string());
}

}  // namespace
}  // namespace pjrt
