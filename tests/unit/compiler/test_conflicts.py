"""Which ports meet in a bank, counted byte by byte and cycle by cycle over two block rows: the length chosen loses the least."""

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from weft.compiler.conflicts import POSITIONS_TRIED, best_positions, choose_pitch
from weft.compiler.fir import Taps

CASES = 80


def granted_after(reads, config) -> int:
    """Cycles until all reads, (first byte, bytes), have been granted: each cycle in their order those whose banks are free."""
    waiting = [{byte // config.word_bytes % config.BANKS for byte in range(first, first + size)} for first, size in reads]
    cycles = 0
    while waiting:
        busy, refused = set(), []
        for banks in waiting:
            if banks & busy:
                refused.append(banks)
            else:
                busy |= banks
        waiting, cycles = refused, cycles + 1
    return cycles


def second_row_cycles(part, steps, along, across, row_step, width, config) -> int:
    """Cycles of the second of two block rows; port `side` is ``side * count`` steps behind, at first still in the row before."""
    cycles, first = 0, (1 << 20) - row_step
    for step in range(steps, 2 * steps):
        behind = [step - side * part.count for side in range(min(part.span, part.lines))]
        places = [each // steps * row_step + each % steps * along + side * across for side, each in enumerate(behind)]
        cycles += granted_after([(first + place, width) for place in places], config)
    return cycles


@pytest.mark.parametrize("config", [NpuConfig(), NpuConfig(rows=8, cols=8), NpuConfig(rows=32, cols=32)], ids=str)
def test_the_length_of_a_block_row_is_the_cheapest_of_those_tried(config, seed):
    rng, longer = np.random.default_rng(seed), 0
    for _ in range(CASES):
        count, span = int(rng.integers(1, 6)), int(rng.integers(1, 4))
        part = Taps(1, 0, count, int(rng.integers(1, 6)), span)
        # no port lags more than a block row: behind it there are two rows to tell apart
        least = int(rng.integers(max(3, 2 * count), 30))
        pixel, pitch = int(rng.integers(1, 80)), int(rng.integers(100, 3000))
        width = int(rng.integers(1, config.cols + 1))
        sizes = (pixel, pitch, pitch * int(rng.integers(1, 3)), width)
        costs = {steps: second_row_cycles(part, steps, *sizes, config) for steps in range(least, least + POSITIONS_TRIED)}
        chosen = best_positions(part, least, *sizes, config)
        assert costs[chosen] == min(costs.values()), f"{part}, {sizes}: {chosen} of {costs}"
        assert chosen == min(steps for steps, cost in costs.items() if cost == costs[chosen]), f"{part}, {sizes}: {chosen} of {costs}"
        longer += chosen > least
    assert longer


def test_a_tensor_without_readers_lies_dense_unless_its_rows_are_all_in_one_bank(seed):
    config = NpuConfig()
    around = config.BANKS * config.word_bytes
    for row_bytes in map(int, np.random.default_rng(seed).integers(1, 4000, CASES)):
        assert choose_pitch(row_bytes, [], config) == (row_bytes if row_bytes % around else row_bytes + config.word_bytes)
    assert choose_pitch(3 * around, [], config) == 3 * around + config.word_bytes
