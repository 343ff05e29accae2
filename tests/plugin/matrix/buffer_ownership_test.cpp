// Who holds the memory of a buffer: external references, pointers, views in place, and what takes it away.

#include <gtest/gtest.h>

#include <cstdint>
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
using Ints = std::vector<std::int32_t>;

class Ownership : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Buffer three() const { return value_of(client.upload(Floats{1, 2, 3}, {3})); }
  AliasBuffer pending() const {
    return value_of(
        client.create_alias_buffer(Shape{ElementType::F32, {3}}, value_of(client.devices().front().default_memory())));
  }
  LoadedExecutable add_to() const { return value_of(client.compile(Program::mlir(test::kAddTo))); }

  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, Ownership, ::testing::ValuesIn(test::kCpuVersions));

// External references and pointers.

TEST_P(Ownership, PointersAgreeOnWhereTheMemoryIs) {
  const Buffer buffer = three();
  const ExternalReference reference = value_of(buffer.external_reference());
  const auto* address = static_cast<const float*>(value_of(reference.device_pointer()));
  EXPECT_EQ(value_of(buffer.unsafe_pointer()), reinterpret_cast<std::uintptr_t>(address));
  ASSERT_OK(buffer.ready().await());
  EXPECT_EQ(Floats(address, address + 3), (Floats{1, 2, 3}));
}

TEST_P(Ownership, ReferencesKeepTheMemoryPastDeletion) {
  Buffer buffer = three();
  ASSERT_OK(buffer.ready().await());
  const ExternalReference reference = value_of(buffer.external_reference());
  const auto* address = static_cast<const float*>(value_of(reference.device_pointer()));
  ASSERT_OK(buffer.delete_now());
  EXPECT_EQ(Floats(address, address + 3), (Floats{1, 2, 3}));
  EXPECT_TRUE(buffer.is_deleted());
}

TEST_P(Ownership, ReferencesKeepBufferAndClient) {
  std::optional<Client> other = test::make_client(client.plugin());
  std::optional<Buffer> buffer = value_of(other->upload(Floats{1, 2, 3}, {3}));
  ASSERT_OK(buffer->ready().await());
  const std::int64_t destroyed = test::calls_of(GetParam(), "PJRT_Client_Destroy");
  std::optional<ExternalReference> reference = value_of(buffer->external_reference());
  const auto* address = static_cast<const float*>(value_of(reference->device_pointer()));
  buffer.reset();
  other.reset();
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_Destroy"), destroyed);
  EXPECT_EQ(Floats(address, address + 3), (Floats{1, 2, 3}));
  reference.reset();
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_Destroy"), destroyed + 1);
}

TEST_P(Ownership, ReferencesAreDroppedAsOftenAsTheyAreTaken) {
  const Buffer buffer = three();
  {
    ExternalReference first = value_of(buffer.external_reference());
    const ExternalReference second = value_of(buffer.external_reference());
    ExternalReference third = std::move(first);
    third = value_of(buffer.external_reference());  // drops what it had
    EXPECT_ERROR(first.device_pointer(), FailedPrecondition, "moved from");
  }
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_IncreaseExternalReferenceCount"), 3);
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_DecreaseExternalReferenceCount"), 3);
}

// The plugins crash when their counts are changed by several threads at once.
TEST_P(Ownership, ReferencesMayBeTakenAndDroppedByManyThreads) {
  const Buffer buffer = three();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const Result<ExternalReference> reference = buffer.external_reference();
        ASSERT_OK(reference);
        ASSERT_OK(reference->device_pointer());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Buffer_DecreaseExternalReferenceCount"), 4000);
  EXPECT_EQ(value_of(buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Ownership, ReferencesToContentsToComeWaitForTheirMemory) {  // 0.106 aborts when asked before
  AliasBuffer alias = pending();
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ASSERT_OK(alias.fulfillment.fulfill(three()));
  });
  const Result<ExternalReference> reference = alias.buffer.external_reference();
  later.join();
  ASSERT_OK(reference);
  const auto* address = static_cast<const float*>(value_of(reference->device_pointer()));
  EXPECT_EQ(Floats(address, address + 3), (Floats{1, 2, 3}));
}

