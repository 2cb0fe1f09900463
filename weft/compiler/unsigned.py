"""Pass, after folding: a network of uint8 becomes one of int8, which the NPU computes; its own inputs, outputs and states stay uint8.

A byte b of the file becomes b - 128, with a zero point 128 lower, so that it stands for the same number. The reference kernels of
`NEEDING` and `FOLLOWING` compute the same numbers from either (``docs/numerics.md`` says where uint8 has a rule of its own). Weights stay
uint8: `parameters.weights` takes their zero point away. An operator that is in neither table keeps its bytes as they are; where it meets
others, and at the network's inputs and outputs, a QUANTIZE that changes only the zero point stands between.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from weft.compiler.graph import Graph, Operator, Tensor, label_of
from weft.compiler.parameters import EDGES, WEIGHTED

NEEDING = frozenset({
    "ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAXIMUM", "MAX_POOL_2D", "MINIMUM", "MIRROR_PAD", "MUL",
    "PAD", "PADV2", "PRELU", "RESIZE_NEAREST_NEIGHBOR", "SOFTMAX", "SUB", "TRANSPOSE_CONV",
})  # fmt: skip
"""Operators that the NPU computes on int8 alone: a network without any of them on uint8 stays as it is."""
FOLLOWING = frozenset({
    "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CONCATENATION", "DEPTH_TO_SPACE", "EXPAND_DIMS", "GATHER", "GELU", "HARD_SWISH", "LEAKY_RELU",
    "LOGISTIC", "MEAN", "PACK", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE", "REVERSE_V2",
    "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TANH", "TILE", "TRANSPOSE", "UNPACK",
})  # fmt: skip
"""Operators that the NPU computes on either. SUM is none: its int8 kernel reads the bytes as if they were unsigned."""
SIGNED = "#signed"
"""Behind the name of a tensor that also has its own, as uint8."""
SHIFT = "shift"
"""Option of a QUANTIZE that stands between the two forms of a tensor: it is right by construction, also where there is no scale."""
PLAIN = ("int32", "int64")
"""Types of what an operator reads beside its activations: shapes, axes, biases."""


def signed(graph: Graph) -> Graph:
    """The graph with int8 in place of uint8 inside, its tensors under their own names, which `Graph.shifted` lists.

    A tensor that is wanted as both has its own name as uint8; the other is called ``NAME#signed``.
    """
    graph = replace(graph, operators=tuple(_as_copy(graph, operator) for operator in graph.operators))
    turned = {operator.name for operator in graph.operators if _is_turned(graph, operator)}
    if not any(operator.op in NEEDING for operator in graph.operators if operator.name in turned):
        return graph
    return _Signed(graph, turned).graph()


def _as_copy(graph, operator) -> Operator:
    """A RESIZE_BILINEAR of uint8 that only repeats one pixel, or keeps the size, as the RESIZE_NEAREST_NEIGHBOR that does the same."""
    source, result = graph.input(operator, 0), graph.output(operator) if operator.outputs else None
    if operator.op != "RESIZE_BILINEAR" or source is None or source.dtype != "uint8" or len(source.shape) != 4 or len(result.shape) != 4:
        return operator
    plain = source.shape[1:3] in ((1, 1), result.shape[1:3])
    return replace(operator, op="RESIZE_NEAREST_NEIGHBOR") if plain else operator


def _is_turned(graph, operator) -> bool:
    """Whether an operator is computed on int8 instead of uint8: its kernel knows both, and all that it computes on is uint8."""
    if operator.op not in NEEDING | FOLLOWING:
        return False
    read = [graph.tensors[name] for index, name in enumerate(operator.inputs) if name is not None and not _is_weights(operator, index)]
    activations = [tensor for tensor in read if tensor.dtype not in PLAIN] + [graph.tensors[name] for name in operator.outputs]
    return all(tensor.dtype == "uint8" for tensor in activations)


def _is_weights(operator, index) -> bool:
    return operator.op in WEIGHTED and index == 1


def shifted(tensor: Tensor, name: str) -> Tensor:
    """A uint8 tensor as int8."""
    q = tensor.quantization
    quantization = None if q is None else replace(q, zero_point=tuple(zero_point - 128 for zero_point in q.zero_point))
    data = None if tensor.data is None else (tensor.data ^ np.uint8(128)).view(np.int8)
    return Tensor(name, tensor.shape, "int8", quantization, data)


@dataclass
class _Signed:
    """One rewriting of a graph: `old`, of whose operators those named in `turned` compute on int8."""

    old: Graph
    turned: set[str]
    made: list[Operator] = field(default_factory=list)

    def __post_init__(self):
        self.bytes = {name for name, tensor in self.old.tensors.items() if tensor.dtype == "uint8"}
        self.born = {name for operator in self.old.operators if operator.name in self.turned for name in operator.outputs}
        readers = self.old.consumers()
        self.born |= {name for name in self.bytes if self._is_requantized(name) and self._read_turned(name, readers)}
        self.low, self.high = set(), set()  # wanted as int8, and as uint8
        for name in self.bytes:
            constant = self.old.tensors[name].constant
            if name in self.born or self._read_turned(name, readers):
                self.low.add(name)
            home = not constant and name not in self.born
            if home or name in self.old.results or self._read_as_it_is(name, readers):
                self.high.add(name)

    def _is_requantized(self, name):
        """Written by a QUANTIZE, which may write either; of real numbers beyond int32 its zero point decides whether it wraps."""
        makers = [operator for operator in self.old.operators if name in operator.outputs and operator.op == "QUANTIZE"]
        return any(self.old.tensors[operator.inputs[0]].dtype in ("int8", "uint8") for operator in makers)

    def _read_turned(self, name, readers):
        return any(
            each == name and not _is_weights(operator, index)
            for operator in readers[name]
            if operator.name in self.turned
            for index, each in enumerate(operator.inputs)
        )

    def _read_as_it_is(self, name, readers):
        return any(
            each == name and (_is_weights(operator, index) or (operator.name not in self.turned and operator.op not in EDGES))
            for operator in readers[name]
            for index, each in enumerate(operator.inputs)
        )

    def graph(self) -> Graph:
        """The new graph."""
        tensors = {name: tensor for name, tensor in self.old.tensors.items() if name not in self.low or name in self.high}
        self.names = {name: self._name(name) if name in self.high else name for name in sorted(self.low)}
        tensors |= {new: shifted(self.old.tensors[name], new) for name, new in self.names.items()}
        for name in self.old.sources:
            self._between(name)
        for operator in self.old.operators:
            self.made.append(self._operator(operator))
            for name in operator.outputs:
                self._between(name)
        low = frozenset(self.names.values())
        return replace(self.old, tensors=tensors, operators=tuple(self.made), shifted=low)

    def _name(self, name) -> str:
        """A new name."""
        new = name + SIGNED
        while new in self.old.tensors:
            new += SIGNED
        return new

    def _operator(self, operator) -> Operator:
        turned = operator.name in self.turned

        def read(index, name):
            low = (turned and not _is_weights(operator, index)) or (operator.op in EDGES and (name in self.born or name not in self.high))
            return self.names.get(name, name) if low else name

        inputs = tuple(read(index, name) for index, name in enumerate(operator.inputs))
        outputs = tuple(self.names[name] if name in self.born else name for name in operator.outputs)
        return replace(operator, inputs=inputs, outputs=outputs)

    def _between(self, name):
        """The other form of a tensor that is wanted as both."""
        if name not in self.low or name not in self.high:
            return
        source, result = (self.names[name], name) if name in self.born else (name, self.names[name])
        kind = "unsigned" if name in self.born else "signed"
        count = sum(operator.name.startswith(f"{kind}_") for operator in self.made)
        self.made.append(Operator(f"{kind}_{count}", "QUANTIZE", (source,), (result,), {SHIFT: True}, label_of(name)))
