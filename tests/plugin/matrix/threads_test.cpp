// What several threads may do at once with the same client, program and buffers. Meant to be run under ThreadSanitizer
// too.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

constexpr int kThreads = 4;
constexpr int kRounds = 50;

class Threads : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  /// Runs `work(thread)` on each thread and waits.
  static void each(const std::function<void(int)>& work) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
    for (std::thread& thread : threads) thread.join();
  }
  Buffer three() const { return value_of(client.upload(Floats{1, 2, 3}, {3})); }

  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, Threads, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Threads, RunOneProgramOnOneArgument) {
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  const Buffer x = three();
  each([&](int) {
    for (int i = 0; i < kRounds; ++i) {
      EXPECT_EQ(value_of(value_of(twice(x))[0].to_vector<float>()), (Floats{2, 4, 6}));
    }
  });
}

TEST_P(Threads, RunOneProgramForTheFirstTime) {  // its parameters are read then
  for (int round = 0; round < 5; ++round) {
    const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
    const Buffer x = three();
    each([&](int) {
      EXPECT_EQ(value_of(twice.parameters()).size(), 1u);
      EXPECT_EQ(value_of(value_of(twice(x))[0].to_vector<float>()), (Floats{2, 4, 6}));
    });
  }
}

TEST_P(Threads, CompileUploadAndRunOfTheirOwn) {
  each([&](int t) {
    for (int i = 0; i < 3; ++i) {
      const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
      const Buffer x = value_of(client.upload(Floats(3, static_cast<float>(t)), {3}));
      EXPECT_EQ(value_of(value_of(twice(x))[0].to_vector<float>()), Floats(3, static_cast<float>(2 * t)));
    }
  });
}

TEST_P(Threads, HaveClientsOfTheirOwn) {
  each([&](int) {
    const Client own = test::make_client(client.plugin());
    const Buffer x = value_of(own.upload(Floats{1, 2, 3}, {3}));
    EXPECT_EQ(value_of(x.to_vector<float>()), (Floats{1, 2, 3}));
  });
}

TEST_P(Threads, DownloadOneBuffer) {
  const Buffer x = three();
  each([&](int t) {
    for (int i = 0; i < kRounds; ++i) {
      if (t % 2 == 0) {
        EXPECT_EQ(value_of(x.to_vector<float>()), (Floats{1, 2, 3}));
      } else {
        Future<HostBuffer> host = x.to_host_async();
        EXPECT_EQ(value_of(value_of(host.await()).to_vector<float>()), (Floats{1, 2, 3}));
      }
    }
  });
}

TEST_P(Threads, AskOneBufferForEverything) {
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  for (int round = 0; round < 10; ++round) {
    Outputs outputs = value_of(twice(three()));
    const Buffer& x = outputs[0];
    each([&](int) {
      EXPECT_EQ(value_of(x.layout()), MemoryLayout(Layout::row_major(1)));
      EXPECT_EQ(value_of(x.on_device_size()), 12u);
      EXPECT_OK(x.memory());
      EXPECT_OK(x.ready().await());
      EXPECT_FALSE(x.is_deleted());
      const DeviceSpan<float> view = value_of(x.host_view<float>());
      EXPECT_EQ(view[2], 6);
    });
  }
}

TEST_P(Threads, DeleteABufferThatOthersUse) {  // each use gives the numbers or says that it is gone
  for (int round = 0; round < 20; ++round) {
    const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
    Buffer x = three();
    each([&](int t) {
      if (t == 0) {
        EXPECT_OK(x.delete_now());
      } else if (t == 1) {
        const Result<Floats> values = x.to_vector<float>();
        EXPECT_TRUE(!values || *values == (Floats{1, 2, 3}));
      } else if (const Result<Outputs> outputs = twice(x)) {
        const Result<Floats> values = (*outputs)[0].to_vector<float>();
        EXPECT_TRUE(!values || *values == (Floats{2, 4, 6}));
      }
    });
    EXPECT_TRUE(x.is_deleted());
  }
}

TEST_P(Threads, DonateOneBufferOnlyOnce) {
  const LoadedExecutable add_to = value_of(client.compile(Program::mlir(test::kAddTo)));
  const Buffer b = three();
  for (int round = 0; round < kRounds; ++round) {
    const Buffer a = three();
    std::atomic<int> sums{0};
    each([&](int) {
      const Result<Outputs> outputs = add_to(a, b);
      if (!outputs) return;
      const Result<Floats> values = (*outputs)[0].to_vector<float>();
      if (values && *values == (Floats{2, 4, 6})) ++sums;
    });
    EXPECT_EQ(sums, 1);
    EXPECT_TRUE(a.is_deleted());
  }
}

