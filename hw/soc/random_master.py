"""A master like a CPU's cache: short reads and writes to random places of a window of the DDR."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import BOUNDARY, BURST_INCR, ReadChannels, WriteChannels
from hw.soc.burst_writer import BurstWriter
from hw.soc.bursts import burst_layout, check_burst

BOUNDARY_BITS = (BOUNDARY - 1).bit_length()

RANDOM_SETTINGS = data.StructLayout({
    "enable": unsigned(1),
    "base": unsigned(32),  # address of the window, bytes, a multiple of 4096: the lower bits are ignored
    "size_log2": unsigned(5),  # log2 of the window's bytes; less than 12 counts as 12
    "intensity": unsigned(16),  # mean requests a cycle in 1/65536
    "write_share": unsigned(8),  # share of writes among them in 1/256
    "max_len": unsigned(8),  # beats of the longest burst; 0 counts as 1, and more than 4 KiB as 4 KiB
})
"""Settings of the random master; they may change at any time."""

PATTERN = 0x5EED_C0DE
"""A written 32-bit word is its own byte address (low 32 bits) xor this."""


class RandomMaster(wiring.Component):
    """Draws, in every cycle, whether a request comes, and which: read or write, ID 0 or 1, 1 to ``max_len`` beats, anywhere in the window.

    A read that is drawn while another one waits for AR, or a write while another one's address or beats wait, is none: as a CPU that
    stalls makes no requests. So ``intensity`` is the mean where the bus keeps up. Lengths are uniform; a burst that would cross 4 KiB
    begins earlier, so that it ends there. Up to `OUTSTANDING` reads and as many writes are on their way; R and B are always ready.
    What a write writes is a function of the address (`PATTERN`), whatever came before: a checker knows it. What is read is not looked at.

    Random numbers: xorshift with the shifts 13, 7, 17, one step a cycle (Marsaglia, Xorshift RNGs, J. Stat. Software 8(14), 2003).

    Parameters
    ----------
    address_bits, data_bits : int
        Widths of the channels.

    Members
    -------
    settings : In(RANDOM_SETTINGS)
        Where, how often, what.
    read : Out(ReadChannels)
        To the interconnect.
    write : Out(WriteChannels)
        To the interconnect.
    idle : Out(1)
        Nothing waits and nothing is on its way.

    Raises
    ------
    ValueError
        If a width is out of range.
    """

    OUTSTANDING = 8
    SEED = 0x9E37_79B9_7F4A_7C15
    """State after reset: any but 0."""

    def __init__(self, *, address_bits, data_bits):
        check_burst("RandomMaster", address_bits=address_bits, data_bits=data_bits, burst_beats=1)
        self.address_bits, self.data_bits = address_bits, data_bits
        super().__init__({
            "settings": In(RANDOM_SETTINGS),
            "read": Out(ReadChannels(address_bits=address_bits, data_bits=data_bits)),
            "write": Out(WriteChannels(address_bits=address_bits, data_bits=data_bits)),
            "idle": Out(1),
        })
        self.writer = BurstWriter(address_bits=address_bits, data_bits=data_bits, outstanding=self.OUTSTANDING)
        self.unanswered = Signal(range(self.OUTSTANDING + 1))
        """Reads, the one that waits for AR included, whose last beat has not come."""

    def elaborate(self, platform):
        m = Module()
        drawn = Signal()
        is_write = Signal()
        request = Signal(burst_layout(self.address_bits))
        self._draw(m, drawn, is_write, request)
        self._reads(m, drawn & ~is_write, request)
        writes_idle = self._writes(m, drawn & is_write, request)
        m.d.comb += self.idle.eq((self.unanswered == 0) & writes_idle)
        return m

    def _draw(self, m, drawn, is_write, request):
        """A new state and from it a request, each cycle."""
        settings = self.settings
        state = Signal(64, init=self.SEED)
        a = Signal(64)
        b = Signal(64)
        m.d.comb += [a.eq(state ^ (state << 13)), b.eq(a ^ (a >> 7))]
        m.d.sync += state.eq(b ^ (b << 17))

        beat_bits = (self.data_bits // 8 - 1).bit_length()
        place_bits = BOUNDARY_BITS - beat_bits  # a place: of a beat in its 4 KiB
        length = Signal(8)
        highest = Signal(place_bits)
        place = Signal(place_bits)
        most = BOUNDARY * 8 // self.data_bits  # beats of 4 KiB
        longest = settings.max_len if most > 255 else Mux(settings.max_len > most, most, settings.max_len)
        window = Array((1 << max(0, log2 - BOUNDARY_BITS)) - 1 for log2 in range(32))[settings.size_log2]
        page = settings.base[BOUNDARY_BITS:] + (state[44:] & window)
        m.d.comb += [
            drawn.eq(settings.enable & (state[:16] < settings.intensity)),
            is_write.eq(state[16:24] < settings.write_share),
            length.eq((state[24:32] * longest) >> 8),
            highest.eq((1 << place_bits) - 1 - length),
            place.eq(Mux(state[33 : 33 + place_bits] > highest, highest, state[33 : 33 + place_bits])),
            request.id.eq(state[32]),
            request.len.eq(length),
            request.addr.eq(Cat(Const(0, beat_bits), place, page)),
        ]

    def _reads(self, m, drawn, request):
        """A read waits in the register of AR."""
        ar, r = self.read.ar, self.read.r
        begins = drawn & (~ar.valid | ar.ready) & (self.unanswered != self.OUTSTANDING)
        m.d.comb += [ar.payload.size.eq((self.data_bits // 8 - 1).bit_length()), ar.payload.burst.eq(BURST_INCR), r.ready.eq(1)]
        with m.If(ar.ready):
            m.d.sync += ar.valid.eq(0)
        with m.If(begins):
            m.d.sync += ar.valid.eq(1)
            m.d.sync += [ar.payload[name].eq(request[name]) for name in ("id", "addr", "len")]
        m.d.sync += self.unanswered.eq(self.unanswered + begins - (r.valid & r.payload.last))

    def _writes(self, m, drawn, request):
        """A write waits until its address and all its beats are taken. Returns whether none waits or is unanswered."""
        m.submodules.writer = writer = self.writer
        wiring.connect(m, writer.axi, wiring.flipped(self.write))
        bursts, beats = writer.bursts, writer.beats
        address = Signal(32)  # of the next beat, bytes
        with m.If(beats.valid & beats.ready):
            m.d.sync += address.eq(address + self.data_bits // 8)
        with m.If(bursts.ready):
            m.d.sync += bursts.valid.eq(0)
        with m.If(drawn & (~bursts.valid | bursts.ready)):
            m.d.sync += [bursts.valid.eq(1), bursts.payload.eq(request), address.eq(request.addr)]
        m.d.comb += [
            beats.valid.eq(1),  # the writer takes beats for a burst only
            beats.payload.eq(Cat((address + 4 * i)[:32] ^ PATTERN for i in range(self.data_bits // 32))),
        ]
        return ~bursts.valid & (writer.unanswered == 0)
