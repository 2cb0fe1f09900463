"""Address decoder: one AXI4-Lite port for several blocks of registers."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi_lite import RESP_SLVERR, AxiLite, lite_address_layout


class AddressDecoder(wiring.Component):
    """Passes each transaction to the block in whose window its address lies; where there is none, it answers SLVERR itself.

    One read and one write at a time. An address is registered (one cycle); data, and answers on their way back, pass through. Nothing is
    offered to a block but what is meant for it, and W only behind its AW.

    Parameters
    ----------
    address_bits : int
        Width of an address of ``bus``.
    windows : tuple of (int, int)
        Of each block the lowest address and the width of an address inside it. A base is a multiple of the window's size; windows do
        not overlap.

    Members
    -------
    bus : In(AxiLite)
        The host.
    block_0, block_1, ... : Out(AxiLite)
        Each block, with addresses inside its window.

    Raises
    ------
    ValueError
        If a window is not aligned, outside the addresses, or overlaps another.
    """

    def __init__(self, *, address_bits, windows):
        ends = 0
        for base, bits in sorted(windows):
            if not 0 < bits < address_bits or base % (1 << bits) or base >= 1 << address_bits:
                raise ValueError(
                    f"AddressDecoder window {base:#x} of {bits} bits must be aligned and inside {address_bits} bits of address"
                )
            if base < ends:
                raise ValueError(f"AddressDecoder window {base:#x} of {bits} bits must not overlap another")
            ends = base + (1 << bits)
        self.address_bits, self.windows = address_bits, tuple(windows)
        super().__init__(
            {"bus": In(AxiLite(address_bits=address_bits))}
            | {f"block_{number}": Out(AxiLite(address_bits=bits)) for number, (_, bits) in enumerate(windows)}
        )

    def elaborate(self, platform):
        m = Module()
        blocks = [getattr(self, f"block_{number}") for number in range(len(self.windows))]
        self._write(m, blocks)
        self._read(m, blocks)
        return m

    def _accept(self, m, request, address):
        """Registers an address that comes, and returns in whose window it lies: a bit a block."""
        inside = Signal(len(self.windows))
        m.d.comb += request.ready.eq(1)
        m.d.sync += address.eq(request.payload)
        m.d.sync += inside.eq(Cat(request.payload.addr[bits:] == base >> bits for base, bits in self.windows))
        return inside

    def _write(self, m, blocks):
        """An address and its data go to the block, each once; then its answer comes back."""
        bus = self.bus
        address = Signal(lite_address_layout(self.address_bits))
        # the address, the data are still to be handed on
        asks = Signal()
        brings = Signal()
        for block in blocks:
            m.d.comb += [
                block.aw.payload.addr.eq(address.addr),
                block.aw.payload.prot.eq(address.prot),
                block.w.payload.eq(bus.w.payload),
            ]
        with m.FSM(name="write"):
            # Ends with an address.
            with m.State("WAIT_ADDRESS"):
                chosen = self._accept(m, bus.aw, address)
                m.d.sync += [asks.eq(1), brings.eq(1)]
                with m.If(bus.aw.valid):
                    m.next = "WAIT_ANSWER"
            # Ends when the host takes the answer, which follows address and data.
            with m.State("WAIT_ANSWER"):
                with m.If(chosen == 0):
                    m.d.comb += [bus.w.ready.eq(brings), bus.b.valid.eq(~brings), bus.b.payload.resp.eq(RESP_SLVERR)]
                for block, mine in zip(blocks, chosen, strict=True):
                    with m.If(mine):
                        m.d.comb += [
                            block.aw.valid.eq(asks),
                            block.w.valid.eq(bus.w.valid & brings),
                            bus.w.ready.eq(block.w.ready & brings),
                            bus.b.payload.eq(block.b.payload),
                            bus.b.valid.eq(block.b.valid),
                            block.b.ready.eq(bus.b.ready),
                        ]
                        with m.If(block.aw.ready):
                            m.d.sync += asks.eq(0)
                with m.If(bus.w.valid & bus.w.ready):
                    m.d.sync += brings.eq(0)
                with m.If(bus.b.valid & bus.b.ready):
                    m.next = "WAIT_ADDRESS"

    def _read(self, m, blocks):
        """An address goes to the block; then its answer comes back."""
        bus = self.bus
        address = Signal(lite_address_layout(self.address_bits))
        asks = Signal()
        for block in blocks:
            m.d.comb += [block.ar.payload.addr.eq(address.addr), block.ar.payload.prot.eq(address.prot)]
        with m.FSM(name="read"):
            # Ends with an address.
            with m.State("WAIT_ADDRESS"):
                chosen = self._accept(m, bus.ar, address)
                m.d.sync += asks.eq(1)
                with m.If(bus.ar.valid):
                    m.next = "WAIT_ANSWER"
            # Ends when the host takes the answer.
            with m.State("WAIT_ANSWER"):
                with m.If(chosen == 0):
                    m.d.comb += [bus.r.valid.eq(1), bus.r.payload.resp.eq(RESP_SLVERR)]
                for block, mine in zip(blocks, chosen, strict=True):
                    with m.If(mine):
                        m.d.comb += [
                            block.ar.valid.eq(asks),
                            bus.r.payload.eq(block.r.payload),
                            bus.r.valid.eq(block.r.valid),
                            block.r.ready.eq(bus.r.ready),
                        ]
                        with m.If(block.ar.ready):
                            m.d.sync += asks.eq(0)
                with m.If(bus.r.valid & bus.r.ready):
                    m.next = "WAIT_ADDRESS"
