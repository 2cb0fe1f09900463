"""A queue of beats in a memory with a clocked read port, as block RAM and SRAM macros have it."""

from amaranth.lib.fifo import SyncFIFOBuffered

from hw.npu.parts.fifo import StreamFifo


class BeatBuffer(StreamFifo):
    """First-in first-out queue, one payload a cycle. What enters can leave two cycles later (`LATENCY`).

    `hw.npu.parts.fifo.StreamFifo` is faster by a cycle, but its memory is read without a clock: hundreds of beats would become registers or
    lookup tables. ``i.ready`` does not depend on ``o.ready``, nor ``o.valid`` on ``i.valid``.

    Parameters
    ----------
    shape : shape-like
        Payload.
    depth : int
        Payloads for which there is room at any time, at least 1. One more fits into the output's register.

    Members
    -------
    i : In(stream of shape)
        What enters.
    o : Out(stream of shape)
        What leaves, in the order in which it entered.
    level : Out(range(depth + 2))
        Payloads held.
    """

    LATENCY = 2
    QUEUE = SyncFIFOBuffered
    BEYOND = 1
    """The memory holds all of ``depth``: the output's register, while it is empty, must not count as room."""
