#pragma once

#include <expected>
#include <iosfwd>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pjrt/detail/ref.hpp"
#include "pjrt/export.hpp"

namespace pjrt {

/// The canonical codes, numbered as `PJRT_Error_Code`.
enum class ErrorCode : int {
  Ok = 0,
  Cancelled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
};

/// "INVALID_ARGUMENT"; "UNKNOWN" for a number outside the enum.
PJRT_EXPORT std::string_view name(ErrorCode code) noexcept;

/// A keyed attachment of an error, e.g. a serialized proto. Keys are type URLs by convention; values are binary.
struct ErrorPayload {
  std::string key;
  std::string value;

  friend bool operator==(const ErrorPayload&, const ErrorPayload&) = default;
};

namespace detail {
struct ErrorState;
PJRT_EXPORT void retain(ErrorState*) noexcept;
PJRT_EXPORT void release(ErrorState*) noexcept;
}  // namespace detail

/// What went wrong: a code, a message that says no less than the plugin said, the C function that said it, its
/// payloads, and notes that the library adds (versions, places searched, what would help).
///
/// Wraps PJRT_Error_Destroy: the plugin's error is read and freed at once.
///
/// One pointer wide; copies share an immutable state and may be used from several threads.
class PJRT_EXPORT Error {
 public:
  Error(ErrorCode code, std::string message);

  /// Never `Ok`. Wraps PJRT_Error_GetCode.
  ErrorCode code() const noexcept;
  /// Wraps PJRT_Error_Message.
  std::string_view message() const& noexcept;
  std::string message() const&& { return std::string(message()); }
  /// The C function that failed, e.g. "PJRT_Client_Compile"; empty when the library itself refused.
  std::string_view function() const& noexcept;
  std::string function() const&& { return std::string(function()); }
  /// Attachments from the plugin. Wraps PJRT_Error_ForEachPayload, since 0.99; empty on older plugins.
  std::span<const ErrorPayload> payloads() const& noexcept;
  std::span<const ErrorPayload> payloads() const&& = delete;
  /// What the library knows beside the message, one thought each.
  std::span<const std::string> notes() const& noexcept;
  std::span<const std::string> notes() const&& = delete;

  /// This error with more said about it. Keeps the first 256 notes.
  Error with_note(std::string note) const&;
  /// The same for an error that is not needed any more.
  Error with_note(std::string note) &&;
  /// This error with "context: " before its message, unless 16 KiB of context are there already.
  Error with_context(std::string_view context) const&;
  /// This error as one of that C function.
  Error with_function(std::string_view function) &&;
  /// This error with these payloads.
  Error with_payloads(std::vector<ErrorPayload> payloads) &&;

 private:
  detail::ErrorState& own();
  detail::Ref<detail::ErrorState> state_;
};

/// "INVALID_ARGUMENT: message (PJRT_Client_Compile)", then one indented line per note.
PJRT_EXPORT std::string to_string(const Error& error);
PJRT_EXPORT std::ostream& operator<<(std::ostream& out, const Error& error);

/// A value, or the Error that came instead of it. The only error channel of the library: functions that return one
/// throw nothing, and memory that runs out is `ResourceExhausted`.
template <class T>
using Result = std::expected<T, Error>;

namespace detail {

/// The exception in flight as an error; to be called in a catch block. Needs no memory for std::bad_alloc.
PJRT_EXPORT Error caught() noexcept;

/// Runs `f`, which returns a Result or a Future, and turns what it throws into an error.
template <class F>
auto catching(F&& f) -> decltype(f()) {
#if defined(__cpp_exceptions)
  try {
    return f();
  } catch (...) {
    if constexpr (requires { decltype(f())(std::unexpected(caught())); }) {
      return std::unexpected(caught());
    } else {
      return decltype(f())(caught());
    }
  }
#else
  return f();
#endif
}

}  // namespace detail

/// Thrown by `or_throw` alone. `what()` is the whole text of the error.
class PJRT_EXPORT Exception : public std::runtime_error {
 public:
  explicit Exception(Error error) : std::runtime_error(to_string(error)), error_(std::move(error)) {}
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

#if defined(__cpp_exceptions)
/// The value, or its error thrown as `Exception`: for those who prefer exceptions.
template <class T>
T or_throw(Result<T>&& result) {
  if (!result) throw Exception(std::move(result).error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

template <class T>
T or_throw(const Result<T>& result) {
  if (!result) throw Exception(result.error());
  if constexpr (!std::is_void_v<T>) return *result;
}
#endif

}  // namespace pjrt
