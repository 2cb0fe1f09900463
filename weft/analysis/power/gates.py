"""What every net of a flat netlist was in the windows of a run: flip-flops as on the RTL, logic as its gates compute it."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from weft.analysis.power.cells import PowerCell
from weft.analysis.power.functions import ONES
from weft.analysis.power.waves import WINDOW
from weft.analysis.synthesis.liberty import Cell
from weft.analysis.synthesis.memories import READ_CELL
from weft.analysis.synthesis.netlist import Netlist, is_memory

CONSTANTS = {"$true": ONES}
STEPS = ~(np.uint64(1) << np.uint64(WINDOW - 1))
"""The steps from a cycle to the next one of a window."""


@dataclass
class Nets:
    """Nets by number, their words, and the gates that make them.

    Attributes
    ----------
    netlist : Netlist
    numbers : dict of str to int
        By the first of a net's names.
    at : list of dict of str to int
        Of each gate: the net at each pin.
    words : uint64[nets, windows]
    loads, slews : float64[nets]
        Farads, and seconds of a transition.
    """

    netlist: Netlist
    numbers: dict[str, int] = field(default_factory=dict)
    at: list[dict[str, int]] = field(default_factory=list)
    words: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.uint64))
    loads: np.ndarray = field(default_factory=lambda: np.zeros(0))
    slews: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def number(self, net: str) -> int:
        """The number of a net, by any of its names."""
        return self.numbers.setdefault(self.netlist.source(net), len(self.numbers))

    def pins(self, gates: np.ndarray, pin: str) -> np.ndarray:
        """The nets at a pin of gates."""
        return np.array([self.at[gate][pin] for gate in gates])

    def toggles(self, numbers: np.ndarray) -> np.ndarray:
        """Changes of nets from a cycle to the next one; int64[nets, windows]."""
        words = self.words[numbers]
        return np.bitwise_count((words ^ words >> np.uint64(1)) & STEPS).astype(np.int64)


def nets_of(netlist: Netlist, power: dict[str, PowerCell], load: float) -> Nets:
    """The nets with their loads: capacitances of the pins, and `load` at each output port; no wires."""
    nets = Nets(netlist)
    loads: dict[int, float] = defaultdict(float)
    for gate in netlist.gates:
        cell = power.get(gate.cell)
        nets.at.append({pin: nets.number(net) for pin, net in gate.pins.items()})
        for pin, number in nets.at[-1].items():
            loads[number] += cell.loads.get(pin, 0.0) if cell else 0.0
    for port in netlist.outputs:
        loads[nets.number(port)] += load
    for port in netlist.inputs:
        nets.number(port)
    nets.loads = np.array([loads[number] for number in range(len(nets.numbers))])
    return nets


@dataclass(frozen=True)
class Group:
    """Gates of one cell that can be computed at once: the net of each at each pin."""

    cell: PowerCell
    pins: dict[str, np.ndarray]


def levels(nets: Nets, power: dict[str, PowerCell]) -> list[Group]:
    """Gates of logic in an order in which each comes behind those that it reads."""
    driver, before, makers = {}, {}, []
    for number, gate in enumerate(nets.netlist.gates):
        if gate.cell in power and power[gate.cell].functions:
            makers.append(number)
            driver.update((net, number) for pin, net in nets.at[number].items() if pin in power[gate.cell].functions)
    for number in makers:
        cell = power[nets.netlist.gates[number].cell]
        before[number] = [driver[net] for pin, net in nets.at[number].items() if pin in cell.loads and net in driver]
    level: dict[int, int] = {}
    for start in makers:
        stack = [start]
        while stack:
            missing = [each for each in before[stack[-1]] if each not in level]
            if missing:
                stack += missing
                continue
            number = stack.pop()
            level[number] = 1 + max((level[each] for each in before[number]), default=0)
    groups = defaultdict(list)
    for number, depth in level.items():
        # of a cell with several outputs some may lead nowhere
        connected = tuple(sorted(nets.at[number]))
        groups[depth, nets.netlist.gates[number].cell, connected].append(number)
    return [Group(power[key[1]], {pin: nets.pins(np.array(groups[key]), pin) for pin in key[2]}) for key in sorted(groups)]


def compute(nets: Nets, order: list[Group], *, slews: bool) -> None:
    """Words of all that logic makes, and its slews where they are wanted, too."""
    for group in order:
        cell, pins = group.cell, group.pins
        inputs = [pins[pin] for pin in cell.loads if pin in pins]
        values = {pin: nets.words[pins[pin]] for pin in cell.loads if pin in pins}
        for pin, function in cell.functions.items():
            if pin in pins:
                nets.words[pins[pin]] = function(values)
                if slews:
                    slew = np.max([nets.slews[each] for each in inputs], axis=0) if inputs else np.zeros(len(pins[pin]))
                    nets.slews[pins[pin]] = transition(cell, pin, slew, nets.loads[pins[pin]])


def transition(cell: PowerCell, pin: str, slew: np.ndarray, load: np.ndarray) -> np.ndarray:
    """The slew of an output: the mean of what its inputs would make of it, rising and falling."""
    tables = cell.transitions.get(pin, ())
    return np.mean([table.at(slew, load) for table in tables], axis=0) if tables else slew


def put_registers(
    nets: Nets, waves: dict[str, np.ndarray], cells: dict[str, Cell], power: dict[str, PowerCell], windows: int, slew: float
) -> list[int]:
    """Give ports, flip-flops and memories' answers the words of the RTL; the numbers of the flip-flops that have none there."""
    nets.words = np.zeros((len(nets.numbers), windows), np.uint64)
    nets.slews = np.full(len(nets.numbers), slew)
    unnamed, driven = [], defaultdict(list)
    for net, word in CONSTANTS.items():
        if net in nets.numbers:
            nets.words[nets.numbers[net]] = word
    for port in nets.netlist.inputs:
        if port in waves:
            nets.words[nets.number(port)] = waves[port]
    for number, gate in enumerate(nets.netlist.gates):
        if gate.cell == READ_CELL:
            word = waves.get(nets.netlist.source(gate.pins["Q"]))
            if word is not None:
                nets.words[nets.number(gate.pins["Q"])] = word
        elif not is_memory(gate) and cells[gate.cell].registers and not cells[gate.cell].clock_gate:
            word = waves.get(gate.name)
            if word is None:
                unnamed.append(number)
            else:
                put_bit(nets, gate, cells[gate.cell], word)
            for pin in power[gate.cell].outputs:
                if pin in gate.pins:
                    driven[gate.cell, pin].append(nets.number(gate.pins[pin]))
    for (name, pin), numbers in driven.items():
        nets.slews[numbers] = transition(power[name], pin, np.zeros(len(numbers)), nets.loads[numbers])
    return unnamed


