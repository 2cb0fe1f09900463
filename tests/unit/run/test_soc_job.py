"""A run in a SoC up to its report: terminal, JSON, page; the simulator's place is taken by made-up counts around the golden machine."""

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import weft.run.soc
from golden.machine import Machine
from hw.npu.interface.isa import Error
from hw.soc.registers import MASTERS
from sim.job import Log, Waited
from sim.npu_job import RECORD_DTYPE, RunResult
from sim.scenario import Scenario, display_of, load_scenario
from sim.soc_run import SocRun
from sim.soc_traffic import FAULT, STATISTICS, Traffic, Video
from weft.cli.main import main
from weft.report.tables import print_report

ROOT = Path(__file__).parents[3]
DIGITS = ROOT / "examples" / "digits" / "digits.tflite"
SCENARIOS = ROOT / "examples" / "scenarios"
FAULTS = np.array([(2, 3000, 7), (3, 9000, 1)], FAULT)


def made_up_traffic():
    """8000 cycles from cycle 2000 on: the display reads 4096 bytes in 16 bursts, the NPU reads and writes."""
    bins, histograms = np.zeros((8, 2, len(MASTERS)), np.int64), [[np.array([], np.int64)] * len(MASTERS) for _ in range(2)]
    bins[:, 0, 1], bins[:, 0, 3], bins[:, 1, 3] = 512, 2048, 256
    display, npu, writes = np.zeros(401, np.int64), np.zeros(101, np.int64), np.zeros(31, np.int64)
    display[[40, 400]], npu[100], writes[30] = (15, 1), 64, 8
    histograms[0][1], histograms[0][3], histograms[1][3] = display, npu, writes
    statistics = dict.fromkeys(STATISTICS, 0) | {"clocks": 16000, "busy": 4000, "pending": 5000}
    nothing = Video(0, np.array([], FAULT), np.array([], "<u8"))
    return Traffic(8000, 10000, statistics, bins.sum(axis=0), bins, 1024, histograms, nothing, Video(3, FAULTS, np.array([], "<u8")))


class MachineAsSoc:
    """The golden machine: an inference alone in 10 cycles a command, two under traffic in 12 and 15."""

    spoil, error = False, Error.NONE

    def __init__(self, config, options, *, stage):
        self.config = config

    def run(self, program, inputs, scenario, *, log=Log.DIGEST, trace=None):
        """As `sim.soc_run.SocSimulator.run`."""
        return SocRun(self._one(program, inputs, 10), tuple(self._one(program, inputs, n, self.spoil) for n in (15, 12)), made_up_traffic())

    def _one(self, program, inputs, each, spoil=False):
        result = Machine(program).run(inputs, writes=True)
        outputs = {name: value ^ int(spoil) for name, value in result.outputs.items()}
        count = len(program.commands)
        records = np.zeros(count, RECORD_DTYPE)
        records["start"] = each * np.arange(count)
        records["end"] = records["start"] + each
        waited = Waited(True, each * count, int(spoil), np.array([]), np.array([]))
        run = RunResult(each * count, self.error, 7, outputs, np.zeros(4, np.uint8), records, waited, ())
        object.__setattr__(run, "writes", lambda: result.writes)
        return run


@pytest.fixture(autouse=True)
def no_rtl(monkeypatch):
    monkeypatch.setattr(weft.run.soc, "SocSimulator", MachineAsSoc)


