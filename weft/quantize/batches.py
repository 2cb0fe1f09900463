"""Networks evaluated on many samples, many at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from weft.compiler.evaluate import EVALUATORS, evaluate
from weft.compiler.graph import Graph, Operator

BATCH_BYTES = 16 << 20
"""Of a batch's tensors."""
LARGEST_BATCH = 32
KEPT_BYTES = 1 << 30
"""Tensors of the INT8 network that are kept: variants of it are evaluated from where they differ."""

Values = dict[str, np.ndarray]


class Batches:
    """A network and its samples.

    Parameters
    ----------
    graph : Graph
        With int8 weights. Variants of it have other constants, and all else alike.
    samples : sequence of dict
        One value for each of its inputs.

    Attributes
    ----------
    samples : int
    """

    def __init__(self, graph: Graph, samples: Sequence[Values]):
        self.graph, self.samples = graph, len(samples)
        in_sample = sum(tensor.size for tensor in graph.tensors.values() if not tensor.constant)
        size = min(LARGEST_BATCH, max(1, BATCH_BYTES // in_sample)) if _can_batch(graph, samples[0]) else 1
        self._inputs = [_joined(samples[i : i + size]) for i in range(0, len(samples), size)]
        self._keeps = in_sample * len(samples) <= KEPT_BYTES
        self._kept: list[Values] = []

    @property
    def count(self) -> int:
        """Batches."""
        return len(self._inputs)

    def run(self) -> Iterator[Values]:
        """All tensors of the INT8 network, batch by batch."""
        if self._kept:
            yield from self._kept
            return
        kept = []
        for inputs in self._inputs:
            values = evaluate(widened(self.graph, size_of(inputs, self.graph)), inputs)
            if self._keeps:
                kept.append(values)
            yield values
        self._kept = kept

    def known(self) -> list[Values]:
        """All tensors of the INT8 network, batch by batch, where they are kept; else the inputs."""
        return self._kept or self._inputs

    def results(self, names: Iterable[str], variant: Graph | None = None, advance: Callable[[], object] = lambda: None) -> Values:
        """Some tensors of all samples, a row each.

        Parameters
        ----------
        names : iterable of str
        variant : Graph, optional
            Another network than the INT8 one.
        advance : callable
            Called after each batch.
        """
        names, parts = list(names), []
        for values in self.run() if variant is None else self.known():
            values = values if variant is None else _updated(self.graph, variant, values)
            count = size_of(values, self.graph)
            parts.append({name: values[name].reshape(count, -1) for name in names})
            advance()
        return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _updated(graph, variant, values) -> Values:
    """The tensors of a variant, given those of the network, or only its inputs."""
    count = size_of(values, graph)
    wide, new = widened(variant, count), dict(values)
    changed = {name for name, tensor in variant.tensors.items() if tensor is not graph.tensors[name]}
    for operator in wide.operators:
        known = all(name in values for name in operator.outputs)
        if not known or not changed.isdisjoint(operator.inputs):
            new.update(computed(wide, operator, new))
            changed.update(operator.outputs)
    return new


def computed(graph: Graph, operator: Operator, values: Values) -> Values:
    """An operator's outputs."""
    results = EVALUATORS[operator.op](graph, operator, values)
    return dict(zip(operator.outputs, results if isinstance(results, tuple) else (results,)))


def _joined(samples) -> Values:
    return {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]}


def size_of(values: Values, graph: Graph) -> int:
    """Samples in a batch."""
    name = graph.inputs[0]
    return values[name].size // graph.tensors[name].size


def widened(graph: Graph, count: int) -> Graph:
    """The network for several samples at a time, along the first dimension."""
    if count == 1:
        return graph
    tensors = {
        name: tensor if tensor.constant else replace(tensor, shape=(count * tensor.shape[0], *tensor.shape[1:]))
        for name, tensor in graph.tensors.items()
    }
    return replace(graph, tensors=tensors)


def _can_batch(graph, sample) -> bool:
    """Whether two samples at a time give what they give one by one: measured, since operators may count or cut the first dimension."""
    if any(not tensor.shape for tensor in graph.tensors.values() if not tensor.constant):
        return False
    other = {name: np.flip(value) for name, value in sample.items()}
    try:
        both = evaluate(widened(graph, 2), _joined([sample, other]))
    except (ValueError, LookupError, TypeError):  # numpy's, of shapes that do not fit
        return False
    alone = [evaluate(graph, each) for each in (sample, other)]
    return all(np.array_equal(both[name], np.concatenate([one[name] for one in alone])) for name in both)
