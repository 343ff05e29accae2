"""Four devices, one program: whole arrays in the .npz files, cut by the artifact's shardings."""

from functools import partial

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from . import add

F = np.float32
MESH = jax.make_mesh((2, 2), ("x", "y"), axis_types=(AxisType.Auto,) * 2)
LINE = jax.make_mesh((4,), ("i",), axis_types=(AxisType.Auto,))


def split(*axes, mesh=MESH):
    return NamedSharding(mesh, P(*axes))


def table(rows, columns, start=0):
    return (start + np.arange(rows * columns)).reshape(rows, columns).astype(F)


A, B, C, D = table(4, 4), table(4, 4, 100)[::-1].copy(), table(4, 8), table(8, 4) % 5


def four_ways(whole, rows, columns, blocks):
    return {"blocks": whole @ rows - columns, "rows": blocks.T, "free": rows @ columns, "sum": blocks.sum()}


FOUR_WAYS = (split(), split("x"), split(None, "y"), split("y", "x"))
FOUR_RESULTS = {"blocks": split("x", "y"), "rows": split("x", None), "free": None, "sum": split()}

for name, shardy in (("sharded_shardy", True), ("sharded_gspmd", False)):
    add(
        name,
        f"{'Shardy' if shardy else 'GSPMD'} on 2x2: replicated, by rows, by columns, in blocks; one result unspecified",
        four_ways,
        A,
        B,
        B.T.copy(),
        C,
        jit={"in_shardings": FOUR_WAYS, "out_shardings": FOUR_RESULTS},
        shardy=shardy,
        notes="" if shardy else "mhlo.sharding attributes instead of sdy ones: to be compiled with Shardy off",
    )
add(
    "sharded_both_axes",
    "one dimension split over both axes of the mesh, in both orders: y outside x is not x outside y",
    lambda a, b: {"a": a * 2, "b": b - a},
    np.arange(8, dtype=F),
    np.arange(8, dtype=F)[::-1].copy() * 10,
    jit={
        "in_shardings": (split(("x", "y")), split(("y", "x"))),
        "out_shardings": {"a": split(("y", "x")), "b": split("y")},
    },
)
add(
    "sharded_unspecified_input",
    "one argument with a sharding, one without; no result with one",
    lambda a, b: (a @ b, a.sum(axis=0)),
    A,
    D[:4],
    jit={"in_shardings": (split("x", "y"), None)},
    notes="the compiler splits the rows of the second argument, 2 to a device: only the compiled program tells",
)
add(
    "sharded_uneven_inside",
    "a constraint inside splits 3 rows over 2 devices; arguments and results divide evenly",
    lambda a: jax.lax.with_sharding_constraint(a * 2, split("x")).sum(axis=1),
    table(3, 4),
    jit={"in_shardings": (split(None, "y"),)},
    notes="JAX refuses uneven shardings of arguments and results",
)
add(
    "sharded_donated",
    "a donated sharded argument whose result's sharding is unspecified: jax.buffer_donor instead of tf.aliasing_output",
    lambda a, b: a - b,
    A,
    B,
    jit={"in_shardings": (split("x"), split(None, "y")), "donate_argnums": (0,)},
)
EXPLICIT = jax.make_mesh((2, 2), ("x", "y"), axis_types=(AxisType.Explicit,) * 2)
add(
    "sharded_explicit",
    "a mesh with explicit axes: shardings are part of the types",
    lambda a, b: (a * 2 - b, a.T),
    A,
    B,
    jit={"in_shardings": (split("x", "y", mesh=EXPLICIT),) * 2},
    notes="the results are split too, but only the module says so",
)
add(
    "sharded_unused",
    "sharded, with an unused first argument and a typed PRNG key",
    lambda unused, key, x: x + jax.random.uniform(key, (4,)),
    A,
    jax.random.key(3),
    np.arange(4, dtype=F),
    jit={"in_shardings": (split("x"), split(), split("y")), "out_shardings": split("x")},
)
add(
    "sharded_multi_platform",
    "sharded and for several platforms: the platform index is a scalar every device gets",
    lambda x, y: jax.lax.platform_dependent(x, y, cpu=lambda x, y: x - y, default=lambda x, y: x + y),
    A,
    B,
    jit={"in_shardings": (split("x"), split(None, "y")), "out_shardings": split("x", "y")},
    platforms=("cuda", "cpu"),
    by_platform={"cuda": lambda x, y: x + y},
)


@partial(jax.shard_map, mesh=LINE, in_specs=(P("i"), P()), out_specs=(P(), P("i")))
def ring(x, w):
    """Each device scales its piece by its place; a sum over all devices, and a shift to the neighbour."""
    place = jax.lax.axis_index("i")
    total = jax.lax.psum((x * w).sum() * (place + 1), "i")
    return total, jax.lax.ppermute(x, "i", [(s, (s + 1) % 4) for s in range(4)])


add(
    "shard_map_psum",
    "shard_map over four devices: axis_index, psum, and a ring shift by ppermute",
    ring,
    np.arange(8, dtype=F),
    F(0.5),
    jit={"in_shardings": (split("i", mesh=LINE), split(mesh=LINE))},
)
add(
    "shard_map_collectives",
    "all_gather, psum_scatter and all_to_all over four devices",
    jax.shard_map(
        lambda x: (
            jax.lax.psum_scatter(
                jax.lax.all_gather(x, "i", tiled=True) * (jax.lax.axis_index("i") + 1), "i", tiled=True
            ),
            jax.lax.all_to_all(x, "i", split_axis=1, concat_axis=0, tiled=True),
        ),
        mesh=LINE,
        in_specs=P("i", None),
        out_specs=(P("i", None), P(None, "i")),
    ),
    table(4, 4, 1),
    jit={"in_shardings": (split("i", None, mesh=LINE),)},
)
