"""One read port of the scratchpad for the second operand and for SOFTMAX."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.ports import ReadPort


class SharedRead(wiring.Component):
    """The port belongs to SOFTMAX while it runs: then no answer to a second operand is on its way. Combinational.

    Parameters
    ----------
    lanes : int
        Bytes of an answer.

    Members
    -------
    begins, ends : In(1), In(1)
        Pulses: SOFTMAX begins, a cycle before its first request at least; it is done, and every request of its is answered.
    operands, softmax : In(ReadPort(lanes)), In(ReadPort(lanes))
        The readers, of which one asks at a time.
    read : Out(ReadPort(lanes))
        Of the scratchpad.
    """

    def __init__(self, lanes):
        super().__init__({
            "begins": In(1),
            "ends": In(1),
            "operands": In(ReadPort(lanes)),
            "softmax": In(ReadPort(lanes)),
            "read": Out(ReadPort(lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        request = self.read.request
        softmax_owns = Signal()
        with m.If(self.begins):
            m.d.sync += softmax_owns.eq(1)
        with m.Elif(self.ends):
            m.d.sync += softmax_owns.eq(0)
        m.d.comb += [
            request.valid.eq(self.operands.request.valid | self.softmax.request.valid),
            request.payload.eq(Mux(softmax_owns, self.softmax.request.payload, self.operands.request.payload)),
        ]
        for reader, owns in ((self.operands, ~softmax_owns), (self.softmax, softmax_owns)):
            m.d.comb += [
                reader.request.ready.eq(request.ready & owns),
                reader.valid.eq(self.read.valid & owns),
                reader.data.eq(self.read.data),
            ]
        return m
