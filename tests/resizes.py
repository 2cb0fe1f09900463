"""Networks of one RESIZE_BILINEAR, or that begin with one."""

import numpy as np

from tests.random_graphs import GraphMaker
from weft.compiler.graph import Graph, Tensor

ALIGNMENTS = {"edges": (False, False), "corners": (True, False), "half pixels": (False, True)}


def resized(shape, size, alignment="half pixels", *, seed=0) -> GraphMaker:
    """A network's beginning: its input resized; the result is ``resize_bilinear_0_out``."""
    maker = GraphMaker(np.random.default_rng(seed), shape)
    maker.tensors["size"] = Tensor("size", (2,), "int32", None, np.array(size, np.int32))
    options = dict(zip(("align_corners", "half_pixel_centers"), ALIGNMENTS[alignment], strict=True))
    maker.result = maker._operator("RESIZE_BILINEAR", ("input", "size"), (shape[0], *size, shape[3]), options, like=maker.tensors["input"])
    return maker


def graph_of(*arguments, **options) -> Graph:
    maker = resized(*arguments, **options)
    return maker.graph(maker.result)
