// The MemoryDescriptions extension: kinds of memory of devices that need not be here.

#include <gtest/gtest.h>

#include <optional>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/memory_descriptions.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

/// Behind PJRT_MemoryDescription.
struct Kind {
  const char* name;
  std::size_t size;
  int id;
};

class ExtMemoryDescriptions : public test::OnFake {
 protected:
  ExtMemoryDescriptions() {
    fake.on<fn::PJRT_DeviceDescription_MemoryDescriptions>([this](auto& a) {
      asked = a.device_description;
      a.memory_descriptions = kinds.data();
      a.num_memory_descriptions = kinds.size();
      a.default_memory_index = default_index;
    });
    fake.on<fn::PJRT_MemoryDescription_Kind>([](auto& a) {
      const auto& kind = *reinterpret_cast<const Kind*>(a.memory_description);
      a.kind = kind.name;
      a.kind_size = kind.size;
      a.kind_id = kind.id;
    });
  }
  static constexpr Kind kDevice = {"device", 6, 10};
  static constexpr Kind kHost = {"pinned_host", 11, 20};

  std::vector<const abi::PJRT_MemoryDescription*> kinds = {
      reinterpret_cast<const abi::PJRT_MemoryDescription*>(&kHost),
      reinterpret_cast<const abi::PJRT_MemoryDescription*>(&kDevice)};
  std::size_t default_index = 1;
  abi::PJRT_DeviceDescription* asked = nullptr;
  const ext::MemoryDescriptions extension = value_of(ext::MemoryDescriptions::of(plugin));
  const Topology topology = value_of(Topology::create(plugin, "two devices"));
  const DeviceDescription device = value_of(topology.device_descriptions())[1];
};

TEST_F(ExtMemoryDescriptions, TellKindsAndTheDefault) {
  const ext::DeviceMemoryDescriptions all = value_of(extension.memory_descriptions(device));
  EXPECT_EQ(asked, device.raw());
  ASSERT_EQ(all.descriptions.size(), 2u);
  EXPECT_EQ(all.descriptions[0].kind, "pinned_host");
  EXPECT_EQ(all.descriptions[0].kind_id, 20);
  EXPECT_EQ(all.descriptions[1].kind, "device");
  EXPECT_EQ(all.descriptions[1].kind_id, 10);
  EXPECT_EQ(all.default_index, 1u);
}

TEST_F(ExtMemoryDescriptions, OfALiveDeviceAreAskedForByItsDescription) {
  const Client client = make_client();
  EXPECT_OK(extension.memory_descriptions(client.devices()[0].description()));
  EXPECT_EQ(asked, client.devices()[0].description().raw());
}

// CPU plugins answer so.
TEST_F(ExtMemoryDescriptions, MayBeNoneWithoutADefault) {
  kinds.clear();
  default_index = static_cast<std::size_t>(-1);
  const ext::DeviceMemoryDescriptions all = value_of(extension.memory_descriptions(device));
  EXPECT_TRUE(all.descriptions.empty());
  EXPECT_EQ(all.default_index, std::nullopt);
}

TEST_F(ExtMemoryDescriptions, ADefaultThatIsNotInTheListIsNone) {
  default_index = 2;
  EXPECT_EQ(value_of(extension.memory_descriptions(device)).default_index, std::nullopt);
}

TEST_F(ExtMemoryDescriptions, HandErrorsOn) {
  fake.fail<fn::PJRT_MemoryDescription_Kind>(ErrorCode::Internal, "what kind?");
  EXPECT_ERROR(extension.memory_descriptions(device), Internal, "what kind?");
  fake.fail<fn::PJRT_DeviceDescription_MemoryDescriptions>(ErrorCode::Unavailable, "not now");
  EXPECT_ERROR(extension.memory_descriptions(device), Unavailable, "not now");
}

TEST_F(ExtMemoryDescriptions, OfAnotherPluginsDeviceAreRefused) {
  const Topology other = value_of(Topology::create(with_table({}), "two devices"));
  EXPECT_ERROR(extension.memory_descriptions(value_of(other.device_descriptions())[0]), InvalidArgument,
               "the device description belongs to plugin odd");
}

// 24 bytes and two functions.
TEST_F(ExtMemoryDescriptions, OfAnOlderPluginLackTheirKinds) {
  const auto shorter = value_of(ext::MemoryDescriptions::of(with_extension(ext::MemoryDescriptions::kType, 32)));
  const Topology other = value_of(Topology::create(shorter.plugin(), "two devices"));
  EXPECT_ERROR(shorter.memory_descriptions(value_of(other.device_descriptions())[0]), Unimplemented,
               "PJRT_MemoryDescription_Kind is not offered");
}

}  // namespace
}  // namespace pjrt
