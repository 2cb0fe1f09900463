"""``weft run --steps``: streams of inputs up to the report; the golden machine stands in the simulator's place."""

import json
from functools import partial

import numpy as np
import pytest

from golden.machine import Machine
from golden.reference_process import ReferenceProcess, Stop
from tests.random_states import STREAMS, Maker
from tests.tflite_builder import build_model
from tests.unit.cli.test_cli import DIGITS, TEST_IMAGES, MachineAsSimulator, refused
from weft.cli.main import main
from weft.compiler.frontends.tflite import read_tflite
from weft.run.inputs import random_sample


@pytest.fixture
def no_rtl(monkeypatch):
    """The golden machine in the simulator's place."""
    monkeypatch.setattr("weft.run.network.Simulator", MachineAsSimulator)


@pytest.fixture
def stream(tmp_path, seed):
    """A file of a network with a state."""
    path = tmp_path / "net.tflite"
    path.write_bytes(STREAMS["stream"](np.random.default_rng([seed, 7])))
    return path


def run(capsys, tmp_path, *arguments):
    """Exit code, what was printed, the report as JSON."""
    report = tmp_path / "report.json"
    code = main(["run", *map(str, arguments), "--quiet", "--report", str(report)])
    captured = capsys.readouterr()
    return code, " ".join(captured.out.split()), captured.err, json.loads(report.read_text())


def test_every_step_is_compared_and_counted(stream, tmp_path, no_rtl, capsys):
    code, out, _, content = run(capsys, tmp_path, stream, "--steps", "5", "--seed", "1")
    assert (code, content["bit_exact"], content["steps"], len(content["step_cycles"])) == (0, True, 5, 5)
    assert set(content["step_cycles"]) == {content["cycles"]}
    assert "equal to the golden operators in each of 5 steps" in out and f"steps 5, {content['cycles']} cycles each" in out
    assert content["reference"]["tensors"] == 5 * 4, "the read, the join, the slice and the pool, in each step"


def test_a_network_without_states_takes_steps_too(tmp_path, no_rtl, capsys):
    code, out, _, content = run(capsys, tmp_path, DIGITS, "--input", TEST_IMAGES, "--sample", "3", "--steps", "2", "--no-reference")
    assert (code, content["steps"]) == (0, 2) and "samples 3 to 4 of" in out
    code, out, _, content = run(capsys, tmp_path, DIGITS, "--input", TEST_IMAGES, "--no-reference")
    assert (code, content["steps"]) == (0, 1) and "sample 0 of" in out
    assert "keeps" not in out


def test_a_file_of_frames_is_a_stream_where_the_network_has_states(stream, tmp_path, no_rtl, capsys):
    graph = read_tflite(stream)
    frames = np.concatenate([random_sample(graph, number)["x"] for number in range(6)])
    np.save(tmp_path / "x.npy", frames)
    given = (stream, "--no-reference", "--input", tmp_path / "x.npy")
    assert [run(capsys, tmp_path, *given, *more)[3]["steps"] for more in ((), ("--sample", "2"), ("--steps", "3"))] == [6, 1, 3]
    assert "keeps a state from run to run, and this is the first one" in run(capsys, tmp_path, *given, "--sample", "2")[1]
    assert "the file has no 3 steps from sample 4 on; it holds 6" in refused(capsys, "run", *given, "--sample", "4", "--steps", "3")


def test_a_difference_names_its_step(stream, tmp_path, no_rtl, capsys, monkeypatch):
    """A machine that loses its states after the second step differs from the golden operators from the third on."""

    def forgetful(self, inputs, **options):
        self.count = getattr(self, "count", 0) + 1
        if self.count == 3:
            self.reset()
        return remembered(self, inputs, **options)

    remembered = Machine.run
    monkeypatch.setattr(Machine, "run", forgetful)
    code, out, err, content = run(capsys, tmp_path, stream, "--steps", "4", "--seed", "1", "--no-reference")
    assert (code, content["bit_exact"], content["mismatch"]["step"]) == (1, False, 2)
    assert "weft: step 2 of 0 to 3: " in err and "bit-exact NO" in out


def fragile(path, *, variable) -> list:
    """A file with a SOFTMAX of 900 classes, at which the reference kernel aborts where all are equal; frames of which it is the second."""
    make, shape = Maker(np.random.default_rng(1)), (1, 900)
    x, outputs = make.tensor("x", shape, scale=0.1), []
    if variable:
        make.variable("v", shape)
        outputs.append(make.read("v", shape, scale=0.1))
        make.assign("v", x)
    outputs.append(make.add("SOFTMAX", (x,), make.tensor("y", shape, scale=1 / 256, zero_point=-128)))
    model = make.model if variable else partial(build_model, make.tensors, make.operators)
    path.write_bytes(model(["x"], outputs))
    frames = np.full((3, *shape), -128, np.int8)
    frames[[0, 2], 0, 0] = 127
    return list(frames)


@pytest.mark.parametrize("variable", [False, True])
def test_where_the_interpreter_dies_the_step_is_named(variable, tmp_path):
    """Operators of a network with a variable cannot be run one by one: its verdict says that the place is not known."""
    first, *further = fragile(tmp_path / "net.tflite", variable=variable)
    with ReferenceProcess(tmp_path / "net.tflite", [first], further=[[frame] for frame in further]) as reference:
        whole, stopped = reference.results()
    assert whole.stop is None and len(whole.tensors) >= 2 and not stopped.tensors
    assert stopped.stop.step == 1
    if variable:
        assert stopped.stop.reason.startswith("SIGABRT, here or behind it: it keeps its state")
    else:
        assert stopped.stop == Stop(operator=0, tensor=1, reason="SIGABRT", step=1)


def test_where_the_interpreter_dies_of_a_step_the_verdict_says_so(tmp_path, no_rtl, capsys):
    np.save(tmp_path / "x.npy", np.concatenate(fragile(tmp_path / "net.tflite", variable=False)))
    code, _, _, content = run(capsys, tmp_path, tmp_path / "net.tflite", "--input", tmp_path / "x.npy", "--steps", "3")
    verdict = {"version": "2.3.0", "tensors": 1, "stopped_at": "step 1, softmax_0 (y)", "reason": "SIGABRT"}
    assert (code, content["reference"]) == (0, verdict)


def test_map_json_says_where_states_lie_and_how_to_reset_them(stream, tmp_path):
    assert main(["compile", str(stream), "-o", str(tmp_path / "image"), "--quiet"]) == 0
    content = json.loads((tmp_path / "image" / "map.json").read_text())
    graph = read_tflite(stream)
    (state,), (known,) = content["states"], graph.states
    assert (state["name"], state["dtype"], state["region"], state["bytes"]) == ("v", "int8", "ARENA", known.initial.size)
    assert bytes.fromhex(state["initial"]) == known.initial.tobytes()
    assert [each["tensor"] for each in content["network_inputs"]] == ["x"] == [each["tensor"] for each in content["inputs"]]
    assert [each["tensor"] for each in content["network_outputs"]] == ["y"] == [each["tensor"] for each in content["outputs"]]
