// Handles destroyed in every order, at rest and while the plugin is at work.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
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

/// Enough work that a run is not over when its launch returns: x doubled and halved a hundred times.
constexpr const char* kSlow = R"(
module @slow {
  func.func public @main(%x: tensor<65536xf32>) -> tensor<65536xf32> {
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %one = stablehlo.constant dense<1> : tensor<i32>
    %n = stablehlo.constant dense<100> : tensor<i32>
    %two = stablehlo.constant dense<2.0> : tensor<65536xf32>
    %r:2 = stablehlo.while(%i = %zero, %v = %x) : tensor<i32>, tensor<65536xf32>
      cond {
        %c = stablehlo.compare LT, %i, %n : (tensor<i32>, tensor<i32>) -> tensor<i1>
        stablehlo.return %c : tensor<i1>
      } do {
        %j = stablehlo.add %i, %one : tensor<i32>
        %w = stablehlo.multiply %v, %two : tensor<65536xf32>
        %u = stablehlo.divide %w, %two : tensor<65536xf32>
        stablehlo.return %j, %u : tensor<i32>, tensor<65536xf32>
      }
    return %r#1 : tensor<65536xf32>
  }
})";

class Destruction : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Client make_client() const { return test::make_client(plugin, 2); }
  std::int64_t calls(const char* function) const { return test::calls_of(GetParam(), function); }

  Plugin plugin = test::counted_plugin(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Matrix, Destruction, ::testing::ValuesIn(test::kCpuVersions));

/// One of each handle, to be dropped one by one.
struct Handles {
  std::optional<Client> client;
  std::optional<LoadedExecutable> program;
  std::optional<Executable> view;
  std::optional<Buffer> argument;
  std::optional<Outputs> outputs;
  std::optional<Event> event;
  std::optional<ExternalReference> reference;

  explicit Handles(Client c) : client(std::move(c)) {
    program = value_of(client->compile(Program::mlir(test::kDouble)));
    view = program->executable();
    argument = value_of(client->upload(Floats{1, 2, 3}, {3}));
    outputs = value_of((*program)(*argument));
    event = (*outputs)[0].ready();
    reference = value_of(argument->external_reference());
  }

  /// What is left works as before.
  void use() const {
    if (view) {
      EXPECT_OK(view->name());
    }
    if (argument) {
      EXPECT_EQ(value_of(argument->to_vector<float>()), (Floats{1, 2, 3}));
    }
    if (outputs) {
      EXPECT_EQ(value_of((*outputs)[0].to_vector<float>()), (Floats{2, 4, 6}));
    }
    if (program && argument) {
      EXPECT_OK((*program)(*argument));
    }
    if (event) {
      EXPECT_OK(event->await());
    }
    if (reference) {
      EXPECT_OK(reference->device_pointer());
    }
  }

  void drop(int which) {
    switch (which) {
      case 0:
        client.reset();
        break;
      case 1:
        program.reset();
        break;
      case 2:
        view.reset();
        break;
      case 3:
        argument.reset();
        break;
      case 4:
        outputs.reset();
        break;
      case 5:
        event.reset();
        break;
      case 6:
        reference.reset();
        break;
    }
  }
};

