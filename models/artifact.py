"""Writes a jax.export artifact with its inputs and expected outputs, and checks the files in a fresh process.

Arrays in the .npz files are keyed by pytree path, as Python spells it: "args[0]['w']" and "kwargs['scale']" for inputs,
"result['logits']" or plain "result" for outputs. numpy has no name for bfloat16, float8 and int4, so those are saved as
raw bytes (V2, V1; float8_e5m2 as f1); a typed PRNG key is saved as its uint32 key data.

A model's make.py defines `build()` and ends with `artifact.main(__file__, build)`:
    python make.py           makes model.jaxexp, inputs.npz and outputs.npz, then checks them in a fresh process
    python make.py --check   only checks
Needs jax and the packages flatbuffers and (for the models on digits) scikit-learn.
"""

from __future__ import annotations

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np
from jax import export
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# What a person would export for: runs wherever the model is taken.
EVERYWHERE = ("cpu", "cuda", "rocm", "tpu")

# Source locations would put this machine's paths, and every edit of a script, into the artifact.
jax.config.update("jax_traceback_in_locations_limit", 0)
jax.config.update("jax_hlo_source_file_canonicalization_regex", ".*/")


@dataclass
class Files:
    """The three files of one artifact."""

    model: Path
    inputs: Path
    outputs: Path

    @staticmethod
    def in_folder(folder: Path) -> Files:
        return Files(folder / "model.jaxexp", folder / "inputs.npz", folder / "outputs.npz")


@dataclass
class Program:
    """A function under jax.jit with the arguments it is exported for and run on."""

    function: Callable
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    platforms: tuple[str, ...] = ("cpu",)
    rtol: float = 1e-5
    atol: float = 1e-6


def input_leaves(args: tuple, kwargs: dict) -> list[tuple[str, object]]:
    """(path, leaf) in the order of the artifact's arguments."""
    leaves = []
    for path, leaf in jax.tree_util.tree_flatten_with_path((args, kwargs))[0]:
        root = "args" if path[0].idx == 0 else "kwargs"
        leaves.append((root + jax.tree_util.keystr(path[1:]), leaf))
    return leaves


def output_leaves(result: object) -> list[tuple[str, object]]:
    """(path, leaf) in the order of the artifact's results."""
    return [("result" + jax.tree_util.keystr(p), leaf) for p, leaf in jax.tree_util.tree_flatten_with_path(result)[0]]


def is_key(dtype: object) -> bool:
    return jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)


def to_numpy(leaf: object) -> np.ndarray:
    if isinstance(leaf, jax.Array) and is_key(leaf.dtype):
        return np.asarray(jax.random.key_data(leaf))
    return np.asarray(leaf)


def write_npz(path: Path, leaves: list[tuple[str, object]]) -> None:
    """An uncompressed .npz; its members bear a fixed date, so equal arrays make equal files."""
    with open(path, "wb") as out:
        np.savez(out, **{name: to_numpy(leaf) for name, leaf in leaves})


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays by name. numpy cannot read back what it writes for float8_e5m2, '<f1': it is read as raw bytes here."""
    with zipfile.ZipFile(path) as members:
        contents = {
            name.removesuffix(".npy"): members.read(name).replace(b"'<f1'", b"'|V1'", 1) for name in members.namelist()
        }
    return {name: np.load(io.BytesIO(content)) for name, content in contents.items()}


def mesh_of(exported: export.Exported) -> Mesh | None:
    """The mesh the artifact was exported for, on this process's devices."""
    if exported.nr_devices == 1:
        return None
    devices = np.array(jax.devices()[: exported.nr_devices])
    for sharding in (*exported._in_named_shardings, *exported._out_named_shardings):
        if sharding is not None and sharding.mesh.axis_names:
            return Mesh(
                devices.reshape(sharding.mesh.axis_sizes), sharding.mesh.axis_names, axis_types=sharding.mesh.axis_types
            )
    # An old artifact tells device orders, not axes: a mesh with axes of 2 can express them.
    axes = exported.nr_devices.bit_length() - 1
    return Mesh(devices.reshape((2,) * axes), tuple("xyzw"[:axes]))


