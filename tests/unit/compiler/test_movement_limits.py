"""Operators that move data: what breaks a limit is named with its value; and one input or output more or less is never a traceback."""

import numpy as np
import pytest

from hw.npu.config import PRESETS
from tests import random_operators
from tests.network_checks import assert_outputs_equal_the_reference, constant, message_of, refusal
from tests.random_operators.movement import MOVEMENT_OPERATORS
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.driver import compile_graph
from weft.compiler.limits import LIMITS
from weft.compiler.movement import Part, parts


def network(op, sources, results, *, options=None, order=None, dtype="int8", **numbers) -> bytes:
    """One operator of tensors x0, x1, ... to y0, y1, ... of these shapes; `numbers` are its constants, in this order."""
    inputs = [BuilderTensor(f"x{i}", shape, dtype, scale=0.5) for i, shape in enumerate(sources)]
    outputs = [BuilderTensor(f"y{i}", shape, dtype, scale=0.5) for i, shape in enumerate(results)]
    constants = [constant(name, values) for name, values in numbers.items()]
    names = order or [tensor.name for tensor in (*inputs, *constants)]
    operator = BuilderOperator(op, names, [tensor.name for tensor in outputs], options or {})
    return build_model([*inputs, *outputs, *constants], [operator], [t.name for t in inputs], [t.name for t in outputs])


