#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "pjrt/error.hpp"

/// Matchers for Result that print the whole error.

namespace pjrt {

/// For gtest: an error as people read it.
inline void PrintTo(const Error& error, std::ostream* out) {
  *out << error;
}

namespace test {

template <class T>
::testing::AssertionResult is_ok(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << to_string(result.error());
}

template <class T>
::testing::AssertionResult failed_with(const Result<T>& result, ErrorCode code, const std::string& text) {
  if (result)
    return ::testing::AssertionFailure() << "it succeeded; expected " << name(code) << " with '" << text << "'";
  const std::string whole = to_string(result.error());
  if (result.error().code() != code)
    return ::testing::AssertionFailure() << "expected " << name(code) << ", got " << whole;
  if (whole.find(text) == std::string::npos)
    return ::testing::AssertionFailure() << "expected '" << text << "' in: " << whole;
  return ::testing::AssertionSuccess();
}

/// The value, or a test failure with the error and an exception that ends the test.
template <class T>
T value_of(Result<T>&& result) {
  if (!result) ADD_FAILURE() << to_string(result.error());
  return or_throw(std::move(result));
}

}  // namespace test
}  // namespace pjrt

#define EXPECT_OK(...) EXPECT_TRUE(::pjrt::test::is_ok(__VA_ARGS__))
#define ASSERT_OK(...) ASSERT_TRUE(::pjrt::test::is_ok(__VA_ARGS__))
/// The result is an error of `code` whose text contains `text`.
#define EXPECT_ERROR(result, code, text) EXPECT_TRUE(::pjrt::test::failed_with(result, ::pjrt::ErrorCode::code, text))
