#include "pjrt/sharding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/data.hpp"
#include "support/matchers.hpp"

namespace pjrt {
namespace {

using test::from_hex;
using test::value_of;
using ::testing::ElementsAre;

using List = std::vector<std::int64_t>;

/// How JAX cuts an array.
struct Case {
  const char* text;
  const char* proto;
  List dims;
  List tile;
  std::vector<List> begins;  // of each partition's tile
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
#include "data/sharding/cases.inc"
  };
  return kCases;
}

void expect_cut_as_jax_cuts(const Sharding& sharding, const Case& c) {
  EXPECT_EQ(sharding.tile_dims(c.dims), Dimensions(c.tile)) << to_string(sharding.tile_dims(c.dims));
  for (std::size_t p = 0; p < c.begins.size(); ++p) {
    const std::optional<Dimensions> begin = sharding.tile_begin(static_cast<std::int64_t>(p), c.dims);
    ASSERT_TRUE(begin) << "partition " << p;
    EXPECT_EQ(*begin, Dimensions(c.begins[p])) << "partition " << p << " begins at " << to_string(*begin);
  }
}

TEST(ShardingOfJax, ThereAreManyCases) {
  EXPECT_GE(cases().size(), 35u);
}

TEST(ShardingOfJax, TextIsCutAsJaxCutsIt) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.text);
    expect_cut_as_jax_cuts(value_of(Sharding::parse_text(c.text, c.dims.size())), c);
  }
}

TEST(ShardingOfJax, ProtoIsCutAsJaxCutsIt) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.text);
    expect_cut_as_jax_cuts(value_of(Sharding::parse(from_hex(c.proto), c.dims.size())), c);
  }
}

// Arrays that do not divide evenly: XLA pads the last tile.

TEST(Sharding, TilesOfUnevenArraysAreRoundedUp) {
  const Sharding s = value_of(Sharding::parse_text("{devices=[4]<=[4]}", 1));
  EXPECT_EQ(s.tile_dims(List{10}), (Dimensions{3}));
  EXPECT_EQ(s.tile_begin(0, List{10}), (Dimensions{0}));
  EXPECT_EQ(s.tile_begin(1, List{10}), (Dimensions{3}));
  EXPECT_EQ(s.tile_begin(3, List{10}), (Dimensions{9}));
}

TEST(Sharding, TilesThatLieOutsideBeginAtTheEnd) {  // 5 elements in tiles of 2: the fourth has none
  const Sharding s = value_of(Sharding::parse_text("{devices=[4]<=[4]}", 1));
  EXPECT_EQ(s.tile_dims(List{5}), (Dimensions{2}));
  EXPECT_EQ(s.tile_begin(2, List{5}), (Dimensions{4}));
  EXPECT_EQ(s.tile_begin(3, List{5}), (Dimensions{5}));
}

TEST(Sharding, ArraysSmallerThanTheTilesHaveOneElementEach) {
  const Sharding s = value_of(Sharding::parse_text("{devices=[2,4]<=[8]}", 2));
  EXPECT_EQ(s.tile_dims(List{1, 3}), (Dimensions{1, 1}));
  EXPECT_EQ(s.tile_begin(5, List{1, 3}), (Dimensions{1, 1}));
}

TEST(Sharding, EmptyDimensionsStayEmpty) {
  const Sharding s = value_of(Sharding::parse_text("{devices=[4]<=[4]}", 1));
  EXPECT_EQ(s.tile_dims(List{0}), (Dimensions{0}));
  EXPECT_EQ(s.tile_begin(3, List{0}), (Dimensions{0}));
}

TEST(Sharding, PartitionsWithoutATileHaveNoBeginning) {
  EXPECT_EQ(value_of(Sharding::parse_text("{devices=[2]<=[2]}", 1)).tile_begin(2, List{4}), std::nullopt);
  EXPECT_EQ(value_of(Sharding::parse_text("{devices=[2]<=[2]}", 1)).tile_begin(-1, List{4}), std::nullopt);
}

TEST(Sharding, MaximalIsWholeOnOnePartition) {
  for (const Sharding& s : {Sharding::maximal(3), value_of(Sharding::parse_text("{maximal device=3}", 2)),
                            value_of(Sharding::parse(from_hex("08 01 22 01 03"), 2))}) {
    EXPECT_FALSE(s.is_replicated());
    EXPECT_EQ(s.tile_dims(List{4, 6}), (Dimensions{4, 6}));
    EXPECT_EQ(s.tile_begin(3, List{4, 6}), (Dimensions{0, 0}));
    EXPECT_EQ(s.tile_begin(0, List{4, 6}), std::nullopt);
  }
}

