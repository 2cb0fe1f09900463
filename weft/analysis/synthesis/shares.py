"""Which block each gate of a flat netlist belongs to: what holds bits by its name, logic by what it leads to."""

from collections import defaultdict

from weft.analysis.synthesis.blocks import Block, Blocks
from weft.analysis.synthesis.liberty import Cell
from weft.analysis.synthesis.netlist import Netlist

Share = dict[Block, float]


def owners(netlist: Netlist, blocks: Blocks, top: str, cells: dict[str, Cell]) -> dict[int, Block]:
    """The block of each gate that holds bits, by the gate's number.

    A clock gate has no name of the design; it belongs to the block of the first register that it clocks.
    """
    found, gates = {}, []
    for number in netlist.holding(cells):
        gate = netlist.gates[number]
        cell = cells.get(gate.cell)
        if cell and cell.clock_gate:
            gates.append(number)
        else:
            found[number] = blocks.at(gate.name, top)
    clocked = {}
    for number, block in found.items():
        for net in netlist.gates[number].pins.values():
            clocked.setdefault(net, (block, netlist.gates[number].name))
    for number in gates:
        gate = netlist.gates[number]
        outputs = (net for pin, net in gate.pins.items() if pin in cells[gate.cell].outputs)
        found[number], first = next((clocked[net] for net in outputs if net in clocked), (blocks.at("", top), "nothing"))
        gate.name = f"clock gate of {first}"
    return found


def shares(netlist: Netlist, held: dict[int, Block], rest: Block, cells: dict[str, Cell]) -> list[Share]:
    """The part of each gate that each block owns.

    Logic belongs to the registers that it leads to: a gate whose output is read by several others has the mean of their shares. What
    leads to ports of the top alone is `rest`'s.
    """
    readers = _readers(netlist, cells)
    found: list[Share | None] = [{held[number]: 1.0} if number in held else None for number in range(len(netlist.gates))]
    for start in range(len(found)):
        stack = [start]
        while stack:
            number = stack[-1]
            if found[number] is not None:
                stack.pop()
                continue
            missing = [each for each in readers[number] if found[each] is None]
            if missing:
                stack += missing
                continue
            found[number] = _mean([found[each] for each in readers[number]]) or {rest: 1.0}
            stack.pop()
    return found


def _readers(netlist, cells):
    """Numbers of the gates that read each gate's outputs, once for each pin."""
    driver = {}
    for number, gate in enumerate(netlist.gates):
        if gate.cell in cells:
            driver.update((net, number) for pin, net in gate.pins.items() if pin in cells[gate.cell].outputs)
    readers = defaultdict(list)
    for number, gate in enumerate(netlist.gates):
        for pin, net in gate.pins.items():
            source = driver.get(net)
            if source is not None and source != number and not (gate.cell in cells and pin in cells[gate.cell].outputs):
                readers[source].append(number)
    return readers


def _mean(parts):
    total: Share = defaultdict(float)
    for part in parts:
        for block, share in part.items():
            total[block] += share / len(parts)
    return dict(total)
