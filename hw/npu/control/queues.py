"""What the dispatcher hands to the queues, and the queues: small memories of commands."""

from amaranth.hdl import Cat, Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import UNIT_BYTES
from hw.npu.parts.fifo import StreamFifo

STREAM_BITS = 32 - (UNIT_BYTES - 1).bit_length()
"""Width of the length of a job's commands, in units."""


def used_bits(queued, *, interpolation=True):
    """The bits of a queued command that carry something: its index and its groups, without the gaps of the layout.

    Parameters
    ----------
    queued : view of QUEUED_TRANSFER or QUEUED_EXECUTE
    interpolation : bool
        Those of the group ``interpolation`` too.
    """
    groups = (name for name, _ in queued.shape()["command"].shape)
    return Cat(queued.index, *(queued.command[name] for name in groups if interpolation or name != "interpolation"))


class CommandQueue(wiring.Component):
    """A queue of commands in a memory; one command a cycle, one cycle from end to end. Stores the used bits only.

    Parameters
    ----------
    layout : data.StructLayout
        `QUEUED_TRANSFER` or `QUEUED_EXECUTE`.
    depth : int
        Commands held, at least 1.
    interpolation : bool
        The group ``interpolation`` is stored too.

    Members
    -------
    i : In(stream of layout)
        From the dispatcher.
    o : Out(stream of layout)
        To the unit; bits that belong to no field are zero.
    """

    def __init__(self, layout, *, depth, interpolation=False):
        if depth < 1:
            raise ValueError(f"CommandQueue depth must be at least 1, not {depth}")
        self.depth, self.interpolation = depth, interpolation
        super().__init__({"i": In(stream.Signature(layout)), "o": Out(stream.Signature(layout))})

    def elaborate(self, platform):
        m = Module()
        used = used_bits(self.i.payload, interpolation=self.interpolation)
        m.submodules.fifo = fifo = StreamFifo(unsigned(len(used)), depth=self.depth)
        m.d.comb += [
            fifo.i.payload.eq(used),
            fifo.i.valid.eq(self.i.valid),
            self.i.ready.eq(fifo.i.ready),
            used_bits(self.o.payload, interpolation=self.interpolation).eq(fifo.o.payload),
            self.o.valid.eq(fifo.o.valid),
            fifo.o.ready.eq(self.o.ready),
        ]
        return m
