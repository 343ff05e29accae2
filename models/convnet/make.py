"""A small residual network for images, in the shape of CIFAR ResNets, with its weights as arguments.

Stem convolution, two residual blocks (the second halves the image and doubles the channels), batch normalisation with
running statistics, ReLU, global average pooling, dense layer, softmax. The weights are random (seed 0), not trained: the
model is here for its operations and for its argument paths, such as args[0]['block1']['conv1']['kernel'].
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import artifact
import jax
import jax.numpy as jnp
import numpy as np

CLASSES = 10


def initial_params(rng):
    def conv(size, inputs, outputs):
        return {"kernel": rng.normal(0, np.sqrt(2 / (size * size * inputs)), (size, size, inputs, outputs))}

    def norm(channels):
        return {
            "scale": rng.uniform(0.5, 1.5, channels),
            "bias": rng.normal(0, 0.2, channels),
            "mean": rng.normal(0, 0.3, channels),
            "var": rng.uniform(0.5, 2.0, channels),
        }

    def block(inputs, outputs):
        parts = {
            "conv1": conv(3, inputs, outputs),
            "norm1": norm(outputs),
            "conv2": conv(3, outputs, outputs),
            "norm2": norm(outputs),
        }
        if inputs != outputs:
            parts["shortcut"] = conv(1, inputs, outputs)
        return parts

    params = {
        "stem": {**conv(3, 3, 16), "norm": norm(16)},
        "block1": block(16, 16),
        "block2": block(16, 32),
        "head": {"kernel": rng.normal(0, np.sqrt(1 / 32), (32, CLASSES)), "bias": rng.normal(0, 0.1, CLASSES)},
    }
    return jax.tree.map(lambda a: a.astype(np.float32), params)


def conv(x, kernel, stride=1):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
    )


def norm(x, p):
    return (x - p["mean"]) * (p["scale"] * jax.lax.rsqrt(p["var"] + 1e-5)) + p["bias"]


def block(x, p, stride):
    h = jax.nn.relu(norm(conv(x, p["conv1"]["kernel"], stride), p["norm1"]))
    h = norm(conv(h, p["conv2"]["kernel"]), p["norm2"])
    shortcut = conv(x, p["shortcut"]["kernel"], stride) if "shortcut" in p else x
    return jax.nn.relu(h + shortcut)


@jax.jit
def convnet(params, images):
    h = jax.nn.relu(norm(conv(images, params["stem"]["kernel"]), params["stem"]["norm"]))
    h = block(h, params["block1"], stride=1)
    h = block(h, params["block2"], stride=2)
    features = h.mean(axis=(1, 2))
    logits = jnp.dot(features, params["head"]["kernel"], precision="highest") + params["head"]["bias"]
    return {"features": features, "probabilities": jax.nn.softmax(logits)}


def build():
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (2, 32, 32, 3)).astype(np.float32)
    return artifact.Program(convnet, (initial_params(rng), images), platforms=artifact.EVERYWHERE, rtol=1e-4)


if __name__ == "__main__":
    artifact.main(__file__, build)
