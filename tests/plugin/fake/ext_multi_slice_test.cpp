// The MultiSlice extension: configurations, what they tell, and where they go.

#include "pjrt/ext/multi_slice.hpp"

#include <array>
#include <optional>
#include <utility>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using ext::MultiSliceConfig;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
namespace fn = test::fn;

class ExtMultiSlice : public test::OnFake {
 protected:
  ExtMultiSlice() {
    fake.on<fn::PJRT_MultiSlice_Config_Destroy>([this](auto& a) { fake.drop(a.config, "config"); });
  }
  MultiSliceConfig make(const Plugin& of) { return {&of.state(), fake.token<abi::PJRT_MultiSlice_Config>("config")}; }
};

TEST_F(ExtMultiSlice, ConfigsAreDestroyedOnce) {
  MultiSliceConfig first = make(plugin);
  MultiSliceConfig second = make(plugin);
  const auto* raw = second.raw();
  first = std::move(second);
  const MultiSliceConfig moved = std::move(first);
  EXPECT_EQ(moved.raw(), raw);
}

TEST_F(ExtMultiSlice, TellTheirNumbers) {
  fake.on<fn::PJRT_MultiSlice_Config_NumSlices>([](auto& a) { a.num_slices = 4; });
  fake.on<fn::PJRT_MultiSlice_Config_SliceId>([](auto& a) { a.slice_id = 3; });
  const MultiSliceConfig config = make(plugin);
  EXPECT_EQ(value_of(config.num_slices()), 4);
  EXPECT_EQ(value_of(config.slice_id()), 3);
}

// libtpu lists slices in no order.
TEST_F(ExtMultiSlice, TellTheDevicesOfEachSliceInOrder) {
  static constexpr std::array<std::int32_t, 3> slices = {2, 0, 1};
  static constexpr std::array<std::int32_t, 3> devices = {30, 10, 20};
  fake.on<fn::PJRT_MultiSlice_Config_NumDevicesPerSlice>([this](auto& a) {
    const char* unused = nullptr;
    std::size_t size = 0;
    fake.give_bytes("map", unused, size, a.devices_per_slice_map, a.devices_per_slice_map_deleter);
    a.num_devices_per_slice_map = 3;
    a.slice_ids = slices.data();
    a.num_devices = devices.data();
  });
  const MultiSliceConfig config = make(plugin);
  EXPECT_THAT(value_of(config.num_devices_per_slice()), ElementsAre(Pair(0, 10), Pair(1, 20), Pair(2, 30)));
  EXPECT_THAT(fake.live(), ElementsAre(Pair("config", 1)));  // the map was given back
}

TEST_F(ExtMultiSlice, AreSerialized) {
  fake.on<fn::PJRT_MultiSlice_Config_Serialize>([this](auto& a) {
    fake.give_bytes("bytes", a.serialized, a.size, a.serialized_config, a.serialized_config_deleter);
  });
  const MultiSliceConfig config = make(plugin);
  EXPECT_EQ(value_of(config.serialize()), "bytes");
  EXPECT_THAT(fake.live(), ElementsAre(Pair("config", 1)));
}

TEST_F(ExtMultiSlice, GoToExecutions) {
  const Client client = make_client();
  const MultiSliceConfig config = make(plugin);
  const LoadedExecutable program = compile(client, {});
  const abi::PJRT_MultiSlice_Config* seen = nullptr;
  fake.watch<fn::PJRT_LoadedExecutable_Execute>([&](const auto& a) { seen = a.options->multi_slice_config; });
  (void)program.execute(std::span<const Argument>(), {.multi_slice_config = config.raw()});
  EXPECT_EQ(seen, config.raw());
}

TEST_F(ExtMultiSlice, WithoutTheExtensionTellNothing) {
  const Plugin without = with_table({.extensions = {{}}});
  std::optional<MultiSliceConfig> config(make(without));
  EXPECT_ERROR(config->num_slices(), Unimplemented, "PJRT_MultiSlice_Config_NumSlices is not offered");
  EXPECT_ERROR(config->serialize(), Unimplemented, "PJRT_MultiSlice_Config_Serialize is not offered");
  auto* raw = config->raw();
  config.reset();
  fake.drop(raw, "config");  // nobody could
}

}  // namespace
}  // namespace pjrt
