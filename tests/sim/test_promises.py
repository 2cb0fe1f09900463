"""Promises of components: a broken one is caught in Amaranth's simulation, in the emitted Verilog and by a proof; none of them ships."""

import shutil
import subprocess

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator

from hw.emit.emit import emit_verilog, run_yosys
from hw.npu.parts.credit_counter import CreditCounter
from hw.npu.parts.promise import promise_stream, promises
from sim.build import BuildOptions
from tests.component_table import EXAMPLES, make
from tests.formal.prove import refute
from tests.sim.test_emitted_components import component

BREACHES = [
    ("parts.credit_counter.CreditCounter", {"down": 1}, "down comes only while some"),
    ("parts.credit_counter.CreditCounter", {"up": 1}, "the count stays at most at its largest"),
    ("scratchpad.write_fence.WriteFence", {"made": 1}, "a write is made only after it was accepted"),
    ("scratchpad.write_fence.WriteFence", {"accepted": 1}, "no more writes are pending than there is room for"),
    ("scratchpad.write_fence.WriteFence", {"accepted": 1, "made": 1, "complete": 1}, "a write is made only after it was accepted"),
    ("weights.plane_handoff.PlaneHandoff", {"tile_passed": 1}, "a last wave enters row 0 only while the array moves"),
    (
        "weights.plane_handoff.PlaneHandoff",
        {"tile_passed": 1, "enable": 1},
        "only a last wave whose tile was begun passes",
    ),
    ("output.parameter_shadow.ParameterShadow", {"released": 1}, "only a set that is active is released"),
    ("output.parameter_shadow.ParameterShadow", {"ended": 1}, "only a set that is there is used up"),
    ("weights.weight_loader.WeightLoader", {"read.valid": 1}, "the queue has room for every row that comes"),
    ("output.write_slots.WriteSlots", {"claim": 1}, "a place is taken only while one is free"),
    ("output.write_slots.WriteSlots", {"fill": 1}, "data come only for a place that is taken and has none"),
    ("dma.transfers.TransferRecords", {"complete": 1}, "a transfer that is complete has given its account"),
    ("execute_records.ExecuteRecords", {"retire": 1}, "there is room for every command that retires"),
    ("execute_records.ExecuteRecords", {"loader_end": 1}, "there is room for the rows of every command"),
    ("feed.feed_monitor.FeedMonitor", {"event.command_end": 1}, "there is room for every window that ends"),
    ("control.record_writer.RecordWriter", {"axi.b.valid": 1}, "a response answers a burst that is under way"),
    ("dma.load_dma.LoadDma", {"axi.r.valid": 1}, "a beat answers a burst that is under way"),
    ("dma.store_dma.StoreDma", {"axi.b.valid": 1}, "a response answers a burst that is under way"),
    ("walks.pixel_walk.PixelWalk", {"step": 1}, "a vector is taken only while there is one"),
    (
        "scratchpad.scratchpad.ActivationScratchpad",
        {f"feed_{i}.request.{x}": 1 for i in (0, 1) for x in ("valid", "payload.low")},
        "share no bank",
    ),
]
"""Component, inputs that break its promise when they stand for some cycles, and what it says."""


def stand(dut, inputs, cycles=40):
    """Simulates a component while inputs stand: values by the path of each."""

    async def drive(ctx):
        for path, value in inputs.items():
            place = dut
            for name in path.split("."):
                place = getattr(place, name)
            ctx.set(place, value)
        for _ in range(cycles):  # not repeat(): its generator complains when a breach ends the simulation
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()


@pytest.mark.parametrize(("name", "inputs", "sentence"), BREACHES)
def test_a_breach_stops_the_simulation(name, inputs, sentence):
    path = f"hw.npu.{name}"
    dut = make(component(path), EXAMPLES[path])
    with pytest.raises(AssertionError, match=rf"{type(dut).__name__}: .*{sentence}"):
        stand(dut, inputs)
    with promises(False):
        stand(make(component(path), EXAMPLES[path]), inputs)


