#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "pjrt/client.hpp"
#include "pjrt/plugin.hpp"

/// The plugins that tests run on: what scripts/fetch-plugins put into .plugins.

namespace pjrt::test {

/// The CPU plugins of three versions, by their folder names.
inline const std::vector<std::string> kCpuVersions = {"cpu", "cpu-0.106", "cpu-0.81"};

/// The plugin file in .plugins/NAME, if it was fetched.
std::optional<std::filesystem::path> plugin_file(const std::string& name);

/// Why a pinned plugin cannot be used here: it was not fetched, or loading it would end the process. Nullopt if it can.
std::optional<std::string> why_not(const std::string& name);

/// The plugin behind the counter of calls (call_counter.hpp): a table that counts and passes on. Where it cannot be
/// had, the test ends as skipped, also in the constructor of a fixture.
Plugin counted_plugin(const std::string& name);

/// A client of it with that many devices (CPU plugins only; 0: no option given).
Client make_client(const Plugin& plugin, int cpu_devices = 1);

}  // namespace pjrt::test

/// Skips the test, with the reason, where a plugin cannot be used.
#define REQUIRE_PLUGIN(name) \
  if (const auto why = ::pjrt::test::why_not(name)) GTEST_SKIP() << *why
