"""Every component of hw/ as emitted Verilog, against Amaranth's own simulation of it on random traffic, in every cycle after reset.

Each stands in a plain module under a reset that comes from further up, the shape in which emission once lost a driver.
"""

import importlib
import re
import shutil

import pytest

from hw.emit import units
from hw.emit.emit import emit_verilog
from hw.emit.signals import Signals
from tests.component_table import CONFIG, EXAMPLES, variants
from tests.sim.batch_bench import amaranth_trace, differences, icarus_outputs
from tests.sim.emitted_batch import Batch, Case

SWITCHED_ON = CONFIG.replace(
    rows=4, cols=4, act_kib=16, weight_kib=8, axi_bits=32, lane_divisor=2, queue_depth=2, outstanding=1, int4=True, interpolation=True,
)  # fmt: skip
"""The smallest array with every switch on."""
LARGE = {"hw.npu.core.NpuCore", "hw.npu.execute_unit.ExecuteUnit", "hw.npu.npu.Npu", "hw.soc.soc.Soc"}
"""They take seconds each; in the short test the execute unit stands for them, with `SWITCHED_ON`."""
WRAPPERS = {"hw.soc.boards.serial_shell.SerialShell"}
"""They are made around a module of Verilog that Amaranth does not simulate."""


def component(path):
    """The class of a row of the table."""
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def case(path, label, example):
    """The case of one row; the label says which switches are on."""
    return Case("_".join([units.snake(path.rsplit(".", 1)[1]), *label.split()]), component(path), example)


def short_cases():
    """One of each component, its switches on."""
    for path, example in EXAMPLES.items():
        if path not in LARGE | WRAPPERS:
            yield case(path, *list(variants(component(path), example).items())[-1])
    yield case("hw.npu.execute_unit.ExecuteUnit", "switched on", ((SWITCHED_ON,), {}))


def all_cases():
    """Every component with every setting of its switches."""
    for path, example in EXAMPLES.items():
        if path not in WRAPPERS:
            yield from (case(path, label, row) for label, row in variants(component(path), example).items())


def compare(cases, cycles, seed, folder, damage=lambda verilog: verilog):
    """Fails where the Verilog of a case, damaged or not, differs from Amaranth's simulation; returns the traces by name."""
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")
    cases = list(cases)
    names = [case.name for case in cases]
    traces = [amaranth_trace(case, cycles, seed) for case in cases]
    answers = icarus_outputs(damage(emit_verilog(Batch(cases), "batch")), traces, cycles, seed, folder)
    assert len(answers) == cycles
    wrong = differences(names, traces, answers)
    assert not wrong, f"seed {seed}:\n" + "\n".join(wrong)
    return dict(zip(names, traces, strict=True))


def test_emitted_components_do_what_amaranth_simulates(seed, tmp_path):
    """What no traffic has moved in so few cycles gets more of them: it waits for what seldom comes together."""
    traces = compare(short_cases(), 250, seed, tmp_path)
    still = [name for name, trace in traces.items() if not trace.moved]
    if still:
        traces = compare([case for case in short_cases() if case.name in still], 2000, seed, tmp_path)
        still = [name for name, trace in traces.items() if not trace.moved]
    assert not still, f"seed {seed}: no output ever changed, so nothing was compared: {', '.join(still)}"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(12))
def test_every_variant_does_what_amaranth_simulates(number, seed, tmp_path):
    traces = compare(list(all_cases())[number::12], 2000, seed + number, tmp_path)
    still = [name for name, trace in traces.items() if not trace.moved]
    assert not still, f"seed {seed}: no output ever changed, so nothing was compared: {', '.join(still)}"


FEW = (
    "hw.npu.parts.fifo.StreamFifo",
    "hw.npu.interface.tokens.TokenBoard",
    "hw.npu.scratchpad.write_fence.WriteFence",
    "hw.npu.dma.bursts.BeatWalker",
)
"""Small ones, for tests that break the emission on purpose."""


def few_cases():
    """Cases of `FEW`."""
    return [case(path, "", EXAMPLES[path]) for path in FEW]


def test_a_driver_lost_at_a_border_is_refused_and_would_be_seen(seed, tmp_path, monkeypatch):
    """The fault that was: no port for the signal of a `ResetInserter`. The guard names it, and without the guard the comparison does."""
    monkeypatch.setattr(units, "_add_loose_signals", lambda ports, inside, outside: None)
    with pytest.raises(ValueError, match=r"module batch\.stream_fifo\.dut: net stop_stream_fifo is read and not driven; batch drives it"):
        emit_verilog(Batch(few_cases()), "batch")
    monkeypatch.setattr(Signals, "check_unit", lambda *_: None)
    with pytest.raises(AssertionError, match="stream_fifo, cycle"):
        compare(few_cases(), 250, seed, tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(r"\.rst\(rst\)", ".rst(1'h0)"), (r"\+ exec;", "+ load;"), (r"level \+ ", "level ^ ")],
    ids=["a lost reset", "a swapped net", "a wrong operator"],
)
def test_a_fault_in_the_verilog_is_seen(right, wrong, seed, tmp_path):
    def damage(verilog):
        damaged, count = re.subn(right, wrong, verilog, count=1)
        assert count == 1
        return damaged

    with pytest.raises(AssertionError, match=r", cycle \d+: "):
        compare(few_cases(), 250, seed, tmp_path, damage)
