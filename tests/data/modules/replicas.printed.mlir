#loc2 = loc("mhlo.num_replicas = 9")
#loc4 = loc("-":7:10)
#loc5 = loc("-":7:27)
module @replicas attributes {jax.note = "mhlo.num_partitions = 5 : i32", mhlo.num_replicas = 2 : i32} {
  func.func public @main(%arg0: tensor<3xf32> loc("mhlo.num_replicas = 9")) -> (tensor<3xf32> {jax.result_info = "sdy.sharding"}) attributes {mhlo.num_partitions = 4 : i32} {
    %0 = "stablehlo.all_reduce"(%arg0) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%arg1: tensor<f32> loc("-":7:10), %arg2: tensor<f32> loc("-":7:27)):
      %1 = stablehlo.add %arg1, %arg2 : tensor<f32> loc(#loc6)
      stablehlo.return %1 : tensor<f32> loc(#loc7)
    }) : (tensor<3xf32>) -> tensor<3xf32> loc(#loc3)
    return %0 : tensor<3xf32> loc(#loc8)
  } loc(#loc1)
} loc(#loc)
#loc = loc("-":3:1)
#loc1 = loc("-":4:3)
#loc3 = loc("-":6:10)
#loc6 = loc("-":8:12)
#loc7 = loc("-":9:7)
#loc8 = loc("-":11:5)
