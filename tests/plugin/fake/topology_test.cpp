// Topologies: made by name, read back from bytes, or a client's own.

#include <gtest/gtest.h>

#include <optional>

#include "fake_plugin/fixture.hpp"
#include "pjrt/topology.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
namespace fn = test::fn;

class FakeTopology : public test::OnFake {};

TEST_F(FakeTopology, IsMadeByNameAndOptionsAndDestroyedOnce) {
  std::string name;
  std::size_t num_options = 0;
  fake.watch<fn::PJRT_TopologyDescription_Create>([&](const auto& a) {
    name.assign(a.topology_name, a.topology_name_size);
    num_options = a.num_options;
  });
  {
    const Topology topology = value_of(Topology::create(plugin, "v5e:2x2", {{"num_slices", 2}}));
    const Topology copy = topology;
    EXPECT_EQ(name, "v5e:2x2");
    EXPECT_EQ(num_options, 1u);
    EXPECT_EQ(value_of(copy.platform_name()), "fake");
    EXPECT_EQ(value_of(copy.platform_version()), "fake platform version 1");
    EXPECT_EQ(value_of(copy.attributes()), (NamedValues{{"name", "fake"}}));
    EXPECT_EQ(value_of(copy.fingerprint()), 1007u);
    EXPECT_THAT(value_of(copy.memory_space_kind_ids()), ElementsAre(0, 1));
  }
  EXPECT_EQ(calls_of("PJRT_TopologyDescription_Destroy"), 1u);
}

TEST_F(FakeTopology, WithoutANameOrOptionsIsRefused) {
  EXPECT_ERROR(Topology::create(plugin, ""), InvalidArgument, "a topology needs a name");
  EXPECT_OK(Topology::create(plugin, "", {{"topology", "1 x 1 x 1"}}));
}

TEST_F(FakeTopology, DescriptionsKeepIt) {
  std::optional<DeviceDescription> device = value_of(value_of(Topology::create(plugin, "x")).device_descriptions())[1];
  EXPECT_EQ(fake.live()["topology"], 1);
  EXPECT_EQ(device->id(), 1);
  EXPECT_EQ(device->kind(), "fake device");
  EXPECT_EQ(value_of(device->attributes()), (NamedValues{{"coords", {1, 2, 3}}}));
  device.reset();
  EXPECT_EQ(fake.live()["topology"], 0);
}

TEST_F(FakeTopology, IsWrittenDownAndReadBack) {
  const Topology topology = value_of(Topology::create(plugin, "v5e:2x2"));
  const SerializedTopology bytes = value_of(topology.serialize());
  EXPECT_EQ(bytes.text(), "topology v5e:2x2");
  const Topology again = value_of(Topology::deserialize(plugin, bytes));
  EXPECT_EQ(value_of(again.fingerprint()), value_of(topology.fingerprint()));
  EXPECT_ERROR(Topology::deserialize(plugin, std::as_bytes(std::span("garbage"))), InvalidArgument, "no topology");
}

TEST_F(FakeTopology, WrittenDownOutlivesIt) {
  const SerializedTopology bytes = value_of(value_of(Topology::create(plugin, "x")).serialize());
  EXPECT_EQ(fake.live()["topology"], 0);
  EXPECT_EQ(bytes.text(), "topology x");
  EXPECT_EQ(fake.live()["bytes"], 1);
}

TEST_F(FakeTopology, CanonicalShapesAreGivenBack) {
  static int given_back = 0;
  const Topology topology = value_of(Topology::create(plugin, "x"));
  fake.on<fn::PJRT_TopologyDescription_MakeCanonicalShapeForMemorySpace>([](auto& a) {
    EXPECT_EQ(a.memory_space_kind_id, 1);
    EXPECT_THAT(std::span(a.dims, a.num_dims), ElementsAre(2, 5));
    EXPECT_EQ(a.element_type, abi::PJRT_Buffer_Type_BF16);
    EXPECT_THAT(std::span(a.layout->tiled.minor_to_major, 2), ElementsAre(0, 1));
    a.serialized_shape = "shape";
    a.serialized_shape_size = 5;
    a.serialized_shape_deleter = [](const char*) { ++given_back; };
  });
  EXPECT_EQ(
      value_of(topology.make_canonical_shape_for_memory_space(1, {ElementType::BF16, {2, 5}}, Layout::column_major(2))),
      "shape");
  EXPECT_EQ(given_back, 1);
  EXPECT_ERROR(topology.make_canonical_shape_for_memory_space(1, {ElementType::BF16, {2}}, Layout::column_major(2)),
               InvalidArgument, "layout {0,1} for an array of shape bf16[2]");
}

TEST_F(FakeTopology, WhoseListsAreNullButNotEmptySaysSo) {
  const Topology topology = value_of(Topology::create(plugin, "x"));
  fake.on<fn::PJRT_TopologyDescription_GetDeviceDescriptions>([](auto& a) { a.num_descriptions = 2; });
  EXPECT_ERROR(topology.device_descriptions(), Internal, "2 elements, and a null array of them");
  fake.on<fn::PJRT_TopologyDescription_GetMemorySpaceKindIds>([](auto& a) { a.num_memory_space_kind_ids = 3; });
  EXPECT_ERROR(topology.memory_space_kind_ids(), Internal, "3 elements, and a null array of them");
}

TEST_F(FakeTopology, HandsErrorsOn) {
  const Topology topology = value_of(Topology::create(plugin, "x"));
  for (const char* function :
       {"Create", "Serialize", "Deserialize", "PlatformName", "PlatformVersion", "GetDeviceDescriptions", "Attributes",
        "Fingerprint", "MakeCanonicalShapeForMemorySpace", "GetMemorySpaceKindIds"}) {
    fake.fail(std::string("PJRT_TopologyDescription_") + function, {ErrorCode::Unavailable, function});
  }
  EXPECT_ERROR(Topology::create(plugin, "x"), Unavailable, "Create");
  EXPECT_ERROR(topology.serialize(), Unavailable, "Serialize");
  EXPECT_ERROR(Topology::deserialize(plugin, {}), Unavailable, "Deserialize");
  EXPECT_ERROR(topology.platform_name(), Unavailable, "PlatformName");
  EXPECT_ERROR(topology.platform_version(), Unavailable, "PlatformVersion");
  EXPECT_ERROR(topology.device_descriptions(), Unavailable, "GetDeviceDescriptions");
  EXPECT_ERROR(topology.attributes(), Unavailable, "Attributes");
  EXPECT_ERROR(topology.fingerprint(), Unavailable, "Fingerprint");
  EXPECT_ERROR(topology.make_canonical_shape_for_memory_space(0, {ElementType::F32, {}}, {}), Unavailable,
               "MakeCanonicalShape");
  EXPECT_ERROR(topology.memory_space_kind_ids(), Unavailable, "GetMemorySpaceKindIds");
}

}  // namespace
}  // namespace pjrt
