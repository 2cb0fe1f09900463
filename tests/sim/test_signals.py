"""What emission refuses: a net that is read and not driven, or driven twice, on the level of units and of the netlist."""

import pytest
from amaranth.hdl import ClockDomain, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.emit import emit, units
from hw.emit.emit import emit_verilog, run_yosys
from hw.emit.verilog import npu_verilog, soc_verilog
from hw.npu.config import PRESETS
from hw.npu.errors import WeftError
from hw.soc.config import SocConfig


class Unit(wiring.Component):
    """A component whose logic is a function of it and its module."""

    a: In(8)
    q: Out(8)

    def __init__(self, logic):
        self.logic = logic
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        self.logic(self, m)
        return m


def counter(unit, m):
    """Counts by ``a``."""
    m.d.sync += unit.q.eq(unit.q + unit.a)


def around(unit, m, part):
    """A component inside, between the ports of the one around it."""
    m.submodules.part = part
    m.d.comb += [part.a.eq(unit.a), unit.q.eq(part.q)]


def stopped_from_above(unit, m):
    """The grandparent stops a component that stands in a plain module inside another component."""
    stop, counting = Signal(name="stop"), Unit(counter)

    def parent(middle, inside):
        group = Module()
        group.submodules.counting = ResetInserter(stop)(counting)
        inside.submodules.group = group
        inside.d.comb += [counting.a.eq(middle.a), middle.q.eq(counting.q)]

    m.d.comb += stop.eq(unit.a == 3)
    around(unit, m, Unit(parent))


def stopped_in_a_plain_module(unit, m):
    """The component around it stops one that stands in a plain module: the shape whose reset was lost."""
    stop, counting, group = Signal(name="stop"), Unit(counter), Module()
    group.submodules.counting = ResetInserter(stop)(counting)
    m.submodules.group = group
    m.d.comb += [stop.eq(unit.a == 3), counting.a.eq(unit.a), unit.q.eq(counting.q)]


@pytest.mark.parametrize(("shape", "borders"), [(stopped_from_above, 2), (stopped_in_a_plain_module, 1)])
def test_a_signal_from_further_up_gets_a_port_at_every_border(shape, borders):
    verilog = emit_verilog(Unit(shape), "top")
    assert verilog.count(".stop(") == borders and "2'h3" in verilog


def test_a_signal_that_got_no_port_is_refused(monkeypatch):
    monkeypatch.setattr(units, "_add_loose_signals", lambda ports, inside, outside: None)
    message = r"module top\.part\.group\.counting: net stop is read and not driven; top drives it, and no port brings it in \(all of it\)"
    with pytest.raises(ValueError, match=message):
        emit_verilog(Unit(stopped_from_above), "top")


def test_a_bit_that_another_unit_drives_is_refused():
    shared = Signal(8, name="shared")

    def half(unit, m):
        m.d.comb += [shared[:4].eq(unit.a), unit.q.eq(shared)]

    def whole(unit, m):
        m.d.comb += shared[4:].eq(unit.a)
        around(unit, m, Unit(half))

    with pytest.raises(ValueError, match=r"net shared is driven twice: in top and in top\.part"):
        emit_verilog(Unit(whole), "top")


def test_a_signal_that_two_units_drive_and_no_one_else_reads_is_refused():
    """To Amaranth the two are separate modules by then, each with a signal of its own."""
    shared = Signal(8, name="shared")

    def driver(unit, m):
        m.d.comb += [shared.eq(unit.a), unit.q.eq(shared)]

    def both(unit, m):
        m.submodules.one = one = Unit(driver)
        m.submodules.two = two = Unit(driver)
        m.d.comb += [one.a.eq(unit.a), two.a.eq(unit.a), unit.q.eq(one.q ^ two.q)]

    with pytest.raises(ValueError, match=r"net shared is driven twice: in top\.one and in top\.two"):
        emit_verilog(Unit(both), "top")


def test_an_input_that_its_own_component_drives_is_refused():
    def wrong(unit, m):
        m.d.comb += [unit.a.eq(1), unit.q.eq(unit.a)]

    with pytest.raises(ValueError, match=r"net a is driven twice: in an input of the top and in top"):
        emit_verilog(Unit(wrong), "top")
    with pytest.raises(ValueError, match=r"net a is driven twice: in top and in top\.part"):
        emit_verilog(Unit(lambda unit, m: around(unit, m, Unit(wrong))), "top")


