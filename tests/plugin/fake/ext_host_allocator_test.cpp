// The HostAllocator extension and its successor HostMemoryAllocator: host memory of the plugin's.

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/host_allocator.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

/// A block of memory that the fake counts.
struct Block {
  static constexpr auto kKind = "host memory";
  alignas(64) unsigned char bytes[256];
};

class ExtHostAllocator : public test::OnFake {
 protected:
  ExtHostAllocator() {
    fake.on<fn::PJRT_HostAllocator_GetPreferredAlignment>([](auto& a) { a.preferred_alignment = 64; });
    fake.on<fn::PJRT_HostAllocator_Allocate>([this](auto& a) { a.ptr = fake.make<Block>(); });
    fake.on<fn::PJRT_HostAllocator_Free>([this](auto& a) {
      EXPECT_NE(fake.live()["client"], 0) << "the client is gone";
      fake.drop(a.ptr, Block::kKind);
    });
  }
  std::optional<Client> client = make_client();
  const ext::HostAllocator allocator = value_of(client->extension<ext::HostAllocator>());
};

TEST_F(ExtHostAllocator, TellsThePreferredAlignment) {
  EXPECT_EQ(value_of(allocator.preferred_alignment(*client)), 64u);
  EXPECT_EQ(fake.calls_of<fn::PJRT_HostAllocator_GetPreferredAlignment>()[0].client, client->raw());
}

TEST_F(ExtHostAllocator, GivesMemoryThatIsFreedWithItsLastCopy) {
  std::optional<ext::HostMemory> memory = value_of(allocator.allocate(*client, 100, 64));
  const auto asked = fake.calls_of<fn::PJRT_HostAllocator_Allocate>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].size, 100u);
  EXPECT_EQ(asked[0].alignment, 64u);
  EXPECT_EQ(memory->bytes().size(), 100u);
  std::ranges::fill(memory->bytes(), std::byte{1});
  std::optional<ext::HostMemory> copy = memory;
  memory.reset();
  EXPECT_EQ(fake.live()["host memory"], 1);
  copy.reset();
  EXPECT_EQ(fake.live()["host memory"], 0);
  EXPECT_EQ(calls_of("PJRT_HostAllocator_Free"), 1u);
}

TEST_F(ExtHostAllocator, MemoryKeepsTheClient) {
  std::optional<ext::HostMemory> memory = value_of(allocator.allocate(*client, 1, 1));
  client.reset();
  EXPECT_EQ(fake.live()["client"], 1);
  memory.reset();
  EXPECT_EQ(fake.live()["client"], 0);
}

TEST_F(ExtHostAllocator, MemoryMayBeAnUploadsOwnUntilThePluginNeedsItNoMore) {
  const ext::HostMemory memory = value_of(allocator.allocate(*client, 12, 64));
  std::ranges::fill(memory.bytes(), std::byte{0});
  std::optional<Buffer> buffer = value_of(
      client->upload_view(HostView(memory.bytes().data(), {ElementType::F32, {3}}), {.keep_alive = memory.owner()}));
  const std::weak_ptr<const void> owner = memory.owner();
  EXPECT_EQ(owner.use_count(), 2);
  buffer.reset();
  EXPECT_EQ(owner.use_count(), 1);
}

TEST_F(ExtHostAllocator, AnAlignmentThatIsNoPowerOfTwoIsRefused) {
  EXPECT_ERROR(allocator.allocate(*client, 8, 48), InvalidArgument, "an alignment is a power of two, not 48");
  EXPECT_ERROR(allocator.allocate(*client, 8, 0), InvalidArgument, "not 0");
  EXPECT_EQ(calls_of("PJRT_HostAllocator_Allocate"), 0u);
}

TEST_F(ExtHostAllocator, NoMemoryIsAnError) {
  fake.on<fn::PJRT_HostAllocator_Allocate>([](auto&) {});
  EXPECT_ERROR(allocator.allocate(*client, 1000, 64), ResourceExhausted, "no host memory for 1000 bytes");
  fake.fail<fn::PJRT_HostAllocator_Allocate>(ErrorCode::ResourceExhausted, "out of pinned memory");
  EXPECT_ERROR(allocator.allocate(*client, 1000, 64), ResourceExhausted, "out of pinned memory");
  EXPECT_EQ(calls_of("PJRT_HostAllocator_Free"), 0u);
}

