"""Networks of a thousand layers: cells of separable convolutions, pools, sums and a concatenation, as architecture search makes them."""

import numpy as np

from tests.random_graphs import GraphMaker
from weft.compiler.graph import Graph

JOINED = 5
"""Branches of a cell that are joined."""


class _Cells(GraphMaker):
    def separable(self, source, channels, kernel, stride=1):
        """A filter a channel and a projection, twice over: four operators."""
        for step in (stride, 1):
            source = self.conv(self.depthwise(source, (kernel, kernel), stride=(step, step)), channels, (1, 1))
        return source

    def joined(self, sources):
        """CONCATENATION of the channels of images whose quantization is the first one's."""
        first = self.tensors[sources[0]]
        for name in sources[1:]:
            self.tensors[name] = type(first)(name, self.tensors[name].shape, "int8", first.quantization)
        shape = (*first.shape[:3], sum(self.tensors[name].shape[3] for name in sources))
        return self._operator("CONCATENATION", tuple(sources), shape, {"axis": 3, "activation": "NONE"}, like=first)

    def cell(self, last, before, channels, stride=1):
        """Twenty-six operators that read the outputs of the two cells before; a stride halves the image."""
        last = self.conv(last, channels, (1, 1))
        shrink = self.tensors[before].shape[1] // self.tensors[last].shape[1]
        before = self.conv(before, channels, (1, 1), stride=(shrink, shrink))
        pool = {"kernel": (3, 3), "stride": (stride, stride)}
        sums = [
            self.add(self.separable(last, channels, 5, stride), self.separable(before, channels, 3, stride)),
            self.add(self.separable(before, channels, 5, stride), self.separable(before, channels, 3, stride)),
            self.add(self.pool("AVERAGE_POOL_2D", last, **pool), self.pool("MAX_POOL_2D", before, **pool)),
            self.add(self.pool("AVERAGE_POOL_2D", before, **pool), self.separable(last, channels, 3, stride)),
        ]
        sums.append(self.add(sums[0], sums[2]))
        assert len(sums) == JOINED
        return self.joined(sums)


def cell_network(layers: int, *, side: int = 28, channels: int = 24, seed: int = 1) -> Graph:
    """About so many operators, in three stages of cells; the second and the third begin with a cell that halves the image.

    Parameters
    ----------
    side, channels : int
        Of the first stage: height and width of its images, and channels of each branch.
    """
    maker = _Cells(np.random.default_rng(seed), (1, 2 * side, 2 * side, 3))
    before = last = maker.conv("input", channels, (3, 3), stride=(2, 2))
    first = len(maker.operators)
    while len(maker.operators) < layers:
        stage = 3 * (len(maker.operators) - first) // max(1, layers - first)
        stride = 2 if maker.tensors[last].shape[1] > side >> stage else 1
        last, before = maker.cell(last, before, channels << stage, stride), last
    return maker.graph(maker.fully_connected(last, 10))
