"""The cut: as few parts as there can be, every operator in one of them, and in an order in which they can be executed."""

import itertools

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.errors import Finding, WeftError
from tests.host_networks import random_whole
from tests.network_checks import constant
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.cut.division import divide
from weft.compiler.cut.labels import label
from weft.compiler.cut.macs import macs_of
from weft.compiler.cut.parts import Value, cut, moved_bytes
from weft.compiler.frontends.tflite import read_file
from weft.run.whole import HostStep, NpuStep, compile_whole

SMALL = PRESETS["small"]


def random_values(rng, count) -> list[Value]:
    """An input, and a tensor of each operator, read by some of the later ones."""
    edges = [(i, j) for i, j in itertools.combinations(range(count), 2) if rng.random() < 0.35]
    made = [Value(int(rng.integers(1, 9)), i, tuple(b for a, b in edges if a == i), bool(rng.integers(2))) for i in range(count)]
    return [Value(4, None, tuple(i for i in range(count) if rng.random() < 0.3), False), *made]


def orders(kinds, values, count) -> list[tuple[int, ...]]:
    """All ways to give the operators numbers of so many alternating parts, none of which needs what comes later."""
    edges = [(value.maker, reader) for value in values if value.maker is not None for reader in value.readers]
    found = []
    for begins in (True, False):
        choices = [[part for part in range(count) if (part % 2 == 0) == (kind == begins)] for kind in kinds]
        found += [stages for stages in itertools.product(*choices) if all(stages[a] <= stages[b] for a, b in edges)]
    return found


def test_a_cut_has_the_fewest_parts_and_moves_as_little_as_the_best_of_them(seed):
    rng, worse = np.random.default_rng(seed), 0
    for trial in range(150):
        kinds = [bool(kind) for kind in rng.integers(0, 2, 6)]
        values = random_values(rng, len(kinds))
        parts = cut(kinds, values)
        where = {each: number for number, part in enumerate(parts) for each in part}
        message = f"seed {seed}, trial {trial}, {kinds}, {values}: {parts}"
        assert sorted(each for part in parts for each in part) == list(range(len(kinds))), message
        assert all(len({kinds[each] for each in part}) == 1 for part in parts), message
        assert all(kinds[a[0]] != kinds[b[0]] for a, b in itertools.pairwise(parts)), message
        assert all(where[value.maker] <= where[reader] for value in values if value.maker is not None for reader in value.readers), message
        fewest = next(count for count in itertools.count(1) if orders(kinds, values, count))
        assert len(parts) == fewest, message
        best = min(moved_bytes(stages, values) for stages in orders(kinds, values, fewest))
        worse += moved_bytes([where[each] for each in range(len(kinds))], values) > best
    assert worse <= 1, f"seed {seed}: {worse} of 150 cuts move more bytes than need be"


def labelled(path, content):
    """The labels of a file."""
    path.write_bytes(content)
    return label(read_file(path), {})


def test_parts_of_random_networks_hand_on_what_others_read(tmp_path, seed):
    rng = np.random.default_rng(seed)
    for _ in range(30):
        labels = labelled(tmp_path / "net.tflite", random_whole(rng))
        known = set(labels.graph.inputs)
        for part in divide(labels):
            assert set(part.graph.inputs) <= known
            assert all((operator.name in part.reasons) != part.on_npu for operator in part.graph.operators)
            known.update(part.graph.outputs)
        assert known >= set(labels.graph.outputs)


def image(name, **fields) -> BuilderTensor:
    return BuilderTensor(name, **{"shape": (1, 4, 4, 8), "scale": 0.5, **fields})


def chain(*steps) -> bytes:
    """A network from operators, each with the tensor that it makes of the one before."""
    tensors, operators = [image("x"), constant("k", [1, 4, 4, 8])], []
    for op, result in steps:
        inputs = (tensors[-1].name if operators else "x", *(("k",) if op == "RESHAPE" else ()))
        tensors.append(result)
        operators.append(BuilderOperator(op, inputs, (result.name,)))
    return build_model(tensors, operators, ["x"], [tensors[-1].name])


def kinds_of(labels):
    return [(part.on_npu, [operator.op for operator in part.graph.operators]) for part in divide(labels)]