TEST_P(Ownership, ReferencesToContentsThatNeverComeAreTheirError) {
  AliasBuffer alias = pending();
  ASSERT_OK(alias.fulfillment.fail(Error(ErrorCode::DataLoss, "nothing came")));
  EXPECT_ERROR(alias.buffer.external_reference(), DataLoss, "nothing came");
  EXPECT_ERROR(alias.buffer.unsafe_pointer(), DataLoss, "nothing came");
  EXPECT_ERROR(alias.buffer.host_view<float>(), DataLoss, "nothing came");
}

// Views in place.

TEST_P(Ownership, ViewsShowTheElementsWhereTheyAre) {
  const Buffer buffer = three();
  const DeviceSpan<float> view = value_of(buffer.host_view<float>());
  EXPECT_EQ(Floats(view.begin(), view.end()), (Floats{1, 2, 3}));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view.begin()), value_of(buffer.unsafe_pointer()));
}

TEST_P(Ownership, ViewsOutliveTheBuffer) {
  std::optional<Buffer> buffer = three();
  const DeviceSpan<float> view = value_of(buffer->host_view<float>());
  ASSERT_OK(buffer->delete_now());
  buffer.reset();
  EXPECT_EQ(Floats(view.begin(), view.end()), (Floats{1, 2, 3}));
}

TEST_P(Ownership, ViewsOfPackedElementsAreRefused) {
  const Buffer buffer = value_of(client.upload(std::vector<uint4>(4, uint4(1)), {4}));
  EXPECT_ERROR(buffer.host_view<uint4>(), Unimplemented, "share bytes");
}

TEST_P(Ownership, ViewsOfNothingAreEmpty) {
  EXPECT_EQ(value_of(value_of(client.upload(Floats{}, {0})).host_view<float>()).size(), 0u);
}

// Donation to executions.

TEST_P(Ownership, DonatedMemoryBecomesTheOutputs) {
  const Buffer a = three();
  const std::uintptr_t address = value_of(a.unsafe_pointer());
  const Buffer sum = std::move(value_of(add_to()(a, three()))[0]);
  ASSERT_OK(sum.ready().await());
  EXPECT_EQ(value_of(sum.unsafe_pointer()), address);
  EXPECT_EQ(value_of(sum.to_vector<float>()), (Floats{2, 4, 6}));
  EXPECT_TRUE(a.is_deleted());
  EXPECT_ERROR(a.to_host(), FailedPrecondition, "the buffer f32[3] is gone: it was donated to an execution");
}

