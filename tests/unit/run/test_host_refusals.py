"""What the host cannot run: which operator is to blame, in one line, and what --no-host refuses."""

import numpy as np
import pytest

import weft.run.network
from golden.host_process import HostProcess, SubModel
from hw.npu.errors import WeftError
from tests.host_networks import gather
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.cli.test_cli import MachineAsSimulator, refused
from tests.unit.golden.test_reference import flat_softmax
from weft.cli.main import main


@pytest.fixture
def no_rtl(monkeypatch):
    """The golden machine in the simulator's place."""
    monkeypatch.setattr(weft.run.network, "Simulator", MachineAsSimulator)


def test_a_host_step_that_fails_is_one_line_with_its_operator(tmp_path, capsys, no_rtl):
    path = gather(tmp_path / "net.tflite")
    np.savez(tmp_path / "input.npz", x=np.arange(8, dtype=np.int8).reshape(4, 2), at=np.array([4, 0], np.int32))
    for more in ((), ("--no-reference",)):
        line = refused(capsys, "run", path, "--input", tmp_path / "input.npz", *more)
        assert (
            "layer gather_0 (y): the host cannot run it" in line and "out of bounds. Node number 0 (GATHER) failed to invoke; give" in line
        )
    assert main(["run", str(path), "-q", "--seed", "1"]) == 0  # random places lie inside


def test_an_operator_of_which_the_interpreter_dies_is_named(tmp_path):
    submodel = SubModel(flat_softmax(tmp_path / "net.tflite").read_bytes(), ("x",), ("y",), ("relu_0", "softmax_0", "relu_1"))
    with HostProcess([submodel], "net.tflite") as host, pytest.raises(WeftError, match=r"net.tflite: layer softmax_0: .*fails: SIGABRT"):
        host.run(0, [np.zeros((1, 900), np.int8)])


def test_a_custom_operator_that_the_interpreter_does_not_know_is_named(tmp_path):
    tensors = [BuilderTensor(name, (1, 4), scale=0.1) for name in "xay"]
    model = build_model(tensors, [BuilderOperator("RELU", ("x",), ("a",)), BuilderOperator("CUSTOM:mine", ("a",), ("y",))], ["x"], ["y"])
    with (
        pytest.raises(WeftError, match=r"layer custom_0: .*unresolved custom op: mine"),
        HostProcess([SubModel(model, ("x",), ("y",), ("relu_0", "custom_0"))], "net.tflite"),
    ):
        pass


def test_a_file_with_a_custom_operator_that_the_interpreter_does_not_know_names_its_layer(tmp_path, capsys, no_rtl):
    tensors = [BuilderTensor(name, (1, 4), scale=0.1) for name in "xay"]
    model = tmp_path / "net.tflite"
    operators = [BuilderOperator("RELU", ("x",), ("a",)), BuilderOperator("CUSTOM:mine", ("a",), ("y",))]
    model.write_bytes(build_model(tensors, operators, ["x"], ["y"]))
    for command in (("run", model, "--seed", "1"), ("compile", model, "-o", tmp_path / "image")):
        line = refused(capsys, *command)
        assert "layer custom:mine_0 (y): " in line and "unresolved custom op: mine" in line and "end the network before it" in line


def test_a_file_that_the_interpreter_cannot_run_is_refused_with_the_reason(models, capsys, no_rtl, tmp_path):
    model = models / "tflm_keyword_svdf_int8.tflite"
    for command in (("run", model, "--seed", "1"), ("compile", model, "-o", tmp_path / "image")):
        line = refused(capsys, *command)
        assert "layer svdf_" in line and "the reference interpreter 2.3.0 itself fails: SIG" in line


def test_no_host_refuses_with_all_findings(tmp_path, capsys):
    path = gather(tmp_path / "net.tflite")
    for command in (("run", path), ("compile", path, "-o", tmp_path / "image")):
        assert "layer gather_0 (y): GATHER: " in refused(capsys, *command, "--no-host")