def test_a_table_between_two_host_operators_is_the_hosts(tmp_path):
    unit = {"scale": 1 / 128}
    steps = (("MAX_POOL_2D", image("p")), ("L2_NORMALIZATION", image("a", **unit)), ("RELU", image("b", **unit)),
             ("L2_NORMALIZATION", image("c", **unit)))  # fmt: skip
    labels = labelled(tmp_path / "net.tflite", chain(*steps))
    assert kinds_of(labels) == [(True, ["MAX_POOL_2D"]), (False, ["L2_NORMALIZATION", "RELU", "L2_NORMALIZATION"])]
    assert "host operators around it" in divide(labels)[1].reasons["relu_0"].sentence
    labels = labelled(tmp_path / "net.tflite", chain(*steps[1:]))
    assert kinds_of(labels) == [(False, ["L2_NORMALIZATION"]), (True, ["RELU"]), (False, ["L2_NORMALIZATION"])], "the NPU has no other"


def test_a_table_between_two_host_operators_is_the_hosts_beside_other_work_of_the_npu(tmp_path):
    """The pool reads what the table reads, but neither needs the other."""
    unit = {"scale": 1 / 128}
    tensors = [image("x"), image("p"), *(image(name, **unit) for name in "abyz")]
    steps = (("MAX_POOL_2D", "x", "p"), ("L2_NORMALIZATION", "p", "a"), ("RELU", "a", "b"), ("L2_NORMALIZATION", "b", "y"),
             ("MAX_POOL_2D", "a", "z"))  # fmt: skip
    operators = [BuilderOperator(op, (source,), (result,)) for op, source, result in steps]
    labels = labelled(tmp_path / "net.tflite", build_model(tensors, operators, ["x"], ["y", "z"]))
    assert kinds_of(labels) == [
        (True, ["MAX_POOL_2D"]), (False, ["L2_NORMALIZATION", "RELU", "L2_NORMALIZATION"]), (True, ["MAX_POOL_2D"]),
    ]  # fmt: skip


def test_tables_that_only_together_save_a_part_go_to_the_host_together(tmp_path):
    unit = {"scale": 1 / 128}
    tensors = [image("x"), image("p"), *(image(name, **unit) for name in "abcdyz")]
    steps = (("MAX_POOL_2D", "x", "p"), ("L2_NORMALIZATION", "p", "a"), ("L2_NORMALIZATION", "p", "b"), ("RELU", "a", "c"),
             ("RELU", "b", "d"), ("L2_NORMALIZATION", "c", "y"), ("L2_NORMALIZATION", "d", "z"))  # fmt: skip
    operators = [BuilderOperator(op, (source,), (result,)) for op, source, result in steps]
    labels = labelled(tmp_path / "net.tflite", build_model(tensors, operators, ["x"], ["y", "z"]))
    assert [on_npu for on_npu, _ in kinds_of(labels)] == [True, False]


def test_float_operators_take_their_edges_with_them(tmp_path):
    real = {"dtype": "float32", "scale": None}
    steps = (
        ("MAX_POOL_2D", image("p")), ("DEQUANTIZE", image("r", **real)), ("L2_NORMALIZATION", image("s", **real)),
        ("QUANTIZE", image("q")), ("MAX_POOL_2D", image("y")), ("DEQUANTIZE", image("end", **real)),
    )  # fmt: skip
    assert kinds_of(labelled(tmp_path / "net.tflite", chain(*steps))) == [
        (True, ["MAX_POOL_2D"]), (False, ["DEQUANTIZE", "L2_NORMALIZATION", "QUANTIZE"]), (True, ["MAX_POOL_2D", "DEQUANTIZE"]),
    ]  # fmt: skip


def test_an_island_that_is_refused_goes_to_the_host_as_the_file_has_it(tmp_path):
    """Its SIN is a table of the NPU, also where another float operator reads the same real numbers, unless something refuses that."""
    real = {"dtype": "float32", "scale": None}
    names = ("p", "q", "y"), ("r", "s", "t")
    tensors = [image("x"), *map(image, names[0]), *(image(name, **real) for name in names[1])]
    wiring = (
        ("MAX_POOL_2D", "x", "p"), ("DEQUANTIZE", "p", "r"), ("SIN", "r", "s"), ("QUANTIZE", "s", "q"),
        ("L2_NORMALIZATION", "r", "t"), ("MAX_POOL_2D", "q", "y"),
    )  # fmt: skip
    path = tmp_path / "net.tflite"
    path.write_bytes(build_model(tensors, [BuilderOperator(op, (a,), (b,)) for op, a, b in wiring], ["x"], ["y", "t"]))
    assert kinds_of(label(read_file(path), {})) == [
        (True, ["MAX_POOL_2D", "LOOKUP", "MAX_POOL_2D"]), (False, ["DEQUANTIZE", "L2_NORMALIZATION"]),
    ]  # fmt: skip
    labels = label(read_file(path), {"sin_0": Finding("SIN", "SIN: for a reason")})
    assert kinds_of(labels) == [
        (True, ["MAX_POOL_2D"]), (False, ["DEQUANTIZE", "SIN", "QUANTIZE", "L2_NORMALIZATION"]), (True, ["MAX_POOL_2D"]),
    ]  # fmt: skip


