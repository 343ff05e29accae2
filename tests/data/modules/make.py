"""Writes one module in every form that StableHLO goes about in, with the facts that MLIR itself tells of it.

    python3 make.py            (jax 0.10.2)

For NAME in PROGRAMS: NAME.mlir (pretty, with locations), NAME.generic.mlir, NAME.mlirbc (MLIR's own bytecode),
NAME.bytecode_N.mlirbc (older versions of it), NAME.VERSION.mlirbc (portable artifacts), all facts in facts.json, and replicas.hlo.pb.
"""

import io
import json
import pathlib

from jax._src.interpreters import mlir
from jax._src.lib import xla_client
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

HERE = pathlib.Path(__file__).parent

PROGRAMS = {
    # Words that must not count: in a comment, a location, a string, and an attribute of another operation.
    "replicas": dict(
        text='''
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
}''',
        replicas=2, partitions=1, shardy=False, targets=["0.9.0", "1.0.0", "1.17.0"]),
    "gspmd": dict(
        text='''
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
}''',
        replicas=1, partitions=4, shardy=False, targets=["0.9.0", "0.17.0", "1.0.0", "1.17.0"],
        shardings=["2x2 tiles on partitions 0,1,2,3", "replicated", "4x1 tiles on partitions 0,1,2,3", None],
        donated=[1]),
    "shardy": dict(
        text='''
module @shardy attributes {mhlo.num_partitions = 8 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["x"=2, "y"=4]>
  func.func public @main(%a: tensor<8x8xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"y"}, {}]>, jax.buffer_donor = true} loc("a"),
                         %b: tensor<8x8xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {"y", "x"}]>} loc("b"))
      -> (tensor<8x8xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"x"}, {"y"}]>}) {
    %0 = stablehlo.add %a, %b : tensor<8x8xf32>
    return %0 : tensor<8x8xf32>
  }
}''',
        replicas=1, partitions=8, shardy=True, targets=["1.17.0"],
        # Devices are numbered along y first: (x, y) is 4 x + y.
        shardings=["4x1 tiles on partitions 0,4,1,5,2,6,3,7", "1x8 tiles on partitions 0,4,1,5,2,6,3,7",
                   "2x4 tiles on partitions 0,1,2,3,4,5,6,7"],
        donated=[0]),
    "carried_shardy": dict(  # as JAX wrote Shardy's words into StableHLO in 2025
        text='''
module @carried attributes {mhlo.frontend_attributes = {xla.sdy.meshes = "{mesh = #sdy.mesh<[\\22x\\22=2]>}"}, mhlo.num_partitions = 2 : i32} {
  func.func public @main(%a: tensor<8xf32> {mhlo.frontend_attributes = {xla.sdy.sharding = "#sdy.sharding<@mesh, [{\\22x\\22}]>"}, mhlo.sharding = "{devices=[2]<=[2]}"}) -> tensor<8xf32> {
    return %a : tensor<8xf32>
  }
}''',
        replicas=1, partitions=2, shardy=True, targets=["1.0.0", "1.17.0"],
        shardings=["2 tiles on partitions 0,1", None]),
    "types": dict(
        text='''
func.func @main(%0: tensor<i1>, %1: tensor<2xi4>, %2: tensor<1x0xui8>, %3: tensor<i64>, %4: tensor<bf16>,
    %5: tensor<3xcomplex<f64>>, %6: tensor<2xf8E4M3B11FNUZ>, %7: tensor<4xf6E2M3FN>, %8: tensor<4xf6E3M2FN>,
    %9: tensor<f4E2M1FN>, %10: tensor<f8E8M0FNU>, %11: !stablehlo.token, %12: tuple<tensor<2xui8>, tuple<>>,
    %13: tensor<?x4xf32>, %14: tensor<?x4xf32, #stablehlo.bounds<9, ?>>, %15: tensor<ui2>, %16: tensor<f8E3M4>) -> tensor<i1> {
  return %0 : tensor<i1>
}''',
        replicas=1, partitions=1, shardy=False, targets=["1.17.0"],
        shown=["pred[]", "s4[2]", "u8[1,0]", "s64[]", "bf16[]", "c128[3]", "f8e4m3b11fnuz[2]", "f6e2m3fn[4]", "f6e3m2fn[4]",
               "f4e2m1fn[]", "f8e8m0fnu[]", "token[]", "tuple<tensor<2xui8>, tuple<>>", "f32[?,4]", "f32[?,4]", "u2[]",
               "f8e3m4[]", "pred[]"],
        unbounded=[13]),
    "custom_calls": dict(
        text='''
module @custom_calls {
  func.func @main(%a: tensor<3xf32>) -> tensor<3xf32> {
    // stablehlo.custom_call @in_a_comment
    %0 = stablehlo.custom_call @first(%a) {backend_config = "call_target_name = third"} : (tensor<3xf32>) -> tensor<3xf32>
    %1 = stablehlo.custom_call @"the second"(%0) {called_computations = [@helper]} : (tensor<3xf32>) -> tensor<3xf32>
    %2 = stablehlo.composite "lib.op" %1 {decomposition = @helper, version = 1 : i32} : (tensor<3xf32>) -> tensor<3xf32>
    return %2 : tensor<3xf32>
  }
  func.func private @helper(%a: tensor<3xf32>) -> tensor<3xf32> { return %a : tensor<3xf32> }
}''',
        replicas=1, partitions=1, shardy=False, targets=["1.0.0", "1.17.0"], custom_calls=["first", "the second"]),
    "dangling": dict(
        text='''
module @dangling {
  func.func @main(%a: tensor<3xf32>) -> tensor<3xf32> {
    %0 = stablehlo.custom_call @first(%a) {called_computations = [@nowhere], jax.note = @also_nowhere} : (tensor<3xf32>) -> tensor<3xf32>
    return %0 : tensor<3xf32>
  }
}''',
        replicas=1, partitions=1, shardy=False, targets=[], custom_calls=["first"], missing=["nowhere"]),
    "unbounded_call": dict(
        text='''
module @unbounded_call {
  func.func @main(%a: tensor<3xf32>) -> tensor<3xf32> {
    %0 = stablehlo.custom_call @f(%a) : (tensor<3xf32>) -> tensor<?xf32>
    %1 = stablehlo.convert %0 : (tensor<?xf32>) -> tensor<3xf32>
    return %1 : tensor<3xf32>
  }
}''',
        replicas=1, partitions=1, shardy=False, targets=["1.17.0"], custom_calls=["f"],
        unbounded_calls=["@f gives f32[?]"]),
}


