"""One row of processing elements."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import MAX_SPAN
from hw.npu.parts.delay import delayed
from hw.npu.parts.switched import only


class PeRow(wiring.Component):
    """Multiplies activations by the weights of a row and adds the products to the partial sums from above.

    The activation is one for the whole row or, where the wave is one of the array as a FIR filter, a byte for each element: of the
    vector of the kernel row that the row belongs to, or 0 if it belongs to none.

    Every processing element holds two weights, one of each plane: the wave says which plane computes, the other may be
    written meanwhile. Weights count in the cycle in which the wave comes. One wave a cycle; its partial sums leave `latency` cycles
    later, one cycle after those from above came. A row without a wave keeps still. Nothing here checks that a plane is not written
    while it computes: the weight loader keeps that.

    The product passes a register. With ``multiplier_registers`` it passes three, and operand and weight as many before it: the
    multipliers of an FPGA are few and far away, so that some of the registers can stand beside them, the others on the way.

    With ``int4`` an element multiplies by the two halves of its weight apart. In a ``paired`` wave they are two weights, of two
    activations; else one, whose lower half has no sign and whose upper half counts sixteen times. ::

        activation ---> x lower half ---------------> +
        other      ---> x upper half ---> << 4 or 0 -> +---> partial sum

    Parameters
    ----------
    cols : int
        Processing elements.
    psum_bits : int
        Width of a partial sum.
    int4 : bool
        There are paired waves.
    multiplier_registers : int
        0 or 1: registers more around the multipliers.

    Members
    -------
    enable : In(1)
        The row moves; ``valid`` is low where it does not.
    valid, plane, activation : In(1), In(1), In(signed(8))
        The wave: its plane, and the activation that every element of the row gets.
    paired, other : In(1), In(signed(8))
        With ``int4``: weights are pairs; the activation that belongs to the upper ones, else ``activation`` again.
    column, side : In(1), In(MAX_SPAN)
        It gets those of a vector instead; which one (one bit of these, or none).
    vectors : In(signed(8)).array(MAX_SPAN, cols)
        The vectors of the kernel rows.
    psum_in, psum_out : In(signed(psum_bits)).array(cols), Out(signed(psum_bits)).array(cols)
        Partial sums from above and to below.
    write, write_plane, weights : In(1), In(1), In(signed(8)).array(cols)
        In a cycle with ``write``, the weights of a plane are replaced.
    """

    def __init__(self, *, cols, psum_bits, int4=False, multiplier_registers=0):
        self.before, self.behind = around_multiplier(multiplier_registers)
        self.latency = pe_latency(multiplier_registers)
        self.cols, self.psum_bits, self.int4 = cols, psum_bits, int4
        super().__init__({
            "enable": In(1),
            "valid": In(1),
            "plane": In(1),
            "activation": In(signed(8)),
            **only(int4, paired=In(1), other=In(signed(8))),
            "column": In(1),
            "side": In(MAX_SPAN),
            "vectors": In(signed(8)).array(MAX_SPAN, cols),
            "psum_in": In(signed(psum_bits)).array(cols),
            "psum_out": Out(signed(psum_bits)).array(cols),
            "write": In(1),
            "write_plane": In(1),
            "weights": In(signed(8)).array(cols),
        })

    def elaborate(self, platform):
        m = Module()
        moves = self._moves(m)
        for col in range(self.cols):
            planes = [Signal(signed(8), name=f"weight{plane}_{col}", reset_less=True) for plane in range(2)]
            psum = Signal(signed(self.psum_bits), name=f"psum_{col}", reset_less=True)
            for plane, weight in enumerate(planes):
                with m.If(self.write & (self.write_plane == plane)):
                    m.d.sync += weight.eq(self.weights[col])
            operand = self._operand(m, col, self.activation, f"operand_{col}")
            weight = Mux(self.plane, planes[1], planes[0])
            other = self._operand(m, col, self.other, f"other_{col}") if self.int4 else None
            product = self._product(m, col, operand, other, weight, moves)
            with m.If(moves[-1]):
                m.d.sync += psum.eq(self.psum_in[col] + product)
            m.d.comb += self.psum_out[col].eq(psum)
        return m

    def _operand(self, m, col, activation, name):
        """What an element multiplies: the wave's activation, or its byte of a vector."""
        operand = Signal(signed(8), name=name)
        m.d.comb += operand.eq(activation)
        with m.If(self.column):
            m.d.comb += operand.eq(0)
            for side in range(MAX_SPAN):
                with m.If(self.side[side]):
                    m.d.comb += operand.eq(self.vectors[side][col])
        return operand

    def _moves(self, m):
        """Whether a wave enters each of the row's stages."""
        moves, valid = [self.valid], self.valid
        for stage in range(1, self.latency):
            valid = delayed(m, valid, 1, name=f"valid_{stage}", reset_less=False, enable=self.enable)
            late = Signal(name=f"moves_{stage}")
            m.d.comb += late.eq(valid & self.enable)
            moves.append(late)
        return moves

    def _product(self, m, col, operand, other, weight, moves):
        """Expression: what is added, from a register: of an operand and a weight that may be registered, too."""
        first = {"multiplicand": operand, "multiplier": weight} | ({"other": other, "pairs": self.paired} if self.int4 else {})
        for stage in range(self.before):
            first = {name: delayed(m, signal, 1, name=f"{name}_{stage}_{col}", enable=moves[stage]) for name, signal in first.items()}
        multiplicand, multiplier, *pair = first.values()
        products = self._pair(m, col, multiplicand, pair[0], multiplier, pair[1]) if self.int4 else [multiplicand * multiplier]
        for stage in range(self.before, self.before + self.behind):
            products = [
                delayed(m, product, 1, name=f"product_{i}_{stage}_{col}", enable=moves[stage]) for i, product in enumerate(products)
            ]
        return sum(products)

    def _pair(self, m, col, operand, other, weight, paired):
        """Expressions: both products."""
        bits = weight.as_unsigned()
        lower = Signal(signed(5), name=f"lower_{col}")
        upper = Signal(signed(4), name=f"upper_{col}")
        first = Signal(signed(13), name=f"first_{col}")
        second = Signal(signed(12), name=f"second_{col}")
        m.d.comb += [
            lower.eq(Cat(bits[:4], bits[3] & paired).as_signed()),
            upper.eq(bits[4:].as_signed()),
            first.eq(operand * lower),
            second.eq(other * upper),
        ]
        return first, Mux(paired, second, second << 4)


def around_multiplier(multiplier_registers) -> tuple[int, int]:
    """Registers before a multiplier, and behind it."""
    return (3, 3) if multiplier_registers else (0, 1)


def pe_latency(multiplier_registers) -> int:
    """Cycles from a wave to its partial sums; from the partial sums from above it is one."""
    return sum(around_multiplier(multiplier_registers)) + 1
