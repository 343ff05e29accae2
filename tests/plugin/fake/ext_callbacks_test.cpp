// The Callback extension: what a client tells its process before it goes wrong.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/callbacks.hpp"
#include "support/eventually.hpp"

namespace pjrt {
namespace {

using ext::SliceFailure;
using test::value_of;
using ::testing::ElementsAre;
namespace fn = test::fn;

class ExtCallbacks : public test::OnFake {
 protected:
  ExtCallbacks() {
    fake.on<fn::PJRT_Register_Callback>([this](auto& a) { registered.push_back(a); });
  }
  void tell_slice_failure(int type, std::size_t which = 0) {
    abi::PJRT_Callback_Tpu_SliceBuilderArgs args{12, static_cast<abi::PJRT_Callback_Tpu_SliceFailureType>(type)};
    registered.at(which).callback(&args, registered.at(which).user_arg);
  }
  void tell_prefatal(abi::PJRT_Error_Code code, std::string_view message) {
    abi::PJRT_Callback_PrefatalArgs args{32, code, message.data(), message.size()};
    registered.at(0).callback(&args, registered.at(0).user_arg);
  }

  std::optional<Client> client = make_client();
  const ext::Callbacks callbacks = value_of(client->extension<ext::Callbacks>());
  std::vector<abi::PJRT_Callback_RegisterCallback_Args> registered;
};

TEST_F(ExtCallbacks, AreRegisteredForTheirClientAndKind) {
  EXPECT_OK(callbacks.on_slice_failure(*client, [](SliceFailure) {}));
  EXPECT_OK(callbacks.on_prefatal(*client, [](const Error&) {}));
  ASSERT_EQ(registered.size(), 2u);
  EXPECT_EQ(registered[0].client, client->raw());
  EXPECT_EQ(registered[0].type, abi::PJRT_Callback_Type_Tpu_SliceBuilder);
  EXPECT_EQ(registered[1].type, abi::PJRT_Callback_Type_Prefatal);
}

TEST_F(ExtCallbacks, OfASliceGetTheReason) {
  std::vector<SliceFailure> seen;
  EXPECT_OK(callbacks.on_slice_failure(*client, [&](SliceFailure f) { seen.push_back(f); }));
  tell_slice_failure(0);
  tell_slice_failure(5);
  tell_slice_failure(99);  // newer than this library
  EXPECT_THAT(seen, ElementsAre(SliceFailure::Unknown, SliceFailure::ChipDriverError, static_cast<SliceFailure>(99)));
}

TEST_F(ExtCallbacks, BeforeTheEndGetTheError) {
  std::optional<Error> seen;
  EXPECT_OK(callbacks.on_prefatal(*client, [&](const Error& e) { seen = e; }));
  tell_prefatal(abi::PJRT_Error_Code_DATA_LOSS, "the chip is on fire");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->code(), ErrorCode::DataLoss);
  EXPECT_EQ(seen->message(), "the chip is on fire");
  tell_prefatal(abi::PJRT_Error_Code_INTERNAL, {});
  EXPECT_EQ(seen->message(), "");
}

TEST_F(ExtCallbacks, MayBeSeveral) {
  std::string order;
  EXPECT_OK(callbacks.on_slice_failure(*client, [&](SliceFailure) { order += "a"; }));
  EXPECT_OK(callbacks.on_slice_failure(*client, [&](SliceFailure) { order += "b"; }));
  tell_slice_failure(1, 1);
  tell_slice_failure(1, 0);
  EXPECT_EQ(order, "ba");
}

TEST_F(ExtCallbacks, ThatThrowAreHeardOfAndStopThere) {
  const test::HeardExceptions heard;
  EXPECT_OK(callbacks.on_slice_failure(*client, [](SliceFailure) { throw std::runtime_error("no"); }));
  tell_slice_failure(1);
  registered.clear();
  EXPECT_OK(callbacks.on_prefatal(*client, [](const Error&) { throw 1; }));
  tell_prefatal(abi::PJRT_Error_Code_INTERNAL, "x");
  EXPECT_THAT(heard.where(), ElementsAre("a slice-failure callback", "a prefatal callback"));
}

TEST_F(ExtCallbacks, LiveAsLongAsTheClientAndMayBeCalledWhileItIsDestroyed) {
  auto calls = std::make_shared<int>(0);
  EXPECT_OK(callbacks.on_slice_failure(*client, [calls](SliceFailure) { ++*calls; }));
  EXPECT_EQ(calls.use_count(), 2);
  std::jthread([&] { tell_slice_failure(1); }).join();
  EXPECT_EQ(*calls, 1);
  fake.watch<fn::PJRT_Client_Destroy>([&](const auto&) { tell_slice_failure(2); });
  client.reset();
  EXPECT_EQ(*calls, 2);
  EXPECT_EQ(calls.use_count(), 1);
}

TEST_F(ExtCallbacks, MayDropTheirClient) {
  EXPECT_OK(callbacks.on_slice_failure(*client, [&](SliceFailure) { client.reset(); }));
  tell_slice_failure(1);
  EXPECT_FALSE(client);
  EXPECT_TRUE(test::becomes_true([&] { return fake.live()["client"] == 0; }));  // on a thread of its own
}

TEST_F(ExtCallbacks, ThatAreEmptyAreRefused) {
  EXPECT_ERROR(callbacks.on_slice_failure(*client, {}), InvalidArgument, "the callback is empty");
  EXPECT_ERROR(callbacks.on_prefatal(*client, {}), InvalidArgument, "the callback is empty");
  EXPECT_TRUE(registered.empty());
}

TEST_F(ExtCallbacks, ThatThePluginRefusesAreAnError) {
  fake.fail<fn::PJRT_Register_Callback>(ErrorCode::Internal, "no client");
  EXPECT_ERROR(callbacks.on_prefatal(*client, [](const Error&) {}), Internal, "no client");
}

TEST_F(ExtCallbacks, AreInvokedWithWhatThePluginWouldTell) {
  int type = 0;
  abi::PJRT_Callback_Tpu_SliceBuilderArgs slice{};
  abi::PJRT_Callback_PrefatalArgs prefatal{};
  std::string message;
  fake.on<fn::PJRT_Callback_InvokeCallback>([&](auto& a) {
    EXPECT_EQ(a.client, client->raw());
    type = a.type;
    if (a.type == abi::PJRT_Callback_Type_Tpu_SliceBuilder) {
      slice = *static_cast<abi::PJRT_Callback_Tpu_SliceBuilderArgs*>(a.args);
    } else {
      prefatal = *static_cast<abi::PJRT_Callback_PrefatalArgs*>(a.args);
      message.assign(prefatal.error_message, prefatal.error_message_size);
    }
  });
  EXPECT_OK(callbacks.invoke_slice_failure(*client, SliceFailure::FlappingTaskError));
  EXPECT_EQ(type, 1);
  EXPECT_EQ(slice.struct_size, 12u);
  EXPECT_EQ(slice.failure_type, 3);
  EXPECT_OK(callbacks.invoke_prefatal(*client, Error(ErrorCode::Unavailable, "going down")));
  EXPECT_EQ(type, 2);
  EXPECT_EQ(prefatal.struct_size, 32u);
  EXPECT_EQ(prefatal.error_code, 14);
  EXPECT_EQ(message, "going down");
}

TEST_F(ExtCallbacks, ThatCannotBeInvokedAreAnError) {
  fake.fail<fn::PJRT_Callback_InvokeCallback>(ErrorCode::InvalidArgument, "nothing registered");
  EXPECT_ERROR(callbacks.invoke_slice_failure(*client, SliceFailure::InitError), InvalidArgument, "nothing registered");
  EXPECT_ERROR(callbacks.invoke_prefatal(*client, Error(ErrorCode::Internal, "x")), InvalidArgument,
               "nothing registered");
}

TEST_F(ExtCallbacks, RefuseAClientOfAnotherPlugin) {
  const Client other = value_of(Client::create(with_table({})));
  EXPECT_ERROR(callbacks.on_prefatal(other, [](const Error&) {}), InvalidArgument, "the client belongs to plugin odd");
  EXPECT_ERROR(callbacks.on_slice_failure(other, [](SliceFailure) {}), InvalidArgument,
               "the client belongs to plugin odd");
  EXPECT_ERROR(callbacks.invoke_slice_failure(other, SliceFailure::InitError), InvalidArgument,
               "belongs to plugin odd");
  EXPECT_ERROR(callbacks.invoke_prefatal(other, Error(ErrorCode::Internal, "x")), InvalidArgument,
               "belongs to plugin odd");
}

// 24 bytes and two functions.
TEST_F(ExtCallbacks, OfAnOlderPluginCannotBeInvoked) {
  const ext::Callbacks shorter = value_of(ext::Callbacks::of(with_extension(ext::Callbacks::kType, 32)));
  const Client own = value_of(Client::create(shorter.plugin()));
  EXPECT_OK(shorter.on_prefatal(own, [](const Error&) {}));
  EXPECT_ERROR(shorter.invoke_prefatal(own, Error(ErrorCode::Internal, "x")), Unimplemented,
               "PJRT_Callback_InvokeCallback is not offered by the Callback extension of plugin odd");
}

}  // namespace
}  // namespace pjrt
