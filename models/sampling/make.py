"""Top-k sampling with temperature, as at the end of every language model: logits in, one token a row out, from a PRNG key.

The key is a typed jax.random key (threefry): in the artifact it is one argument of type key<fry>[], to the program two
uint32 numbers. Results: the tokens drawn, their log probability, and the key for the next call. Bits from threefry are
the same on every platform, so the tokens are too.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import artifact
import jax
import jax.numpy as jnp
import numpy as np

ROWS, VOCABULARY, KEPT = 6, 200, 20


@jax.jit
def sample(key, logits, *, temperature):
    following, now = jax.random.split(key)
    best, index = jax.lax.top_k(logits / temperature, KEPT)
    choice = jax.random.categorical(now, best)
    token = jnp.take_along_axis(index, choice[:, None], axis=1)[:, 0]
    chance = jnp.take_along_axis(jax.nn.log_softmax(best), choice[:, None], axis=1)[:, 0]
    return {"token": token, "log_probability": chance, "key": following}


def build():
    logits = np.random.default_rng(0).normal(0, 2, (ROWS, VOCABULARY)).astype(np.float32)
    args = (jax.random.key(42), logits)
    return artifact.Program(sample, args, {"temperature": np.float32(0.8)}, platforms=artifact.EVERYWHERE)


if __name__ == "__main__":
    artifact.main(__file__, build)