def test_a_signal_that_nothing_drives_is_refused_unless_it_has_a_value():
    def reading(signal):
        def logic(unit, m):
            m.d.comb += unit.q.eq(unit.a + signal)

        return Unit(logic)

    with pytest.raises(ValueError, match=r"module top: net forgotten is read and not driven; nothing in the design drives it"):
        emit_verilog(reading(Signal(8, name="forgotten")), "top")
    assert "a + 3'h7" in emit_verilog(reading(Signal(8, init=7)), "top")


def test_a_clock_domain_from_below_is_refused():
    def maker(unit, m):
        m.domains.fast = fast = ClockDomain()
        m.d.comb += [fast.clk.eq(unit.a[0]), fast.rst.eq(0)]
        m.d.fast += unit.q.eq(unit.a)

    with pytest.raises(ValueError, match=r"module top\.part makes the clock domain fast"):
        emit_verilog(Unit(lambda unit, m: around(unit, m, Unit(maker))), "top")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("connect \\A \\a ", "connect \\A \\other ", "used but has no driver"),
        ("  cell $not", "  connect \\q 8'00000001\n  cell $not", "Drivers conflicting with a constant"),
    ],
    ids=["not driven", "driven twice"],
)
def test_a_netlist_with_a_fault_is_refused(right, wrong, message, monkeypatch):
    """Faults behind the units, as in Amaranth's text or from a pass of Yosys."""

    def damaged(text):
        assert right in text
        return text.replace(right, wrong).replace("  cell $not", "  wire width 8 \\other\n  cell $not", 1)

    def invert(unit, m):
        m.d.comb += unit.q.eq(~unit.a)

    monkeypatch.setattr(emit, "_without_initial_values", damaged)
    with pytest.raises(WeftError, match=message):
        emit_verilog(Unit(invert), "top")


NANO = PRESETS["nano"]
ALL = NANO.replace(
    name="all_switches", lane_divisor=2, axi_bits=32, address_bits=40, queue_depth=2, outstanding=1, int4=True, interpolation=True,
)  # fmt: skip
"""Every switch and every narrow number at once."""
SWITCHES = {
    "int4": {"int4": True},
    "interpolation": {"interpolation": True},
    "half the lanes": {"lane_divisor": 2},
    "a quarter of the lanes": {"lane_divisor": 4},
    "32-bit bus": {"axi_bits": 32},
    "128-bit bus": {"axi_bits": 128},
    "256-bit bus": {"axi_bits": 256},
    "40-bit addresses": {"address_bits": 40},
    "64-bit addresses": {"address_bits": 64},
    "queue depth 2": {"queue_depth": 2},
    "one burst": {"outstanding": 1},
    "single beats": {"max_burst": 1},
}


def check(verilog, top, folder):
    """Fails where the text has a net that is read and not driven, or driven twice, in any module, or a loop through several."""
    (folder / "top.v").write_text(verilog)
    run_yosys(f"read_verilog top.v; hierarchy -check -top {top}; proc; check -assert; flatten; check -assert", folder)


def test_the_text_with_every_switch_on_is_whole(tmp_path):
    check(npu_verilog(ALL), "npu", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_text_of_every_preset_is_whole(preset, tmp_path):
    check(npu_verilog(PRESETS[preset]), "npu", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("switch", SWITCHES)
def test_the_text_with_every_switch_is_whole(switch, tmp_path):
    check(npu_verilog(NANO.replace(name=switch.replace(" ", "_"), **SWITCHES[switch])), "npu", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("switch", ["int4", "32-bit bus", "128-bit bus", "256-bit bus", "40-bit addresses"])
@pytest.mark.parametrize("simulated", [False, True], ids=["shipped", "with traffic"])
def test_the_text_of_every_soc_is_whole(switch, simulated, tmp_path):
    config = SocConfig(npu=NANO.replace(name=f"soc_{switch.replace(' ', '_')}", **SWITCHES[switch]))
    check(soc_verilog(config, observe=simulated, traffic=simulated), "soc", tmp_path)
