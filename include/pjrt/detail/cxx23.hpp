#pragma once

// Every public header reaches this file before its first declaration. Compiled for an older standard, or against a
// standard library without std::expected, the compiler says so in one sentence and stops, instead of listing hundreds
// of consequences.
#if !defined(__cplusplus) || __cplusplus < 202100L
#error \
    "pjrt-cpp needs C++23: compile with -std=c++23, or with CMake's target_compile_features(TARGET PRIVATE cxx_std_23)"
#include <pjrt-cpp needs C++23>  // #error does not end a compilation; a header that cannot exist does
#endif

#include <version>

#if !defined(__cpp_lib_expected)
#error \
    "pjrt-cpp needs std::expected: use GCC 12 or newer, or Clang 19 or newer with the standard library of GCC 12 or newer"
#include <pjrt-cpp needs std::expected>
#endif
