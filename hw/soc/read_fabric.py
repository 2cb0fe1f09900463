"""Read fabric: the masters' AR and R on the DDR port."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import ReadChannels
from hw.soc.address_channel import AddressChannel
from hw.soc.axi import PortRead
from hw.soc.fabric_settings import fabric_settings


class ReadFabric(wiring.Component):
    """Addresses through an `AddressChannel`; data go straight to the master that the upper bits of their ID name.

    An address in `AddressChannel.PERIOD` cycles, three cycles of latency; data a beat a cycle, no latency. The order of bursts with equal
    IDs is the memory's to keep, and so is what of different IDs may pass what: the fabric keeps no list of bursts.

    A master that does not take its data holds up the data of all: `ReadGate` stands before each that might.

    Parameters
    ----------
    masters : int
        2 to 16.
    address_bits, data_bits : int
        Widths of the channels.

    Members
    -------
    master : In(ReadChannels)
        Each master; the fabric is its slave.
    port : Out(PortRead)
        The DDR port.
    settings : In(fabric_settings)
        Classes, rates and age limit.
    urgent : In(masters)
        Bit i: master i goes first now.
    """

    def __init__(self, *, masters, address_bits, data_bits):
        super().__init__({
            "master": In(ReadChannels(address_bits=address_bits, data_bits=data_bits)).array(masters),
            "port": Out(PortRead(address_bits=address_bits, data_bits=data_bits, masters=masters)),
            "settings": In(fabric_settings(masters)),
            "urgent": In(masters),
        })
        self.address = AddressChannel(masters=masters, address_bits=address_bits)

    def elaborate(self, platform):
        m = Module()
        m.submodules.address = address = self.address
        m.d.comb += [address.settings.eq(self.settings), address.urgent.eq(self.urgent), address.enable.eq(1)]
        wiring.connect(m, address.port, wiring.flipped(self.port.ar))

        beat, takes = self.port.r, []
        for number, master in enumerate(self.master):
            wiring.connect(m, wiring.flipped(master.ar), address.master[number])
            mine = beat.payload.id.master == number
            m.d.comb += [master.r.valid.eq(beat.valid & mine), master.r.payload.id.eq(beat.payload.id.id)]
            m.d.comb += [master.r.payload[name].eq(beat.payload[name]) for name in ("data", "resp", "last")]
            takes.append(mine & master.r.ready)
        m.d.comb += beat.ready.eq(Cat(takes).any())
        return m
