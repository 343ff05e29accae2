// Where plugins are looked for, in which order, and what is said when there is none.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "load/discovery_fixture.hpp"
#include "pjrt/plugin.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

namespace fs = std::filesystem;
using test::Discovery;
// The variables.

TEST_F(Discovery, TakesThePathInPjrtPlugin) {
  set("PJRT_PLUGIN", put("pjrt_c_api_abacus_plugin.so"));
  EXPECT_EQ(found(), Lines{"abacus abacus pjrt_c_api_abacus_plugin.so"});
}

TEST_F(Discovery, SaysThatAFileOfPjrtPluginIsNotThere) {
  set("PJRT_PLUGIN", "/nowhere/plugin.so");
  EXPECT_EQ(outcome("PJRT_PLUGIN (/nowhere/plugin.so)"), "no such file");
}

TEST_F(Discovery, SaysThatPjrtPluginIsAName) {
  set("PJRT_PLUGIN", "tpu");
  EXPECT_EQ(outcome("PJRT_PLUGIN"), "set to a name, 'tpu', not a path");
}

TEST_F(Discovery, TakesNamesAndPathsAsJaxDoes) {
  const std::string a = put("a.so");
  const std::string b = put("b.so");
  set("PJRT_NAMES_AND_LIBRARY_PATHS", "first:" + a + ",second:" + b);
  EXPECT_EQ(found(), (Lines{"first a a.so", "second b b.so"}));
}

TEST_F(Discovery, SaysWhichPairsAreNone) {
  set("PJRT_NAMES_AND_LIBRARY_PATHS", "lonely,:/x.so,gone:/nowhere/x.so");
  EXPECT_EQ(outcome("PJRT_NAMES_AND_LIBRARY_PATHS (lonely)"), "is not of the form name:path");
  EXPECT_EQ(outcome("PJRT_NAMES_AND_LIBRARY_PATHS (:/x.so)"), "is not of the form name:path");
  EXPECT_EQ(outcome("PJRT_NAMES_AND_LIBRARY_PATHS (gone:/nowhere/x.so)"), "no such file");
}

TEST_F(Discovery, SearchesTheFoldersOfPjrtPluginPathInOrder) {
  put("one/z.so");
  put("one/y.so");
  put("two/x.so");
  set("PJRT_PLUGIN_PATH", (folder / "two").string() + ":/nowhere:" + (folder / "one").string());
  EXPECT_EQ(found(), (Lines{"x x two/x.so", "y y one/y.so", "z z one/z.so"}));
  EXPECT_EQ(outcome("PJRT_PLUGIN_PATH (/nowhere)"), "no such directory");
  EXPECT_EQ(outcome("PJRT_PLUGIN_PATH (" + (folder / "one").string() + ")"), "2 plugins");
}

TEST_F(Discovery, TreatsEmptyVariablesAsUnset) {
  for (const char* name : {"PJRT_PLUGIN", "PJRT_NAMES_AND_LIBRARY_PATHS", "PJRT_PLUGIN_PATH"}) {
    set(name, "");
    EXPECT_EQ(outcome(name), "not set");
  }
}

// Folders.

TEST_F(Discovery, NamesFilesInFoldersAfterTheFolder) {
  put("plugins/abacus-2/wheel/lib/pjrt_c_api_abacus_plugin.so");
  set("PJRT_PLUGIN_PATH", folder / "plugins");
  EXPECT_EQ(found(), Lines{"abacus-2 abacus plugins/abacus-2/wheel/lib/pjrt_c_api_abacus_plugin.so"});
}

TEST_F(Discovery, LooksThreeFoldersDeep) {
  put("plugins/1/2/3/x.so");
  put("plugins/1/2/3/4/y.so");
  set("PJRT_PLUGIN_PATH", folder / "plugins");
  EXPECT_EQ(found(), Lines{"1 x plugins/1/2/3/x.so"});
}

