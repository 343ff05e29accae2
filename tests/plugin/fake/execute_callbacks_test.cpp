// Programs that talk to the host while they run: send, receive and output callbacks, which no real plugin within reach
// can run.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using test::chunk_of;
using test::text_of;
using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fn = test::fn;

class ExecuteCallbacks : public test::OnFake {
 protected:
  /// A program that does `step` during the call and is over then.
  LoadedExecutable running(std::function<void(fake::Run&)> step) {
    return compile(client_, {.run = [step = std::move(step)](std::shared_ptr<fake::Run> run) { step(*run); }});
  }
  /// A program that waits in `run_` after the call.
  LoadedExecutable waiting() {
    return compile(client_, {.outputs = {{ElementType::F32, {}}}, .run = [this](std::shared_ptr<fake::Run> run) {
                               run->later();
                               run_ = std::move(run);
                             }});
  }
  static ExecuteOptions on_send(decltype(SendCallback::callback) callback) {
    return {.send_callbacks = {{{.channel_id = 7, .callback = std::move(callback)}}}};
  }
  static ExecuteOptions on_receive(decltype(RecvCallback::callback) callback) {
    return {.recv_callbacks = {{{.channel_id = 7, .callback = std::move(callback)}}}};
  }
  static ExecuteOptions on_output(decltype(HloOutputCallback::callback) callback) {
    return {.hlo_output_callbacks = {{.callback_id = 4, .num_operands = 2, .callback = std::move(callback)}}};
  }
  Result<Outputs> execute(const LoadedExecutable& exe, const ExecuteOptions& options) {
    return exe.execute(std::span<const Argument>(), options);
  }

  Client client_ = make_client();
  std::shared_ptr<fake::Run> run_;
};

using SendCallbacks = ExecuteCallbacks;

TEST_F(SendCallbacks, GetTheBytesInOrderWithTheirTotalAndTheLastMarked) {
  const LoadedExecutable exe = running([](fake::Run& run) {
    EXPECT_FALSE(run.send(7, "abc", 5, false));
    EXPECT_FALSE(run.send(7, "de", 5, true));
  });
  std::vector<std::string> seen;
  EXPECT_OK(execute(exe, on_send([&](Chunk chunk, std::size_t total, bool done) -> Result<void> {
                      seen.push_back(text_of(chunk.bytes()) + " of " + std::to_string(total) + (done ? ", last" : ""));
                      return {};
                    })));
  EXPECT_THAT(seen, ElementsAre("abc of 5", "de of 5, last"));
}

TEST_F(SendCallbacks, OwnTheirChunkUntilTheyDropIt) {
  std::optional<Chunk> kept;
  const LoadedExecutable exe = running([](fake::Run& run) { EXPECT_FALSE(run.send(7, "abc", 3, true)); });
  EXPECT_OK(execute(exe, on_send([&](Chunk chunk, std::size_t, bool) -> Result<void> {
                      kept = std::move(chunk);
                      return {};
                    })));
  EXPECT_EQ(fake.live()["chunk"], 1);
  EXPECT_EQ(text_of(kept->bytes()), "abc");
  kept.reset();
  EXPECT_EQ(fake.live()["chunk"], 0);
}

TEST_F(SendCallbacks, ThatFailTellThePluginCodeAndMessageAndFreeTheChunk) {
  std::optional<fake::Failure> told;
  const LoadedExecutable exe = running([&](fake::Run& run) { told = run.send(7, "abc", 3, true); });
  EXPECT_OK(execute(exe, on_send([](Chunk, std::size_t, bool) -> Result<void> {
                      return std::unexpected(Error(ErrorCode::ResourceExhausted, "no room"));
                    })));
  ASSERT_TRUE(told);
  EXPECT_EQ(told->code, ErrorCode::ResourceExhausted);
  EXPECT_EQ(told->message, "no room");
  EXPECT_EQ(fake.live()["chunk"], 0);
}