REFUSED = {
    "joined axis": (
        network("CONCATENATION", [(1, 2)], [(1, 2)], options={"axis": 2}),
        "the axis must be a dimension of what it moves; here 2 of 2",
    ),
    "joined size": (network("CONCATENATION", [(1, 2), (1, 2)], [(1, 5)], options={"axis": 1}), "here [1, 5] instead of [1, 4]"),
    "joined shapes": (network("CONCATENATION", [(1, 2), (2, 2)], [(1, 4)], options={"axis": 1}), "here [1, 2] and [2, 2]"),
    "joined ranks": (network("CONCATENATION", [(1, 2), (2,)], [(1, 4)], options={"axis": 1}), "here [1, 2] and [2]"),
    "fused": (network("CONCATENATION", [(2,)], [(2,)], options={"activation": "RELU"}), "the fused activation must be NONE; here RELU"),
    "int16": (network("CONCATENATION", [(2,)], [(2,)], dtype="int16"), "what it moves must be all int8 or all uint8; here int16"),
    "packed shapes": (network("PACK", [(2,), (3,)], [(2, 2)]), "here [2] and [3]"),
    "packed axis": (network("PACK", [(2,)], [(2, 1)], options={"axis": -3}), "here -1 of 2 dimensions"),
    "unpacked count": (
        network("UNPACK", [(3, 2)], [(2,), (2,)], options={"num": 2}),
        "its parts must make up the input's axis; here 2 parts of 3",
    ),
    "split": (network("SPLIT", [(5,)], [(2,), (3,)], options={"num_splits": 2}, order=["axis", "x0"], axis=0), "here 2 parts of 5"),
    "split sizes": (network("SPLIT_V", [(5,)], [(2,), (2,)], options={"num_splits": 2}, sizes=[2, 2], axis=0), "here [2, 2] of 5"),
    "two rests": (network("SPLIT_V", [(5,)], [(2,), (3,)], options={"num_splits": 2}, sizes=[-1, -1], axis=0), "here [-1, -1] of 5"),
    "split shapes": (
        network("SPLIT", [(4,)], [(2,), (3,)], options={"num_splits": 2}, order=["axis", "x0"], axis=0),
        "y1 has [3] instead of [2]",
    ),
    "slice": (
        network("SLICE", [(4,)], [(3,)], begin=[2], size=[3]),
        "must be one for each dimension and lie inside the input; here [2] and [3] of [4]",
    ),
    "slice rank": (network("SLICE", [(4,)], [(3,)], begin=[0, 0], size=[3, 1]), "here [0, 0] and [3, 1] of [4]"),
    "step 0": (network("STRIDED_SLICE", [(4,)], [(4,)], begin=[0], end=[4], steps=[0]), "steps not 0 and 1 where an axis vanishes"),
    "step lengths": (network("STRIDED_SLICE", [(4,)], [(4,)], begin=[0], end=[4, 4], steps=[1]), "here [0], [4, 4], [1]"),
    "offset": (
        network("STRIDED_SLICE", [(4,)], [(4,)], options={"offset": True}, begin=[0], end=[4], steps=[1]),
        "[0], [4], [1] as offsets",
    ),
    "sliced shape": (network("STRIDED_SLICE", [(4,)], [(4,)], begin=[1], end=[4], steps=[1]), "y0 has [4] instead of [3]"),
    "too many": (network("STRIDED_SLICE", [(4,)], [(4,)], begin=[0, 0], end=[4, 4], steps=[1, 1]), "too many indices"),
    "outside": (network("STRIDED_SLICE", [(4,)], [()], options={"shrink_axis_mask": 1}, begin=[4], end=[5], steps=[1]), "out of bounds"),
    "permutation": (network("TRANSPOSE", [(2, 3)], [(2, 2)], order_=[0, 0]), "must name each of at most 6 dimensions once"),
    "transposed": (network("TRANSPOSE", [(2, 3)], [(2, 3)], order_=[1, 0]), "here [2, 3] instead of [3, 2]"),
    "reversed apart": (network("REVERSE_V2", [(2, 3, 4)], [(2, 3, 4)], axes=[0, 2]), "here int32 [0, 2] of [2, 3, 4]"),
    "reversed twice": (network("REVERSE_V2", [(2, 3)], [(2, 3)], axes=[1, -1]), "dimensions that are neighbours, each once"),
    "reversed outside": (network("REVERSE_V2", [(2, 3)], [(2, 3)], axes=[2]), "here int32 [2] of [2, 3]"),
    "reversed shape": (network("REVERSE_V2", [(2, 3)], [(3, 2)], axes=[0]), "here [3, 2] instead of [2, 3]"),
    "depth": (network("DEPTH_TO_SPACE", [(1, 1, 1, 6)], [(1, 2, 2, 1)]), "here size 2 of [1, 1, 1, 6]"),
    "space": (network("SPACE_TO_DEPTH", [(1, 3, 2, 1)], [(1, 1, 1, 4)]), "here size 2 of [1, 3, 2, 1]"),
    "block 0": (network("SPACE_TO_DEPTH", [(1, 2, 2, 1)], [(1, 1, 1, 4)], options={"block_size": 0}), "here size 0 of"),
    "phases": (network("SPACE_TO_BATCH_ND", [(1, 3, 1)], [(2, 1, 1)], block=[2], pads=[[0, 0]]), "here blocks [2] and [0, 0] of [1, 3, 1]"),
    "batches": (
        network("BATCH_TO_SPACE_ND", [(3, 2, 1)], [(1, 4, 1)], block=[2], crops=[[0, 0]]),
        "here blocks [2] and [0, 0] of [3, 2, 1]",
    ),
    "negative pad": (network("SPACE_TO_BATCH_ND", [(1, 3, 1)], [(2, 1, 1)], block=[2], pads=[[-1, 0]]), "here blocks [2] and [-1, 0]"),
    "gathered": (network("GATHER", [(3, 2)], [(1, 2)], chosen=[3]), "must lie inside the axis"),
    "batch dims": (network("GATHER", [(1, 2)], [(1, 1)], options={"batch_dims": 1}, chosen=[[0]]), "here 1 batch dimensions"),
    "tiled": (
        network("TILE", [(2,)], [(5,)], times=[2]),
        "the output must be the input so many times in each dimension; here [5] instead of [4]",
    ),
    "tiled 0": (network("TILE", [(2,)], [(2,)], times=[0]), "here [0] times [2]"),
    "broadcast": (network("BROADCAST_TO", [(2,)], [(3,)], shape=[3]), "here [2] to [3]"),
    "reflected": (
        network("MIRROR_PAD", [(2,)], [(4,)], options={"mode": "REFLECT"}, pads=[[2, 0]]),
        "less 1 where the edge is not repeated; here (2, 0) for 2",
    ),
    "padded": (network("PADV2", [(2,)], [(4,)], pads=[[2, 0]], value=7), "the value around it must be one constant of the output's type"),
    "squeezed": (network("SQUEEZE", [(2, 1)], [(3,)]), "must have the same number of elements; here [2, 1] and [3]"),
    "reshaped": (network("RESHAPE", [(4,)], [(2, 2)], shape=[4, 1]), "here [4, 1] for [2, 2]"),
    "two unknown": (network("RESHAPE", [(4,)], [(2, 2)], shape=[-1, -1]), "here [-1, -1] for [2, 2]"),
}
"""For each mistake a network that makes it, and a part of the message."""


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_limit_is_named_with_its_value(read, mistake):
    model, expected = REFUSED[mistake]
    message = message_of(read, model)
    assert expected in message
    assert "layer " in message


