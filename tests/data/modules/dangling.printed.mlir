#loc2 = loc("-":3:19)
module @dangling {
  func.func @main(%arg0: tensor<3xf32> loc("-":3:19)) -> tensor<3xf32> {
    %0 = stablehlo.custom_call @first(%arg0) {called_computations = [@nowhere], jax.note = @also_nowhere} : (tensor<3xf32>) -> tensor<3xf32> loc(#loc3)
    return %0 : tensor<3xf32> loc(#loc4)
  } loc(#loc1)
} loc(#loc)
#loc = loc("-":2:1)
#loc1 = loc("-":3:3)
#loc3 = loc("-":4:10)
#loc4 = loc("-":5:5)