def test_an_island_between_host_operators_is_theirs_as_the_file_has_it(tmp_path):
    """The table of its bytes is no operator of the file; a DEQUANTIZE that another island needs too is read by both."""
    unit, real = {"scale": 1 / 128}, {"dtype": "float32", "scale": None}
    steps = (("MAX_POOL_2D", image("p")), ("L2_NORMALIZATION", image("a", **unit)), ("DEQUANTIZE", image("r", **real)),
             ("FLOOR", image("f", **real)), ("QUANTIZE", image("b", **unit)), ("L2_NORMALIZATION", image("y", **unit)))  # fmt: skip
    path = tmp_path / "net.tflite"
    path.write_bytes(chain(*steps))
    pool, host = compile_whole(read_file(path), SMALL).steps
    assert isinstance(pool, NpuStep) and isinstance(host, HostStep)
    assert [each.op for each in host.part.operators] == ["L2_NORMALIZATION", "DEQUANTIZE", "FLOOR", "QUANTIZE", "L2_NORMALIZATION"]
    assert all(each.op in host.reasons[each.name].sentence for each in host.part.operators)
    tensors = [image("x"), *(tensor for _, tensor in steps), image("g", **real), image("c", **unit), image("z", scale=1 / 64)]
    operators = [BuilderOperator(op, (source,), (result.name,)) for (op, result), source in zip(steps, "xparfb")]
    other = (("ABS", ("r",), "g"), ("QUANTIZE", ("g",), "c"), ("ADD", ("c", "y"), "z"))
    operators += [BuilderOperator(op, sources, (result,)) for op, sources, result in other]
    path.write_bytes(build_model(tensors, operators, ["x"], ["z"]))
    *_, host, last = compile_whole(read_file(path), SMALL).steps
    assert isinstance(host, HostStep) and [each.op for each in host.part.operators][1:4] == ["DEQUANTIZE", "FLOOR", "QUANTIZE"]
    assert isinstance(last, NpuStep) and [each.op for each in last.compiled.graph.operators] == ["LOOKUP", "ADD"]


def test_what_follows_an_operator_of_dynamic_shape_stays_on_the_host(tmp_path):
    tensors = [image("x"), image("p"), image("w", shape=(1, 4), dtype="int64", scale=None, shape_signature=(-1, 4)), constant("axis", 0),
               BuilderTensor("flags", (1, 4, 4, 8), "bool"), image("z"), image("y", shape=(1, 4, 4, 8))]  # fmt: skip
    operators = [BuilderOperator("MAX_POOL_2D", ("x",), ("p",)), BuilderOperator("EQUAL", ("p", "z"), ("flags",)),
                 BuilderOperator("WHERE", ("flags",), ("w",)), BuilderOperator("GATHER_ND", ("p", "w"), ("g",)),
                 BuilderOperator("RELU", ("g",), ("y",))]  # fmt: skip
    tensors.append(image("g"))
    labels = labelled(tmp_path / "net.tflite", build_model(tensors, operators, ["x", "z"], ["y"]))
    assert kinds_of(labels) == [(True, ["MAX_POOL_2D"]), (False, ["EQUAL", "WHERE", "GATHER_ND", "RELU"])]
    assert "no fixed shape" in labels.host["relu_0"].sentence


def test_what_follows_a_loop_does_not_depend_on_the_shape_of_its_counter(tmp_path):
    """A custom operator stands for the loop: nothing says of a shape [] whether it is that of a number or open."""
    tensors = [image("x"), image("a"), BuilderTensor("count", (), "int32"), image("b"), image("y"), image("z")]
    operators = [BuilderOperator("MAX_POOL_2D", ("x",), ("a",)), BuilderOperator("CUSTOM:loop", ("a",), ("count", "b")),
                 BuilderOperator("MAX_POOL_2D", ("b",), ("y",)), BuilderOperator("CUSTOM:repeat", ("y", "count"), ("z",))]  # fmt: skip
    labels = labelled(tmp_path / "net.tflite", build_model(tensors, operators, ["x"], ["z"]))
    assert kinds_of(labels) == [(True, ["MAX_POOL_2D"]), (False, ["CUSTOM:loop"]), (True, ["MAX_POOL_2D"]), (False, ["CUSTOM:repeat"])]


