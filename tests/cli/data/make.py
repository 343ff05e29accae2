"""Writes what the tests of the command read and compare with: `python3 tests/cli/data/make.py`. Made with numpy 2.4.6."""

from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def main() -> None:
    count = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez_compressed(HERE / "compressed.npz", arg0=count)

    # What the command is to write for outputs of these values.
    np.savez(HERE / "outputs.npz", out0=count, out1=np.array([True, False]), out2=np.array(7, np.int64))
    for i, array in enumerate([count, np.array([True, False]), np.array(7, np.int64)]):
        np.save(HERE / f"out{i}.npy", array)

    # Expected values beside out0.npy: a little wrong, wrong in two places, of another shape and another type.
    np.save(HERE / "close.npy", count + np.float32(1e-3))
    wrong = count.copy()
    wrong[0, 1] = 1.25
    wrong[1, 2] = 7
    np.save(HERE / "wrong.npy", wrong)
    np.save(HERE / "wrong_shape.npy", count.T.copy())
    np.save(HERE / "wrong_type.npy", count.astype(np.float64))


if __name__ == "__main__":
    main()