TEST_F(Discovery, PassesOverWhatIsNoPlugin) {
  fs::create_directories(folder / "plugins");
  std::ofstream(folder / "plugins/readme.txt") << "text";
  fs::rename(put("plugins/x.so"), folder / "plugins/x.so.bak");
  fs::create_directory_symlink(folder / "plugins", folder / "plugins/round");
  set("PJRT_PLUGIN_PATH", folder / "plugins");
  EXPECT_EQ(found(), Lines{});
  EXPECT_EQ(outcome("PJRT_PLUGIN_PATH (" + (folder / "plugins").string() + ")"), "no plugin in it");
}

TEST_F(Discovery, SearchesTheUsersDataFolder) {
  put(".local/share/pjrt/plugins/abacus/x.so");
  set("HOME", folder.path());
  EXPECT_EQ(found(), Lines{"abacus x .local/share/pjrt/plugins/abacus/x.so"});
  put("data/pjrt/plugins/slide_rule.so");
  set("XDG_DATA_HOME", folder / "data");
  EXPECT_EQ(found(), Lines{"slide_rule slide_rule data/pjrt/plugins/slide_rule.so"});
}

// Wheels.

TEST_F(Discovery, FindsTheWheelsOfAnActiveEnvironment) {
  const std::string site = "env/lib/python3.12/site-packages/";
  put(site + "xla_plugins/abacus/abacus.so");
  put(site + "jax_plugins/xla_cuda13/xla_cuda_plugin.so");
  put(site + "libtpu/libtpu.so");
  put(site + "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so");
  put(site + "fastatomstruct_xla_cpu/libpjrt_cpu.so");
  put(site + "something_else/x.so");
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    set(variable, folder / "env");
    EXPECT_EQ(found(), (Lines{"abacus abacus " + site + "xla_plugins/abacus/abacus.so",
                              "xla_cuda13 cuda " + site + "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
                              "libtpu tpu " + site + "libtpu/libtpu.so",
                              "lammps_jax_pjrt_cpu cpu " + site + "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
                              "fastatomstruct_xla_cpu cpu " + site + "fastatomstruct_xla_cpu/libpjrt_cpu.so"}));
    ::unsetenv(variable);
  }
}

TEST_F(Discovery, FindsTheWheelsOfThePythonOnThePath) {
  put("usr/lib/python3.11/site-packages/libtpu/libtpu.so");
  fs::create_directories(folder / "usr/bin");
  std::ofstream(folder / "usr/bin/python3") << "#!/bin/sh\n";
  set("PATH", "/nowhere:" + (folder / "usr/bin").string());
  EXPECT_EQ(found(), Lines{"libtpu tpu usr/lib/python3.11/site-packages/libtpu/libtpu.so"});
}

TEST_F(Discovery, FindsTheWheelsOfPythonpath) {
  put("site/libtpu/libtpu.so");
  set("PYTHONPATH", folder / "site");
  EXPECT_EQ(found(), Lines{"libtpu tpu site/libtpu/libtpu.so"});
}

// The choice among them. The file's version is refused, by an error that says which file was chosen.

class Choice : public Discovery {
 protected:
  /// Whether a name leads to the file.
  static ::testing::AssertionResult leads_to(std::string_view name, const fs::path& file) {
    return test::failed_with(Plugin::load(name), ErrorCode::Unimplemented,
                             file.string() + " cannot be used: it has PJRT API 0.56");
  }
};

TEST_F(Choice, GoesByTheOrderOfPlaces) {
  const fs::path wheel = put("env/lib/python3.12/site-packages/xla_plugins/abacus/abacus.so");
  set("VIRTUAL_ENV", folder / "env");
  EXPECT_TRUE(leads_to("abacus", wheel));
  const fs::path data = put("data/pjrt/plugins/abacus.so");
  set("XDG_DATA_HOME", folder / "data");
  EXPECT_TRUE(leads_to("abacus", data));
  const fs::path path = put("path/abacus.so");
  set("PJRT_PLUGIN_PATH", folder / "path");
  EXPECT_TRUE(leads_to("abacus", path));
  const fs::path named = put("named.so");
  set("PJRT_NAMES_AND_LIBRARY_PATHS", "abacus:" + named.string());
  EXPECT_TRUE(leads_to("abacus", named));
  const fs::path chosen = put("chosen/abacus.so");
  set("PJRT_PLUGIN", chosen);
  EXPECT_TRUE(leads_to("abacus", chosen));
}