def call(files: Files) -> list[tuple[str, np.ndarray]]:
    """Runs the artifact, read back from its bytes, on inputs.npz; (path, array) of the results."""
    exported = export.deserialize(bytearray(files.model.read_bytes()))
    arrays = read_npz(files.inputs)
    mesh = mesh_of(exported)
    shardings = exported.in_shardings_jax(mesh) if mesh else [None] * len(exported.in_avals)
    args, kwargs = jax.tree_util.tree_unflatten(exported.in_tree, range(len(exported.in_avals)))
    leaves = []
    for (path, _), aval, sharding in zip(input_leaves(args, kwargs), exported.in_avals, shardings):
        array = arrays.pop(path)
        if is_key(aval.dtype):
            leaf = jax.random.wrap_key_data(array, impl=aval.dtype._impl.name)
        else:
            leaf = array.view(aval.dtype) if array.dtype.kind == "V" else array
        if mesh:
            leaf = jax.device_put(leaf, sharding or NamedSharding(mesh, PartitionSpec()))
        leaves.append(leaf)
    assert not arrays, f"{files.inputs.name} has arrays the artifact does not take: {sorted(arrays)}"
    args, kwargs = jax.tree_util.tree_unflatten(exported.in_tree, leaves)
    result = jax.jit(exported.call)(*args, **kwargs)
    return [(path, to_numpy(leaf)) for path, leaf in output_leaves(result)]


def assert_matches(
    results: list[tuple[str, np.ndarray]], expected: dict[str, np.ndarray], rtol: float, atol: float
) -> None:
    assert [path for path, _ in results] == list(expected), (
        f"results {[p for p, _ in results]}, expected {list(expected)}"
    )
    for path, got in results:
        want = expected[path]
        want = want.view(got.dtype) if want.dtype.kind == "V" else want
        assert got.dtype == want.dtype and got.shape == want.shape, (
            f"{path}: {got.dtype}{got.shape}, expected {want.dtype}{want.shape}"
        )
        if got.dtype.kind in "biu" or got.dtype.itemsize < 2:
            np.testing.assert_array_equal(got, want, err_msg=path)
        else:
            wide = np.complex128 if got.dtype.kind == "c" else np.float64
            np.testing.assert_allclose(got.astype(wide), want.astype(wide), rtol=rtol, atol=atol, err_msg=path)


def save(files: Files, program: Program, vjp_order: int = 0, **export_options) -> export.Exported:
    """Exports the program and writes the artifact and its inputs (not its outputs)."""
    exported = export.export(program.function, platforms=program.platforms, **export_options)(
        *program.args, **program.kwargs
    )
    artifact = bytes(exported.serialize(vjp_order=vjp_order))
    leaked = re.search(rb"/(home|tmp|root|usr|work|Users)/[\w./-]*", artifact)
    assert not leaked, f"{files.model.name} has a path of this machine in it: {leaked[0]}"
    files.model.write_bytes(artifact)
    write_npz(files.inputs, input_leaves(program.args, program.kwargs))
    return exported


def main(script: str, build: Callable[[], Program]) -> None:
    files = Files.in_folder(Path(script).resolve().parent)
    program = build()
    if "--check" in sys.argv:
        assert_matches(call(files), read_npz(files.outputs), program.rtol, program.atol)
        return
    save(files, program)
    results = output_leaves(program.function(*program.args, **program.kwargs))
    write_npz(files.outputs, results)
    subprocess.run([sys.executable, script, "--check"], check=True)
    sizes = ", ".join(f"{path.name} {path.stat().st_size}" for path in (files.model, files.inputs, files.outputs))
    print(f"{files.model.parent.name}: {sizes}")
    for path, leaf in results:
        print(f"  {path}: {jax.numpy.shape(leaf)} {leaf.dtype}")
