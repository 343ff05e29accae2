"""A two-layer MLP for four devices: a 2x2 mesh, the batch split over "data" and the hidden layer over "model".

The usual Megatron layout: the first weight split by columns, the second by rows, so the only exchange of the forward pass is
one all-reduce over "model"; the mean activation adds one over "data". Weights random (seed 0), not trained. inputs.npz and
outputs.npz hold whole arrays, as a user has them; cutting them by the artifact's shardings is the runner's work.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import artifact
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

BATCH, WIDTH, HIDDEN, OUT = 8, 32, 64, 16

MESH = jax.make_mesh((2, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)


def split(*axes):
    return NamedSharding(MESH, PartitionSpec(*axes))


PARAMS = {"w1": split(None, "model"), "b1": split("model"), "w2": split("model", None), "b2": split()}
RESULT = {"y": split("data", None), "hidden_mean": split("model")}


def mlp(params, x):
    hidden = jax.nn.gelu(jnp.dot(x, params["w1"], precision="highest") + params["b1"])
    y = jnp.dot(hidden, params["w2"], precision="highest") + params["b2"]
    return {"y": y, "hidden_mean": hidden.mean(axis=0)}


def build():
    rng = np.random.default_rng(0)
    shapes = {"w1": (WIDTH, HIDDEN), "b1": (HIDDEN,), "w2": (HIDDEN, OUT), "b2": (OUT,)}
    params = {name: rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    x = rng.normal(0, 1, (BATCH, WIDTH)).astype(np.float32)
    function = jax.jit(mlp, in_shardings=(PARAMS, split("data", None)), out_shardings=RESULT)
    return artifact.Program(function, (params, x), platforms=artifact.EVERYWHERE)


if __name__ == "__main__":
    artifact.main(__file__, build)
