"""The command line: what it prints, writes and refuses. The golden machine stands in for the RTL."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import weft.compiler.driver
import weft.compiler.lower
import weft.run.job
import weft.run.network
import weft.run.soc
from golden.machine import Machine, MachineError
from hw.npu.interface.isa import Error, unpack_stream
from sim.job import BenchError
from sim.npu_job import RECORD_DTYPE
from weft import __version__
from weft.cli import networks
from weft.cli.main import _raise_lost_interrupts, main
from weft.cli.options import FAULT, FIELDS
from weft.compiler.frontends.tflite_file import load_bytes

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits.tflite"
TEST_IMAGES = DIGITS.with_name("digits_test.npz")


class MachineAsSimulator:
    """Runs a program on the golden machine; every command takes ten cycles."""

    spoil = False

    def __init__(self, config, options, *, stage):
        pass

    def run_all(self, program, inputs, **options):
        """As `sim.run.Simulator.run_all`."""
        machine = Machine(program)
        return [self._run(program, machine, values) for values in inputs]

    def _run(self, program, machine, inputs):
        result = machine.run(inputs, writes=True)
        if self.spoil:
            place = program.outputs[0]
            result.outputs[place.tensor] = result.outputs[place.tensor] ^ 1
        count = len(program.commands)
        records = np.zeros(count, RECORD_DTYPE)
        records["start"] = 10 * np.arange(count)
        records["end"] = records["start"] + 10
        left = {"outputs": result.outputs, "states": result.states}
        return SimpleNamespace(cycles=10 * count, error=Error.NONE, **left, records=records, writes=lambda: result.writes)


@pytest.fixture
def no_rtl(monkeypatch):
    """The golden machine in the simulator's place."""
    monkeypatch.setattr(weft.run.network, "Simulator", MachineAsSimulator)


