#pragma once

#include <cstdint>
#include <string>

#include "pjrt/abi/core.h"

/// A counter between the tests and a plugin: a table whose functions count, may fail on purpose, and pass on to the
/// plugin's.
///
/// When a test process ends, the counts are appended to the file named by PJRT_CALL_LOG, a line "plugin function calls
/// errors unimplemented test" each; `scripts/coverage` makes docs/coverage.md from these.

namespace pjrt::test {

/// A table in front of `api`, core functions and those of the extensions. Lives for ever.
const abi::PJRT_Api* count_calls(const abi::PJRT_Api* api, const std::string& plugin);

/// How often a function of a plugin was called so far.
std::int64_t calls_of(const std::string& plugin, const std::string& function);

/// How often it succeeded: was called, and neither failed nor was made to fail.
std::int64_t successes_of(const std::string& plugin, const std::string& function);

/// Calls that can fail, counted over all plugins since `fail_call` last set it to 0.
std::int64_t fallible_calls();

/// Makes the n-th fallible call from now on (1 is the next) fail with Internal "injected failure" instead of being
/// passed on; 0 for none. Destroying, reading errors and counting references never fail. Waiting fails once it is over.
void fail_call(std::int64_t n);

/// The function that the last `fail_call` made fail; empty if there were not so many calls.
std::string failed_function();

}  // namespace pjrt::test
