"""Random networks of all operators: golden operators against the interpreter, the golden machine against the operators."""

import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.random_networks.adders import SUPPORTED_IN_NETWORKS
from tests.random_networks.batch import Batch, BatchResult, networks
from tests.random_networks.campaign import Progressed
from tests.random_networks.check import Tally, check, fault
from tests.random_networks.reference_process import Died, ReferenceProcess, Refused
from tests.random_networks.saved import load, save
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from weft.compiler.evaluate import EVALUATORS
from weft.compiler.limits import SUPPORTED
from weft.compiler.tuning import USUAL

PART, PARTS, SLOW_PARTS = 50, 6, 100
"""300 networks in `make test`, 5 000 more in `make test-all`."""
LEAST_EXACT, LEAST_READ, LEAST_COMPARED = 0.8, 0.9, 0.95
"""Shares: of the networks that must run on the machine, and that Weft must read; of the latter that the interpreter must run to the end.

A generator of refusals tests nothing.
"""


@pytest.fixture(scope="module")
def reference():
    """The interpreter's process."""
    with ReferenceProcess() as process:
        yield process


def run_part(number, reference, folder):
    """As many networks as a part has; a fault is raised with the network's text."""
    tally = Tally()
    for network in networks(number, PART):
        check(network, reference, folder, tally)
    print(f"{tally.exact} of {tally.networks} exact; {dict(tally.refusals)}; {dict(tally.reference)}")
    assert tally.networks == PART
    assert tally.exact >= LEAST_EXACT * tally.networks, tally.refusals
    assert tally.reference.total() >= LEAST_READ * tally.networks, tally.refusals
    assert tally.reference["compared"] >= LEAST_COMPARED * tally.reference.total(), tally.reference


@pytest.mark.parametrize("part", range(PARTS))
def test_random_networks_are_exact(part, reference, seed, tmp_path):
    run_part(1000 * seed + part, reference, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS, PARTS + SLOW_PARTS))
def test_many_random_networks_are_exact(part, reference, seed, tmp_path):
    run_part(1000 * seed + part, reference, tmp_path)


def test_every_supported_operator_is_in_the_networks(seed):
    """Those of `make test`; aliases and convolutions more often than others, shapes of every rank behind aliases."""
    named = frozenset(SUPPORTED) - {"LOOKUP"}  # which no file has
    assert named == SUPPORTED_IN_NETWORKS
    made = [network for part in range(PARTS) for network in networks(1000 * seed + part, PART)]
    times = Counter(op for network in made for op in set(network.ops))
    assert min(times[op] for op in named) >= 3, times
    assert min(times[op] for op in ("RESHAPE", "CONV_2D", "DEPTHWISE_CONV_2D")) > len(made) / 4, times
    configs = [network.config for network in made]
    assert {(config.int4, config.lane_divisor) for config in configs} == set(itertools.product((False, True), (1, 2, 4)))
    assert {network.keep_tensors for network in made} == {network.searched for network in made} == {False, True}


def test_the_same_number_makes_the_same_networks():
    first, again, other = ([network.content for network in networks(number, 9)] for number in (5, 5, 6))
    assert len(first) == 9 and first == again != other


def saved_by(number, count, reference, folder):
    """What a batch saves, by suffix, and the operators of what it saved last."""
    result = Batch(number, reference, folder, shrink_seconds=2).run(count)
    (text,) = result.saved
    assert {path.suffix for path in folder.iterdir()} == {".tflite", ".toml", ".npz", ".txt"}
    lines = Path(text).read_text().splitlines()
    assert lines[0].startswith("python -m tests.random_networks.saved ")
    return result, lines[2].split(": ", 1)[1].split()


def test_a_wrong_golden_operator_is_shrunk_to_that_operator(reference, tmp_path, monkeypatch):
    right = EVALUATORS["LEAKY_RELU"]
    monkeypatch.setitem(EVALUATORS, "LEAKY_RELU", lambda graph, operator, values: right(graph, operator, values) ^ 1)
    result, ops = saved_by(1, 200, reference, tmp_path)
    assert list(result.faults) == ["golden operator is not the reference: LEAKY_RELU"]
    assert ops == ["LEAKY_RELU"]


def softmax_that_kills():
    """A flat row whose exponentials sum to more than the reference kernel's fixed point holds."""
    tensors = [BuilderTensor("x", (1, 900), scale=2.0**-20), BuilderTensor("y", (1, 900), scale=1 / 256, zero_point=-128)]
    return build_model(tensors, [BuilderOperator("SOFTMAX", ("x",), ("y",))], ["x"], ["y"])


def test_an_interpreter_that_aborts_is_replaced(reference):
    with pytest.raises(Died):
        reference.run(softmax_that_kills(), [np.zeros((1, 900), np.int8)])
    tensors = [BuilderTensor(name, (1, 4), scale=0.5) for name in "xy"]
    relu = build_model(tensors, [BuilderOperator("RELU", ("x",), ("y",))], ["x"], ["y"])
    assert reference.run(relu, [np.array([[-3, 0, 3, 4]], np.int8)])["y"].tolist() == [[0, 0, 3, 4]]


def test_a_file_that_the_interpreter_does_not_take_is_told_from_a_death(reference):
    tensors = [BuilderTensor("x", (1, 4), scale=0.5), BuilderTensor("y", (1, 4), scale=0.25)]
    softmax = build_model(tensors, [BuilderOperator("SOFTMAX", ("x",), ("y",))], ["x"], ["y"])
    with pytest.raises(Refused, match="SOFTMAX"):
        reference.run(softmax, [np.zeros((1, 4), np.int8)])


def test_a_campaign_goes_on_where_it_was(tmp_path):
    """A batch counts when its line is whole, and once."""
    path, one = tmp_path / "campaign" / "seed-1.jsonl", BatchResult(Tally(45, 40, Counter(ADD=7), Counter(memory=5)))
    first = Progressed(path)
    first.add(3, one)
    first.add(4, BatchResult(Tally(10, 9, Counter(ADD=1)), Counter({"wrong program: ADD": 1}), ["a.txt"]))
    with path.open("a") as file:
        file.write(path.read_text().splitlines()[0] + "\n" + '{"batch": 5, "networks": 45')
    again = Progressed(path)
    assert again.done == {3, 4} and again.total == first.total
    assert again.total.tally == Tally(55, 49, Counter(ADD=8), Counter(memory=5))
    again.add(5, one)
    assert Progressed(path).total.tally.networks == 100
    assert len(path.read_text().splitlines()) == 4


def test_a_saved_network_runs_again_as_it_was(reference, tmp_path):
    network = next(network for network in networks(1, 200) if network.tuning != USUAL and network.keep_tensors)
    save(network, tmp_path / "one", fault("planted", "text"))
    loaded = load(tmp_path / "one", keep_tensors=True, tuning=network.tuning)
    assert (loaded.content, loaded.config, loaded.tuning) == (network.content, network.config, network.tuning)
    graph = network.graph(tmp_path)
    assert all(np.array_equal(value, loaded.sample(graph)[name]) for name, value in network.sample(graph).items())
    tally = Tally()
    check(loaded, reference, tmp_path, tally)
    assert tally.exact == 1
    line = (tmp_path / "one.txt").read_text().splitlines()[0]
    assert line == f"python -m tests.random_networks.saved {tmp_path / 'one'} --tuning {written(network.tuning)} --keep-tensors"


def written(tuning):
    return ",".join(str(int(value)) for value in dataclasses.astuple(tuning))