def put_bit(nets: Nets, gate, cell: Cell, word: np.ndarray) -> None:
    """Give the outputs of a flip-flop the words of its bit."""
    for pin in cell.outputs:
        if pin in gate.pins:
            nets.words[nets.number(gate.pins[pin])] = ~word if cell.inverts(pin) else word


def follow(nets: Nets, unnamed: list[int], enables: dict[int, np.ndarray], cells: dict[str, Cell], power: dict[str, PowerCell]) -> None:
    """Give flip-flops that Yosys made, which the RTL does not have, the words that their inputs make; the first cycle is a guess."""
    ones = np.full(nets.words.shape[1], ONES)
    for number in unnamed:
        gate = nets.netlist.gates[number]
        pins = [pin for pin in power[gate.cell].loads if pin != power[gate.cell].clock and pin in gate.pins]
        data = nets.words[nets.number(gate.pins[pins[0]])]
        enabled = enables.get(nets.number(gate.pins[power[gate.cell].clock]), ones)
        bit, word = np.zeros_like(data), np.zeros_like(data)
        for cycle in range(WINDOW):
            place = np.uint64(cycle)
            word |= bit << place
            bit = np.where(enabled >> place & np.uint64(1), data >> place & np.uint64(1), bit)
        put_bit(nets, gate, cells[gate.cell], word)


def disagreement(
    nets: Nets, waves: dict[str, np.ndarray], enables: dict[int, np.ndarray], cells: dict[str, Cell], power: dict[str, PowerCell]
) -> float:
    """Part of the flip-flops' bits that are not on the RTL what the gates made of the cycle before."""
    ones = np.full(nets.words.shape[1], ONES)
    wrong = count = 0
    for gate in nets.netlist.gates:
        cell = power.get(gate.cell)
        if cell and gate.name in waves and cells[gate.cell].registers and not cells[gate.cell].clock_gate and "D" in gate.pins:
            word, data = waves[gate.name], nets.words[nets.number(gate.pins["D"])]
            enabled = enables.get(nets.number(gate.pins[cell.clock]), ones)
            made = enabled & data | ~enabled & word
            wrong += int(np.bitwise_count((word >> np.uint64(1) ^ made) & STEPS).sum())
            count += word.size * (WINDOW - 1)
    return wrong / max(1, count)
