"""Light behind a double slit: a complex field carried over a distance by two-dimensional FFTs (Fresnel diffraction).

The field (complex64, 64x64, samples 10 um apart, wavelength 633 nm) is transformed, multiplied by the transfer function of
free space, and transformed back. Arguments: the field and the distance in metres; results: the field there (complex64), its
intensity (f32) and the total power at both ends, which free space leaves as it was.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import artifact
import jax
import jax.numpy as jnp
import numpy as np

SIZE, SPACING, WAVELENGTH = 64, 10e-6, 633e-9


@jax.jit
def propagate(field, distance):
    frequency = jnp.asarray(np.fft.fftfreq(SIZE, SPACING), jnp.float32)
    phase = -np.float32(np.pi * WAVELENGTH) * distance * (frequency[:, None] ** 2 + frequency[None, :] ** 2)
    end = jnp.fft.ifft2(jnp.fft.fft2(field) * jax.lax.complex(jnp.cos(phase), jnp.sin(phase)))
    intensity = jnp.real(end * jnp.conj(end))
    return {
        "field": end,
        "intensity": intensity,
        "power": jnp.stack([jnp.real(field * jnp.conj(field)).sum(), intensity.sum()]),
    }


def double_slit():
    """Two slits of different width, lit by a wave that comes in at a slant: no symmetry left to hide a transposition."""
    field = np.zeros((SIZE, SIZE), np.complex64)
    field[16:48, 24:28] = 1
    field[16:48, 36:42] = 0.7
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return (field * np.exp(1j * (0.15 * rows + 0.05 * columns))).astype(np.complex64)


def build():
    return artifact.Program(
        propagate, (double_slit(), np.float32(0.004)), platforms=artifact.EVERYWHERE, rtol=1e-4, atol=1e-5
    )


if __name__ == "__main__":
    artifact.main(__file__, build)
