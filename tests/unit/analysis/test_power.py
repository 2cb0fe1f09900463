"""Power at gates: a small library whose energies can be added up by hand, windows of a waveform, and the whole of an array of 4x4."""

import json

import numpy as np
import pytest

from hw.npu.errors import WeftError
from tests.unit.analysis.test_synthesis import library
from weft.analysis.power.cells import check_energies, read_power_cells
from weft.analysis.power.energies import enable_words, energies_of
from weft.analysis.power.figures import BlockPower, MemoryPower, Power
from weft.analysis.power.functions import compiled
from weft.analysis.power.gates import compute, disagreement, follow, levels, nets_of, put_registers
from weft.analysis.power.tree import FANOUT, clock_tree
from weft.analysis.power.waves import WINDOW, Windows, read_waves
from weft.analysis.synthesis.liberty import read_cells
from weft.analysis.synthesis.netlist import read_blif
from weft.cli.main import main

VOLTS = 2.0
LIBRARY = """
library (hand) {
  time_unit : "1ps"; voltage_unit : "1V"; capacitive_load_unit (1,ff); leakage_power_unit : "1nW"; nom_voltage : 2.0;
  power_lut_template (rows) { variable_1 : total_output_net_capacitance; index_1 ("0, 10"); }
  cell (INV) { area : 1; leakage_power () { value : 2; when : "A"; } leakage_power () { value : 4; when : "!A"; }
    pin (A) { direction : input; capacitance : 3; }
    pin (Y) { direction : output; function : "!A"; internal_power () { related_pin : "A";
      rise_power (rows) { values ("1, 11"); } fall_power (rows) { values ("3, 13"); } } } }
  cell (FLOP) { area : 3; cell_leakage_power : 10;
    ff (IQ,IQN) { clocked_on : "CK"; next_state : "D"; }
    pin (CK) { direction : input; clock : true; capacitance : 5;
      internal_power () { when : "D"; rise_power (scalar) { values ("7"); } fall_power (scalar) { values ("8"); } }
      internal_power () { when : "!D"; rise_power (scalar) { values ("1"); } fall_power (scalar) { values ("2"); } } }
    pin (D) { direction : input; capacitance : 1; }
    pin (QN) { direction : output; function : "IQN"; internal_power () { related_pin : "CK";
      rise_power (scalar) { values ("20"); } fall_power (scalar) { values ("40"); } } } }
  cell (GATE) { area : 4; clock_gating_integrated_cell : latch_posedge; cell_leakage_power : 0;
    pin (CK) { direction : input; clock : true; capacitance : 2;
      internal_power () { rise_power (scalar) { values ("6"); } fall_power (scalar) { values ("6"); } } }
    pin (E) { direction : input; capacitance : 1; }
    pin (G) { direction : output; internal_power () { related_pin : "CK";
      rise_power (scalar) { values ("30"); } fall_power (scalar) { values ("10"); } } } }
}
"""
"""Its energies are in fF V2 = fJ."""
BLIF = """
.model hand
.inputs clk enable
.outputs out
.gate GATE CK=clk E=enable G=gated
.cname gate
.gate FLOP CK=gated D=held_n QN=held_n
.cname held
.gate FLOP CK=clk D=$false QN=still_n
.cname still
.gate INV A=held_n Y=out
.cname inverter
.gate FLOP CK=clk D=out QN=late
.cname register
.end
"""
HALF = np.uint64(0x5555_5555_5555_5555)
"""A bit that is 1 in every second cycle."""


def hand(enable):
    """The netlist in a run in which `held` turns whenever it has a clock, and its parts as the functions take them."""
    netlist, cells = read_blif(BLIF), read_cells([LIBRARY])
    power, volts = read_power_cells([LIBRARY], set(cells))
    assert volts == VOLTS
    held, bit = 0, 0
    for cycle in range(WINDOW):
        held |= bit << cycle
        bit ^= int(enable) >> cycle & 1
    waves = {"enable": np.array([enable]), "held": np.array([held], np.uint64), "still": np.zeros(1, np.uint64)}
    nets = nets_of(netlist, power, 4e-15)
    unnamed = put_registers(nets, waves, cells, power, 1, 0.0)
    order = levels(nets, power)
    compute(nets, order, slews=True)
    follow(nets, unnamed, enable_words(nets, cells, power), cells, power)
    compute(nets, order, slews=False)
    return nets, waves, cells, power


