// Buffers that are made without host data: uninitialized ones, and ones that are in error from the start.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

class CreatedBuffers : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  bool has(Version version) const { return client.plugin().api_version() >= version; }
  std::int64_t calls_of(const std::string& function) const { return test::calls_of(GetParam(), function); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
  Memory memory = client.memories()[0];
};

class UninitializedBuffers : public CreatedBuffers {};
class ErrorBuffers : public CreatedBuffers {
 protected:
  void SetUp() override {
    CreatedBuffers::SetUp();
    if (!IsSkipped() && !has({0, 82})) GTEST_SKIP() << "error buffers need API 0.82";
  }
  Buffer in_error(const Shape& shape = {ElementType::F32, {3}}) const {
    return value_of(client.create_error_buffer(error, shape, memory));
  }
  Error error{ErrorCode::DataLoss, "the sensor is broken"};
};

INSTANTIATE_TEST_SUITE_P(Matrix, UninitializedBuffers, ::testing::ValuesIn(test::kCpuVersions));
INSTANTIATE_TEST_SUITE_P(Matrix, ErrorBuffers, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(UninitializedBuffers, HaveTheShapeAskedForAndAreReady) {
  const Buffer buffer = value_of(client.create_uninitialized_buffer({ElementType::F32, {2, 3}}));
  EXPECT_EQ(buffer.shape(), (Shape{ElementType::F32, {2, 3}}));
  EXPECT_OK(buffer.ready().await());
  EXPECT_EQ(value_of(buffer.on_device_size()), 24u);
  EXPECT_EQ(value_of(buffer.to_vector<float>()).size(), 6u);
}

TEST_P(UninitializedBuffers, LieRowMajor) {
  const Buffer buffer = value_of(client.create_uninitialized_buffer({ElementType::F32, {2, 3}}));
  EXPECT_EQ(value_of(buffer.layout()), MemoryLayout(Layout::row_major(2)));
}

TEST_P(UninitializedBuffers, GoWhereTheyAreToldTo) {  // plugins crash when told neither device nor memory
  const Device second = client.addressable_devices()[1];
  EXPECT_EQ(value_of(client.create_uninitialized_buffer({ElementType::U8, {4}})).device(), client.devices()[0]);
  EXPECT_EQ(value_of(client.create_uninitialized_buffer({ElementType::U8, {4}}, {second, {}, {}})).device(), second);
  for (const Memory m : second.memories()) {
    const Buffer buffer = value_of(client.create_uninitialized_buffer({ElementType::U8, {4}}, {{}, m, {}}));
    EXPECT_EQ(value_of(buffer.memory()), m);
    EXPECT_EQ(buffer.device(), second);
  }
}

TEST_P(UninitializedBuffers, GoToTheMemoryIfBothAreGiven) {  // left alone, plugins would look at the device only
  const Device second = client.addressable_devices()[1];
  const Memory pinned = value_of(second.memory("pinned_host"));
  const Buffer buffer = value_of(client.create_uninitialized_buffer({ElementType::U8, {4}}, {second, pinned, {}}));
  EXPECT_EQ(value_of(buffer.memory()), pinned);
  EXPECT_ERROR(client.create_uninitialized_buffer({ElementType::U8, {4}}, {client.devices()[0], pinned, {}}),
               InvalidArgument, "cannot address memory");
}

TEST_P(UninitializedBuffers, MayHaveEveryRankAndNoElements) {
  for (const Dimensions& dims : {Dimensions{}, Dimensions{0}, Dimensions{2, 0, 3}, Dimensions{1, 2, 1, 2, 1, 2, 1}}) {
    SCOPED_TRACE(to_string(dims));
    const Buffer buffer = value_of(client.create_uninitialized_buffer({ElementType::S16, dims}));
    EXPECT_EQ(value_of(buffer.to_host()).dims(), dims);
  }
}

TEST_P(UninitializedBuffers, PackElementsNarrowerThanAByte) {
  const Buffer buffer = value_of(client.create_uninitialized_buffer({ElementType::U4, {5}}));
  EXPECT_EQ(value_of(buffer.on_device_size()), 3u);
}

TEST_P(UninitializedBuffers, OtherOrdersAreHonouredOrRefused) {  // older plugins record them and garble the array
  const Result<Buffer> buffer =
      client.create_uninitialized_buffer({ElementType::F32, {2, 3}}, {{}, {}, Layout::column_major(2)});
  if (GetParam() == "cpu") {
    ASSERT_OK(buffer);
    EXPECT_EQ(buffer->layout().value(), MemoryLayout(Layout::column_major(2)));
  } else {
    EXPECT_ERROR(buffer, Unimplemented, "does not honour layouts other than row-major");
  }
}

TEST_P(UninitializedBuffers, ShapesThatPluginsAbortOnAreRefusedByUs) {
  EXPECT_ERROR(client.create_uninitialized_buffer({ElementType::Invalid, {2}}), InvalidArgument,
               "cannot have elements");
  EXPECT_ERROR(client.create_uninitialized_buffer({ElementType::Token, {}}), InvalidArgument, "cannot have elements");
  EXPECT_ERROR(client.create_uninitialized_buffer({ElementType::F32, {-1}}), InvalidArgument, "no array has the shape");
  EXPECT_ERROR(client.create_uninitialized_buffer({ElementType::F32, {2}}, {{}, {}, Layout::row_major(3)}),
               InvalidArgument, "for an array of shape f32[2]");
  EXPECT_ERROR(client.create_uninitialized_buffer({ElementType::F32, {2}}, {{}, {}, Strides{{4}}}), InvalidArgument,
               "not strides");
  EXPECT_EQ(calls_of("PJRT_Client_CreateUninitializedBuffer"), 0);
}

TEST_P(UninitializedBuffers, MoreThanTheMachineHasIsAnErrorAndNotTheEnd) {
  const Result<Buffer> buffer = client.create_uninitialized_buffer({ElementType::F32, {std::int64_t{1} << 48}});
  if (buffer) {
    EXPECT_ERROR(buffer->ready().await(), ResourceExhausted, "");
  } else {
    EXPECT_ERROR(buffer, ResourceExhausted, "");
  }
}

TEST_P(UninitializedBuffers, CanBeArguments) {
  const Buffer buffer = value_of(client.create_uninitialized_buffer({ElementType::F32, {3}}));
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  EXPECT_OK(value_of(twice(buffer)).await());
}

// In error.

TEST_P(ErrorBuffers, FailWithTheirErrorWhenTheyAreRead) {
  const Buffer buffer = in_error();
  EXPECT_ERROR(buffer.to_vector<float>(), DataLoss, "the sensor is broken");
  EXPECT_ERROR(buffer.to_host_async().await(), DataLoss, "the sensor is broken");
  std::vector<std::byte> bytes(12);
  EXPECT_ERROR(buffer.copy_raw_to_host(bytes).await(), DataLoss, "the sensor is broken");
  EXPECT_ERROR(buffer.host_view<float>(), DataLoss, "the sensor is broken");
}

TEST_P(ErrorBuffers, AreReadyWithTheirError) {
  EXPECT_ERROR(in_error().ready().await(), DataLoss, "the sensor is broken");
}

TEST_P(ErrorBuffers, KnowTheirShapeAndPlaceAllTheSame) {
  const Buffer buffer = in_error({ElementType::S32, {2, 0, 5}});
  EXPECT_EQ(buffer.shape(), (Shape{ElementType::S32, {2, 0, 5}}));
  EXPECT_EQ(value_of(buffer.memory()), memory);
  EXPECT_EQ(buffer.device(), client.devices()[0]);
  EXPECT_FALSE(buffer.is_deleted());
}

TEST_P(ErrorBuffers, KeepEveryCode) {
  for (int code = 1; code <= 16; ++code) {
    const Error as_given(static_cast<ErrorCode>(code), "reason " + std::to_string(code));
    const Buffer buffer = value_of(client.create_error_buffer(as_given, {ElementType::F32, {1}}, memory));
    const Result<void> outcome = buffer.ready().await();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code(), as_given.code());
  }
}

