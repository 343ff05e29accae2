// The CrossHostTransfers extension: arguments, buffers, events, and callbacks that outlive everything else.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "fake_plugin/fixture.hpp"
#include "fake_plugin/objects.hpp"
#include "pjrt/ext/cross_host_transfers.hpp"
#include "support/eventually.hpp"

namespace pjrt {
namespace {

using ext::CrossHostTransfers;
using ext::ReceiveDescriptors;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fn = test::fn;

const ShapeSpec kTwoFloats = {{ElementType::F32, {2}}, {}};

class ExtCrossHost : public test::OnFake {
 protected:
  ExtCrossHost() {
    fake.on<fn::PJRT_Transfers_PJRT_Client_CrossHostSendBuffers>([this](auto& a) {
      sent.assign(a.buffers, a.buffers + a.num_buffers);
      devices.assign(a.dst_global_device_ids, a.dst_global_device_ids + a.num_buffers);
      keys.assign(a.transfer_keys, a.transfer_keys + a.num_buffers);
      note_tasks(a);
      for (std::size_t i = 0; i < a.num_buffers; ++i) {
        auto done = std::make_shared<fake::Promise>();
        a.send_events[i] = fake::event_of(fake, done);
        fake.settle(done);
      }
    });
    fake.on<fn::PJRT_Transfers_PJRT_Client_CrossHostReceiveBuffers>([this](auto& a) {
      devices.assign(a.src_global_device_ids, a.src_global_device_ids + a.num_shapes);
      keys.assign(a.transfer_keys, a.transfer_keys + a.num_shapes);
      note_tasks(a);
      make_buffers(a);
    });
    fake.on<fn::PJRT_Transfers_PJRT_Client_MakeCrossHostReceiveBuffers>([this](auto& a) {
      make_buffers(a);
      a.num_buffers = a.num_shapes;
      notifiers.push_back(a.notifier);
    });
    fake.on<fn::PJRT_Buffer_CopyToRemoteDevice>([this](auto& a) {
      sent.push_back(a.buffer);
      descriptor.assign(*a.serialized_descriptor, *a.serialized_descriptor_size);
      EXPECT_EQ(a.event, nullptr);
      a.descriptor_destructor(a.serialized_descriptor, a.serialized_descriptor_size);
      done.push_back(a.on_done);
    });
  }

  template <class Args>
  void note_tasks(const Args& a) {
    tasks.assign(a.task_ids, a.task_ids + a.num_tasks);
    incarnations.assign(a.incarnation_ids, a.incarnation_ids + a.num_tasks);
  }
  template <class Args>
  void make_buffers(Args& a) {
    for (std::size_t i = 0; i < a.num_shapes; ++i) {
      ranks.push_back(a.shape_num_dims[i]);
      laid_out.push_back(a.layouts[i] != nullptr);
      abi::PJRT_Client_CreateUninitializedBuffer_Args made{};
      made.client = a.client;
      made.device = a.device;
      made.shape_element_type = a.element_types[i];
      made.shape_dims = a.num_dims[i];
      made.shape_num_dims = a.shape_num_dims[i];
      made.shape_layout = a.layouts[i];
      EXPECT_FALSE(fake.usual<fn::PJRT_Client_CreateUninitializedBuffer>(made));
      a.buffers[i] = made.buffer;
    }
  }

  Result<std::vector<Buffer>> make_receive(std::function<void(Result<ReceiveDescriptors>)> notifier,
                                           bool allow_cancel = false) {
    return transfers->make_receive_buffers(client->devices()[0], std::span(&kTwoFloats, 1), std::move(notifier),
                                           allow_cancel);
  }
  /// As the plugin does when a receive is prepared; it lends its error and its strings.
  void notify(std::vector<std::string> descriptors, std::optional<fake::Failure> failure = {},
              abi::PJRT_Transfers_CrossHostSendCancelNotifier cancel = nullptr, void* cancel_user = nullptr) {
    std::vector<const char*> data;
    std::vector<std::size_t> sizes;
    for (const std::string& d : descriptors) data.push_back(d.data()), sizes.push_back(d.size());
    abi::PJRT_Error* error = failure ? fake.make_error(*failure) : nullptr;
    notifiers.at(0).notifier(error, data.data(), sizes.data(), data.size(), notifiers.at(0).user_arg, cancel,
                             cancel_user);
    EXPECT_EQ(fake.take_error(error).has_value(), failure.has_value());  // it is still the plugin's
  }
  void finish(bool enqueued, std::optional<fake::Failure> failure = {}) {
    abi::PJRT_Error* error = failure ? fake.make_error(*failure) : nullptr;
    done.at(0).on_done(error, enqueued, done.at(0).user_arg);
    EXPECT_EQ(fake.take_error(error).has_value(), failure.has_value());
  }
  void drop_everything() {
    buffer.reset();
    client.reset();
    transfers.reset();
  }

