"""Writes .npy files with numpy: `python3 tests/data/npy/make.py`.

Needs numpy and ml_dtypes; made with numpy 2.4.6 and ml_dtypes 0.6.0. What the arrays hold stands in tests/unit/npy_test.cpp too.
"""

from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.lib import format as npy

HERE = Path(__file__).resolve().parent


def write(name: str, array: np.ndarray, version: tuple[int, int] | None = None) -> None:
    with (HERE / f"{name}.npy").open("wb") as f:
        npy.write_array(f, array, version=version, allow_pickle=True)


def main() -> None:
    # One of each dtype, shape (2, 3).
    write("bool", np.array([[True, False, True], [False, False, True]]))
    for bits in (8, 16, 32, 64):
        signed, unsigned = np.dtype(f"int{bits}"), np.dtype(f"uint{bits}")
        write(signed.name, np.array([[0, 1, -1], [2, np.iinfo(signed).min, np.iinfo(signed).max]], signed))
        write(unsigned.name, np.array([[0, 1, 2], [3, 4, np.iinfo(unsigned).max]], unsigned))
    for name in ("float16", "float32", "float64"):
        write(name, np.array([[0, 0.5, -1], [1.5, np.inf, 1024]], name))
    for name in ("complex64", "complex128"):
        write(name, np.array([[0, 1j, -1], [1 + 2j, 3 - 4j, 0.5]], name))

    # Types that only ml_dtypes has: raw bytes.
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn"):
        write(name, np.array([[1, 2, 4], [0.5, 1, 2]], getattr(ml_dtypes, name)))
    for name in ("int4", "int2"):
        write(name, np.array([[0, 1, -1], [1, 0, -2]], getattr(ml_dtypes, name)))

    # Orders and shapes.
    count = np.arange(6, dtype=np.int32).reshape(2, 3)
    write("fortran", np.asfortranarray(count))
    write("fortran_3d", np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)))
    write("fortran_big_endian", np.asfortranarray(count.astype(">i4")))
    write("fortran_complex", np.asfortranarray(count.astype(np.complex128)))
    for dtype in (">i2", ">u4", ">f8", ">f2", ">c8", ">c16"):
        write(f"big_endian_{dtype[1:]}", np.arange(6).reshape(2, 3).astype(dtype))
    write("scalar", np.array(2.5, np.float32))
    write("vector", np.arange(5, dtype=np.int64))
    write("empty", np.zeros((0,), np.float32))
    write("empty_2d", np.zeros((3, 0), np.float64))
    write("rank_8", np.arange(4, dtype=np.uint8).reshape(1, 2, 1, 1, 2, 1, 1, 1))
    write("rank_32", np.arange(2, dtype=np.uint8).reshape((1,) * 31 + (2,)))
    write("long_dimensions", np.zeros((1000000000, 0, 1000000000), np.float32))
    for rank in range(8, 20):  # across the header's alignment
        write(f"aligned_{rank}", np.zeros((1,) * rank, np.float32))
    write("version_2", count, (2, 0))
    write("version_3", count, (3, 0))

    # What is not supported.
    write("unsupported_unicode", np.array(["abc"]))
    write("unsupported_bytes", np.array([b"abc"]))
    write("unsupported_datetime", np.array(["2020-01-01"], "M8[s]"))
    write("unsupported_object", np.array([None]))
    write("unsupported_longdouble", np.array([1], np.longdouble))
    write("unsupported_record", np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")]))
    write("unsupported_void4", np.zeros(2, "V4"))


if __name__ == "__main__":
    main()
