"""What a step of the feeder is: the wave that it has, its plane and its half, and what ends with it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.array.accumulators import Accumulators
from hw.npu.interface.isa import Opcode, group_layout
from hw.npu.interface.wave import FEED_STEP
from hw.npu.parts.delay import delayed
from hw.npu.walks.reduction_walk import ReductionWalk


class StepDescriber(wiring.Component):
    """Describes a step `LATENCY` cycles after it was taken: then it is known whether its reduction tile is the job's last.

    Planes and halves alternate, counted since the reset: a wave of the array has the plane of its tile, and any wave the half of its job.

    Members
    -------
    taken, filler : In(1), In(1)
        A step is taken; or a filler is.
    loops, index, opcode, pad : In(group loops), In(32), In(8), In(signed(8))
        The command: its loops, index, opcode and pad value; ``loops`` steady until `LATENCY` cycles behind its last step.
    array, column : In(1), In(1)
        It is a MATMUL or a DEPTHWISE; a DEPTHWISE.
    wave, entry, first_pixel, last_pixel : In(1), In(8), In(1), In(1)
        The step, as of `WaveGenerator`.
    first_tile, last_tile : In(1), In(1)
        Its reduction tile is the first, or the last, of its job; ``last_tile`` comes `LATENCY` cycles later.
    command_end : In(1)
        It is the last of its command.
    step : Out(FEED_STEP)
        What the step is that was taken `LATENCY` cycles ago.
    """

    LATENCY = ReductionWalk.SETTLES

    def __init__(self):
        step = FEED_STEP["sent"].shape
        flags = ("taken", "filler", "array", "column", "wave", "first_pixel", "last_pixel", "first_tile", "last_tile", "command_end")
        super().__init__(
            {name: In(1) for name in flags}
            | {
                "loops": In(group_layout("loops")),
                "index": In(FEED_STEP["index"].shape),
                "opcode": In(FEED_STEP["opcode"].shape),
                "pad": In(step["pad"].shape),
                "entry": In(step["tag"].shape["entry"].shape),
                "step": Out(FEED_STEP),
            }
        )

    def elaborate(self, platform):
        m = Module()
        loops = self.loops
        plane = Signal()
        half = Signal()
        described = Signal(FEED_STEP, reset_less=True)
        sent, last_wave = described.sent, self.taken & self.last_pixel
        with m.If(last_wave & self.array):
            m.d.sync += plane.eq(~plane)
        shortest = Accumulators.MIN_PERIOD
        short = ((loops.block_rows == 1) & (loops.block_cols < shortest)) | ((loops.block_cols == 1) & (loops.block_rows < shortest))
        continues = self.first_tile & loops.partial_in  # of a command whose block may have been shorter
        first_wave = ~self.filler & self.first_pixel
        m.d.sync += [
            sent.array.eq(self.array),
            sent.column.eq(self.column),
            sent.sides.eq(Mux(self.column, (loops.span > 1) | ((loops.span > 2) << 1), 0)),
            sent.wave.eq(~self.filler & self.wave),
            sent.plane.eq(plane),
            sent.tile_end.eq(last_wave & self.array),
            sent.command_end.eq(self.command_end),
            sent.pad.eq(self.pad),
            sent.tag.entry.eq(self.entry),
            sent.tag.overwrite.eq(self.first_tile & ~loops.partial_in),
            sent.tag.maximum.eq(self.opcode == Opcode.MAX),
            described.filler.eq(self.filler),
            described.apart.eq(first_wave & ((short & ~self.column) | continues)),
            described.opens.eq(first_wave & self.array),
            described.index.eq(self.index),
            described.opcode.eq(self.opcode),
        ]
        # the rest, when the tile is known
        last_wave, tag = delayed(m, last_wave, self.LATENCY, name="last_wave", reset_less=False), self.step.sent.tag
        m.d.comb += [
            self.step.eq(delayed(m, described, self.LATENCY - 1, name="described")),
            tag.final.eq(self.last_tile),
            tag.job_end.eq(last_wave & self.last_tile),
            tag.half.eq(half),
        ]
        with m.If(last_wave & self.last_tile & ~loops.partial_out):
            m.d.sync += half.eq(~half)
        return m
