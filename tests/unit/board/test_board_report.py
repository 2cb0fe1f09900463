"""What is read out of nextpnr's report and log, and out of Amaranth's script."""

import json
import re

import pytest
from amaranth.back import rtlil
from amaranth.lib.wiring import In, Out, Signature

from hw.npu.config import FPGA_REGISTERS, NpuConfig
from hw.npu.errors import WeftError
from hw.npu.npu import Npu
from hw.soc.boards.ecp5 import Ecp5Top
from hw.soc.boards.serial_shell import SerialShell
from hw.soc.boards.ulx3s import PINS
from hw.soc.config import load_soc_config
from hw.soc.soc import Soc
from tests.unit.cli.test_cli import refused
from weft.board import build as board_build
from weft.board.build import BoardBuild, commands
from weft.board.report import kind_of, place_of, read_path, read_report, refusal
from weft.cli.main import main

STEPS = [
    {"type": "clk-to-q", "delay": 0.5, "from": {"cell": "shell.npu.core.load.walker.number_TRELLIS_FF_Q"}, "to": {"cell": "a"}},
    {"type": "routing", "delay": 1.25, "from": {"cell": "a"}, "to": {"cell": "shell.npu.core.load.sum_CCU2C_S0"}},
    {"type": "logic", "delay": 0.75, "from": {"cell": "shell.npu.core.load.sum_CCU2C_S0"}, "to": {"cell": "b"}},
    {"type": "routing", "delay": 2.0, "from": {"cell": "b"}, "to": {"cell": "c"}},
    {"type": "logic", "delay": 0.25, "from": {"cell": "c_LUT4_Z"}, "to": {"cell": "d"}},
    {"type": "setup", "delay": 0.25, "from": {"cell": "d"}, "to": {"cell": "shell.npu.core.load.beat_TRELLIS_FF_Q_3"}},
]
REPORT = {
    "utilization": {
        "TRELLIS_COMB": {"used": 41, "available": 83640},
        "TRELLIS_FF": {"used": 16, "available": 83640},
        "TRELLIS_RAMW": {"used": 5, "available": 10455},
        "DP16KD": {"used": 100, "available": 208},
        "MULT18X18D": {"used": 98, "available": 156},
        "DCCA": {"used": 1, "available": 56},
    },
    "fmax": {"$glbnet$clk": {"achieved": 80.0, "constraint": 100.0}, "$glbnet$other": {"achieved": 20.0, "constraint": 12.0}},
    "critical_paths": [
        {"from": "<async>", "to": "posedge $glbnet$clk", "path": []},
        {"from": "posedge $glbnet$clk", "to": "posedge $glbnet$clk", "path": STEPS},
    ],
}


def test_a_report_gives_resources_clock_and_its_path():
    found = read_report(REPORT, domain="clk")
    assert found.resources["multiplier 18x18"] == (98, 156)
    assert found.resources["block RAM, 18 Kbit"] == (100, 208)
    assert found.clock_mhz == 80.0
    assert found.path.ns == pytest.approx(5.0)
    assert found.to_json()["critical_path"]["routing_ns"] == 3.25


def test_a_path_in_words_says_where_it_leads_and_what_it_is_spent_on():
    words = read_path(STEPS).words
    assert words == "from load.walker.number to load.beat: 5.0 ns, 1.8 ns in cells, 3.2 ns between them; through 1 carry, 1 LUT"


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("shell.npu.core.a_MULT18X18D_P0", "multiplier"),
        ("shell.npu.core.a_CCU2C_S0_1$CCU2_COMB0", "carry"),
        ("shell.npu.core.a_L6MUX21_Z", "wide multiplexer"),
        ("shell.npu.core.a_LUT4_Z", "LUT"),
    ],
)
def test_a_cell_is_called_what_it_is(cell, kind):
    assert kind_of(cell) == kind


def test_a_place_is_called_as_in_the_rtl():
    assert place_of("shell.npu.core.execute.feeder.reader.since_TRELLIS_FF_Q_1") == "execute.feeder.reader.since"


def test_a_place_in_a_soc_says_which_block_it_is_in():
    assert place_of("shell.soc.camera.runs.level_TRELLIS_FF_Q") == "camera.runs.level"
    assert place_of("shell.soc.npu.core.load.beat_TRELLIS_FF_Q_3") == "npu.load.beat"


def test_what_does_not_fit_is_named():
    log = "Info: \t          MULT18X18D:     290/    156   185%\nERROR: Unable to place cell 'x', no BELs remaining of type 'MULT18X18D'\n"
    assert refusal(log) == "does not fit: it needs 290 of multiplier 18x18, the part has 156"
    assert refusal("ERROR: no such pin\n") == "no such pin"
    assert refusal("Info: well\n") is None


def test_the_tools_of_a_script_keep_their_order():
    script = 'set -e\n: ${YOSYS:=yosys}\n"$YOSYS" -q -l a.rpt a.ys\n"$NEXTPNR_ECP5" --log "a b"\n"$ECPPACK" --bit a.bit\n'
    assert commands(script) == [
        ("YOSYS", ["-q", "-l", "a.rpt", "a.ys"]),
        ("NEXTPNR_ECP5", ["--log", "a b"]),
        ("ECPPACK", ["--bit", "a.bit"]),
    ]


