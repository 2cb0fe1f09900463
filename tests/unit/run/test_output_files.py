"""A file that cannot be written after all costs the file, not the result: every command that writes one, on a disk that is full."""

import errno
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import typer

import sim.job
from hw.npu.errors import WeftError
from hw.npu.files import write_whole
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.board.test_board_report import REPORT
from tests.unit.cli.test_cli import DIGITS, MachineAsSimulator, weft_process
from tests.unit.run.test_soc_job import MachineAsSoc
from weft.board import build as board_build
from weft.board.build import BoardBuild
from weft.board.report import read_report
from weft.cli.main import app, main
from weft.run.outputs import show_then_write

FULL = "No space left on device"
RUN = ("run", DIGITS, "--seed", "1", "--no-reference", "-q")
SWEEP = ("explore", DIGITS, "--rows", "4", "--cols", "8", "--jobs", "1", "-q")
QUANTIZE = ("quantize", "{folder}/net.tflite", "--set", "rows=8", "--set", "cols=8", "-q")
WRITES = {
    ("compile", "--output"): (("compile", DIGITS, "-q", "-o", "{folder}/image"), "commands.bin", "cycles by the timing model"),
    ("explore", "--csv"): ((*SWEEP, "--csv", "{full}"), "", "front: 1 of 1 configurations"),
    ("explore", "--html"): ((*SWEEP, "--html", "{full}"), "", "front: 1 of 1 configurations"),
    ("generate", "--output"): (("generate", "-q", "-o", "{full}"), "", ""),
    ("quantize", "--output"): ((*QUANTIZE, "-o", "{full}"), "", "weights from int8 to int4"),
    ("quantize", "--report"): ((*QUANTIZE, "-o", "{folder}/new.tflite", "--report", "{full}"), "", "weights from int8 to int4"),
    ("run", "--html"): ((*RUN, "--cpu", "0.5", "--html", "{full}"), "", "bit-exact    yes"),
    ("run", "--report"): ((*RUN, "--report", "{full}"), "", "bit-exact    yes"),
    ("run", "--trace"): ((*RUN, "--trace", "{full}"), "", "bit-exact    yes"),
    ("synth", "--report"): (("synth", "--board", "ulx3s-85f", "-q", "--report", "{full}"), "", "limited by the path"),
    ("traffic", "--json"): (("traffic", DIGITS, "-q", "--json", "{full}"), "", "GB/s at 30 frames a second"),
}
"""For each command and option that writes: its arguments, which file of a folder is on the full disk, and words of its result."""
READS = {
    ("quantize", "--data"),
    ("run", "--input"),
    ("run", "--soc"),
    ("synth", "--pdk"),
    ("synth", "--output"),  # the board's tools write there themselves, before there is a result
}


class Tracing(MachineAsSimulator):
    """Begins a waveform as the simulator does."""

    def run_all(self, program, inputs, *, trace=None, **options):
        if trace:
            sim.job._check_trace(trace)
        return super().run_all(program, inputs, **options)


def network() -> bytes:
    """One small matrix."""
    tensors = [BuilderTensor("x", (1, 16), scale=1.0), BuilderTensor("w", (8, 16), scale=0.5, data=np.arange(128).reshape(8, 16) - 64)]
    operator = BuilderOperator("FULLY_CONNECTED", ("x", "w", None), ("y",))
    return build_model([*tensors, BuilderTensor("y", (1, 8), scale=50.0)], [operator], ["x"], ["y"])


@pytest.fixture
def machines(monkeypatch):
    """No simulator, no board, no emission."""
    monkeypatch.setattr("weft.run.network.Simulator", Tracing)
    monkeypatch.setattr("weft.run.soc.SocSimulator", MachineAsSoc)
    monkeypatch.setattr("hw.emit.verilog.npu_verilog", lambda config, stage: "module npu; endmodule\n")
    found = read_report(REPORT, domain="clk")
    monkeypatch.setattr(board_build, "build", lambda config, board, folder, **numbers: BoardBuild(board, config, 100, 1, found))


