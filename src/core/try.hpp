#pragma once

#include <expected>
#include <utility>

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
