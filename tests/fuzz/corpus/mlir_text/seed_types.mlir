func.func @main(%0: tensor<i1>, %1: tensor<2xi4>, %2: tensor<1x0xui8>, %3: tensor<i64>, %4: tensor<bf16>,
    %5: tensor<3xcomplex<f64>>, %6: tensor<2xf8E4M3B11FNUZ>, %7: tensor<4xf6E2M3FN>, %8: tensor<4xf6E3M2FN>,
    %9: tensor<f4E2M1FN>, %10: tensor<f8E8M0FNU>, %11: !stablehlo.token, %12: tuple<tensor<2xui8>, tuple<>>,
    %13: tensor<?x4xf32>, %14: tensor<?x4xf32, #stablehlo.bounds<9, ?>>, %15: tensor<ui2>, %16: tensor<f8E3M4>) -> tensor<i1> {
  return %0 : tensor<i1>
}