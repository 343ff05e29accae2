#loc2 = loc("-":3:19)
"builtin.module"() <{sym_name = "dangling"}> ({
  "func.func"() <{function_type = (tensor<3xf32>) -> tensor<3xf32>, sym_name = "main"}> ({
  ^bb0(%arg0: tensor<3xf32> loc("-":3:19)):
    %0 = "stablehlo.custom_call"(%arg0) <{call_target_name = "first", called_computations = [@nowhere]}> {jax.note = @also_nowhere} : (tensor<3xf32>) -> tensor<3xf32> loc(#loc3)
    "func.return"(%0) : (tensor<3xf32>) -> () loc(#loc4)
  }) : () -> () loc(#loc1)
}) : () -> () loc(#loc)
#loc = loc("-":2:1)
#loc1 = loc("-":3:3)
#loc3 = loc("-":4:10)
#loc4 = loc("-":5:5)