TEST_P(ErrorBuffers, CannotBeMadeOfSuccess) {  // 0.106 would abort
  const Error ok(ErrorCode::Ok, "fine");
  const Buffer buffer = value_of(client.create_error_buffer(ok, {ElementType::F32, {1}}, memory));
  EXPECT_ERROR(buffer.ready().await(), Unknown, "fine");
}

TEST_P(ErrorBuffers, KeepPayloads) {
  const std::string binary("\0\xff\x01", 3);
  const Error with_payloads = Error(error).with_payloads({{"type.example/a", binary}, {"type.example/b", ""}});
  const Result<Buffer> buffer = client.create_error_buffer(with_payloads, {ElementType::F32, {1}}, memory);
  if (!has({0, 103})) {
    EXPECT_ERROR(buffer, Unimplemented, "payload");
    return;
  }
  ASSERT_OK(buffer);
  const Result<void> outcome = buffer->ready().await();
  ASSERT_FALSE(outcome);
  EXPECT_THAT(
      std::vector(outcome.error().payloads().begin(), outcome.error().payloads().end()),
      ::testing::UnorderedElementsAre(ErrorPayload{"type.example/a", binary}, ErrorPayload{"type.example/b", ""}));
}

TEST_P(ErrorBuffers, MessagesMayBeOfAnyLength) {
  for (const std::string& message : {std::string(), std::string(100000, 'x')}) {
    const Buffer buffer =
        value_of(client.create_error_buffer(Error(ErrorCode::Aborted, message), {ElementType::F32, {1}}, memory));
    EXPECT_ERROR(buffer.ready().await(), Aborted, message);
  }
}

