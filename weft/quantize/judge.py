"""How good a network's answers are: by labels, or against those of the INT8 network."""

from collections.abc import Callable

import numpy as np

from weft.compiler.graph import Graph
from weft.quantize.batches import Batches, Values


class Judge:
    """Judges variants of a network on samples of its own.

    Parameters
    ----------
    batches : Batches
        The INT8 network and the samples.
    labels : int64[samples] or None

    Attributes
    ----------
    batches : Batches
    labels : int64[samples] or None
    """

    def __init__(self, batches: Batches, labels: np.ndarray | None, advance: Callable[[], object] = lambda: None):
        self.batches, self.labels = batches, labels
        self._output, self._logits = answers_of(batches.graph)
        self._reference = self.answers(advance=advance)

    def answers(self, variant: Graph | None = None, advance: Callable[[], object] = lambda: None) -> Values:
        """What a variant, or the INT8 network, makes of the samples: for the other functions."""
        return self.batches.results({self._output, self._logits}, variant, advance)

    def accuracy(self, answers: Values | None = None) -> float:
        """Percent of the samples whose top class is the label, or without labels the INT8 network's; of that one where none is given."""
        right = top_class(self._reference[self._output]) if self.labels is None else self.labels
        return float(100 * np.mean(top_class((answers or self._reference)[self._output]) == right))

    def loss(self, answers: Values) -> float:
        """Percentage points of `accuracy` below the INT8 network's."""
        return self.accuracy() - self.accuracy(answers)

    def noise(self, answers: Values) -> float:
        """Power of the error in front of a last SOFTMAX, over that of the signal about its mean over the samples; 0 where none differs."""
        before, after = (values[self._logits].astype(np.float64) for values in (self._reference, answers))
        error, power = ((after - before) ** 2).sum(), ((before - before.mean(axis=0)) ** 2).sum()
        return float(error / power) if power else float("inf") if error else 0.0

    def signal_db(self, answers: Values) -> float:
        """`noise` as a distance in dB; infinite where nothing differs."""
        noise = self.noise(answers)
        return float(-10 * np.log10(noise)) if noise else float("inf")


def answers_of(graph: Graph) -> tuple[str, str]:
    """The tensor with the answers, and the one in front of its SOFTMAX, which hides what differs before it."""
    output = graph.outputs[0]
    for operator in graph.operators:
        if output in operator.outputs and operator.op == "SOFTMAX":
            return output, operator.inputs[0]
    return output, output


def classes(graph: Graph) -> int:
    """Values of an answer."""
    return graph.tensors[graph.outputs[0]].size


def top_class(values: np.ndarray) -> np.ndarray:
    """The first of the largest values in each row, int64[rows]."""
    return values.argmax(axis=1)
