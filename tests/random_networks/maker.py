"""Grows a network operator by operator, as the tensors and operators of a TFLite file."""

from dataclasses import replace

import numpy as np

from tests.random_networks.choices import Choices
from tests.random_operators.values import random_bytes, scale_of, zero_point_of
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model

MOST_MACS, MOST_MACS_IN_IMAGES = 400_000, 4_000_000
"""Of one operator: keeps a network to a fraction of a second on the golden machine."""
EXTREME = 2
"""Of a hundred scales: so far from what fits the values that factors come to the ends of their range."""


class Declined(Exception):
    """An operator does not go with the tensors that are there, or would make one that is too large."""


class NetworkMaker:
    """Tensors and operators so far.

    Parameters
    ----------
    most : int
        Elements of the largest tensor.
    ops : tuple of str, optional
        The only operators that are added, by the names in `tests.random_networks.adders`; then windows mostly keep an image's shape.
    """

    def __init__(self, most: int, ops: tuple[str, ...] | None = None):
        self.most, self.ops = most, ops
        self.tensors: dict[str, BuilderTensor] = {}
        self.operators: list[BuilderOperator] = []
        self.inputs: list[str] = []

    def tensor(self, shape, *, like=None, dtype="int8", scale=None, zero_point=0, data=None, axis=0) -> str:
        """A new tensor's name; `like` gives type and quantization.

        Raises
        ------
        Declined
            If a tensor that is no constant has no element, or too many.
        """
        shape = tuple(int(n) for n in shape)
        if data is None and not 0 < int(np.prod(shape, dtype=np.int64)) <= self.most:
            raise Declined
        if like is not None:
            dtype, scale, zero_point = like.dtype, like.scale, like.zero_point
        name = f"t{len(self.tensors)}"
        self.tensors[name] = BuilderTensor(name, shape, dtype, scale=scale, zero_point=zero_point, axis=axis, data=data)
        return name

    def constant(self, values, dtype="int32") -> str:
        """Numbers that count or place elements."""
        data = np.array(values, dtype)
        return self.tensor(data.shape, dtype=dtype, data=data)

    def keep(self, tensor: BuilderTensor) -> str:
        """A tensor that another generator made, under a name of its own."""
        name = f"t{len(self.tensors)}"
        self.tensors[name] = replace(tensor, name=name)
        return name

    def operator(self, op, inputs, outputs, options=None):
        """One operator; what it reads and makes exists."""
        self.operators.append(BuilderOperator(op, tuple(inputs), tuple(outputs), options or {}))

    def file(self, operators, outputs) -> tuple[bytes, tuple[str, ...]]:
        """The file of some of the operators, and its inputs: what they read and none of them makes. The outputs are given."""
        made = {name for operator in operators for name in operator.outputs}
        read = dict.fromkeys(name for operator in operators for name in operator.inputs if name is not None)
        inputs = [name for name in read if name not in made and self.tensors[name].data is None]
        used = made | read.keys()
        return build_model([t for n, t in self.tensors.items() if n in used], operators, inputs, outputs), tuple(inputs)


class Step:
    """One operator to be added: where to, what chooses its shape and settings, and what draws its numbers.

    Attributes
    ----------
    maker : NetworkMaker
    choices : Choices
    rng : numpy.random.Generator
        For what does not decide how large a network is: weights, scales, zero points.
    source : BuilderTensor
        What it reads first.
    live : list of str
        Tensors that it may read too.
    """

    def __init__(self, maker: NetworkMaker, choices: Choices, source: str, live: list[str]):
        self.maker, self.choices, self.live = maker, choices, live
        self.rng = np.random.default_rng(choices.number(0, 65535))
        self.source = maker.tensors[source]

    @property
    def shape(self) -> tuple[int, ...]:
        """The source's shape."""
        return self.source.shape

    def new(self, shape, factor=None) -> str:
        """A tensor of the source's type, near its scale or `factor` times it, with any zero point."""
        factor = 2.0 ** self.rng.uniform(-1.5, 1.5) if factor is None else factor
        factor *= 2.0 ** self.rng.uniform(-24, 10) if self.choices.chance(EXTREME) else 1
        scale = float(np.clip(np.float32(self.source.scale * factor), np.float32(2.0**-30), np.float32(2.0**10)))
        return self.maker.tensor(shape, dtype=self.source.dtype, scale=scale, zero_point=zero_point_of(self.rng, self.source.dtype))

    def same(self, shape) -> str:
        """A tensor of the source's type and quantization."""
        return self.maker.tensor(shape, like=self.source)

    def add(self, op, result: str, *others, options=None) -> list[str]:
        """The operator on the source, `others` behind it."""
        self.maker.operator(op, (self.source.name, *others), (result,), options)
        return [result]

    def others(self, wanted) -> list[str]:
        """Live tensors of the source's type, the source among them, for which `wanted` holds of their shape."""
        return [n for n in self.live if self.maker.tensors[n].dtype == self.source.dtype and wanted(self.maker.tensors[n].shape)]

    def requantized(self, name: str, scale: float, zero_point: int) -> str:
        """The tensor itself where it has this quantization, else a QUANTIZE of it."""
        tensor = self.maker.tensors[name]
        if (tensor.scale, tensor.zero_point) == (scale, zero_point):
            return name
        result = self.maker.tensor(tensor.shape, dtype=tensor.dtype, scale=scale, zero_point=zero_point)
        self.maker.operator("QUANTIZE", (name,), (result,))
        return result

    def with_quantization(self, scale: float, zero_point: int):
        """From here on the source is of this quantization."""
        self.source = self.maker.tensors[self.requantized(self.source.name, scale, zero_point)]

    def alike(self, name: str) -> str:
        """Another tensor in the source's quantization."""
        return self.requantized(name, self.source.scale, self.source.zero_point)

    def bytes_constant(self, shape, *, alike=False) -> str:
        """A constant int8 operand."""
        data = random_bytes(self.rng, shape)
        if alike:
            return self.maker.tensor(shape, like=self.source, data=data)
        return self.maker.tensor(shape, scale=scale_of(self.rng), zero_point=zero_point_of(self.rng), data=data)

    def axis(self, rank=None) -> tuple[int, int]:
        """An axis from the front, and as the file writes it."""
        rank = len(self.shape) if rank is None else rank
        axis = self.choices.number(0, rank - 1)
        return axis, axis - rank if self.choices.chance(30) else axis