TEST_F(ExtHostAllocator, AClientOfAnotherPluginIsRefused) {
  const Client other = value_of(Client::create(with_table({})));
  EXPECT_ERROR(allocator.allocate(other, 8, 8), InvalidArgument, "the client belongs to plugin odd");
  EXPECT_ERROR(allocator.preferred_alignment(other), InvalidArgument, "the client belongs to plugin odd");
}

// 24 bytes and three functions. Memory that could not be given back is not asked for either, but that is the plugin's
// to know.
TEST_F(ExtHostAllocator, OfAnOlderPluginLacksItsLastFunctions) {
  const auto shorter = value_of(ext::HostAllocator::of(with_extension(ext::HostAllocator::kType, 32)));
  const Client own = value_of(Client::create(shorter.plugin()));
  EXPECT_OK(shorter.preferred_alignment(own));
  EXPECT_ERROR(shorter.allocate(own, 8, 8), Unimplemented, "PJRT_HostAllocator_Allocate is not offered");
}

class ExtHostMemoryAllocator : public test::OnFake {
 protected:
  ExtHostMemoryAllocator() {
    fake.on<fn::PJRT_HostMemoryAllocator_Allocate>([this](auto& a) {
      seen = a;
      a.ptr = reinterpret_cast<std::uint8_t*>(fake.make<Block>());
      a.deleter = [](void* ptr, void* arg) { static_cast<fake::FakePlugin*>(arg)->drop(ptr, Block::kKind); };
      a.deleter_arg = &fake;
    });
  }
  std::optional<Client> client = make_client();
  const ext::HostMemoryAllocator allocator = value_of(client->extension<ext::HostMemoryAllocator>());
  abi::PJRT_HostMemoryAllocator_Allocate_Args seen{};
};

TEST_F(ExtHostMemoryAllocator, GivesMemoryOnANumaNode) {
  const ext::HostMemory memory = value_of(allocator.allocate(*client, 200, 1));
  EXPECT_EQ(seen.struct_size, 64u);
  EXPECT_EQ(seen.client, client->raw());
  EXPECT_EQ(seen.size, 200u);
  EXPECT_EQ(seen.numa_node, 1);
  EXPECT_EQ(memory.bytes().size(), 200u);
  EXPECT_OK(allocator.allocate(*client, 1));
  EXPECT_EQ(seen.numa_node, -1);
}

TEST_F(ExtHostMemoryAllocator, MemoryGoesWithItsLastCopyOnAnyThreadAndKeepsTheClient) {
  std::optional<ext::HostMemory> memory = value_of(allocator.allocate(*client, 8));
  client.reset();
  EXPECT_EQ(fake.live()["client"], 1);
  std::jthread([&] { memory.reset(); }).join();
  EXPECT_EQ(fake.live()["host memory"], 0);
  EXPECT_EQ(fake.live()["client"], 0);
}

TEST_F(ExtHostMemoryAllocator, MemoryWithoutADeleterIsThePlugins) {
  static unsigned char bytes[8];
  fake.on<fn::PJRT_HostMemoryAllocator_Allocate>([](auto& a) { a.ptr = bytes; });
  const ext::HostMemory memory = value_of(allocator.allocate(*client, 8));
  EXPECT_EQ(static_cast<void*>(memory.bytes().data()), bytes);
}

TEST_F(ExtHostMemoryAllocator, NoMemoryIsAnError) {
  fake.on<fn::PJRT_HostMemoryAllocator_Allocate>([](auto&) {});
  EXPECT_ERROR(allocator.allocate(*client, 16), ResourceExhausted, "no host memory for 16 bytes");
  fake.fail<fn::PJRT_HostMemoryAllocator_Allocate>(ErrorCode::InvalidArgument, "no such node");
  EXPECT_ERROR(allocator.allocate(*client, 16, 7), InvalidArgument, "no such node");
}

TEST_F(ExtHostMemoryAllocator, AClientOfAnotherPluginIsRefused) {
  const Client other = value_of(Client::create(with_table({})));
  EXPECT_ERROR(allocator.allocate(other, 8), InvalidArgument, "the client belongs to plugin odd");
}

}  // namespace
}  // namespace pjrt
