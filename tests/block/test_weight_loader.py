"""Weight loader: what it does before the first command; with commands it runs in `test_execute_unit`."""

import pytest

from hw.npu.weights.weight_loader import WeightLoader
from tests.streams import simulate


@pytest.mark.parametrize(("rows", "int4"), [(4, False), (8, True)])
def test_zeros_go_into_every_row_of_both_planes_after_the_reset(rows, int4):
    """A short reduction tile multiplies the rows behind it by 0: they must hold something, and nobody knows what they hold at power-on."""
    dut = WeightLoader(rows=rows, cols=4, groups=2, size=256, read_latency=2, int4=int4)
    written = []

    async def check(ctx):
        ctx.set(dut.enable, 1)
        ports = (dut.write, dut.write_row, dut.write_plane, *dut.weights, dut.tile_loaded)
        for _ in range(2 * rows + 20):
            *_, write, row, plane, one, two, three, four, loaded = await ctx.tick().sample(*ports)
            assert not loaded, "no tile is there"
            if write:
                written.append((plane, row, one, two, three, four))

    simulate(dut, check)
    assert written == [(plane, row, 0, 0, 0, 0) for plane in range(2) for row in range(rows)]
