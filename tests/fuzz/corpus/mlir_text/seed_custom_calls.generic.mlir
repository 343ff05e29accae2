#loc2 = loc("-":3:19)
#loc8 = loc("-":10:29)
"builtin.module"() <{sym_name = "custom_calls"}> ({
  "func.func"() <{function_type = (tensor<3xf32>) -> tensor<3xf32>, sym_name = "main"}> ({
  ^bb0(%arg1: tensor<3xf32> loc("-":3:19)):
    %0 = "stablehlo.custom_call"(%arg1) <{backend_config = "call_target_name = third", call_target_name = "first"}> : (tensor<3xf32>) -> tensor<3xf32> loc(#loc3)
    %1 = "stablehlo.custom_call"(%0) <{call_target_name = "the second", called_computations = [@helper]}> : (tensor<3xf32>) -> tensor<3xf32> loc(#loc4)
    %2 = "stablehlo.composite"(%1) <{decomposition = @helper, name = "lib.op", version = 1 : i32}> : (tensor<3xf32>) -> tensor<3xf32> loc(#loc5)
    "func.return"(%2) : (tensor<3xf32>) -> () loc(#loc6)
  }) : () -> () loc(#loc1)
  "func.func"() <{function_type = (tensor<3xf32>) -> tensor<3xf32>, sym_name = "helper", sym_visibility = "private"}> ({
  ^bb0(%arg0: tensor<3xf32> loc("-":10:29)):
    "func.return"(%arg0) : (tensor<3xf32>) -> () loc(#loc9)
  }) : () -> () loc(#loc7)
}) : () -> () loc(#loc)
#loc = loc("-":2:1)
#loc1 = loc("-":3:3)
#loc3 = loc("-":5:10)
#loc4 = loc("-":6:10)
#loc5 = loc("-":7:10)
#loc6 = loc("-":8:5)
#loc7 = loc("-":10:3)
#loc9 = loc("-":10:67)
