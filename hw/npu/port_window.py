"""The part of a vector that lies inside the image."""

from amaranth.hdl import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.isa import group_layout
from hw.npu.port_positions import port_layout
from hw.npu.ports import ADDRESS_BITS, part_layout


def window_layout(width) -> data.StructLayout:
    """A request, whether it is made, and whether it lies outside the scratchpad; the lanes that it fills, and all that are the port's."""
    return data.StructLayout({
        "part": part_layout(width),
        "reads": unsigned(1),
        "outside": unsigned(1),
        "real": unsigned(width),
        "used": unsigned(width),
    })


class PortWindow(wiring.Component):
    """Wraps the address of a port's vector, and finds which of its lanes are bytes of the image. Combinational.

    Rows from ``wrap_row`` on lie ``wrap_bytes`` lower: the image may be a ring of rows. The address of byte 0 is then brought into the
    scratchpad by its size, once.

    Parameters
    ----------
    width : int
        Lanes.
    size : int
        Bytes of the activation scratchpad.

    Members
    -------
    port : In(port_layout(width))
        What the port reads.
    input : In(group input)
        The image.
    window : Out(window_layout(width))
        What it asks for.
    """

    def __init__(self, *, width, size):
        if size >> ADDRESS_BITS:
            raise ValueError(f"PortWindow size {size} does not fit {ADDRESS_BITS} bits")
        self.width, self.size = width, size
        super().__init__({"port": In(port_layout(width)), "input": In(group_layout("input")), "window": Out(window_layout(width))})

    def elaborate(self, platform):
        m = Module()
        width, port, inp, window = self.width, self.port, self.input, self.window
        place, ring, wrapped = port.position, Signal(signed(27)), Signal(signed(28))
        m.d.comb += [
            ring.eq(place.address - Mux(place.y >= inp.wrap_row, inp.wrap_bytes, 0)),
            wrapped.eq(ring + Mux(ring < 0, self.size, Mux(ring >= self.size, -self.size, 0))),
        ]
        row_inside, behind = (place.y >= 0) & (place.y < inp.height), inp.image_row_bytes - place.x
        low, high = Signal(range(width + 1)), Signal(range(width + 1))
        first, end = window.part.first, window.part.end
        m.d.comb += [
            low.eq(Mux(place.x >= 0, 0, Mux(place.x <= -width, width, -place.x))),
            high.eq(Mux((behind <= 0) | ~row_inside | ~port.on, 0, Mux(behind >= width, width, behind))),
            window.part.address.eq(wrapped),
            first.eq(Mux(low > port.first, low, port.first)),
            end.eq(Mux(high < port.end, high, port.end)),
            window.reads.eq(first < end),
            window.outside.eq((wrapped < 0) | (wrapped >= self.size)),
            window.real.eq(ones(end, width) & ~ones(first, width)),
            window.used.eq(ones(port.pad_end, width) & ~ones(port.first, width)),
        ]
        return m


def ones(count, width):
    """Expression: a mask of ``width`` bits whose lowest ``count`` are set; one shift, where a comparison for each bit simulates slowly."""
    return Const((1 << width) - 1, width) >> (width - count)[: width.bit_length()]
