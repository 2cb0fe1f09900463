"""Registers in a stream: where they stand, no path crosses."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.promise import promise, promise_stream


class StreamRegister(wiring.Component):
    """Holds payloads in registers: valid, payload and ready leave from registers. What enters leaves in the next cycle at the earliest.

    One payload a cycle; it holds two, the second in a spare register for what comes while the first is refused. With ``half`` it holds
    one, and takes the next in the cycle behind the one in which it left: for streams of commands.

    Parameters
    ----------
    shape : shape-like
        Payload.
    half : bool
        Half the registers, a payload every other cycle.

    Members
    -------
    i : In(stream of shape)
        What enters.
    o : Out(stream of shape)
        What leaves, in the order in which it entered.
    """

    def __init__(self, shape, *, half=False):
        self.half = half
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})
        self.spare = Signal.like(self.o.payload, name="spare", reset_less=True)
        self.waits = Signal()
        """The payload behind the one that is offered, and whether it counts: for who must know all that is inside."""

    def elaborate(self, platform):
        m = Module()
        held = Signal.like(self.o.payload, name="held", reset_less=True)
        valid = Signal()
        m.d.comb += [self.o.valid.eq(valid), self.o.payload.eq(held)]
        promise_stream(m, self, self.o, name="o")
        if self.half:
            m.d.comb += self.i.ready.eq(~valid)
            m.d.sync += valid.eq(self.i.valid & ~valid | valid & ~self.o.ready)
            with m.If(~valid):
                m.d.sync += held.eq(self.i.payload)
            return m
        spare, waits = self.spare, self.waits
        moves = ~valid | self.o.ready
        m.d.comb += self.i.ready.eq(~waits)
        m.d.sync += waits.eq((waits | self.i.valid) & ~moves)
        with m.If(~waits):  # whether it counts or not: the enable comes from a register
            m.d.sync += spare.eq(self.i.payload)
        with m.If(moves):
            m.d.sync += valid.eq(waits | self.i.valid)
            with m.If(waits):
                m.d.sync += held.eq(spare)
            with m.Else():
                m.d.sync += held.eq(self.i.payload)
        promise(m, self, ~waits | valid, "the spare payload waits behind another")
        return m


def registered(m, source, *, name, half=False):
    """The stream behind a `StreamRegister`.

    Parameters
    ----------
    m : Module
        Receives the register as submodule.
    source : stream interface
        What offers: another component's output, or an input of the own one.
    name : str
        Of the submodule.
    half : bool
        As in `StreamRegister`.
    """
    m.submodules[name] = register = StreamRegister(source.payload.shape(), half=half)
    m.d.comb += [register.i.valid.eq(source.valid), register.i.payload.eq(source.payload), source.ready.eq(register.i.ready)]
    return register.o


def steady(m, valid, taken, cycles, *, name):
    """Expression: an offer has stood for some cycles, so that what is computed from it in so many steps is there.

    Parameters
    ----------
    m : Module
        Receives the registers.
    valid, taken : Value
        It stands; it leaves in this cycle.
    cycles : int
        0 gives ``valid`` itself.
    name : str
        Prefix of the registers' names.
    """
    stood = valid
    for cycle in range(cycles):
        register = Signal(name=f"{name}_{cycle + 1}")
        m.d.sync += register.eq(stood & ~taken)
        stood = register
    return stood
