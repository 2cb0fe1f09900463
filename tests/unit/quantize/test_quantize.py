"""``weft quantize``: the reference interpreter and Weft compute the same of the file it writes; it is smaller, and the report is true."""

import contextlib
import dataclasses

import numpy as np
import pytest

from golden.operators.conv2d import convolution_sums
from golden.operators.depthwise_conv2d import depthwise_sums
from hw.npu.config import PRESETS, NpuConfig
from hw.npu.errors import WeftError
from tests.machine_checks import assert_exact
from tests.quantize_networks import LAYERS, images, network
from tests.random_operators import OPERATORS
from tests.reference import run_reference
from tests.signatures import join_models
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.quantize.test_quantize_tables import contents
from weft.compiler import parameters
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.quantize.batches import Batches, widened
from weft.quantize.job import Samples, quantize
from weft.quantize.layers import chosen_layers, layers_of
from weft.quantize.moments import MomentSums, groups_of
from weft.quantize.narrow import with_layers
from weft.quantize.passes import each_alone, in_order, without_samples
from weft.quantize.rewrite import rewritten

CONFIG = NpuConfig(rows=8, cols=8, act_kib=32, weight_kib=16)
NAMES = ["conv2d_0", "depthwise_conv2d_0", "conv2d_1", "fully_connected_0", "fully_connected_1"]


@contextlib.contextmanager
def stage(text, total=0):
    """Shows nothing."""
    yield lambda count=1: None


@pytest.fixture
def run(tmp_path):
    """Quantize the bytes of a network; the report, the new file's bytes and both graphs."""

    def quantized(content, **options):
        source, output = tmp_path / "net.tflite", tmp_path / "out.tflite"
        source.write_bytes(content)
        signature = options.get("signature")
        graph = read_tflite(source, signature)
        report, written = quantize(graph, CONFIG, stage=stage, **options)
        output.write_bytes(written)
        return report, output.read_bytes(), graph, read_tflite(output, signature)

    return quantized


def samples(count=40, labels=False):
    """Inputs of the small network."""
    return Samples([{"x": image[None]} for image in images(count)], np.arange(count) % 5 if labels else None)


# The file


@pytest.mark.parametrize("data", [None, samples()], ids=["without inputs", "with inputs"])
@pytest.mark.parametrize("layers", ["all", "inner", "conv2d_0,fully_connected_1"])
def test_the_file_gives_the_same_in_the_reference_interpreter_and_in_weft(run, data, layers):
    _, content, _, graph = run(network(), layers=layers, samples=data)
    for image in images(5, seed=9):
        expected = run_reference(content, [image[None]])
        for name, value in evaluate(graph, {"x": image[None]}).items():
            assert np.array_equal(value, expected[name]), name


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_random_layers_give_the_same_in_the_reference_interpreter_and_in_weft(read, tmp_path, op, seed):
    rng = np.random.default_rng([seed, *op.encode()])
    for _ in range(25):
        graph = read(OPERATORS[op](rng))
        made = without_samples(graph, graph.operators, lambda: None)
        content = rewritten(tmp_path / "net.tflite", list(made.values()))
        new = read(content)
        x = rng.integers(-128, 128, new.tensors["x"].shape).astype(np.int8)
        assert new.tensors["weights"].dtype == "int4"
        assert np.array_equal(evaluate(new, {"x": x})["y"], run_reference(content, [x])["y"])


def test_the_golden_machine_computes_the_file_with_int4_and_without(run, seed):
    _, _, _, graph = run(network(), samples=samples())
    for config in (PRESETS["small"].replace(int4=True), PRESETS["small"], CONFIG.replace(int4=True)):
        assert_exact(graph, config, seed=seed)


