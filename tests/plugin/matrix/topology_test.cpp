// Topologies of CPU plugins: a client's own, and what is made of it.

#include "pjrt/topology.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;

class Topologies : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Plugin plugin() const { return test::counted_plugin(GetParam()); }
  bool has(Version version) const { return plugin().api_version() >= version; }
  Topology of_devices(int n) const { return value_of(test::make_client(plugin(), n).topology()); }
  std::int64_t calls_of(const std::string& function) const { return test::calls_of(GetParam(), function); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 3);
  Topology topology = value_of(client.topology());
};

INSTANTIATE_TEST_SUITE_P(Matrix, Topologies, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Topologies, KnowTheirPlatform) {
  EXPECT_EQ(value_of(topology.platform_name()), "cpu");
  EXPECT_FALSE(value_of(topology.platform_version()).empty());
  EXPECT_EQ(topology.plugin(), plugin());
}

TEST_P(Topologies, DescribeTheDevicesOfTheClient) {
  const std::vector<DeviceDescription> descriptions = value_of(topology.device_descriptions());
  ASSERT_EQ(descriptions.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(descriptions[i].id(), static_cast<int>(i));
    EXPECT_EQ(descriptions[i].process_index(), 0);
    EXPECT_EQ(descriptions[i].kind(), "cpu");
    EXPECT_EQ(descriptions[i].to_string(), client.devices()[i].to_string());
    EXPECT_FALSE(descriptions[i].debug_string().empty());
    EXPECT_EQ(value_of(descriptions[i].attributes()).size(), 0u);
  }
}

TEST_P(Topologies, AskForTheirDevicesOnce) {
  for (int round = 0; round < 3; ++round) EXPECT_EQ(value_of(topology.device_descriptions()).size(), 3u);
  EXPECT_EQ(calls_of("PJRT_TopologyDescription_GetDeviceDescriptions"), 1);
}

TEST_P(Topologies, MayBeAskedFromSeveralThreads) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this] { EXPECT_EQ(value_of(topology.device_descriptions()).size(), 3u); });
  }
}

TEST_P(Topologies, OfCpuPluginsHaveNoAttributes) {
  EXPECT_EQ(value_of(topology.attributes()).size(), 0u);
}

TEST_P(Topologies, OfAClientAreNotOurs) {  // destroying one would make the client's end a double free
  {
    const Topology again = value_of(client.topology());
    const Topology copy = again;
    EXPECT_EQ(copy.raw(), topology.raw());
  }
  EXPECT_EQ(calls_of("PJRT_TopologyDescription_Destroy"), 0);
}

TEST_P(Topologies, KeepTheirClient) {
  std::optional<Client> only = test::make_client(plugin(), 2);
  std::optional<Topology> t = value_of(only->topology());
  const DeviceDescription second = value_of(t->device_descriptions()).at(1);
  only.reset();
  EXPECT_EQ(value_of(t->platform_name()), "cpu");
  t.reset();
  EXPECT_EQ(second.id(), 1);
  EXPECT_EQ(value_of(second.attributes()).size(), 0u);
  EXPECT_EQ(calls_of("PJRT_Client_Destroy"), 0);
}

TEST_P(Topologies, AreWrittenDownTheSameForTheSameDevices) {
  const std::string written(value_of(topology.serialize()).text());
  EXPECT_FALSE(written.empty());
  EXPECT_EQ(value_of(of_devices(3).serialize()).text(), written);
  EXPECT_NE(value_of(of_devices(2).serialize()).text(), written);
}

TEST_P(Topologies, WrittenDownOutliveClientAndTopology) {
  std::optional<SerializedTopology> written;
  {
    const Topology other = of_devices(3);
    written = value_of(other.serialize());
  }
  EXPECT_EQ(written->text(), value_of(topology.serialize()).text());
}

