#loc2 = loc("x")
#loc3 = loc("y")
#loc7 = loc("-":9:29)
"builtin.module"() <{sym_name = "gspmd"}> ({
  "func.func"() <{arg_attrs = [{mhlo.sharding = "{devices=[2,2]<=[4]}"}, {mhlo.sharding = "{replicated}", tf.aliasing_output = 1 : i32}], function_type = (tensor<8x6xf32>, tensor<6xf32>) -> (tensor<8x6xf32>, tensor<6xf32>), res_attrs = [{mhlo.sharding = "{devices=[4,1]<=[4]}"}, {}], sym_name = "main", sym_visibility = "public"}> ({
  ^bb0(%arg1: tensor<8x6xf32> loc("x"), %arg2: tensor<6xf32> loc("y")):
    %1 = "func.call"(%arg2) <{callee = @double}> : (tensor<6xf32>) -> tensor<6xf32> loc(#loc4)
    "func.return"(%arg1, %1) : (tensor<8x6xf32>, tensor<6xf32>) -> () loc(#loc5)
  }) : () -> () loc(#loc1)
  "func.func"() <{function_type = (tensor<6xf32>) -> tensor<6xf32>, sym_name = "double", sym_visibility = "private"}> ({
  ^bb0(%arg0: tensor<6xf32> loc("-":9:29)):
    %0 = "stablehlo.add"(%arg0, %arg0) : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32> loc(#loc8)
    "func.return"(%0) : (tensor<6xf32>) -> () loc(#loc9)
  }) : () -> () loc(#loc6)
}) {mhlo.num_partitions = 4 : i32, mhlo.num_replicas = 1 : i32} : () -> () loc(#loc)
#loc = loc("-":2:1)
#loc1 = loc("-":3:3)
#loc4 = loc("-":6:10)
#loc5 = loc("-":7:5)
#loc6 = loc("-":9:3)
#loc8 = loc("-":10:10)
#loc9 = loc("-":11:5)