def test_weights_stand_two_in_a_byte_the_first_in_the_lower_half(run):
    """Written out by hand: an odd number of them, of one channel, which fit 4 bits already."""
    weights = np.array([[7, -7, 1, -1, 0, 5, -3]])
    tensors = [
        BuilderTensor("x", (1, 7), scale=0.5), BuilderTensor("w", (1, 7), scale=0.25, data=weights), BuilderTensor("y", (1, 1), scale=1.0),
    ]  # fmt: skip
    model = build_model(tensors, [BuilderOperator("FULLY_CONNECTED", ("x", "w", None), ("y",))], ["x"], ["y"])
    report, content, _, graph = run(model)
    assert content.count(bytes([0x97, 0xF1, 0x50, 0x0D])) == 1
    assert graph.tensors["w"].data.tolist() == weights.tolist() and graph.tensors["w"].dtype == "int4"
    assert graph.tensors["w"].quantization.scale == (0.25,)
    assert report.weight_bytes == (7, 4) and report.layers[0].signal_db == float("inf")


def test_nothing_else_in_the_file_changes(run):
    before = network()
    _, written, _, _ = run(before, layers="conv2d_0,fully_connected_1", samples=samples())
    old, new = contents(before), contents(written)
    changed = {"conv/w", "conv/b", "square/w", "square/b"}
    for old_tensor, new_tensor in zip(old["subgraphs"][0]["tensors"], new["subgraphs"][0]["tensors"], strict=True):
        name = new_tensor["name"].decode() if isinstance(new_tensor["name"], bytes) else new_tensor["name"]
        if name in changed:
            for tensor, model in ((old_tensor, old), (new_tensor, new)):
                tensor.pop("quantization")
                tensor.pop("type")
                model["buffers"][tensor["buffer"]] = None
    versions = [[code.pop("version") for code in model["operatorCodes"]] for model in (old, new)]
    assert old == new
    assert versions == [[3, 3, 4, 2], [7, 3, 10, 2]]


def test_types_scales_and_zero_points_are_symmetric_int4_by_channel(run):
    _, _, old, new = run(network(), samples=samples())
    for name, shape in LAYERS.items():
        weights, bias = new.tensors[f"{name}/w"], new.tensors[f"{name}/b"]
        channels = shape[3 if name == "depthwise" else 0]
        assert (weights.dtype, weights.shape, bias.dtype) == ("int4", shape, "int32")
        assert weights.data.min() >= -7 and weights.data.max() <= 7
        assert len(weights.quantization.scale) == channels and set(weights.quantization.zero_point) == {0}
        source = old.input(next(o for o in old.operators if o.outputs == (name,)), 0)
        expected = np.float32(source.scale) * np.array(weights.quantization.scale, np.float32)
        assert bias.quantization.scale == tuple(expected.tolist())


