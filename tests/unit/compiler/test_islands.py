"""Float islands in networks of bytes: tables and movements in their place, exact to the reference interpreter, or the island as it was."""

import builtins

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from tests.machine_checks import assert_exact
from tests.random_islands import OPTIONS, random_island
from tests.reference import run_reference
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.compiler.islands import elementwise, interpreted, with_islands

LENGTH, IN_TEST, IN_TEST_ALL = 14, 3, 60
REALS = ("DEQUANTIZE", "QUANTIZE")


def every_byte(graph, rng):
    """Inputs with every byte in them, as often as there is room."""
    values = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        every = rng.permutation(np.resize(np.arange(256), max(tensor.size, 256)))[: tensor.size]
        values[name] = every.astype(np.uint8).view(tensor.dtype).reshape(tensor.shape)
    return values


def assert_all_bytes(graph):
    """Nothing of the network is a real number any more."""
    assert [each.title for each in graph.operators if each.op in REALS] == []
    assert {graph.tensors[name].dtype for each in graph.operators for name in each.outputs} <= {"int8", "uint8"}


def check(rng, read, *, machine):
    """A random island against the interpreter, and the golden machine against the operators."""
    model = random_island(rng, LENGTH)
    graph = read(model)
    assert_all_bytes(graph)
    for _ in range(3):
        inputs = every_byte(graph, rng)
        computed, expected = evaluate(graph, inputs), run_reference(model, [inputs[name] for name in graph.inputs])
        for name in graph.outputs:
            assert np.array_equal(computed[name], expected[name]), f"{name}\n{graph}"
    if machine:
        assert_exact(graph, PRESETS["small"], inputs=inputs)


@pytest.mark.parametrize("number", range(IN_TEST))
def test_random_islands_equal_the_reference(number, read, seed):
    check(np.random.default_rng([seed, number]), read, machine=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(IN_TEST, IN_TEST + IN_TEST_ALL))
def test_many_random_islands_equal_the_reference(number, read, seed):
    check(np.random.default_rng([seed, number]), read, machine=True)


def values_of(op, inputs, shape, values):
    """What the interpreter makes of some values, alone in a network, in a tensor of a shape: the bits."""
    tensors = [BuilderTensor("x", shape, "float32"), BuilderTensor("y", shape, "float32")]
    tensors.append(BuilderTensor("k", (), "float32", data=np.float32(1.7)))
    model = build_model(tensors, [BuilderOperator(op, inputs, ("y",), OPTIONS.get(op, {}))], ["x"], ["y"])
    return run_reference(model, [values.reshape(shape)])["y"].reshape(-1).view(np.uint32)


@pytest.mark.parametrize("op", [*elementwise.UNARY, *elementwise.BINARY])
def test_a_kernel_gives_an_element_the_same_value_wherever_it_stands(op, seed):
    """As a tensor of 256 values in a row has it, which is what a table is made from."""
    rng = np.random.default_rng([seed, *op.encode()])
    wirings = [("x",)] if op in elementwise.UNARY else [("x", "k")] if op == "PRELU" else [("x", "k"), ("k", "x"), ("x", "x")]
    for inputs in wirings:
        for spread in (-3, 0, 2):
            x = (np.float32(2.0**spread / 16) * (np.arange(256) - rng.integers(0, 256))).astype(np.float32)
            row = values_of(op, inputs, (256,), x)
            for shape in ((1,), (3,), (7,), (1, 13, 1, 1), (2, 2, 3, 1, 5), (255,), (1, 16, 16)):
                chosen = rng.permutation(256)[: int(np.prod(shape))]
                assert np.array_equal(values_of(op, inputs, shape, x[chosen]), row[chosen]), (inputs, shape)


def byte(name, shape=(1, 4, 4, 8), **fields) -> BuilderTensor:
    """A tensor of int8, or what `fields` change of it."""
    return BuilderTensor(name, **{"shape": shape, "scale": 0.05, **fields})


def real(name, shape=(1, 4, 4, 8), **fields) -> BuilderTensor:
    """A tensor of real numbers."""
    return BuilderTensor(name, shape, "float32", **fields)


def network(tensors, wiring, outputs=("y",)):
    """A file from its tensors and triples of operator, inputs and outputs; its input is x."""
    operators = [BuilderOperator(op, tuple(inputs), tuple(results), options) for op, inputs, results, options in wiring]
    return build_model(tensors, operators, ["x"], outputs)


def chain(*ops, scale=0.03, **options):
    """A file: x, DEQUANTIZE, some functions, QUANTIZE, y."""
    names = ["x", *(f"r{i}" for i in range(len(ops) + 1)), "y"]
    steps = ("DEQUANTIZE", *ops, "QUANTIZE")
    wiring = [(op, (source,), (result,), options if op in ops else {}) for op, source, result in zip(steps, names, names[1:])]
    return network([byte("x"), *map(real, names[1:-1]), byte("y", scale=scale)], wiring)