TEST_P(Topologies, HaveEqualFingerprintsForEqualDevices) {
  if (!has({0, 101})) {
    EXPECT_ERROR(topology.fingerprint(), Unimplemented, "needs PJRT API 0.101");
    return;
  }
  EXPECT_EQ(value_of(topology.fingerprint()), value_of(of_devices(3).fingerprint()));
  EXPECT_NE(value_of(topology.fingerprint()), value_of(of_devices(2).fingerprint()));
}

TEST_P(Topologies, AreReadBackByPluginsWithACompiler) {
  const SerializedTopology written = value_of(topology.serialize());
  const Result<Topology> read = Topology::deserialize(plugin(), written.bytes());
  if (GetParam() != "cpu") {
    EXPECT_ERROR(read, NotFound, "PJRT_TopologyDescription_Deserialize");
    return;
  }
  ASSERT_OK(read);
  EXPECT_EQ(value_of(read->device_descriptions()).size(), 3u);
  EXPECT_EQ(value_of(read->fingerprint()), value_of(topology.fingerprint()));
  EXPECT_EQ(read->serialize().value().text(), written.text());
}

TEST_P(Topologies, ThatWereReadBackAreOurs) {
  if (GetParam() != "cpu") GTEST_SKIP() << "this plugin has no compiler to read them";
  {
    const SerializedTopology written = value_of(topology.serialize());
    const Topology read = value_of(Topology::deserialize(plugin(), written.bytes()));
    const Topology copy = read;
  }
  EXPECT_EQ(calls_of("PJRT_TopologyDescription_Destroy"), 1);
}

TEST_P(Topologies, AreNotReadFromAnyBytes) {
  EXPECT_ERROR(Topology::deserialize(plugin(), test::as_bytes("junk")), InvalidArgument, "");
  EXPECT_FALSE(Topology::deserialize(plugin(), {}));
}

TEST_P(Topologies, HaveTheKindsOfMemoryOfTheirDevices) {
  const Result<std::vector<int>> kinds = topology.memory_space_kind_ids();
  if (!has({0, 110})) {
    EXPECT_ERROR(kinds, Unimplemented, "needs PJRT API 0.110");
    return;
  }
  ASSERT_OK(kinds);
  std::set<int> of_devices;
  for (const Memory memory : client.memories()) of_devices.insert(memory.kind_id());
  EXPECT_EQ(std::set<int>(kinds->begin(), kinds->end()), of_devices);
}

// xla.ShapeProto { element_type: F32 = 11, dimensions: [2, 3], layout { minor_to_major: [1, 0],
// tail_padding_alignment_in_elements: 1 }, is_dynamic_dimension: [false, false] }
const std::string kShapeProto = test::from_hex("10 0b  1a 02 02 03  2a 07 0a 02 01 00 80 01 01  32 02 00 00");

TEST_P(Topologies, OfCpuPluginsChangeNoShape) {
  const int device_memory = client.memories()[0].kind_id();
  const Result<std::string> shape =
      topology.make_canonical_shape_for_memory_space(device_memory, {ElementType::F32, {2, 3}}, Layout::row_major(2));
  if (has({0, 109})) {
    EXPECT_EQ(shape, kShapeProto);
  } else {
    EXPECT_ERROR(shape, Unimplemented, "needs PJRT API 0.109");
  }
}

TEST_P(Topologies, KnowNoShapesInMemoriesTheyLack) {  // the plugin would make something up
  if (!has({0, 110})) GTEST_SKIP() << "this plugin does not tell the kinds of memory";
  EXPECT_ERROR(topology.make_canonical_shape_for_memory_space(12345, {ElementType::F32, {2, 3}}, Layout::row_major(2)),
               InvalidArgument, "no memory space of kind 12345");
  EXPECT_EQ(calls_of("PJRT_TopologyDescription_MakeCanonicalShapeForMemorySpace"), 0);
}

