"""One training step: forward, backward and Adam, for an MLP on a batch of 32 real digits, with donated state.

Parameters and optimizer state come in, are donated, and go out updated with the loss, as a training loop without Python
would run it: each result is fed back as the next argument. Weights random (seed 0); the optimizer state is zero, step 0.

Data: scikit-learn's digits (see ../digits/make.py).
"""

import sys
from collections import namedtuple
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import artifact
import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from sklearn.datasets import load_digits

RATE = 1e-3

AdamState = namedtuple("AdamState", ["count", "mean", "square"])
export.register_namedtuple_serialization(AdamState, serialized_name="train.AdamState")


def loss_of(params, x, y):
    h = jax.nn.relu(
        jnp.dot(x.reshape(x.shape[0], -1) / 16, params["dense1"]["kernel"], precision="highest")
        + params["dense1"]["bias"]
    )
    logits = jnp.dot(h, params["dense2"]["kernel"], precision="highest") + params["dense2"]["bias"]
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()


@partial(jax.jit, donate_argnums=(0, 1))
def train_step(params, optimizer, x, y):
    loss, gradient = jax.value_and_grad(loss_of)(params, x, y)
    count = optimizer.count + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, optimizer.mean, gradient)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, optimizer.square, gradient)
    n = count.astype(jnp.float32)
    rate = RATE * jnp.sqrt(1 - jnp.float32(0.999) ** n) / (1 - jnp.float32(0.9) ** n)
    params = jax.tree.map(lambda w, m, s: w - rate * m / (jnp.sqrt(s) + 1e-6), params, mean, square)
    return params, AdamState(count, mean, square), loss


def build():
    rng = np.random.default_rng(0)
    params = {
        "dense1": {"kernel": rng.normal(0, np.sqrt(2 / 64), (64, 32)), "bias": np.zeros(32)},
        "dense2": {"kernel": rng.normal(0, np.sqrt(1 / 32), (32, 10)), "bias": np.zeros(10)},
    }
    params = jax.tree.map(lambda a: a.astype(np.float32), params)
    zeros = jax.tree.map(np.zeros_like, params)
    digits = load_digits()
    x, y = digits.images[:32].astype(np.float32), digits.target[:32].astype(np.int32)
    args = (params, AdamState(np.int32(0), zeros, zeros), x, y)
    return artifact.Program(train_step, args, platforms=artifact.EVERYWHERE, rtol=1e-4, atol=1e-5)


if __name__ == "__main__":
    artifact.main(__file__, build)
