#pragma once

#include <expected>
#include <utility>

#include "pjrt/error.hpp"

/// `PJRT_TRY(auto x, f());` is `auto x = *f();`, returning f's error if there is one. Inside the library only.
#define PJRT_TRY(target, ...) PJRT_TRY_NAMED(PJRT_TRY_CAT(try_result_, __LINE__), target, __VA_ARGS__)
#define PJRT_TRY_NAMED(result, target, ...)                       \
  auto result = (__VA_ARGS__);                                    \
  if (!result) return std::unexpected(std::move(result).error()); \
  target = *std::move(result)
#define PJRT_TRY_CAT(a, b) PJRT_TRY_CAT2(a, b)
#define PJRT_TRY_CAT2(a, b) a##b

/// The same for an expression without a value.
#define PJRT_CHECK(...) \
  if (auto check_result = (__VA_ARGS__); !check_result) return std::unexpected(std::move(check_result).error())

/// At the end of a public function: `Result<X> f() try { … } PJRT_CATCH`. No exception leaves one; memory may run out
/// anywhere.
#define PJRT_CATCH                                    \
  catch (...) {                                       \
    return std::unexpected(::pjrt::detail::caught()); \
  }
/// The same for functions that return an Event, and a Future of T.
#define PJRT_CATCH_EVENT                                                    \
  catch (...) {                                                             \
    return ::pjrt::Event::ready(std::unexpected(::pjrt::detail::caught())); \
  }
#define PJRT_CATCH_FUTURE(T)                            \
  catch (...) {                                         \
    return ::pjrt::Future<T>(::pjrt::detail::caught()); \
  }
