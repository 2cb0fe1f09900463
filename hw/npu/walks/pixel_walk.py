"""The order in which the output stage visits vectors, with their addresses."""

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.ports import ADDRESS_BITS
from hw.npu.parts.promise import promise

WALK_BITS = ADDRESS_BITS + 2
"""Width of an address that is computed: one step beyond the scratchpad cannot wrap, and no walk goes on after that."""

WALK = data.StructLayout({
    "block_rows": unsigned(9),
    "block_cols": unsigned(9),
    "column_tiles": unsigned(12),
    "last_cols": unsigned(7),
    "address": unsigned(ADDRESS_BITS + 1),
    "pixel_step": unsigned(20),
    "row_step": unsigned(ADDRESS_BITS),
})
"""Loops and steps of a walk; names and units as in ``loops`` and ``output`` of a command. An address of ``input`` fits too: one below 0 is
one beyond every scratchpad."""


def vector_layout(*, lanes, groups) -> data.StructLayout:
    """One vector of a walk: address and bytes that count; accumulator entry and group of lanes; whether it is the last of its
    entry, job (column tile) and command.
    """
    return data.StructLayout({
        "address": unsigned(WALK_BITS),
        "bytes": range(lanes + 1),
        "entry": unsigned(8),
        "group": range(max(2, groups)),
        "entry_end": unsigned(1),
        "job_end": unsigned(1),
        "command_end": unsigned(1),
    })


class PixelWalk(wiring.Component):
    """Walks over column tiles, rows, columns and groups of lanes, the last fastest; a vector a step.

    Groups without a used channel are left out: a pixel of the last column tile takes ceil(last_cols / lanes) vectors.

    Parameters
    ----------
    cols, lanes : int
        Output channels of a tile, and of a vector.
    size : int
        Size of the scratchpad.

    Members
    -------
    start : In(1)
        Takes ``walk`` and stands at its first vector in the next cycle.
    walk : In(WALK)
        Loops and steps, steady until the end.
    step : In(1)
        Goes to the next vector; only while ``valid``.
    valid, vector : Out(1), Out(vector_layout)
        The present vector; low after the last.
    outside : Out(1)
        A byte of the present vector that counts lies outside the scratchpad.
    """

    def __init__(self, *, cols, lanes, size):
        self.cols, self.lanes, self.size = cols, lanes, size
        self.layout = vector_layout(lanes=lanes, groups=cols // lanes)
        super().__init__({
            "start": In(1),
            "walk": In(WALK),
            "step": In(1),
            "valid": Out(1),
            "vector": Out(self.layout),
            "outside": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        walk, lanes = self.walk, self.lanes

        def register(shape, name):
            return Signal(shape, name=name, reset_less=True)

        address, pixel, row, tile = (register(WALK_BITS, name) for name in ("address", "pixel", "row", "tile"))
        entry, group = register(8, "entry"), register(self.layout["group"].shape, "group")
        channels = register(range(self.cols + 1), "channels")  # of the pixel, from this vector on
        cols_left, rows_left, tiles_left = register(9, "cols_left"), register(9, "rows_left"), register(12, "tiles_left")
        # what ends with this vector
        entry_end, row_end, job_end = channels <= lanes, cols_left == 1, Signal()
        used = Mux(entry_end, channels, lanes)
        m.d.comb += [
            job_end.eq(entry_end & row_end & (rows_left == 1)),
            self.vector.address.eq(address),
            self.vector.bytes.eq(used),
            self.vector.entry.eq(entry),
            self.vector.group.eq(group),
            self.vector.entry_end.eq(entry_end),
            self.vector.job_end.eq(job_end),
            self.vector.command_end.eq(job_end & (tiles_left == 1)),
            self.outside.eq(address + used > self.size),
        ]

        def channels_of(tiles):
            return Mux(tiles == 1, walk.last_cols, self.cols)

        # one adder: from the start of what goes on to its next member; at the very start, the first address and nothing to add
        base, stride, following = Signal(WALK_BITS), Signal(ADDRESS_BITS), Signal(WALK_BITS)
        m.d.comb += following.eq(base + stride)
        with m.If(self.start):
            m.d.comb += [base.eq(walk.address), stride.eq(0)]
        with m.Elif(~entry_end):
            m.d.comb += [base.eq(address), stride.eq(lanes)]
        with m.Elif(~row_end):
            m.d.comb += [base.eq(pixel), stride.eq(walk.pixel_step)]
        with m.Elif(~job_end):
            m.d.comb += [base.eq(row), stride.eq(walk.row_step)]
        with m.Else():
            m.d.comb += [base.eq(tile), stride.eq(self.cols)]
        starts = (address, Const(1)), (pixel, entry_end), (row, entry_end & row_end), (tile, job_end)
        for place, ends in starts:
            with m.If(self.start | (self.step & ends)):
                m.d.sync += place.eq(following)

        with m.If(self.start):
            m.d.sync += [
                self.valid.eq(1),
                entry.eq(0),
                group.eq(0),
                channels.eq(channels_of(walk.column_tiles)),
                cols_left.eq(walk.block_cols),
                rows_left.eq(walk.block_rows),
                tiles_left.eq(walk.column_tiles),
            ]
        with m.Elif(self.step & ~entry_end):
            m.d.sync += [group.eq(group + 1), channels.eq(channels - lanes)]
        with m.Elif(self.step):
            m.d.sync += [
                group.eq(0),
                entry.eq(Mux(job_end, 0, entry + 1)),
                channels.eq(channels_of(Mux(job_end, tiles_left - 1, tiles_left))),
                cols_left.eq(Mux(row_end, walk.block_cols, cols_left - 1)),
            ]
            with m.If(row_end):
                m.d.sync += rows_left.eq(Mux(job_end, walk.block_rows, rows_left - 1))
            with m.If(job_end):
                m.d.sync += tiles_left.eq(tiles_left - 1)
            with m.If(self.vector.command_end):
                m.d.sync += self.valid.eq(0)
        promise(m, self, ~self.step | self.valid, "a vector is taken only while there is one")
        return m
