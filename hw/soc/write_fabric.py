"""Write fabric: the masters' AW, W and B on the DDR port."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import WriteChannels
from hw.npu.parts.delay import delayed
from hw.soc.address_channel import AddressChannel
from hw.soc.axi import PortWrite
from hw.soc.fabric_settings import fabric_settings


class WriteFabric(wiring.Component):
    """Addresses through an `AddressChannel`; beats follow in the order of the grants, a burst's together.

    ``order`` holds whose beats come next; the oldest one's W passes straight through until its last beat. The last beats of a burst
    may come before its address is accepted, never before it is offered. Responses go straight to the master that the upper bits
    of their ID name. An address in `AddressChannel.PERIOD` cycles, a beat a cycle without bubbles between bursts that are longer.

    **Bounded wait.** Beats on W cannot overtake: a burst granted early is one more that a request of the highest level has to wait for.
    So a burst is granted when at most ``depth`` beats of earlier ones are left (they count a cycle late, what passes and what is granted),
    and what is left before a burst that is granted next is at most one burst and ``depth`` beats.

    A master whose beats are late, or that does not take its responses, holds up all: `WriteGate` stands before each that might. A
    master's ``last`` is where its ``len`` says.

    ::

        master.AW --> AddressChannel -------------> AW          master.W -+-> W
                          +-> order, beats left (owner of each burst) ----+ (selects)

    Parameters
    ----------
    masters : int
        2 to 16.
    address_bits, data_bits : int
        Widths of the channels.
    depth : int
        Beats of granted bursts that may be left when the next is granted, 1 to 64; so many bursts the order has room for. A burst's address
        goes out that many beats before its data can: 4 is enough for a port that takes both at once.

    Members
    -------
    master : In(WriteChannels)
        Each master; the fabric is its slave.
    port : Out(PortWrite)
        The DDR port.
    settings : In(fabric_settings)
        Classes, rates and age limit.
    urgent : In(masters)
        Bit i: master i goes first now.
    """

    def __init__(self, *, masters, address_bits, data_bits, depth):
        if not 1 <= depth <= 64:
            raise ValueError(f"WriteFabric depth must be 1 to 64, not {depth}")
        self.masters, self.depth = masters, depth
        super().__init__({
            "master": In(WriteChannels(address_bits=address_bits, data_bits=data_bits)).array(masters),
            "port": Out(PortWrite(address_bits=address_bits, data_bits=data_bits, masters=masters)),
            "settings": In(fabric_settings(masters)),
            "urgent": In(masters),
        })
        self.address = AddressChannel(masters=masters, address_bits=address_bits)
        self.order = [Signal(range(masters), name=f"order_{place}") for place in range(depth)]
        """Owner of each burst whose beats are not all through, the oldest first; zero behind the level."""
        self.level = Signal(range(depth + 1))
        """Entries of ``order`` that count."""
        self.left = Signal(range(depth + 257))
        """Beats of these bursts that have not passed."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.address = address = self.address
        enable = (self.left <= self.depth) & (self.level != self.depth)
        m.d.comb += [address.settings.eq(self.settings), address.urgent.eq(self.urgent), address.enable.eq(enable)]
        wiring.connect(m, address.port, wiring.flipped(self.port.aw))

        # Beats: from the owner of the oldest burst, until its last.
        w, busy = self.port.w, self.level != 0
        with m.Switch(self.order[0]):
            for number, master in enumerate(self.master):
                wiring.connect(m, wiring.flipped(master.aw), address.master[number])
                with m.Case(number):
                    m.d.comb += [w.payload.eq(master.w.payload), w.valid.eq(busy & master.w.valid), master.w.ready.eq(busy & w.ready)]
        passed = w.valid & w.ready
        self._follow(m, address, passed, passed & w.payload.last)

        # Responses: by ID.
        b, takes = self.port.b, []
        for number, master in enumerate(self.master):
            mine = b.payload.id.master == number
            m.d.comb += [
                master.b.valid.eq(b.valid & mine),
                master.b.payload.id.eq(b.payload.id.id),
                master.b.payload.resp.eq(b.payload.resp),
            ]
            takes.append(mine & master.b.ready)
        m.d.comb += b.ready.eq(Cat(takes).any())
        return m

    def _follow(self, m, address, passed, ended):
        """Bursts enter behind the youngest, and leave with their last beat."""
        place = Signal(range(self.depth + 1))
        granted = delayed(m, address.granted, 1, name="granted", reset_less=False)
        beats = delayed(m, address.beats, 1, name="beats")
        m.d.comb += place.eq(self.level - ended)
        m.d.sync += [
            self.level.eq(place + address.granted),
            self.left.eq(self.left - delayed(m, passed, 1, name="passed", reset_less=False) + Mux(granted, beats, 0)),
        ]
        for number, owner in enumerate(self.order):
            following = self.order[number + 1] if number + 1 < self.depth else 0
            enters = address.granted & (place == number)
            m.d.sync += owner.eq(Mux(enters, address.owner, Mux(ended, following, owner)))
        return place