def test_energies_are_those_that_can_be_added_up_by_hand():
    nets, waves, cells, power = hand(HALF)
    assert disagreement(nets, waves, enable_words(nets, cells, power), cells, power) == 0
    found = energies_of(nets, cells, power, VOLTS)
    names = [gate.name for gate in nets.netlist.gates]
    clock, internal, switching = (
        dict(zip(names, each[:, 0] * 1e15, strict=True)) for each in (found.clock, found.internal, found.switching)
    )
    # the clock gate spends 12 at its clock's pin and 2 fF x 4 V2, and 40 for each pulse that it lets through
    assert clock["gate"] == pytest.approx(12 + 8 + 40 / 2)
    # a flip-flop that never toggles spends at its clock alone: 3 while D is 0, and 5 fF x 4 V2
    assert clock["still"] == pytest.approx(3 + 20) and internal["still"] == switching["still"] == 0
    # one behind the gate has half the clocks; it was 0 and 1 in turn for two cycles each, and D was the other one
    assert clock["held"] == pytest.approx((15 + 3) / 2 / 2 + 20 / 2)
    toggles = WINDOW / 2 / (WINDOW - 1)
    # held_n has 1 fF of D and 3 fF of the inverter, out 1 fF of the last flip-flop and 4 fF of the port
    assert internal["held"] == pytest.approx(toggles * 30) and switching["held"] == pytest.approx(toggles * 4 * 4 / 2)
    assert internal["inverter"] == pytest.approx(toggles * (1 + 5 + 3 + 5) / 2)
    assert switching["inverter"] == pytest.approx(toggles * 5 * 4 / 2)
    assert list(found.leakage * 1e9) == pytest.approx([0, 10, 10, 3, 10])


def test_a_closed_clock_gate_leaves_its_flip_flops_nothing():
    nets, _, cells, power = hand(np.uint64(0))
    found = energies_of(nets, cells, power, VOLTS)
    held = [gate.name for gate in nets.netlist.gates].index("held")
    assert found.clock[held] == found.internal[held] == found.switching[held] == 0


def test_gates_that_do_another_thing_than_the_rtl_disagree():
    nets, waves, cells, power = hand(HALF)
    waves["held"] = waves["held"] ^ np.uint64(1 << 21)
    assert disagreement(nets, waves, enable_words(nets, cells, power), cells, power) == pytest.approx(2 / (2 * (WINDOW - 1)))


def test_flip_flops_that_only_the_netlist_has_follow_their_inputs():
    nets, waves, *_ = hand(HALF)
    late = nets.words[nets.number("late")][0]
    assert ~late & ~np.uint64(1) == waves["held"][0] << np.uint64(1)


def test_a_tree_has_a_buffer_for_every_sixteen_pins_and_none_for_fewer():
    cells = read_cells([LIBRARY])
    power, _ = read_power_cells([LIBRARY], set(cells))
    for sinks, buffers in ((FANOUT, 0), (FANOUT + 1, 2)):
        gates = "".join(f".gate FLOP CK=clk D=$false QN=q{number}\n.cname q{number}\n" for number in range(sinks))
        nets = nets_of(read_blif(f".inputs clk\n{gates}"), power, 0.0)
        nets.words = np.zeros((len(nets.numbers), 1), np.uint64)
        joules, _, clocked = clock_tree(nets, cells, power["INV"], {}, VOLTS)
        # each has a load of 16 pins of 5 fF, for which the table ends at 10 fF: 11 + 13, and 3 fF x 4 V2 of its own
        assert joules[0] * 1e15 == pytest.approx(buffers * (24 + 12)) and clocked[0] == 1


@pytest.mark.parametrize(("text", "table"), [
    ("!A", 0b01), ("A'", 0b01), ("(A * B)", 0b1000), ("A B", 0b1000), ("A & !B | B & !A", 0b0110), ("A^B", 0b0110), ("(!A) + (!B)", 0b0111),
    ("!(A&B)'", 0b1000), ("1", 0b11), ("A + B A", 0b1010),
])  # fmt: skip
def test_functions_are_read_as_liberty_means_them(text, table):
    pins = {"A": np.uint64(0b1010), "B": np.uint64(0b1100)}
    mask = np.uint64(0b1111 if table > 0b11 or "B" in text else 0b11)
    assert compiled(text)(pins) & mask == table


def test_a_function_that_nobody_can_read_is_refused():
    with pytest.raises(WeftError, match="nobody can read"):
        compiled("A ) B")


