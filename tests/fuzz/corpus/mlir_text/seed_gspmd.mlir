module @gspmd attributes {mhlo.num_partitions = 4 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%x: tensor<8x6xf32> {mhlo.sharding = "{devices=[2,2]<=[4]}"} loc("x"),
                         %y: tensor<6xf32> {mhlo.sharding = "{replicated}", tf.aliasing_output = 1 : i32} loc("y"))
      -> (tensor<8x6xf32> {mhlo.sharding = "{devices=[4,1]<=[4]}"}, tensor<6xf32>) {
    %0 = func.call @double(%y) : (tensor<6xf32>) -> tensor<6xf32>
    return %x, %0 : tensor<8x6xf32>, tensor<6xf32>
  }
  func.func private @double(%a: tensor<6xf32>) -> tensor<6xf32> {
    %0 = stablehlo.add %a, %a : tensor<6xf32>
    return %0 : tensor<6xf32>
  }
}