TEST_F(Choice, TakesAnEarlierPlacesShortNameBeforeALaterPlacesName) {
  const fs::path earlier = put("earlier/mine/pjrt_c_api_abacus_plugin.so");
  put("later/abacus/x.so");
  set("PJRT_PLUGIN_PATH", (folder / "earlier").string() + ":" + (folder / "later").string());
  EXPECT_TRUE(leads_to("abacus", earlier));
}

TEST_F(Choice, TakesTheNameBeforeTheShortNameWithinAPlace) {
  put("plugins/a/libabacus.so");
  const fs::path exact = put("plugins/abacus/x.so");
  set("PJRT_PLUGIN_PATH", folder / "plugins");
  EXPECT_TRUE(leads_to("abacus", exact));
}

TEST_F(Choice, OfTheDefaultIsPjrtPlugin) {
  const fs::path file = put("x.so");
  set("PJRT_PLUGIN", file);
  EXPECT_ERROR(Plugin::load_default(), Unimplemented, file.string());
  set("PJRT_NAMES_AND_LIBRARY_PATHS", "abacus:" + file.string());
  set("PJRT_PLUGIN", "abacus");
  EXPECT_ERROR(Plugin::load_default(), Unimplemented, file.string());
}

TEST_F(Choice, OfTheDefaultIsCpuOtherwise) {
  const fs::path file = put("x.so");
  set("PJRT_NAMES_AND_LIBRARY_PATHS", "cpu:" + file.string());
  EXPECT_ERROR(Plugin::load_default(), Unimplemented, file.string());
}

TEST_F(Choice, NamesThePlaceOfAFileThatCannotBeUsed) {
  put("plugins/abacus.so");
  set("PJRT_PLUGIN_PATH", folder / "plugins");
  EXPECT_ERROR(Plugin::load("abacus"), Unimplemented,
               "found as 'abacus' in PJRT_PLUGIN_PATH (" + (folder / "plugins").string() + ")");
}

TEST_F(Choice, OfNothingListsEveryPlaceAndWhatWasFound) {
  const fs::path other = put("plugins/slide_rule.so");
  set("PJRT_PLUGIN_PATH", (folder / "plugins").string() + ":/nowhere/plugins");
  set("PJRT_NAMES_AND_LIBRARY_PATHS", "gone:/nowhere/x.so");
  const auto none = Plugin::load("abacus");
  for (const std::string& text :
       {std::string("no plugin named 'abacus' was found"), std::string("PJRT_PLUGIN: not set"),
        std::string("PJRT_NAMES_AND_LIBRARY_PATHS (gone:/nowhere/x.so): no such file"),
        "PJRT_PLUGIN_PATH (" + (folder / "plugins").string() + "): 1 plugin",
        std::string("PJRT_PLUGIN_PATH (/nowhere/plugins): no such directory"), std::string("lib/pjrt/plugins"),
        std::string("/nowhere/.local/share/pjrt/plugins: no such directory"), std::string("Python site-packages"),
        "found under another name: slide_rule, " + other.string(), std::string("a path with a '/' in it")}) {
    EXPECT_ERROR(none, NotFound, text);
  }
}

TEST_F(Choice, OfNothingSaysWhatToInstall) {
  for (const auto& [name, wheel] :
       {std::pair("cpu", "pip install lammps-jax-pjrt-cpu"), std::pair("tpu", "pip install libtpu"),
        std::pair("cuda", "pip install jax-cuda13-pjrt")}) {
    const PluginSearch search = find_plugins();
    if (std::ranges::any_of(search.found, [&](const PluginCandidate& c) { return c.name == name || c.alias == name; }))
      continue;
    EXPECT_ERROR(Plugin::load(name), NotFound, wheel);
  }
}

}  // namespace
}  // namespace pjrt
