#loc2 = loc("-":3:19)
"builtin.module"() <{sym_name = "unbounded_call"}> ({
  "func.func"() <{function_type = (tensor<3xf32>) -> tensor<3xf32>, sym_name = "main"}> ({
  ^bb0(%arg0: tensor<3xf32> loc("-":3:19)):
    %0 = "stablehlo.custom_call"(%arg0) <{call_target_name = "f"}> : (tensor<3xf32>) -> tensor<?xf32> loc(#loc3)
    %1 = "stablehlo.convert"(%0) : (tensor<?xf32>) -> tensor<3xf32> loc(#loc4)
    "func.return"(%1) : (tensor<3xf32>) -> () loc(#loc5)
  }) : () -> () loc(#loc1)
}) : () -> () loc(#loc)
#loc = loc("-":2:1)
#loc1 = loc("-":3:3)
#loc3 = loc("-":4:10)
#loc4 = loc("-":5:10)
#loc5 = loc("-":6:5)