@pytest.mark.parametrize("clock", [5, 102, 405])
def test_a_clock_that_the_pll_cannot_make_is_refused(clock):
    with pytest.raises(WeftError, match="multiples of 5 from 10 to 400 MHz"):
        Ecp5Top(Npu(NpuConfig()).signature, module="npu", clock_mhz=clock, **PINS)


def test_an_unknown_board_is_one_line(capsys):
    assert refused(capsys, "synth", "--board", "abacus") == "weft: error: no board is called 'abacus'; the boards are ulx3s-85f, ecpix5-85f"


def test_a_board_takes_no_blocks(capsys):
    assert "leave out blocks, --library and --power" in refused(capsys, "synth", "array", "--board", "ulx3s-85f")


def test_a_clock_that_the_board_cannot_make_is_one_line(capsys):
    assert "the board's PLL makes multiples of 5" in refused(capsys, "synth", "--board", "ulx3s-85f", "--clock", "101")


def test_a_shell_connects_every_port_of_the_design_it_is_given():
    text = rtlil.convert(SerialShell(Signature({"a": In(3), "b": In(1), "y": Out(2)}), module="design"))
    instance = re.search(r"cell \\design \\design\n(.*?)\n +end", text, re.DOTALL)
    assert instance and set(re.findall(r"connect \\(\w+)", instance[1])) == {"clk", "rst", "a", "b", "y"}


def test_ports_of_a_soc_are_plain_bits():
    members = Soc(load_soc_config("nano", bus_bits=64)).signature.members
    assert all(isinstance(member.shape, int) for member in members.values()) and members["m_axi_wdata"].shape == 64


@pytest.fixture
def built(monkeypatch):
    """The configurations that were to be built, instead of building them."""
    configs = []

    def build(config, board, folder, *, clock_mhz, seed, stage):
        configs.append(config)
        return BoardBuild(board, config, clock_mhz, seed, read_report(REPORT, domain="clk"))

    monkeypatch.setattr(board_build, "build", build)
    return configs


def test_a_soc_is_built_on_64_bits_with_the_sizes_that_are_set(built, capsys, tmp_path):
    sizes = ["--set", "camera_fifo=256", "--set", "lane_divisor=4"]
    assert main(["synth", "--board", "ulx3s-85f", "--soc", *sizes, "--report", str(tmp_path / "r.json"), "-q"]) == 0
    (config,) = built
    assert (config.npu.axi_bits, config.camera_fifo, config.npu.lane_divisor) == (64, 256, 4)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"SoC on a bus of 64 bits with {config.name} on ulx3s-85f: 8x8, 2 output lanes"
    assert lines[1].endswith("npu gates 8 KiB, cpu gates 8 KiB, camera fifo 2 KiB, display fifo 8 KiB")
    found = json.loads((tmp_path / "r.json").read_text())
    memories = found["memory_bytes"]
    assert (memories["npu_gates"], memories["cpu_gates"], memories["camera_fifo"], memories["display_fifo"]) == (8192, 8192, 2048, 8192)
    assert (found["config"]["soc"]["axi_bits"], found["config"]["soc"]["camera_fifo"], found["config"]["rows"]) == (64, 256, 8)


def test_a_width_of_the_bus_that_is_set_is_taken_on_a_board(built, capsys):
    assert main(["synth", "--board", "ulx3s-85f", "--soc", "--set", "axi_bits=128", "-q"]) == 0
    assert built[0].npu.axi_bits == 128


def test_without_soc_it_is_the_npu_alone(built, capsys, tmp_path):
    assert main(["synth", "--board", "ulx3s-85f", "--report", str(tmp_path / "r.json"), "-q"]) == 0
    assert all(getattr(built[0], field) == 1 for field in FPGA_REGISTERS)
    assert isinstance(built[0], NpuConfig) and capsys.readouterr().out.startswith("nano on ulx3s-85f: 8x8")
    found = json.loads((tmp_path / "r.json").read_text())
    assert set(found["memory_bytes"]) == {"activations", "weights", "accumulators"} and "soc" not in found["config"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--soc"], "--soc is for a build on a board; add --board NAME"),
        (["array", "--soc", "--board", "ulx3s-85f"], "builds the whole SoC on an FPGA; leave out blocks, --library and --power"),
        (["--soc", "--board", "ulx3s-85f", "--set", "camera_fifo=8"], "camera_fifo = 8 must be from 16 to 4096"),
        (["--board", "ulx3s-85f", "--set", "camera_fifo=64"], "camera_fifo"),
        (["--soc", "--board", "abacus"], "no board is called 'abacus'"),
        (["--soc", "--board", "ulx3s-85f", "--clock", "101"], "the board's PLL makes multiples of 5"),
    ],
)
def test_a_mistake_in_building_a_soc_is_one_line(capsys, arguments, says):
    assert says in refused(capsys, "synth", *arguments)