def test_the_file_is_smaller_and_the_same_every_time(run):
    data = samples()
    report, content, _, _ = run(network(), samples=data)
    _, again, _, _ = run(network(), samples=data)
    assert content == again
    count = sum(int(np.prod(shape)) for shape in LAYERS.values())
    assert report.weight_bytes == (count, sum((int(np.prod(shape)) + 1) // 2 for shape in LAYERS.values()))
    assert report.file_bytes == (len(network()), len(content)) and len(content) < len(network())


def test_metadata_and_signatures_stay(models, run):
    name = models / "mlperf_sww_int8.tflite"
    before = name.read_bytes()
    _, written, _, _ = run(before, layers="conv2d_1")
    old, new = contents(before), contents(written)
    assert old["metadata"] == new["metadata"] and old["signatureDefs"] == new["signatureDefs"] and old["description"] == new["description"]
    assert old["metadata"] or old["signatureDefs"]


def with_schema(content, change):
    """The bytes of a network after a change of the newest schema's objects."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model, {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors})
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_buffer_that_others_need_is_left_to_them(run):
    """As converters do where two layers have the same biases, or weights."""
    twins = {
        "square__w": {"data": network_weights("matrix/w")[:5, :5]},
        "grouped__b": {"data": np.arange(8)},
        "conv__b": {"data": np.arange(6)},
    }

    def share(model, tensors):
        tensors["matrix/b"].buffer = tensors["square/b"].buffer

    content = with_schema(network(**twins), share)
    _, written, old, new = run(content, layers="fully_connected_0")
    assert np.array_equal(new.tensors["square/b"].data, old.tensors["square/b"].data)
    assert not np.array_equal(new.tensors["matrix/b"].data, old.tensors["matrix/b"].data)
    image = images(1)
    assert np.array_equal(evaluate(new, {"x": image})["y"], run_reference(written, [image])["y"])


def network_weights(name):
    """Weights of the small network; its matrix begins with the square ones."""
    rng = np.random.default_rng(len(name))
    return np.clip(np.rint(rng.normal(0, 40, (5, 5))), -127, 127)


def test_a_signature_is_quantized_and_the_other_network_of_the_file_stays(run, read):
    """They have their weights in one buffer, as converters store equal values."""
    report, content, before, after = run(join_models([("first", network()), ("second", network())]), signature="second")
    assert after.subgraph == 1 and all(layer.int4 for layer in report.layers)
    assert all(after.tensors[f"{name}/w"].dtype == "int4" for name in LAYERS)
    first = read(content)
    for name, tensor in read(network()).tensors.items():
        assert first.tensors[name].dtype == tensor.dtype and np.array_equal(first.tensors[name].data, tensor.data), name
    x = images(1)
    assert np.array_equal(evaluate(first, {"x": x})["y"], evaluate(before, {"x": x})["y"])


# Which layers


def layers(graph, stored=lambda name: True):
    return layers_of(graph, stored)


def chosen(graph, text):
    return [layer.name for layer in chosen_layers(graph, layers(graph), text)]


def test_layers_are_all_inner_or_named(read):
    graph = read(network())
    assert chosen(graph, "all") == NAMES
    assert chosen(graph, "inner") == NAMES[1:-1]
    assert chosen(graph, "fully_connected_1, conv2d_0") == ["conv2d_0", "fully_connected_1"]
    assert chosen(graph, "grouped") == ["conv2d_1"]  # by its label
    with pytest.raises(WeftError, match=r"no layer 'conv2d_7'; those with weights are conv2d_0, depthwise_conv2d_0, conv2d_1, fully"):
        chosen(graph, "conv2d_0,conv2d_7")


def shared_weights():
    tensors = [BuilderTensor(name, (1, 4), scale=0.5) for name in "xyz"]
    tensors.append(BuilderTensor("w", (4, 4), scale=0.1, data=np.arange(16).reshape(4, 4)))
    operators = [BuilderOperator("FULLY_CONNECTED", (a, "w", None), (b,)) for a, b in ("xy", "yz")]
    return build_model(tensors, operators, ["x"], ["z"])


def test_layers_that_share_weights_stay_and_say_so(read, run):
    graph = read(shared_weights())
    with pytest.raises(WeftError, match=r"layer fully_connected_0 \(y\): its weights cannot become int4: shares w with fully_connected_1$"):
        chosen(graph, "fully_connected_0")
    with pytest.raises(WeftError, match=r"--layers all: no layer is left .*fully_connected_1: shares w with fully_connected_0"):
        chosen(graph, "all")


def test_weights_that_the_file_computes_or_has_in_4_bits_stay(read, run):
    graph = read(network())
    reasons = {layer.name: layer.obstacle for layer in layers(graph, lambda name: name != "grouped/b")}
    assert reasons == dict.fromkeys(NAMES, "") | {"conv2d_1": "grouped/b is computed"}
    report, content, _, _ = run(network(), layers="conv2d_0")
    assert [row.int4 for row in report.layers] == [True, False, False, False, False]
    report, _, _, _ = run(content, layers="all")
    assert report.layers[0].note == "int4 already" and all(row.int4 for row in report.layers)
    assert report.layers[0].bytes_before == report.layers[0].bytes_after == 81


def test_a_transposed_convolution_stays_int8(read, seed):
    graph = read(OPERATORS["TRANSPOSE_CONV"](np.random.default_rng(seed)))
    with pytest.raises(WeftError, match=r"no layer is left .*TRANSPOSE_CONV takes no int4 weights"):
        chosen(graph, "all")


# What a layer sees


def sums_of(graph, operator, x, weights):
    """The sums of a layer without its bias, float64[samples, positions, channels]."""
    zero_point = graph.input(operator, 0).zero_point
    if operator.op == "FULLY_CONNECTED":
        rows = (x.reshape(-1, weights.shape[1]).astype(float) - zero_point) @ weights.T.astype(float)
        return rows.reshape(len(x), -1, len(weights))
    function = convolution_sums if operator.op == "CONV_2D" else depthwise_sums
    window, bias = parameters.window(graph, operator), np.zeros(parameters.channels(graph, operator), np.int32)
    numbers = {"stride": window.stride, "dilation": window.dilation, "pad": window.pad, "input_zero_point": zero_point}
    return function(x, weights, bias, **numbers).astype(float).reshape(len(x), -1, bias.size)


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_moments_tell_mean_and_mean_square_of_the_sums(op, read, seed):
    """Of random layers: strides, paddings, dilations, groups and multipliers; against the golden operators' sums."""
    rng = np.random.default_rng([seed, *op.encode()])
    for _ in range(30):
        graph = read(OPERATORS[op](rng))
        (operator,) = graph.operators
        weights, shape = graph.input(operator, 1), groups_of(graph, operator)
        x, other = (rng.integers(-128, 128, (3, *graph.tensors["x"].shape[1:])).astype(np.int8) for _ in range(2))
        collected = MomentSums(graph, operator, 3)
        for part in (slice(0, 2), slice(2, 3)):
            collected.add(x[part], other[part])
        moments = collected.moments()
        w = np.moveaxis(weights.data, parameters.channel_axis(operator), 0).reshape(shape).astype(float)
        old, new = (sums_of(graph, operator, each, weights.data).reshape(-1, shape[0] * shape[1]) for each in (x, other))
        for mean, sums in ((moments.mean, old), (moments.new_mean, new)):
            assert np.allclose((w @ mean[..., None]).reshape(-1), sums.mean(axis=0))
        for second, product in ((moments.second, old * old), (moments.new_second, new * new), (moments.cross, old * new)):
            assert np.allclose(((w @ second) * w).sum(axis=-1).reshape(-1), product.mean(axis=0))


def test_of_many_positions_every_column_is_seen(read):
    tensors = [BuilderTensor(name, (1, 64, 64, 1), scale=0.5) for name in "xy"] + [
        BuilderTensor("w", (1, 1, 1, 1), scale=1.0, data=np.ones((1, 1, 1, 1)))
    ]
    graph = read(build_model(tensors, [BuilderOperator("CONV_2D", ("x", "w", None), ("y",))], ["x"], ["y"]))
    (operator,) = graph.operators
    for column in range(64):
        x = np.zeros((40, 64, 64, 1), np.int8)
        x[:, :, column] = 64
        collected = MomentSums(graph, operator, 40)
        collected.add(x[:15])
        collected.add(x[15:])
        assert collected.moments().mean[0, 0] == pytest.approx(1, rel=0.2)


def test_the_reported_noise_is_that_of_the_sums_and_its_mean_is_gone(read):
    graph, x = read(network()), images(30)
    batches = Batches(graph, [{"x": image[None]} for image in x])
    operators = [operator for operator in graph.operators if operator.name in NAMES]
    made = in_order(graph, operators, batches, lambda: None)
    new = with_layers(graph, made.values())
    old_values, new_values = (evaluate(widened(each, 30), {"x": x}) for each in (graph, new))
    for operator in operators:
        layer, source, bias = made[operator.name], operator.inputs[0], f"{operator.outputs[0]}/b"
        old, mended = (
            (sums_of(graph, operator, values[source], weights) + variant.tensors[bias].data) * np.array(scale)
            for values, variant, weights, scale in (
                (old_values, graph, graph.input(operator, 1).data, graph.input(operator, 1).quantization.scale),
                (new_values, new, layer.values, layer.scale.astype(float)),
            )
        )
        error = mended - old
        assert (np.abs(error.mean(axis=(0, 1))) <= 0.5001 * layer.scale).all()  # half a step of the bias
        power, noise = ((each - each.mean(axis=(0, 1))) ** 2 for each in (old, error))
        assert layer.signal_db == pytest.approx(10 * np.log10(power.sum() / noise.sum()), abs=0.01)


def test_inputs_and_order_make_the_results_better(read):
    """Each of three ways beats the one before it, on samples that it has not seen."""
    graph = read(network())
    operators = [operator for operator in graph.operators if operator.name in NAMES]
    batches = Batches(graph, [{"x": image[None]} for image in images(200)])
    fresh = Batches(graph, [{"x": image[None]} for image in images(200, seed=1)])
    expected = fresh.results(["square"])["square"].astype(float)
    made = (
        without_samples(graph, operators, lambda: None), each_alone(graph, operators, batches, lambda: None),
        in_order(graph, operators, batches, lambda: None),
    )  # fmt: skip
    noises = [((fresh.results(["square"], with_layers(graph, each.values()))["square"] - expected) ** 2).mean() for each in made]
    print(f"mean square error of the logits: {np.round(noises, 2).tolist()}")
    assert noises[0] > noises[1] > noises[2]


# Many samples


@pytest.mark.parametrize("kept", [0, 1 << 30])
def test_batches_are_evaluated_as_samples_are_one_by_one(read, monkeypatch, kept):
    monkeypatch.setattr("weft.quantize.batches.KEPT_BYTES", kept)
    monkeypatch.setattr("weft.quantize.batches.LARGEST_BATCH", 4)
    graph, x = read(network()), images(10)
    batches = Batches(graph, [{"x": image[None]} for image in x])
    assert (batches.count, batches.samples) == (3, 10)
    operators = [operator for operator in graph.operators if operator.name in NAMES]
    variant = with_layers(graph, without_samples(graph, operators[2:4], lambda: None).values())
    for each in (None, variant, None, variant):
        got = batches.results(["conv", "matrix", "y"], each)
        for image, *values in zip(x, *got.values()):
            expected = evaluate(each or graph, {"x": image[None]})
            for name, value in zip(got, values):
                assert np.array_equal(value, expected[name].reshape(-1)), name
    assert bool(batches.known()[0].keys() - {"x"}) == bool(kept)


def test_a_network_that_counts_its_samples_is_evaluated_one_by_one(read):
    """A MEAN over the first dimension, too."""
    tensors = [
        BuilderTensor("x", (1, 4), scale=0.5), BuilderTensor("m", (1, 1), scale=0.5), BuilderTensor("y", (1, 3), scale=0.5),
        BuilderTensor("axes", (2,), "int32", data=np.array([0, 1])),
        BuilderTensor("w", (3, 1), scale=0.1, data=np.array([[10], [90], [-70]])),
    ]  # fmt: skip
    operators = [
        BuilderOperator("MEAN", ("x", "axes"), ("m",), {"keep_dims": True}),
        BuilderOperator("FULLY_CONNECTED", ("m", "w", None), ("y",)),
    ]
    graph = read(build_model(tensors, operators, ["x"], ["y"]))
    x = np.arange(-20, 20).reshape(10, 1, 4).astype(np.int8)
    batches = Batches(graph, [{"x": row} for row in x])
    assert batches.count == 10
    expected = [evaluate(graph, {"x": row})["y"].reshape(-1) for row in x]
    assert np.array_equal(batches.results(["y"])["y"], expected)


def test_the_report_agrees_with_the_file(run):
    report, _, old, new = run(network(), layers="inner", samples=samples(41))
    assert report.measure == "agreement with INT8"
    assert (report.train.samples, report.judging.samples) == (21, 20)
    answers = [[evaluate(graph, {"x": image[None]})["y"].argmax() for image in images(41)] for graph in (old, new)]
    same = np.equal(*answers)
    assert (report.train.after, report.judging.after) == (pytest.approx(100 * same[0::2].mean()), pytest.approx(100 * same[1::2].mean()))
    assert report.train.before == report.judging.before == 100
    assert [row.name for row in report.layers if row.int4] == NAMES[1:-1]
    assert report.cycles[1] < report.cycles[0] and report.ddr_bytes[1] < report.ddr_bytes[0]
    assert report.layers[1].note == "bytes only" and any("compute at INT8's rate" in note for note in report.notes)
    assert dataclasses.asdict(report).keys() == report.to_json().keys()