TEST_P(Destruction, LeavesWhatIsLeftUsableInEveryOrder) {
  std::vector<int> order{0, 1, 2, 3, 4, 5, 6};
  int round = 0;
  do {
    if (round++ % 84 != 0) continue;  // 60 of 5040
    Handles handles(make_client());
    for (const int which : order) {
      handles.drop(which);
      handles.use();
    }
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(calls("PJRT_Client_Destroy"), 60);
  EXPECT_EQ(calls("PJRT_LoadedExecutable_Destroy"), 60);
}

TEST_P(Destruction, OfTheClientWaitsForTheLastOfItsHandles) {
  std::optional<Client> client = make_client();
  std::optional<Device> device = client->devices()[1];
  client.reset();
  EXPECT_EQ(calls("PJRT_Client_Destroy"), 0);
  EXPECT_EQ(value_of(device->default_memory()).devices().front(), *device);
  device.reset();
  EXPECT_EQ(calls("PJRT_Client_Destroy"), 1);
}

TEST_P(Destruction, OfEverythingMayComeWhileARunIsUnderWay) {
  for (int i = 0; i < 10; ++i) {
    std::optional<Client> client = make_client();
    std::optional<LoadedExecutable> slow = value_of(client->compile(Program::mlir(kSlow)));
    std::optional<Buffer> x = value_of(client->upload(Floats(1 << 16, 3), {1 << 16}));
    std::optional<Outputs> outputs = value_of((*slow)(*x));
    x.reset();
    slow.reset();
    client.reset();
    if (i % 2 == 0) {
      EXPECT_EQ(value_of((*outputs)[0].to_vector<float>()), Floats(1 << 16, 3));
    }
    outputs.reset();
  }
  EXPECT_EQ(calls("PJRT_Client_Destroy"), 10);
}

TEST_P(Destruction, OfEverythingMayComeWhileCopiesAreUnderWay) {
  for (int i = 0; i < 30; ++i) {
    std::optional<Client> client = make_client();
    std::optional<Buffer> x = value_of(client->upload(Floats(1 << 18, 3), {1 << 18}));
    std::optional<Buffer> copy = value_of(x->copy_to_device(client->devices()[1]));
    client.reset();
    x.reset();
    copy.reset();
  }
}

TEST_P(Destruction, OfEverythingMayComeWhileDownloadsAreUnderWay) {
  for (int i = 0; i < 30; ++i) {
    std::optional<Client> client = make_client();
    std::optional<Buffer> x = value_of(client->upload(Floats(1 << 18, 3), {1 << 18}));
    std::optional<Future<HostBuffer>> download = x->to_host_async();
    x.reset();
    client.reset();
    if (i % 2 == 0) {
      EXPECT_EQ(value_of(value_of(download->await()).to_vector<float>()), Floats(1 << 18, 3));
    }
    download.reset();
  }
}

TEST_P(Destruction, OfEverythingMayComeWhileRawCopiesAreUnderWay) {
  const auto out = std::make_shared<std::vector<std::byte>>(1 << 20);
  for (int i = 0; i < 30; ++i) {
    std::optional<Client> client = make_client();
    std::optional<Buffer> x = value_of(client->upload(Floats(1 << 18, 3), {1 << 18}));
    std::optional<Event> copied = x->copy_raw_to_host(*out);
    ASSERT_OK(copied->on_ready([out](const Result<void>&) {}));  // written to until then
    x.reset();
    client.reset();
    copied.reset();
  }
}

TEST_P(Destruction, OfEverythingMayComeWhileUploadsAreUnderWay) {
  for (int i = 0; i < 30; ++i) {
    std::optional<Client> client = make_client();
    std::optional<Future<Buffer>> upload =
        client->upload_async(value_of(HostBuffer::zeros(Shape{ElementType::F32, {1 << 18}})));
    client.reset();
    upload.reset();
  }
}

TEST_P(Destruction, OfTheLastHandleMayComeInACallback) {  // destroying the client there would wait for its own thread
  for (int i = 0; i < 10; ++i) {
    std::optional<Client> client = make_client();
    const LoadedExecutable slow = value_of(client->compile(Program::mlir(kSlow)));
    auto outputs = std::make_shared<std::optional<Outputs>>(
        value_of(slow(value_of(client->upload(Floats(1 << 16, 3), {1 << 16})))));
    const Event ready = (**outputs)[0].ready();
    ASSERT_OK(ready.on_ready([outputs](const Result<void>&) { outputs->reset(); }));
    outputs.reset();
    client.reset();
  }
  while (calls("PJRT_Client_Destroy") < 10) std::this_thread::yield();
  EXPECT_EQ(calls("PJRT_Client_Destroy"), 10);
}

TEST_P(Destruction, OfOneClientLeavesAnotherAlone) {
  const Client stays = make_client();
  const Buffer x = value_of(stays.upload(Floats{1, 2, 3}, {3}));
  {
    const Handles others(make_client());
  }
  EXPECT_EQ(calls("PJRT_Client_Destroy"), 1);
  EXPECT_EQ(value_of(x.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Destruction, LeavesNothingBehind) {  // as many destroyed as made
  for (int i = 0; i < 20; ++i) {
    const Handles handles(make_client());
  }
  EXPECT_EQ(calls("PJRT_Client_Destroy"), calls("PJRT_Client_Create"));
  EXPECT_EQ(calls("PJRT_LoadedExecutable_Destroy"), calls("PJRT_Client_Compile"));
  EXPECT_EQ(calls("PJRT_Executable_Destroy"), calls("PJRT_LoadedExecutable_GetExecutable"));
  EXPECT_EQ(calls("PJRT_Buffer_Destroy"),
            calls("PJRT_Client_BufferFromHostBuffer") + calls("PJRT_LoadedExecutable_Execute"));
  EXPECT_EQ(calls("PJRT_Event_Destroy"), calls("PJRT_Client_BufferFromHostBuffer") + calls("PJRT_Buffer_ReadyEvent"));
}

}  // namespace
}  // namespace pjrt
