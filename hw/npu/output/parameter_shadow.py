"""Parameters of the output channels: the set in use, and the next one, which fills from the weight stream."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import BIAS_ROWS, PARAMETER_ROWS
from hw.npu.interface.weight_stream import parameter_layout
from hw.npu.parts.promise import promise


def _out_of_range(byte):
    """An exponent outside -31 to 31."""
    return ~((byte[5:] == 0) | (byte[5:].all() & byte[:5].any()))


class ParameterShadow(wiring.Component):
    """Two sets of parameters: vectors use the active one while the shadow fills, a row a cycle.

    A full shadow becomes active when no set is active or the active one is released, in that same cycle. Sets are used in the
    order in which they arrive, one for each job that has parameters. A set is used up, ``ended``, before it is released: sets that
    arrived may be counted on before they are active.

    Parameters
    ----------
    cols : int
        Output channels, C.

    Members
    -------
    rows : In(stream of parameter_layout(cols))
        Parameter rows only; row i holds byte i of each channel: 0..3 bias, 4..7 multiplier, 8 exponent.
    released : In(1)
        The active set is used for the last time in this cycle.
    ended : In(1)
        Who uses the sets has asked for the last use of one, which it releases later.
    available : Out(1)
        A set that is not used up is there.
    bad_exponent : Out(1)
        The set that ``available`` tells of holds an exponent outside -31 to 31.
    bias, multiplier : Out(signed(32)).array(cols)
        The active set.
    exponent : Out(signed(8)).array(cols)
        The active set's: a left shift, or a right shift where negative.
    """

    def __init__(self, cols):
        self.cols = cols
        super().__init__({
            "rows": In(stream.Signature(parameter_layout(cols))),
            "released": In(1),
            "ended": In(1),
            "available": Out(1),
            "bad_exponent": Out(1),
            "bias": Out(signed(32)).array(cols),
            "multiplier": Out(signed(32)).array(cols),
            "exponent": Out(signed(8)).array(cols),
        })

    def elaborate(self, platform):
        m = Module()
        full = Signal()
        active = Signal()
        move = full & (~active | self.released)
        written = self.rows.valid & self.rows.ready
        used = Signal(range(3))  # sets that are used up and not released
        available = Mux(used == 0, full | active, full & active & (used == 1))
        m.d.sync += used.eq(used + self.ended - self.released)
        m.d.comb += [self.rows.ready.eq(~full), self.available.eq(available)]
        with m.If(move):
            m.d.sync += [active.eq(1), full.eq(0)]
        with m.Elif(self.released):
            m.d.sync += active.eq(0)
        with m.If(written & self.rows.payload.last):
            m.d.sync += full.eq(1)
        bad = Signal(reset_less=True)
        bad_active = Signal(reset_less=True)
        first = used == 0  # the active set is the one that ``available`` tells of
        m.d.comb += self.bad_exponent.eq(Mux(active & first, bad_active, bad))
        with m.If(written):
            m.d.sync += bad.eq((self.rows.payload.row == PARAMETER_ROWS - 1) & Cat(map(_out_of_range, self.rows.payload.data)).any())
        with m.If(move):
            m.d.sync += bad_active.eq(bad)
        for col in range(self.cols):
            self._channel(m, col, move, written)
        promise(m, self, ~self.released | active, "only a set that is active is released")
        promise(m, self, ~self.released | (used != 0), "a set is used up before it is released")
        promise(m, self, ~self.ended | available, "only a set that is there is used up")
        return m

    def _channel(self, m, col, move, written):
        def register(shape, name):
            return Signal(shape, name=f"{name}_{col}", reset_less=True)

        shadow = [register(8, f"shadow_{row}") for row in range(PARAMETER_ROWS)]  # bytes, so that no register is written in part
        for row, byte in enumerate(shadow):
            with m.If(written & (self.rows.payload.row == row)):
                m.d.sync += byte.eq(self.rows.payload.data[col])
        bias, multiplier, exponent = register(signed(32), "bias"), register(signed(32), "multiplier"), register(signed(8), "exponent")
        with m.If(move):
            m.d.sync += [bias.eq(Cat(shadow[:BIAS_ROWS])), multiplier.eq(Cat(shadow[BIAS_ROWS:8])), exponent.eq(shadow[8])]
        m.d.comb += [self.bias[col].eq(bias), self.multiplier[col].eq(multiplier), self.exponent[col].eq(exponent)]