  std::optional<Client> client = make_client(2);
  std::optional<CrossHostTransfers> transfers = value_of(client->extension<CrossHostTransfers>());
  std::optional<Buffer> buffer = value_of(client->upload(1.0f));
  std::vector<abi::PJRT_Buffer*> sent;
  std::vector<int> devices, tasks;
  std::vector<std::int64_t> keys, incarnations;
  std::vector<std::size_t> ranks;
  std::vector<bool> laid_out;
  std::string descriptor;
  std::vector<abi::PJRT_Transfers_CrossHostRecvNotifierInfo> notifiers;
  std::vector<abi::PJRT_Transfers_CrossHostRemoteSendCallbackInfo> done;
};

TEST_F(ExtCrossHost, SendsBuffersByKeyAndDevice) {
  const Buffer second = value_of(client->upload(2.0f));
  const std::array<ext::CrossHostSend, 2> sends = {{{&*buffer, 7, 100}, {&second, 9, -5}}};
  const auto events = value_of(transfers->send_buffers(sends, {.task_ids = {3, 4}, .incarnation_ids = {33, 44}}));
  EXPECT_EQ(events.size(), 2u);
  EXPECT_THAT(sent, ElementsAre(buffer->raw(), second.raw()));
  EXPECT_THAT(devices, ElementsAre(7, 9));
  EXPECT_THAT(keys, ElementsAre(100, -5));
  EXPECT_THAT(tasks, ElementsAre(3, 4));
  EXPECT_THAT(incarnations, ElementsAre(33, 44));
}

TEST_F(ExtCrossHost, EverySendHasItsEvent) {
  fake.hold_events();
  const std::array<ext::CrossHostSend, 1> sends = {{{&*buffer, 1, 1}}};
  const auto events = value_of(transfers->send_buffers(sends));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_FALSE(events[0].is_ready());
  fake.release_events(fake::Failure{ErrorCode::Unavailable, "the other side is gone"});
  EXPECT_ERROR(events[0].await(), Unavailable, "the other side is gone");
}

TEST_F(ExtCrossHost, SendsThatFailAtOnceSayIt) {
  fake.fail<fn::PJRT_Transfers_PJRT_Client_CrossHostSendBuffers>(ErrorCode::Unimplemented, "no network");
  const std::array<ext::CrossHostSend, 1> sends = {{{&*buffer, 1, 1}}};
  EXPECT_ERROR(transfers->send_buffers(sends), Unimplemented, "no network");
}

TEST_F(ExtCrossHost, SendsAreOfOneClientAndOfBuffersThatAreThere) {
  const Buffer others = value_of(make_client().upload(1.0f));
  const std::array<ext::CrossHostSend, 2> mixed = {{{&*buffer, 1, 1}, {&others, 1, 2}}};
  EXPECT_ERROR(transfers->send_buffers(mixed), InvalidArgument, "belong to different clients");
  const std::array<ext::CrossHostSend, 1> null = {{{nullptr, 1, 1}}};
  EXPECT_ERROR(transfers->send_buffers(null), InvalidArgument, "a buffer to send is null");
  EXPECT_THAT(value_of(transfers->send_buffers({})), IsEmpty());
  EXPECT_EQ(calls_of("PJRT_Transfers_PJRT_Client_CrossHostSendBuffers"), 0u);
}

TEST_F(ExtCrossHost, TasksAndIncarnationsCorrespond) {
  const std::array<ext::CrossHostSend, 1> sends = {{{&*buffer, 1, 1}}};
  EXPECT_ERROR(transfers->send_buffers(sends, {.task_ids = {3}}), InvalidArgument,
               "a different number of tasks and of incarnations");
}

TEST_F(ExtCrossHost, ReceivesBuffersByKeyAndDevice) {
  const std::array<ext::CrossHostReceive, 2> receives = {
      {{{{ElementType::F32, {2, 3}}, {}}, 7, 100}, {{{ElementType::S8, {}}, {}}, 9, 200}}};
  const auto buffers =
      value_of(transfers->receive_buffers(client->devices()[1], receives, {.task_ids = {5}, .incarnation_ids = {55}}));
  ASSERT_EQ(buffers.size(), 2u);
  EXPECT_EQ(buffers[0].shape(), (Shape{ElementType::F32, {2, 3}}));
  EXPECT_EQ(buffers[1].shape(), (Shape{ElementType::S8, {}}));
  EXPECT_EQ(buffers[0].device(), client->devices()[1]);
  EXPECT_THAT(ranks, ElementsAre(2, 0));
  EXPECT_THAT(laid_out, ElementsAre(false, false));
  EXPECT_THAT(devices, ElementsAre(7, 9));
  EXPECT_THAT(keys, ElementsAre(100, 200));
  EXPECT_THAT(tasks, ElementsAre(5));
}

TEST_F(ExtCrossHost, ReceivesOnDevicesThatAreHere) {
  fake.remote_devices = 1;
  const Client wide = make_client(1);
  const std::array<ext::CrossHostReceive, 1> receives = {{{kTwoFloats, 0, 1}}};
  EXPECT_ERROR(transfers->receive_buffers(wide.devices()[1], receives), InvalidArgument, "belongs to process");
  EXPECT_ERROR(transfers->make_receive_buffers(wide.devices()[1], std::span(&kTwoFloats, 1), [](auto) {}),
               InvalidArgument, "belongs to process");
}

TEST_F(ExtCrossHost, BuffersThatThePluginForgotAreAnError) {
  fake.on<fn::PJRT_Transfers_PJRT_Client_CrossHostReceiveBuffers>([](auto&) {});
  const std::array<ext::CrossHostReceive, 1> receives = {{{kTwoFloats, 0, 1}}};
  EXPECT_ERROR(transfers->receive_buffers(client->devices()[0], receives), Internal, "made 0 buffers of 1");
}

TEST_F(ExtCrossHost, TheNotifierGetsADescriptorForEachBuffer) {
  std::vector<std::string> seen;
  const auto buffers =
      value_of(make_receive([&](Result<ReceiveDescriptors> r) { seen = value_of(std::move(r)).descriptors; }));
  EXPECT_EQ(buffers.size(), 1u);
  EXPECT_THAT(seen, IsEmpty());
  notify({std::string("a\0b", 3)});
  EXPECT_THAT(seen, ElementsAre(std::string("a\0b", 3)));
}

TEST_F(ExtCrossHost, TheNotifierGetsTheErrorInstead) {
  std::optional<Error> seen;
  const auto buffers = value_of(make_receive([&](Result<ReceiveDescriptors> r) { seen = r.error(); }));
  notify({}, fake::Failure{ErrorCode::ResourceExhausted, "no memory to receive into"});
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->code(), ErrorCode::ResourceExhausted);
  EXPECT_EQ(seen->message(), "no memory to receive into");
}

TEST_F(ExtCrossHost, TheNotifierMayBeCalledWithinTheCall) {
  int calls = 0;
  fake.on<fn::PJRT_Transfers_PJRT_Client_MakeCrossHostReceiveBuffers>([this](auto& a) {
    make_buffers(a);
    notifiers.push_back(a.notifier);
    notify({"d"});
  });
  EXPECT_OK(make_receive([&](auto) { ++calls; }));
  EXPECT_EQ(calls, 1);
}

TEST_F(ExtCrossHost, TheNotifierOutlivesEverythingAndGoesWithItsCall) {
  auto captured = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = captured;
  int* const calls = captured.get();
  int seen = 0;
  (void)value_of(make_receive([captured = std::move(captured), &seen](auto) { seen = ++*captured; }));
  drop_everything();
  EXPECT_EQ(fake.live()["client"], 0);
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(*calls, 0);
  std::jthread([this] { notify({"d"}); }).join();
  EXPECT_EQ(seen, 1);
  EXPECT_TRUE(watched.expired());
}

TEST_F(ExtCrossHost, TheNotifierMayDropTheLastHandles) {
  std::vector<Buffer> buffers = value_of(make_receive([&](auto) {
    buffers.clear();
    drop_everything();
  }));
  std::jthread([this] { notify({"d"}); }).join();
  EXPECT_TRUE(test::becomes_true([this] { return fake.live().empty(); }));  // not on the plugin's thread
}

TEST_F(ExtCrossHost, WhatTheNotifierThrowsStopsThere) {
  const test::HeardExceptions heard;
  const auto buffers = value_of(make_receive([](auto) { throw std::runtime_error("no"); }));
  notify({"d"});
  EXPECT_THAT(heard.where(), ElementsAre("a receive notifier"));
}

TEST_F(ExtCrossHost, TheNotifierOfACallThatFailedIsNotCalledAndGoesWithTheClient) {
  fake.on<fn::PJRT_Transfers_PJRT_Client_MakeCrossHostReceiveBuffers>([this](auto& a) -> fake::Outcome {
    notifiers.push_back(a.notifier);
    return fake::Failure{ErrorCode::Unimplemented, "not on this device"};
  });
  auto captured = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = captured;
  EXPECT_ERROR(make_receive([captured = std::move(captured)](auto) { FAIL(); }), Unimplemented, "not on this device");
  notify({"too late"});
  drop_everything();
  EXPECT_TRUE(watched.expired());
}

TEST_F(ExtCrossHost, ReceivesNeedANotifierAndAShape) {
  EXPECT_ERROR(make_receive({}), InvalidArgument, "the notifier is empty");
  EXPECT_ERROR(transfers->make_receive_buffers(client->devices()[0], {}, [](auto) {}), InvalidArgument,
               "nothing to receive");
}

/// The plugin's end of a cancellation.
struct Cancellation {
  std::string descriptor, message;
  int code = 0;
  abi::PJRT_Transfers_CrossHostOnCanceledCallback on_canceled = nullptr;
  void* user = nullptr;

