// mhlo.num_partitions = 7 : i32, sdy.mesh
module @replicas attributes {jax.note = "mhlo.num_partitions = 5 : i32", mhlo.num_replicas = 2 : i32} {
  func.func public @main(%x: tensor<3xf32> loc("mhlo.num_replicas = 9"))
      -> (tensor<3xf32> {jax.result_info = "sdy.sharding"}) attributes {mhlo.num_partitions = 4 : i32} {
    %0 = "stablehlo.all_reduce"(%x) ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %s = stablehlo.add %a, %b : tensor<f32>
      stablehlo.return %s : tensor<f32>
    }) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<3xf32>) -> tensor<3xf32>
    return %0 : tensor<3xf32>
  }
}