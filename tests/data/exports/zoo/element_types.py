"""One case for each type an array can have in a jax.export artifact."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from . import add


def grid(dtype, start, step, shape=(3, 3)):
    """start, start + step, ... : small values that every type in question holds exactly."""
    return (start + step * np.arange(np.prod(shape)).reshape(shape)).astype(dtype)


def matmul(a, b):
    return a @ b + a


add("f32_matmul", "a @ b + a on f32", matmul, grid(np.float32, -1, 0.5), grid(np.float32, 3, -0.25))
add("f64_matmul", "a @ b + a on f64", matmul, grid(np.float64, -1, 1 / 3), grid(np.float64, 3, -1 / 7), x64=True)
add("f16_matmul", "a @ b + a on f16", matmul, grid(np.float16, -1, 0.5), grid(np.float16, 3, -0.25))
add("bf16_matmul", "a @ b + a on bf16", matmul, grid(jnp.bfloat16, -1, 0.5), grid(jnp.bfloat16, 3, -0.25))
add(
    "special_values",
    "nan, both infinities, both zeros, the smallest and the largest f32, in and out",
    lambda x, y: {"same": x, "negated": -y, "product": x * y},
    np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.2e-38, 3.4e38], np.float32),
    np.array([1.0, -2.0, 0.0, -1.0, -3.0, 1.0, 10.0], np.float32),
    notes="product is nan -inf nan -0 0 1.2e-38 inf: equality must hold for nan, and a reader must not lose the sign of zero",
)


def low_precision(x, w):
    """Arithmetic in f32 on values the narrow type holds exactly, back in the narrow type, and widened."""
    wide = x.astype(jnp.float32) - w.astype(jnp.float32)
    return {"narrow": wide.astype(x.dtype), "wide": wide * 2, "transposed": w.T}


def add_float8(name, dtype, x, w, notes=""):
    add(
        name,
        f"x - w through f32 and back to {name}, and w transposed",
        low_precision,
        np.array(x, np.float32).astype(dtype),
        np.array(w, np.float32).astype(dtype),
        rtol=0.0,
        atol=0.0,
        notes=notes,
    )


F8_X, F8_W = [[0.5, 1.0, -1.5], [2.0, 4.0, -6.0]], [[0.25, 2.0, 0.5], [-1.0, 0.0, 3.0]]
for f8_name, f8_dtype in {
    "f8e4m3": ml_dtypes.float8_e4m3,
    "f8e4m3fn": ml_dtypes.float8_e4m3fn,
    "f8e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "f8e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "f8e5m2": ml_dtypes.float8_e5m2,
    "f8e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "f8e3m4": ml_dtypes.float8_e3m4,
}.items():
    add_float8(f8_name, f8_dtype, F8_X, F8_W)
add_float8(
    "f8e8m0fnu",
    ml_dtypes.float8_e8m0fnu,
    [[2, 4, 8], [16, 32, 64]],
    [[1, 2, 4], [8, 16, 32]],
    "holds powers of two only",
)
add_float8(
    "f4e2m1fn",
    ml_dtypes.float4_e2m1fn,
    [[0.5, 1, -1.5], [2, 4, -6]],
    [[0, 2, 0.5], [-1, 1, -3]],
    "4 bits wide; numpy keeps one a byte. The compiler of an old plugin (API 0.81) throws a C++ exception on it",
)

add(
    "s4_u4",
    "int4 and uint4 added after widening, and x back as int4; 3 x 5 is an odd number of nibbles",
    lambda x, y: {
        "sum": x.astype(jnp.int32) + y.astype(jnp.int32),
        "s4": -x,
        "u4": (y.astype(jnp.int32) // 2).astype(jnp.uint4),
    },
    np.arange(-7, 8).reshape(3, 5).astype(ml_dtypes.int4),
    np.arange(1, 16).reshape(3, 5).astype(ml_dtypes.uint4),
    notes="numpy keeps one value a byte: V1 in the .npz",
)
add(
    "integers",
    "a dict of every integer type and bool, each changed in its own way",
    lambda d: {
        "s8": d["s8"] * 2 + 1,
        "s16": d["s16"] - 1000,
        "s32": d["s32"][::-1],
        "s64": d["s64"] + (1 << 40),
        "u8": 255 - d["u8"],
        "u16": d["u16"] >> 1,
        "u32": d["u32"] ^ np.uint32(0xDEADBEEF),
        "u64": d["u64"] * 3,
        "pred": jnp.logical_not(d["pred"]),
    },
    {
        "s8": np.array([-64, 0, 63], np.int8),
        "s16": np.array([-30000, 1, 30000], np.int16),
        "s32": np.array([-(2**31), 2, 2**31 - 1], np.int32),
        "s64": np.array([-(2**62), 3, 2**62], np.int64),
        "u8": np.array([0, 4, 255], np.uint8),
        "u16": np.array([0, 5, 65535], np.uint16),
        "u32": np.array([0, 6, 2**32 - 1], np.uint32),
        "u64": np.array([1, 7, 2**62], np.uint64),
        "pred": np.array([True, False, True]),
    },
    x64=True,
    notes="s32 leaves in reverse",
)
add(
    "c64",
    "x * y + conj(x) on complex64, and the real and imaginary parts apart",
    lambda x, y: {"product": x * y + jnp.conj(x), "real": x.real, "imag": y.imag},
    np.array([[1 + 2j, -3j, 0.5], [2, 1j, -1 - 1j]], np.complex64),
    np.array([[2 - 1j, 1 + 1j, 3j], [0.25, -2, 1j]], np.complex64),
)
add(
    "c128",
    "x @ y + 2 x on complex128",
    lambda x, y: x @ y + 2 * x,
    np.array([[1 + 2j, -3j], [0.5, 1 / 3 + 1j]], np.complex128),
    np.array([[2 - 1j, 1 + 1j], [3j, -1 / 7 + 0j]], np.complex128),
    x64=True,
)


def draw(key):
    following, now = jax.random.split(key)
    return {
        "key": following,
        "normal": jax.random.normal(now, (2, 3)),
        "below_ten": jax.random.randint(now, (5,), 0, 10),
    }


add("rng_raw_key", "draws from a raw uint32[2] key; the next key goes out", draw, np.array([0, 7], np.uint32))
add("rng_typed_key", "draws from a typed threefry key, key<fry>[]; a typed key goes out", draw, jax.random.key(7))
add(
    "rng_rbg_key",
    "draws from a typed rbg key: uint32[4] to the program",
    draw,
    jax.random.key(7, impl="rbg"),
    notes="uses rng_bit_generator",
)
add(
    "rng_unsafe_rbg_key",
    "draws from a typed unsafe_rbg key: uint32[4] to the program",
    draw,
    jax.random.key(7, impl="unsafe_rbg"),
    notes="uses rng_bit_generator",
)
add(
    "rng_key_array",
    "a 2x3 array of typed threefry keys: uint32[2,3,2] to the program; one number from each",
    lambda keys: jax.vmap(jax.vmap(lambda key: jax.random.uniform(key)))(keys),
    jax.random.split(jax.random.key(7), (2, 3)),
)
