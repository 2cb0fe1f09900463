"""Runs a batch of components twice: in Amaranth's simulator on random inputs, and as emitted Verilog in Icarus on the same ones."""

import random
import re
import subprocess
from dataclasses import dataclass, field

from amaranth.hdl import Cat, ClockDomain, Signal
from amaranth.sim import Simulator

from tests.sim.emitted_batch import simulated, width
from tests.sim.random_inputs import RandomInputs

RESET_CYCLES = 2
"""At the start; outputs are compared behind them."""

BENCH = """
module bench;
  reg clk = 0, rst = 1;
  reg [{inputs}-1:0] inputs = 0;
  wire [{outputs}-1:0] outputs;
  integer from, to, found;
  batch dut(.clk(clk), .rst(rst), .inputs(inputs), .outputs(outputs));
  initial begin
    from = $fopen("inputs", "r");
    to = $fopen("outputs", "w");
    repeat ({cycles}) begin
      found = $fscanf(from, "%h %h\\n", rst, inputs);
      #1 $fdisplay(to, "%h", outputs);
      clk = 1;
      #1 clk = 0;
    end
    $finish;
  end
endmodule
"""


@dataclass
class Trace:
    """One component's ports, cycle by cycle, each cycle one number.

    Attributes
    ----------
    inputs, outputs : list of int
        Bits of all ports, the first port lowest; bit 0 of the inputs is `stop`.
    input_bits : int
    ports : dict of str to int
        Widths of the outputs.
    """

    input_bits: int
    ports: dict
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)

    @property
    def output_bits(self) -> int:
        """Of one cycle."""
        return sum(self.ports.values())

    def split(self, value) -> dict:
        """A cycle's outputs by name."""
        named = {}
        for name, bits in self.ports.items():
            named[name] = value & ((1 << bits) - 1)
            value >>= bits
        return named

    @property
    def moved(self) -> int:
        """How many output bits changed at least once."""
        changed = 0
        for before, after in zip(self.outputs[RESET_CYCLES:], self.outputs[RESET_CYCLES + 1 :]):
            changed |= before ^ after
        return changed.bit_count()


def resets(cycles, seed) -> list:
    """The reset of every component, cycle by cycle: at the start, and now and then."""
    rng = random.Random(f"reset {seed}")
    return [int(cycle < RESET_CYCLES or rng.random() < 0.005) for cycle in range(cycles)]


def amaranth_trace(case, cycles, seed) -> Trace:
    """A component in Amaranth's simulator, on random inputs."""
    component, inputs, outputs = case.made()
    stop, domain = Signal(name="stop"), ClockDomain("sync")
    trace = Trace(1 + width(inputs), {name: len(signal) for name, signal in outputs.items()})
    rng = random.Random(f"{case.name} {seed}")
    traffic = RandomInputs(rng, {name: len(signal) for name, signal in inputs.items()}, outputs)

    async def play(ctx):
        everything, answers = Cat(stop, *inputs.values()), Cat(*outputs.values())
        seen = {}
        for reset in resets(cycles, seed):
            word, place = int(rng.random() < 0.02), 1
            drawn = traffic.draw(seen)
            for name, signal in inputs.items():
                word |= drawn[name] << place
                place += len(signal)
            ctx.set(domain.rst, reset)
            ctx.set(everything, word)
            trace.inputs.append(word)
            trace.outputs.append(ctx.get(answers))
            seen = trace.split(trace.outputs[-1])
            await ctx.tick()

    simulator = Simulator(simulated(component, stop, domain))
    simulator.add_clock(1e-6)
    simulator.add_testbench(play)
    simulator.run()
    return trace


def icarus_outputs(verilog, traces, cycles, seed, folder) -> list:
    """What a batch answers to the inputs of its traces, in hexadecimal with ``x`` for what is unknown, cycle by cycle."""
    lines = []
    for cycle, reset in enumerate(resets(cycles, seed)):
        word = _joined((trace.inputs[cycle], trace.input_bits) for trace in traces)
        lines.append(f"{reset:x} {word:x}\n")
    (folder / "inputs").write_text("".join(lines))
    sizes = {"inputs": sum(trace.input_bits for trace in traces), "outputs": sum(trace.output_bits for trace in traces)}
    (folder / "batch.v").write_text(_from_zero(verilog) + BENCH.format(**sizes, cycles=cycles))
    for command in (["iverilog", "-g2005-sv", "-s", "bench", "-o", "bench.vvp", "batch.v"], ["vvp", "-n", "bench.vvp"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    return (folder / "outputs").read_text().split()


def differences(names, traces, answers) -> list:
    """The first cycle in which each component's Verilog answers otherwise than Amaranth, as a line each."""
    found = {}
    for cycle in range(RESET_CYCLES, len(answers)):
        bits = sum(trace.output_bits for trace in traces)
        expected = f"{_joined((trace.outputs[cycle], trace.output_bits) for trace in traces):0{(bits + 3) // 4}x}"
        if expected == answers[cycle]:
            continue
        value = int(answers[cycle].translate(str.maketrans("xXzZ", "0000")), 16)
        unknown = int("".join("f" if digit in "xXzZ" else "0" for digit in answers[cycle]), 16)
        for name, trace in zip(names, traces, strict=True):
            want = trace.split(trace.outputs[cycle])
            for port, got in trace.split(value).items():
                x = trace.split(unknown)[port]
                if name not in found and (got != want[port] or x):
                    found[name] = f"{name}, cycle {cycle}: {port} is {got:#x} in Verilog, {want[port]:#x} in Amaranth; unknown {x:#x}"
            value >>= trace.output_bits
            unknown >>= trace.output_bits
    return list(found.values())


def _joined(parts):
    """Numbers side by side, the first lowest."""
    word, place = 0, 0
    for value, bits in parts:
        word |= value << place
        place += bits
    return word


def _from_zero(verilog):
    """Verilog whose registers and memories start as 0, as in Amaranth's simulator; the one that ships has no `initial`."""

    def start(match):
        if not match["depth"]:
            return f"{match['declared']} = 0;"
        index = f"zero_{match.start()}"
        loop = f"for ({index} = 0; {index} <= {match['depth']}; {index} = {index} + 1) {match['name']}[{index}] = 0;"
        return f"{match[0]}\n  integer {index};\n  initial {loop}"

    declaration = r"^(?P<declared>  reg (?:signed )?(?:\[\d+:\d+\] )?(?P<name>\\\S+ |\w+))(?: ?\[(?P<depth>\d+):0\])?;$"
    return re.sub(declaration, start, verilog, flags=re.MULTILINE)