TEST_F(SendCallbacks, ThatThrowTellThePluginWhat) {
  std::vector<fake::Failure> told;
  const LoadedExecutable exe = running([&](fake::Run& run) {
    for (int i = 0; i < 2; ++i) told.push_back(run.send(7, "abc", 3, i == 1).value());
  });
  EXPECT_OK(execute(exe, on_send([](Chunk, std::size_t, bool done) -> Result<void> {
                      if (done) throw 42;
                      throw std::runtime_error("out of ideas");
                    })));
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].code, ErrorCode::Internal);
  EXPECT_EQ(told[0].message, "the send callback threw: out of ideas");
  EXPECT_EQ(told[1].code, ErrorCode::Internal);
  EXPECT_EQ(told[1].message, "the send callback threw something that is not a std::exception");
  EXPECT_EQ(fake.live()["chunk"], 0);
}

TEST_F(SendCallbacks, WhoseErrorEndsTheProgramMakeTheOutputsFail) {
  const LoadedExecutable exe =
      compile(client_, {.outputs = {{ElementType::F32, {}}},
                        .run = [](std::shared_ptr<fake::Run> run) { run->finish(run->send(7, "abc", 3, true)); }});
  const Outputs outputs = value_of(execute(exe, on_send([](Chunk, std::size_t, bool) -> Result<void> {
                                             return std::unexpected(Error(ErrorCode::PermissionDenied, "not you"));
                                           })));
  EXPECT_ERROR(outputs[0].ready().await(), PermissionDenied, "not you");
  EXPECT_ERROR(outputs[0].to_host(), PermissionDenied, "not you");
}

