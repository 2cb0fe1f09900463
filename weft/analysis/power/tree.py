"""An estimate of the clock tree, which a netlist before placement does not have."""

from collections import Counter

import numpy as np

from weft.analysis.power.cells import PowerCell
from weft.analysis.power.functions import ONES
from weft.analysis.power.gates import Nets
from weft.analysis.power.waves import WINDOW
from weft.analysis.synthesis.liberty import Cell

FANOUT = 16
"""Clock pins of a buffer of the tree, and buffers of a buffer."""


def clock_tree(
    nets: Nets, cells: dict[str, Cell], buffer: PowerCell | None, enables: dict[int, np.ndarray], volts: float
) -> tuple[np.ndarray, str, np.ndarray]:
    """Joules a cycle of the tree's buffers in each window, the rule, and the part of the flip-flops that have a clock.

    The root and each clock gate drive a tree of their own; that of a gate stands while the gate is closed.
    """
    sinks: Counter[int] = Counter()
    loads: Counter[int] = Counter()
    for gate in nets.netlist.gates:
        if gate.cell in cells and cells[gate.cell].registers:
            for pin, net in gate.pins.items():
                number = nets.number(net)
                if pin not in cells[gate.cell].outputs and (number in enables or net == "clk"):
                    sinks[number] += 1
                    loads[number] += not cells[gate.cell].clock_gate
    windows = nets.words.shape[1]
    open_in = {number: np.bitwise_count(enables.get(number, np.full(windows, ONES))) / WINDOW for number in sinks}
    clocked = sum((loads[number] * open_in[number] for number in sinks), np.zeros(windows)) / max(1, sum(loads.values()))
    if buffer is None or not buffer.loads or not buffer.outputs:
        return np.zeros(windows), "left out: the library has no buffer that is known", clocked
    (pin,), (output,) = buffer.loads, buffer.outputs
    joules = np.zeros(windows)
    for number, count in sinks.items():
        load = np.array([nets.loads[number] / count * min(count, FANOUT)])
        tables = [table for spent in buffer.outputs[output] for table in (*spent.rise, *spent.fall)]
        inside = sum(float(table.at(np.zeros(1), load)[0]) for table in tables) / max(1, len(buffer.outputs[output]))
        joules += _buffers(count) * (inside + buffer.loads[pin] * volts**2) * open_in[number]
    return joules, f"estimated: {FANOUT} pins a {buffer.name}, as many buffers a buffer, no wires", clocked


def _buffers(count):
    """Buffers of a tree of so many pins; a clock gate, or the clock's root, drives the last few itself."""
    total = 0
    while count > FANOUT:
        count = -(-count // FANOUT)
        total += count
    return total
