"""How often the feeder's read ports meet in one bank, for each row pitch that a tensor could have: what `plan` chooses pitches by.

Kernel rows that are read side by side lie ``tap * pitch`` apart, less what the later ports lag behind or what stands before them in
a reduction tile. Ports that ask for the same bank are granted one after the other, a cycle each (`hw.npu.scratchpad.spare_arbiter`).
"""

from functools import lru_cache

from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Opcode
from hw.npu.walks.reduction_walk import reduction_tiles
from weft.compiler.fir import Taps
from weft.compiler.steps import Step
from weft.compiler.tile import StepTiler

SAMPLED_STEPS = 16
"""Steps along a block row that are looked at: two turns of eight banks."""
POSITIONS_TRIED = 3
"""Lengths of a block row that are tried."""
WORDS_TRIED = 8
"""Pitches that are tried beside the row itself: 0 to 7 words more than the words that hold a row."""


def port_reads(tiler: StepTiler, pitch: int) -> tuple[int, tuple[tuple[tuple[int, int], ...], ...]]:
    """Bytes from step to step, and for each reduction tile its ports: first byte relative to the step's, and how many it reads."""
    step, config = tiler.step, tiler.config
    dx = step.image.channels if step.source_view is None else step.source_view.dx
    if step.opcode == Opcode.DEPTHWISE:
        fir = tiler.fir(step.result.height)
        along, across = (fir.step * pitch, step.dilation[1] * dx) if fir.axis == 0 else (fir.step * dx, step.dilation[0] * pitch)
        width = min(config.cols, step.image.channels)
        tiles = [_filter_ports(part, along, across, width) for part in fir.parts]
        return along, tuple(tiles)
    if step.opcode == Opcode.MATMUL:
        (part,) = tiler.reduction.whole(tiler.depth)
        if part.span > 1:
            return step.stride[1] * dx, tuple(_packed_ports(part, step, pitch, tiler.depth.terms))
    return 0, ()


def _filter_ports(part: Taps, along: int, across: int, width: int) -> tuple[tuple[int, int], ...]:
    return tuple((side * (across - part.count * along), width) for side in range(min(part.span, part.lines)))


def _packed_ports(part, step: Step, pitch: int, depth: int):
    for tile in reduction_tiles(taps_y=part.taps_y, taps_x=1, lanes=part.lanes, span=part.span, rows=depth):
        ports, before = [], 0
        for side, taken in enumerate(tile.bytes):
            if taken:
                start = tile.first if side == 0 else -before
                ports.append((side * step.dilation[0] * pitch + start, before + taken))
            before += taken
        yield tuple(ports)


@lru_cache(maxsize=1 << 14)
def _rounds(ports: tuple[tuple[int, int], ...], word: int, banks: int) -> int:
    """`rounds` of ports that read from a byte on so many."""
    return rounds([1 << place // word % banks | 1 << (place + taken - 1) // word % banks for place, taken in ports])


def rounds(masks: list[int]) -> int:
    """Cycles beyond the first until every port has been granted; a mask of banks each, the ones that go first in front."""
    return max(0, len(turns(masks)) - 1)


def turns(masks: list[int]) -> list[int]:
    """Banks that are read in each cycle until every port has been granted; arguments as `rounds` takes them."""
    cycles = []
    while masks:
        used, waiting = 0, []
        for mask in masks:
            if mask & used:
                waiting.append(mask)
            else:
                used |= mask
        cycles.append(used)
        masks = waiting
    return cycles


def best_positions(part: Taps, least: int, along: int, across: int, row_step: int, width: int, config: NpuConfig) -> int:
    """Steps of a block row of a DEPTHWISE, at least so many: a step more may keep the ports apart where one of them has begun the next row.

    Parameters
    ----------
    along, across, row_step : int
        Bytes from step to step, from kernel row to kernel row, and from block row to block row.
    width : int
        Bytes of a read.
    """
    return min(
        range(least, least + POSITIONS_TRIED), key=lambda steps: steps + _row_conflicts(part, steps, along, across, row_step, width, config)
    )


def _row_conflicts(part, steps, along, across, row_step, width, config) -> int:
    """Cycles that the ports lose to each other in a block row that follows another."""
    around, lost = config.BANKS * config.word_bytes, 0
    for step in range(steps):
        ports = []
        for side in range(min(part.span, part.lines)):
            behind = step - side * part.count  # the step at which this port is
            place = side * across + (behind * along if behind >= 0 else (behind + steps) * along - row_step)
            ports.append((place % around, width))
        lost += _rounds(tuple(ports), config.word_bytes, config.BANKS)
    return lost


def conflicts(tiler: StepTiler, pitch: int, config: NpuConfig) -> float:
    """Cycles that a step loses to its own ports' conflicts, of its cycles: a part of them."""
    along, tiles = port_reads(tiler, pitch)
    around = config.BANKS * config.word_bytes
    lost = sampled = 0
    for ports in tiles:
        for number in range(SAMPLED_STEPS):
            places = tuple(((place + number * along) % around, taken) for place, taken in ports)
            lost += _rounds(places, config.word_bytes, config.BANKS)
            sampled += 1
    return lost / sampled if sampled else 0.0


def pitches(rows: dict[str, int], readers: dict[str, list[StepTiler]], alike: list[tuple[str, str]], config: NpuConfig) -> dict[str, int]:
    """A pitch for each tensor.

    Parameters
    ----------
    rows : dict of str to int
        Bytes of a row.
    readers : dict of str to list of StepTiler
        Steps that read it as their source.
    alike : list of (str, str)
        Tensors of equal rows that should have equal pitches: a sum may then take the bytes of its operand.
    """
    group = {name: name for name in rows}

    def leader(name):
        while group[name] != name:
            name = group[name]
        return name

    for a, b in alike:
        if a in rows and b in rows and rows[a] == rows[b]:
            group[leader(a)] = leader(b)
    members: dict[str, list[StepTiler]] = {}
    for name in rows:
        members.setdefault(leader(name), []).extend(readers.get(name, ()))
    chosen = {name: choose_pitch(rows[name], tilers, config) for name, tilers in members.items()}
    return {name: chosen[leader(name)] for name in rows}


def choose_pitch(row_bytes: int, readers: list[StepTiler], config: NpuConfig) -> int:
    """The shortest of the pitches at which its readers lose the fewest cycles; no multiple of all banks, where writers meet readers."""
    options = []
    whole_words = -(-row_bytes // config.word_bytes) * config.word_bytes
    for pitch in (row_bytes, *(whole_words + words * config.word_bytes for words in range(WORDS_TRIED))):
        lost = sum(conflicts(tiler, pitch, config) * tiler.band_cycles(tiler.step.result.height) for tiler in readers)
        multiple = pitch % (config.BANKS * config.word_bytes) == 0
        options.append((round(lost), multiple, pitch))
    return min(options)[2]
