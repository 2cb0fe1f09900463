"""Trains the digits network, quantizes it to int8 and writes `digits.tflite` and `digits_test.npz` beside this file.

Its output is committed; to make it again (a minute; needs `pip install scikit-learn`, which holds the data)::

    python examples/digits/train.py
"""

from pathlib import Path

import numpy as np
from network import CONVOLUTIONS, forward, gradients, initial_parameters
from quantize import INPUT_SCALE, INPUT_ZERO_POINT, quantized_network

HERE = Path(__file__).parent
SEED = 7
EPOCHS = 150
BATCH = 32
RATE = 2e-3
TEST_SHARE = 5
"""One image in so many is held out for the test."""


def load_data():
    """Images as bytes ``uint8[N, 8, 8, 1]`` (0 to 255) and labels, in a fixed random order."""
    from sklearn.datasets import load_digits  # only to train

    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    pixels = np.round(digits.images[order] * (255 / 16)).astype(np.uint8)  # the data set counts 0 to 16
    return pixels[..., None], digits.target[order].astype(np.int64)


def shifted(images, rng):
    """Half of the images moved by -1, 0 or 1 pixel along both axes: more training data from the little there is."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moves = np.where(rng.random((len(images), 1)) < 0.5, rng.integers(0, 3, (len(images), 2)), 1)
    return np.stack([image[y : y + 8, x : x + 8] for image, (y, x) in zip(padded, moves)])


def train(images, labels):
    """Parameters after `EPOCHS` of Adam (Kingma and Ba, 2015) with a rate that falls as a cosine."""
    rng = np.random.default_rng(SEED)
    parameters = initial_parameters(rng)
    first = {name: np.zeros_like(value) for name, value in parameters.items()}
    second = {name: np.zeros_like(value) for name, value in parameters.items()}
    steps = EPOCHS * (len(images) // BATCH)
    step = 0
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[at : at + BATCH]
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            grads = gradients(parameters, forward(parameters, shifted(images[chosen], rng)), labels[chosen])
            for name, grad in grads.items():
                first[name] = 0.9 * first[name] + 0.1 * grad
                second[name] = 0.999 * second[name] + 0.001 * grad**2
                mean, square = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
                parameters[name] = (parameters[name] - rate * mean / (np.sqrt(square) + 1e-8)).astype(np.float32)
        if epoch % 30 == 29:
            print(f"epoch {epoch + 1}: training accuracy {accuracy(parameters, images, labels):.4f}")
    return parameters


def accuracy(parameters, images, labels):
    """Share of images whose largest logit is their label's."""
    return float((forward(parameters, images)["logits"].argmax(1) == labels).mean())


def main():
    """Train, quantize, write."""
    pixels, labels = load_data()
    held_out = len(labels) // TEST_SHARE
    real = (pixels * np.float32(INPUT_SCALE)).astype(np.float32)
    parameters = train(real[held_out:], labels[held_out:])
    print(f"float, test: {accuracy(parameters, real[:held_out], labels[:held_out]):.4f} of {held_out} images")

    activations = forward(parameters, real[held_out:])
    (HERE / "digits.tflite").write_bytes(quantized_network(parameters, activations, CONVOLUTIONS))
    x = (pixels[:held_out].astype(np.int16) + INPUT_ZERO_POINT).astype(np.int8)
    np.savez_compressed(HERE / "digits_test.npz", x=x, labels=labels[:held_out].astype(np.uint8))
    print("wrote digits.tflite and digits_test.npz")


if __name__ == "__main__":
    main()
