#include "pjrt/device_assignment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <type_traits>

#include "support/data.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::from_hex;
using test::value_of;
using ::testing::ElementsAre;

DeviceAssignment two_by_three() {
  return value_of(DeviceAssignment::create(2, 3, {0, 1, 2, 5, 4, 300}));
}

/// DeviceAssignmentProto of two_by_three, by hand: replica_count = 1, computation_count = 2, and for each partition a
/// computation_devices = 3 with the packed replica_device_ids = 1.
const std::string kTwoByThree = from_hex("08 02  10 03  1a 04 0a 02 00 05  1a 04 0a 02 01 04  1a 05 0a 03 02 ac 02");

TEST(DeviceAssignment, RowsAreReplicas) {
  const DeviceAssignment a = two_by_three();
  EXPECT_EQ(a.num_replicas(), 2);
  EXPECT_EQ(a.num_partitions(), 3);
  EXPECT_EQ(value_of(a.device({0, 2})), 2);
  EXPECT_EQ(value_of(a.device({1, 0})), 5);
  EXPECT_THAT(a.device_ids(), ElementsAre(0, 1, 2, 5, 4, 300));
}

TEST(DeviceAssignment, SingleIsOneReplicaAndOnePartition) {
  const DeviceAssignment a = DeviceAssignment::single(7);
  EXPECT_EQ(a, value_of(DeviceAssignment::create(1, 1, {7})));
}

TEST(DeviceAssignment, CannotBeWithoutDevices) {
  static_assert(!std::is_default_constructible_v<DeviceAssignment>);
}

TEST(DeviceAssignment, OutsideIsOutOfRange) {
  EXPECT_ERROR(two_by_three().device({2, 0}), OutOfRange, "replica 2, partition 0 lies outside 2 x 3");
  EXPECT_ERROR(two_by_three().device({0, 3}), OutOfRange, "replica 0, partition 3 lies outside 2 x 3");
  EXPECT_ERROR(two_by_three().device({-1, 0}), OutOfRange, "replica -1");
  EXPECT_ERROR(two_by_three().device({0, -1}), OutOfRange, "partition -1");
}

TEST(DeviceAssignment, LookupFindsWhatADeviceRuns) {
  EXPECT_EQ(two_by_three().lookup(4), (LogicalId{1, 1}));
  EXPECT_EQ(two_by_three().lookup(2), (LogicalId{0, 2}));
  EXPECT_EQ(two_by_three().lookup(3), std::nullopt);
}

TEST(DeviceAssignment, LookupMapHasEveryDevice) {
  const auto map = two_by_three().lookup_map();
  EXPECT_EQ(map.size(), 6u);
  EXPECT_EQ(map.at(300), (LogicalId{1, 2}));
}

TEST(DeviceAssignment, RefusesAnotherNumberOfDevices) {
  EXPECT_ERROR(DeviceAssignment::create(2, 2, {0, 1, 2}), InvalidArgument, "3 devices for 2 replicas x 2 partitions");
}
TEST(DeviceAssignment, RefusesCountsBelowOne) {
  EXPECT_ERROR(DeviceAssignment::create(0, 1, {}), InvalidArgument, "0 replicas and 1 partitions");
  EXPECT_ERROR(DeviceAssignment::create(-1, -1, {0}), InvalidArgument, "-1 replicas and -1 partitions");
}
TEST(DeviceAssignment, RefusesADeviceThatStandsTwice) {
  EXPECT_ERROR(DeviceAssignment::create(1, 3, {4, 1, 4}), InvalidArgument, "device 4 stands twice");
}
TEST(DeviceAssignment, RefusesNegativeDevices) {
  EXPECT_ERROR(DeviceAssignment::create(1, 2, {0, -3}), InvalidArgument, "device id -3 is negative");
}

// The protobuf form.

TEST(DeviceAssignmentProto, IsWrittenAsByHand) {
  EXPECT_EQ(two_by_three().serialize(), kTwoByThree);
}
TEST(DeviceAssignmentProto, IsWrittenAsJaxlibWritesIt) {
  EXPECT_EQ(two_by_three().serialize(), test::read_all(test::data_file("compile_options/device_assignment_2x3.pb")));
}
TEST(DeviceAssignmentProto, IsRead) {
  EXPECT_EQ(value_of(DeviceAssignment::parse(kTwoByThree)), two_by_three());
}
TEST(DeviceAssignmentProto, UnpackedIdsAreRead) {
  EXPECT_EQ(value_of(DeviceAssignment::parse(from_hex("08 02  10 01  1a 04 08 05 08 06"))),
            value_of(DeviceAssignment::create(2, 1, {5, 6})));
}
TEST(DeviceAssignmentProto, UnknownFieldsAreSkipped) {
  EXPECT_EQ(value_of(DeviceAssignment::parse("\x7a\x03"
                                             "abc" +
                                             kTwoByThree)),
            two_by_three());
}

TEST(DeviceAssignmentProto, EmptyIsRefused) {
  EXPECT_ERROR(DeviceAssignment::parse(""), InvalidArgument, "0 replicas and 0 partitions");
}
TEST(DeviceAssignmentProto, GarbageIsRefused) {
  EXPECT_ERROR(DeviceAssignment::parse("not a proto"), InvalidArgument, "not a serialized DeviceAssignmentProto");
}
TEST(DeviceAssignmentProto, CountsThatDisagreeWithTheDevicesAreRefused) {
  EXPECT_ERROR(DeviceAssignment::parse(from_hex("08 02  10 02  1a 04 0a 02 00 01")), InvalidArgument,
               "disagree");  // a partition is missing
  EXPECT_ERROR(DeviceAssignment::parse(from_hex("08 02  10 01  1a 03 0a 01 00")), InvalidArgument,
               "disagree");  // a replica is missing
}
TEST(DeviceAssignmentProto, NegativeCountsAreRefused) {
  EXPECT_ERROR(DeviceAssignment::parse(from_hex("08 ff ff ff ff ff ff ff ff ff 01  10 01  1a 00")), InvalidArgument,
               "");
  EXPECT_ERROR(DeviceAssignment::parse(from_hex("08 01  10 ff ff ff ff ff ff ff ff ff 01")), InvalidArgument, "");
}
TEST(DeviceAssignmentProto, TwinDevicesAreRefused) {
  EXPECT_ERROR(DeviceAssignment::parse(from_hex("08 02  10 01  1a 04 0a 02 05 05")), InvalidArgument,
               "device 5 stands twice");
}
TEST(DeviceAssignmentProto, TruncationIsNeverAcceptedAsAnotherAssignment) {
  for (std::size_t size = 0; size < kTwoByThree.size(); ++size)
    EXPECT_FALSE(DeviceAssignment::parse(kTwoByThree.substr(0, size))) << size;
}

}  // namespace
}  // namespace pjrt
