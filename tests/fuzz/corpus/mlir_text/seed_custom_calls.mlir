module @custom_calls {
  func.func @main(%a: tensor<3xf32>) -> tensor<3xf32> {
    // stablehlo.custom_call @in_a_comment
    %0 = stablehlo.custom_call @first(%a) {backend_config = "call_target_name = third"} : (tensor<3xf32>) -> tensor<3xf32>
    %1 = stablehlo.custom_call @"the second"(%0) {called_computations = [@helper]} : (tensor<3xf32>) -> tensor<3xf32>
    %2 = stablehlo.composite "lib.op" %1 {decomposition = @helper, version = 1 : i32} : (tensor<3xf32>) -> tensor<3xf32>
    return %2 : tensor<3xf32>
  }
  func.func private @helper(%a: tensor<3xf32>) -> tensor<3xf32> { return %a : tensor<3xf32> }
}