"""``--auto``: layers are tried alone and taken by their worth, and the loss stays within what the user allows."""

from types import SimpleNamespace

import numpy as np
import pytest

from hw.npu.config import PRESETS
from tests.quantize_networks import images, network
from tests.unit.quantize.test_quantize import NAMES, run, samples, stage
from weft.compiler.evaluate import evaluate
from weft.compiler.frontends.tflite import read_tflite
from weft.quantize.batches import Batches
from weft.quantize.job import Samples, quantize
from weft.quantize.judge import Judge, answers_of, top_class
from weft.quantize.sensitivity import Sensitivity, by_worth, choose
from weft.run.inputs import load_samples

__all__ = ["run"]  # the fixture


def layer(name, size=100):
    return SimpleNamespace(name=name, values=np.zeros(size))


class TableJudge:
    """A judge whose losses are the sums of the layers' own; noise is a tenth of the loss."""

    def __init__(self, losses):
        self.losses, self.asked = losses, []
        self.batches = SimpleNamespace(graph=None)

    def answers(self, layers):
        self.asked.append(layers)
        return layers

    def loss(self, names):
        return sum(self.losses[name] for name in names)

    def noise(self, names):
        return self.loss(names) / 10


@pytest.fixture
def names_for_graphs(monkeypatch):
    """A network with some layers in 4 bits is here the tuple of their names."""
    monkeypatch.setattr("weft.quantize.sensitivity.with_layers", lambda graph, layers: tuple(each.name for each in layers))


def picked(train, judging, max_loss, refine=lambda taken: taken, saved=None):
    train, judging = TableJudge(train), TableJudge(judging)
    layers = [layer(name) for name in train.losses]
    choice = choose(layers, saved or dict.fromkeys(train.losses, 10), train, judging, max_loss, refine)
    return [each.name for each in choice.layers], choice, train


def test_layers_stand_in_the_order_of_cycles_for_noise_then_of_bytes_for_noise():
    layers = [layer("a"), layer("b"), layer("c", 10), layer("d", 1000), layer("e", 500)]
    alone = {name: Sensitivity(0, noise) for name, noise in zip("abcde", (0.1, 0.01, 0.1, 0.1, 0.1))}
    assert [each.name for each in by_worth(layers, alone, {"a": 50, "b": 10, "c": 0, "d": -3})] == ["b", "a", "d", "e", "c"]


def test_all_layers_are_taken_at_once_where_they_lose_little_enough(names_for_graphs):
    names, choice, train = picked({"a": 0.2, "b": 0.3, "c": 0.5}, {"a": 0.1, "b": 0.1, "c": 0.1}, 1.0)
    assert set(names) == {"a", "b", "c"} and choice.refused == choice.returned == ()
    assert train.asked[:3] == [("a",), ("b",), ("c",)] and len(train.asked) == 5
    assert choice.alone["b"] == Sensitivity(0.3, 0.03)


def test_a_layer_that_loses_too_much_is_left_out_and_later_ones_still_tried(names_for_graphs):
    names, choice, _ = picked({"a": 0.2, "b": 3.0, "c": 0.9, "d": 0.8}, dict.fromkeys("abcd", 0.0), 1.0)
    assert (names, choice.refused) == (["a", "d"], ("c", "b"))


def test_layers_are_given_back_for_the_judging_half_the_last_one_first(names_for_graphs):
    names, choice, _ = picked({"a": 0.1, "b": 0.2, "c": 0.3}, {"a": 0.5, "b": 0.6, "c": 0.1}, 1.0)
    assert (names, choice.returned) == (["a"], ("c", "b"))
    names, choice, _ = picked({"a": 0.1}, {"a": 2.0}, 1.0)
    assert (names, choice.returned) == ([], ("a",))


def test_refined_layers_are_left_where_they_lose_more(names_for_graphs):
    worse = TableJudge({"a": 0.1, "better": 0.1, "worse": 5.0})
    for refined, expected in (("better", "better"), ("worse", "a")):
        choice = choose([layer("a")], {}, worse, worse, 1.0, lambda taken, name=refined: [layer(name)])
        assert [each.name for each in choice.layers] == [expected]


