"""Makes the zoo: tiny jax.export artifacts that together show every trait a reader and a runner must know.

For each case of zoo/*.py: NAME.jaxexp, NAME.inputs.npz, and NAME.outputs.npz (what JAX computes on CPU) unless the case must be
refused; NAME.outputs.PLATFORM.npz where another platform gives another answer. cases.json tells about all of them. Arrays are
keyed as models/artifact.py says. older/ has a few artifacts of older releases of JAX, made by a script of its own.

    python make.py                 makes everything, then checks it in a fresh process
    python make.py --check         only checks: reads each artifact back, calls it and compares
"""

from __future__ import annotations

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import json
import re
import subprocess
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "models")]

import artifact
import jax
import numpy as np
import zoo
from jax import export
from jax._src import config
from jax._src.interpreters import mlir
from jaxlib.mlir import ir

INTEGERS = {f"{sign}int{bits}": f"{'u' if sign else 's'}{bits}" for sign in ("", "u") for bits in (4, 8, 16, 32, 64)}
FLOATS = {
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
    "complex64": "c64",
    "complex128": "c128",
}
XLA_NAMES = {"bool": "pred"} | INTEGERS | FLOATS
TOLERANCES = {"f64": 1e-12, "c128": 1e-12, "f32": 1e-5, "c64": 1e-5, "f16": 2e-3, "bf16": 2e-2}


def xla_name(dtype: np.dtype) -> str:
    return XLA_NAMES.get(dtype.name) or re.sub(r"^float(\d)_", r"f\1", dtype.name)


def files_of(name: str) -> artifact.Files:
    return artifact.Files(HERE / f"{name}.jaxexp", HERE / f"{name}.inputs.npz", HERE / f"{name}.outputs.npz")


def settings(case: zoo.Case) -> ExitStack:
    """The JAX settings the case is exported under."""
    stack = ExitStack()
    stack.enter_context(jax.enable_x64(case.x64))
    stack.enter_context(config.use_shardy_partitioner(case.shardy))
    if case.calling_convention:
        stack.enter_context(config.jax_export_calling_convention_version(case.calling_convention))
    warnings.filterwarnings("ignore", "Some donated buffers were not usable")
    return stack


def argument_attributes(exported: export.Exported) -> list[set[str]]:
    """For each array argument of the module's main: the names of its attributes."""
    with mlir.make_ir_context():
        module = exported.mlir_module(serialized=False)
        main = next(op for op in module.body if ir.StringAttr(op.attributes["sym_name"]).value == "main")
        attributes = [set() for _ in main.arguments]
        if "arg_attrs" in main.attributes:
            attributes = [{a.name for a in ir.DictAttr(d)} for d in main.attributes["arg_attrs"]]
    return attributes[(len(exported.platforms) > 1) + len(exported.ordered_effects) :]


def leaf_description(path: str, aval: jax.core.ShapedArray) -> dict:
    if artifact.is_key(aval.dtype):
        key = aval.dtype._impl
        return {"path": path, "type": "u32", "shape": [*aval.shape, *key.key_shape], "key": key.tag}
    return {
        "path": path,
        "type": xla_name(aval.dtype),
        "shape": [d if isinstance(d, int) else str(d) for d in aval.shape],
    }


def add_shardings(leaves: list[dict], shardings: list, avals: tuple) -> None:
    """The partition of each leaf (mesh axes of each dimension; null: unspecified) and what each device holds of it."""
    for leaf, sharding, aval in zip(leaves, shardings, avals):
        leaf["sharding"] = None
        if sharding is None:
            continue
        axes = [[] if d is None else [d] if isinstance(d, str) else list(d) for d in sharding.spec]
        axes += [[]] * (aval.ndim - len(axes))
        leaf["sharding"] = {"mesh": [list(axis) for axis in sharding.mesh.shape.items()], "axes": axes}
        pieces = sharding.devices_indices_map(aval.shape)
        leaf["pieces"] = [
            [list(s.indices(n)[:2]) for s, n in zip(pieces[d], aval.shape)] for d in sharding.mesh.devices.flat
        ]


