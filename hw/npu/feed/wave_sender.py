"""The end of the feeder: hands a step on, and says when the array moves."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import MAX_SPAN
from hw.npu.interface.wave import SENT_STEP, WAVE_TAG
from hw.npu.parts.delay import delayed
from hw.npu.parts.switched import only


class WaveSender(wiring.Component):
    """Hands a step and its bytes to the array or to the vector path. One step a cycle, ``registers`` cycles later.

    From the first step of a DEPTHWISE to its last the array moves only in cycles in which a step arrives; else it moves in each.

    Parameters
    ----------
    width, cols : int
        Bytes of the vector, and of the vectors beside it.
    registers : int
        `NpuConfig.memory_registers`: on the way to the array.
    int4 : bool
        There are commands with 4-bit weights.

    Members
    -------
    sent, step : In(1), In(SENT_STEP)
        A step comes; what it is.
    bytes, bytes_beside : In(signed(8)).array(width), In(signed(8)).array(MAX_SPAN - 1, cols)
        Its vector, and those beside it.
    pairs : In(1)
        With ``int4``: the array takes two activations a row of it.
    enable : Out(1)
        The array moves in this cycle.
    matmul, column, vector : Out(1), Out(1), Out(1)
        A wave for the array, for the array as a FIR filter, or for the vector path.
    plane, tag, lanes, sides : Out(1), Out(WAVE_TAG), Out(signed(8)).array(width), Out(signed(8)).array(MAX_SPAN - 1, cols)
        The wave.
    paired : Out(1)
        With ``int4``: it has two activations a row.
    tile_passed : Out(1)
        It is the last wave of its reduction tile.
    """

    def __init__(self, *, width, cols, registers, int4=False):
        self.registers, self.int4 = registers, int4
        super().__init__({
            "sent": In(1),
            "step": In(SENT_STEP),
            "bytes": In(signed(8)).array(width),
            "bytes_beside": In(signed(8)).array(MAX_SPAN - 1, cols),
            **only(int4, pairs=In(1), paired=Out(1)),
            "enable": Out(1),
            "matmul": Out(1),
            "column": Out(1),
            "vector": Out(1),
            "plane": Out(1),
            "tag": Out(WAVE_TAG),
            "lanes": Out(signed(8)).array(width),
            "sides": Out(signed(8)).array(MAX_SPAN - 1, cols),
            "tile_passed": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        step = self.step
        streams = Signal()
        arrives, wave = self.sent & step.column, self.sent & step.wave
        with m.If(arrives):
            m.d.sync += streams.eq(~step.command_end)

        def out(value, name, reset_less=False):
            return delayed(m, value, self.registers, name=name, reset_less=reset_less)

        m.d.comb += [
            self.enable.eq(out(~streams | arrives, "enabled")),
            self.matmul.eq(out(wave & step.array & ~step.column, "sent_matmul")),
            self.column.eq(out(wave & step.column, "sent_column")),
            self.vector.eq(out(wave & ~step.array, "sent_vector")),
            self.plane.eq(out(step.plane, "sent_plane", True)),
            self.tag.eq(out(step.tag, "sent_tag", True)),
            self.tile_passed.eq(out(wave & step.tile_end, "sent_tile_end")),
        ]
        if self.int4:
            m.d.comb += self.paired.eq(out(self.pairs, "sent_paired", True))
        m.d.comb += [lane.eq(out(byte, f"sent_{n}", True)) for n, (lane, byte) in enumerate(zip(self.lanes, self.bytes, strict=True))]
        for side, (mine, values) in enumerate(zip(self.sides, self.bytes_beside, strict=True), start=1):
            m.d.comb += [lane.eq(out(byte, f"sent_{side}_{n}", True)) for n, (lane, byte) in enumerate(zip(mine, values, strict=True))]
        return m
