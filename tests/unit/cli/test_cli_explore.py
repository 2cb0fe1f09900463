"""``weft explore`` on the command line: what it prints, writes and refuses. The golden machine stands in for the RTL."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import weft.explore.sweep
import weft.run.network
from tests.unit.cli.test_cli import DIGITS, MachineAsSimulator, refused
from weft.cli.main import main

SWEEP = ("explore", str(DIGITS), "--rows", "4,8", "--cols", "8", "--jobs", "1", "--quiet")


@pytest.fixture
def no_rtl(monkeypatch):
    """The golden machine in the simulator's place."""
    monkeypatch.setattr(weft.run.network, "Simulator", MachineAsSimulator)


def test_help_names_the_options(capsys):
    assert main(["explore", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    swept = "--rows --cols --act-kib --weight-kib --axi-bits --lane-divisor --accumulator-bits --int4"
    others = "MODEL --config --set --clock --fps --csv --html --verify --jobs --quiet"
    assert [name for name in [*swept.split(), *others.split()] if name not in text] == []


def test_a_sweep_prints_and_writes(capsys, tmp_path):
    files = tmp_path / "new" / "out.csv", tmp_path / "new" / "out.html"
    assert main([*SWEEP, "--clock", "100", "--fps", "5000", "--csv", str(files[0]), "--html", str(files[1])]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    with files[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["config"] for row in rows] == ["4x8", "8x8"]
    for row in rows:
        assert f"{row['config']}" in captured.out and row["cycles"] in captured.out
    assert "digits at 100 MHz" in captured.out
    assert "5000 frames/s at 100 MHz" in captured.out
    assert "latency in ms against area" in captured.out
    assert files[1].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_configuration_that_does_not_work_is_no_failure(capsys):
    assert main([*SWEEP, "--accumulator-bits", "20,32", "--no-host"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "4x8+accumulator_bits=20: layer conv2d_1 (down): its sums need 21 bits" in out
    assert "front: 2 of 2 configurations" in out
    assert main([*SWEEP, "--accumulator-bits", "20,32"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "4x8+accumulator_bits=20: on the host: layer conv2d_1 (down): its sums need 21 bits" in out


def test_mistakes_are_one_line(capsys, tmp_path):
    for arguments, words in (
        (["explore"], "MODEL"),
        ([*SWEEP, "--accumulator-bits", "20", "--no-host"], "none of 2 configurations works: layer conv2d_1 (down): its sums need 21 bits"),
        ([*SWEEP, "--axi-bits", "sixty"], "--axi-bits sixty: 'sixty' is not a whole number"),
        ([*SWEEP, "--int4", "maybe"], "--int4 maybe: it is off, on, both"),
        ([*SWEEP, "--int4", "on", "--set", "int4=true"], "--int4 on and --set int4: both choose it"),
        ([*SWEEP, "--set", "rows=8"], "--rows 4,8 and --set rows: both choose it"),
        ([*SWEEP, "--verify", "16x16"], "--verify 16x16: no configuration of the sweep is called that"),
        ([*SWEEP, "--verify", "0"], "--verify 0"),
        ([*SWEEP, str(DIGITS)], "two networks are called alike: digits, digits"),
        ([*SWEEP, "--csv", tmp_path], "is a folder"),
        ([*SWEEP, "--html", tmp_path], "is a folder"),
        ([*SWEEP, "--config", "huge"], "huge"),
        ([*SWEEP, "--fps", "0"], "--fps"),
        ([*SWEEP, "--jobs", "0"], "--jobs"),
        (["explore", tmp_path / "absent.tflite"], "absent.tflite"),
    ):
        assert words in refused(capsys, *arguments), arguments


def test_a_mistake_shows_before_the_sweep(capsys, monkeypatch):
    monkeypatch.setattr(weft.explore.sweep, "run_tasks", lambda *arguments: pytest.fail("it worked first"))
    assert "--verify 5x5" in refused(capsys, *SWEEP, "--verify", "5x5")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "the C++ compiler g++ is missing" in refused(capsys, *SWEEP, "--verify", "best")


def test_verify_prints_the_rtl_beside_the_model(no_rtl, capsys):
    assert main([*SWEEP, "--verify", "4x8,8x8"]) == 0
    table = capsys.readouterr().out.split("on RTL")[1]
    rows = [line.split() for line in table.splitlines() if "digits" in line]
    assert [(row[0], row[1], row[5]) for row in rows] == [("4x8", "digits", "yes"), ("8x8", "digits", "yes")]
    for _, _, rtl, model, error, _ in rows:
        assert float(error) == pytest.approx(100 * (int(model) - int(rtl)) / int(rtl), abs=0.005)


def test_a_difference_on_the_rtl_is_exit_code_1(no_rtl, capsys, monkeypatch):
    monkeypatch.setattr(MachineAsSimulator, "spoil", True)
    assert main([*SWEEP, "--verify", "1"]) == 1
    captured = capsys.readouterr()
    assert captured.out.split()[-1] == "NO"
    assert "weft: " in captured.err and "the RTL is at fault" in captured.err


@pytest.mark.parametrize("seconds", [0, 1], ids=["while they start", "while they work"])
def test_ctrl_c_ends_the_workers_too(seconds):
    values = ",".join(map(str, range(16, 2064)))  # as many as it takes, far more than are swept in a second
    # a test run in the background may have been told to ignore the signal, and its children with it
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from weft.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "explore", str(DIGITS), "--rows", "4", "--cols", "4,8", "--act-kib", values, "--jobs", "2"]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, start_new_session=True) as process:
        assert process.stderr.readline() == "weft: sweeping 4096 configurations ...\n"
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody
        out, errors = process.communicate(timeout=180)
    assert (process.returncode, out, errors) == (130, "", "weft: error: interrupted\n")
    deadline = time.monotonic() + 20
    while anybody(process.pid) and time.monotonic() < deadline:  # multiprocessing's tracker ends when it notices
        time.sleep(0.1)
    assert not anybody(process.pid)


def anybody(group):
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