def test_a_chain_is_one_lookup_that_says_what_it_stands_for(read):
    graph = read(chain("TANH", "SQUARE"))
    (lookup,) = graph.operators
    assert (lookup.op, lookup.inputs, lookup.outputs) == ("LOOKUP", ("x",), ("y",))
    assert lookup.members == ("dequantize_0", "tanh_0", "square_0", "quantize_0")
    assert str(lookup.options["table"]) not in str(graph)


def test_the_same_quantization_again_is_no_work(read):
    (alias,) = read(chain(scale=0.05)).operators
    assert (alias.op, alias.inputs, alias.outputs, alias.members) == ("RESHAPE", ("x",), ("y",), ("dequantize_0", "quantize_0"))


def test_a_float_operator_that_others_read_stays_for_them(read):
    """The network's output r is what DEQUANTIZE gives, s what nobody but a QUANTIZE reads."""
    tensors = [byte("x"), real("r"), real("s"), byte("y")]
    wiring = [("DEQUANTIZE", "x", "r", {}), ("EXP", "r", "s", {}), ("QUANTIZE", "s", "y", {})]
    graph = read(network(tensors, wiring, ("r", "y")))
    assert [operator.op for operator in graph.operators] == ["DEQUANTIZE", "LOOKUP"]


def test_an_island_with_something_else_in_it_stays_and_that_is_named(read):
    for ops, options, found in ((("EXP", "SOFTMAX"), {}, ("EXP", "SOFTMAX")), (("GELU",), {"approximate": False}, ("GELU",))):
        with pytest.raises(WeftError) as caught:
            read(chain(*ops, **options))
        assert all(f"{op}: left in float32 in a quantized network" in str(caught.value) for op in found)


def test_a_product_of_two_tensors_stays(read):
    tensors = [byte("x"), byte("z"), *map(real, "rst"), byte("y")]
    wiring = [
        ("RELU", "x", "z", {}), ("DEQUANTIZE", "x", "r", {}), ("DEQUANTIZE", "z", "s", {}), ("MUL", "rs", "t", {}),
        ("QUANTIZE", "t", "y", {}),
    ]  # fmt: skip
    with pytest.raises(WeftError, match=r"mul_0 \(t\): MUL: left in float32"):
        read(network(tensors, wiring))


def test_what_is_kept_stays_and_what_does_not_need_it_does_not(read, tmp_path):
    """Of two branches the one whose operator is kept, by a caller that cannot run what stands for it."""
    tensors = [byte("x"), *map(real, "rst"), byte("y"), byte("z")]
    wiring = [
        ("DEQUANTIZE", "x", "r", {}), ("TANH", "r", "s", {}), ("SIN", "r", "t", {}), ("QUANTIZE", "s", "y", {}), ("QUANTIZE", "t", "z", {}),
    ]  # fmt: skip
    content = network(tensors, wiring, ("y", "z"))
    with pytest.MonkeyPatch.context() as patch:
        seen = []
        patch.setattr(
            "weft.compiler.frontends.network_file.with_islands", lambda graph, *rest: seen.append(graph) or with_islands(graph, *rest)
        )
        read(content)
    graph = with_islands(seen[0], content, kept=frozenset({"sin_0"}))
    assert [each.op for each in graph.operators] == ["DEQUANTIZE", "SIN", "LOOKUP", "QUANTIZE"]
    assert graph.operators[2].members == ("dequantize_0", "tanh_0", "quantize_0")


def test_constants_join_through_the_table(read, seed):
    """A dequantized constant and a computed tensor, a function of the whole behind them."""
    rng = np.random.default_rng(seed)
    tensors = [
        byte("x", (2, 3)), byte("k", (2, 3), scale=0.02, data=rng.integers(-128, 128, (2, 3)).astype(np.int8)),
        real("r", (2, 3)), real("c", (2, 3)), real("j", (2, 6)), real("n", (), data=np.float32(0.7)), real("t", (2, 6)),
        byte("y", (2, 6), scale=0.1),
    ]  # fmt: skip
    wiring = [
        ("DEQUANTIZE", "x", "r", {}), ("DEQUANTIZE", "k", "c", {}), ("CONCATENATION", "rc", "j", {"axis": 1}), ("SUB", "nj", "t", {}),
        ("QUANTIZE", "t", "y", {}),
    ]  # fmt: skip
    model = network(tensors, wiring)
    graph, x = read(model), rng.integers(-128, 128, (2, 3)).astype(np.int8)
    assert [operator.op for operator in graph.operators] == ["LOOKUP", "CONCATENATION"]
    assert np.array_equal(evaluate(graph, {"x": x})["y"], run_reference(model, [x])["y"])