TEST_F(SendCallbacks, OutliveTheCallAndEveryHandleUntilTheRunIsOver) {
  auto alive = std::make_shared<int>(0);
  {
    const LoadedExecutable exe = waiting();
    EXPECT_OK(execute(exe, on_send([alive](Chunk, std::size_t, bool) -> Result<void> {
                        ++*alive;
                        return {};
                      })));
  }
  EXPECT_EQ(alive.use_count(), 2);
  EXPECT_FALSE(run_->send(7, "abc", 3, true));
  EXPECT_EQ(*alive, 1);
  run_->finish();
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(SendCallbacks, AreKeptUntilARunThatFailsIsOver) {
  auto alive = std::make_shared<int>(0);
  const Outputs outputs =
      value_of(execute(waiting(), on_send([alive](Chunk, std::size_t, bool) -> Result<void> { return {}; })));
  run_->finish(fake::Failure{ErrorCode::Aborted, "stopped"});
  EXPECT_EQ(alive.use_count(), 1);
  EXPECT_ERROR(outputs[0].ready().await(), Aborted, "stopped");
}

TEST_F(SendCallbacks, OfAnExecutionThatThePluginRefusesAreDropped) {
  auto alive = std::make_shared<int>(0);
  const LoadedExecutable exe = waiting();
  fake.fail<fn::PJRT_LoadedExecutable_Execute>(ErrorCode::Unavailable, "busy");
  EXPECT_ERROR(execute(exe, on_send([alive](Chunk, std::size_t, bool) -> Result<void> { return {}; })), Unavailable,
               "busy");
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(SendCallbacks, AreFoundByDeviceAndChannel) {
  const Client four = make_client(2);
  const LoadedExecutable exe = compile(four, {.run =
                                                  [](std::shared_ptr<fake::Run> run) {
                                                    EXPECT_FALSE(run->send(1, "a", 1, true, 0));
                                                    EXPECT_FALSE(run->send(2, "b", 1, true, 0));
                                                    EXPECT_FALSE(run->send(1, "c", 1, true, 1));
                                                    EXPECT_FALSE(run->send(2, "d", 1, true, 1));
                                                  },
                                              .replicas = 2});
  std::string seen;
  const auto note = [&](std::string where) {
    return [&seen, where](Chunk chunk, std::size_t, bool) -> Result<void> {
      seen += where + text_of(chunk.bytes()) + " ";
      return {};
    };
  };
  ExecuteOptions options;
  options.send_callbacks = {{{1, note("0/1:")}, {2, note("0/2:")}}, {{1, note("1/1:")}, {2, note("1/2:")}}};
  EXPECT_OK(exe.execute(std::vector<std::vector<Argument>>(2), options));
  EXPECT_EQ(seen, "0/1:a 0/2:b 1/1:c 1/2:d ");
}

TEST_F(SendCallbacks, ThatDoNotFitTheDevicesAreRefusedBeforeThePluginIsAsked) {
  const Client two = make_client(2);
  const LoadedExecutable exe = compile(two, {.replicas = 2});
  const SendCallback good = {1, [](Chunk, std::size_t, bool) -> Result<void> { return {}; }};
  const std::vector<std::vector<Argument>> nothing(2);
  EXPECT_ERROR(exe.execute(nothing, {.send_callbacks = {{good}}}), InvalidArgument,
               "send callbacks for 1 of 2 devices");
  EXPECT_ERROR(exe.execute(nothing, {.send_callbacks = {{good}, {good, good}}}), InvalidArgument,
               "different numbers of send callbacks");
  EXPECT_ERROR(exe.execute(nothing, {.send_callbacks = {{good}, {{2, {}}}}}), InvalidArgument,
               "a send callback is empty");
  EXPECT_THAT(fake.calls_of<fn::PJRT_LoadedExecutable_Execute>(), IsEmpty());
}

using ReceiveCallbacks = ExecuteCallbacks;

TEST_F(ReceiveCallbacks, FillTheStreamTheyAreGiven) {
  std::shared_ptr<fake::Received> received;
  const LoadedExecutable exe = running([&](fake::Run& run) { received = run.receive(7, 6, 3); });
  std::vector<std::int64_t> numbers;
  EXPECT_OK(execute(exe, on_receive([&](CopyToDeviceStream stream) {
                      numbers = {value_of(stream.total_bytes()), value_of(stream.granule_size()),
                                 value_of(stream.current_bytes())};
                      EXPECT_OK(stream.add_chunk(chunk_of("abc")).await());
                      numbers.push_back(value_of(stream.current_bytes()));
                      EXPECT_OK(stream.add_chunk(chunk_of("def")).await());
                    })));
  EXPECT_THAT(numbers, ElementsAre(6, 3, 0, 3));
  EXPECT_EQ(received->bytes, "abcdef");
}

TEST_F(ReceiveCallbacks, MayKeepTheStreamAndFillItLaterOnAnotherThread) {
  std::shared_ptr<fake::Received> received;
  std::optional<CopyToDeviceStream> kept;
  const LoadedExecutable exe = running([&](fake::Run& run) { received = run.receive(7, 3); });
  EXPECT_OK(execute(exe, on_receive([&](CopyToDeviceStream stream) { kept = std::move(stream); })));
  EXPECT_EQ(received->bytes, "");
  std::jthread([&] { EXPECT_OK(kept->add_chunk(chunk_of("abc")).await()); }).join();
  EXPECT_EQ(received->bytes, "abc");
  EXPECT_EQ(fake.live()["stream"], 1);
  kept.reset();
  EXPECT_EQ(fake.live()["stream"], 0);
}

TEST_F(ReceiveCallbacks, ThatDropTheStreamDestroyItOnce) {
  const LoadedExecutable exe = running([&](fake::Run& run) { run.receive(7, 3); });
  EXPECT_OK(execute(exe, on_receive([&](CopyToDeviceStream) {})));
  EXPECT_EQ(fake.live()["stream"], 0);
  EXPECT_EQ(fake.calls_of<fn::PJRT_CopyToDeviceStream_Destroy>().size(), 1u);
}

TEST_F(ReceiveCallbacks, ThatThrowAreHeardOfAndTheStreamIsDestroyed) {
  const test::HeardExceptions heard;
  const LoadedExecutable exe = running([&](fake::Run& run) { run.receive(7, 3); });
  EXPECT_OK(execute(exe, on_receive([&](CopyToDeviceStream) { throw std::runtime_error("no"); })));
  EXPECT_THAT(heard.where(), ElementsAre("a receive callback"));
  EXPECT_EQ(fake.live()["stream"], 0);
}

TEST_F(ReceiveCallbacks, HandTheMemoryOfAChunkOverUntilItIsOnTheDevice) {
  auto memory = std::make_shared<std::string>("abc");
  const LoadedExecutable exe = running([&](fake::Run& run) { run.receive(7, 3); });
  fake.hold_events();
  std::optional<Event> done;
  const Outputs outputs = value_of(execute(exe, on_receive([&](CopyToDeviceStream stream) {
                                             done = stream.add_chunk(Chunk(memory, std::as_bytes(std::span(*memory))));
                                           })));
  EXPECT_FALSE(done->is_ready());
  EXPECT_EQ(memory.use_count(), 2);
  fake.release_events();
  EXPECT_OK(done->await());
  EXPECT_EQ(memory.use_count(), 1);
}

TEST_F(ReceiveCallbacks, AreRefusedChunksThatDoNotFitTheGranuleOrTheTotal) {
  const LoadedExecutable exe = running([&](fake::Run& run) { run.receive(7, 8, 4); });
  EXPECT_OK(execute(exe, on_receive([&](CopyToDeviceStream stream) {
                      EXPECT_ERROR(stream.add_chunk(chunk_of("abc")).await(), InvalidArgument,
                                   "a chunk of 3 bytes is not a multiple of the granule of 4");
                      EXPECT_OK(stream.add_chunk(chunk_of("abcd")).await());
                      EXPECT_ERROR(stream.add_chunk(chunk_of("efghijkl")).await(), InvalidArgument,
                                   "a chunk of 8 bytes after 4 of 8");
                    })));
  EXPECT_EQ(fake.calls_of<fn::PJRT_CopyToDeviceStream_AddChunk>().size(), 1u);
}

TEST_F(ReceiveCallbacks, LoseTheChunkOnceAlsoIfThePluginRefusesIt) {
  auto memory = std::make_shared<std::string>("abc");
  const LoadedExecutable exe = running([&](fake::Run& run) { run.receive(7, 3); });
  fake.on<fn::PJRT_CopyToDeviceStream_AddChunk>([&](auto& a) {
    a.chunk->deleter(a.chunk->data, a.chunk->deleter_arg);
    return fake::Outcome(fake::Failure{ErrorCode::DataLoss, "the wire is cut"});
  });
  EXPECT_OK(execute(exe, on_receive([&](CopyToDeviceStream stream) {
                      EXPECT_ERROR(stream.add_chunk(Chunk(memory, std::as_bytes(std::span(*memory)))).await(), DataLoss,
                                   "the wire is cut");
                    })));
  EXPECT_EQ(memory.use_count(), 1);
}

TEST_F(ReceiveCallbacks, OfAStreamThatCannotBeAskedFailWithoutAChunkSent) {
  const LoadedExecutable exe = running([&](fake::Run& run) { run.receive(7, 3); });
  fake.fail<fn::PJRT_CopyToDeviceStream_TotalBytes>(ErrorCode::Internal, "which stream?");
  EXPECT_OK(execute(exe, on_receive([&](CopyToDeviceStream stream) {
                      EXPECT_ERROR(stream.add_chunk(chunk_of("abc")).await(), Internal, "which stream?");
                    })));
  EXPECT_THAT(fake.calls_of<fn::PJRT_CopyToDeviceStream_AddChunk>(), IsEmpty());
}

TEST_F(ReceiveCallbacks, ThatDoNotFitTheDevicesAreRefused) {
  const LoadedExecutable exe = compile(client_, {});
  const RecvCallback good = {1, [](CopyToDeviceStream) {}};
  EXPECT_ERROR(execute(exe, {.recv_callbacks = {{good}, {good}}}), InvalidArgument,
               "receive callbacks for 2 of 1 devices");
  EXPECT_ERROR(execute(exe, {.recv_callbacks = {{{1, {}}}}}), InvalidArgument, "a receive callback is empty");
}

using OutputCallbacks = ExecuteCallbacks;

TEST_F(OutputCallbacks, SeeTheArrayWithWhereItComesFrom) {
  static constexpr float kValues[] = {1, 2, 3, 4, 5, 6};
  const LoadedExecutable exe =
      running([&](fake::Run& run) { run.show(4, 1, 2, kValues, {2, 3}, abi::PJRT_Buffer_Type_F32, 1); });
  int calls = 0;
  EXPECT_OK(execute(
      exe, on_output([&](std::int64_t replica, std::int64_t partition, const HostView& array, std::int64_t operand) {
        ++calls;
        EXPECT_EQ(replica, 1);
        EXPECT_EQ(partition, 2);
        EXPECT_EQ(operand, 1);
        EXPECT_EQ(array.shape(), (Shape{ElementType::F32, {2, 3}}));
        EXPECT_EQ(array.data(), kValues);
      })));
  EXPECT_EQ(calls, 1);
}

TEST_F(OutputCallbacks, SeeScalarsWhoseDimensionsAreNull) {
  static constexpr std::int32_t kValue = 5;
  const LoadedExecutable exe =
      running([&](fake::Run& run) { run.show(4, 0, 0, &kValue, {}, abi::PJRT_Buffer_Type_S32, 0); });
  std::optional<Shape> seen;
  EXPECT_OK(execute(exe, on_output([&](auto, auto, const HostView& array, auto) { seen = array.shape(); })));
  EXPECT_EQ(seen, (Shape{ElementType::S32, {}}));
}

TEST_F(OutputCallbacks, AreToldToThePluginWithTheirNumbers) {
  const LoadedExecutable exe = compile(client_, {});
  std::vector<abi::PJRT_HloOutputCallbackInfo> seen;
  fake.watch<fn::PJRT_LoadedExecutable_Execute>([&](const auto& a) {
    seen.assign(a.options->hlo_output_callbacks, a.options->hlo_output_callbacks + a.options->num_hlo_output_callbacks);
  });
  EXPECT_OK(execute(exe, on_output([](auto, auto, const HostView&, auto) {})));
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].callback_id, 4);
  EXPECT_EQ(seen[0].num_operands, 2u);
}

