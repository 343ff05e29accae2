#loc3 = loc("a")
#loc4 = loc("b")
module @shardy attributes {mhlo.num_partitions = 8 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["x"=2, "y"=4]> loc(#loc1)
  func.func public @main(%arg0: tensor<8x8xf32> {jax.buffer_donor = true, sdy.sharding = #sdy.sharding<@mesh, [{"y"}, {}]>} loc("a"), %arg1: tensor<8x8xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {"y", "x"}]>} loc("b")) -> (tensor<8x8xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"x"}, {"y"}]>}) {
    %0 = stablehlo.add %arg0, %arg1 : tensor<8x8xf32> loc(#loc5)
    return %0 : tensor<8x8xf32> loc(#loc6)
  } loc(#loc2)
} loc(#loc)
#loc = loc("-":2:1)
#loc1 = loc("-":3:3)
#loc2 = loc("-":4:3)
#loc5 = loc("-":7:10)
#loc6 = loc("-":8:5)
