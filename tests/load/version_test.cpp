// Every pinned plugin loads, with its own version's functions, and tells what it is without any hardware.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;

struct Pinned {
  const char* name;
  int minor;
  int functions;           // of the 138 of 0.114, counted in each plugin's table
  std::string_view lacks;  // the first that came after it
};

void PrintTo(const Pinned& pinned, std::ostream* out) {
  *out << pinned.name;
}

class PinnedPlugin : public ::testing::TestWithParam<Pinned> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam().name); }
  Plugin load() const { return value_of(Plugin::load(test::plugin_file(GetParam().name)->string())); }
};

INSTANTIATE_TEST_SUITE_P(
    All, PinnedPlugin,
    ::testing::Values(Pinned{"tpu-0.57", 57, 101, "PJRT_AsyncHostToDeviceTransferManager_Destroy"},
                      Pinned{"tpu-0.67", 67, 112, "PJRT_Client_CreateUninitializedBuffer"},
                      Pinned{"tpu-0.69", 69, 113, "PJRT_Client_UpdateGlobalProcessInfo"},
                      Pinned{"tpu-0.75", 75, 115, "PJRT_Client_CreateAliasBuffer"},
                      Pinned{"cpu-0.81", 81, 118, "PJRT_Client_CreateErrorBuffer"},
                      Pinned{"cpu-0.106", 106, 136, "PJRT_TopologyDescription_MakeCanonicalShapeForMemorySpace"},
                      Pinned{"cpu", 115, 138, ""}, Pinned{"cuda", 116, 138, ""}, Pinned{"tpu", 117, 138, ""}),
    [](const auto& info) {
      std::string name = info.param.name;
      std::ranges::replace_if(name, [](char c) { return c == '-' || c == '.'; }, '_');
      return name;
    });

TEST_P(PinnedPlugin, HasItsVersion) {
  EXPECT_EQ(load().api_version(), (Version{0, GetParam().minor}));
}

TEST_P(PinnedPlugin, HasTheFunctionsOfItsVersion) {
  const Plugin plugin = load();
  EXPECT_EQ(plugin.function_count(), GetParam().functions);
  EXPECT_EQ(plugin.absent_functions().size(), 138u - static_cast<std::size_t>(GetParam().functions));
  EXPECT_TRUE(plugin.has_function("PJRT_Client_Compile"));
  if (!GetParam().lacks.empty()) {
    EXPECT_FALSE(plugin.has_function(GetParam().lacks));
  }
}

TEST_P(PinnedPlugin, TellsItsAttributes) {
  const NamedValues attributes = value_of(load().attributes());
  EXPECT_NE(attributes.find("xla_version"), nullptr);
  EXPECT_NE(attributes.find("stablehlo_current_version"), nullptr);
}

TEST_P(PinnedPlugin, NamesEveryExtensionThatIsKnown) {
  const Plugin plugin = load();
  EXPECT_FALSE(plugin.extensions().empty());
  for (const ExtensionInfo& extension : plugin.extensions()) {
    EXPECT_GE(extension.struct_size, 24u);
    EXPECT_EQ(extension.known, extension.name != "unknown");
  }
}

TEST(Plugins, OfLibtpuAndCudaHaveTheExtensionsOfTheirWheels) {
  REQUIRE_PLUGIN("tpu");
  REQUIRE_PLUGIN("cuda");
  EXPECT_EQ(value_of(Plugin::load(test::plugin_file("tpu")->string())).extensions().size(), 18u);
  EXPECT_EQ(value_of(Plugin::load(test::plugin_file("cuda")->string())).extensions().size(), 11u);
}

// Several in one process.

Result<std::vector<float>> sum_on(const Plugin& plugin) {
  ClientOptions options;
  options.options.add("cpu_device_count", 1);
  const Client client = value_of(Client::create(plugin, options));
  const LoadedExecutable add = value_of(client.compile(Program::mlir(test::kAdd)));
  const Buffer a = value_of(client.upload(std::vector<float>{1, 2, 3}, {3}));
  const Buffer b = value_of(client.upload(std::vector<float>{10, 20, 30}, {3}));
  return value_of(add(a, b))[0].to_vector<float>();
}

class SeveralPlugins : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Order, SeveralPlugins, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "OldestFirst" : "NewestFirst"; });

TEST_P(SeveralPlugins, WorkBesideEachOther) {
  std::vector<std::string> names = {"tpu", "cuda", "cpu", "cpu-0.106", "cpu-0.81"};
  if (GetParam()) std::ranges::reverse(names);
  std::vector<Plugin> cpus;
  for (const std::string& name : names) {
    REQUIRE_PLUGIN(name);
    const Plugin plugin = value_of(Plugin::load(test::plugin_file(name)->string()));
    if (name.starts_with("cpu")) cpus.push_back(plugin);
  }
  for (const Plugin& plugin : cpus)
    EXPECT_EQ(value_of(sum_on(plugin)), (std::vector<float>{11, 22, 33})) << plugin.description();
  for (std::size_t i = 1; i < cpus.size(); ++i) EXPECT_NE(cpus[i], cpus[0]);
}

TEST(SeveralPlugins, BuffersOfOneAreRefusedByAnother) {
  REQUIRE_PLUGIN("cpu");
  REQUIRE_PLUGIN("cpu-0.106");
  const Client one = test::make_client(value_of(Plugin::load(test::plugin_file("cpu")->string())));
  const Client other = test::make_client(value_of(Plugin::load(test::plugin_file("cpu-0.106")->string())));
  const LoadedExecutable add = value_of(one.compile(Program::mlir(test::kAdd)));
  const Buffer a = value_of(one.upload(std::vector<float>{1, 2, 3}, {3}));
  const Buffer foreign = value_of(other.upload(std::vector<float>{1, 2, 3}, {3}));
  EXPECT_ERROR(add(a, foreign), InvalidArgument, "argument 1 (p1) belongs to another plugin");
}

}  // namespace
}  // namespace pjrt
