"""Cascades of random small networks: rows are made before they are read, and a ring of `rows_held` rows keeps what is still needed."""

import numpy as np

from hw.npu.config import PRESETS
from tests.random_graphs import GraphMaker
from weft.compiler.bands import cascade, operands, rows_held, touches
from weft.compiler.fuse import fuse
from weft.compiler.select import select
from weft.compiler.steps import Network

SMALL = PRESETS["small"]
CASES = 60


def random_chain(rng) -> Network:
    """Two to five windows one after the other, sometimes with a sum of two of them."""
    maker = GraphMaker(rng, (1, int(rng.integers(6, 30)), 8, 4))
    made = "input"
    for _ in range(int(rng.integers(2, 6))):
        height = maker.tensors[made].shape[1]
        kernel, stride = (int(rng.integers(1, min(6, height + 1))), 1), (int(rng.choice([1, 1, 2, 3])), 1)
        padding = str(rng.choice(["SAME", "VALID"]))
        kind = rng.choice(["conv", "max", "add"])
        if kind == "add":
            made = maker.add(maker.conv(made, 4, (kernel[0], 1)), made)
        elif kind == "max":
            made = maker.pool("MAX_POOL_2D", made, kernel, stride=stride, padding=padding)
        else:
            made = maker.conv(made, 4, kernel, stride=stride, padding=padding)
    return fuse(select(maker.graph(made), SMALL))


def random_cascade(rng):
    """A network, and its bands of random heights."""
    network = random_chain(rng)
    heights = [int(rng.integers(1, 9)) for _ in network.steps]
    return network, cascade(network, 0, len(network.steps), heights.__getitem__)


def read_by(network, band, tensor) -> range:
    """Rows of a tensor that a band reads, from the first to the last."""
    spans = [span for name, span in operands(network.steps[band.step], band.y, band.rows) if name == tensor and span[1] > span[0]]
    return range(min(low for low, _ in spans), max(high for _, high in spans)) if spans else range(0)


class Ring:
    """Slots for rows, each holding the last one written to it."""

    def __init__(self, rows):
        self.slots = [-1] * rows

    def write(self, rows):
        for row in rows:
            self.slots[row % len(self.slots)] = row

    def holds(self, rows) -> bool:
        return all(self.slots[row % len(self.slots)] == row for row in rows)


def made_ring_suffices(network, bands, tensor, rows, stored) -> bool:
    """Plays the bands: each reads what it needs, then writes; what the band before wrote may still be on its way to DDR."""
    ring, leaving = Ring(rows), range(0)
    for band in bands:
        if not ring.holds(read_by(network, band, tensor)):
            return False
        if network.steps[band.step].output == tensor:
            made = range(band.y, band.y + band.rows)
            ring.write(made)
            if not ring.holds(made) or (stored and not ring.holds(leaving)):
                return False
            leaving = made
    return True


def loaded_ring_suffices(network, bands, tensor, rows) -> bool:
    """Plays the loads: while a band computes, the rows of the next one that reads the tensor are on their way."""
    ring, reads = Ring(rows), [span for band in bands if (span := read_by(network, band, tensor))]
    following = min(span.start for span in reads)
    for place, span in enumerate(reads):
        end = max(each.stop for each in reads[: place + 2])
        ring.write(range(following, end))
        following = max(following, end)
        if not ring.holds(span):
            return False
    return True


def test_bands_are_all_rows_of_each_step_in_their_order_and_read_only_what_is_made(seed):
    rng = np.random.default_rng(seed)
    for _ in range(CASES):
        network, bands = random_cascade(rng)
        made = {step.output: 0 for step in network.steps} | {"input": 1 << 20}
        for band in bands:
            step = network.steps[band.step]
            for name in step.reads:
                read = read_by(network, band, name)
                assert not read or read.stop <= made[name], f"{band} of {step.name} reads {name} to row {read.stop}, made are {made}"
            assert band.y == made[step.output] and band.rows > 0
            made[step.output] += band.rows
        assert all(made[step.output] == step.result.height for step in network.steps)


def test_a_ring_of_the_rows_held_loses_no_row_that_is_still_needed_and_one_row_less_does(seed):
    rng, tight, rings = np.random.default_rng(seed), 0, 0
    for _ in range(CASES):
        network, bands = random_cascade(rng)
        for step in network.steps:
            height = step.result.height
            for stored in (False, True):
                rows = rows_held(network, touches(network, bands)[step.output], height, loaded=False, stored=stored)
                assert made_ring_suffices(network, bands, step.output, rows, stored), f"{rows} rows of {step.output}: {bands}"
                if 1 < rows < height:
                    rings += 1
                    tight += not made_ring_suffices(network, bands, step.output, rows - 1, stored)
    assert rings > CASES and tight > 0.9 * rings, f"{tight} of {rings}"


def test_a_ring_that_is_loaded_loses_no_row_while_the_next_band_s_rows_arrive(seed):
    rng, tight, rings = np.random.default_rng(seed), 0, 0
    for _ in range(CASES):
        network, bands = random_cascade(rng)
        height = network.graph.tensors["input"].shape[1]
        rows = rows_held(network, touches(network, bands)["input"], height, loaded=True, stored=False)
        assert loaded_ring_suffices(network, bands, "input", rows), f"{rows} rows: {bands}"
        if 1 < rows < height:
            rings += 1
            tight += not loaded_ring_suffices(network, bands, "input", rows - 1)
    assert rings > CASES // 4 and tight > 0.9 * rings, f"{tight} of {rings}"
