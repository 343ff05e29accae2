#include "pjrt/chunk.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace pjrt {
namespace {

std::vector<std::byte> three_bytes() {
  return {std::byte{1}, std::byte{2}, std::byte{3}};
}

TEST(Chunk, TakesTheMemoryOfAVector) {
  std::vector<std::byte> bytes = three_bytes();
  const std::byte* memory = bytes.data();
  const Chunk chunk(std::move(bytes));
  EXPECT_EQ(chunk.bytes().data(), memory);
  EXPECT_EQ(chunk.size(), 3u);
}

TEST(Chunk, CopyOfHasMemoryOfItsOwn) {
  std::vector<std::byte> bytes = three_bytes();
  const Chunk chunk = Chunk::copy_of(bytes);
  bytes[0] = std::byte{99};
  EXPECT_EQ(chunk.bytes()[0], std::byte{1});
}

TEST(Chunk, KeepsTheOwnerOfBorrowedBytes) {
  auto owner = std::make_shared<std::vector<std::byte>>(three_bytes());
  const std::weak_ptr<std::vector<std::byte>> watch = owner;
  {
    const std::span<const std::byte> bytes = *owner;
    const Chunk chunk(std::move(owner), bytes.subspan(1));
    EXPECT_EQ(chunk.bytes()[0], std::byte{2});
    EXPECT_FALSE(watch.expired());
  }
  EXPECT_TRUE(watch.expired());
}

TEST(Chunk, IsMovedNotCopied) {
  static_assert(!std::is_copy_constructible_v<Chunk>);
  static_assert(std::is_nothrow_move_constructible_v<Chunk>);
  Chunk chunk(three_bytes());
  const Chunk other = std::move(chunk);
  EXPECT_EQ(other.size(), 3u);
}

}  // namespace
}  // namespace pjrt
