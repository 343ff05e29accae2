"""The Lorenz system from a start state to a given time, by an adaptive Bogacki-Shampine 3(2) integrator.

The loop is a lax.while_loop whose length depends on the values: steps are accepted or rejected by their error estimate.
Arguments: t_end (f32 scalar) and the state (f32[3]); results: the state reached and how many steps were accepted and rejected.
sigma 10, rho 28, beta 8/3, tolerance 1e-4 a step. Nearby paths part as e^(0.9 t), so t_end is kept at 2, where rounding
on another platform still matters little.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import artifact
import jax
import jax.numpy as jnp
import numpy as np

TOLERANCE = 1e-4


def lorenz(s):
    x, y, z = s[0], s[1], s[2]
    return jnp.stack([10 * (y - x), x * (28 - z) - y, x * y - jnp.float32(8 / 3) * z])


@jax.jit
def integrate(t_end, state):
    def unfinished(carry):
        return carry[0] < t_end

    def step(carry):
        t, h, s, accepted, rejected = carry
        last = h >= t_end - t
        dt = jnp.where(last, t_end - t, h)
        k1 = lorenz(s)
        k2 = lorenz(s + dt * k1 / 2)
        k3 = lorenz(s + dt * k2 * 3 / 4)
        third = s + dt * (2 * k1 + 3 * k2 + 4 * k3) / 9
        k4 = lorenz(third)
        error = jnp.max(jnp.abs(dt * (-5 * k1 / 72 + k2 / 12 + k3 / 9 - k4 / 8)))
        good = error <= TOLERANCE
        grow = jnp.clip(0.9 * jnp.cbrt(TOLERANCE / jnp.maximum(error, 1e-12)), 0.2, 5.0)
        t = jnp.where(good, jnp.where(last, t_end, t + dt), t)
        return t, dt * grow, jnp.where(good, third, s), accepted + good, rejected + ~good

    zero = jnp.int32(0)
    _, _, end, accepted, rejected = jax.lax.while_loop(
        unfinished, step, (jnp.float32(0), jnp.float32(0.1), state, zero, zero)
    )
    return {"state": end, "steps": accepted, "rejected": rejected}


def build():
    start = np.array([1, 2, 20], np.float32)
    return artifact.Program(integrate, (np.float32(2), start), platforms=artifact.EVERYWHERE, rtol=1e-3, atol=1e-3)


if __name__ == "__main__":
    artifact.main(__file__, build)
