"""The feeder: reads activations and sends waves to the array and to the vector path."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.accumulators import Accumulators
from hw.npu.delay import delayed
from hw.npu.feed_monitor import FEED_EVENT
from hw.npu.isa import Error, Opcode, group_layout
from hw.npu.ports import ReadPort
from hw.npu.status import ERROR_LAYOUT
from hw.npu.tokens import TOKENS, reached
from hw.npu.wave import WAVE_TAG
from hw.npu.wave_generator import WaveGenerator

FEED_COMMAND = data.StructLayout({
    "index": unsigned(32),
    "header": group_layout("header"),
    "loops": group_layout("loops"),
    "input": group_layout("input"),
})
"""What the feeder needs of an execute command."""


def _pending_layout(width):
    """A wave between generator and scratchpad: its address, which lanes are read, which lanes are used, and its tag."""
    return data.StructLayout({
        "address": unsigned(24),
        "outside": unsigned(1),
        "real": unsigned(width),
        "used": unsigned(width),
        "pad": signed(8),
        "matmul": unsigned(1),
        "plane": unsigned(1),
        "tile_end": unsigned(1),
        "command_end": unsigned(1),
        "apart": unsigned(1),
        "tag": WAVE_TAG,
        "index": unsigned(32),
        "opcode": unsigned(8),
    })


class Feeder(wiring.Component):
    """Issues one wave a cycle: reads its bytes, replaces those outside the image by the pad value, and sends it on.

    A wave waits in front of the scratchpad; behind it nothing stalls. The feeder waits for tokens (the command's three
    counts), for the weights of a reduction tile, for a free half of the accumulators, and for the array to be empty before the
    vector path is used: vectors need no cycles in the array and would overtake. ::

        generator --> pending wave --> scratchpad (READ_LATENCY) --> mask, pad --> array or vector path
                      | waits here

    Waves of blocks smaller than the accumulators' pipeline are held `Accumulators.MIN_PERIOD` cycles apart.
    A command takes two cycles from the queue to its first wave; then there are no bubbles.

    Parameters
    ----------
    rows, cols : int
        Size of the array.
    size : int
        Bytes of the activation scratchpad.
    read_latency : int
        Cycles from request to answer.
    array_latency : int
        Cycles of the array.

    Members
    -------
    command : In(stream of FEED_COMMAND)
        In order.
    tokens : In(TOKENS)
        Completed commands.
    read : Out(ReadPort)
        The scratchpad.
    tile_loaded : In(1)
        A pulse for each reduction tile whose weights are in the array.
    half_free : In(1)
        A pulse for each half of the accumulators that was read out.
    matmul, vector : Out(1), Out(1)
        A wave for the array, or for the vector path.
    plane, tag, lanes : Out(1), Out(WAVE_TAG), Out(signed(8)).array(max(R, C))
        The wave.
    tile_passed : Out(1)
        A pulse as the last wave of a reduction tile enters row 0.
    event : Out(FEED_EVENT)
        What this cycle was spent on.
    error : Out(ERROR_LAYOUT)
        ADDRESS, if a byte of the image lies outside the scratchpad.
    """

    def __init__(self, *, rows, cols, size, read_latency, array_latency):
        self.rows, self.cols, self.size = rows, cols, size
        self.read_latency, self.array_latency = read_latency, array_latency
        self.width = max(rows, cols)
        super().__init__({
            "command": In(stream.Signature(FEED_COMMAND)),
            "tokens": In(TOKENS),
            "read": Out(ReadPort(self.width)),
            "tile_loaded": In(1),
            "half_free": In(1),
            "matmul": Out(1),
            "vector": Out(1),
            "plane": Out(1),
            "tag": Out(WAVE_TAG),
            "lanes": Out(signed(8)).array(self.width),
            "tile_passed": Out(1),
            "event": Out(FEED_EVENT),
            "error": Out(ERROR_LAYOUT),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.generator = generator = WaveGenerator(rows=self.rows, cols=self.cols)
        command = Signal(FEED_COMMAND, reset_less=True)
        active, starting = Signal(), Signal()
        pending, held = Signal(_pending_layout(self.width), reset_less=True), Signal()
        accept, step = Signal(), Signal()
        matmul = command.header.opcode == Opcode.MATMUL
        m.d.comb += [
            self.command.ready.eq(~active & ~starting),
            generator.start.eq(starting),
            generator.step.eq(step),
            generator.vector.eq(~matmul),
            generator.loops.eq(command.loops),
            generator.input.eq(command.input),
        ]
        m.d.sync += starting.eq(self.command.valid & self.command.ready)
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += command.eq(self.command.payload)
        command_end = generator.last_pixel & generator.last_tile & generator.last_column
        with m.If(starting):
            m.d.sync += active.eq(1)
        with m.Elif(step & command_end):
            m.d.sync += active.eq(0)
        may = self._may_leave(m, generator, command, active, matmul, step, held, held & pending.matmul)
        m.d.comb += step.eq(may & (accept | ~held))
        with m.If(step):
            m.d.sync += held.eq(1)
            self._prepare(m, generator, command, matmul, command_end, pending)
        with m.Elif(accept):
            m.d.sync += held.eq(0)
        self._request(m, pending, held, accept)
        self._send(m, pending, accept)
        return m

    def _may_leave(self, m, generator, command, active, matmul, step, held, array_next):
        """Whether the generator's wave may leave it; tells the monitor what it waits for."""
        wait, first_of_job = command.header, generator.first_pixel & generator.first_tile
        tiles = Signal(range(4))  # weights in the array that no wave has used: 2 planes at most
        halves = Signal(range(3), init=2)
        carried = Signal()  # a half holds partial sums: the next job has it already
        starts_tile, starts_job = step & generator.first_pixel & matmul, step & first_of_job & ~carried
        m.d.sync += [tiles.eq(tiles + self.tile_loaded - starts_tile), halves.eq(halves + self.half_free - starts_job)]
        with m.If(step & generator.last_pixel & generator.last_tile):
            m.d.sync += carried.eq(command.loops.partial_out)
        drain = Signal(range(self.array_latency + 2))
        with m.If(array_next):
            m.d.sync += drain.eq(self.array_latency + 1)
        with m.Elif(drain != 0):
            m.d.sync += drain.eq(drain - 1)
        # Vectors stay two cycles behind the last wave of the array; those that add to its entries, one more: `Accumulators.MIN_PERIOD`.
        overtakes = array_next | (drain > Mux(command.loops.partial_in, 0, 1))
        waits = {
            "command": ~active,
            "ddr_read": ~reached(self.tokens.load, wait.wait_load),
            "ddr_write": ~reached(self.tokens.store, wait.wait_store),
            "activations": ~reached(self.tokens.exec, wait.wait_exec),
            "output": (first_of_job & ~carried & (halves == 0)) | (~matmul & overtakes),
            "weights": matmul & generator.first_pixel & (tiles == 0),
        }
        stuck, cause = Const(0), dict.fromkeys(waits)
        for name, waiting in waits.items():  # the first that holds is the cause
            cause[name] = waiting & ~stuck
            stuck = stuck | waiting
        idle_cause = Signal(data.StructLayout(dict.fromkeys(waits, 1)), init={"command": 1})
        for name, here in cause.items():
            m.d.sync += idle_cause[name].eq(here)
            m.d.comb += self.event[name].eq(idle_cause[name] & ~held)
        return ~stuck

    def _prepare(self, m, generator, command, matmul, command_end, pending):
        """Registers the generator's wave: wrapped address, lanes inside the image, tag."""
        width, place, inp, loops = self.width, generator.position, command.input, command.loops
        wrapped = Signal(signed(27))
        m.d.comb += wrapped.eq(place.address + Mux(place.address < 0, self.size, Mux(place.address >= self.size, -self.size, 0)))
        row_inside = (place.y >= 0) & (place.y < inp.height)
        behind = inp.image_row_bytes - place.x
        low, high, used = Signal(range(width + 1)), Signal(range(width + 1)), Signal(width)
        m.d.comb += [
            low.eq(Mux(place.x >= 0, 0, Mux(place.x <= -width, width, -place.x))),
            high.eq(Mux((behind <= 0) | ~row_inside, 0, Mux(behind >= width, width, behind))),
            used.eq(ones(Mux(matmul, Mux(generator.last_chunk, loops.last_rows, self.rows), self.cols), width)),
        ]
        shortest = Accumulators.MIN_PERIOD
        short = ((loops.block_rows == 1) & (loops.block_cols < shortest)) | ((loops.block_cols == 1) & (loops.block_rows < shortest))
        half, plane = Signal(), Signal()
        with m.If(generator.last_pixel & matmul):
            m.d.sync += plane.eq(~plane)
        with m.If(generator.last_pixel & generator.last_tile & ~loops.partial_out):
            m.d.sync += half.eq(~half)
        m.d.sync += [
            pending.address.eq(wrapped),
            pending.outside.eq((wrapped < 0) | (wrapped >= self.size)),
            pending.real.eq(ones(high, width) & ~ones(low, width) & used),
            pending.used.eq(used),
            pending.pad.eq(inp.pad_value),
            pending.matmul.eq(matmul),
            pending.plane.eq(plane),
            pending.tile_end.eq(generator.last_pixel & matmul),
            pending.command_end.eq(command_end),
            pending.index.eq(command.index),
            pending.opcode.eq(command.header.opcode),
            pending.apart.eq(generator.first_pixel & short),
            pending.tag.entry.eq(generator.entry),
            pending.tag.half.eq(half),
            pending.tag.overwrite.eq(generator.first_tile & ~loops.partial_in),
            pending.tag.maximum.eq(command.header.opcode == Opcode.MAX),
            pending.tag.final.eq(generator.last_tile),
            pending.tag.job_end.eq(generator.last_pixel & generator.last_tile),
        ]

    def _request(self, m, pending, held, accept):
        """Offers the pending wave to the scratchpad, once the accumulators can take it; a wave of padding reads nothing."""
        since = Signal(range(Accumulators.MIN_PERIOD))
        with m.If(accept):
            m.d.sync += since.eq(Accumulators.MIN_PERIOD - 1)
        with m.Elif(since != 0):
            m.d.sync += since.eq(since - 1)
        early, reads = pending.apart & (since != 0), pending.real != 0
        m.d.comb += [
            self.event.held.eq(held),
            self.read.request.payload.eq(pending.address),
            self.read.request.valid.eq(held & ~early & reads),
            accept.eq(held & ~early & (self.read.request.ready | ~reads)),
            self.event.active.eq(accept),
            self.event.reads.eq(accept & reads),
            self.event.bank.eq(held & ~early & ~accept),
            self.event.apart.eq(held & early),
            self.event.command_end.eq(accept & pending.command_end),
            self.event.index.eq(pending.index),
            self.event.opcode.eq(pending.opcode),
        ]
        with m.If(accept & reads & pending.outside & ~self.error.valid):
            m.d.sync += [self.error.valid.eq(1), self.error.code.eq(Error.ADDRESS), self.error.index.eq(pending.index)]

    def _send(self, m, pending, accept):
        """Meets the answer of the scratchpad, and masks it."""
        latency = self.read_latency
        valid = delayed(m, accept, latency, name="accepted", reset_less=False)
        travels = ("matmul", "plane", "tile_end", "tag", "real", "used", "pad")
        late = {name: delayed(m, pending[name], latency, name=f"wave_{name}") for name in travels}
        out_matmul, out_vector, passed = Signal(), Signal(), Signal()
        m.d.sync += [
            out_matmul.eq(valid & late["matmul"]),
            out_vector.eq(valid & ~late["matmul"]),
            passed.eq(valid & late["tile_end"]),
        ]
        plane, tag = Signal(reset_less=True), Signal(WAVE_TAG, reset_less=True)
        with m.If(valid):
            m.d.sync += [plane.eq(late["plane"]), tag.eq(late["tag"])]
        m.d.comb += [
            self.matmul.eq(out_matmul),
            self.vector.eq(out_vector),
            self.tile_passed.eq(passed),
            self.plane.eq(plane),
            self.tag.eq(tag),
        ]
        for lane in range(self.width):
            value = Signal(signed(8), name=f"lane_{lane}", reset_less=True)
            with m.If(valid):
                m.d.sync += value.eq(Mux(late["real"][lane], self.read.data[lane].as_signed(), Mux(late["used"][lane], late["pad"], 0)))
            m.d.comb += self.lanes[lane].eq(value)


def ones(count, width):
    """Expression: a mask of ``width`` bits whose lowest ``count`` are set."""
    return Cat(*(Const(bit, range(width + 1)) < count for bit in range(width)))
