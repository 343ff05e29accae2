"""Artifacts that a CPU cannot run as they are, and must be refused by name before anything is compiled."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from . import add

F = np.float32
X = np.array([[4, 2], [2, 3]], F)

add(
    "tpu_only",
    "exported for tpu alone",
    lambda x, y: x @ y - x,
    X,
    X[::-1],
    platforms=("tpu",),
    refuse="platform: the artifact is for tpu",
)


def symbols(text, shapes, constraints=()):
    scope = export.SymbolicScope(constraints)
    return tuple(jax.ShapeDtypeStruct(export.symbolic_shape(shape, scope=scope), F) for shape in shapes)


add(
    "symbolic",
    "dimensions (b, 2*h+1) and (b, h): symbolic",
    lambda x, y: x[:, : y.shape[1]] - y,
    np.arange(14, dtype=F).reshape(2, 7),
    np.arange(6, dtype=F).reshape(2, 3),
    specs=symbols("b, h", ("b, 2*h + 1", "b, h")),
    refuse="symbolic dimensions",
)
add(
    "symbolic_constraints",
    "dimensions (b, h) and (h,) with the constraints b >= 2 and h <= 128; one result is an expression of them",
    lambda x, w: {"product": x @ w, "flat": x.reshape(-1)},
    np.arange(6, dtype=F).reshape(2, 3),
    np.arange(3, dtype=F),
    specs=symbols("b, h", ("b, h", "h"), ("b >= 2", "h <= 128")),
    refuse="symbolic dimensions",
    notes="the constraints are in the module only, as calls of @shape_assertion",
)
add(
    "symbolic_multi_platform",
    "symbolic and for several platforms",
    lambda x: jax.lax.platform_dependent(x, cpu=lambda x: x * 2, default=lambda x: x * 3),
    np.arange(3, dtype=F),
    specs=symbols("n", ("n",)),
    platforms=("cpu", "cuda"),
    refuse="symbolic dimensions",
)
add(
    "cholesky",
    "needs a LAPACK custom call that jaxlib brings and a plugin does not",
    lambda x: jnp.linalg.cholesky(x) * 2,
    X,
    refuse="custom call: lapack_spotrf_ffi",
)
add(
    "custom_call",
    "a custom call of the user's own, its safety check disabled at export",
    lambda x: jax.ffi.ffi_call("zoo_double", jax.ShapeDtypeStruct(x.shape, x.dtype))(x) + 1,
    X,
    disabled_checks=(export.DisabledSafetyCheck.custom_call("zoo_double"),),
    refuse="custom call: zoo_double",
)
