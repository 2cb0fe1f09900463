"""Proofs of the fabrics: every burst goes out once and unchanged, beats stay together, answers reach their owner, waits are bounded.

The masters are free: what is claimed holds for any traffic, and the port may be ready whenever it likes.
"""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.interface.axi import ID_BITS
from hw.soc.axi import QOS_HIGHEST
from hw.soc.read_fabric import ReadFabric
from hw.soc.write_fabric import WriteFabric
from tests.formal.prove import prove, refute
from tests.formal.test_soc_gates import counted, free, held, moved

WIDTHS = {"address_bits": 12, "data_bits": 8}
MASTERS = 3


def claim_addresses(m, dut, addresses, port):
    """One address at a time is taken, stands on the port in the next cycle under its master's number, and leaves once."""
    taken = Cat(moved(address) for address in addresses)
    offered = Array([Value.cast(address.payload) for address in addresses])
    owner, expected, level = Signal(range(MASTERS)), Signal.like(Value.cast(addresses[0].payload)), Signal(range(5))
    channel, index = dut.address, dut.address.owner
    m.d.comb += [Assume(held(m, address)) for address in addresses]  # the choice is made before the grant
    with m.If(taken.any()):
        m.d.sync += [owner.eq(index), expected.eq(offered[index]), level.eq(channel.level)]
    for number, address in enumerate(addresses):
        waiting = counted(m, f"waiting_{number}", moved(address), moved(port) & (port.payload.id.master == number))
        m.d.comb += [
            Assert(waiting == (port.valid & (port.payload.id.master == number)), "what was taken stands on the port"),
            Assert(~moved(address) | address.valid & (index == number)),
        ]
    out = port.payload
    without = Cat(out.id.id, out.addr, out.len, out.size, out.burst)
    m.d.comb += [
        Assert((taken & (taken - 1)[:MASTERS]) == 0, "one grant at a time"),
        Assert(~port.valid | ((without == expected) & (out.id.master == owner) & (out.qos == QOS_HIGHEST - level))),
        Assert(held(m, port)),
    ]
    return taken


def claim_wait(m, dut, addresses, port, who, most):
    """While ``who`` is the only master in front (urgent or of class 0) and not regulated: grants to others, and their bursts on the port.

    Grants are `most` at most, bursts on the port one more: the address that was granted before ``who`` asked. One is of a
    master that was in front when the choice was made, and is not when it is granted.
    """
    urgent, arbiter = dut.urgent, dut.address.arbiter
    klass = Array([dut.settings.master[number].klass for number in range(MASTERS)])
    request = Cat(address.valid for address in addresses)
    front = Cat(address.valid & (urgent[number] | (klass[number] == 0)) for number, address in enumerate(addresses))
    chosen = Signal(range(MASTERS))  # any master, the same for ever
    m.d.sync += chosen.eq(chosen)
    first = Signal(init=1)
    m.d.sync += first.eq(0)
    with m.If(first):
        m.d.sync += chosen.eq(who)
    me = Signal(MASTERS)
    m.d.comb += me.eq(1 << chosen)
    alone = ~first & (front == me) & ((arbiter.allowed & me) != 0) & ((request & me) != 0)
    granted = Cat(moved(address) for address in addresses)
    waits, others = alone & ((granted & me) == 0), (granted & ~me).any()
    passed, on_port = Signal(3), Signal(3)
    theirs = port.payload.id.master != chosen
    mine_next = (dut.address.chosen & me) != 0  # chosen, and granted now
    m.d.sync += [
        passed.eq(Mux(waits, passed + others, 0)),
        on_port.eq(Mux(waits, on_port + (moved(port) & theirs), 0)),
    ]
    m.d.comb += [
        Assume(who < MASTERS),
        Assert(first | (chosen < MASTERS)),
        Assert(passed <= most, "at most one grant to another"),
        Assert((passed < most) | (passed == 0) | ~arbiter.front_before | mine_next, "after it, it is who waits in front"),
        Assert(on_port + (port.valid & theirs) <= passed + 1, "and the address that stood on the port before"),
    ]


def claim_answers(m, masters, port):
    """An answer passes to the owner of its ID alone, in the same cycle, unchanged but for the number."""
    for number, master in enumerate(masters):
        fields = [name for name, _ in master.payload.shape() if name != "id"]
        mine = port.payload.id.master == number
        m.d.comb += [
            Assert(master.valid == (port.valid & mine)),
            Assert(~moved(master) | moved(port)),
            Assert(~master.valid | (master.payload.id == Value.cast(port.payload.id)[:ID_BITS])),
            *(Assert(~master.valid | (master.payload[name] == port.payload[name])) for name in fields),
        ]
    m.d.comb += Assert(moved(port) == Cat(moved(master) for master in masters).any())


