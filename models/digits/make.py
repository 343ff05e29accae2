"""A convolution net that reads handwritten digits, trained here on scikit-learn's digits (8x8 images, real handwriting).

Two 3x3 convolutions (16 and 32 channels), 2x2 max pooling, one dense layer: 9,930 weights, baked into the program as
constants. Trained with Adam on 1,437 images, tested on the 360 held out: accuracy 0.9861 (asserted to be at least 0.96).
The ten images of inputs.npz are held-out ones, the first of each digit from 0 to 9.

Data: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, CC BY 4.0.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import artifact
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

CONV = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "padding": "SAME", "precision": "highest"}
EPOCHS, BATCH = 30, 64


def initial_weights(key):
    k1, k2, k3 = jax.random.split(key, 3)
    return {
        "conv1": {"kernel": jax.random.normal(k1, (3, 3, 1, 16)) * np.sqrt(2 / 9), "bias": jnp.zeros(16)},
        "conv2": {"kernel": jax.random.normal(k2, (3, 3, 16, 32)) * np.sqrt(2 / 144), "bias": jnp.zeros(32)},
        "dense": {"kernel": jax.random.normal(k3, (512, 10)) * np.sqrt(1 / 512), "bias": jnp.zeros(10)},
    }


def logits_of(weights, x):
    h = x[..., None] / 16.0
    for layer in ("conv1", "conv2"):
        h = jax.lax.conv_general_dilated(h, weights[layer]["kernel"], (1, 1), **CONV)
        h = jax.nn.relu(h + weights[layer]["bias"])
    h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    h = h.reshape(h.shape[0], -1)
    return jnp.dot(h, weights["dense"]["kernel"], precision="highest") + weights["dense"]["bias"]


def train(images, labels):
    def loss(weights, x, y):
        return -jnp.take_along_axis(jax.nn.log_softmax(logits_of(weights, x)), y[:, None], axis=1).mean()

    @jax.jit
    def adam_step(weights, mean, square, step, x, y):
        gradient = jax.grad(loss)(weights, x, y)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradient)
        rate = 2e-3 * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        return jax.tree.map(lambda w, m, s: w - rate * m / (jnp.sqrt(s) + 1e-8), weights, mean, square), mean, square

    weights = initial_weights(jax.random.key(0))
    mean = square = jax.tree.map(jnp.zeros_like, weights)
    rng = np.random.default_rng(0)
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            step += 1
            batch = order[start : start + BATCH]
            weights, mean, square = adam_step(weights, mean, square, step, images[batch], labels[batch])
    return weights


def data():
    digits = load_digits()
    images, labels = digits.images.astype(np.float32), digits.target.astype(np.int32)
    return train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)


def build():
    if "--check" in sys.argv:
        return artifact.Program(None)
    train_x, test_x, train_y, test_y = data()
    weights = train(train_x, train_y)
    accuracy = float((np.argmax(logits_of(weights, test_x), axis=1) == test_y).mean())
    print(f"test accuracy {accuracy:.4f} on {len(test_x)} images")
    assert accuracy >= 0.96

    chosen = [int(np.flatnonzero(test_y == digit)[0]) for digit in range(10)]
    np.save(HERE / "images.npy", test_x[chosen])
    np.save(HERE / "labels.npy", test_y[chosen])

    @jax.jit
    def digits(x):
        logits = logits_of(weights, x)
        return {"logits": logits, "label": jnp.argmax(logits, axis=1).astype(jnp.int32)}

    return artifact.Program(digits, (test_x[chosen],), platforms=artifact.EVERYWHERE)


if __name__ == "__main__":
    artifact.main(__file__, build)
