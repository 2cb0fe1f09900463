"""Chosen layers in 4 bits, all by themselves or one after the other."""

from collections.abc import Callable, Sequence

from hw.npu.errors import WeftError
from weft.compiler.graph import Graph, Operator
from weft.quantize.batches import Batches, computed, size_of, widened
from weft.quantize.moments import MomentSums, unit_moments
from weft.quantize.narrow import Narrowed, narrowed, with_layers

Made = dict[str, Narrowed | str]
"""Of each layer what became of it, or why nothing could, by name."""
Advance = Callable[[], object]
"""Called after each operator of the network."""


def without_samples(graph: Graph, operators: Sequence[Operator], advance: Advance) -> Made:
    """Layers in 4 bits where nothing is known of their inputs."""
    made: Made = {}
    for operator in graph.operators:
        if operator in operators:
            made[operator.name] = _attempt(graph, operator, unit_moments(graph, operator))
        advance()
    return made


def each_alone(graph: Graph, operators: Sequence[Operator], batches: Batches, advance: Advance) -> Made:
    """Layers in 4 bits, each for the inputs that it has in the INT8 network."""
    return _walk(graph, operators, batches, advance, in_order=False)


def in_order(graph: Graph, operators: Sequence[Operator], batches: Batches, advance: Advance) -> Made:
    """Layers in 4 bits, each for the inputs that it has when those before it are: it mends what it can of what they did."""
    return _walk(graph, operators, batches, advance, in_order=True)


def _walk(graph, operators, batches, advance, *, in_order) -> Made:
    """Operator by operator, with all batches at each; tensors go when nobody is left who reads them."""
    made: Made = {}
    before = [dict(values) for values in batches.known()]
    after = [{name: values[name] for name in graph.inputs} for values in before]
    counts = [size_of(values, graph) for values in before]
    last = {name: operator for operator in graph.operators for name in operator.inputs}  # who reads it last
    new = graph
    for operator in graph.operators:
        if operator in operators:
            sums, source = MomentSums(graph, operator, batches.samples), operator.inputs[0]
            for old_values, new_values in zip(before, after):
                sums.add(old_values[source], new_values[source])
            layer = made[operator.name] = _attempt(graph, operator, sums.moments())
            if in_order and isinstance(layer, Narrowed):
                new = with_layers(new, [layer])
        for count, old_values, new_values in zip(counts, before, after):
            _step(graph, new, operator, count, old_values, new_values)
            for name in dict.fromkeys(operator.inputs):
                if last.get(name) is operator:
                    old_values.pop(name, None)
                    new_values.pop(name, None)
        advance()
    return made


def _step(graph, new, operator, count, old_values, new_values):
    """An operator's outputs in both networks; where nothing differs, the same arrays."""
    names = [name for name in operator.inputs if name is not None]
    same = all(graph.tensors[name] is new.tensors[name] and old_values.get(name) is new_values.get(name) for name in names)
    if not all(name in old_values for name in operator.outputs):
        old_values.update(computed(widened(graph, count), operator, old_values))
    if same:
        new_values.update({name: old_values[name] for name in operator.outputs})
    else:
        new_values.update(computed(widened(new, count), operator, new_values))


def _attempt(graph, operator, moments) -> Narrowed | str:
    try:
        return narrowed(graph, operator, moments)
    except WeftError as error:
        return error.message