TEST_F(OutputCallbacks, ThatThrowAreHeardOfAndTheRunGoesOn) {
  const test::HeardExceptions heard;
  static constexpr float kValue = 1;
  bool went_on = false;
  const LoadedExecutable exe = running([&](fake::Run& run) {
    run.show(4, 0, 0, &kValue, {}, abi::PJRT_Buffer_Type_F32, 0);
    went_on = true;
  });
  EXPECT_OK(execute(exe, on_output([](auto, auto, const HostView&, auto) { throw 1; })));
  EXPECT_TRUE(went_on);
  EXPECT_THAT(heard.where(), ElementsAre("an output callback"));
}

TEST_F(OutputCallbacks, LiveUntilTheRunIsOver) {
  static constexpr float kValue = 1;
  auto calls = std::make_shared<int>(0);
  EXPECT_OK(execute(waiting(), on_output([calls](auto, auto, const HostView&, auto) { ++*calls; })));
  run_->show(4, 0, 0, &kValue, {}, abi::PJRT_Buffer_Type_F32, 0);
  EXPECT_EQ(*calls, 1);
  run_->finish();
  EXPECT_EQ(calls.use_count(), 1);
}

TEST_F(OutputCallbacks, ThatAreEmptyAreRefused) {
  EXPECT_ERROR(execute(compile(client_, {}), on_output({})), InvalidArgument, "an output callback is empty");
}

