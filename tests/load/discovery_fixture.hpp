#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "pjrt/plugin.hpp"
#include "support/data.hpp"

namespace pjrt::test {

namespace fs = std::filesystem;

/// A world without plugins but for those that a test puts there. No file is loaded by a search, so any library that
/// exports GetPjrtApi will do.
class Discovery : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"PJRT_PLUGIN", "PJRT_NAMES_AND_LIBRARY_PATHS", "PJRT_PLUGIN_PATH", "XDG_DATA_HOME",
                             "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH"})
      ::unsetenv(name);
    set("HOME", "/nowhere");
    set("PATH", "/nowhere");
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  /// A plugin file in the folder; its path.
  fs::path put(const std::string& name) const {
    fs::create_directories((folder / name).parent_path());
    fs::copy_file(std::string(PJRT_ODD_PLUGINS) + "/old_minor.so", folder / name);
    return folder / name;
  }
  /// The usable plugins below this test's folder: "name alias path".
  std::vector<std::string> found() const {
    std::vector<std::string> lines;
    for (const PluginCandidate& c : find_plugins().found) {
      if (!c.problem && c.path.string().starts_with(folder.path().string()))
        lines.push_back(c.name + " " + c.alias + " " + fs::relative(c.path, folder.path()).string());
    }
    return lines;
  }
  /// What was found below this test's folder and cannot be used: "path: problem".
  std::vector<std::string> unusable() const {
    std::vector<std::string> lines;
    for (const PluginCandidate& c : find_plugins().found) {
      if (c.problem && c.path.string().starts_with(folder.path().string()))
        lines.push_back(fs::relative(c.path.parent_path(), folder.path()).string() + "/" + c.path.filename().string() +
                        ": " + *c.problem);
    }
    return lines;
  }
  static std::string outcome(const std::string& place) {
    for (const SearchedPlace& p : find_plugins().places) {
      if (p.place == place) return p.outcome;
    }
    return "not searched";
  }
  using Lines = std::vector<std::string>;
  const test::TemporaryFolder folder;
};

}  // namespace pjrt::test
