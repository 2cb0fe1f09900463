"""The order in which the output stage visits vectors, with their addresses."""

from amaranth.hdl import Array, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.ports import ADDRESS_BITS
from hw.npu.parts.fifo import StreamFifo
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

ENDS = data.StructLayout({"entry_end": 1, "job_end": 1, "command_end": 1, "outside": 1})
"""What of a vector is known before it is taken: what ends with it, and whether a byte of it lies outside the scratchpad."""


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
    r"""Walks over column tiles, rows, columns and groups of lanes, the last fastest; a vector a cycle.

    Groups without a used channel are left out: a pixel of the last column tile takes ceil(last_cols / lanes) vectors. It walks ahead of
    those who take the vectors, which wait in a queue.

    ::

        loops --> addresses --> outside? --> queue --> ends, before the vector is taken
                                                  \--> vector, after that

    The first vector can be taken `FIRST` cycles after ``start``.

    Parameters
    ----------
    cols, lanes : int
        Output channels of a tile, and of a vector.
    size : int
        Size of the scratchpad.

    Members
    -------
    start : In(1)
        Begins; not before the last vector of the walk before is taken.
    walk : In(WALK)
        Loops and steps, steady from ``start`` to the end.
    valid, ends : Out(1), Out(ENDS)
        There is a vector, and what is known of it.
    step : In(1)
        Takes it; only while ``valid``.
    vector : Out(vector_layout)
        The vector that was taken in the cycle before.
    """

    DEPTH = 8
    """Vectors ahead: four on their way, and the answer to ``step`` takes two cycles."""
    FIRST = 5
    """Cycles from ``start`` to the first vector: loops, addresses, outside, queue, ends."""

    def __init__(self, *, cols, lanes, size):
        self.cols, self.lanes, self.size = cols, lanes, size
        self.layout = vector_layout(lanes=lanes, groups=cols // lanes)
        super().__init__({
            "start": In(1),
            "walk": In(WALK),
            "valid": Out(1),
            "ends": Out(ENDS),
            "step": In(1),
            "vector": Out(self.layout),
        })

    def elaborate(self, platform):
        m = Module()
        launch = Signal()
        looped = self._loops(m, launch)
        addressed = self._addresses(m, looped)
        self._queue(m, launch, addressed)
        return m

    def _loops(self, m, launch):
        """Stage 1: a counter for each loop, from the innermost on. Gives what they launch, a cycle later."""
        walk, lanes = self.walk, self.lanes
        running = Signal()
        room = Signal()
        ahead = Signal(range(self.DEPTH + 1))
        m.d.comb += launch.eq(running & room)
        m.d.sync += [ahead.eq(ahead + launch - self.step), room.eq(ahead < self.DEPTH - 2)]
        # the last of a job, if it is one of an entry; the vector behind is of the last column tile
        job_end = Signal()
        last_tile = Signal()
        group, channels, entry_end = self._groups(m, launch, last_tile)
        entry, row_end, rows_end = self._pixels(m, launch & entry_end, job_end)
        tiles_end, next_tiles_end = self._tiles(m, launch & entry_end & job_end, running)
        m.d.comb += [
            job_end.eq(row_end & rows_end),
            last_tile.eq(Mux(self.start, walk.column_tiles == 1, Mux(job_end, next_tiles_end, tiles_end))),
        ]

        vector = Signal(self.layout, name="looped", reset_less=True)
        stride = Signal(ADDRESS_BITS, reset_less=True)
        ends = Signal(2, name="ends_of", reset_less=True)  # none, of an entry, of a row, of a job
        m.d.sync += [
            vector.bytes.eq(Mux(entry_end, channels, lanes)),
            vector.entry.eq(entry),
            vector.group.eq(group),
            vector.entry_end.eq(entry_end),
            vector.job_end.eq(entry_end & job_end),
            vector.command_end.eq(entry_end & job_end & tiles_end),
            ends.eq(Mux(~entry_end, 0, Mux(~row_end, 1, Mux(~rows_end, 2, 3)))),
            stride.eq(Mux(~entry_end, lanes, Mux(~row_end, walk.pixel_step, Mux(~rows_end, walk.row_step, self.cols)))),
        ]
        launched = Signal()
        m.d.sync += launched.eq(launch)
        return launched, vector, stride, ends

    def _groups(self, m, launch, last_tile):
        """The loop over groups of lanes. Registers: the group, the channels from it on, and that it is the entry's last."""
        last_cols, lanes = self.walk.last_cols, self.lanes
        group = Signal(self.layout["group"].shape, reset_less=True)
        channels = Signal(range(self.cols + 1), reset_less=True)
        entry_end = Signal(reset_less=True)
        with m.If(self.start | (launch & entry_end)):
            m.d.sync += [
                group.eq(0),
                channels.eq(Mux(last_tile, last_cols, self.cols)),
                entry_end.eq(Mux(last_tile, last_cols <= lanes, self.cols <= lanes)),
            ]
        with m.Elif(launch):
            m.d.sync += [group.eq(group + 1), channels.eq(channels - lanes), entry_end.eq(channels <= 2 * lanes)]
        return group, channels, entry_end

    def _pixels(self, m, passed, job_end):
        """The loops over columns and rows. Registers: the entry of the pixel, that it is the last of its row, and its row of the job's."""
        walk = self.walk
        entry = Signal(8, reset_less=True)
        cols_left = Signal(9, reset_less=True)
        row_end = Signal(reset_less=True)
        rows_left = Signal(9, reset_less=True)
        rows_end = Signal(reset_less=True)
        with m.If(self.start | (passed & row_end)):
            m.d.sync += [cols_left.eq(walk.block_cols), row_end.eq(walk.block_cols == 1)]
        with m.Elif(passed):
            m.d.sync += [cols_left.eq(cols_left - 1), row_end.eq(cols_left == 2)]
        with m.If(self.start | (passed & job_end)):
            m.d.sync += [entry.eq(0), rows_left.eq(walk.block_rows), rows_end.eq(walk.block_rows == 1)]
        with m.Elif(passed):
            m.d.sync += entry.eq(entry + 1)
            with m.If(row_end):
                m.d.sync += [rows_left.eq(rows_left - 1), rows_end.eq(rows_left == 2)]
        return entry, row_end, rows_end

    def _tiles(self, m, passed, running):
        """The loop over column tiles, with which the walk ends. Registers: the tile is the last; the next one is."""
        column_tiles = self.walk.column_tiles
        tiles_left = Signal(12, reset_less=True)
        tiles_end = Signal(reset_less=True)
        next_tiles_end = Signal(reset_less=True)
        with m.If(self.start):
            m.d.sync += [
                running.eq(1),
                tiles_left.eq(column_tiles),
                tiles_end.eq(column_tiles == 1),
                next_tiles_end.eq(column_tiles == 2),
            ]
        with m.Elif(passed):
            m.d.sync += [
                running.eq(~tiles_end),
                tiles_left.eq(tiles_left - 1),
                tiles_end.eq(next_tiles_end),
                next_tiles_end.eq(tiles_left == 3),
            ]
        return tiles_end, next_tiles_end

    def _addresses(self, m, looped):
        """Stage 2: the vector's address; one adder goes from the start of what goes on to its next member. Stage 3 holds the vector."""
        valid, vector, stride, ends = looped
        places = [Signal(WALK_BITS, name=name, reset_less=True) for name in ("address", "pixel", "row", "tile")]
        following = Signal(WALK_BITS)
        m.d.comb += following.eq(Array(places)[ends] + stride)
        for number, place in enumerate(places):
            with m.If(self.start):
                m.d.sync += place.eq(self.walk.address)
            with m.Elif(valid & (ends >= number) if number else valid):  # number 0 is that of every step
                m.d.sync += place.eq(following)
        addressed = Signal(self.layout, reset_less=True)
        limit = Signal(WALK_BITS, reset_less=True)
        there = Signal()
        m.d.sync += [addressed.eq(vector), addressed.address.eq(places[0]), limit.eq(self.size - vector.bytes), there.eq(valid)]
        return there, addressed, limit

    def _queue(self, m, launch, addressed):
        """Stage 4: vectors wait, what ends with them in a queue of its own that ends in a register. All that are ahead fit."""
        there, vector, limit = addressed
        m.submodules.waiting = waiting = StreamFifo(self.layout, depth=self.DEPTH)
        m.submodules.waiting_ends = waiting_ends = StreamFifo(ENDS, depth=self.DEPTH)
        ends = waiting_ends.i.payload
        m.d.comb += [
            waiting.i.payload.eq(vector),
            waiting.i.valid.eq(there),
            *(ends[name].eq(vector[name]) for name in ("entry_end", "job_end", "command_end")),
            ends.outside.eq(vector.address > limit),
            waiting_ends.i.valid.eq(there),
            waiting_ends.o.ready.eq(~self.valid | self.step),
            waiting.o.ready.eq(self.step),
        ]
        with m.If(waiting_ends.o.ready):
            m.d.sync += [self.valid.eq(waiting_ends.o.valid), self.ends.eq(waiting_ends.o.payload)]
        m.d.sync += self.vector.eq(waiting.o.payload)
        promise(m, self, ~there | (waiting.i.ready & waiting_ends.i.ready), "there is room for every vector that is ahead")
        promise(m, self, ~self.step | self.valid, "a vector is taken only while there is one")
        promise(m, self, ~(self.start & self.valid), "a walk begins when the last vector of the one before is taken")
