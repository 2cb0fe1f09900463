"""Networks of which the NPU runs a part only, as files: random ones of elementwise operators of small tensors, and others."""

from pathlib import Path

import numpy as np

from hw.npu.config import PRESETS
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.frontends.tflite import read_file
from weft.run.whole import Whole, compile_whole

SMALL = PRESETS["small"]
SHAPE = (1, 24)
HOST_OPERATORS = {"L2_NORMALIZATION": (1 / 128, 0), "LOG_SOFTMAX": (1 / 16, 127)}
"""Operators of int8 that the NPU does not run, and the scale and zero point that their kernels want of the output."""
PAIRS = ("ADD", "SUB", "MUL")


def random_whole(rng: np.random.Generator, count: int = 9) -> bytes:
    """A file of two inputs and some operators, at least one of them the host's; what nobody reads is an output."""
    scales = {"a": (0.05, 3), "b": (0.04, -7)}
    operators, unread = [], {"a": None, "b": None}
    for number in range(count):
        kind, name = rng.integers(4) if number != count // 2 else 0, f"t{number}"
        first, second = list(scales)[-int(rng.integers(1, 3))], str(rng.choice(list(scales)))
        if kind == 0:
            op = str(rng.choice(list(HOST_OPERATORS)))
            inputs, scales[name] = (first,), HOST_OPERATORS[op]
        elif kind == 1:
            op, inputs, scales[name] = "RELU", (first,), scales[first]
        else:
            op, inputs = str(rng.choice(PAIRS)), (first, second)
            scales[name] = float(rng.uniform(0.02, 0.1)), int(rng.integers(-20, 20))
        operators.append(BuilderOperator(op, inputs, (name,)))
        unread = {each: None for each in unread if each not in inputs} | {name: None}
    tensors = [BuilderTensor(name, SHAPE, scale=scale, zero_point=zero_point) for name, (scale, zero_point) in scales.items()]
    return build_model(tensors, operators, ["a", "b"], [name for name in unread if name not in "ab"])


def wide(rng: np.random.Generator, dtype: str = "int8") -> bytes:
    """A convolution whose row of 16 KiB a small scratchpad does not hold, and a matrix behind its mean, which any holds."""
    zero = 128 if dtype == "uint8" else 0
    shapes = {"x": (1, 1, 2048, 8), "a": (1, 1, 2048, 8), "m": (1, 8), "y": (1, 4)}
    tensors = [BuilderTensor(name, shape, dtype, 0.05, zero) for name, shape in shapes.items()]
    for name, shape in (("w", (8, 1, 1, 8)), ("v", (4, 8))):
        values = rng.integers(-100, 101, shape) + zero
        tensors.append(BuilderTensor(name, shape, dtype, 0.01, zero, data=values.astype(dtype)))
    tensors += [BuilderTensor(name, (size,), "int32", 0.0005, data=np.zeros(size, np.int32)) for name, size in (("b", 8), ("c", 4))]
    tensors.append(BuilderTensor("axes", (2,), "int32", data=np.array([1, 2], np.int32)))
    operators = [
        BuilderOperator("CONV_2D", ("x", "w", "b"), ("a",)),
        BuilderOperator("MEAN", ("a", "axes"), ("m",)),
        BuilderOperator("FULLY_CONNECTED", ("m", "v", "c"), ("y",)),
    ]
    return build_model(tensors, operators, ["x"], ["y"])


def gather(path) -> Path:
    """A RELU, then a GATHER at places that are an input: the host's, which refuses those outside."""
    tensors = [BuilderTensor("x", (4, 2), scale=0.1), BuilderTensor("at", (2,), "int32"), BuilderTensor("a", (4, 2), scale=0.1),
               BuilderTensor("y", (2, 2), scale=0.1)]  # fmt: skip
    operators = [BuilderOperator("RELU", ("x",), ("a",)), BuilderOperator("GATHER", ("a", "at"), ("y",))]
    path.write_bytes(build_model(tensors, operators, ["x", "at"], ["y"]))
    return path


def compiled(path, content=None) -> Whole:
    """A file, compiled for `SMALL`; written with that content first, if it is given."""
    if content is not None:
        path.write_bytes(content)
    return compile_whole(read_file(path), SMALL)
