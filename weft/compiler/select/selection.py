"""What the rooms of this package share: the tensors so far, temporary ones, and the fields that most steps have."""

import copy
from dataclasses import replace

import numpy as np

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.npu.interface.isa import Opcode
from weft.compiler import parameters
from weft.compiler.graph import Graph, Operator, Tensor
from weft.compiler.steps import IDENTITY, INT8_LIMITS, Extent, Step, View, extent_of


class Selection:
    """The state of one pass over a graph.

    Parameters
    ----------
    graph : Graph
    config : NpuConfig

    Attributes
    ----------
    tensors : dict of str to Tensor
        The graph's, and temporary ones.
    root : dict of str to str
        The owner of the bytes of each tensor that the NPU touches.
    temporaries : list of str
    """

    def __init__(self, graph: Graph, config: NpuConfig):
        self.graph, self.config = graph, config
        self.tensors, self.root = dict(graph.tensors), {}
        self.temporaries: list[str] = []

    def owner(self, name: str) -> str:
        """The tensor whose bytes these are."""
        return self.root.setdefault(name, name)

    def memory(self, name: str) -> Extent:
        """How a tensor lies in memory; a constant is one row."""
        tensor = self.tensors[name]
        return Extent(1, tensor.size, 1) if tensor.constant else extent_of(self.tensors[self.owner(name)].shape)

    def seen(self, name: str, view: View) -> View:
        """A view of the rows that a tensor's shape has, for the rows that it has in memory: those of an alias are often others."""
        shape = extent_of(self.graph.tensors[name].shape)
        return view if shape.row_bytes == self.memory(name).row_bytes else replace(view, row_bytes=shape.row_bytes)

    def with_shapes(self, shapes: dict[str, tuple[int, ...]]) -> "Selection":
        """The same pass for an operator that sees some tensors of the graph in other shapes; in memory they lie as before."""
        other = copy.copy(self)
        other.graph = replace(self.graph, tensors=self.graph.tensors | {n: replace(self.tensors[n], shape=s) for n, s in shapes.items()})
        return other

    def temporary(self, operator: Operator, label: str, shape: tuple[int, ...]) -> str:
        """A new tensor of bytes that only the operator's own steps touch."""
        name = f"{operator.name}:{label}"
        assert name not in self.tensors
        self.tensors[name] = Tensor(name, shape, "int8")
        self.temporaries.append(name)
        return name

    def step(self, operator: Operator, opcode: Opcode, source: str, output: str, image: Extent, result: Extent, **fields) -> Step:
        """A step of an operator that leaves values as they are, but for `fields`."""
        multiplier, exponent = IDENTITY
        scaling = {"multiplier": np.array([multiplier], np.int32), "exponent": np.array([exponent], np.int32)}
        return Step(operator.name, operator.op, operator.title, opcode, source, output, image, result, **{**scaling, **fields})

    def whole(self, operator: Operator, opcode: Opcode, **fields) -> Step:
        """A step from the operator's first input to its output, both whole, seen as their shapes say."""
        source, result = parameters.source(self.graph, operator), self.graph.output(operator)
        return self.step(operator, opcode, source.name, result.name, extent_of(source.shape), extent_of(result.shape), **fields)

    def refuse(self, operator: Operator, reason: str, remedy: str | None = None):
        """Stop: the NPU does not do this."""
        raise WeftError(f"{operator.op}: {reason}", file=self.graph.file, layer=operator.title, remedy=remedy)


def requantization(graph: Graph, operator: Operator) -> dict:
    """Fields of a step with weights."""
    multiplier, exponent = parameters.requantization(graph, operator)
    low, high = parameters.clamp(graph, operator)
    return {
        "multiplier": multiplier,
        "exponent": exponent,
        "zero_point": graph.output(operator).zero_point,
        "clamp_min": low,
        "clamp_max": high,
    }


def shared(step: Step) -> Step:
    """The step with one multiplier where all its channels have the same."""
    alike = (step.multiplier == step.multiplier[0]).all() and (step.exponent == step.exponent[0]).all()
    return replace(step, multiplier=step.multiplier[:1], exponent=step.exponent[:1]) if alike else step


def two_taps(weights: np.ndarray) -> dict:
    """Fields of a step that multiplies by weights of -255 to 255: those that int8 does not hold in two parts.

    Parameters
    ----------
    weights : int8 or int16, of any shape
    """
    if weights.dtype == np.int8:
        return {"weights": weights, "rest": None}
    held = np.clip(weights, *INT8_LIMITS).astype(np.int8)
    return {"weights": held, "rest": weights - held if (held != weights).any() else None}


def fold(bias: np.ndarray, zero_point: int, weights: np.ndarray) -> np.ndarray:
    """Bias with the input's zero point folded in, int32[Cout], wrapping as the accumulators do.

    Parameters
    ----------
    bias : int32[Cout]
    zero_point : int
        Of the input.
    weights : int8[..., Cout] or int16[..., Cout]
    """
    total = weights.astype(np.int64).reshape(-1, weights.shape[-1]).sum(axis=0)
    return wrapped(bias.astype(np.int64) - zero_point * total)


def wrapped(values: np.ndarray) -> np.ndarray:
    """The low 32 bits, int32."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def as_signed(value: int) -> int:
    """A byte as a command's fields hold it: 200 of a uint8 tensor is -56."""
    return (value + 128) % 256 - 128