def test_a_dilated_convolution_that_is_refused_goes_to_the_host_as_the_file_has_it(tmp_path):
    """Its sums need more than 20 bits; the pool in front of it does not."""
    rng = np.random.default_rng(0)
    weights = BuilderTensor("w", (8, 3, 3, 64), scale=0.01, data=rng.integers(-127, 128, (8, 3, 3, 64), dtype=np.int8))
    bias, block = BuilderTensor("bias", (8,), "int32", scale=0.0005, data=np.zeros(8, np.int32)), constant("block", [2, 2])
    edges = constant("edges", [[2, 2], [2, 2]])
    crops = constant("crops", [[0, 0], [0, 0]])
    tensors = [
        *(BuilderTensor(name, (1, 8, 8, 64), scale=0.05) for name in "xp"), weights, bias, block, edges, crops,
        BuilderTensor("s", (4, 6, 6, 64), scale=0.05), BuilderTensor("c", (4, 4, 4, 8), scale=0.1),
        BuilderTensor("y", (1, 8, 8, 8), scale=0.1),
    ]  # fmt: skip
    operators = [
        BuilderOperator("MAX_POOL_2D", ("x",), ("p",), {"padding": "SAME", "filter_height": 3, "filter_width": 3}),
        BuilderOperator("SPACE_TO_BATCH_ND", ("p", "block", "edges"), ("s",)),
        BuilderOperator("CONV_2D", ("s", "w", "bias"), ("c",), {"padding": "VALID"}),
        BuilderOperator("BATCH_TO_SPACE_ND", ("c", "block", "crops"), ("y",)),
    ]
    path = tmp_path / "net.tflite"
    path.write_bytes(build_model(tensors, operators, ["x"], ["y"]))
    (alone,) = compile_whole(read_file(path), SMALL).steps
    assert isinstance(alone, NpuStep) and [each.op for each in alone.compiled.graph.operators] == ["MAX_POOL_2D", "PAD", "CONV_2D"]
    whole = compile_whole(read_file(path), SMALL.replace(accumulator_bits=20))
    assert [type(step) for step in whole.steps] == [NpuStep, HostStep]
    assert [each.op for each in whole.host_steps[0].part.operators] == ["SPACE_TO_BATCH_ND", "CONV_2D", "BATCH_TO_SPACE_ND"]
    assert "accumulator_bits is 20" in whole.host_steps[0].reasons["conv2d_0"].sentence


def test_a_network_that_is_all_the_hosts_is_refused(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(chain(("L2_NORMALIZATION", image("a", scale=1 / 128)), ("CUSTOM:my op", image("y"))))
    with pytest.raises(WeftError, match=r"the NPU can run none of its 2 operators: layer l2_normalization_0.*CUSTOM:my op: not supported"):
        compile_whole(read_file(path), SMALL)


def test_products_are_counted_as_the_file_has_them(models):
    counts = {"tflm_mnist_lstm_int8": 28 * 4 * 20 * (28 + 20) + 560 * 10, "mlperf_ic_resnet8_int8": 12_501_632}
    for name, expected in counts.items():
        graph = read_file(models / f"{name}.tflite").graph
        assert sum(macs_of(graph, operator) for operator in graph.operators) == expected


def test_products_of_both_directions_are_counted_and_states_are_none(tmp_path):
    """At 3 steps of 2 images: 4 gates a direction, each of 6 inputs and the other 5 outputs."""
    matrices = {f"{way}{number}": (5, 6 if number < 4 else 5) for way in "fb" for number in range(8)}
    tensors = [BuilderTensor(name, shape, "float32", data=np.zeros(shape)) for name, shape in matrices.items()]
    tensors += [BuilderTensor(f"s{number}", (2, 5), "float32", data=np.zeros((2, 5))) for number in range(4)]
    tensors += [BuilderTensor("x", (3, 2, 6), "float32"), BuilderTensor("y", (3, 2, 10), "float32")]
    ways = [(*(f"{way}{number}" for number in range(8)), *(None,) * 9) for way in "fb"]
    operands = ("x", *ways[0], *ways[1], *(f"s{number}" for number in range(4)), *(None,) * 9)
    path = tmp_path / "net.tflite"
    path.write_bytes(build_model(tensors, [BuilderOperator("BIDIRECTIONAL_SEQUENCE_LSTM", operands, ("y",))], ["x"], ["y"]))
    graph = read_file(path).graph
    assert macs_of(graph, graph.operators[0]) == 3 * 2 * 2 * 4 * (5 * 6 + 5 * 5)