def refused(capsys, *arguments):
    """The one line that an error prints."""
    assert main(list(map(str, arguments))) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if not re.search(r"\.\.\.$|: \d+ s$", line)]  # progress
    assert len(lines) == 1
    assert lines[0].startswith("weft: error: ")
    return lines[0]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"weft {__version__}\n"


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("", ["generate", "compile", "run", "--version", "Exit code"]),
        ("generate", ["--output", "-o", "--config", "--set", "--soc", "--quiet", FIELDS, "camera_fifo"]),
        ("synth", ["BLOCK", "--library", "--board", "--soc", "--clock", "--seed", "--output", "--report", "64 bits", "camera_fifo"]),
        ("compile", ["MODEL", "--output", "-o", "--config", "--set", "--disassemble", "--keep-tensors", "--quiet"]),
        (
            "run",
            [
                "MODEL",
                "--config",
                "--set",
                "--input",
                "--sample",
                "--report",
                "--trace",
                "--keep-tensors",
                "--seed",
                "--clock",
                "--quiet",
                "--soc",
                "--camera",
                "--display",
                "--cpu",
                "--ddr",
                "--fps",
                "--frames",
                "--html",
                "--no-reference",
            ],
        ),
    ],
)
def test_help_names_the_options(capsys, command, names):
    assert main([*command.split(), "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith(f"Usage: weft {command}".strip())
    assert [name for name in names if name not in text] == []


def test_run_prints_and_writes_the_report(no_rtl, capsys, tmp_path):
    report = tmp_path / "new" / "out.json"
    assert main(["run", str(DIGITS), "--input", str(TEST_IMAGES), "--sample", "3", "--report", str(report)]) == 0
    out = capsys.readouterr().out
    assert "conv2d_0" in out
    assert "sample 3 of 359" in out
    content = json.loads(report.read_text())
    assert content.keys() >= {"network", "config", "bit_exact", "cycles", "macs", "utilization", "host_ops", "layers"}
    keys = {"name", "op", "macs", "cycles", "utilization", "stalls", "ddr_bytes", "energy_uj", "power_mw"}
    assert all(layer.keys() >= keys for layer in content["layers"])
    assert content["bit_exact"] is True
    assert content["host_ops"] == []
    assert content["cycles"] == sum(layer["cycles"] for layer in content["layers"])


def test_random_input_is_repeatable_from_the_printed_seed(no_rtl, capsys):
    assert main(["run", str(DIGITS)]) == 0
    seed = capsys.readouterr().out.split("--seed ")[1].split()[0]
    assert main(["run", str(DIGITS), "--seed", seed]) == 0
    assert f"random, --seed {seed}" in capsys.readouterr().out


def test_a_difference_is_named_and_exit_code_1(no_rtl, capsys, monkeypatch):
    monkeypatch.setattr(MachineAsSimulator, "spoil", True)
    assert main(["run", str(DIGITS), "--seed", "0"]) == 1
    captured = capsys.readouterr()
    assert "bit-exact    NO" in captured.out
    assert "weft: the RTL is at fault" in captured.err
    assert "in DDR" in captured.err


def test_compile_writes_the_image_and_lists_the_commands(capsys, tmp_path):
    assert main(["compile", str(DIGITS), "-o", str(tmp_path / "model"), "--disassemble", "--keep-tensors"]) == 0
    out = capsys.readouterr().out
    assert "MATMUL" in out
    assert "SOFTMAX" in out
    layout = json.loads((tmp_path / "model" / "map.json").read_text())
    assert layout["network"] == "digits"
    commands, code = unpack_stream((tmp_path / "model" / "commands.bin").read_bytes())
    assert (code, len(commands)) == (Error.NONE, len(layout["commands"]))
    assert layout["host_before"] == layout["host_after"] == []
    assert (layout["outputs"][0]["scale"], layout["outputs"][0]["zero_point"]) == (1 / 256, -128)
    assert layout["network_outputs"][0].items() <= layout["outputs"][0].items()
    assert layout["network_inputs"][0].items() <= layout["inputs"][0].items()


def test_mistakes_are_one_line(no_rtl, capsys, tmp_path):
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(DIGITS.read_bytes()[:5000])
    bad = tmp_path / "bad.npy"
    np.save(bad, np.zeros((3, 3), np.int8))
    file = tmp_path / "file"
    file.write_text("")
    toml = tmp_path / "own.toml"
    toml.write_text("colls = 8")
    for arguments, words in (
        ([], "no command"),
        (["nonsense"], "nonsense"),
        (["run"], "MODEL"),
        (["run", DIGITS, "--nonsense"], "--nonsense"),
        (["run", DIGITS, "--config", "huge"], "huge"),
        (["run", DIGITS, "--set", "rows=5"], "rows = 5"),
        (["run", DIGITS, "--set", "rows"], "FIELD=VALUE"),
        (["run", DIGITS, "--set", "rws=8"], "rws"),
        (["run", tmp_path / "absent.tflite"], "absent.tflite"),
        (["run", cut], "cut.tflite"),
        (["run", file], "file"),
        (["run", DIGITS, "--input", tmp_path / "absent.npy"], "absent.npy"),
        (["run", DIGITS, "--input", bad], "(3, 3)"),
        (["run", DIGITS, "--input", TEST_IMAGES, "--sample", "359"], "359"),
        (["run", DIGITS, "--input", TEST_IMAGES, "--seed", "1"], "--seed"),
        (["run", DIGITS, "--trace", tmp_path / "x.txt"], ".fst or .vcd"),
        (["run", DIGITS, "--config", toml], "own.toml: unknown configuration field 'colls'"),
        (["run", DIGITS, "--clock", "inf"], "--clock"),
        (["run", DIGITS, "--report", tmp_path], "is a folder"),
        (["run", DIGITS, "--report", file / "out.json"], "the report cannot be written here"),
        (["run", DIGITS, "--trace", file / "x.vcd"], "the waveform cannot be written here"),
        (["run", tmp_path], "is not a regular file"),
        (["compile", DIGITS, "-o", file / "model"], "file"),
        (["generate", "-o", tmp_path], "is a folder"),
        (["generate", "-o", tmp_path / "x.v", "--set", "cols=3"], "cols = 3"),
        (["generate", "-o", tmp_path / "x.v", "--set", "camera_fifo=64"], "unknown configuration field 'camera_fifo'"),
        (["generate", "--soc", "-o", tmp_path / "x.v", "--set", "camera_fifo=8"], "camera_fifo = 8 must be from 16 to 4096"),
    ):
        assert words in refused(capsys, *arguments), arguments


def test_a_mistake_in_a_place_shows_before_the_work(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(weft.run.job, "read_source", lambda *arguments, **options: pytest.fail("it worked first"))
    assert "is a folder" in refused(capsys, "run", DIGITS, "--report", tmp_path)


@pytest.mark.parametrize("more", [[], ["--no-host"]])
def test_a_run_reads_its_file_once(no_rtl, monkeypatch, more):
    given = []
    monkeypatch.setattr("weft.compiler.frontends.tflite.load_bytes", lambda path: given.append(path) or load_bytes(path))
    assert main(["run", str(DIGITS), "--seed", "1", "--quiet", "--no-reference", *more]) == 0
    assert given == [DIGITS]


def test_a_missing_compiler_is_one_line(capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "the C++ compiler g++ is missing; install it" in refused(capsys, "run", DIGITS)


def test_an_interrupt_is_one_line(capsys, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(weft.run.job, "read_source", interrupt)
    assert main(["run", str(DIGITS), "--quiet"]) == 130
    assert capsys.readouterr().err == "weft: error: interrupted\n"


def test_what_the_bench_finds_is_one_line(capsys, monkeypatch):
    def find(*arguments, **options):
        raise BenchError("the display showed other bytes than lie in memory, in picture 1")

    monkeypatch.setattr(weft.run.job, "run_model", find)
    monkeypatch.setattr(weft.run.soc, "run_on_soc", find)
    for more in ([], ["--display", "1280x720@60"]):
        assert main(["run", str(DIGITS), "--quiet", *more]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "the display showed other bytes than lie in memory, in picture 1" in line and "fault of Weft" in line


def test_an_interrupt_that_nobody_could_raise_comes_again():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    shown = []
    try:
        _raise_lost_interrupts(shown.append)(SimpleNamespace(exc_type=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            time.sleep(5)
    finally:
        signal.signal(signal.SIGINT, before)
    _raise_lost_interrupts(shown.append)(SimpleNamespace(exc_type=ValueError))
    assert len(shown) == 1


def weft_process(*arguments, **options):
    """The command as a process of its own."""
    command = [sys.executable, "-c", "import sys; from weft.cli.main import main; sys.exit(main())", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3], **options)


def test_a_reader_that_stops_is_no_error(tmp_path):
    with weft_process("compile", DIGITS, "-o", tmp_path, "-q", "--disassemble", stdout=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == -signal.SIGPIPE


def test_a_full_disk_is_one_line(tmp_path):
    with Path("/dev/full").open("w") as full, weft_process("--help", stdout=full) as process:
        assert process.stderr.read() == "weft: error: No space left on device\n"
    assert process.returncode == 2


def test_any_name_is_printed_in_any_locale(tmp_path):
    model = tmp_path / "zahlen é.tflite"
    model.write_bytes(DIGITS.read_bytes())
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    with weft_process("compile", model, "-o", tmp_path / "é", stdout=subprocess.PIPE, env=plain) as process:
        out, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "commands" in out


@pytest.mark.parametrize(("arguments", "message"), [
    (["{folder}"], "{folder}: no .tflite file is here; name a folder of networks"),
    (["{folder}", "--config", "nope"], "no configuration named 'nope'"),
    (["{folder}", "--set", "rows=7"], "configuration field rows = 7 must be one of"),
])  # fmt: skip
def test_the_table_of_networks_refuses_a_mistake_in_one_line(capsys, tmp_path, arguments, message):
    with pytest.raises(SystemExit) as ended:
        networks.main([each.format(folder=tmp_path) for each in arguments])
    written = capsys.readouterr()
    assert ended.value.code == 2 and written.out == ""
    assert written.err.count("\n") == 1 and message.format(folder=tmp_path) in written.err


@pytest.mark.parametrize(("option", "field"), [("--rows", "rows"), ("--act-kib", "act_kib")])
def test_a_field_given_as_an_option_is_told_how_to_be_set(capsys, option, field):
    assert main(["run", str(DIGITS), option, "3"]) == 2
    assert f"No such option: {option}; {field} is a field of the configuration: --set {field}=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compile", "run"])
@pytest.mark.parametrize(
    "error", [AssertionError("command 7 waits for a later load"), MachineError(Error.ADDRESS, 3, "byte 9"), KeyError("x")]
)
def test_a_fault_of_weft_is_one_line_that_asks_for_the_file(monkeypatch, capsys, no_rtl, tmp_path, command, error):
    """No traceback, which the environment brings back for who mends it."""

    def fault(*arguments):
        raise error

    monkeypatch.setattr(weft.compiler.driver, "check_plan", fault)
    options = ["--output", str(tmp_path / "image")] if command == "compile" else []
    monkeypatch.delenv("WEFT_TRACEBACK", raising=False)
    assert main([command, str(DIGITS), *options, "--quiet"]) == FAULT
    (line,) = capsys.readouterr().err.splitlines()
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"
    origin = r"\(weft/compiler/driver.py:\d+\)"
    remedy = f"this is a fault of Weft, please report it with the file {DIGITS}"
    assert re.fullmatch(rf"weft: error: {re.escape(str(DIGITS))}: {re.escape(what)} {origin}; {re.escape(remedy)}", line)
    monkeypatch.setenv("WEFT_TRACEBACK", "1")
    assert main([command, str(DIGITS), *options, "--quiet"]) == FAULT
    assert "Traceback" in capsys.readouterr().err


def test_a_wrong_program_ends_in_one_line_on_the_command_line_too(monkeypatch, capsys, tmp_path):
    """A pass of the compiler that moves a transfer by one byte."""
    rows_of = weft.compiler.lower._rows
    monkeypatch.setattr(weft.compiler.lower, "_rows", lambda *place: {**rows_of(*place), "row_bytes": rows_of(*place)["row_bytes"] + 1})
    assert main(["compile", str(DIGITS), "--output", str(tmp_path / "image"), "--quiet"]) == FAULT
    (line,) = capsys.readouterr().err.splitlines()
    assert "what it names has" in line and "weft/compiler/bounds.py:" in line and not (tmp_path / "image" / "map.json").exists()
