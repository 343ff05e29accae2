// Transfers between the devices of different processes: who has them. What they do needs devices, or the fake plugin.

#include <gtest/gtest.h>

#include <string>

#include "pjrt/ext/cross_host_transfers.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using ext::CrossHostTransfers;
using test::value_of;

class CrossHostTransfersOf : public ::testing::TestWithParam<std::string> {};

// Of the second version at least: the first had two functions, which took other arguments.
TEST_P(CrossHostTransfersOf, HaveFourFunctions) {
  REQUIRE_PLUGIN(GetParam());
  const auto transfers = value_of(CrossHostTransfers::of(test::counted_plugin(GetParam())));
  EXPECT_EQ(transfers.info().functions, 4);
  EXPECT_EQ(transfers.info().unknown_functions, 0);
}

INSTANTIATE_TEST_SUITE_P(Plugins, CrossHostTransfersOf, ::testing::Values("tpu", "cuda"));

class NoCrossHostTransfersOf : public ::testing::TestWithParam<std::string> {};

TEST_P(NoCrossHostTransfersOf, SaysWhoHasThem) {
  REQUIRE_PLUGIN(GetParam());
  EXPECT_ERROR(CrossHostTransfers::of(test::counted_plugin(GetParam())), Unimplemented,
               "has no CrossHostTransfers extension; TPU and CUDA plugins have it");
}

INSTANTIATE_TEST_SUITE_P(Plugins, NoCrossHostTransfersOf,
                         ::testing::Values("cpu", "cpu-0.106", "cpu-0.81", "tpu-0.75"));

}  // namespace
}  // namespace pjrt