TEST_F(ExecuteCallbacks, OfAPreparedExecutionServeEveryRun) {
  auto calls = std::make_shared<int>(0);
  const LoadedExecutable exe =
      compile(client_, {.outputs = {{ElementType::F32, {}}},
                        .run = [](std::shared_ptr<fake::Run> run) { EXPECT_FALSE(run->send(7, "abc", 3, true)); }});
  std::optional<PreparedExecution> prepared =
      value_of(exe.prepare(std::span<const Argument>(), on_send([calls](Chunk, std::size_t, bool) -> Result<void> {
                             ++*calls;
                             return {};
                           })));
  EXPECT_OK(prepared->run());
  EXPECT_OK(prepared->run());
  EXPECT_EQ(*calls, 2);
  prepared.reset();
  EXPECT_EQ(calls.use_count(), 1);
}

TEST_F(ExecuteCallbacks, OfAPreparedExecutionThatIsDroppedLiveUntilItsRunIsOver) {
  auto calls = std::make_shared<int>(0);
  {
    PreparedExecution prepared = value_of(
        waiting().prepare(std::span<const Argument>(), on_send([calls](Chunk, std::size_t, bool) -> Result<void> {
                            ++*calls;
                            return {};
                          })));
    EXPECT_OK(prepared.run());
  }
  EXPECT_FALSE(run_->send(7, "abc", 3, true));
  EXPECT_EQ(*calls, 1);
  run_->finish();
  EXPECT_EQ(calls.use_count(), 1);
}

}  // namespace
}  // namespace pjrt
