"""Random small networks with variables, of the kinds that streaming networks are made of: `STREAMS` makes TFLite files of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import flatbuffers
import numpy as np
import pytest

from tests.random_operators import random_bytes
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model

SCALE = 0.05


@dataclass
class Maker:
    """A network under construction; tensors are int8, of one quantization unless said otherwise."""

    rng: np.random.Generator
    tensors: list[BuilderTensor] = field(default_factory=list)
    operators: list[BuilderOperator] = field(default_factory=list)
    initial: dict[str, np.ndarray] = field(default_factory=dict)

    def tensor(self, name, shape, scale=SCALE, zero_point=3, dtype="int8") -> str:
        """A tensor that is computed, or an input."""
        self.tensors.append(BuilderTensor(name, tuple(shape), dtype, scale=scale, zero_point=zero_point))
        return name

    def numbers(self, values) -> str:
        """A constant int32."""
        name, values = f"numbers {len(self.tensors)}", np.array(values, np.int32)
        self.tensors.append(BuilderTensor(name, values.shape, "int32", data=values))
        return name

    def add(self, op, inputs, result, **options) -> str:
        """An operator; gives its output."""
        self.operators.append(BuilderOperator(op, tuple(inputs), (result,) if result else (), options))
        return result

    def variable(self, name, shape, dtype="int8"):
        """A variable with a random initial value."""
        self.initial[name] = random_bytes(self.rng, shape).view(dtype)
        self.handle(name)

    def handle(self, name, number=0):
        """A VAR_HANDLE of it."""
        self.tensors.append(BuilderTensor(f"{name}@{number}", (), "resource"))
        self.add("VAR_HANDLE", (), f"{name}@{number}")

    def read(self, variable, shape, *, number=0, **quantization) -> str:
        """A READ_VARIABLE."""
        result = self.tensor(f"read {variable} {len(self.tensors)}", shape, **quantization)
        return self.add("READ_VARIABLE", (f"{variable}@{number}",), result)

    def assign(self, variable, value, number=0):
        """An ASSIGN_VARIABLE."""
        self.add("ASSIGN_VARIABLE", (f"{variable}@{number}", value), None)

    def model(self, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
        """The file."""
        once = [BuilderOperator("CALL_ONCE", (), ())]
        return with_variables(build_model(self.tensors, once + self.operators, inputs, outputs), self.initial)


def with_variables(model: bytes, initial: dict[str, np.ndarray]) -> bytes:
    """A file whose VAR_HANDLEs name their variables (a handle ``v@1`` that of ``v``), to which CALL_ONCE assigns their initial values."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    (main,) = tree.subgraphs
    codes = [code.builtinCode for code in tree.operatorCodes]

    def handle(shared):
        return {
            "builtinOptions": schema.VarHandleOptionsT(container=b"", sharedName=shared),
            "builtinOptionsType": schema.BuiltinOptions.VarHandleOptions,
        }

    for operator in main.operators:
        code = codes[operator.opcodeIndex]
        if code == schema.BuiltinOperator.VAR_HANDLE:
            name = main.tensors[operator.outputs[0]].name.decode().split("@")[0]
            vars(operator).update(handle(name))
        elif code == schema.BuiltinOperator.CALL_ONCE:
            operator.builtinOptions = schema.CallOnceOptionsT(initSubgraphIndex=1)
            operator.builtinOptionsType = schema.BuiltinOptions.CallOnceOptions
    once = schema.SubGraphT(name="once", tensors=[], operators=[], inputs=[], outputs=[])
    for name, value in initial.items():
        index = len(once.tensors)
        buffer = schema.BufferT(data=np.ascontiguousarray(value).reshape(-1).view(np.uint8))
        tree.buffers.append(buffer)
        types = {"int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8, "float32": schema.TensorType.FLOAT32}
        kind = {"type": types[value.dtype.name], "shape": list(value.shape), "buffer": len(tree.buffers) - 1}
        once.tensors += [
            schema.TensorT(name=f"{name} handle", shape=[], type=schema.TensorType.RESOURCE),
            schema.TensorT(name=f"{name} value", **kind),
        ]
        numbers = (codes.index(getattr(schema.BuiltinOperator, op)) for op in ("VAR_HANDLE", "ASSIGN_VARIABLE"))
        once.operators += [
            schema.OperatorT(opcodeIndex=next(numbers), inputs=[], outputs=[index], **handle(name)),
            schema.OperatorT(opcodeIndex=next(numbers), inputs=[index, index + 1], outputs=[]),
        ]
    tree.subgraphs.append(once)
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _shape(rng, height=None):
    return 1, height or int(rng.integers(1, 7)), int(rng.integers(1, 4)), int(rng.integers(1, 20))


def stream(rng) -> bytes:
    """What microWakeWord does: the last rows of all that came before, with the new ones behind, and a filter over both."""
    make, (_, kept, width, channels), fresh = Maker(rng), _shape(rng), int(rng.integers(1, 4))
    make.variable("v", (1, kept, width, channels))
    x = make.tensor("x", (1, fresh, width, channels))
    old, both = make.read("v", (1, kept, width, channels)), make.tensor("both", (1, kept + fresh, width, channels))
    make.add("CONCATENATION", (old, x), both, axis=1)
    last = make.tensor("last", (1, kept, width, channels))
    bounds = [make.numbers(each) for each in ([0, fresh, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1])]
    make.add("STRIDED_SLICE", (both, *bounds), last, begin_mask=13, end_mask=15)
    make.assign("v", last)
    result = make.tensor("y", (1, 1, width, channels))
    make.add("MAX_POOL_2D", (both,), result, filter_height=kept + fresh, padding="VALID")
    return make.model(["x"], ["y"])


def accumulator(rng) -> bytes:
    """The old value and the input, added; the sum is an output too. Some are so tall that the plan computes them in bands."""
    tall = rng.random() < 0.4
    make, shape = Maker(rng), (1, 96, 24, 32) if tall else _shape(rng)
    make.variable("v", shape)
    total = make.tensor("y", shape)
    make.add("ADD", (make.read("v", shape), make.tensor("x", shape)), total)
    make.assign("v", total)
    return make.model(["x"], ["y"])


def swap(rng) -> bytes:
    """Two or three variables that change places, one of them through a table; outputs are the old values."""
    make, shape, count = Maker(rng), _shape(rng), int(rng.integers(2, 4))
    for i in range(count):
        make.variable(f"v{i}", shape)
    x, reads = make.tensor("x", shape), [make.read(f"v{i}", shape) for i in range(count)]
    for i in range(count):
        make.assign(f"v{i}", reads[(i + 1) % count])
    sums = make.tensor("y", shape)
    make.add("ADD", (reads[0], x), sums)
    return make.model(["x"], ["y", reads[-1]])


def delay_line(rng) -> bytes:
    """The input comes out a few steps later, int8 or uint8; assignments stand in any order."""
    make, shape, count = Maker(rng), _shape(rng), int(rng.integers(2, 5))
    dtype = str(rng.choice(["int8", "uint8"]))
    for i in range(count):
        make.variable(f"v{i}", shape, dtype)
    values = [make.tensor("x", shape, dtype=dtype), *(make.read(f"v{i}", shape, dtype=dtype) for i in range(count))]
    for i in rng.permutation(count):
        make.assign(f"v{i}", values[i])
    return make.model(["x"], [values[-1]])


def late_read(rng) -> bytes:
    """The old value is wanted again when the new one is made long ago; too tall to stay in a small scratchpad all the while."""
    make, shape = Maker(rng), (1, int(rng.integers(24, 40)), 24, 32)
    make.variable("v", shape)
    old, x = make.read("v", shape), make.tensor("x", shape)
    total = make.add("ADD", (old, x), make.tensor("total", shape))
    make.assign("v", total)
    least = make.add("MAX_POOL_2D", (total,), make.tensor("least", (1, 1, 1, 32)), filter_height=shape[1], filter_width=24, padding="VALID")
    return make.model(["x"], [make.add("ADD", (old, least), make.tensor("y", shape))])


def read_after_assign(rng) -> bytes:
    """Reads before the first assignment, between two, and behind them, through two handles, in another shape and of another scale."""
    make, shape = Maker(rng), _shape(rng)
    make.variable("v", shape)
    make.handle("v", 1)
    x, size = make.tensor("x", shape), int(np.prod(shape))
    old, again = make.read("v", shape), make.read("v", shape, number=1)
    first = make.add("ADD", (old, x), make.tensor("first", shape))
    make.assign("v", first)
    between = make.read("v", (1, size), number=1, scale=0.11, zero_point=-7)
    second = make.add("ABS", (x,), make.tensor("second", shape))
    make.assign("v", second, number=1)
    behind = make.read("v", shape)
    y = make.add("MUL", (behind, again), make.tensor("y", shape, scale=0.4))
    return make.model(["x"], [y, make.add("TANH", (between,), make.tensor("z", (1, size), scale=1 / 128, zero_point=0))])


def shared_value(rng) -> bytes:
    """One value in two variables that is an output too, a variable that nothing assigns, and one that nobody reads."""
    make, shape = Maker(rng), _shape(rng)
    for name in ("a", "b", "kept", "unread"):
        make.variable(name, shape)
    x = make.tensor("x", shape)
    reads = [make.read(name, shape) for name in ("a", "b", "kept")]
    y = make.add("ADD", (reads[0], reads[2]), make.tensor("y", shape))
    z = make.add("SUB", (x, reads[1]), make.tensor("z", shape))
    w = make.add("MAXIMUM", (y, z), make.tensor("w", shape))
    for name in ("a", "b", "unread"):
        make.assign(name, w)
    make.assign("kept", reads[2])
    return make.model(["x"], [w, reads[0]])


STREAMS = {make.__name__: make for make in (accumulator, delay_line, late_read, read_after_assign, shared_value, stream, swap)}
"""A generator for each kind; each takes a numpy random generator and gives the bytes of a file."""
