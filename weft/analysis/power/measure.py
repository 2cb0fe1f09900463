"""Power of a flat netlist while a network runs: registers as the RTL had them, logic as the gates make it of them."""

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from hw.emit.cache import Stage, no_stage
from weft.analysis.energy import HOROWITZ_45NM, SLICE_BYTES
from weft.analysis.power.cells import PowerCell, read_power_cells
from weft.analysis.power.energies import Energies, enable_words, energies_of
from weft.analysis.power.figures import BlockPower, LayerPower, MemoryPower, Power
from weft.analysis.power.gates import Nets, compute, disagreement, follow, levels, nets_of, put_registers
from weft.analysis.power.tree import clock_tree
from weft.analysis.power.waves import WINDOW
from weft.analysis.synthesis.blocks import Block, read_blocks
from weft.analysis.synthesis.figures import Synthesis
from weft.analysis.synthesis.liberty import Cell, read_cells, read_library
from weft.analysis.synthesis.memories import READ_CELL, cut_liberty
from weft.analysis.synthesis.netlist import Netlist, is_memory, read_blif
from weft.analysis.synthesis.shares import owners, shares
from weft.analysis.synthesis.technology import Library

PASSES = 2
"""Times that logic is computed for the flip-flops which only the netlist has; each sees one flip-flop further."""
MOST_DISAGREEMENT = 0.01
"""Part of the flip-flops' bits; more means that netlist and RTL are not the same design. What is left is behind first cycles of windows."""


@dataclass(frozen=True)
class Activity:
    """What a run on the RTL was seen to do, in windows of `WINDOW` cycles.

    Attributes
    ----------
    network, note : str
        What ran, and on which input.
    cycles : int
        Of an inference.
    waves : dict of str to uint64[windows]
        Bits by name.
    weights : float64[windows]
        The part of the run that each window stands for.
    layers : tuple of str
        What ran in each window; empty where nothing did.
    """

    network: str
    note: str
    cycles: int
    waves: dict[str, np.ndarray]
    weights: np.ndarray
    layers: tuple[str, ...]


@dataclass(frozen=True)
class MappedNpu:
    """An NPU on a library's gates, ready for activity.

    Attributes
    ----------
    found : Synthesis
    netlist : Netlist
    verilog : str
    library : Library
    cells : dict of str to Cell
    power : dict of str to PowerCell
    volts : float
    """

    found: Synthesis
    netlist: Netlist
    verilog: str
    library: Library
    cells: dict[str, Cell]
    power: dict[str, PowerCell]
    volts: float

    @classmethod
    def of(cls, found: Synthesis, blif: str, verilog: str, library: Library) -> "MappedNpu":
        """Read what a synthesis wrote, and the library's energies."""
        texts = [read_library(path) for path in library.cells]
        cells = read_cells([*texts, cut_liberty(library.technology)])
        netlist = read_blif(blif)
        used = {gate.cell for gate in netlist.gates} | {library.technology.driver}
        return cls(found, netlist, verilog, library, cells, *read_power_cells(texts, used))

    @property
    def bits(self) -> set[str]:
        """Names of the bits whose words a measurement wants."""
        answers = {self.netlist.source(gate.pins["Q"]) for gate in self.netlist.gates if gate.cell == READ_CELL}
        return {gate.name for gate in self.netlist.gates} | answers | set(self.netlist.inputs)


def measure_power(npu: MappedNpu, activity: Activity, clock: tuple[float, str], *, stage: Stage = no_stage) -> Power:
    """Power of a mapped NPU.

    Parameters
    ----------
    npu : MappedNpu
    activity : Activity
    clock : (float, str)
        MHz, and where they are from.
    stage : Stage
    """
    technology = npu.library.technology
    with stage(f"{npu.found.top} of {npu.found.config}: power of {len(npu.netlist.gates)} gates in {len(activity.weights)} windows"):
        nets = nets_of(npu.netlist, npu.power, float(technology.load) * _load_unit(technology))
        wrong = _fill(nets, npu, activity, float(technology.slew) * technology.unit_ps * 1e-12)
        energies = energies_of(nets, npu.cells, npu.power, npu.volts)
        blocks = _blocks(npu, energies, activity.weights)
        enables = enable_words(nets, npu.cells, npu.power)
        memories, accesses = _memories(npu, nets, activity.weights)
        tree, tree_source, clocked = clock_tree(nets, npu.cells, npu.power.get(technology.driver), enables, npu.volts)
    whole = energies.clock.sum(axis=0) + energies.internal.sum(axis=0) + energies.switching.sum(axis=0) + tree + accesses
    return Power(
        config=npu.found.config,
        library=npu.found.library,
        network=activity.network,
        note=activity.note,
        cycles=activity.cycles,
        windows=len(activity.weights),
        window_cycles=WINDOW,
        clock_mhz=clock[0],
        clock_source=clock[1],
        memory_source=HOROWITZ_45NM.source,
        tree_source=tree_source,
        disagreement=wrong,
        tree=float(tree @ activity.weights) * 1e12,
        gates_clocked=float(clocked @ activity.weights),
        blocks=blocks,
        memories=memories,
        layers=_layers(activity.layers, whole * 1e12),
    )


