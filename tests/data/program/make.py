"""Writes a small program in the forms that programs come in: `python3 tests/data/program/make.py`. Made with jax 0.10.2."""

import io
import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import numpy as np  # noqa: E402
from jax._src.interpreters import mlir as jax_mlir  # noqa: E402
from jax._src.lib import _jax  # noqa: E402
from jax._src.lib.mlir import ir  # noqa: E402
from jax._src.lib.mlir.dialects import hlo  # noqa: E402

HERE = Path(__file__).resolve().parent


def main() -> None:
    # All forms are made from the text, which has no locations of source files.
    text = jax.jit(lambda x: x + 1).lower(np.float32(0)).as_text()
    (HERE / "add_one.mlir").write_text(text)
    for version in ("1.0.0", "1.9.0"):
        (HERE / f"add_one_{version}.mlirbc").write_bytes(hlo.serialize_portable_artifact_str(text, version))
    bytecode = io.BytesIO()
    with jax_mlir.make_ir_context():
        ir.Module.parse(text).operation.write_bytecode(bytecode)
    (HERE / "add_one_unversioned.mlirbc").write_bytes(bytecode.getvalue())
    module = _jax.mlir.mlir_module_to_xla_computation(text, use_tuple_args=False, return_tuple=False)
    (HERE / "add_one.hlo.pb").write_bytes(module.as_serialized_hlo_module_proto())
    (HERE / "add_one.hlo.txt").write_text(module.as_hlo_text())


if __name__ == "__main__":
    main()