def describe(case: zoo.Case, exported: export.Exported) -> dict:
    args, kwargs = jax.tree_util.tree_unflatten(exported.in_tree, range(len(exported.in_avals)))
    result = jax.tree_util.tree_unflatten(exported.out_tree, range(len(exported.out_avals)))
    inputs = [leaf_description(p, a) for (p, _), a in zip(artifact.input_leaves(args, kwargs), exported.in_avals)]
    outputs = [leaf_description(p, a) for (p, _), a in zip(artifact.output_leaves(result), exported.out_avals)]
    if exported.nr_devices > 1:
        mesh = artifact.mesh_of(exported)
        add_shardings(inputs, exported.in_shardings_jax(mesh), exported.in_avals)
        add_shardings(outputs, exported.out_shardings_jax(mesh), exported.out_avals)
    for number, leaf in enumerate(inputs):
        leaf["kept"] = number in exported.module_kept_var_idx
    donations = [bool({"tf.aliasing_output", "jax.buffer_donor"} & names) for names in argument_attributes(exported)]
    donated = [inputs[kept]["path"] for kept, gone in zip(exported.module_kept_var_idx, donations) if gone]
    tolerance = max((TOLERANCES.get(leaf["type"], 0.0) for leaf in outputs), default=0.0)
    description = {
        "name": case.name,
        "what": case.what,
        "expect": "refuse" if case.refuse else "run",
        "reason": case.refuse,
        "platforms": list(exported.platforms),
        "nr_devices": exported.nr_devices,
        "calling_convention_version": exported.calling_convention_version,
        "x64": case.x64,
        "inputs": inputs,
        "outputs": outputs,
        "donated": donated,
        "custom_calls": sorted(set(re.findall(r"custom_call @([\w.$]+)", exported.mlir_module()))),
        "ordered_effects": [str(type(effect)) for effect in exported.ordered_effects],
        "disabled_checks": [str(check) for check in exported.disabled_safety_checks],
        "has_vjp": case.vjp_order > 0,
        "rtol": tolerance if case.rtol is None else case.rtol,
        "atol": float(f"{tolerance / 10:.0e}") if case.atol is None else case.atol,
        "notes": case.notes,
    }
    return {name: value for name, value in description.items() if value is not None}


def make(case: zoo.Case) -> dict:
    files = files_of(case.name)
    program = artifact.Program(case.function, case.args, case.kwargs, case.platforms)
    with settings(case):
        if case.specs:
            exported = artifact.save(files, artifact.Program(case.function, case.specs, platforms=case.platforms))
        else:
            exported = artifact.save(files, program, case.vjp_order, disabled_checks=case.disabled_checks)
        if case.fortran or case.specs:
            order = np.asfortranarray if case.fortran else np.asarray
            artifact.write_npz(
                files.inputs, [(p, order(leaf)) for p, leaf in artifact.input_leaves(case.args, case.kwargs)]
            )
        if not case.refuse:
            artifact.write_npz(files.outputs, artifact.output_leaves(case.function(*case.args, **case.kwargs)))
        for platform, function in case.by_platform.items():
            artifact.write_npz(
                HERE / f"{case.name}.outputs.{platform}.npz",
                artifact.output_leaves(function(*case.args, **case.kwargs)),
            )
        return describe(case, exported)


def older_cases() -> list[zoo.Case]:
    """What older/make.py made, under releases of JAX other than this one."""
    cases = []
    for path in sorted(HERE.glob("older/*.jaxexp")):
        name, release = path.stem.split(".jax-")
        cases.append(zoo.Case(f"older/{path.stem}", f"{name} of older/make.py, as JAX {release} wrote it"))
    return cases


def describe_older(case: zoo.Case) -> dict:
    return describe(case, export.deserialize(bytearray(files_of(case.name).model.read_bytes())))


def check(case: zoo.Case, description: dict) -> str:
    """Reads the artifact back and calls it, where JAX can; says what could be checked."""
    files = files_of(case.name)
    with jax.enable_x64(case.x64):
        exported = export.deserialize(bytearray(files.model.read_bytes()))
        assert exported.has_vjp() == description["has_vjp"]
        if case.refuse:
            assert not files.outputs.exists()
            return "read back"
        artifact.assert_matches(
            artifact.call(files), artifact.read_npz(files.outputs), description["rtol"], description["atol"]
        )
        return "called"


def main() -> None:
    cases, older = zoo.load(), older_cases()
    if "--check" in sys.argv:
        descriptions = {d["name"]: d for d in json.loads((HERE / "cases.json").read_text())}
        assert list(descriptions) == [case.name for case in cases + older]
        for case in cases + older:
            print(f"{case.name:34} {check(case, descriptions[case.name])}")
        return
    for old in [*HERE.glob("*.jaxexp"), *HERE.glob("*.npz")]:
        old.unlink()
    descriptions = []
    for case in cases:
        try:
            descriptions.append(make(case))
        except Exception as error:
            error.add_note(f"in the case {case.name}")
            raise
    descriptions += [describe_older(case) for case in older]
    lines = ",\n".join(json.dumps(d, ensure_ascii=False) for d in descriptions)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")
    subprocess.run([sys.executable, __file__, "--check"], check=True)
    made = [p.stat().st_size for p in HERE.rglob("*") if p.suffix in (".jaxexp", ".npz", ".json")]
    print(f"{len(descriptions)} cases, {sum(made)} bytes")


if __name__ == "__main__":
    main()
