"""Operations that compilers treat each in its own way: loops, sorting, gathers, constants, no inputs."""

import jax
import jax.numpy as jnp
import numpy as np

from . import add

F = np.float32

add(
    "sort",
    "sorts by the first operand and carries the second along; equal keys keep their order",
    lambda key, payload: dict(zip(("key", "payload"), jax.lax.sort((key, payload), num_keys=1))),
    np.array([3, 1, 2, 1, 3, 0], F),
    np.arange(10, 16, dtype=np.int32),
)
add(
    "top_k",
    "the three largest of each row and where they were",
    lambda x: jax.lax.top_k(x, 3),
    np.array([[1, 9, 3, 7], [8, 2, 6, 4]], F),
    notes="a StableHLO composite with version 2 of its attributes: a plugin with StableHLO 1.13 (API 0.81) cannot parse it",
)
add(
    "scatter_add",
    "adds rows into a table at given indices, one index twice",
    lambda table, index, rows: table.at[index].add(rows),
    np.arange(12, dtype=F).reshape(4, 3),
    np.array([2, 0, 2], np.int32),
    np.array([[1, 2, 3], [10, 20, 30], [100, 200, 300]], F),
)
add(
    "gather",
    "rows of a table by index, one index beyond the end (clamped by the program)",
    lambda table, index: jnp.take(table, index, axis=0, mode="clip"),
    np.arange(12, dtype=F).reshape(4, 3),
    np.array([3, 0, 9], np.int32),
)
add(
    "while_loop",
    "greatest common divisor by Euclid, and the number of rounds",
    lambda a, b: jax.lax.while_loop(lambda c: c[1] != 0, lambda c: (c[1], c[0] % c[1], c[2] + 1), (a, b, 0))[::2],
    np.int32(1071),
    np.int32(462),
    notes="21 after 3 rounds",
)
add(
    "cond",
    "x + y if the flag is set, else x - y",
    lambda flag, x, y: jax.lax.cond(flag, lambda: x + y, lambda: x - y),
    np.bool_(False),
    np.array([5, 6], F),
    np.array([1, 2], F),
)
add(
    "scan",
    "a first-order filter over a sequence: final state and every state",
    lambda state, xs: jax.lax.scan(lambda s, x: (0.5 * s + x, 0.5 * s + x), state, xs),
    np.array([8, -8], F),
    np.arange(10, dtype=F).reshape(5, 2),
)
add(
    "cumsum",
    "cumulative sums along both axes",
    lambda x: {"rows": x.cumsum(0), "columns": x.cumsum(1)},
    np.arange(12, dtype=F).reshape(3, 4),
)
add("no_inputs", "takes nothing, gives a table", lambda: jnp.arange(6, dtype=F).reshape(2, 3) * 1.5)
add(
    "empty_arrays",
    "shape (0, 3) in and out, and its sum over no rows",
    lambda x, y: {"joined": jnp.concatenate([x, y]), "empty": x * 2, "sum": x.sum(axis=0)},
    np.zeros((0, 3), F),
    np.array([[1, 2, 3]], F),
)
add(
    "no_outputs",
    "takes an array and gives an empty tuple",
    lambda x: (),
    np.arange(3, dtype=F),
    notes="the argument is unused, so the program has neither",
)
add(
    "scalars",
    "scalars of three types in, one out",
    lambda x, n, negate: jnp.where(negate, -x, x) * n,
    F(2.5),
    np.int32(3),
    np.bool_(True),
    notes="-7.5",
)
add(
    "large_constant",
    "x @ W with W a 48 kB constant inside the program",
    lambda x: x @ (np.random.default_rng(0).integers(-8, 9, (64, 192)) / 8).astype(F),
    (np.arange(128).reshape(2, 64) % 7).astype(F),
)
add(
    "fortran_order",
    "a @ b + a with both arrays of the .npz in Fortran order",
    lambda a, b: a @ b + a,
    np.arange(9, dtype=F).reshape(3, 3),
    np.array([[2, 0, 1], [0, 1, 3], [1, 1, 0]], F),
    fortran=True,
    notes="the .npy header says fortran_order: True; the values are those of f(a, b), not of the transposes",
)
