#loc3 = loc("a")
#loc4 = loc("b")
"builtin.module"() <{sym_name = "shardy"}> ({
  "sdy.mesh"() <{mesh = #sdy.mesh<["x"=2, "y"=4]>, sym_name = "mesh"}> : () -> () loc(#loc1)
  "func.func"() <{arg_attrs = [{jax.buffer_donor = true, sdy.sharding = #sdy.sharding<@mesh, [{"y"}, {}]>}, {sdy.sharding = #sdy.sharding<@mesh, [{}, {"y", "x"}]>}], function_type = (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>, res_attrs = [{sdy.sharding = #sdy.sharding<@mesh, [{"x"}, {"y"}]>}], sym_name = "main", sym_visibility = "public"}> ({
  ^bb0(%arg0: tensor<8x8xf32> loc("a"), %arg1: tensor<8x8xf32> loc("b")):
    %0 = "stablehlo.add"(%arg0, %arg1) : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32> loc(#loc5)
    "func.return"(%0) : (tensor<8x8xf32>) -> () loc(#loc6)
  }) : () -> () loc(#loc2)
}) {mhlo.num_partitions = 8 : i32, mhlo.num_replicas = 1 : i32} : () -> () loc(#loc)
#loc = loc("-":2:1)
#loc1 = loc("-":3:3)
#loc2 = loc("-":4:3)
#loc5 = loc("-":7:10)
#loc6 = loc("-":8:5)
