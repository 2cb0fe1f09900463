"""What is read out of nextpnr's report and log, and out of Amaranth's script."""

import pytest

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.soc.boards.ulx3s import Ulx3sTop
from tests.unit.test_cli import refused
from weft.board_build import commands
from weft.board_report import kind_of, place_of, read_path, read_report, refusal

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
        Ulx3sTop(NpuConfig(), clock_mhz=clock)


def test_an_unknown_board_is_one_line(capsys):
    assert refused(capsys, "synth", "--board", "abacus") == "weft: error: no board is called 'abacus'; the boards are ulx3s-85f"


def test_a_board_takes_no_blocks(capsys):
    assert "leave out blocks and --library" in refused(capsys, "synth", "array", "--board", "ulx3s-85f")


def test_a_clock_that_the_board_cannot_make_is_one_line(capsys):
    assert "the board's PLL makes multiples of 5" in refused(capsys, "synth", "--board", "ulx3s-85f", "--clock", "101")
