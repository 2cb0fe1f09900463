"""Random networks in which every operator reads its tensor through aliases of any rank, whose rows are not those of the memory."""

import numpy as np

from tests.random_mixtures import MixtureMaker, next_image
from weft.compiler.graph import Graph

MOST_RANK = 5
MOST_ALIASES = 2
"""Aliases that stand between a tensor and the image as which it is read."""


def random_shape(rng: np.random.Generator, size: int, rank: int) -> tuple[int, ...]:
    """A shape of so many elements, the factors in any order."""
    shape = []
    for _ in range(rank - 1):
        shape.append(int(rng.choice([n for n in range(1, size + 1) if size % n == 0])))
        size //= shape[-1]
    return tuple(int(n) for n in rng.permutation([*shape, size]))


def random_alias_network(seed: int) -> Graph:
    """One to five operators of all kinds, each behind a RESHAPE to an image and up to two of any rank."""
    rng = np.random.default_rng(seed)
    maker = MixtureMaker(rng, (1, int(rng.integers(2, 14)), int(rng.integers(2, 14)), int(rng.integers(1, 20))))
    images = ["input"]
    for _ in range(int(rng.integers(1, 6))):
        source = images[int(rng.integers(max(0, len(images) - 3), len(images)))]
        size = maker.tensors[source].size
        for _ in range(int(rng.integers(0, MOST_ALIASES + 1))):
            source = maker.reshape(source, random_shape(rng, size, int(rng.integers(1, MOST_RANK + 1))))
        source = maker.reshape(source, (1, *random_shape(rng, size, 3)))
        images += [source, next_image(maker, source, [*images, source])]
    return maker.graph(images[-1])