TEST_P(Topologies, ShapesThatCannotBeAreRefusedByUs) {
  const Layout layout = Layout::row_major(2);
  EXPECT_ERROR(topology.make_canonical_shape_for_memory_space(0, {ElementType::Invalid, {2, 3}}, layout),
               InvalidArgument, "cannot have elements of type");
  EXPECT_ERROR(topology.make_canonical_shape_for_memory_space(0, {ElementType::F32, {2}}, layout), InvalidArgument,
               "for an array of shape f32[2]");
  EXPECT_EQ(calls_of("PJRT_TopologyDescription_MakeCanonicalShapeForMemorySpace"), 0);
}

TEST_P(Topologies, OfCpuPluginsHaveNoNames) {
  EXPECT_ERROR(Topology::create(plugin(), "host"), Unimplemented, "PJRT_TopologyDescription_Create");
}

TEST_P(Topologies, NeedANameOrOptions) {  // libtpu would take an empty name for another
  EXPECT_ERROR(Topology::create(plugin(), ""), InvalidArgument, "a topology needs a name");
  EXPECT_EQ(calls_of("PJRT_TopologyDescription_Create"), 0);
}

// Compiling for them.

TEST_P(Topologies, AreCompiledForByPluginsWithACompiler) {
  const Result<Executable> twice = compile(topology, Program::mlir(test::kDouble));
  if (GetParam() != "cpu") {
    EXPECT_ERROR(twice, NotFound, "PJRT_Compile");
    return;
  }
  EXPECT_EQ(twice.value().name(), "double");
  const LoadedExecutable loaded = value_of(client.load(*twice));
  const Outputs outputs = value_of(loaded(value_of(client.upload(std::vector<float>{1, 2, 3}, {3}))));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (std::vector<float>{2, 4, 6}));
}

TEST_P(Topologies, ThatWereReadBackAreCompiledForToo) {
  if (GetParam() != "cpu") GTEST_SKIP() << "this plugin has no compiler to read them";
  const SerializedTopology written = value_of(of_devices(1).serialize());
  const Topology read = value_of(Topology::deserialize(plugin(), written.bytes()));
  const Executable twice = value_of(compile(read, Program::mlir(test::kDouble), {}, &client));
  EXPECT_EQ(value_of(twice.output_shapes()), std::vector<Shape>{(Shape{ElementType::F32, {3}})});
}

TEST_P(Topologies, OptionsOfCompilationsAreCheckedByUs) {  // without a replica, plugins abort
  EXPECT_ERROR(compile(topology, Program::mlir(test::kDouble), CompileOptions().num_replicas(0)), InvalidArgument,
               "at least one replica and one partition");
  EXPECT_ERROR(compile(topology, Program::mlir("")), InvalidArgument, "the program is empty");
  EXPECT_EQ(calls_of("PJRT_Compile"), 0);
}

TEST_P(Topologies, ClientOfAnotherPluginDoesNotHelpToCompile) {
  const std::string another = GetParam() == "cpu" ? "cpu-0.106" : "cpu";
  REQUIRE_PLUGIN(another);
  const Client other = test::make_client(test::counted_plugin(another));
  EXPECT_ERROR(compile(topology, Program::mlir(test::kDouble), {}, &other), InvalidArgument, "the client is of plugin");
}

TEST_P(Topologies, ProgramsForMoreDevicesThanThereAreAreNotLoaded) {  // the compiler does not mind
  if (GetParam() != "cpu") GTEST_SKIP() << "this plugin has no compiler";
  const CompileOptions options = CompileOptions().num_replicas(4);
  const Executable twice = value_of(compile(topology, Program::mlir(test::kDouble), options));
  EXPECT_EQ(value_of(twice.num_replicas()), 4);
  EXPECT_ERROR(client.load(twice, options), InvalidArgument, "need 4 devices; the client has 3");
  EXPECT_ERROR(client.load(twice), InvalidArgument, "PJRT_Client_Load");
}

}  // namespace
}  // namespace pjrt
