// Serialized HLO modules: what they take and give, how many devices they need, and sizes that no program has.

#include "proto/hlo.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/wire_writer.hpp"

namespace pjrt::proto {
namespace {

using test::put_bytes;
using test::put_number;
using test::value_of;
using ::testing::ElementsAre;

// HloModuleProto {1: name, 3: computations {2: instructions, 5: id, 6: root}, 4: program shape {1: parameters, 2:
// result}, 6: entry, 14: sharding of a parameter, 15: device assignment {1: replicas, 2: computations}}

std::string packed(std::initializer_list<int> numbers) {
  std::string bytes;
  for (const int n : numbers) bytes += static_cast<char>(n);
  return bytes;
}

/// A module of one computation.
std::string module_of(const std::string& instructions, const std::string& more = "") {
  return put_bytes(1, "m") + put_bytes(3, instructions + put_number(5, 1)) + put_number(6, 1) + more;
}
std::string instruction(const std::string& opcode, const std::string& more) {
  return put_bytes(2, put_bytes(2, opcode) + more);
}
std::string with_result(const std::string& shape) {
  return put_bytes(1, "m") + put_bytes(4, put_bytes(2, shape));
}

HloDevices devices(const std::string& module) {
  return value_of(parse_hlo_devices(module));
}

TEST(HloDevices, OfAPlainModuleAreOne) {
  const HloDevices d = devices(test::read_all(test::data_file("program/add_one.hlo.pb")));
  EXPECT_EQ(d.replicas, 1);
  EXPECT_EQ(d.partitions, 1);
}

TEST(HloDevices, AreThoseOfTheAssignment) {
  const HloDevices d = devices(module_of("", put_bytes(15, put_number(1, 2) + put_number(2, 4))));
  EXPECT_EQ(d.replicas, 2);
  EXPECT_EQ(d.partitions, 4);
}

TEST(HloDevices, AreWhatShardingsNeed) {
  // OpSharding {1: type 3 (tiled), 3: tiles}
  const std::string sharding = put_number(1, 3) + put_bytes(3, packed({4, 2}));
  EXPECT_EQ(devices(module_of(instruction("parameter", put_bytes(40, sharding)))).partitions, 8);
  EXPECT_EQ(devices(module_of("", put_bytes(14, sharding))).partitions, 8);
  EXPECT_EQ(
      devices(module_of(instruction("parameter", put_bytes(40, put_number(1, 2) + put_bytes(5, sharding))))).partitions,
      8);
}

TEST(HloDevices, AreWhatCollectivesNeed) {
  const std::string group = put_bytes(49, put_bytes(1, packed({0, 1, 2})));  // replica groups {1: ids}
  EXPECT_EQ(devices(module_of(instruction("all-reduce", group))).replicas, 3);
  EXPECT_EQ(
      devices(module_of(instruction("all-reduce", put_bytes(87, put_bytes(1, put_bytes(1, packed({0, 1}))))))).replicas,
      2);
  const std::string channel = put_number(26, 1);
  EXPECT_EQ(devices(module_of(instruction("all-reduce", group + channel + put_number(71, 1)))).partitions, 3);
  EXPECT_EQ(devices(module_of(instruction("all-to-all", group + channel))).partitions, 3);
  const std::string pair = put_bytes(52, put_number(1, 0) + put_number(2, 1));
  EXPECT_EQ(devices(module_of(instruction("collective-permute", pair))).replicas, 2);
  EXPECT_EQ(devices(module_of(instruction("collective-permute", pair + channel))).partitions, 2);
}

TEST(HloDevices, ThatNoMachineHasAreRefused) {
  EXPECT_ERROR(parse_hlo_devices(module_of("", put_bytes(15, put_number(1, 1ULL << 40)))), InvalidArgument,
               "it is for too many devices");
}

TEST(HloDevices, CustomCallsAreNamedOnce) {
  const std::string call = put_bytes(28, "target");
  EXPECT_THAT(devices(module_of(instruction("custom-call", call) + instruction("custom-call", call))).custom_calls,
              ElementsAre("target"));
}

TEST(HloSignature, TuplesNestedTooDeepAreRefused) {
  std::string shape = put_number(2, 11);
  for (int i = 0; i < 101; ++i) shape = put_number(2, 13) + put_bytes(4, shape);
  EXPECT_ERROR(parse_hlo_signature(with_result(shape), "hlo"), InvalidArgument, "shapes are nested too deep");
}

TEST(HloSignature, TuplesOfSensibleDepthAreTakenApart) {
  std::string shape = put_number(2, 11);
  for (int i = 0; i < 99; ++i) shape = put_number(2, 13) + put_bytes(4, shape);
  EXPECT_EQ(value_of(parse_hlo_signature(with_result(shape), "hlo")).results.size(), 1U);
}

TEST(HloSignature, RankIsLimited) {
  EXPECT_ERROR(parse_hlo_signature(with_result(put_number(2, 11) + put_bytes(3, std::string(256, 1))), "hlo"),
               InvalidArgument, "a list of numbers is too long");
}

TEST(HloSignature, SixBitFloatsHaveTypes) {
  EXPECT_EQ(value_of(parse_hlo_signature(with_result(put_number(2, 36)), "hlo")).results.at(0).shape.type,
            ElementType::F6E2M3FN);
  EXPECT_EQ(value_of(parse_hlo_signature(with_result(put_number(2, 35)), "hlo")).results.at(0).shape.type,
            ElementType::F6E3M2FN);
}

}  // namespace
}  // namespace pjrt::proto
