// Buffers over device memory that somebody else owns, and when the owner gets it back.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/eventually.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::becomes_true;
using test::value_of;
using Floats = std::vector<float>;

const Shape kThree{ElementType::F32, {3}};

/// Three floats, 1 2 3, and how often their owner was told that they are free.
struct Lent {
  alignas(64) float values[16] = {1, 2, 3};
  std::atomic<int> given_back = 0;

  std::function<void()> on_delete() {
    return [this] { ++given_back; };
  }
};

class DeviceMemoryViews : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Buffer view(Lent& lent, const UploadOptions& options = {}) const {
    return value_of(client.create_view_of_device_buffer(lent.values, kThree, options, lent.on_delete()));
  }
  std::int64_t views_made() const { return test::calls_of(GetParam(), "PJRT_Client_CreateViewOfDeviceBuffer"); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
};

INSTANTIATE_TEST_SUITE_P(Matrix, DeviceMemoryViews, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(DeviceMemoryViews, SeeTheMemoryItself) {
  Lent lent;
  const Buffer buffer = view(lent);
  EXPECT_EQ(buffer.shape(), kThree);
  EXPECT_OK(buffer.ready().await());
  EXPECT_EQ(value_of(buffer.unsafe_pointer()), reinterpret_cast<std::uintptr_t>(lent.values));
  EXPECT_EQ(value_of(buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(DeviceMemoryViews, SeeAnotherBuffersMemoryAsAnotherType) {  // 1.0f is 0x3f800000, -2.0f 0xc0000000
  const Buffer source = value_of(client.upload(Floats{1, -2}, {2}));
  const ExternalReference reference = value_of(source.external_reference());
  const Buffer bits =
      value_of(client.create_view_of_device_buffer(value_of(reference.device_pointer()), {ElementType::U32, {2}}, {}));
  EXPECT_EQ(value_of(bits.to_vector<std::uint32_t>()), (std::vector<std::uint32_t>{0x3f800000, 0xc0000000}));
}

TEST_P(DeviceMemoryViews, GoWhereTheyAreToldTo) {
  Lent lent;
  const Device second = client.devices()[1];
  EXPECT_EQ(view(lent).device(), client.devices()[0]);
  EXPECT_EQ(view(lent, {second, {}, {}}).device(), second);
  const Memory memory = value_of(second.default_memory());
  EXPECT_EQ(value_of(view(lent, {{}, memory, {}}).memory()), memory);
}

TEST_P(DeviceMemoryViews, CanBeArguments) {
  Lent lent;
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  EXPECT_EQ(value_of(value_of(twice(view(lent)))[0].to_vector<float>()), (Floats{2, 4, 6}));
  EXPECT_TRUE(becomes_true([&] { return lent.given_back == 1; }));
}

TEST_P(DeviceMemoryViews, AreCopiedWhenDonated) {
  Lent lent;
  const LoadedExecutable add_to = value_of(client.compile(Program::mlir(test::kAddTo)));
  const Buffer buffer = view(lent);
  const Outputs outputs = value_of(add_to(buffer, value_of(client.upload(Floats{10, 20, 30}, {3}))));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (Floats{11, 22, 33}));
  EXPECT_TRUE(buffer.is_deleted());
  EXPECT_EQ(Floats(lent.values, lent.values + 3), (Floats{1, 2, 3}));
  EXPECT_TRUE(becomes_true([&] { return lent.given_back == 1; }));
}

TEST_P(DeviceMemoryViews, AreOverwrittenWhenDonatedThroughAnAlias) {
  Lent lent;
  const LoadedExecutable add_to = value_of(client.compile(Program::mlir(test::kAddTo)));
  Buffer buffer = view(lent);
  AliasBuffer alias = value_of(client.create_alias_buffer(kThree, value_of(buffer.memory())));
  ASSERT_OK(alias.fulfillment.fulfill(std::move(buffer)));
  std::optional<Outputs> outputs = value_of(add_to(alias.buffer, value_of(client.upload(Floats{10, 20, 30}, {3}))));
  EXPECT_EQ(value_of((*outputs)[0].to_vector<float>()), (Floats{11, 22, 33}));
  EXPECT_EQ(Floats(lent.values, lent.values + 3), (Floats{11, 22, 33}));
  EXPECT_EQ(lent.given_back, 0);  // the output lies there
  outputs.reset();
  EXPECT_TRUE(becomes_true([&] { return lent.given_back == 1; }));
}

TEST_P(DeviceMemoryViews, OfNothingAreFine) {
  std::atomic<int> given_back = 0;
  {
    const Buffer buffer =
        value_of(client.create_view_of_device_buffer(nullptr, {ElementType::F32, {0, 2}}, {}, [&] { ++given_back; }));
    EXPECT_EQ(value_of(buffer.to_vector<float>()), Floats{});
  }
  EXPECT_TRUE(becomes_true([&] { return given_back == 1; }));
}

// Giving it back.

TEST_P(DeviceMemoryViews, GiveTheMemoryBackWhenTheyDie) {
  Lent lent;
  std::optional<Buffer> buffer = view(lent);
  EXPECT_EQ(lent.given_back, 0);
  buffer.reset();
  EXPECT_EQ(lent.given_back, 1);
}

TEST_P(DeviceMemoryViews, GiveTheMemoryBackWhenTheyAreDeleted) {
  Lent lent;
  {
    Buffer buffer = view(lent);
    EXPECT_OK(buffer.delete_now());
    EXPECT_EQ(lent.given_back, 1);
  }
  EXPECT_EQ(lent.given_back, 1);
}

TEST_P(DeviceMemoryViews, KeepTheMemoryForAnExternalReference) {
  Lent lent;
  std::optional<Buffer> buffer = view(lent);
  std::optional<ExternalReference> reference = value_of(buffer->external_reference());
  ASSERT_OK(buffer->delete_now());
  buffer.reset();
  EXPECT_EQ(lent.given_back, 0);
  reference.reset();
  EXPECT_EQ(lent.given_back, 1);
}

TEST_P(DeviceMemoryViews, NeedNobodyToGiveTheMemoryBackTo) {  // plugins abort without a callback
  Lent lent;
  std::optional<Buffer> buffer = value_of(client.create_view_of_device_buffer(lent.values, kThree, {}));
  EXPECT_EQ(value_of(buffer->to_vector<float>()), (Floats{1, 2, 3}));
  buffer.reset();
}

TEST_P(DeviceMemoryViews, OwnersMayDropTheLastHandleOfTheClient) {
  auto only = std::make_shared<std::optional<Client>>(test::make_client(test::counted_plugin(GetParam())));
  Lent lent;
  std::optional<Buffer> buffer =
      value_of((*only)->create_view_of_device_buffer(lent.values, kThree, {}, [only] { only->reset(); }));
  buffer.reset();
  EXPECT_TRUE(becomes_true([&] { return test::calls_of(GetParam(), "PJRT_Client_Destroy") == 1; }));
}

TEST_P(DeviceMemoryViews, OwnersMayThrow) {
  static int reported;
  reported = 0;
  const CallbackExceptionHandler before = on_callback_exception([](const char*) noexcept { ++reported; });
  Lent lent;
  std::optional<Buffer> buffer = value_of(
      client.create_view_of_device_buffer(lent.values, kThree, {}, [] { throw std::runtime_error("not now"); }));
  buffer.reset();
  EXPECT_EQ(reported, 1);
  on_callback_exception(before);
}

// Failing; the memory is given back all the same, once.

TEST_P(DeviceMemoryViews, NeedAlignedMemory) {
  Lent lent;
  EXPECT_ERROR(client.create_view_of_device_buffer(lent.values + 1, kThree, {}, lent.on_delete()), InvalidArgument, "");
  EXPECT_EQ(lent.given_back, 1);
}

TEST_P(DeviceMemoryViews, HaveNoStreamOnCpuPlugins) {  // 0.115 aborts, or calls the owner before it refuses
  Lent lent;
  EXPECT_ERROR(client.create_view_of_device_buffer(lent.values, kThree, {}, lent.on_delete(), 1), Unimplemented,
               "CPU plugins have no streams");
  EXPECT_EQ(lent.given_back, 1);
  EXPECT_EQ(views_made(), 0);
}

TEST_P(DeviceMemoryViews, OfNullAreRefusedByUs) {
  Lent lent;
  EXPECT_ERROR(client.create_view_of_device_buffer(nullptr, kThree, {}, lent.on_delete()), InvalidArgument,
               "the address of the device memory for f32[3] is null");
  EXPECT_EQ(lent.given_back, 1);
  EXPECT_EQ(views_made(), 0);
}

TEST_P(DeviceMemoryViews, OfShapesThatPluginsAbortOnAreRefusedByUs) {
  Lent lent;
  for (const Shape& shape :
       {Shape{ElementType::Invalid, {2}}, Shape{ElementType::Token, {}}, Shape{ElementType::F32, {-1}}}) {
    EXPECT_ERROR(client.create_view_of_device_buffer(lent.values, shape, {}, lent.on_delete()), InvalidArgument, "");
  }
  EXPECT_EQ(lent.given_back, 3);
  EXPECT_EQ(views_made(), 0);
}

TEST_P(DeviceMemoryViews, InPlacesOfAnotherClientAreRefusedByUs) {
  const Client other = test::make_client(test::counted_plugin(GetParam()));
  Lent lent;
  EXPECT_ERROR(client.create_view_of_device_buffer(lent.values, kThree, {other.devices()[0], {}, {}}, lent.on_delete()),
               InvalidArgument, "belongs to another client");
  EXPECT_EQ(lent.given_back, 1);
}

TEST_P(DeviceMemoryViews, ThatCannotBeMadeGiveTheMemoryBack) {
  Lent lent;
  test::fail_call(1);
  EXPECT_ERROR(client.create_view_of_device_buffer(lent.values, kThree, {}, lent.on_delete()), Internal, "injected");
  test::fail_call(0);
  EXPECT_EQ(lent.given_back, 1);
}

}  // namespace
}  // namespace pjrt