TEST(Sharding, ReplicatedIsWholeOnEveryPartition) {
  const Sharding s = Sharding::replicated();
  EXPECT_TRUE(s.is_replicated());
  EXPECT_EQ(s.tile_dims(List{4}), (Dimensions{4}));
  EXPECT_EQ(s.tile_begin(17, List{4}), (Dimensions{0}));
  EXPECT_THAT(s.tiles(2), ElementsAre(1, 1));
}

TEST(Sharding, EmptyProtoIsReplicated) {
  EXPECT_EQ(value_of(Sharding::parse("", 2)), Sharding::replicated());
}

TEST(Sharding, OneTileOnManyPartitionsIsReplicated) {
  EXPECT_EQ(value_of(Sharding::parse_text("{devices=[1,1,4]<=[4] last_tile_dim_replicate}", 2)),
            Sharding::replicated());
}

TEST(Sharding, TilesAreThoseOfTheArrayWithoutTheReplicatedOnes) {
  EXPECT_THAT(value_of(Sharding::parse_text("{devices=[2,1,4]<=[8] last_tile_dim_replicate}", 2)).tiles(2),
              ElementsAre(2, 1));
}

TEST(Sharding, FormsOfTheSameAreEqual) {
  const Sharding tiled = value_of(Sharding::tiled({2, 2}, {0, 2, 1, 3}, 2));
  EXPECT_EQ(value_of(Sharding::parse_text("{devices=[2,2]0,2,1,3}", 2)), tiled);
  EXPECT_EQ(value_of(Sharding::parse_text("{devices=[2,2]<=[2,2]T(1,0)}", 2)), tiled);
  EXPECT_NE(value_of(Sharding::parse_text("{devices=[2,2]<=[4]}", 2)), tiled);
}

TEST(Sharding, TupleOfOneIsTheOne) {
  // type: TUPLE, tuple_shardings { type: MAXIMAL tile_assignment_devices: 3 }
  EXPECT_EQ(value_of(Sharding::parse(from_hex("08 02 2a 05 08 01 22 01 03"), 1)), Sharding::maximal(3));
}

TEST(Sharding, MetadataBehindTheTextIsIgnored) {
  EXPECT_EQ(value_of(Sharding::parse_text("{devices=[2]<=[2] metadata={op_name=\"a\"}}", 1)),
            value_of(Sharding::tiled({2}, {0, 1}, 1)));
  EXPECT_EQ(value_of(Sharding::parse_text("{replicated metadata={op_name=\"a\"}}", 1)), Sharding::replicated());
}

TEST(Sharding, TextForPeople) {
  EXPECT_EQ(to_string(Sharding::replicated()), "replicated");
  EXPECT_EQ(to_string(Sharding::maximal(3)), "on partition 3");
  EXPECT_EQ(to_string(value_of(Sharding::tiled({2, 2}, {0, 2, 1, 3}, 2))), "2x2 tiles on partitions 0,2,1,3");
}

// Refusals.

TEST(ShardingRefused, NumbersThatDoNotFit) {
  EXPECT_ERROR(Sharding::tiled({2, 2}, {0, 1, 2}, 2), InvalidArgument, "3 partitions for [2,2] tiles");
  EXPECT_ERROR(Sharding::tiled({2}, {0, 1}, 2), InvalidArgument, "1 tile counts for an array of 2 dimensions");
  EXPECT_ERROR(Sharding::tiled({2}, {1, 1}, 1), InvalidArgument, "a partition stands twice or is negative");
  EXPECT_ERROR(Sharding::tiled({2}, {-1, 0}, 1), InvalidArgument, "a partition stands twice or is negative");
  EXPECT_ERROR(Sharding::tiled({0}, {}, 1), InvalidArgument, "");
  EXPECT_ERROR(Sharding::tiled({-2, -2}, {0, 1, 2, 3}, 2), InvalidArgument, "");
}

