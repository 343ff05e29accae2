#include "pjrt/named_value.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/client_options.hpp"
#include "pjrt/client.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::value_of;

// What an initializer becomes is decided by the language's rules for braces, which have surprised before.

void expect_four_devices(const NamedValues& options) {
  ASSERT_EQ(options.size(), 1u);
  EXPECT_EQ(options[0].name, "cpu_device_count");
  ASSERT_NE(options[0].value.int64(), nullptr) << kind_name(options[0].value);
  EXPECT_EQ(*options[0].value.int64(), 4);
}

std::size_t size_of_parameter(const ClientOptions& options) {
  return options.options.size();
}

TEST(NamedValues, OneOptionInBracesOfClientOptions) {
  expect_four_devices(ClientOptions{{{"cpu_device_count", 4}}}.options);
  expect_four_devices(ClientOptions{.options = {{"cpu_device_count", 4}}}.options);
  expect_four_devices(ClientOptions{.options = {{"cpu_device_count", 4}}, .key_value_store = nullptr}.options);
}

TEST(NamedValues, OneOptionInBracesOfAFunctionCall) {
  EXPECT_EQ(size_of_parameter({{{"cpu_device_count", 4}}}), 1u);
}

TEST(NamedValues, OneOptionInItsOwnBraces) {
  expect_four_devices(NamedValues{{"cpu_device_count", 4}});
  expect_four_devices(NamedValues({{"cpu_device_count", 4}}));
  const NamedValues assigned = {{"cpu_device_count", 4}};
  expect_four_devices(assigned);
}

TEST(NamedValues, OneOptionWithItsTypeNamed) {
  expect_four_devices(NamedValues{NamedValue{"cpu_device_count", 4}});
}

TEST(NamedValues, OneOptionAssignedLater) {
  ClientOptions options;
  options.options = {{"cpu_device_count", 4}};
  expect_four_devices(options.options);
}

TEST(NamedValues, OneOptionAdded) {
  NamedValues options;
  options.add("cpu_device_count", 4);
  expect_four_devices(options);
}

TEST(NamedValues, OneStringOptionIsNotAPairOfIterators) {
  const NamedValues options = {{"platform_name", "cuda"}};
  ASSERT_EQ(options.size(), 1u);
  ASSERT_NE(options[0].value.string(), nullptr);
  EXPECT_EQ(*options[0].value.string(), "cuda");
}

TEST(NamedValues, TwoOptions) {
  const ClientOptions options{{{"cpu_device_count", 4}, {"asynchronous", false}}};
  ASSERT_EQ(options.options.size(), 2u);
  EXPECT_EQ(options.options[1], (NamedValue{"asynchronous", false}));
}

TEST(NamedValues, TwoStringOptions) {
  const NamedValues options = {{"a", "b"}, {"c", "d"}};
  ASSERT_EQ(options.size(), 2u);
  EXPECT_EQ(options[1], (NamedValue{"c", "d"}));
}

TEST(NamedValues, NoOptions) {
  EXPECT_TRUE(NamedValues{}.empty());
  EXPECT_TRUE(ClientOptions{}.options.empty());
  EXPECT_TRUE((ClientOptions{.options = {}}).options.empty());
}

TEST(NamedValues, ListOption) {
  const NamedValues options = {{"visible_devices", {0, 2}}};
  ASSERT_NE(options[0].value.int64_list(), nullptr) << kind_name(options[0].value);
  EXPECT_THAT(*options[0].value.int64_list(), ::testing::ElementsAre(0, 2));
}

TEST(NamedValues, ListOptionOfOneStaysAList) {
  const NamedValues options = {{"visible_devices", {3}}};
  ASSERT_NE(options[0].value.int64_list(), nullptr) << kind_name(options[0].value);
  EXPECT_THAT(*options[0].value.int64_list(), ::testing::ElementsAre(3));
}

TEST(NamedValues, FindGivesTheLastOfAName) {
  const NamedValues options = {{"a", 1}, {"b", 2}, {"a", 3}};
  ASSERT_NE(options.find("a"), nullptr);
  EXPECT_EQ(*options.find("a"), Value(3));
  EXPECT_EQ(options.find("c"), nullptr);
}

TEST(Value, KindsFollowTheCxxType) {
  EXPECT_EQ(kind_name(Value("text")), "string");
  EXPECT_EQ(kind_name(Value(std::string("text"))), "string");
  EXPECT_EQ(kind_name(Value(std::string_view("text"))), "string");
  EXPECT_EQ(kind_name(Value(4)), "int64");
  EXPECT_EQ(kind_name(Value(std::uint8_t{4})), "int64");
  EXPECT_EQ(kind_name(Value(4l)), "int64");
  EXPECT_EQ(kind_name(Value(0.5)), "float");
  EXPECT_EQ(kind_name(Value(0.5f)), "float");
  EXPECT_EQ(kind_name(Value(true)), "bool");
  EXPECT_EQ(kind_name(Value(std::vector<std::int64_t>{1})), "int64 list");
}

TEST(Value, TextIsBare) {
  EXPECT_EQ(to_string(Value("bfc")), "bfc");
}
TEST(Value, IntegersAreDecimal) {
  EXPECT_EQ(to_string(Value(-12)), "-12");
}
TEST(Value, ListsStandInBrackets) {
  EXPECT_EQ(to_string(Value({1, 2, 3})), "[1, 2, 3]");
  EXPECT_EQ(to_string(Value(std::vector<std::int64_t>())), "[]");
}
TEST(Value, BooleansAreWords) {
  EXPECT_EQ(to_string(Value(false)), "false");
}
TEST(Value, FloatsAreTheShortestThatReadBack) {
  EXPECT_EQ(to_string(Value(0.1)), "0.1");
  EXPECT_EQ(to_string(Value(1e30)), "1e+30");
}

TEST(Value, NumbersOfDifferentKindsAreNotEqual) {
  EXPECT_NE(Value(1), Value(true));
  EXPECT_NE(Value(1), Value(1.0));
  EXPECT_NE(Value(1), Value({1}));
}

// Client options that the library knows: older plugins abort the process at a wrong kind.

TEST(ClientOptions, WholeNumbersDoForFloats) {
  const NamedValues checked = value_of(detail::check_client_options({{"memory_fraction", 1}}));
  EXPECT_EQ(checked[0].value, Value(1.0));
}
TEST(ClientOptions, WrongKindIsRefusedWithBothKinds) {
  EXPECT_ERROR(detail::check_client_options({{"cpu_device_count", "four"}}), InvalidArgument,
               "client option 'cpu_device_count' takes an integer, not four (string)");
  EXPECT_ERROR(detail::check_client_options({{"asynchronous", 1}}), InvalidArgument, "takes a bool, not 1 (int64)");
  EXPECT_ERROR(detail::check_client_options({{"visible_devices", 1}}), InvalidArgument, "takes a list of integers");
}
TEST(ClientOptions, ThereIsAtLeastOneDevice) {
  EXPECT_ERROR(detail::check_client_options({{"cpu_device_count", 0}}), InvalidArgument, "it lies between 1 and");
}
TEST(ClientOptions, UnknownNamesAreForThePluginToJudge) {
  const NamedValues given = {{"something_new", {1, 2}}};
  EXPECT_EQ(value_of(detail::check_client_options(given)), given);
}

}  // namespace
}  // namespace pjrt
