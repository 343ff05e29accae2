#loc2 = loc("mhlo.num_replicas = 9")
#loc4 = loc("-":7:10)
#loc5 = loc("-":7:27)
"builtin.module"() <{sym_name = "replicas"}> ({
  "func.func"() <{function_type = (tensor<3xf32>) -> tensor<3xf32>, res_attrs = [{jax.result_info = "sdy.sharding"}], sym_name = "main", sym_visibility = "public"}> ({
  ^bb0(%arg0: tensor<3xf32> loc("mhlo.num_replicas = 9")):
    %0 = "stablehlo.all_reduce"(%arg0) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%arg1: tensor<f32> loc("-":7:10), %arg2: tensor<f32> loc("-":7:27)):
      %1 = "stablehlo.add"(%arg1, %arg2) : (tensor<f32>, tensor<f32>) -> tensor<f32> loc(#loc6)
      "stablehlo.return"(%1) : (tensor<f32>) -> () loc(#loc7)
    }) : (tensor<3xf32>) -> tensor<3xf32> loc(#loc3)
    "func.return"(%0) : (tensor<3xf32>) -> () loc(#loc8)
  }) {mhlo.num_partitions = 4 : i32} : () -> () loc(#loc1)
}) {jax.note = "mhlo.num_partitions = 5 : i32", mhlo.num_replicas = 2 : i32} : () -> () loc(#loc)
#loc = loc("-":3:1)
#loc1 = loc("-":4:3)
#loc3 = loc("-":6:10)
#loc6 = loc("-":8:12)
#loc7 = loc("-":9:7)
#loc8 = loc("-":11:5)
