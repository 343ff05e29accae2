"""Writes what numpy and ml_dtypes convert narrow floating-point numbers to: `python3 tests/data/numeric/make.py`.

For each type T of at most 16 bits:
  T.to_float.npy    the float32 patterns of T's patterns 0, 1, 2, …
  T.from_float.npy  T's patterns for the float32 inputs that `inputs` lists

The inputs follow from the type by a rule that tests/unit/numeric_test.cpp knows too, so they are not stored. Of the 16-bit types
only every 61st entry is stored, with an FNV-1a hash of all of them in T.hashes.npy (to_float, from_float).
Needs numpy and ml_dtypes; made with numpy 2.4.6 and ml_dtypes 0.6.0.
"""

from pathlib import Path

import ml_dtypes
import numpy as np

HERE = Path(__file__).resolve().parent
STRIDE = 61
TYPES = {
    "float16": (np.float16, 16),
    "bfloat16": (ml_dtypes.bfloat16, 16),
    "float8_e5m2": (ml_dtypes.float8_e5m2, 8),
    "float8_e4m3": (ml_dtypes.float8_e4m3, 8),
    "float8_e3m4": (ml_dtypes.float8_e3m4, 8),
    "float8_e4m3fn": (ml_dtypes.float8_e4m3fn, 8),
    "float8_e4m3b11fnuz": (ml_dtypes.float8_e4m3b11fnuz, 8),
    "float8_e5m2fnuz": (ml_dtypes.float8_e5m2fnuz, 8),
    "float8_e4m3fnuz": (ml_dtypes.float8_e4m3fnuz, 8),
    "float8_e8m0fnu": (ml_dtypes.float8_e8m0fnu, 8),
    "float6_e2m3fn": (ml_dtypes.float6_e2m3fn, 6),
    "float6_e3m2fn": (ml_dtypes.float6_e3m2fn, 6),
    "float4_e2m1fn": (ml_dtypes.float4_e2m1fn, 4),
}
SPECIAL = [0x00000000, 0x80000000,  # zeros
           0x7F800000, 0xFF800000,  # infinities
           0x7FC00000, 0xFFC00000,  # NaNs
           0x7F7FFFFF, 0xFF7FFFFF,  # the largest floats
           0x7F400000, 0x7F3FFFFF,  # 1.5 * 2^127 and the float below
           0x00800000, 0x80800000,  # the smallest normal floats
           0x007FFFFF, 0x00400000, 0x003FFFFF, 0x00200000, 0x00000001, 0x80000001]  # subnormal floats


def to_float(numpy_type, bits: int) -> np.ndarray:
    """Every pattern's value as float32 patterns; a NaN's payload is dropped, its sign kept."""
    patterns = np.arange(1 << bits, dtype=np.uint16 if bits == 16 else np.uint8)
    with np.errstate(all="ignore"):
        values = patterns.view(numpy_type).astype(np.float32)
    raw = values.view(np.uint32)
    return np.where(np.isnan(values), raw & 0x80000000 | 0x7FC00000, raw).astype(np.uint32)


def inputs(values: np.ndarray) -> np.ndarray:
    """The floats to convert: each finite value, and around the middle between it and the next one (for the last of a sign,
    the middle between it and what would come next): the float nearer to zero, the middle, the float farther from zero."""
    out = []
    f = values.view(np.float32)
    with np.errstate(all="ignore"):
        for p in range(len(f)):
            if not np.isfinite(f[p]):
                continue
            out.append(f[p])
            here = float(f[p])
            last = p + 1 == len(f) or not np.isfinite(f[p + 1]) or np.signbit(f[p + 1]) != np.signbit(f[p])
            if last and (p == 0 or not np.isfinite(f[p - 1])):
                continue
            step = here - float(f[p - 1]) if last else float(f[p + 1]) - here
            middle = np.float32(here + step / 2)
            outward = np.float32(np.copysign(np.inf, middle))
            out += [np.nextafter(middle, np.float32(0)), middle, np.nextafter(middle, outward)]
    return np.concatenate([np.array(out, np.float32), np.array(SPECIAL, np.uint32).view(np.float32)])


def fnv1a(words: np.ndarray) -> int:
    h = 0xCBF29CE484222325
    for w in words.tolist():
        h = (h ^ w) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def main() -> None:
    for name, (numpy_type, bits) in TYPES.items():
        floats = to_float(numpy_type, bits)
        with np.errstate(all="ignore"):
            converted = inputs(floats).astype(numpy_type)
        patterns = converted.view(np.uint16 if bits == 16 else np.uint8)
        if bits == 16:
            np.save(HERE / f"{name}.hashes.npy", np.array([fnv1a(floats), fnv1a(patterns)], np.uint64))
            floats, patterns = floats[::STRIDE], patterns[::STRIDE]
        np.save(HERE / f"{name}.to_float.npy", floats)
        np.save(HERE / f"{name}.from_float.npy", patterns)


if __name__ == "__main__":
    main()
