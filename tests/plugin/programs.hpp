#pragma once

/// Small programs that several tests run, in StableHLO. Their results can be reckoned by hand.

namespace pjrt::test {

/// f32[3] + f32[3].
inline constexpr const char* kAdd = R"(
module @add {
  func.func public @main(%a: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<3xf32> {
    %sum = stablehlo.add %a, %b : tensor<3xf32>
    return %sum : tensor<3xf32>
  }
})";

/// The same; the sum takes the memory of the first argument.
inline constexpr const char* kAddTo = R"(
module @add_to {
  func.func public @main(%a: tensor<3xf32> {tf.aliasing_output = 0 : i32}, %b: tensor<3xf32>) -> tensor<3xf32> {
    %sum = stablehlo.add %a, %b : tensor<3xf32>
    return %sum : tensor<3xf32>
  }
})";

/// 2 x, for f32[3].
inline constexpr const char* kDouble = R"(
module @double {
  func.func public @main(%x: tensor<3xf32>) -> tensor<3xf32> {
    %twice = stablehlo.add %x, %x : tensor<3xf32>
    return %twice : tensor<3xf32>
  }
})";

/// Takes f32[3] and gives nothing.
inline constexpr const char* kNoOutputs = R"(
module @no_outputs {
  func.func public @main(%x: tensor<3xf32>) {
    return
  }
})";

/// On 4 partitions, each with f32[2]: the sum of all of them, everywhere.
inline constexpr const char* kAllReduce = R"(
module @all_reduce attributes {mhlo.num_partitions = 4 : i32} {
  func.func public @main(%x: tensor<2xf32> {mhlo.sharding = "{manual}"}) -> (tensor<2xf32> {mhlo.sharding = "{manual}"}) {
    %sum = "stablehlo.all_reduce"(%x) ({
      ^bb0(%a: tensor<f32>, %b: tensor<f32>):
        %s = stablehlo.add %a, %b : tensor<f32>
        stablehlo.return %s : tensor<f32>
    }) {replica_groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>, channel_handle = #stablehlo.channel_handle<handle = 1, type = 0>,
        use_global_device_ids} : (tensor<2xf32>) -> tensor<2xf32>
    return %sum : tensor<2xf32>
  }
})";

/// f32[8,2] + f32[8,2] on 4 partitions: two rows of the first and of the sum to each, all of the second.
inline constexpr const char* kShardedAdd = R"(
module @sharded_add attributes {mhlo.num_partitions = 4 : i32} {
  func.func public @main(%a: tensor<8x2xf32> {mhlo.sharding = "{devices=[4,1]<=[4]}"}, %b: tensor<8x2xf32> {mhlo.sharding = "{replicated}"})
      -> (tensor<8x2xf32> {mhlo.sharding = "{devices=[4,1]<=[4]}"}) {
    %sum = stablehlo.add %a, %b : tensor<8x2xf32>
    return %sum : tensor<8x2xf32>
  }
})";

}  // namespace pjrt::test
