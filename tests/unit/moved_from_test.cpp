// Values that were moved from, and indices at the size: always something defined.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

HostBuffer thousand() {
  return value_of(HostBuffer::copy_of(Floats(1000, 1.0f), {1000}));
}

TEST(MovedFromValues, HostBuffer) {
  HostBuffer array = thousand();
  {
    const HostBuffer taken = std::move(array);
  }  // the memory is freed here
  EXPECT_EQ(array.type(), ElementType::Invalid);
  EXPECT_EQ(array.element_count(), 0);
  EXPECT_EQ(array.shape(), (Shape{ElementType::Invalid, {0}}));
  EXPECT_EQ(array.dims(), Dimensions({0}));
  EXPECT_EQ(array.view().data(), nullptr);
  EXPECT_EQ(array.owner(), nullptr);
  EXPECT_FALSE(array.is_mutable());
  EXPECT_ERROR(array.span<float>(), FailedPrecondition, "moved from");
  EXPECT_ERROR(array.mutable_span<float>(), FailedPrecondition, "moved from");
  EXPECT_ERROR(array.to_vector<float>(), FailedPrecondition, "moved from");
  EXPECT_ERROR(array.at<float>({0}), FailedPrecondition, "moved from");
  EXPECT_TRUE(array.bytes().empty());
  EXPECT_TRUE(array.mutable_bytes().empty());
  EXPECT_FALSE(array.clone());
  EXPECT_FALSE(array.dense());
  EXPECT_FALSE(array.save("/dev/null"));
  EXPECT_TRUE(array.to_npy().empty());
  EXPECT_FALSE(array.reinterpret(ElementType::F32));
  EXPECT_FALSE(array.reshape({1}));
  EXPECT_FALSE(HostBuffer::copy_of(array));
  EXPECT_FALSE(HostBuffer::copy_of(array.view()));
  array = thousand();
  EXPECT_EQ(value_of(array.to_vector<float>()), Floats(1000, 1.0f));
}

TEST(MovedFromValues, HostBufferOfHighRank) {
  HostBuffer array = value_of(HostBuffer::copy_of(Floats(128, 1.0f), {2, 2, 2, 2, 2, 2, 2}));
  const HostBuffer taken = std::move(array);
  EXPECT_EQ(array.element_count(), 0);
  EXPECT_FALSE(HostBuffer::copy_of(array));
  EXPECT_EQ(value_of(taken.to_vector<float>()), Floats(128, 1.0f));
}

TEST(MovedFromValues, HostView) {
  const Floats values(4, 1.0f);
  HostView view(values.data(), {ElementType::F32, {2, 2}});
  const HostView taken = std::move(view);
  EXPECT_EQ(view.data(), nullptr);
  EXPECT_EQ(view.element_count(), 0);
  EXPECT_TRUE(view.bytes().empty());
  EXPECT_EQ(view.strides().size(), view.dims().size());
  EXPECT_TRUE(view.is_dense());
  std::byte out{42};
  view.copy_to(&out);
  EXPECT_EQ(out, std::byte{42});
  EXPECT_EQ(taken.element_count(), 4);
}

TEST(MovedFromValues, ViewsOfNothingHaveNoElementsToRead) {
  EXPECT_ERROR(HostBuffer::copy_of(HostView(nullptr, {ElementType::F32, {3}})), InvalidArgument, "null");
  EXPECT_FALSE(HostBuffer::copy_of(HostView(nullptr, {ElementType::F32, {-3, 2}})));
  const HostView huge(nullptr, {ElementType::F32, {std::int64_t{1} << 40, std::int64_t{1} << 40}});
  EXPECT_TRUE(huge.bytes().empty());
  const HostBuffer borrowed = HostBuffer::borrow(huge, nullptr);
  EXPECT_FALSE(borrowed.at<float>({5, 5}));
  EXPECT_EQ(to_string(borrowed), "<no memory>");
  EXPECT_EQ(to_string(HostView(nullptr, {ElementType::F32, {3}})), "<no memory>");
}

TEST(MovedFromValues, TypedHostBuffer) {
  auto array = value_of(TypedHostBuffer<float>::from_vector(Floats{1, 2}, {2}));
  EXPECT_EQ(array[2], 0.0f);
  const auto taken = std::move(array);
  EXPECT_TRUE(array.span().empty());
  EXPECT_EQ(array[0], 0.0f);
  EXPECT_EQ(taken[1], 2.0f);
}