class Restless(wiring.Component):
    """Breaks what every stream promises: what it offers falls, or changes, before it is taken.

    Parameters
    ----------
    keeps_valid : bool
        The payload changes, else ``valid`` falls.
    """

    def __init__(self, keeps_valid):
        self.keeps_valid = keeps_valid
        super().__init__({"o": Out(stream.Signature(4))})

    def elaborate(self, platform):
        m = Module()
        count = Signal(4)
        m.d.sync += count.eq(count + 1)
        m.d.comb += [self.o.valid.eq(1 if self.keeps_valid else ~count[0]), self.o.payload.eq(count if self.keeps_valid else 0)]
        promise_stream(m, self, self.o, name="o")
        return m


@pytest.mark.parametrize(("keeps_valid", "sentence"), [(False, "what o offers stands"), (True, "what o offers does not change")])
def test_an_offer_that_does_not_stand_is_noticed(keeps_valid, sentence):
    stand(Restless(keeps_valid), {"o.ready": 1})
    with pytest.raises(AssertionError, match=f"Restless: {sentence} until it is taken"):
        stand(Restless(keeps_valid), {})


def test_a_proof_sees_a_broken_promise(tmp_path):
    refute(Restless(True), tmp_path, depth=4, kept=True)


BENCH = """
module bench;
  reg clk = 0, rst = 1;
  {dut}
  always #1 clk = ~clk;
  initial begin
    #4 rst = 0;
    #8 $finish;
  end
endmodule
"""


def icarus(component, ports, folder, *options):
    """Exit code of Icarus and what it says, of a component's Verilog with promises and constants at some ports."""
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")
    bench = BENCH.format(dut=f"top dut(.clk(clk), .rst(rst), {ports});")
    (folder / "bench.v").write_text(emit_verilog(component, "top", assertions=True) + bench)

    def run(*command):
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    compiled = run("iverilog", "-g2005-sv", *options, "-s", "bench", "-o", "bench.vvp", "bench.v")
    assert compiled.returncode == 0, compiled.stderr
    done = run("vvp", "-n", "bench.vvp")
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("breach", [0, 1])
def test_icarus_stops_at_a_breach_in_the_emitted_verilog(breach, tmp_path):
    """And says which promise it is; without a breach, and in reset, nothing is said."""
    code, said = icarus(CreditCounter(8), f".up(1'b0), .down(1'b{breach})", tmp_path)
    assert (code != 0, "CreditCounter: down comes only while some" in said) == (bool(breach), bool(breach)), said


@pytest.mark.parametrize(("keeps_valid", "stops"), [(True, False), (False, True)])
def test_a_build_for_speed_checks_no_payloads(keeps_valid, stops, tmp_path):
    """With the macro of the profile ``fast`` only the promises of payloads are not kept."""
    ready = ".o__ready(1'b0)"
    assert icarus(Restless(keeps_valid), ready, tmp_path)[0] != 0
    code, said = icarus(Restless(keeps_valid), ready, tmp_path, *BuildOptions("fast").defines)
    assert (code != 0, "stands until it is taken" in said) == (stops, stops), said
    assert BuildOptions("quick").defines == []


def test_yosys_reads_promises_as_assertions(tmp_path):
    verilog = emit_verilog(CreditCounter(8), "tally", assertions=True)
    (tmp_path / "tally.v").write_text(verilog)
    run_yosys("read_verilog -sv -formal tally.v; prep -top tally; select -assert-count 3 t:$check t:$assert", tmp_path)


@pytest.mark.parametrize("name", ["parts.fifo.StreamFifo", "output.write_slots.WriteSlots", "scratchpad.spare_arbiter.SpareArbiter"])
def test_what_ships_has_no_promise(name):
    """The text is the same whether promises are kept around the emission or not."""
    path = f"hw.npu.{name}"
    with promises(False):
        shipped = emit_verilog(make(component(path), EXAMPLES[path]), "top")
    with promises():
        assert emit_verilog(make(component(path), EXAMPLES[path]), "top") == shipped
    checked = emit_verilog(make(component(path), EXAMPLES[path]), "top", assertions=True)
    assert "fatal" not in shipped and "assert" not in shipped and "waited" not in shipped and "$fatal" in checked
