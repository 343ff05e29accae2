"""What the calling convention adds to a program: platform index, tokens, donation, dropped checks, older versions."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax._src import core, effects
from jax._src.interpreters import mlir

from . import add

F = np.float32
X, Y = np.array([1, 2, 3], F), np.array([10, 20, 40], F)


def by_platform(x, y):
    return jax.lax.platform_dependent(x, y, cpu=lambda x, y: x + y, cuda=lambda x, y: x - y, tpu=lambda x, y: x * y)


ELSEWHERE = {"cuda": lambda x, y: x - y, "tpu": lambda x, y: x * y}

add(
    "multi_platform",
    "cpu, cuda, tpu: x + y on cpu, x - y on cuda, x * y on tpu, chosen by the platform index",
    by_platform,
    X,
    Y,
    platforms=("cpu", "cuda", "tpu"),
    by_platform=ELSEWHERE,
)
add(
    "multi_platform_order",
    "the same, exported for tpu, cpu, cuda: cpu has index 1",
    by_platform,
    X,
    Y,
    platforms=("tpu", "cpu", "cuda"),
    by_platform=ELSEWHERE,
)
add(
    "multi_platform_x64",
    "the same with 64-bit types on, x in f64",
    by_platform,
    X.astype(np.float64),
    Y.astype(np.float64),
    platforms=("cuda", "cpu"),
    by_platform={"cuda": ELSEWHERE["cuda"]},
    x64=True,
)
add(
    "multi_platform_unused",
    "multi-platform, first argument unused: the platform index comes before what is kept",
    lambda unused, x, y: by_platform(x, y),
    np.array([99], np.int32),
    X,
    Y,
    platforms=("cuda", "cpu"),
    by_platform={"cuda": lambda unused, x, y: x - y},
)
add(
    "platform_check_disabled",
    "exported for cuda only, but with the platform check disabled: runs anywhere",
    lambda x, y: x * 2 - y,
    X,
    Y,
    platforms=("cuda",),
    disabled_checks=(export.DisabledSafetyCheck.platform(),),
)
add(
    "donated",
    "the first of two arguments is donated and reused for the first result",
    lambda x, y: (x - y, (x * y).sum()),
    X,
    Y,
    jit={"donate_argnums": (0,)},
    notes="attribute tf.aliasing_output = 0 on the argument: after a run the caller's buffer is gone",
)
add(
    "donated_unused",
    "donated state: one leaf reused, one that no result can take; an unused argument before them",
    lambda unused, state, x: {"state": state["a"] + x, "sum": state["b"].sum()},
    X,
    {"a": Y, "b": np.arange(6, dtype=F).reshape(2, 3)},
    X,
    jit={"donate_argnums": (1,)},
    notes="b was donated by the user too, but JAX found no result of its shape and dropped that",
)
add(
    "calling_convention_9",
    "calling convention 9, the oldest JAX still writes",
    lambda x, y: x * 3 - y,
    X,
    Y,
    calling_convention=9,
)


def weighted(x, w, n):
    return (jnp.sin(x) * w).sum() * n


add(
    "vjp",
    "an artifact with its gradient inside (vjp_order=1); n is an integer, so its cotangent is float0",
    weighted,
    X,
    Y,
    np.int32(3),
    vjp_order=1,
)


class OrderedTick(effects.Effect):
    """An ordered effect of our own: a token goes in and comes out, and nothing is called back."""

    def __str__(self):
        return "OrderedTick"

    def __eq__(self, other):
        return type(self) is type(other)

    def __hash__(self):
        return hash("OrderedTick")


TICK = OrderedTick()
effects.lowerable_effects.add_type(OrderedTick)
effects.ordered_effects.add_type(OrderedTick)

tick = core.Primitive("tick")
tick.def_effectful_abstract_eval(lambda x: (x, {TICK}))


def lower_tick(context, x):
    context.set_tokens_out(mlir.TokenSet({TICK: context.tokens_in.get(TICK)}))
    return [mlir.hlo.add(x, x)]


mlir.register_lowering(tick, lower_tick)

add(
    "ordered_effect",
    "an ordered effect: main takes a stablehlo token before its arrays and gives one before its results",
    lambda x, y: tick.bind(x) - y,
    X,
    Y,
    refuse="ordered effects",
    notes="JAX exports no host callbacks (jax.debug.print), so the effect is one of our own; result 2 x - y",
)