def test_the_report_says_what_sharing_cost(capsys, tmp_path):
    report, page = tmp_path / "out.json", tmp_path / "out.html"
    options = ["--display", "1920x1080@60", "--fps", "1000000", "--report", str(report), "--html", str(page)]
    assert main(["run", str(DIGITS), "--seed", "0", *options]) == 0
    out, content = capsys.readouterr().out, json.loads(report.read_text())
    soc = content["soc"]
    assert (soc["overflows"], soc["underruns"], soc["ddr_efficiency"], soc["ddr_utilization"]) == (0, 8, 0.8, 0.25)
    assert soc["faults"]["display"] == [{"picture": 2, "us": 1.25, "beats": 7}, {"picture": 3, "us": 8.75, "beats": 1}]
    assert soc["cycles_alone"] * 3 == content["cycles"] * 2, "15 cycles a command in the slower of two, 10 alone"
    assert soc["fps"] == pytest.approx(8e8 / content["cycles"]) and soc["fps_holds"] is (8e8 / content["cycles"] >= 1e6)
    display, npu = soc["masters"]
    # 8000 cycles of 1.25 ns are 10 us: 4096 bytes are 0.4096 GB/s
    assert display | {"read_latency": 0, "write_latency": 0, "latency_histogram": 0, "bandwidth_gbs": 0} == {
        "name": "display",
        "klass": 0,
        "bytes": 4096,
        "read_bytes": 4096,
        "written_bytes": 0,
        "bandwidth_gbs": 0,
        "latency_p50": 40,
        "latency_p99": 400,
        "latency_max": 400,
        "read_latency": 0,
        "write_latency": 0,
        "latency_histogram": 0,
    }
    assert display["bandwidth_gbs"] == pytest.approx(0.4096) and npu["bandwidth_gbs"] == pytest.approx(8 * 2304 / 1e4)
    assert display["latency_histogram"] == [[64, 15], [128, 0], [256, 0], [512, 1]]
    assert (npu["latency_p50"], npu["write_latency"]["max"]) == (100, 30)
    assert len(soc["bandwidth"]["us"]) == 8 and soc["bandwidth"]["us"][1] == pytest.approx(1.28)
    for layer in content["layers"]:
        assert layer["cycles_alone"] * 3 == layer["cycles"] * 2
    for words in ("slower %", "50.0", "underruns 8 beats", "picture 2, from 1.2 us on: 7 beats lost", "+50.0 %", "GB/s over us"):
        assert words in out, words
    assert "bandwidth over time" in page.read_text() and "underruns 8 beats" in page.read_text()


def test_a_wrong_byte_under_traffic_is_found_and_named(monkeypatch, capsys):
    monkeypatch.setattr(MachineAsSoc, "spoil", True)
    assert main(["run", str(DIGITS), "--seed", "0", "--cpu", "0.5"]) == 1
    captured = capsys.readouterr()
    assert "bit-exact    NO" in captured.out and "weft: the RTL is at fault" in captured.err


def test_a_starved_npu_is_the_scenarios_fault(monkeypatch, capsys):
    monkeypatch.setattr(MachineAsSoc, "error", Error.TIMEOUT)
    assert main(["run", str(DIGITS), "--seed", "0", "--cpu", "0.5"]) == 2
    assert "the NPU was starved: inference 1 under traffic stopped with TIMEOUT at command 7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fps", "30"], "--fps is for a run in a SoC; add --soc"),
        (["--frames", "3"], "--frames is for a run in a SoC"),
        (["--html", "x.html"], "--html is for a run in a SoC"),
        (["--cpu", "0.5", "--steps", "3"], "--steps is for a run outside of a SoC"),
        (["--camera", "hd"], "'hd' is no video mode"),
        (["--ddr", "ddr9"], "no DRAM named 'ddr9'"),
        (["--soc", "none.toml"], "none.toml: no such scenario"),
        (["--camera", "1920x1080@60", "--set", "camera_fifo=3"], "camera_fifo = 3 must be from"),
        (["--camera", "1920x1080@60", "--clock", "3"], "the bus is too slow for it"),
        (["--cpu", "1000"], "cpu.gbs = 1000 asks for more than one burst a cycle"),
    ],
)
def test_mistakes_are_one_line(options, words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(DIGITS), "--seed", "0", *options]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("weft: compiling")]
    assert len(lines) == 1 and words in lines[0]


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_scenarios(path, capsys):
    assert load_scenario(path).display == display_of("1920x1080@60", **({} if path.stem == "full_hd" else {"klass": 2, "watermark": 0}))
    assert main(["run", str(DIGITS), "--seed", "0", "--soc", str(path)]) == 0


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_masters_fit_the_terminal(width, capsys):
    job = weft.run.soc.run_on_soc(DIGITS, weft.cli.run.load_soc_config("small"), Scenario(display=display_of("1920x1080@60")), seed=0)
    console = Console(width=width, force_terminal=False)
    print_report(job.report, console)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= max(width, 78), "the table of the masters has 78 columns"
