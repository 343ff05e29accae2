// The Stream extension: streams of a GPU as numbers.

#include <gtest/gtest.h>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/stream.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

class ExtStream : public test::OnFake {
 protected:
  Client client = make_client();
  const ext::Stream stream = value_of(client.extension<ext::Stream>());
};

TEST_F(ExtStream, OfADeviceIsThePluginsNumber) {
  abi::PJRT_Device* asked = nullptr;
  fake.on<fn::PJRT_Get_Stream_For_External_Ready_Events>([&](auto& a) {
    asked = a.device;
    a.stream = 0x7f0012345678;
  });
  EXPECT_EQ(value_of(stream.stream_for_external_ready_events(client.devices()[0])), 0x7f0012345678);
  EXPECT_EQ(asked, client.devices()[0].raw());
}

TEST_F(ExtStream, WaitsForABuffer) {
  const Buffer buffer = value_of(client.upload(1.0f));
  EXPECT_OK(stream.wait_until_buffer_ready(0x1234, buffer));
  const auto calls = fake.calls_of<fn::PJRT_Wait_Until_Buffer_Ready_On_Stream>();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].struct_size, 24u);
  EXPECT_EQ(calls[0].stream, 0x1234);
  EXPECT_EQ(calls[0].buffer, buffer.raw());
}

TEST_F(ExtStream, HandsErrorsOn) {
  const Buffer buffer = value_of(client.upload(1.0f));
  fake.fail<fn::PJRT_Get_Stream_For_External_Ready_Events>(ErrorCode::NotFound, "no stream");
  fake.fail<fn::PJRT_Wait_Until_Buffer_Ready_On_Stream>(ErrorCode::Aborted, "no wait");
  EXPECT_ERROR(stream.stream_for_external_ready_events(client.devices()[0]), NotFound, "no stream");
  EXPECT_ERROR(stream.wait_until_buffer_ready(1, buffer), Aborted, "no wait");
}

TEST_F(ExtStream, DoesNotWaitForABufferThatIsGone) {
  Buffer buffer = value_of(client.upload(1.0f));
  EXPECT_OK(buffer.delete_now());
  EXPECT_ERROR(stream.wait_until_buffer_ready(1, buffer), FailedPrecondition, "it was deleted");
  const Buffer moved = std::move(buffer);
  EXPECT_ERROR(stream.wait_until_buffer_ready(1, buffer), FailedPrecondition, "moved from");
  EXPECT_EQ(calls_of("PJRT_Wait_Until_Buffer_Ready_On_Stream"), 0u);
}

TEST_F(ExtStream, RefusesWhatBelongsToAnotherPlugin) {
  const Client other = value_of(Client::create(with_table({})));
  const Buffer buffer = value_of(other.upload(1.0f));
  EXPECT_ERROR(stream.stream_for_external_ready_events(other.devices()[0]), InvalidArgument, "belongs to plugin odd");
  EXPECT_ERROR(stream.wait_until_buffer_ready(1, buffer), InvalidArgument, "the buffer belongs to plugin odd");
}

// 24 bytes and two functions.
TEST_F(ExtStream, OfAnOlderPluginLacksItsLastFunction) {
  const ext::Stream shorter = value_of(ext::Stream::of(with_extension(ext::Stream::kType, 32)));
  const Client own = value_of(Client::create(shorter.plugin()));
  EXPECT_OK(shorter.stream_for_external_ready_events(own.devices()[0]));
  EXPECT_ERROR(shorter.wait_until_buffer_ready(1, value_of(own.upload(1.0f))), Unimplemented,
               "PJRT_Wait_Until_Buffer_Ready_On_Stream is not offered by the Stream extension of plugin odd");
}

}  // namespace
}  // namespace pjrt