class ShardingRefusedText : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Texts, ShardingRefusedText,
                         ::testing::Values("", "{", "{}", "replicated", "{replicated", "{maximal}", "{maximal device=}",
                                           "{maximal device=1,2}", "{maximal device=-1}", "{devices=[2,2]}",
                                           "{devices=[2,2]<=[3]}", "{devices=[2,2]<=[4]T(1)}",
                                           "{devices=[2,2]<=[2,2]T(0,0)}", "{devices=[2,2]<=[2,2]T(0,2)}",
                                           "{devices=[2,2]<=[2,2]T(1,0}", "{devices=[2,2]<=[-4]}",
                                           "{devices=[2,2]<=[0]}", "{devices=[2,2]0,1,2}", "{devices=[2,2]0,1,2,2}",
                                           "{devices=[2,2,2]<=[8]}",  // no replicated dimension is said
                                           "{devices=[4]<=[4]}", "{devices=[2,x]<=[4]}", "{devices=[2,2<=[4]}",
                                           "{devices=[2,4]<=[8] last_tile_dim_replicate}",
                                           "{devices=[2,1,2,2]<=[8] last_tile_dim_replicate}",
                                           "{devices=[2,1,2,2]<=[8] last_tile_dims={replicated}}",
                                           "{devices=[99999999,99999999]<=[9999999800000001]}"));

TEST_P(ShardingRefusedText, IsInvalidArgument) {
  EXPECT_ERROR(Sharding::parse_text(GetParam(), 2), InvalidArgument, "sharding: ");
}

TEST(ShardingRefused, SubgroupsThatAreNotReplicatedAreUnimplemented) {
  EXPECT_ERROR(Sharding::parse_text("{devices=[2,2,2]<=[8] last_tile_dims={manual}}", 2), Unimplemented,
               "manual or unreduced subgroups");
  EXPECT_ERROR(Sharding::parse_text("{devices=[2,2,2]<=[8] last_tile_dims={unreduced}}", 2), Unimplemented,
               "manual or unreduced subgroups");
  EXPECT_ERROR(Sharding::parse_text("{devices=[2,1,2,2]<=[4,2]T(1,0) last_tile_dims={manual, replicated}}", 2),
               Unimplemented, "subgroups");
  // As jaxlib writes the same.
  EXPECT_ERROR(Sharding::parse(from_hex("08031a030202024201044a0108520100"), 2), Unimplemented,
               "manual or unreduced subgroups");
  EXPECT_ERROR(Sharding::parse(from_hex("08031a030202024201064a0108520100"), 2), Unimplemented,
               "manual or unreduced subgroups");
}

TEST(ShardingRefused, ManualUnreducedAndUnknownAreUnimplemented) {
  for (const char* text : {"{manual}", "{unreduced}", "{unknown}"})
    EXPECT_ERROR(Sharding::parse_text(text, 1), Unimplemented, "do not say how an array is cut");
  for (const char* proto : {"0804", "0806", "0805"})
    EXPECT_ERROR(Sharding::parse(from_hex(proto), 1), Unimplemented, "do not say how an array is cut");
}

TEST(ShardingRefused, Protos) {
  EXPECT_ERROR(Sharding::parse("no protobuf", 1), InvalidArgument, "not a serialized OpSharding");
  EXPECT_ERROR(Sharding::parse(from_hex("08 01"), 1), InvalidArgument, "maximal, but on 0 devices");
  EXPECT_ERROR(Sharding::parse(from_hex("08 01 22 02 00 01"), 1), InvalidArgument, "maximal, but on 2 devices");
  EXPECT_ERROR(Sharding::parse(from_hex("08 01 20 ff ff ff ff ff ff ff ff ff 01"), 1), InvalidArgument,
               "on partition -1");
  EXPECT_ERROR(Sharding::parse(from_hex("08 02 2a 00 2a 00"), 1), InvalidArgument,
               "a tuple of 2 where one was expected");
  EXPECT_ERROR(Sharding::parse(from_hex("08 03 1a 02 02 02 22 04 00 01 02 03"), 1), InvalidArgument,
               "2 tile counts for an array of 1 dimensions");
  EXPECT_ERROR(Sharding::parse(from_hex("08 03 1a 02 02 02 4a 01 05 52 01 00"), 2), InvalidArgument, "5 partitions");
  EXPECT_ERROR(Sharding::parse(from_hex("08 03 1a 02 02 02 4a 02 02 02 52 02 00 07"), 2), InvalidArgument,
               "is not a permutation");
}

TEST(ShardingRefused, TuplesInTuples) {
  EXPECT_ERROR(Sharding::parse(from_hex("08 02 2a 06 08 02 2a 02 08 00"), 1), InvalidArgument, "a tuple in a tuple");
}

}  // namespace
}  // namespace pjrt
