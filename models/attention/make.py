"""One transformer encoder block in bfloat16: masked multi-head attention and a GELU MLP, each behind a layer norm.

Width 64, 4 heads, MLP of 128, batch 2, 16 tokens of which the second row has only 11. The weights are arguments, a
namedtuple of dicts (args[0].attention['query']), random with seed 0, not trained. Products run in bfloat16 and add up in
float32, layer norms and softmax in float32, as such models are run in practice.
"""

import sys
from collections import namedtuple
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import artifact
import jax
import jax.numpy as jnp
import numpy as np
from jax import export

WIDTH, HEADS, HIDDEN, BATCH, TOKENS = 64, 4, 128, 2, 16

Block = namedtuple("Block", ["norm1", "attention", "norm2", "mlp"])
export.register_namedtuple_serialization(Block, serialized_name="encoder.Block")


def initial_params(rng):
    def dense(inputs, outputs):
        return rng.normal(0, np.sqrt(1 / inputs), (inputs, outputs))

    def norm():
        return {"scale": rng.uniform(0.8, 1.2, WIDTH), "bias": rng.normal(0, 0.1, WIDTH)}

    params = Block(
        norm1=norm(),
        attention={name: dense(WIDTH, WIDTH) for name in ("query", "key", "value", "out")},
        norm2=norm(),
        mlp={
            "up": dense(WIDTH, HIDDEN),
            "up_bias": rng.normal(0, 0.1, HIDDEN),
            "down": dense(HIDDEN, WIDTH),
            "down_bias": rng.normal(0, 0.1, WIDTH),
        },
    )
    return jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)


def matmul(spec, a, b):
    return jnp.einsum(spec, a, b, preferred_element_type=jnp.float32).astype(jnp.bfloat16)


def norm(x, p):
    x = x.astype(jnp.float32)
    centred = x - x.mean(axis=-1, keepdims=True)
    y = centred * jax.lax.rsqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
    return (y * p["scale"].astype(jnp.float32) + p["bias"].astype(jnp.float32)).astype(jnp.bfloat16)


def attend(x, p, mask):
    def heads(name):
        return matmul("btd,de->bte", x, p[name]).reshape(BATCH, TOKENS, HEADS, WIDTH // HEADS)

    scores = jnp.einsum("bqhe,bkhe->bhqk", heads("query"), heads("key"), preferred_element_type=jnp.float32)
    scores = jnp.where(mask[:, None, None, :], scores / np.sqrt(WIDTH // HEADS).astype(np.float32), -jnp.inf)
    mixed = matmul("bhqk,bkhe->bqhe", jax.nn.softmax(scores).astype(jnp.bfloat16), heads("value"))
    return matmul("btd,de->bte", mixed.reshape(BATCH, TOKENS, WIDTH), p["out"])


@jax.jit
def encoder(params, x, mask):
    x = x + attend(norm(x, params.norm1), params.attention, mask)
    h = jax.nn.gelu(matmul("btd,de->bte", norm(x, params.norm2), params.mlp["up"]) + params.mlp["up_bias"])
    y = x + matmul("btd,de->bte", h, params.mlp["down"]) + params.mlp["down_bias"]
    kept = jnp.where(mask[:, :, None], y.astype(jnp.float32), 0)
    return {"tokens": y, "summary": kept.sum(axis=1) / mask.sum(axis=1, dtype=jnp.float32)[:, None]}


def build():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (BATCH, TOKENS, WIDTH)).astype(jnp.bfloat16)
    mask = np.arange(TOKENS) < np.array([[16], [11]])
    return artifact.Program(
        encoder, (initial_params(rng), x, mask), platforms=artifact.EVERYWHERE, rtol=2e-2, atol=2e-2
    )


if __name__ == "__main__":
    artifact.main(__file__, build)