def _load_unit(technology):
    """Farads of the unit in which a technology states its load: Liberty files of ps have fF, those of ns pF."""
    return 1e-15 if technology.unit_ps == 1 else 1e-12


def _fill(nets: Nets, npu: MappedNpu, activity: Activity, slew):
    """Give every net its words; the part of the flip-flops' bits that do not follow from the cycle before."""
    order = levels(nets, npu.power)
    unnamed = put_registers(nets, activity.waves, npu.cells, npu.power, len(activity.weights), slew)
    compute(nets, order, slews=True)
    for _ in range(PASSES if unnamed else 0):
        follow(nets, unnamed, enable_words(nets, npu.cells, npu.power), npu.cells, npu.power)
        compute(nets, order, slews=False)
    wrong = disagreement(nets, activity.waves, enable_words(nets, npu.cells, npu.power), npu.cells, npu.power)
    if wrong > MOST_DISAGREEMENT:
        raise AssertionError(f"the gates do not follow the RTL: {100 * wrong:.1f} % of the flip-flops' bits differ")
    return wrong


def _blocks(npu: MappedNpu, energies: Energies, weights):
    """Sums by block, with the shares of the table of areas."""
    known = read_blocks(npu.verilog)
    held = owners(npu.netlist, known, npu.found.top, npu.cells)
    clock, internal, switching = (each @ weights * 1e12 for each in (energies.clock, energies.internal, energies.switching))
    sums: dict[Block, np.ndarray] = defaultdict(lambda: np.zeros(4))
    for number, share in enumerate(shares(npu.netlist, held, known.at("", npu.found.top), npu.cells)):
        figures = np.array([internal[number], switching[number], clock[number], energies.leakage[number] * 1e3])
        for block, part in share.items():
            sums[block] += part * figures
    return tuple(BlockPower(block.room, block.component, *map(float, sums[block])) for block in sorted(sums, key=str))


def _memories(npu: MappedNpu, nets: Nets, weights):
    """Accesses of the cut memories by their enables, and joules a cycle of each window."""
    known, ports = read_blocks(npu.verilog), defaultdict(lambda: defaultdict(list))
    for gate in npu.netlist.gates:
        if is_memory(gate) and (found := re.fullmatch(r"(.*)\.(q|ra|re|wd|wa|we)\[\d+\]", gate.name)):
            ports[found[1]][found[2]].append(nets.number(gate.pins["Q" if gate.cell == READ_CELL else "D"]))
    sums, accesses = defaultdict(lambda: np.zeros(4)), np.zeros(len(weights))
    for name, nets_at in ports.items():
        rows, bits = 2 ** len(nets_at["wa"]), len(nets_at["wd"])
        reads, writes = (np.bitwise_count(nets.words[nets_at[port]]).mean(axis=0) / WINDOW for port in ("re", "we"))
        joules = (reads + writes) * HOROWITZ_45NM.sram_byte(rows * SLICE_BYTES) * bits / 8 * 1e-12
        accesses += joules
        place = known.at(name, npu.found.top).component, rows, bits
        sums[place] += np.array([1, reads @ weights, writes @ weights, joules @ weights * 1e12])
    listed = (MemoryPower(key[0], int(each[0]), *key[1:], *map(float, each[1:])) for key, each in sums.items())
    return tuple(sorted(listed, key=lambda each: -each.energy)), accesses


def _layers(names, energy):
    """Means over the windows of each layer, in the order in which they run."""
    places = {name: [number for number, each in enumerate(names) if each == name] for name in dict.fromkeys(names)}
    return tuple(LayerPower(name, len(each), float(energy[each].mean())) for name, each in places.items())
