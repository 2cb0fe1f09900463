"""The part of a vector that lies inside the image."""

from amaranth.hdl import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.feed.port_positions import port_layout
from hw.npu.interface.isa import group_layout
from hw.npu.interface.ports import ADDRESS_BITS, part_layout
from hw.npu.parts.delay import delayed


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
    """Wraps the address of a port's vector, and finds which of its lanes are bytes of the image: `latency` cycles later.

    Rows from ``wrap_row`` on lie ``wrap_bytes`` lower: the image may be a ring of rows. The address of byte 0 is then brought into the
    scratchpad by its size, once.

    Parameters
    ----------
    width : int
        Lanes.
    size : int
        Bytes of the activation scratchpad.
    registers : int
        `NpuConfig.stream_registers`: between the address of the ring and that of the scratchpad.

    Members
    -------
    port : In(port_layout(width))
        What the port reads.
    input : In(group input)
        The image, as it is in the cycle of the port and the next.
    window : Out(window_layout(width))
        What it asks for.
    """

    @staticmethod
    def latency(registers) -> int:
        """Cycles from a port to its window."""
        return 3 + registers

    def __init__(self, *, width, size, registers):
        if size >> ADDRESS_BITS:
            raise ValueError(f"PortWindow size {size} does not fit {ADDRESS_BITS} bits")
        self.width, self.size, self.registers = width, size, registers
        super().__init__({"port": In(port_layout(width)), "input": In(group_layout("input")), "window": Out(window_layout(width))})

    def elaborate(self, platform):
        m = Module()
        width, size, lane = self.width, self.size, range(self.width + 1)

        def register(value, shape, name, stage=None):
            held = Signal(shape, name=name if stage is None else f"{name}_{stage}", reset_less=True)
            m.d.sync += held.eq(value)
            return held

        def between(value, shape, name, stage=None):
            found = Signal(shape, name=f"found_{name}")
            m.d.comb += found.eq(value)
            return delayed(m, found, self.registers, name=name if stage is None else f"{name}_{stage}")

        # 1: whether the row is beyond the ring's end, and inside; bytes of the image before byte 0 and from it on
        place, inp = self.port.position, self.input
        beyond = register(place.y >= inp.wrap_row, 1, "beyond")
        inside = register((place.y >= 0) & (place.y < inp.height) & self.port.on, 1, "inside")
        behind = register(inp.image_row_bytes - place.x, signed(27), "behind")
        before, address = register(place.x, signed(25), "before"), register(place.address, signed(26), "address")
        first, end, pad_end = ([register(self.port[name], lane, name, 1)] for name in ("first", "end", "pad_end"))
        for name, stages in (("first", first), ("end", end), ("pad_end", pad_end)):
            stages.append(register(stages[0], lane, name, 2))
        # 2: the address in the ring; the first byte of the image, and the end of it
        ring = register(address - Mux(beyond, inp.wrap_bytes, 0), signed(27), "ring")
        low = register(Mux(before >= 0, 0, Mux(before <= -width, width, -before)), lane, "low")
        high = register(Mux((behind <= 0) | ~inside, 0, Mux(behind >= width, width, behind)), lane, "high")
        # 3: by which size the address wraps, and whether that is enough; the bytes that count
        below, above = between(ring < 0, 1, "below"), between(ring >= size, 1, "above")
        outside = between((ring < -size) | (ring >= 2 * size), 1, "outside")
        ring = between(ring, signed(27), "ring", 3)
        starts = between(Mux(low > first[1], low, first[1]), lane, "starts")
        stops = between(Mux(high < end[1], high, end[1]), lane, "stops")
        used = between(ones(pad_end[1], width) & ~ones(first[1], width), width, "used", 3)
        # 4, or with it: the window
        window = self.window
        for target, value in (
            (window.part.address, ring + Mux(below, size, Mux(above, -size, 0))),
            (window.part.first, starts),
            (window.part.end, stops),
            (window.reads, stops.any() & (starts < stops)),  # off: no end, and an unknown start in a simulation
            (window.outside, outside),
            (window.real, ones(stops, width) & ~ones(starts, width)),
            (window.used, used),
        ):
            held = Signal(len(target), reset_less=True)
            m.d.sync += held.eq(value)
            m.d.comb += target.eq(held)
        return m


def ones(count, width):
    """Expression: a mask of ``width`` bits whose lowest ``count`` are set; one shift, where a comparison for each bit simulates slowly."""
    return Const((1 << width) - 1, width) >> (width - count)[: width.bit_length()]
