"""Artifacts as older releases of JAX wrote them. Run it under each of them; what it makes bears the release in its name.

    pip install "jax==0.4.31" "jaxlib==0.4.31" flatbuffers absl-py    # July 2024: GSPMD, HloSharding
    pip install "jax==0.7.2" "jaxlib==0.7.2" flatbuffers              # September 2025: Shardy, HloSharding

../make.py then describes them in cases.json with the rest, and checks them.
"""

from __future__ import annotations

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[3] / "models"))

import artifact
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

F = np.float32
RELEASE = tuple(int(part) for part in jax.__version__.split("."))


def split(*axes):
    return NamedSharding(Mesh(np.array(jax.devices()).reshape(2, 2), ("x", "y")), P(*axes))


def tree(params, unused, xs, *, scale):
    return {"y": (params["w"] - params["b"]) * scale, "list": [xs[0] * 2, xs[1]]}


def multi_platform(x, y):
    return jax.lax.platform_dependent(x, y, cuda=lambda x, y: x + y, cpu=lambda x, y: x - y)


def sharded(a, b, c):
    return {"product": a @ b, "free": a - c}


def typed_key(key):
    return {"key": jax.random.split(key)[0], "uniform": jax.random.uniform(key, (3,))}


def programs() -> dict[str, artifact.Program]:
    a = np.arange(16, dtype=F).reshape(4, 4)
    row = np.array([1, 2, 3], F)
    made = {
        "tree": artifact.Program(jax.jit(tree), ({"w": row, "b": row * row}, a, (row, row + 1)), {"scale": F(3)}),
        "multi_platform": artifact.Program(jax.jit(multi_platform), (row, row * row), platforms=("cuda", "cpu")),
        "sharded": artifact.Program(
            jax.jit(
                sharded,
                in_shardings=(split("x", None), split(None, "y"), split("y", "x")),
                out_shardings={"product": split("x", "y"), "free": None},
            ),
            (a, a[::-1].copy(), a.T.copy()),
        ),
    }
    if RELEASE >= (0, 6):
        made["typed_key"] = artifact.Program(jax.jit(typed_key), (jax.random.key(7),))
    return made


if __name__ == "__main__":
    for name, program in programs().items():
        stem = f"{name}.jax-{jax.__version__}"
        files = artifact.Files(HERE / f"{stem}.jaxexp", HERE / f"{stem}.inputs.npz", HERE / f"{stem}.outputs.npz")
        artifact.save(files, program)
        artifact.write_npz(files.outputs, artifact.output_leaves(program.function(*program.args, **program.kwargs)))
        print(f"{files.model.name}: {files.model.stat().st_size}")