def test_every_option_that_names_a_file_is_known():
    options = {
        (name, parameter.opts[0])
        for name, command in typer.main.get_command(app).commands.items()
        for parameter in command.params
        if parameter.metavar in ("FILE", "FOLDER")
    }
    assert options == READS | set(WRITES)


@pytest.mark.parametrize(("command", "option"), WRITES)
def test_a_full_disk_costs_the_file_and_not_the_result(machines, command, option, tmp_path, capsys):
    arguments, inside, words = WRITES[command, option]
    (tmp_path / "net.tflite").write_bytes(network())
    (tmp_path / "image").mkdir()
    full = tmp_path / ("image/" + inside if inside else "out.vcd")
    full.symlink_to("/dev/full")
    assert main([str(argument).format(folder=tmp_path, full=full) for argument in arguments]) == 2
    written = capsys.readouterr()
    assert words in written.out
    (line,) = written.err.splitlines()
    assert line.startswith(f"weft: error: {full}: ") and line.endswith(f" cannot be written: {FULL}")


def test_a_second_file_is_written_where_the_first_cannot_be(machines, tmp_path, capsys):
    (tmp_path / "full.csv").symlink_to("/dev/full")
    page = tmp_path / "page.html"
    assert main([*map(str, SWEEP), "--csv", str(tmp_path / "full.csv"), "--html", str(page)]) == 2
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_reader_that_stops_does_not_cost_the_file(tmp_path):
    """And the process ends as one without files does."""
    report = tmp_path / "t.json"
    with weft_process("traffic", DIGITS, "-q", "--json", report, stdout=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == -signal.SIGPIPE
    assert report.read_text().endswith("}\n")


def test_a_full_standard_output_does_not_cost_the_file(tmp_path):
    report = tmp_path / "t.json"
    with Path("/dev/full").open("w") as full, weft_process("traffic", DIGITS, "-q", "--json", report, stdout=full) as process:
        assert process.stderr.read() == f"weft: error: {FULL}\n"
    assert process.returncode == 2 and report.read_text().endswith("}\n")


def test_what_stood_there_stays_until_the_new_file_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    path.write_text("old")
    path.chmod(0o640)

    def fail(self, target):
        raise OSError(errno.ENOSPC, FULL)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(WeftError, match=rf"^{path}: the report cannot be written: {FULL}$"):
            write_whole(path, "new", "the report")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["out.json"]
    write_whole(path, "new\r\n", "the report")
    assert path.read_bytes() == b"new\r\n" and path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path):
    link, target = tmp_path / "link", tmp_path / "folder" / "target"
    link.symlink_to(target)
    write_whole(link, "text", "it")
    assert link.is_symlink() and target.read_text() == "text"
    reading, writing = os.pipe()
    write_whole(f"/dev/fd/{writing}", b"bytes", "it")
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b"bytes"


def test_a_folder_that_became_a_file_is_named(tmp_path):
    (tmp_path / "folder").write_text("")
    with pytest.raises(WeftError, match=r"folder/out\.json: the page cannot be written: "):
        write_whole(tmp_path / "folder" / "out.json", "x", "the page")


def test_several_files_that_cannot_be_written_are_one_line(tmp_path):
    def fail(path):
        raise WeftError("cannot be written", file=path)

    shown = []
    with pytest.raises(WeftError, match=r"^a: cannot be written; b: cannot be written$"):
        show_then_write(lambda: shown.append(1), (Path("a"), fail), (None, fail), (Path("b"), fail))
    assert shown == [1]


def test_a_waveform_that_filled_its_disk_is_an_error(tmp_path, monkeypatch):
    assert not sim.job._is_full(tmp_path / "x.vcd")
    monkeypatch.setattr("os.statvfs", lambda path: os.statvfs_result((4096, 4096, 1000, 0, 0, 9, 9, 9, 0, 255)))
    assert sim.job._is_full(tmp_path / "x.vcd")