TEST_P(ErrorBuffers, FailWhatIsComputedOfThem) {
  const LoadedExecutable twice = value_of(client.compile(Program::mlir(test::kDouble)));
  Result<Outputs> outputs = twice(in_error());
  const Result<void> outcome = outputs ? outputs->await() : std::unexpected(outputs.error());
  ASSERT_FALSE(outcome);
  EXPECT_NE(to_string(outcome.error()).find("the sensor is broken"), std::string::npos) << outcome.error();
}

TEST_P(ErrorBuffers, FailTheirCopies) {
  const Buffer buffer = in_error();
  const Result<Buffer> copy = buffer.copy_to_device(client.devices()[1]);
  const Result<void> outcome = copy ? copy->ready().await() : std::unexpected(copy.error());
  ASSERT_FALSE(outcome);
  EXPECT_NE(to_string(outcome.error()).find("the sensor is broken"), std::string::npos) << outcome.error();
}

TEST_P(ErrorBuffers, CanBeDeleted) {
  Buffer buffer = in_error();
  EXPECT_OK(buffer.delete_now());
  EXPECT_TRUE(buffer.is_deleted());
  EXPECT_ERROR(buffer.to_host(), FailedPrecondition, "");
}

TEST_P(ErrorBuffers, ShapesThatPluginsAbortOnAreRefusedByUs) {
  EXPECT_ERROR(client.create_error_buffer(error, {ElementType::Invalid, {2}}, memory), InvalidArgument, "elements");
  EXPECT_ERROR(client.create_error_buffer(error, {ElementType::F32, {-2}}, memory), InvalidArgument, "no array has");
  const Client other = test::make_client(test::counted_plugin(GetParam()));
  EXPECT_ERROR(client.create_error_buffer(error, {ElementType::F32, {2}}, other.memories()[0]), InvalidArgument,
               "belongs to another client");
  EXPECT_EQ(calls_of("PJRT_Client_CreateErrorBuffer"), 0);
}

TEST_P(UninitializedBuffers, ErrorBuffersNeedAYoungerPlugin) {
  if (has({0, 82})) GTEST_SKIP() << "this one has them";
  EXPECT_ERROR(client.create_error_buffer(Error(ErrorCode::DataLoss, "broken"), {ElementType::F32, {3}}, memory),
               Unimplemented, "PJRT_Client_CreateErrorBuffer needs PJRT API 0.82");
}

}  // namespace
}  // namespace pjrt