class ReadFabricProof(wiring.Component):
    """Addresses, answers and the bounded wait of `ReadFabric`."""

    def __init__(self, most=2, break_it=False):
        self.most, self.break_it = most, break_it
        self.dut = ReadFabric(masters=MASTERS, **WIDTHS)
        super().__init__(dict(self.dut.signature.members.items()) | {"who": In(range(MASTERS))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        free(m, self, dut)
        addresses = [master.ar for master in dut.master]
        claim_addresses(m, dut, addresses, dut.port.ar)
        claim_wait(m, dut, addresses, dut.port.ar, self.who, self.most)
        claim_answers(m, [master.r for master in dut.master], dut.port.r)
        if self.break_it:
            m.d.comb += Assert(~(dut.port.ar.valid & (dut.port.ar.payload.id.master == 2)))
        return m


class WriteFabricProof(wiring.Component):
    """Addresses, beats, answers and the bounded wait of `WriteFabric`.

    ``lengths`` are the lengths of the bursts in ``order``; a master's ``last`` is where its length says, and that is assumed.
    """

    def __init__(self, depth=2, most=2, break_it=False):
        self.depth, self.most, self.break_it = depth, most, break_it
        self.dut = WriteFabric(masters=MASTERS, **WIDTHS, depth=depth)
        super().__init__(dict(self.dut.signature.members.items()) | {"who": In(range(MASTERS))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        free(m, self, dut)
        addresses = [master.aw for master in dut.master]
        taken = claim_addresses(m, dut, addresses, dut.port.aw)
        claim_wait(m, dut, addresses, dut.port.aw, self.who, self.most)
        claim_answers(m, [master.b for master in dut.master], dut.port.b)
        self.claim_beats(m, dut, taken)
        if self.break_it:
            m.d.comb += Assert(dut.level != 2)
        return m

    def claim_beats(self, m, dut, taken):
        """The beats of a burst stay together, in the order of the grants, from their owner, and unchanged."""
        w, depth = dut.port.w, self.depth
        passed, ended, beat = moved(w), moved(w) & w.payload.last, Signal(9)
        owners = [Signal(range(MASTERS), name=f"owner_{place}") for place in range(depth)]
        lengths = [Signal(8, name=f"length_{place}") for place in range(depth)]
        place = Signal(4)
        m.d.comb += place.eq(dut.level - ended)
        index = dut.address.owner
        length = Array([master.aw.payload.len for master in dut.master])[index]
        for entries, new in ((owners, index), (lengths, length)):
            for number, entry in enumerate(entries):
                following = entries[number + 1] if number + 1 < depth else 0
                m.d.sync += entry.eq(Mux(taken.any() & (place == number), new, Mux(ended, following, entry)))
        m.d.sync += beat.eq(Mux(ended, 0, beat + passed))
        total = sum(Mux(number < dut.level, lengths[number] + 1, 0) for number in range(depth))
        late = Signal(range(-1, 257))  # what `left` does not know yet
        m.d.sync += late.eq(Mux(taken.any(), length + 1, 0) - passed)
        m.d.comb += [
            Assume(~w.valid | (w.payload.last == (beat == lengths[0]))),
            *(Assert((dut.order[number] == owners[number]) & ((number < dut.level) | (owners[number] == 0))) for number in range(depth)),
            Assert(dut.level <= depth),
            Assert(beat <= Mux(dut.level != 0, lengths[0], 0), "no beat behind the last"),
            Assert(dut.left + late + beat == total),
            Assert(~taken.any() | (dut.left <= depth), "a grant waits for the beats before it, all but a few"),
            Assert(dut.left <= depth + 256, "so what stands before the next one is a burst and these"),
            Assert((dut.level != 0) | ~w.valid, "no beat before its address is offered"),
        ]
        for number, master in enumerate(dut.master):
            mine = (dut.level != 0) & (owners[0] == number)
            same = Value.cast(w.payload) == Value.cast(master.w.payload)
            m.d.comb += [
                Assert(moved(master.w) == (passed & mine), "a beat passes from the owner of the oldest burst alone"),
                Assert(~mine | ((w.valid == master.w.valid) & (~w.valid | same)), "and unchanged, as soon as it is there"),
            ]


@pytest.mark.parametrize("proof", [ReadFabricProof, WriteFabricProof])
def test_fabrics_are_proven(proof, tmp_path):
    prove(proof(), tmp_path, depth=5)


@pytest.mark.parametrize("proof", [ReadFabricProof, WriteFabricProof])
def test_the_proof_reaches_states_and_can_fail(proof, tmp_path):
    refute(proof(break_it=True), tmp_path, depth=12)


def test_an_aged_master_goes_before_the_highest_class(tmp_path):
    """The bound of two grants is reached."""
    refute(ReadFabricProof(most=1), tmp_path, depth=12)