TEST_P(Ownership, DonationsThatARefusedExecutionWouldTakeStay) {
  const Buffer a = three();
  const Buffer wrong = value_of(client.upload(Floats{1, 2}, {2}));
  EXPECT_ERROR(add_to()(a, wrong), InvalidArgument, "argument 1");
  EXPECT_FALSE(a.is_deleted());
  EXPECT_EQ(value_of(a.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Ownership, ReferencedMemoryIsCopiedInsteadOfDonated) {
  const Buffer a = three();
  const ExternalReference reference = value_of(a.external_reference());
  const Buffer sum = std::move(value_of(add_to()(a, three()))[0]);
  EXPECT_EQ(value_of(sum.to_vector<float>()), (Floats{2, 4, 6}));
  const auto* address = static_cast<const float*>(value_of(reference.device_pointer()));
  EXPECT_EQ(Floats(address, address + 3), (Floats{1, 2, 3}));
  EXPECT_FALSE(a.is_deleted());
  EXPECT_EQ(value_of(a.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Ownership, DonatedAndGivenAgainIsRefused) {
  const Buffer a = three();
  EXPECT_FALSE(add_to()(a, a));
  EXPECT_FALSE(a.is_deleted());
  EXPECT_EQ(value_of(a.to_vector<float>()), (Floats{1, 2, 3}));
}

// Bitcast.

bool has_bitcast(const std::string& plugin) {
  return plugin != "cpu-0.81";
}

TEST_P(Ownership, BitcastNeedsApi098) {
  if (has_bitcast(GetParam())) GTEST_SKIP() << GetParam() << " has it";
  Buffer buffer = three();
  EXPECT_ERROR(std::move(buffer).bitcast(Shape{ElementType::S32, {3}}), Unimplemented, "0.98");
  EXPECT_FALSE(buffer.is_deleted());
}

#define REQUIRE_BITCAST() \
  if (!has_bitcast(GetParam())) GTEST_SKIP() << "no bitcast in " << GetParam()

TEST_P(Ownership, BitcastGivesTheSameBitsAnotherMeaning) {
  REQUIRE_BITCAST();
  const Buffer bits = value_of(three().bitcast(Shape{ElementType::S32, {3, 1}}));
  EXPECT_EQ(to_string(bits.shape()), "s32[3,1]");
  EXPECT_EQ(value_of(bits.to_vector<std::int32_t>()), (Ints{0x3f800000, 0x40000000, 0x40400000}));
}

TEST_P(Ownership, BitcastKeepsTheMemoryWhereItIs) {
  REQUIRE_BITCAST();
  Buffer buffer = three();
  const std::uintptr_t address = value_of(buffer.unsafe_pointer());
  const Buffer bytes = value_of(std::move(buffer).bitcast(Shape{ElementType::U8, {12}}));
  EXPECT_EQ(value_of(bytes.unsafe_pointer()), address);
  EXPECT_EQ(bytes.device(), client.devices().front());
}

TEST_P(Ownership, BitcastTakesTheBuffer) {
  REQUIRE_BITCAST();
  Buffer buffer = three();
  const Buffer bits = value_of(std::move(buffer).bitcast(Shape{ElementType::S32, {3}}));
  EXPECT_TRUE(buffer.is_deleted());
  EXPECT_ERROR(buffer.to_host(), FailedPrecondition, "the buffer f32[3] is gone: it was bitcast");
}

TEST_P(Ownership, BitcastThatFailsLeavesTheBuffer) {
  REQUIRE_BITCAST();
  Buffer buffer = three();
  EXPECT_FALSE(std::move(buffer).bitcast(Shape{ElementType::S32, {4}}));
  EXPECT_ERROR(std::move(buffer).bitcast(Shape{ElementType::Token, {}}), InvalidArgument, "token");
  EXPECT_ERROR(std::move(buffer).bitcast(Shape{ElementType::S32, {-3}}), InvalidArgument, "no array has the shape");
  EXPECT_ERROR(std::move(buffer).bitcast(Shape{ElementType::S32, {3}}, Layout::row_major(2)), InvalidArgument,
               "layout {1,0} for an array of shape s32[3]");
  EXPECT_FALSE(buffer.is_deleted());
  EXPECT_EQ(value_of(buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Ownership, BitcastOfReferencedMemoryIsRefused) {  // some plugins abort
  REQUIRE_BITCAST();
  Buffer buffer = three();
  const ExternalReference reference = value_of(buffer.external_reference());
  EXPECT_ERROR(std::move(buffer).bitcast(Shape{ElementType::S32, {3}}), FailedPrecondition, "1 external references");
  EXPECT_FALSE(buffer.is_deleted());
}

TEST_P(Ownership, BitcastOfContentsToComeComesLater) {
  REQUIRE_BITCAST();
  AliasBuffer alias = pending();
  const Result<Buffer> bits = std::move(alias.buffer).bitcast(Shape{ElementType::S32, {3}});
  ASSERT_OK(alias.fulfillment.fulfill(three()));
  ASSERT_OK(bits);
  EXPECT_EQ(value_of(bits->to_vector<std::int32_t>()), (Ints{0x3f800000, 0x40000000, 0x40400000}));
}

TEST_P(Ownership, BitcastToPackedElementsKeepsTheBits) {  // two to a byte, low nibble first
  REQUIRE_BITCAST();
  Buffer bytes = value_of(client.upload(std::vector<std::uint8_t>{0x21, 0x43}, {2}));
  const Buffer nibbles = value_of(std::move(bytes).bitcast(Shape{ElementType::U4, {4}}));
  EXPECT_EQ(value_of(nibbles.to_vector<uint4>()), (std::vector<uint4>{uint4(1), uint4(2), uint4(3), uint4(4)}));
}

// Donation with a control dependency.

bool has_dependencies(const std::string& plugin) {
  return plugin == "cpu";
}

TEST_P(Ownership, DependenciesAreUnimplementedOnOlderPlugins) {
  if (has_dependencies(GetParam())) GTEST_SKIP() << GetParam() << " has them";
  Buffer buffer = three();
  EXPECT_ERROR(std::move(buffer).donate_with_control_dependency(), Unimplemented, "");
  EXPECT_FALSE(buffer.is_deleted());
  EXPECT_EQ(value_of(buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

#define REQUIRE_DEPENDENCIES() \
  if (!has_dependencies(GetParam())) GTEST_SKIP() << "no control dependencies in " << GetParam()

TEST_P(Ownership, UsersOfADependencyWaitForIt) {
  REQUIRE_DEPENDENCIES();
  DonatedBuffer donated = value_of(three().donate_with_control_dependency());
  EXPECT_EQ(to_string(donated.buffer.shape()), "f32[3]");
  const Outputs sum = value_of(value_of(client.compile(Program::mlir(test::kDouble)))(donated.buffer));
  EXPECT_EQ(sum[0].ready().await_for(std::chrono::milliseconds(50)), std::nullopt);
  ASSERT_OK(donated.dependency.resolve());
  EXPECT_EQ(value_of(sum[0].to_vector<float>()), (Floats{2, 4, 6}));
}

TEST_P(Ownership, DependenciesTakeTheBuffer) {
  REQUIRE_DEPENDENCIES();
  Buffer buffer = three();
  DonatedBuffer donated = value_of(std::move(buffer).donate_with_control_dependency());
  EXPECT_TRUE(buffer.is_deleted());
  EXPECT_ERROR(buffer.to_host(), FailedPrecondition, "it was donated with a control dependency");
  ASSERT_OK(donated.dependency.resolve());
  EXPECT_EQ(value_of(donated.buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(Ownership, DependenciesAreResolvedOnce) {
  REQUIRE_DEPENDENCIES();
  DonatedBuffer donated = value_of(three().donate_with_control_dependency());
  ASSERT_OK(donated.dependency.resolve());
  EXPECT_ERROR(donated.dependency.resolve(), FailedPrecondition, "already");
}

TEST_P(Ownership, DependenciesThatFailAreTheErrorOfTheBuffer) {
  REQUIRE_DEPENDENCIES();
  DonatedBuffer donated = value_of(three().donate_with_control_dependency());
  ASSERT_OK(donated.dependency.resolve(std::unexpected(Error(ErrorCode::DataLoss, "the other side is gone"))));
  const Result<HostBuffer> host = donated.buffer.to_host();
  ASSERT_FALSE(host);
  EXPECT_NE(to_string(host.error()).find("the other side is gone"), std::string::npos) << host.error();
}

TEST_P(Ownership, DependenciesThatAreDroppedAreCancelled) {
  REQUIRE_DEPENDENCIES();
  Buffer buffer = [&] { return std::move(value_of(three().donate_with_control_dependency()).buffer); }();
  const Result<HostBuffer> host = buffer.to_host();
  ASSERT_FALSE(host);
  EXPECT_NE(to_string(host.error()).find("destroyed before it was resolved"), std::string::npos) << host.error();
}

TEST_P(Ownership, DependenciesOfReferencedMemoryAreRefused) {
  REQUIRE_DEPENDENCIES();
  Buffer buffer = three();
  const ExternalReference reference = value_of(buffer.external_reference());
  EXPECT_ERROR(std::move(buffer).donate_with_control_dependency(), FailedPrecondition, "external references");
  EXPECT_FALSE(buffer.is_deleted());
}

TEST_P(Ownership, DependenciesMayBeResolvedAfterTheBuffer) {
  REQUIRE_DEPENDENCIES();
  std::optional<DonatedBuffer> donated = value_of(three().donate_with_control_dependency());
  ControlDependency dependency = std::move(donated->dependency);
  donated.reset();
  EXPECT_OK(dependency.resolve());
}

}  // namespace
}  // namespace pjrt