TEST_P(Threads, BitcastOneBufferOnlyOnce) {
  if (GetParam() == "cpu-0.81") GTEST_SKIP() << "no bitcast";
  for (int round = 0; round < kRounds; ++round) {
    Buffer a = three();
    std::atomic<int> casts{0};
    each([&](int) {
      if (std::move(a).bitcast(Shape{ElementType::S32, {3}})) ++casts;
    });
    EXPECT_EQ(casts, 1);
  }
}

TEST_P(Threads, ReferToABufferThatIsTakenAway) {  // a reference keeps it, or it is gone
  if (GetParam() == "cpu-0.81") GTEST_SKIP() << "no bitcast";
  for (int round = 0; round < kRounds; ++round) {
    Buffer a = three();
    each([&](int t) {
      if (t == 0) {
        (void)std::move(a).bitcast(Shape{ElementType::S32, {3}});
      } else if (const Result<ExternalReference> reference = a.external_reference()) {
        EXPECT_EQ(*static_cast<const float*>(value_of(reference->device_pointer())), 1);
      }
    });
  }
}

TEST_P(Threads, DestroyTheHandlesOfOthers) {
  for (int round = 0; round < kRounds; ++round) {
    struct Shared {
      std::mutex mutex;
      std::vector<std::shared_ptr<void>> handles;
    } shared;
    {
      const Client own = test::make_client(client.plugin());
      auto program = std::make_shared<LoadedExecutable>(value_of(own.compile(Program::mlir(test::kDouble))));
      auto x = std::make_shared<Buffer>(value_of(own.upload(Floats{1, 2, 3}, {3})));
      auto outputs = std::make_shared<Outputs>(value_of((*program)(*x)));
      auto event = std::make_shared<Event>((*outputs)[0].ready());
      auto download = std::make_shared<Future<HostBuffer>>((*outputs)[0].to_host_async());
      shared.handles = {program, x, outputs, event, download, std::make_shared<Client>(own)};
    }
    each([&](int t) {
      for (;;) {
        std::shared_ptr<void> taken;
        {
          const std::lock_guard lock(shared.mutex);
          if (shared.handles.empty()) return;
          const auto at = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(t + round) % shared.handles.size());
          taken = std::move(shared.handles[static_cast<std::size_t>(at)]);
          shared.handles.erase(shared.handles.begin() + at);
        }
        taken.reset();
      }
    });
  }
  while (test::calls_of(GetParam(), "PJRT_Client_Destroy") < kRounds) std::this_thread::yield();
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_Destroy"), kRounds);
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_LoadedExecutable_Destroy"), kRounds);
}

TEST_P(Threads, WaitForWhatAnotherBrings) {
  for (int round = 0; round < 20; ++round) {
    AliasBuffer alias = value_of(
        client.create_alias_buffer(Shape{ElementType::F32, {3}}, value_of(client.devices().front().default_memory())));
    each([&](int t) {
      if (t == 0) {
        EXPECT_OK(alias.fulfillment.fulfill(three()));
      } else {
        EXPECT_EQ(value_of(alias.buffer.to_vector<float>()), (Floats{1, 2, 3}));
      }
    });
  }
}

TEST_P(Threads, PrepareExecutionsOfTheirOwn) {
  const LoadedExecutable add = value_of(client.compile(Program::mlir(test::kAdd)));
  const Buffer b = three();
  each([&](int) {
    PreparedExecution sum = value_of(add.prepare(three(), b));
    for (int i = 0; i < kRounds; ++i) {
      ASSERT_OK(sum.run());
      ASSERT_OK(sum.feed_back(0, 0));
    }
    ASSERT_OK(sum.run());
    EXPECT_EQ(value_of(sum.output(0).to_vector<float>()), (Floats{kRounds + 2, 2 * (kRounds + 2), 3 * (kRounds + 2)}));
  });
}

TEST_P(Threads, DeleteAProgramThatOthersRun) {
  for (int round = 0; round < 5; ++round) {
    LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
    const Buffer x = three();
    each([&](int t) {
      for (int i = 0; i < kRounds; ++i) {
        if (t == 0 && i == kRounds / 2) {
          EXPECT_OK(twice.delete_now());
          continue;
        }
        if (const Result<Outputs> outputs = twice(x)) {
          EXPECT_EQ(value_of((*outputs)[0].to_vector<float>()), (Floats{2, 4, 6}));
        } else {
          EXPECT_ERROR(outputs, FailedPrecondition, "it was deleted");
        }
      }
    });
  }
}

}  // namespace
}  // namespace pjrt
