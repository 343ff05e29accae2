#include "pjrt/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

#include "support/matchers.hpp"

namespace pjrt {
namespace {

using ::testing::ElementsAre;

TEST(Error, HasCodeAndMessage) {
  const Error e(ErrorCode::NotFound, "no such file");
  EXPECT_EQ(e.code(), ErrorCode::NotFound);
  EXPECT_EQ(e.message(), "no such file");
  EXPECT_EQ(e.function(), "");
  EXPECT_TRUE(e.notes().empty());
  EXPECT_TRUE(e.payloads().empty());
}

TEST(Error, IsNeverOk) {
  EXPECT_EQ(Error(ErrorCode::Ok, "").code(), ErrorCode::Unknown);
}

TEST(Error, IsOnePointerWideAndMovesWithoutThrowing) {
  static_assert(sizeof(Error) == sizeof(void*));
  static_assert(std::is_nothrow_move_constructible_v<Error>);
  static_assert(std::is_nothrow_move_assignable_v<Error>);
}

TEST(Error, CopiesShareTheirState) {
  const Error e(ErrorCode::Internal, "a message that is longer than any small string");
  const Error copy = e;
  EXPECT_EQ(copy.message().data(), e.message().data());
}

TEST(Error, CopyOutlivesTheOriginal) {
  auto e = std::make_unique<Error>(ErrorCode::Internal, "still here");
  const Error copy = *e;
  e.reset();
  EXPECT_EQ(copy.message(), "still here");
}

TEST(Error, NotesAreAddedInOrder) {
  const Error error = Error(ErrorCode::Internal, "m").with_note("first").with_note("second");
  EXPECT_THAT(error.notes(), ElementsAre("first", "second"));
}

TEST(Error, NoteOnACopyDoesNotChangeTheOriginal) {
  const Error e = Error(ErrorCode::Internal, "m").with_note("first");
  const Error more = e.with_note("second");
  EXPECT_THAT(e.notes(), ElementsAre("first"));
  EXPECT_THAT(more.notes(), ElementsAre("first", "second"));
}

TEST(Error, NoteOnAMovedCopyDoesNotChangeTheOriginal) {
  const Error e(ErrorCode::Internal, "m");
  Error copy = e;
  const Error more = std::move(copy).with_note("note");
  EXPECT_TRUE(e.notes().empty());
  EXPECT_THAT(more.notes(), ElementsAre("note"));
}

TEST(Error, ContextStandsBeforeTheMessageAndKeepsTheRest) {
  const Error e = Error(ErrorCode::DataLoss, "cut off")
                      .with_function("PJRT_Client_Compile")
                      .with_payloads({{"key", "value"}})
                      .with_note("note");
  const Error in_context = e.with_context("model.npy");
  EXPECT_EQ(in_context.message(), "model.npy: cut off");
  EXPECT_EQ(in_context.code(), ErrorCode::DataLoss);
  EXPECT_EQ(in_context.function(), "PJRT_Client_Compile");
  EXPECT_THAT(in_context.notes(), ElementsAre("note"));
  EXPECT_THAT(in_context.payloads(), ElementsAre(ErrorPayload{"key", "value"}));
  EXPECT_EQ(e.message(), "cut off");
}

TEST(Error, PayloadsMayBeBinary) {
  const std::string binary("\0\x01\xff", 3);
  const Error error = Error(ErrorCode::Internal, "m").with_payloads({{"type.googleapis.com/a", binary}});
  EXPECT_EQ(error.payloads()[0].value, binary);
}

TEST(Error, CanBeReadAfterItWasMovedFrom) {
  Error e(ErrorCode::Internal, "m");
  const Error taken = std::move(e);
  EXPECT_EQ(e.code(), ErrorCode::Unknown);
  EXPECT_EQ(e.message(), "");
  EXPECT_EQ(to_string(e), "UNKNOWN: ");
  const Error noted = std::move(e).with_note("note");
  EXPECT_THAT(noted.notes(), ElementsAre("note"));
}

// As text.

TEST(ErrorText, IsCodeAndMessage) {
  EXPECT_EQ(to_string(Error(ErrorCode::InvalidArgument, "bad shape")), "INVALID_ARGUMENT: bad shape");
}

TEST(ErrorText, HasTheCFunctionInParentheses) {
  EXPECT_EQ(to_string(Error(ErrorCode::InvalidArgument, "bad shape").with_function("PJRT_Client_Compile")),
            "INVALID_ARGUMENT: bad shape (PJRT_Client_Compile)");
}

TEST(ErrorText, HasEachNoteOnAnIndentedLine) {
  EXPECT_EQ(to_string(Error(ErrorCode::NotFound, "no plugin").with_function("f").with_note("one").with_note("two")),
            "NOT_FOUND: no plugin (f)\n  one\n  two");
}

TEST(ErrorText, IsWhatStreamsPrint) {
  std::ostringstream out;
  out << Error(ErrorCode::Aborted, "m");
  EXPECT_EQ(out.str(), "ABORTED: m");
}

TEST(ErrorCode, HasTheCanonicalNames) {  // of absl::StatusCode, in order
  const char* names[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  for (int code = 0; code <= 16; ++code) EXPECT_EQ(name(static_cast<ErrorCode>(code)), names[code]);
}

TEST(ErrorCode, NumbersOutsideAreUnknown) {
  EXPECT_EQ(name(static_cast<ErrorCode>(17)), "UNKNOWN");
  EXPECT_EQ(name(static_cast<ErrorCode>(-1)), "UNKNOWN");
}

// Exceptions, for those who want them.

TEST(OrThrow, GivesTheValue) {
  EXPECT_EQ(or_throw(Result<int>(5)), 5);
  const Result<int> kept = 6;
  EXPECT_EQ(or_throw(kept), 6);
}

TEST(OrThrow, GivesValuesThatCannotBeCopied) {
  EXPECT_EQ(*or_throw(Result<std::unique_ptr<int>>(std::make_unique<int>(7))), 7);
}

TEST(OrThrow, OfVoidGivesNothing) {
  EXPECT_NO_THROW(or_throw(Result<void>()));
}

TEST(OrThrow, ThrowsTheErrorWithItsWholeText) {
  const Result<void> failed = std::unexpected(Error(ErrorCode::NotFound, "no plugin").with_note("a note"));
  try {
    or_throw(failed);
    FAIL() << "it did not throw";
  } catch (const Exception& e) {
    EXPECT_STREQ(e.what(), "NOT_FOUND: no plugin\n  a note");
    EXPECT_EQ(e.error().code(), ErrorCode::NotFound);
  }
}

TEST(OrThrow, ThrowsARuntimeError) {
  EXPECT_THROW(or_throw(Result<int>(std::unexpected(Error(ErrorCode::Internal, "m")))), std::runtime_error);
}

}  // namespace
}  // namespace pjrt