@pytest.mark.parametrize("number", [None, -0.7])
def test_what_is_padded_behind_a_function_gets_what_the_file_says(number, read, seed):
    """Zeros or a number beside EXP's values: not EXP of what is zero among the bytes."""
    rng, pads = np.random.default_rng(seed), np.array([[1, 0], [0, 2]], np.int32)
    tensors = [byte("x", (2, 3)), real("r", (2, 3)), real("s", (2, 3)), real("t", (3, 5)), byte("y", (3, 5), zero_point=5)]
    tensors += [BuilderTensor("p", (2, 2), "int32", data=pads), real("n", (1,), data=np.float32([number or 0]))]
    pad = ("PAD", "sp", "t", {}) if number is None else ("PADV2", "spn", "t", {})
    model = network(tensors, [("DEQUANTIZE", "x", "r", {}), ("EXP", "r", "s", {}), pad, ("QUANTIZE", "t", "y", {})])
    graph, x = read(model), rng.integers(-128, 128, (2, 3)).astype(np.int8)
    assert_all_bytes(graph)
    assert np.array_equal(evaluate(graph, {"x": x})["y"], run_reference(model, [x])["y"])


def test_a_constant_for_each_channel_is_no_function_of_one_value(read):
    tensors = [byte("x"), real("r"), real("k", (8,), data=np.arange(8, dtype=np.float32)), real("t"), byte("y")]
    wiring = [("DEQUANTIZE", "x", "r", {}), ("MUL", "rk", "t", {}), ("QUANTIZE", "t", "y", {})]
    with pytest.raises(WeftError, match=r"mul_0 \(t\): MUL: left in float32"):
        read(network(tensors, wiring))


def test_x_times_logistic_of_x_goes_into_the_step_that_makes_x(read):
    tensors = [
        byte("x"), byte("w", (8, 1, 1, 8), scale=0.01, data=np.ones((8, 1, 1, 8), np.int8)), byte("a"), *map(real, "rst"), byte("y"),
    ]  # fmt: skip
    wiring = [
        ("CONV_2D", ("x", "w", None), "a", {}), ("DEQUANTIZE", "a", "r", {}), ("LOGISTIC", "r", "s", {}), ("MUL", "rs", "t", {}),
        ("QUANTIZE", "t", "y", {}),
    ]  # fmt: skip
    compiled = assert_exact(read(network(tensors, wiring)), PRESETS["small"])
    assert [step.op for step in compiled.network.steps] == ["CONV_2D+LOOKUP"]


def test_a_table_in_front_of_a_reshape_goes_into_the_step_before(read):
    tensors = [byte("x"), byte("a"), real("r"), real("s", (1, 128)), real("t", (1, 128)), byte("y", (1, 128), scale=0.01)]
    wiring = [
        ("RELU", "x", "a", {}), ("DEQUANTIZE", "a", "r", {}), ("RESHAPE", "r", "s", {"new_shape": (1, 128)}), ("TANH", "s", "t", {}),
        ("QUANTIZE", "t", "y", {}),
    ]  # fmt: skip
    compiled = assert_exact(read(network(tensors, wiring)), PRESETS["small"])
    assert [step.op for step in compiled.network.steps] == ["RELU+LOOKUP"]


def test_without_an_interpreter_that_is_said(read, monkeypatch):
    imported = builtins.__import__

    def missing(name, *rest):
        if name.startswith("ai_edge_litert"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert read(chain()).operators[0].op == "LOOKUP"  # by the golden operators
    with pytest.raises(WeftError, match=r"net\.tflite: it has float functions .* is not installed; install ai-edge-litert"):
        read(chain("COS"))


def test_where_the_interpreter_does_not_run_a_function_it_is_named(read, monkeypatch):
    monkeypatch.setattr(interpreted, "_run", lambda *network: None)
    with pytest.raises(WeftError, match=r"layer cos_0 \(r1\): COS: "):
        read(chain("COS"))


@pytest.mark.parametrize("name", ["c02b_gru_unroll", "x10_split_stack"])
def test_a_file_of_a_converter_with_islands_is_all_bytes_and_exact(cases, name, seed):
    path = cases / f"{name}.tflite"
    graph = read_tflite(path)
    assert_all_bytes(graph)
    inputs = every_byte(graph, np.random.default_rng(seed))
    computed, expected = evaluate(graph, inputs), run_reference(path.read_bytes(), [inputs[name] for name in graph.inputs])
    compared = [name for name in computed if name in expected]
    assert len(compared) > 2 and all(np.array_equal(computed[name], expected[name]) for name in compared)
    assert_exact(graph, PRESETS["small"], inputs=inputs)