def test_a_judge_counts_top_classes_and_measures_noise(read):
    graph, x = read(network()), images(12)
    values = [evaluate(graph, {"x": image[None]}) for image in x]
    right = np.array([each["y"].argmax() for each in values])
    labels = np.where(np.arange(12) < 9, right, (right + 1) % 5)
    judge = Judge(Batches(graph, [{"x": image[None]} for image in x]), labels)
    assert answers_of(graph) == ("y", "square")
    assert judge.accuracy() == pytest.approx(75)
    logits = np.concatenate([each["square"] for each in values])
    answers = {"y": np.eye(5)[labels], "square": logits + np.array([1, 0, 0, 0, -1])}
    assert (judge.accuracy(answers), judge.loss(answers)) == (100, pytest.approx(-25))
    assert judge.noise(answers) == pytest.approx(24 / (logits.var(axis=0) * 12).sum())
    assert judge.signal_db(judge.answers()) == float("inf")
    assert top_class(np.array([[3, 3, 1], [0, 1, 2]])).tolist() == [0, 2]  # the first of equals


@pytest.mark.parametrize("max_loss", [0, 10, 100])
def test_the_loss_stays_within_what_is_allowed_on_both_halves(run, max_loss):
    report, _, _, new = run(network(), samples=samples(60), max_loss=max_loss)
    for half in (report.train, report.judging):
        assert half.before - half.after <= max_loss
    answers = [evaluate(new, {"x": image[None]})["y"].argmax() for image in images(60)]
    old = [
        evaluate(read_graph, {"x": image[None]})["y"].argmax()
        for read_graph in [run(network(), layers="conv2d_0")[2]]
        for image in images(60)
    ]
    assert report.judging.after == pytest.approx(100 * np.equal(answers, old)[1::2].mean())
    narrow = {operator.name for operator in new.operators if len(operator.inputs) > 1 and new.input(operator, 1).dtype == "int4"}
    assert narrow == {row.name for row in report.layers if row.int4}
    assert all(row.loss_alone is not None and row.signal_db is not None for row in report.layers)
    if max_loss == 100:
        assert narrow == set(NAMES)


def test_auto_chooses_among_the_layers_that_are_named(run):
    report, _, _, _ = run(network(), samples=samples(20), max_loss=100, layers="inner")
    assert [row.int4 for row in report.layers] == [False, True, True, True, False]
    assert report.layers[0].loss_alone is None


def test_the_keyword_network_loses_at_most_1_percent_and_gains(models, tmp_path):
    """Accuracy on the half that did not choose; the whole file in 4 bits was found to hold it."""
    data, output = models / "inputs" / "mlperf_kws_1000.npz", tmp_path / "kws.tflite"
    graph = read_tflite(models / "mlperf_kws_dscnn_int8.tflite")
    inputs, _ = load_samples(graph, data)
    labels = np.load(data)["y"].astype(int)
    report, content = quantize(graph, PRESETS["small"], samples=Samples(inputs, labels), max_loss=1.0, stage=stage)
    output.write_bytes(content)
    new = read_tflite(output)
    judged = Batches(graph, inputs[1::2]).results(["Identity"], new)["Identity"]
    accuracy = 100 * np.mean(top_class(judged) == labels[1::2])
    print(f"judging half: {report.judging.before:.1f} -> {accuracy:.1f} %; cycles {report.cycles}, bytes of weights {report.weight_bytes}")
    assert (report.measure, report.judging.samples, report.judging.before) == ("accuracy", 500, pytest.approx(89.8))
    assert report.judging.after == pytest.approx(accuracy) and accuracy >= 88.8
    assert report.weight_bytes == (22016, 11008) and all(row.int4 for row in report.layers)
    assert report.cycles[1] <= 0.72 * report.cycles[0]