  static void notify(const char* d, std::size_t d_size, abi::PJRT_Error_Code reason, const char* m, std::size_t m_size,
                     abi::PJRT_Transfers_CrossHostOnCanceledCallback on_canceled, void* on_canceled_user, void* self) {
    *static_cast<Cancellation*>(self) = {std::string(d, d_size), std::string(m, m_size), reason, on_canceled,
                                         on_canceled_user};
  }
};

TEST_F(ExtCrossHost, ASendIsCancelledWithAReason) {
  Cancellation plugins;
  ext::SendCanceller canceller;
  const auto buffers = value_of(make_receive([&](Result<ReceiveDescriptors> r) { canceller = r->canceller; }, true));
  notify({"d"}, {}, Cancellation::notify, &plugins);
  ASSERT_FALSE(canceller.empty());
  std::optional<Result<void>> outcome;
  ASSERT_OK(
      canceller.cancel("d", Error(ErrorCode::Aborted, "not wanted"), [&](Result<void> r) { outcome = std::move(r); }));
  EXPECT_EQ(plugins.descriptor, "d");
  EXPECT_EQ(plugins.message, "not wanted");
  EXPECT_EQ(plugins.code, abi::PJRT_Error_Code_ABORTED);
  EXPECT_FALSE(outcome);
  abi::PJRT_Error* error = fake.make_error({ErrorCode::NotFound, "no such send"});
  plugins.on_canceled(error, plugins.user);
  (void)fake.take_error(error);
  ASSERT_TRUE(outcome);
  EXPECT_ERROR(*outcome, NotFound, "no such send");
}

TEST_F(ExtCrossHost, ASendIsCancelledOnlyIfThatWasAllowed) {
  Cancellation plugins;
  ext::SendCanceller canceller;
  const auto buffers = value_of(make_receive([&](Result<ReceiveDescriptors> r) { canceller = r->canceller; }));
  notify({"d"}, {}, Cancellation::notify, &plugins);
  EXPECT_TRUE(canceller.empty());
  EXPECT_ERROR(canceller.cancel("d", Error(ErrorCode::Aborted, "no"), [](auto) {}), FailedPrecondition,
               "made without allow_cancel");
}

TEST_F(ExtCrossHost, WhatACancellationCallbackThrowsStopsThere) {
  const test::HeardExceptions heard;
  Cancellation plugins;
  ext::SendCanceller canceller;
  const auto buffers = value_of(make_receive([&](Result<ReceiveDescriptors> r) { canceller = r->canceller; }, true));
  notify({"d"}, {}, Cancellation::notify, &plugins);
  ASSERT_OK(canceller.cancel("d", Error(ErrorCode::Aborted, "no"), [](auto) { throw 1; }));
  plugins.on_canceled(nullptr, plugins.user);
  EXPECT_THAT(heard.where(), ElementsAre("a cancellation callback"));
}

TEST_F(ExtCrossHost, CopiesToWhomTheDescriptorComesFrom) {
  std::optional<bool> enqueued;
  Result<void> outcome;
  ASSERT_OK(transfers->copy_to_remote_device(*buffer, std::string("to\0it", 5),
                                             [&](Result<void> r, bool e) { outcome = std::move(r), enqueued = e; }));
  EXPECT_THAT(sent, ElementsAre(buffer->raw()));
  EXPECT_EQ(descriptor, std::string("to\0it", 5));
  EXPECT_FALSE(enqueued);
  finish(true);
  EXPECT_EQ(enqueued, true);
  EXPECT_OK(outcome);
}

TEST_F(ExtCrossHost, ACopyThatFailsSaysHowFarItGot) {
  std::optional<bool> enqueued;
  Result<void> outcome;
  ASSERT_OK(transfers->copy_to_remote_device(*buffer, "d",
                                             [&](Result<void> r, bool e) { outcome = std::move(r), enqueued = e; }));
  finish(false, fake::Failure{ErrorCode::Unavailable, "no way there"});
  EXPECT_EQ(enqueued, false);
  EXPECT_ERROR(outcome, Unavailable, "no way there");
}

// Older plugins hand over an error that says OK.
TEST_F(ExtCrossHost, AnErrorOfCodeOkIsNone) {
  fake.on<fn::PJRT_Error_GetCode>([](auto& a) { a.code = abi::PJRT_Error_Code_OK; });
  Result<void> outcome = std::unexpected(Error(ErrorCode::Unknown, "not called"));
  ASSERT_OK(transfers->copy_to_remote_device(*buffer, "d", [&](Result<void> r, bool) { outcome = std::move(r); }));
  finish(true, fake::Failure{ErrorCode::Ok, ""});
  EXPECT_OK(outcome);
}

TEST_F(ExtCrossHost, ACopysCallbackOutlivesEverythingAndThrowsNowhere) {
  const test::HeardExceptions heard;
  auto captured = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = captured;
  ASSERT_OK(transfers->copy_to_remote_device(
      *buffer, "d", [captured = std::move(captured)](auto, bool) { throw std::runtime_error("no"); }));
  drop_everything();
  EXPECT_FALSE(watched.expired());
  std::jthread([this] { finish(true); }).join();
  EXPECT_TRUE(watched.expired());
  EXPECT_THAT(heard.where(), ElementsAre("a send callback"));
}

TEST_F(ExtCrossHost, CopiesOfBuffersThatAreGoneAreRefused) {
  const Buffer taken = std::move(*buffer);
  EXPECT_ERROR(transfers->copy_to_remote_device(*buffer, "d", [](auto, bool) {}), FailedPrecondition, "moved from");
  EXPECT_ERROR(transfers->copy_to_remote_device(taken, "d", {}), InvalidArgument, "the callback is empty");
}

// Its functions take other arguments than ours.
TEST_F(ExtCrossHost, TheFirstVersionOfTheExtensionIsRefused) {
  const Plugin old = with_extension(12, 40);
  const Client c = value_of(Client::create(old));
  const Buffer b = value_of(c.upload(1.0f));
  const auto first = value_of(CrossHostTransfers::of(old));
  EXPECT_ERROR(first.copy_to_remote_device(b, "d", [](auto, bool) {}), Unimplemented, "of its first version");
  EXPECT_ERROR(first.make_receive_buffers(c.devices()[0], std::span(&kTwoFloats, 1), [](auto) {}), Unimplemented,
               "of its first version");
  EXPECT_ERROR(first.send_buffers(std::array<ext::CrossHostSend, 1>{{{&b, 1, 1}}}), Unimplemented, "not offered");
}

}  // namespace
}  // namespace pjrt