def name_of(location):
    text = str(location)
    return json.loads(text[4:-1]) if text.startswith('loc("') and text.endswith('")') else ""


def facts(name, program):
    module = ir.Module.parse(program["text"])
    main = next(op for op in module.body if op.operation.name == "func.func" and str(op.sym_name) == '"main"')
    inputs, outputs = main.type.inputs, main.type.results
    return {
        "name": name,
        "module": str(module.operation.attributes["sym_name"]).strip('"') if "sym_name" in module.operation.attributes else "",
        "replicas": program["replicas"],
        "partitions": program["partitions"],
        "shardy": program["shardy"],
        "inputs": len(inputs),
        "outputs": len(outputs),
        "types": [str(t) for t in (*inputs, *outputs)],
        "shown": program.get("shown"),
        "names": [name_of(a.location) for a in main.arguments],
        "donated": program.get("donated", []),
        "unbounded": program.get("unbounded", []),
        "shardings": program.get("shardings"),
        "custom_calls": program.get("custom_calls", []),
        "missing": program.get("missing", []),
        "unbounded_calls": program.get("unbounded_calls", []),
        "forms": forms(name, program, module),
    }


def forms(name, program, module):
    written = []

    def write(suffix, data):
        (HERE / f"{name}{suffix}").write_bytes(data)
        written.append(f"{name}{suffix}")

    def bytecode(version):
        out = io.BytesIO()
        module.operation.write_bytecode(out, desired_version=version)
        return out.getvalue()

    write(".mlir", program["text"].lstrip().encode())
    write(".printed.mlir", module.operation.get_asm(enable_debug_info=True).encode())
    write(".generic.mlir", module.operation.get_asm(enable_debug_info=True, print_generic_op_form=True).encode())
    write(".mlirbc", bytecode(6))
    for version in range(0, 6):
        write(f".bytecode_{version}.mlirbc", bytecode(version))
    for target in program["targets"]:
        write(f".{target}.mlirbc", stablehlo.serialize_portable_artifact(ir.Module.parse(program["text"]), target, True))
    return written


if __name__ == "__main__":
    with mlir.make_ir_context() as context:
        context.allow_unregistered_dialects = True
        result = [facts(name, program) for name, program in PROGRAMS.items()]
    hlo = xla_client._xla.mlir.mlir_module_to_xla_computation(PROGRAMS["replicas"]["text"], False, False)
    (HERE / "replicas.hlo.pb").write_bytes(hlo.as_serialized_hlo_module_proto())
    (HERE / "facts.json").write_text(json.dumps(result, indent=1) + "\n")
