// The RawBuffer extension: the bytes of a buffer, by another handle.

#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "fake_plugin/fixture.hpp"
#include "fake_plugin/objects.hpp"
#include "pjrt/ext/raw_buffer.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

/// The fake's memory has 8 bytes, whatever the buffer.
class ExtRawBuffer : public test::OnFake {
 protected:
  ExtRawBuffer() {
    fake.on<fn::PJRT_RawBuffer_CreateRawAliasOfBuffer>([this](auto& a) {
      aliased = a.buffer;
      a.raw_buffer = fake.token<abi::PJRT_RawBuffer>("raw buffer");
    });
    fake.on<fn::PJRT_RawBuffer_Destroy>([this](auto& a) { fake.drop(a.buffer, "raw buffer"); });
    fake.on<fn::PJRT_RawBuffer_GetOnDeviceSizeInBytes>([](auto& a) { a.on_device_size_in_bytes = 8; });
    fake.on<fn::PJRT_RawBuffer_GetHostPointer>([this](auto& a) { a.host_pointer = memory; });
    fake.on<fn::PJRT_RawBuffer_GetMemorySpace>([this](auto& a) { a.memory_space = client.memories()[1].raw(); });
    fake.on<fn::PJRT_RawBuffer_CopyRawHostToDevice>([this](auto& a) {
      auto done = std::make_shared<fake::Promise>();
      a.event = fake::event_of(fake, done);
      fake.settle(done, {},
                  [this, a] { std::memcpy(memory + a.offset, a.src, static_cast<std::size_t>(a.transfer_size)); });
    });
    fake.on<fn::PJRT_RawBuffer_CopyRawDeviceToHost>([this](auto& a) {
      auto done = std::make_shared<fake::Promise>();
      a.event = fake::event_of(fake, done);
      fake.settle(done, {},
                  [this, a] { std::memcpy(a.dst, memory + a.offset, static_cast<std::size_t>(a.transfer_size)); });
    });
  }
  ext::RawBuffer alias() { return value_of(raws.create_raw_alias(*buffer)); }

  Client client = make_client();
  const ext::RawBuffers raws = value_of(client.extension<ext::RawBuffers>());
  std::optional<Buffer> buffer = value_of(client.upload(1.0));
  char memory[9] = "abcdefgh";
  abi::PJRT_Buffer* aliased = nullptr;
};

TEST_F(ExtRawBuffer, IsAnAliasThatIsDestroyedOnce) {
  {
    const ext::RawBuffer raw = alias();
    EXPECT_EQ(aliased, buffer->raw());
    EXPECT_EQ(fake.live()["raw buffer"], 1);
  }
  EXPECT_EQ(fake.live()["raw buffer"], 0);
}

TEST_F(ExtRawBuffer, KeepsTheBufferItIsAnAliasOf) {
  std::optional<ext::RawBuffer> raw = alias();
  buffer.reset();
  EXPECT_EQ(fake.live()["buffer"], 1);
  raw.reset();
  EXPECT_EQ(fake.live()["buffer"], 0);
}

TEST_F(ExtRawBuffer, TellsSizeMemoryAndAddress) {
  const ext::RawBuffer raw = alias();
  EXPECT_EQ(value_of(raw.on_device_size()), 8u);
  EXPECT_EQ(value_of(raw.memory_space()), client.memories()[1]);
  EXPECT_EQ(value_of(raw.host_pointer()), memory);
  fake.on<fn::PJRT_RawBuffer_GetHostPointer>([](auto&) {});
  EXPECT_EQ(value_of(raw.host_pointer()), nullptr);
}

TEST_F(ExtRawBuffer, InAMemoryThatTheClientDoesNotListIsAnError) {
  const Client other = make_client();
  fake.on<fn::PJRT_RawBuffer_GetMemorySpace>([&](auto& a) { a.memory_space = other.memories()[0].raw(); });
  EXPECT_ERROR(alias().memory_space(), Internal, "names a memory that none of its devices has");
}

TEST_F(ExtRawBuffer, IsWrittenAtAnOffset) {
  const ext::RawBuffer raw = alias();
  EXPECT_OK(raw.copy_host_to_device(std::as_bytes(std::span("XY", 2)), 3).await());
  EXPECT_STREQ(memory, "abcXYfgh");
}

TEST_F(ExtRawBuffer, IsReadAtAnOffset) {
  const ext::RawBuffer raw = alias();
  char out[4] = "...";
  EXPECT_OK(raw.copy_device_to_host(std::as_writable_bytes(std::span(out, 3)), 5).await());
  EXPECT_STREQ(out, "fgh");
}

TEST_F(ExtRawBuffer, IsCopiedWhenTheEventIsReady) {
  const ext::RawBuffer raw = alias();
  fake.hold_events();
  const Event written = raw.copy_host_to_device(std::as_bytes(std::span("X", 1)));
  EXPECT_FALSE(written.is_ready());
  EXPECT_STREQ(memory, "abcdefgh");
  fake.release_events();
  EXPECT_OK(written.await());
  EXPECT_STREQ(memory, "Xbcdefgh");
}

