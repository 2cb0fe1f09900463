"""Pass, after folding: a convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND becomes what it means, a dilated convolution.

Older exporters write dilation this way: every b-th pixel is an image of its own, a plain convolution runs over all of them, and the
results are laid back between each other. Phase (i, j) of the padded image meets the kernel exactly where a kernel of dilation b does
on the whole, so that the sums are the same, element by element. Crops take padding away again.
"""

from dataclasses import replace

import numpy as np

from weft.compiler import movement
from weft.compiler.graph import Graph, Operator, Tensor

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def dilate(graph: Graph) -> Graph:
    """The graph with such three operators replaced by a convolution, and a PAD where there is padding."""
    consumers, tensors = graph.consumers(), dict(graph.tensors)
    replaced: dict[str, tuple[Operator, ...]] = {}
    for phases in graph.operators:
        chain = _chain(graph, phases, consumers)
        if chain is not None:
            operators, made = _whole(graph, *chain)
            tensors.update((tensor.name, tensor) for tensor in made)
            replaced.update({chain[0].name: operators[:-1], chain[1].name: operators[-1:], chain[2].name: ()})
    operators = tuple(each for operator in graph.operators for each in replaced.get(operator.name, (operator,)))
    used = {*graph.inputs, *graph.outputs, *(name for operator in operators for name in (*operator.inputs, *operator.outputs))}
    return replace(graph, operators=operators, tensors={name: tensor for name, tensor in tensors.items() if name in used})


def _chain(graph, phases, consumers):
    """The three operators that begin with `phases`; None where they are not a dilated convolution."""
    if phases.op != "SPACE_TO_BATCH_ND":
        return None
    convolution = _only_reader(graph, phases, consumers)
    if convolution is None or convolution.op not in CONVOLUTIONS or convolution.inputs[0] != phases.outputs[0]:
        return None
    back = _only_reader(graph, convolution, consumers)
    if back is None or back.op != "BATCH_TO_SPACE_ND" or back.inputs[0] != convolution.outputs[0]:
        return None
    return (phases, convolution, back) if _is_dilation(graph, phases, convolution, back) else None


def _only_reader(graph, operator, consumers) -> Operator | None:
    readers = consumers[operator.outputs[0]]
    return readers[0] if len(readers) == 1 and operator.outputs[0] not in graph.results else None


def _is_dilation(graph, phases, convolution, back) -> bool:
    constants = [graph.input(operator, i) for operator in (phases, back) for i in (1, 2)]
    if any(tensor is None or not tensor.constant or tensor.size != size for tensor, size in zip(constants, (2, 4, 2, 4))):
        return False
    options = convolution.options
    plain = options["padding"] == "VALID" and all(options[f"{name}_{side}"] == 1 for name in ("stride", "dilation") for side in "hw")
    source, weights = graph.input(phases, 0), graph.input(convolution, 1)
    images = weights is not None and len(source.shape) == len(graph.output(back).shape) == len(weights.shape) == 4
    if not plain or not images or movement.numbers(graph, phases, 1) != movement.numbers(graph, back, 1):
        return False
    same = all(
        (a.dtype, _scale(a)) == (b.dtype, _scale(b))
        for a, b in ((source, graph.output(phases)), (graph.output(convolution), graph.output(back)))
    )
    pads, crops = movement.pairs(graph, phases, 2), movement.pairs(graph, back, 2)
    return same and all(0 <= c <= p for pair, crop in zip(pads, crops) for p, c in zip(pair, crop))


def _scale(tensor):
    return None if tensor.quantization is None else (tensor.quantization.scale, tensor.quantization.zero_point)


def _whole(graph, phases, convolution, back) -> tuple[tuple[Operator, ...], list[Tensor]]:
    """The operators in place of the three, the convolution last, and the tensors that they need."""
    pads, crops = movement.pairs(graph, phases, 2), movement.pairs(graph, back, 2)
    rest = [(p[0] - c[0], p[1] - c[1]) for p, c in zip(pads, crops)]
    block = movement.numbers(graph, phases, 1)
    options = {**convolution.options, "dilation_h": block[0], "dilation_w": block[1]}
    source = graph.input(phases, 0)
    members = (phases.name, convolution.name, back.name)
    dilated = replace(
        convolution, inputs=(source.name, *convolution.inputs[1:]), outputs=back.outputs, options=options, label=back.label, members=members
    )
    if not any(map(any, rest)):
        return (dilated,), []
    table = np.array([(0, 0), *rest, (0, 0)], np.int32)
    paddings = Tensor(f"{phases.outputs[0]}#paddings", table.shape, "int32", data=table)
    shape = tuple(n + int(row.sum()) for n, row in zip(source.shape, table))
    padded = replace(graph.output(phases), name=f"{phases.outputs[0]}#padded", shape=shape)
    pad = Operator(phases.name, "PAD", (source.name, paddings.name), (padded.name,), {}, phases.label, members)
    return (pad, replace(dilated, inputs=(padded.name, *dilated.inputs[1:]))), [paddings, padded]