def test_numbers_that_the_network_computes_are_refused(read):
    tensors = [BuilderTensor("x", (2, 3), scale=0.5), BuilderTensor("p", (2,), "int32"), BuilderTensor("y", (3, 2), scale=0.5)]
    message = message_of(read, build_model(tensors, [BuilderOperator("TRANSPOSE", ("x", "p"), ("y",))], ["x", "p"], ["y"]))
    assert "TRANSPOSE: axes, sizes and positions must be constants of type int32 or int64; here p has a computed value" in message


def test_joined_tensors_have_one_quantization(read):
    tensors = [BuilderTensor(name, (1, 2), scale=scale) for name, scale in (("a", 0.5), ("b", 0.25))] + [
        BuilderTensor("y", (1, 4), scale=0.5)
    ]
    message = message_of(read, build_model(tensors, [BuilderOperator("CONCATENATION", ("a", "b"), ("y",), {"axis": 1})], ["a", "b"], ["y"]))
    assert "here scale 0.5 and zero point 0 and scale 0.25 and zero point 0" in message


def rebuilt(tensor) -> BuilderTensor:
    """A tensor of a graph, to be written again."""
    quantization = {} if tensor.quantization is None else {"scale": tensor.scale, "zero_point": tensor.zero_point}
    return BuilderTensor(tensor.name, tensor.shape, tensor.dtype, data=tensor.data, **quantization)


@pytest.mark.parametrize("op", MOVEMENT_OPERATORS)
def test_an_input_or_output_more_or_less_is_read_or_refused(op, seed, read):
    """The wiring of an operator is whatever a file says: inputs and outputs dropped, repeated, absent or exchanged."""
    rng, refused = np.random.default_rng([seed, *op.encode()]), 0
    for _ in range(40):
        graph = read(random_operators.OPERATORS[op](rng))
        operator = graph.operators[0]
        inputs, outputs = list(operator.inputs), list(operator.outputs)
        side = inputs if rng.random() < 0.7 else outputs
        change, where = int(rng.integers(0, 4)), int(rng.integers(0, len(side)))
        if change == 0:
            del side[where]
        elif change == 1:
            side.append(side[where])
        elif change == 2 and side is inputs:
            side[where] = None
        else:
            side.reverse()
        tensors = [rebuilt(tensor) for tensor in graph.tensors.values()]
        kept = [name for name in graph.outputs if name in outputs]
        model = build_model(tensors, [BuilderOperator(op, inputs, outputs, operator.options)], graph.inputs, kept or graph.outputs)
        refused += refusal(read, model) is not None
    assert refused > 10


def test_parts_say_what_is_taken_of_each_axis(read):
    graph = read(network("STRIDED_SLICE", [(5, 6, 7)], [(2, 7)], options={"shrink_axis_mask": 2}, begin=[4, -1], end=[0, 0], steps=[-2, 1]))
    assert parts(graph, graph.operators[0]) == [(Part(4, -2, 2), Part(5, 1, 1), Part(0, 1, 7))]
    graph = read(network("SPLIT_V", [(2, 6)], [(2, 1), (2, 5)], options={"num_splits": 2}, sizes=[1, -1], axis=-1))
    assert parts(graph, graph.operators[0]) == [(Part(0, 1, 2), Part(0, 1, 1)), (Part(0, 1, 2), Part(1, 1, 5))]


def test_what_the_compiler_does_not_lower_is_one_line(seed, read):
    for op in LIMITS:
        graph = read(random_operators.OPERATORS[op](np.random.default_rng([seed, *op.encode()])))
        message = refusal(compile_graph, graph, PRESETS["small"])
        assert message is None or f"{op}: " in message or "the NPU computes none of its operators" in message


def test_a_constant_among_joined_tensors_equals_the_reference(seed, read):
    rng = np.random.default_rng(seed)
    tensors = [BuilderTensor("token", (1, 1, 4), scale=0.5, data=rng.integers(-128, 128, 4)), BuilderTensor("x", (1, 3, 4), scale=0.5)]
    tensors += [BuilderTensor("y", (1, 4, 4), scale=0.5)]
    model = build_model(tensors, [BuilderOperator("CONCATENATION", ("token", "x"), ("y",), {"axis": -2})], ["x"], ["y"])
    assert_outputs_equal_the_reference(read(model), model, seed)