TEST(MovedFromValues, Event) {
  Event event = Event::ready();
  const Event taken = std::move(event);
  EXPECT_TRUE(event.is_ready());
  EXPECT_ERROR(event.await(), FailedPrecondition, "moved from");
  EXPECT_ERROR(event.outcome(), FailedPrecondition, "moved from");
  EXPECT_ERROR(*event.await_for(std::chrono::seconds(1)), FailedPrecondition, "moved from");
  Result<void> told;
  EXPECT_OK(event.on_ready([&](Result<void> outcome) { told = std::move(outcome); }));
  EXPECT_ERROR(told, FailedPrecondition, "moved from");
  EXPECT_ERROR(Event::all({event, taken}).await(), FailedPrecondition, "moved from");
  EXPECT_EQ(event.raw(), nullptr);
}

TEST(MovedFromValues, Future) {
  Future<int> future(Event::ready(), 7);
  Future<int> taken = std::move(future);
  EXPECT_TRUE(future.is_ready());
  EXPECT_ERROR(future.await(), FailedPrecondition, "");
  EXPECT_ERROR(*future.await_for(std::chrono::seconds(1)), FailedPrecondition, "");
  EXPECT_ERROR(future.event().await(), FailedPrecondition, "");
  EXPECT_EQ(value_of(taken.await()), 7);
}

TEST(MovedFromValues, Program) {
  Program program = Program::mlir("module {}");
  const Program taken = std::move(program);
  EXPECT_EQ(program.code(), "");
  EXPECT_FALSE(program.stablehlo_version());
  EXPECT_EQ(taken.code(), "module {}");
}

TEST(MovedFromValues, Chunk) {
  Chunk chunk(std::vector<std::byte>(4));
  const Chunk taken = std::move(chunk);
  EXPECT_TRUE(chunk.bytes().empty());
  EXPECT_EQ(chunk.size(), 0u);
  EXPECT_EQ(chunk.owner(), nullptr);
  EXPECT_EQ(taken.size(), 4u);
}

TEST(MovedFromValues, SerializedExecutable) {
  const std::vector<std::byte> payload(5);
  SerializedExecutable executable({"cpu", {0, 115}, "", ""}, payload);
  const SerializedExecutable taken = std::move(executable);
  EXPECT_TRUE(executable.payload().empty());
  EXPECT_TRUE(executable.bytes().empty());
  EXPECT_EQ(taken.payload().size(), 5u);
}

TEST(MovedFromValues, Sharding) {
  Sharding sharding = value_of(Sharding::tiled({2, 2}, {0, 1, 2, 3}, 2));
  const Sharding taken = std::move(sharding);
  EXPECT_TRUE(sharding.is_replicated());
  EXPECT_EQ(sharding.tiles(2), (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ(taken.tiles(2), (std::vector<std::int64_t>{2, 2}));
}

TEST(MovedFromValues, DeviceAssignment) {
  DeviceAssignment assignment = value_of(DeviceAssignment::create(2, 2, {0, 1, 2, 3}));
  const DeviceAssignment taken = std::move(assignment);
  EXPECT_EQ(assignment.num_replicas(), 0);
  EXPECT_FALSE(assignment.device({0, 0}));
  EXPECT_FALSE(assignment.lookup(0));
  EXPECT_TRUE(assignment.lookup_map().empty());
  EXPECT_NO_FATAL_FAILURE((void)assignment.serialize());
  EXPECT_EQ(value_of(taken.device({1, 1})), 3);
}

TEST(MovedFromValues, IndicesAtTheSize) {
  const Dimensions dims = {2, 3};
  EXPECT_EQ(dims[dims.size()], 0);
  const NamedValues values = {{"a", 1}};
  EXPECT_EQ(values[values.size()].name, "");
  Outputs outputs;
  EXPECT_EQ(outputs[0].raw(), nullptr);
}

TEST(MovedFromValues, ErrorsThatGrowInALoopStayBounded) {
  Error error(ErrorCode::Internal, "the plugin's words");
  for (int i = 0; i < 100000; ++i) error = error.with_note("once more").with_context("again");
  EXPECT_LT(to_string(error).size(), 100000u);
  EXPECT_NE(error.message().find("the plugin's words"), std::string_view::npos);
}

}  // namespace
}  // namespace pjrt
