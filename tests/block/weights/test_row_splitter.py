"""Rows of 4-bit weights, taken apart for the array."""

import random

import pytest

from hw.npu.weights.row_splitter import RowSplitter
from tests.streams import expect, put, random_pattern, simulate


def signed_half(value):
    """A nibble as a byte, with its sign."""
    return (value ^ 8) - 8 & 255


def halves(row, cols, upper):
    """A row of the array: the lower or the upper half of every byte."""
    plain = {name: row[name] for name in ("table", "params")}
    bytes_of = [row["cols"] >> 8 * col & 255 for col in range(cols)]
    weights = [signed_half(byte >> 4 if upper else byte & 15) for byte in bytes_of]
    zero, last = (row["zero_upper"], row["last"]) if upper else (row["zero"], row["last"] and not row["upper"])
    return plain | {"zero": zero, "row": 2 * row["row"] + upper, "last": int(last), "cols": int.from_bytes(weights, "little")}


@pytest.mark.parametrize("cols", [4, 8])
def test_pairs_become_two_rows_and_others_pass(cols, seed):
    rng = random.Random(seed)
    rows, want = [], []
    for _ in range(200):
        row = {name: rng.randrange(2) for name in ("table", "params", "zero", "last", "pair", "upper", "zero_upper")}
        row |= {"row": rng.randrange(32), "cols": rng.getrandbits(8 * cols)}
        rows.append(row)
        if row["pair"]:
            want += [halves(row, cols, upper) for upper in range(1 + row["upper"])]
        else:
            want.append({name: row[name] for name in ("table", "params", "zero", "row", "last", "cols")})
    dut = RowSplitter(cols=cols)
    give, take = random_pattern(rng), random_pattern(rng)
    simulate(dut, lambda ctx: put(ctx, dut.i, rows, give), lambda ctx: expect(ctx, dut.o, want, take), watched=[dut.o])