def test_windows_are_read_bit_by_bit_and_hold_what_did_not_change(tmp_path):
    windows = Windows.spread(1000, 4)
    assert windows.period == 250 and list(windows.starts) == [93, 343, 593, 843]
    file = tmp_path / "a.vcd"
    file.write_text(
        "$scope module npu $end\n $scope module npu $end\n  $var wire 1 ! flag $end\n  $scope module part $end\n"
        "   $var wire 2 # data [1:0] $end\n   $var wire 70 $ wide [69:0] $end\n  $upscope $end\n $upscope $end\n$upscope $end\n"
        f"$enddefinitions $end\n#93\n0!\nb10 #\nb1{'0' * 69} $\n#94\n1!\n#343\nb01 #\n#400\n0!\n"
    )
    found = read_waves(file, windows, {"flag", "part.data[0]", "part.data[1]", "part.wide[69]", "part.wide[0]", "none"}, "npu")
    ones, zero = 0xFFFF_FFFF_FFFF_FFFF, 0
    assert list(found["flag"]) == [ones - 1, (1 << 57) - 1, zero, zero]
    assert list(found["part.data[1]"]) == [ones, zero, zero, zero] and list(found["part.data[0]"]) == [zero, ones, ones, ones]
    assert list(found["part.wide[69]"]) == [ones] * 4 and list(found["part.wide[0]"]) == [zero] * 4
    assert found.keys() == {"flag", "part.data[0]", "part.data[1]", "part.wide[69]", "part.wide[0]"}


def test_a_run_shorter_than_a_window_has_none():
    assert list(Windows.spread(63, 4).starts) == [] and list(Windows.spread(64, 4).starts) == [0]


def power_of(clock_mhz):
    """Figures of two blocks and a memory."""
    blocks = (BlockPower("array", "pe_row", 3, 1, 2, 0.5), BlockPower("feed", "feeder", 0, 0, 2, 0.25))
    memories = (MemoryPower("bank", 1, 256, 64, 0.5, 0.1, 4),)
    return Power("c", "l", "n", "", 1000, 4, 64, clock_mhz, "stated", "", "", 0, 1, 0.5, blocks, memories, ())


def test_twice_the_clock_is_twice_the_dynamic_power_and_the_energy_of_an_inference_but_for_leakage():
    slow, fast = power_of(100), power_of(200)
    assert slow.energy == 13 and slow.milliwatts == pytest.approx(13 * 0.1 + 0.75)
    assert fast.milliwatts - fast.leakage == pytest.approx(2 * (slow.milliwatts - slow.leakage))
    assert slow.inference_uj == pytest.approx(13e-3 + 0.75 * 10e-3) and fast.inference_uj == pytest.approx(13e-3 + 0.75 * 5e-3)
    assert slow.average(100) == pytest.approx(13 * 1000 * 100 * 1e-9 + 0.75)


def test_a_library_without_energies_is_refused(tmp_path, capsys):
    silent = tmp_path / "silent.lib"
    silent.write_text(LIBRARY.replace("internal_power", "external_power"))
    with pytest.raises(WeftError, match="states no energies"):
        check_energies([silent])
    assert main(["synth", "npu", "--library", str(silent), "--power", "missing.tflite", "-q"]) == 2
    assert "states no energies" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "said"), [
    (["feed", "--library", "asap7", "--power", "x.tflite"], "--power is of the whole NPU"),
    (["--library", "asap7", "--fps", "30"], "add --power MODEL"),
    (["--board", "ulx3s-85f", "--power", "x.tflite"], "leave out blocks, --library and --power"),
])  # fmt: skip
def test_power_is_refused_where_it_cannot_be(arguments, said, capsys):
    assert main(["synth", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_network_on_an_array_of_4x4_has_power_in_every_block(tmp_path, capsys):
    library("asap7")
    config, report = tmp_path / "tiny.toml", tmp_path / "power.json"
    config.write_text('name = "tiny"\nrows = 4\ncols = 4\nact_kib = 16\nweight_kib = 8\ninterpolation = false\n')
    options = ["--config", str(config), "--library", "asap7", "--fps", "30", "--report", str(report)]
    assert main(["synth", "npu", *options, "--power", "examples/digits/digits.tflite", "-q"]) == 0
    found = json.loads(report.read_text())
    blocks = {block["component"]: block for block in found["blocks"]}
    summed = sum(block[part] for block in found["blocks"] for part in ("internal", "switching", "clock"))
    assert found["pj_per_cycle"] == pytest.approx(summed + found["tree"] + sum(each["energy"] for each in found["memories"]))
    assert found["disagreement"] < 0.005 and 5 < summed < 60
    # the network has no softmax on the NPU: its product has next to nothing but clocks
    product = blocks["softmax_product"]
    assert product["internal"] + product["switching"] < 0.5 * product["clock"]
    assert all(block["leakage"] > 0 for block in found["blocks"] if block["component"] not in ("table", "vector_order"))
    assert found["average_mw"] < found["power_mw"] and "running digits" in capsys.readouterr().out
