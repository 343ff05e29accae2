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

/// The plugin behind the counter of calls (call_counter.hpp): a table that counts and passes on. Fails the test if it
/// cannot be had.
Plugin counted_plugin(const std::string& name);

/// A client of it with that many devices (CPU plugins only; 0: no option given).
Client make_client(const Plugin& plugin, int cpu_devices = 1);

}  // namespace pjrt::test

/// Skips the test, with the reason, where a plugin was not fetched.
#define REQUIRE_PLUGIN(name)                                                                      \
  if (!::pjrt::test::plugin_file(name)) {                                                         \
    GTEST_SKIP() << "plugin " << (name) << " is not there; run scripts/fetch-plugins " << (name); \
  }