TEST_F(ExtRawBuffer, WhoseCopyFailsTellsItInTheEvent) {
  const ext::RawBuffer raw = alias();
  char out[1];
  fake.hold_events();
  const Event read = raw.copy_device_to_host(std::as_writable_bytes(std::span(out)));
  fake.release_events(fake::Failure{ErrorCode::DataLoss, "lost"});
  EXPECT_ERROR(read.await(), DataLoss, "lost");
  fake.fail<fn::PJRT_RawBuffer_CopyRawDeviceToHost>(ErrorCode::Aborted, "not begun");
  fake.fail<fn::PJRT_RawBuffer_CopyRawHostToDevice>(ErrorCode::Aborted, "not begun");
  EXPECT_ERROR(raw.copy_device_to_host(std::as_writable_bytes(std::span(out))).await(), Aborted, "not begun");
  EXPECT_ERROR(raw.copy_host_to_device(std::as_bytes(std::span(out))).await(), Aborted, "not begun");
}

TEST_F(ExtRawBuffer, IsNotCopiedOutsideItsBytes) {
  const ext::RawBuffer raw = alias();
  std::byte bytes[9] = {};
  EXPECT_OK(raw.copy_host_to_device(std::span(bytes, 0), 8).await());
  EXPECT_ERROR(raw.copy_host_to_device(std::span(bytes, 1), 8).await(), InvalidArgument,
               "1 bytes at offset 8 do not lie in a buffer of 8");
  EXPECT_ERROR(raw.copy_host_to_device(std::span(bytes, 1), -1).await(), InvalidArgument, "at offset -1");
  EXPECT_ERROR(raw.copy_device_to_host(bytes).await(), InvalidArgument, "9 bytes at offset 0");
  EXPECT_ERROR(raw.copy_device_to_host(std::span(bytes, 1), INT64_MAX).await(), InvalidArgument, "do not lie");
  EXPECT_EQ(calls_of("PJRT_RawBuffer_CopyRawHostToDevice"), 1u);
  EXPECT_EQ(calls_of("PJRT_RawBuffer_CopyRawDeviceToHost"), 0u);
}

// One plugin crashes when it is told to destroy null.
TEST_F(ExtRawBuffer, ThatWasMovedFromIsEmptyAndNotDestroyed) {
  {
    ext::RawBuffer raw = alias();
    ext::RawBuffer to = std::move(raw);
    EXPECT_ERROR(raw.on_device_size(), FailedPrecondition, "the raw buffer was moved from");
    EXPECT_ERROR(raw.memory_space(), FailedPrecondition, "moved from");
    EXPECT_ERROR(raw.host_pointer(), FailedPrecondition, "moved from");
    EXPECT_ERROR(raw.copy_host_to_device({}).await(), FailedPrecondition, "moved from");
    EXPECT_ERROR(raw.copy_device_to_host({}).await(), FailedPrecondition, "moved from");
    raw = std::move(to);
    EXPECT_OK(raw.on_device_size());
  }
  EXPECT_EQ(calls_of("PJRT_RawBuffer_Destroy"), 1u);
}

TEST_F(ExtRawBuffer, IsNotMadeOfABufferThatIsGoneOrOfAnotherPlugin) {
  const Client other = value_of(Client::create(with_table({})));
  EXPECT_ERROR(raws.create_raw_alias(value_of(other.upload(1.0f))), InvalidArgument,
               "the buffer belongs to plugin odd");
  EXPECT_OK(buffer->delete_now());
  EXPECT_ERROR(raws.create_raw_alias(*buffer), FailedPrecondition, "it was deleted");
  EXPECT_EQ(calls_of("PJRT_RawBuffer_CreateRawAliasOfBuffer"), 0u);
}

TEST_F(ExtRawBuffer, ThatThePluginDoesNotMakeIsAnError) {
  fake.fail<fn::PJRT_RawBuffer_CreateRawAliasOfBuffer>(ErrorCode::Unimplemented, "not here");
  EXPECT_ERROR(raws.create_raw_alias(*buffer), Unimplemented, "not here");
  EXPECT_EQ(calls_of("PJRT_RawBuffer_Destroy"), 0u);
}

// 24 bytes and seven functions: create, destroy, size, memory, to the device, from it, host pointer.
TEST_F(ExtRawBuffer, OfAnOlderPluginLacksItsLastFunctions) {
  const ext::RawBuffers shorter = value_of(ext::RawBuffers::of(with_extension(ext::RawBuffers::kType, 24 + 5 * 8)));
  const Client own = value_of(Client::create(shorter.plugin()));
  const ext::RawBuffer raw = value_of(shorter.create_raw_alias(value_of(own.upload(1.0f))));
  EXPECT_OK(raw.copy_host_to_device(std::as_bytes(std::span("X", 1))).await());
  std::byte out[1];
  EXPECT_ERROR(raw.copy_device_to_host(out).await(), Unimplemented,
               "PJRT_RawBuffer_CopyRawDeviceToHost is not offered");
  EXPECT_ERROR(raw.host_pointer(), Unimplemented, "PJRT_RawBuffer_GetHostPointer is not offered");
}

}  // namespace
}  // namespace pjrt
