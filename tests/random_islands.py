"""Random networks of bytes with float islands in them: functions of one value, and movements, between DEQUANTIZE and QUANTIZE.

Each real tensor of the island is quantized at its end, with a scale that fits its values, so that every one of them is looked at.
"""

from collections.abc import Callable

import numpy as np

from tests.random_operators.values import scale_of, zero_point_of
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model

UNARY = (
    "ABS", "COS", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG", "RELU", "RELU6", "RELU_0_TO_1",
    "RELU_N1_TO_1", "RSQRT", "SIGN", "SIN", "SQRT", "SQUARE", "TANH",
)  # fmt: skip
BINARY = ("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "POW", "SQUARED_DIFFERENCE", "SUB")
OPTIONS = {"GELU": {"approximate": True}, "LEAKY_RELU": {"alpha": 0.3}}
LARGEST = 4000
"""Elements of a tensor."""


class Island:
    """A network that grows.

    Parameters
    ----------
    rng : numpy.random.Generator
    sources : int
        How many inputs of bytes it has.
    """

    def __init__(self, rng, sources: int):
        self.rng, self.tensors, self.operators = rng, {}, []
        self.inputs = [self._source() for _ in range(sources)]
        self.reals = [self.apply("DEQUANTIZE", (name,), self.tensors[name].shape) for name in self.inputs]

    def _source(self) -> str:
        shape = (1, 8, 8, 4) if self.rng.random() < 0.7 else tuple(int(n) for n in self.rng.integers(1, 7, int(self.rng.integers(1, 5))))
        dtype = str(self.rng.choice(["int8", "int8", "uint8"]))
        return self._tensor(shape, dtype, scale=scale_of(self.rng, -8, -3), zero_point=zero_point_of(self.rng, dtype))

    def _tensor(self, shape, dtype="float32", **fields) -> str:
        name = f"t{len(self.tensors)}"
        self.tensors[name] = BuilderTensor(name, tuple(int(n) for n in shape), dtype, **fields)
        return name

    def constant(self, values, dtype="int32") -> str:
        """A constant."""
        data = np.array(values, dtype)
        return self._tensor(data.shape, dtype, data=data)

    def apply(self, op, inputs, *shapes, **options):
        """An operator; the name of its only output, or those of all."""
        outputs = tuple(self._tensor(shape) for shape in shapes)
        self.operators.append(BuilderOperator(op, tuple(inputs), outputs, options))
        return outputs[0] if len(outputs) == 1 else outputs

    def grow(self):
        """One more operator, or some that belong together."""
        source = self.reals[-1 - int(self.rng.integers(0, min(3, len(self.reals))))]
        kind = MOVES[int(self.rng.integers(0, len(MOVES)))] if self.rng.random() < 0.5 else _function
        made = kind(self, source, self.tensors[source].shape)
        self.reals += [made] if isinstance(made, str) else list(made)

    def model(self) -> bytes:
        """The file."""
        values = run_reference(build_model(self.tensors.values(), self.operators, self.inputs, self.reals), self._samples())
        ends = [self._end(name, values[name]) for name in self.reals]
        return build_model(self.tensors.values(), self.operators, self.inputs, ends)

    def _samples(self):
        return [self.rng.integers(0, 256, t.shape).astype(np.uint8).view(t.dtype) for t in map(self.tensors.get, self.inputs)]

    def _end(self, name, values) -> str:
        finite = np.abs(values[np.isfinite(values)])
        scale = float(np.float32(np.clip(finite.max(initial=0) / 2.0 ** self.rng.uniform(6, 8), 2.0**-20, 2.0**20)))
        result = self._tensor(self.tensors[name].shape, "int8", scale=scale, zero_point=zero_point_of(self.rng))
        self.operators.append(BuilderOperator("QUANTIZE", (name,), (result,)))
        return result


def random_island(rng, length: int) -> bytes:
    """A file with so many real operators or a few more."""
    island = Island(rng, int(rng.integers(1, 3)))
    for _ in range(length):
        island.grow()
    return island.model()


def _function(island, source, shape):
    rng = island.rng
    if rng.random() < 0.5:
        op = str(rng.choice(UNARY))
        return island.apply(op, (source,), shape, **OPTIONS.get(op, {}))
    op, number = str(rng.choice(BINARY)), float(rng.normal(0, 2))
    if rng.random() < 0.3:  # of two functions of one tensor, as in x * logistic(x)
        other = island.apply(str(rng.choice(["LOGISTIC", "TANH", "ABS"])), (source,), shape)
    else:
        other = island.constant(np.full([(), (1,), (1,) * len(shape), shape[-1:]][int(rng.integers(0, 4))], number), "float32")
    pair = (source, other) if rng.random() < 0.7 else (other, source)
    activation = {"activation": str(rng.choice(["NONE", "RELU", "RELU6"]))} if op in ("ADD", "SUB", "MUL", "DIV") else {}
    return island.apply(op, pair, shape, **activation)


def _transpose(island, source, shape):
    order = island.rng.permutation(len(shape))
    return island.apply("TRANSPOSE", (source, island.constant(order)), [shape[i] for i in order])


def _reshape(island, source, shape):
    new = (int(np.prod(shape)),) if island.rng.random() < 0.5 else (*shape[:-1], 1, shape[-1])[-5:]
    new = new if np.prod(new) == np.prod(shape) else (int(np.prod(shape)),)
    return island.apply("RESHAPE", (source, island.constant(new)), new, new_shape=new)


def _split(island, source, shape):
    axis = int(island.rng.integers(0, len(shape)))
    count = next(n for n in (3, 2, 1) if shape[axis] % n == 0)
    part = (*shape[:axis], shape[axis] // count, *shape[axis + 1 :])
    return island.apply("SPLIT", (island.constant(axis), source), *[part] * count, num_splits=count)


def _reverse(island, source, shape):
    """Of large tensors not the last dimension, which takes a step of the NPU for each of some bytes."""
    axes = len(shape) - int(np.prod(shape) > 500)
    if not axes:
        return _gather(island, source, shape)
    return island.apply("REVERSE_V2", (source, island.constant([int(island.rng.integers(0, axes))])), shape)


def _tile(island, source, shape):
    times = [1 + int(island.rng.random() < 0.3) for _ in shape]
    if np.prod(shape) * np.prod(times) > LARGEST:
        return _reverse(island, source, shape)
    return island.apply("TILE", (source, island.constant(times)), [n * t for n, t in zip(shape, times)])


def _gather(island, source, shape):
    chosen = island.rng.integers(0, shape[-1], int(island.rng.integers(1, 5)))
    return island.apply("GATHER", (source, island.constant(chosen)), (*shape[:-1], len(chosen)), axis=len(shape) - 1)


def _join(island, source, shape):
    """With itself, a function of itself, or a constant."""
    kind, axis = int(island.rng.integers(0, 4)), int(island.rng.integers(0, len(shape)))
    if 2 * np.prod(shape) > LARGEST:
        return _gather(island, source, shape)
    if kind == 0:
        other = island.constant(island.rng.normal(0, 1, shape), "float32")
    else:
        other = source if kind == 1 else island.apply(str(island.rng.choice(["TANH", "NEG"])), (source,), shape)
    if kind == 3 and len(shape) < 5:
        return island.apply("PACK", (source, other), (*shape[:axis], 2, *shape[axis:]), axis=axis, values_count=2)
    return island.apply("CONCATENATION", (source, other), (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :]), axis=axis)


def _pad(island, source, shape):
    """PAD of zeros, or PADV2 of another number."""
    paddings = island.rng.integers(0, 3, (len(shape), 2))
    result = [n + int(pair.sum()) for n, pair in zip(shape, paddings)]
    if len(shape) > 4 or np.prod(result) > LARGEST:
        return _reverse(island, source, shape)
    if island.rng.random() < 0.5:
        return island.apply("PAD", (source, island.constant(paddings)), result)
    value = island.constant([float(island.rng.normal())], "float32")
    return island.apply("PADV2", (source, island.constant(paddings), value), result)


MOVES: tuple[Callable, ...] = (_transpose, _reshape, _split, _reverse, _tile, _gather, _join, _pad)
