"""What the feeder waits for before a step may leave: tokens, weights, accumulators, the array."""

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import group_layout
from hw.npu.interface.tokens import TOKENS, reached
from hw.npu.parts.delay import delayed

CAUSES = data.StructLayout(dict.fromkeys(("command", "ddr_read", "ddr_write", "activations", "output", "weights"), unsigned(1)))
"""Why no wave can leave, the first that holds: there is no command, a token is missing, the accumulators or the array are in use, the
weights are not loaded."""


class FeedGate(wiring.Component):
    """Opens when the step that comes next may leave; holds the credits of planes and halves.

    Vectors need no cycles in the array and would overtake: they leave when the array is empty. A DEPTHWISE whose rows are grouped
    otherwise than those of the last one waits for the same. Only a DEPTHWISE waits here for its weights, since fillers push on what is
    before it; others wait for them at the scratchpad, so that a tile's turn in the array is shorter by the stages between.

    ``open`` is a register, and valid only for first waves: if a step is present that begins its reduction tile, for that step; otherwise
    for the next tile. It lags what it depends on by a cycle, and tokens and the array by two: so a command must be steady three cycles
    before it is ``active``, ``array`` and ``regroups`` two, and two first waves must not follow each other within two cycles.
    ``last_pixel`` may come later than with its wave, but not behind the last step of the tile.

    Parameters
    ----------
    array_latency : int
        Cycles of the array.

    Members
    -------
    tokens, header : In(TOKENS), In(group header)
        Completed commands, and how many the present command waits for.
    active : In(1)
        There is a command.
    array, partial_in, partial_out : In(1), In(1), In(1)
        It is a MATMUL or a DEPTHWISE, else for the vector path; continues partial sums; leaves them.
    regroups : In(1)
        It is a DEPTHWISE whose rows of the array are grouped otherwise than now.
    first_pixel, first_tile, last_pixel, last_tile : In(1), In(1), In(1), In(1)
        The step that comes next has the first or last wave of its reduction tile; is of the first or last tile of its job.
    leaves : In(1)
        It leaves in this cycle; only while `open`.
    array_near : In(1)
        A step for the array has left and not reached the scratchpad's ports.
    tile_loaded, half_free : In(1), In(1)
        A pulse for each reduction tile whose weights are in the array, or will be in time; for each half of the accumulators read out.
    streams : In(1)
        It is a DEPTHWISE.
    open : Out(1)
        Nothing holds the step up.
    cause : Out(CAUSES)
        What does.
    """

    LATE = 2
    """Cycles from tokens, or what is in the array, to ``open``."""
    AHEAD = 63
    """Tiles between gate and scratchpad at most."""

    def __init__(self, *, array_latency):
        self.array_latency = array_latency
        flags = (
            "active",
            "array",
            "partial_in",
            "partial_out",
            "regroups",
            "first_pixel",
            "first_tile",
            "last_pixel",
            "last_tile",
            "leaves",
        )
        super().__init__(
            {"tokens": In(TOKENS), "header": In(group_layout("header")), "open": Out(1), "cause": Out(CAUSES)}
            | {flag: In(1) for flag in (*flags, "array_near", "tile_loaded", "half_free", "streams")}
        )

    def elaborate(self, platform):
        m = Module()
        wait, first_of_job = self.header, self.first_pixel & self.first_tile
        # tiles announced that no wave has used: 2 planes at most; also waves that have left without
        tiles = Signal(range(-self.AHEAD, 4))
        halves = Signal(range(3), init=2)
        carried = Signal()  # a half holds partial sums: the next job has it already
        starts_tile, starts_job = self.leaves & self.first_pixel & self.array, self.leaves & first_of_job & ~carried
        m.d.sync += [tiles.eq(tiles + self.tile_loaded - starts_tile), halves.eq(halves + self.half_free - starts_job)]
        with m.If(self.leaves & self.last_pixel & self.last_tile):
            m.d.sync += carried.eq(self.partial_out)
        drain = Signal(range(self.array_latency + 1))
        with m.If(self.array_near):
            m.d.sync += drain.eq(self.array_latency)
        with m.Elif(drain != 0):
            m.d.sync += drain.eq(drain - 1)
        waits_as_first = Mux(self.first_pixel, self.first_tile, self.last_tile)
        # Vectors stay two cycles behind the last wave of the array; those that add to its entries, one more: `Accumulators.MIN_PERIOD`.
        overtakes = ~self.array & (self.array_near | (drain > Mux(self.partial_in, 0, 1)))

        def early(value, name):
            return delayed(m, value, self.LATE - 1, name=name)

        waits = {
            "command": ~self.active,
            "ddr_read": early(~reached(self.tokens.load, wait.wait_load), "waits_for_load"),
            "ddr_write": early(~reached(self.tokens.store, wait.wait_store), "waits_for_store"),
            "activations": early(~reached(self.tokens.exec, wait.wait_exec), "waits_for_exec"),
            "output": (waits_as_first & ~carried & (halves == 0))
            | early(overtakes, "overtakes")
            | early(self.regroups & (self.array_near | (drain != 0)), "regroups"),
            "weights": self.streams & (tiles <= 0),
        }
        self._register(m, waits)
        return m

    def _register(self, m, waits):
        """Whether the step may leave, and why not, a cycle later; but whether there is a command in the same cycle."""
        stuck = Const(0)
        cause = Signal(CAUSES)
        for name, waiting in waits.items():
            if name != "command":
                m.d.sync += cause[name].eq(waiting & ~stuck)
                stuck = stuck | waiting
        m.d.sync += self.open.eq(~stuck)
        m.d.comb += self.cause.eq(Mux(self.active, cause, CAUSES.const({"command": 1})))
