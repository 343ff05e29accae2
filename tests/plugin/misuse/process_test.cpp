// Forks, the end of the process, and callbacks that block: what hangs, crashes or aborts plugins. What may end a
// process runs in a child.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/eventually.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

constexpr int kGood = 42;

/// Runs `body` in a forked child, which must end by itself within ten seconds; its exit status.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool names_fork(const Error& error) {
  return error.code() == ErrorCode::FailedPrecondition && error.message().find("fork") != std::string_view::npos;
}

class Processes : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }
  std::string file() const { return test::plugin_file(GetParam())->string(); }
};

INSTANTIATE_TEST_SUITE_P(Matrix, Processes, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Processes, AChildMayUseAPluginThatWasOnlyLoaded) {
  const Plugin plugin = value_of(Plugin::load(file()));
  EXPECT_EQ(in_child([&] {
              const Client client = or_throw(Client::create(plugin));
              return or_throw(or_throw(client.upload(Floats{1, 2}, {2})).to_vector<float>()) == Floats{1, 2} ? kGood
                                                                                                             : 1;
            }),
            kGood);
}

TEST_P(Processes, AChildIsRefusedWhatTheParentMade) {
  const Plugin plugin = value_of(Plugin::load(file()));
  const Client client = value_of(Client::create(plugin));
  const LoadedExecutable add = value_of(client.compile(Program::mlir(test::kAdd)));
  const Buffer x = value_of(client.upload(Floats{1, 2, 3}, {3}));
  const Event ready = x.ready();
  ASSERT_OK(ready.await());
  EXPECT_EQ(in_child([&] {
              const auto upload = client.upload(Floats{1}, {1});
              const auto compile = client.compile(Program::mlir(test::kAdd));
              const auto run = add(x, x);
              const auto host = x.to_host();
              const auto again = Client::create(plugin);
              const bool all = !upload && names_fork(upload.error()) && !compile && names_fork(compile.error()) &&
                               !run && names_fork(run.error()) && !host && names_fork(host.error()) && !again &&
                               names_fork(again.error());
              return all ? kGood : 1;
            }),
            kGood);
  // The parent goes on as if nothing had been.
  EXPECT_EQ(value_of(value_of(add(x, x))[0].to_vector<float>()), (Floats{2, 4, 6}));
}

TEST_P(Processes, AChildMayDestroyWhatTheParentMade) {
  std::optional<Client> client = value_of(Client::create(value_of(Plugin::load(file()))));
  std::optional<Buffer> x = value_of(client->upload(Floats{1, 2, 3}, {3}));
  std::optional<LoadedExecutable> add = value_of(client->compile(Program::mlir(test::kAdd)));
  std::optional<Outputs> outputs = value_of((*add)(*x, *x));
  std::optional<AliasBuffer> alias = value_of(
      client->create_alias_buffer({ElementType::F32, {3}}, value_of(client->devices().front().default_memory())));
  Event pending = alias->buffer.ready();
  EXPECT_EQ(in_child([&] {
              if (pending.await_for(std::chrono::milliseconds(10))) (void)pending.await();
              alias.reset();
              outputs.reset();
              x.reset();
              add.reset();
              client.reset();
              return kGood;
            }),
            kGood);
  EXPECT_OK(outputs->await());
}

TEST_P(Processes, AChildMayReturnFromMain) {
  const Client client = value_of(Client::create(value_of(Plugin::load(file()))));
  const Buffer x = value_of(client.upload(Floats{1, 2, 3}, {3}));
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);
    std::exit(kGood);  // atexit handlers and statics' destructors run
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), kGood);
}

TEST_P(Processes, AGrandchildIsRefusedToo) {
  const Client client = value_of(Client::create(value_of(Plugin::load(file()))));
  EXPECT_EQ(in_child([&] {
              return in_child([&] {
                const auto upload = client.upload(1.0f);
                return !upload && names_fork(upload.error()) ? kGood : 1;
              });
            }),
            kGood);
}

// The end of the process, with handles that are statics of the program: made before the plugin was loaded, destroyed
// after its own statics.

struct Statics {
  std::optional<Client> client;
  std::optional<LoadedExecutable> program;
  std::optional<TransferManager> transfer;
  std::optional<Buffer> buffer;
  std::optional<Outputs> outputs;
  std::optional<Future<HostBuffer>> download;
};
Statics statics;

