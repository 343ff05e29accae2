// Loading a plugin by the path of its file: what is loaded once, what is refused, what stays.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "pjrt/plugin.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

namespace fs = std::filesystem;
using test::value_of;

std::string odd(const std::string& kind) {
  return std::string(PJRT_ODD_PLUGINS) + "/" + kind + ".so";
}

TEST(PluginFile, ThatIsNotThere) {
  EXPECT_ERROR(Plugin::load("/nowhere/plugin.so"), NotFound, "plugin /nowhere/plugin.so: No such file or directory");
}

TEST(PluginFile, UnderAFile) {
  EXPECT_ERROR(Plugin::load("/dev/null/plugin.so"), NotFound, "Not a directory");
}

TEST(PluginFile, ThatIsAFolder) {
  EXPECT_ERROR(Plugin::load("/tmp/"), InvalidArgument,
               "plugin /tmp/ cannot be loaded: it is a directory; name the .so file in it");
}

TEST(PluginFile, ThatIsNoLibrary) {
  EXPECT_ERROR(Plugin::load(test::data_file("exports/cases.json").string()), InvalidArgument,
               "cases.json cannot be loaded: ");
}

TEST(PluginFile, ThatIsALibraryCutShort) {
  const test::TemporaryFolder folder;
  const fs::path cut = folder / "cut.so";
  std::ofstream(cut, std::ios::binary) << test::read_all(odd("null_table")).substr(0, 9000);
  EXPECT_ERROR(Plugin::load(cut.string()), InvalidArgument, "cut.so cannot be loaded: the file is cut short");
}

TEST(PluginFile, WhoseSymbolsNobodyDefines) {
  EXPECT_ERROR(Plugin::load(odd("undefined_symbol")), InvalidArgument,
               "undefined symbol: function_that_nobody_defines");
}

TEST(PluginFile, WithoutGetPjrtApi) {
  EXPECT_ERROR(Plugin::load(odd("no_symbol")), InvalidArgument,
               "no_symbol.so is not a PJRT plugin: it exports no GetPjrtApi");
}

TEST(PluginFile, WhoseTableIsNull) {
  EXPECT_ERROR(Plugin::load(odd("null_table")), InvalidArgument,
               "null_table.so cannot be used: its GetPjrtApi returns a null table");
}

TEST(PluginFile, WhoseTableIsTooSmall) {
  EXPECT_ERROR(Plugin::load(odd("table_of_nothing")), InvalidArgument,
               "table_of_nothing.so cannot be used: its table is too small: 8 bytes");
}

TEST(PluginFile, OfAnotherMajorVersion) {
  EXPECT_ERROR(Plugin::load(odd("other_major")), Unimplemented,
               "other_major.so cannot be used: it has PJRT API 1.114; this library speaks major version 0");
}

TEST(PluginFile, OfAVersionBefore57) {
  EXPECT_ERROR(Plugin::load(odd("old_minor")), Unimplemented,
               "old_minor.so cannot be used: it has PJRT API 0.56; the oldest that can be used is 0.57");
}

TEST(PluginFile, ThatIsRefusedIsRefusedAgain) {
  EXPECT_ERROR(Plugin::load(odd("null_table")), InvalidArgument, "null table");
  EXPECT_ERROR(Plugin::load(odd("null_table")), InvalidArgument, "null table");
}

TEST(PluginFile, WithoutAName) {
  EXPECT_ERROR(Plugin::load(""), InvalidArgument, "the name of a plugin is empty");
}

class LoadedFile : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cpu"); }
  const test::TemporaryFolder folder;
  const fs::path file = test::plugin_file("cpu").value_or("");
};

TEST_F(LoadedFile, IsNamedAfterTheFile) {
  const Plugin plugin = value_of(Plugin::load(file.string()));
  EXPECT_EQ(plugin.name(), "cpu");  // of pjrt_c_api_cpu_plugin.so
  EXPECT_EQ(plugin.path(), file);
  EXPECT_EQ(plugin.platform_hint(), "cpu");
}

TEST_F(LoadedFile, TwiceIsTheSamePlugin) {
  EXPECT_EQ(value_of(Plugin::load(file.string())), value_of(Plugin::load(file.string())));
}

TEST_F(LoadedFile, ThroughALinkIsTheSamePlugin) {
  fs::create_symlink(file, folder / "other.so");
  fs::create_directory_symlink(file.parent_path(), folder / "folder");
  const Plugin plugin = value_of(Plugin::load(file.string()));
  EXPECT_EQ(value_of(Plugin::load((folder / "other.so").string())), plugin);
  EXPECT_EQ(value_of(Plugin::load((folder / "folder" / file.filename()).string())), plugin);
}

TEST_F(LoadedFile, ByARelativePathIsTheSamePlugin) {
  const Plugin plugin = value_of(Plugin::load(file.string()));
  fs::current_path(file.parent_path());
  EXPECT_EQ(value_of(Plugin::load("./" + file.filename().string())), plugin);
}

TEST_F(LoadedFile, ByNameIsTheSamePlugin) {
  ::setenv("PJRT_NAMES_AND_LIBRARY_PATHS", ("mine:" + file.string()).c_str(), 1);
  EXPECT_EQ(value_of(Plugin::load("mine")), value_of(Plugin::load(file.string())));
}

TEST_F(LoadedFile, ByManyThreadsAtOnceIsTheSamePlugin) {
  std::vector<std::optional<Plugin>> plugins(8);
  {
    std::vector<std::jthread> threads;
    for (auto& plugin : plugins) threads.emplace_back([&] { plugin = value_of(Plugin::load(file.string())); });
  }
  for (const auto& plugin : plugins) EXPECT_EQ(plugin, plugins.front());
}

TEST_F(LoadedFile, StaysLoaded) {
  EXPECT_OK(Plugin::load(file.string()));
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(library, nullptr);
  ::dlclose(library);
  EXPECT_NE(::dlopen(file.c_str(), RTLD_NOW | RTLD_NOLOAD), nullptr);
}

TEST_F(LoadedFile, KeepsItsSymbolsToItself) {
  EXPECT_OK(Plugin::load(file.string()));
  EXPECT_EQ(::dlsym(RTLD_DEFAULT, "GetPjrtApi"), nullptr);
}

}  // namespace
}  // namespace pjrt
