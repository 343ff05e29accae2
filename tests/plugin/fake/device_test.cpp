// Devices: statistics that may be there or not, attributes, tracking events.

#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

class FakeDevice : public test::OnFake {
 protected:
  Client client_ = make_client();
  const Device device_ = client_.devices()[0];
};

/// A field of PJRT_Device_MemoryStats_Args, whether it is set, and where it comes out.
struct Statistic {
  std::int64_t abi::PJRT_Device_MemoryStats_Args::* value;
  bool abi::PJRT_Device_MemoryStats_Args::* is_set;
  std::optional<std::int64_t> MemoryStats::* out;
};

const std::vector<Statistic>& statistics() {
  using C = abi::PJRT_Device_MemoryStats_Args;
  using S = MemoryStats;
  static const std::vector<Statistic> all = {
      {&C::peak_bytes_in_use, &C::peak_bytes_in_use_is_set, &S::peak_bytes_in_use},
      {&C::num_allocs, &C::num_allocs_is_set, &S::num_allocs},
      {&C::largest_alloc_size, &C::largest_alloc_size_is_set, &S::largest_alloc_size},
      {&C::bytes_limit, &C::bytes_limit_is_set, &S::bytes_limit},
      {&C::bytes_reserved, &C::bytes_reserved_is_set, &S::bytes_reserved},
      {&C::peak_bytes_reserved, &C::peak_bytes_reserved_is_set, &S::peak_bytes_reserved},
      {&C::bytes_reservable_limit, &C::bytes_reservable_limit_is_set, &S::bytes_reservable_limit},
      {&C::largest_free_block_bytes, &C::largest_free_block_bytes_is_set, &S::largest_free_block_bytes},
      {&C::pool_bytes, &C::pool_bytes_is_set, &S::pool_bytes},
      {&C::peak_pool_bytes, &C::peak_pool_bytes_is_set, &S::peak_pool_bytes},
      {&C::peak_allocated_bytes, &C::peak_allocated_bytes_is_set, &S::peak_allocated_bytes},
  };
  return all;
}

TEST_F(FakeDevice, EachMemoryStatisticIsThereExactlyWhenThePluginSetsIt) {
  for (const Statistic& chosen : statistics()) {
    fake.on<fn::PJRT_Device_MemoryStats>([&](auto& a) {
      a.bytes_in_use = 5;
      for (const Statistic& s : statistics()) a.*s.value = 7;  // without the mark, a value means nothing
      a.*chosen.is_set = true;
    });
    const MemoryStats stats = value_of(device_.memory_stats());
    EXPECT_EQ(stats.bytes_in_use, 5);
    for (const Statistic& s : statistics()) {
      EXPECT_EQ(stats.*s.out, &s == &chosen ? std::optional<std::int64_t>(7) : std::nullopt);
    }
  }
}

TEST_F(FakeDevice, ThatKeepsNoStatisticsSaysSo) {
  fake.fail<fn::PJRT_Device_MemoryStats>(ErrorCode::Unimplemented, "no allocator");
  fake.fail<fn::PJRT_Device_ClearMemoryStats>(ErrorCode::Unimplemented, "no allocator");
  EXPECT_ERROR(device_.memory_stats(), Unimplemented, "no allocator");
  EXPECT_ERROR(device_.clear_memory_stats(), Unimplemented, "no allocator");
}

TEST_F(FakeDevice, StatisticsAreCleared) {
  EXPECT_OK(device_.clear_memory_stats());
  EXPECT_EQ(fake.calls_of<fn::PJRT_Device_ClearMemoryStats>().back().device, device_.raw());
}

TEST_F(FakeDevice, AttributesAreCopiedAndGivenBack) {
  EXPECT_EQ(value_of(device_.attributes()), (NamedValues{{"serial", 0}}));
  EXPECT_EQ(fake.live()["device attributes"], 0);
  EXPECT_EQ(value_of(device_.description().attributes()), (NamedValues{{"coords", {1, 2, 3}}}));
}

TEST_F(FakeDevice, AttributesThatMakeNoSenseAreGivenBackToo) {
  static int given_back = 0;
  fake.on<fn::PJRT_Device_GetAttributes>([](auto& a) {
    static abi::PJRT_NamedValue odd{};
    odd.type = static_cast<abi::PJRT_NamedValue_Type>(9);
    a.attributes = &odd;
    a.num_attributes = 1;
    a.device_attributes = reinterpret_cast<abi::PJRT_Device_Attributes*>(&odd);
    a.attributes_deleter = [](abi::PJRT_Device_Attributes*) { ++given_back; };
  });
  EXPECT_ERROR(device_.attributes(), Internal, "a type this library does not know (9)");
  EXPECT_EQ(given_back, 1);
}

TEST_F(FakeDevice, AttributesThatAreANullArrayAreAnError) {
  fake.on<fn::PJRT_DeviceDescription_Attributes>([](auto& a) { a.num_attributes = 2; });
  EXPECT_ERROR(device_.description().attributes(), Internal, "2 named values, and a null array of them");
}

TEST_F(FakeDevice, AttributesMayBeNoneWithoutADeleter) {
  fake.on<fn::PJRT_Device_GetAttributes>([](auto&) {});
  EXPECT_EQ(value_of(device_.attributes()), NamedValues());
}

TEST_F(FakeDevice, ATrackingEventIsDestroyedOnceAndKeepsTheClient) {
  {
    AsyncTrackingEvent event = value_of(make_client().devices()[0].create_async_tracking_event("step 1"));
    const AsyncTrackingEvent moved = std::move(event);
    EXPECT_FALSE(moved.empty());
    EXPECT_TRUE(event.empty());
    EXPECT_EQ(fake.live()["client"], 2);
    EXPECT_EQ(fake.live()["async tracking event"], 1);
  }
  EXPECT_EQ(fake.live()["async tracking event"], 0);
  const auto seen = fake.calls_of<fn::PJRT_Device_CreateAsyncTrackingEvent>();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].description_size, 6u);
  EXPECT_EQ(calls_of("PJRT_AsyncTrackingEvent_Destroy"), 1u);
}

// CPU plugins give null.
TEST_F(FakeDevice, ATrackingEventThatIsNotThereIsEmptyAndNotDestroyed) {
  fake.on<fn::PJRT_Device_CreateAsyncTrackingEvent>([](auto&) {});
  EXPECT_TRUE(value_of(device_.create_async_tracking_event("x")).empty());
  EXPECT_EQ(calls_of("PJRT_AsyncTrackingEvent_Destroy"), 0u);
}

TEST_F(FakeDevice, PoisonThatThePluginRefusesIsAnError) {
  fake.fail<fn::PJRT_Device_PoisonExecution>(ErrorCode::Unimplemented, "no poison");
  EXPECT_ERROR(device_.poison_execution(1, Error(ErrorCode::Aborted, "x")), Unimplemented, "no poison");
}

}  // namespace
}  // namespace pjrt