void make_statics(const std::string& file, bool pending) {
  statics.client = or_throw(Client::create(or_throw(Plugin::load(file))));
  statics.program = or_throw(statics.client->compile(Program::mlir(test::kDouble)));
  if (pending) {
    const std::vector<ShapeSpec> specs = {{{ElementType::F32, {3}}, {}}};
    statics.transfer =
        or_throw(statics.client->create_buffers_for_async_host_to_device(specs, statics.client->memories()[0]));
    statics.buffer = or_throw(statics.transfer->retrieve_buffer(0));
  } else {
    statics.buffer = or_throw(statics.client->upload(Floats{1, 2, 3}, {3}));
  }
  statics.outputs = or_throw((*statics.program)(*statics.buffer));
  statics.download = (*statics.outputs)[0].to_host_async();
  or_throw((*statics.outputs)[0].ready().on_ready([](const Result<void>&) {}));
}

TEST_P(Processes, EndQuietlyWithStaticHandles) {
  for (const bool pending : {false, true}) {
    const auto end = [&] {
      ::alarm(20);
      make_statics(file(), pending);
      std::exit(kGood);
    };
    EXPECT_EXIT(end(), ::testing::ExitedWithCode(kGood), "^$") << "pending: " << pending;
  }
}

// Callbacks that block.

TEST_P(Processes, CallbacksThatBlockLeaveThePluginItsThreads) {
  const Client client = value_of(Client::create(value_of(Plugin::load(file()))));
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  std::atomic<bool> go{false};
  std::atomic<int> done{0};
  std::vector<AliasBuffer> inputs;
  std::vector<Outputs> outputs;
  for (int i = 0; i < 16; ++i) {
    inputs.push_back(value_of(
        client.create_alias_buffer({ElementType::F32, {3}}, value_of(client.devices().front().default_memory()))));
    outputs.push_back(value_of(twice(inputs.back().buffer)));
    ASSERT_OK(outputs.back()[0].ready().on_ready([&](const Result<void>&) {
      while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++done;
    }));
  }
  for (AliasBuffer& input : inputs) ASSERT_OK(input.fulfillment.fulfill(value_of(client.upload(Floats{1, 2, 3}, {3}))));
  for (const Outputs& o : outputs) EXPECT_EQ(value_of(o[0].to_vector<float>()), (Floats{2, 4, 6}));
  Future<HostBuffer> later = outputs[0][0].to_host_async();
  EXPECT_OK(later.await());
  go = true;
  EXPECT_TRUE(test::becomes_true([&] { return done == 16; }));
}

TEST_P(Processes, CallbacksMayWaitForDownloads) {
  const Client client = value_of(Client::create(value_of(Plugin::load(file()))));
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  std::atomic<int> right{0};
  std::atomic<int> done{0};
  for (int i = 0; i < 50; ++i) {
    auto outputs = std::make_shared<Outputs>(value_of(twice(value_of(client.upload(Floats{1, 2, 3}, {3})))));
    ASSERT_OK((*outputs)[0].ready().on_ready([outputs, &right, &done](const Result<void>&) {
      if (or_throw(or_throw((*outputs)[0].to_host_async().await()).to_vector<float>()) == Floats{2, 4, 6}) ++right;
      ++done;
    }));
  }
  EXPECT_TRUE(test::becomes_true([&] { return done == 50; }));
  EXPECT_EQ(right, 50);
}

// Waiting in a polling loop.

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0;
  std::size_t resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_P(Processes, PollingAnEventCostsNoMemory) {
  const Client client = value_of(Client::create(value_of(Plugin::load(file()))));
  AliasBuffer alias = value_of(
      client.create_alias_buffer({ElementType::F32, {3}}, value_of(client.devices().front().default_memory())));
  const Event ready = alias.buffer.ready();
  const auto poll = [&](int times) {
    for (int i = 0; i < times; ++i) EXPECT_FALSE(ready.await_for(std::chrono::nanoseconds(i % 2)));
  };
  poll(1000);
  const std::size_t before = resident_bytes();
  poll(40000);
  EXPECT_LT(resident_bytes(), before + (std::size_t{1} << 20));  // 250 bytes a call would be 10 MB
  ASSERT_OK(alias.fulfillment.fulfill(value_of(client.upload(Floats{1, 2, 3}, {3}))));
  EXPECT_OK(*ready.await_for(std::chrono::seconds(10)));
}

}  // namespace
}  // namespace pjrt
