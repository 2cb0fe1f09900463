"""Joules of each gate in each window of a run: of its clock, and of what it does else."""

from dataclasses import dataclass

import numpy as np

from weft.analysis.power.cells import PowerCell, Spent
from weft.analysis.power.functions import ONES, compiled
from weft.analysis.power.gates import Nets
from weft.analysis.power.waves import WINDOW
from weft.analysis.synthesis.liberty import Cell
from weft.analysis.synthesis.memories import READ_CELL


@dataclass
class Energies:
    """Joules a cycle of each gate.

    Attributes
    ----------
    clock, internal, switching : float64[gates, windows]
        Of clock pins and clock gates; inside the cells; of the loads that they drive.
    leakage : float64[gates]
        Watts.
    """

    clock: np.ndarray
    internal: np.ndarray
    switching: np.ndarray
    leakage: np.ndarray


def energies_of(nets: Nets, cells: dict[str, Cell], power: dict[str, PowerCell], volts: float) -> Energies:
    """The energies of a netlist whose words are known."""
    gates = nets.netlist.gates
    size = (len(gates), nets.words.shape[1])
    found = Energies(np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(len(gates)))
    alike: dict[tuple, list[int]] = {}
    for number, gate in enumerate(gates):  # some outputs of a cell may lead nowhere
        alike.setdefault((gate.cell, *sorted(gate.pins)), []).append(number)
    enables = enable_words(nets, cells, power)
    for (name, *_), each in alike.items():
        numbers = np.array(each)
        if name == READ_CELL:
            _drive(found, nets, numbers, "Q", volts)
        elif name in power:
            found.leakage[numbers] = power[name].leakage
            if cells[name].clock_gate:
                _clock_gate(found, nets, numbers, power[name], volts)
            elif cells[name].registers:
                _register(found, nets, numbers, power[name], enables, volts)
            else:
                _logic(found, nets, numbers, power[name], volts)
    return found


def enable_words(nets: Nets, cells: dict[str, Cell], power: dict[str, PowerCell]) -> dict[int, np.ndarray]:
    """By the net of each clock gate's output: in which cycles the clock comes through, for its enable or its test input."""
    found = {}
    for gate in nets.netlist.gates:
        if gate.cell in power and cells[gate.cell].clock_gate:
            inputs = [pin for pin in power[gate.cell].loads if pin != power[gate.cell].clock and pin in gate.pins]
            word = np.bitwise_or.reduce([nets.words[nets.number(gate.pins[pin])] for pin in inputs])
            for pin in power[gate.cell].outputs:
                if pin in gate.pins:
                    found[nets.number(gate.pins[pin])] = word
    return found


def _count(words):
    """Ones a cycle."""
    return np.bitwise_count(words) / WINDOW


def _steps(nets, numbers):
    """Changes a cycle."""
    return nets.toggles(numbers) / (WINDOW - 1)


def _pulse(spent: Spent, slew, load):
    """Joules of a rise and a fall."""
    return sum((table.at(slew, load) for table in (*spent.rise, *spent.fall)), np.zeros_like(load))


def _mean(spents, slew, load):
    """Joules of one change, the mean of its states and of both directions."""
    return sum((_pulse(each, slew, load) for each in spents), np.zeros_like(load)) / max(1, len(spents)) / 2


def _drive(found, nets, gates, pin, volts):
    """Load of an output."""
    numbers = nets.pins(gates, pin)
    found.switching[gates] += _steps(nets, numbers) * (nets.loads[numbers] * volts**2 / 2)[:, None]


def _pins(nets, gates, cell):
    """Numbers of the nets at the pins that the gates have connected, all the same ones."""
    connected = nets.at[gates[0]]
    return {pin: nets.pins(gates, pin) for pin in (*cell.loads, *cell.outputs) if pin in connected}


def _clocked(found, nets, gates, cell, enabled, values, volts):
    """Energy of a clock's pin: its load, and what the cell spends in each state; nothing in cycles without a clock."""
    zero = np.zeros(len(gates))
    found.clock[gates] += _count(enabled) * cell.loads[cell.clock] * volts**2
    for spent in cell.inputs.get(cell.clock, ()):
        state = compiled(spent.when)(values) if spent.when else ONES
        found.clock[gates] += _count(state & enabled) * _pulse(spent, zero, zero)[:, None]


def _clock_gate(found, nets, gates, cell, volts):
    pins = _pins(nets, gates, cell)
    values = {pin: nets.words[numbers] for pin, numbers in pins.items()} | dict.fromkeys((cell.clock, *cell.outputs), np.uint64(0))
    enabled = np.bitwise_or.reduce([values[pin] for pin in cell.loads if pin != cell.clock and pin in values])
    _clocked(found, nets, gates, cell, np.full_like(enabled, ONES), values, volts)
    for pin, spents in cell.outputs.items():
        load = nets.loads[pins[pin]]
        for spent in spents:
            state = compiled(spent.when)(values) if spent.when else ONES
            found.clock[gates] += _count(state & enabled) * _pulse(spent, np.zeros_like(load), load)[:, None]
    _data_inputs(found, nets, gates, cell, pins, ())


def _register(found, nets, gates, cell, enables, volts):
    pins = _pins(nets, gates, cell)
    if cell.clock in pins:
        ones = np.full(nets.words.shape[1], ONES)
        enabled = np.array([enables.get(number, ones) for number in pins[cell.clock]])
        values = {pin: nets.words[numbers] for pin, numbers in pins.items()}
        _clocked(found, nets, gates, cell, enabled, values, volts)
    for pin, spents in cell.outputs.items():
        if pin in pins:
            by_clock = [each for each in spents if each.related == cell.clock] or spents
            load = nets.loads[pins[pin]]
            found.internal[gates] += _steps(nets, pins[pin]) * _mean(by_clock, np.zeros_like(load), load)[:, None]
            _drive(found, nets, gates, pin, volts)
    _data_inputs(found, nets, gates, cell, pins, ())


def _logic(found, nets, gates, cell, volts):
    pins = _pins(nets, gates, cell)
    inputs = [pins[pin] for pin in cell.loads if pin in pins]
    slew = np.max([nets.slews[numbers] for numbers in inputs], axis=0) if inputs else np.zeros(len(gates))
    for pin, spents in cell.outputs.items():
        if pin in pins:
            load = nets.loads[pins[pin]]
            found.internal[gates] += _steps(nets, pins[pin]) * _mean(spents, slew, load)[:, None]
            _drive(found, nets, gates, pin, volts)
    _data_inputs(found, nets, gates, cell, pins, [pins[pin] for pin in cell.outputs if pin in pins])


def _data_inputs(found, nets, gates, cell, pins, outputs):
    """Changes of inputs that no output follows."""
    still = ~np.uint64(0)
    for numbers in outputs:
        words = nets.words[numbers]
        still = still & ~(words ^ words >> np.uint64(1))
    for pin, spents in cell.inputs.items():
        if pin != cell.clock and pin in pins:
            words = nets.words[pins[pin]]
            changes = (words ^ words >> np.uint64(1)) & still & (ONES >> np.uint64(1))
            slew = nets.slews[pins[pin]]
            found.internal[gates] += np.bitwise_count(changes) / (WINDOW - 1) * _mean(spents, slew, np.zeros_like(slew))[:, None]
