"""Proof of `WriteFence`: a pulse leaves when the writes before it are made, pulses keep their order and number, and none waits for ever."""

from amaranth.hdl import Array, Assert, Assume, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.scratchpad.write_fence import WriteFence
from tests.formal.prove import prove, refute

WRITES, PULSES = 3, 2
COUNT = 4
"""Bits of a count of writes, which wraps: more than twice the writes that are pending."""


class WriteFenceProof(wiring.Component):
    """Writes and pulses come as they like, within the room that there is; each pulse remembers how many writes stand before it.

    Parameters
    ----------
    dut : WriteFence
        The design, or a broken one.
    tied : bool
        Also asserts what ties the observer to the design, without which there is no induction.
    """

    accepted: In(1)
    made: In(1)
    complete: In(1)

    def __init__(self, *, dut, tied=True):
        self.dut, self.tied = dut, tied
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        accepted, made = Signal(COUNT), Signal(COUNT)  # so far
        before = Array(Signal(COUNT, name=f"before_{place}") for place in range(PULSES))  # of each pulse that waits, the oldest first
        waiting = Signal(range(PULSES + 1))
        pending = (accepted - made)[:COUNT]
        m.d.comb += [
            dut.accepted.eq(self.accepted),
            dut.made.eq(self.made),
            dut.complete.eq(self.complete),
            Assume(~self.made | (pending != 0)),
            Assume(~self.accepted | self.made | (pending != WRITES)),
            Assume(~self.complete | dut.settled | (waiting != PULSES)),
        ]
        m.d.sync += [accepted.eq(accepted + self.accepted), made.eq(made + self.made), waiting.eq(waiting + self.complete - dut.settled)]
        with m.If(dut.settled):
            m.d.sync += [before[place].eq(before[place + 1]) for place in range(PULSES - 1)]
        with m.If(self.complete):
            m.d.sync += before[(waiting - dut.settled)[:1]].eq(accepted)
        missing = [(place - made)[:COUNT] for place in before]  # of a pulse's writes; more than there can be: all are made
        m.d.comb += [
            Assert(~dut.settled | (waiting != 0), "no pulse is invented"),
            Assert(~dut.settled | (missing[0] == 0) | (missing[0] > WRITES), "a pulse leaves behind the writes before it"),
            Assert((waiting == 0) | (pending != 0) | dut.settled, "a pulse whose writes are all made leaves"),
        ]
        if self.tied:
            newest = Array(missing)[(waiting - 1)[:1]]
            m.d.comb += [
                Assert((pending <= WRITES) & (dut.pending == pending), "the writes are those that the design counts"),
                Assert((waiting <= PULSES) & (dut.waiting == waiting), "the pulses are those that it counts"),
                Assert((waiting == 0) | (dut.waits_for == newest) | ((newest > WRITES) & (dut.waits_for == 0)), "they wait for the newest"),
                Assert((waiting != 0) | (dut.waits_for == 0), "nothing waits without a pulse"),
                # each cycle behind the last of its writes a pulse leaves
                Assert(
                    (waiting == 0) | (newest <= pending) | (newest >= (1 << COUNT) - PULSES + waiting),
                    "the newest waits for writes that are pending, or they are just made",
                ),
            ]
            for place in range(PULSES - 1):
                ordered = (before[place + 1] - before[place])[:COUNT] <= WRITES
                m.d.comb += Assert((waiting < place + 2) | ordered, "a pulse comes behind the one before it")
        return m


class Early(WriteFence):
    """Broken: pulses leave at once."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.settled.eq(self.waiting != 0)
        return m


class Forgetful(WriteFence):
    """Broken: a pulse that comes while another leaves is lost."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.settled & self.complete):
            m.d.sync += self.waiting.eq(self.waiting - 1)
        return m


class Stuck(WriteFence):
    """Broken: does not see a write that is made as a pulse comes."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.complete):
            m.d.sync += self.waits_for.eq(self.pending)
        return m


def test_pulses_wait_for_their_writes_and_leave(tmp_path):
    prove(WriteFenceProof(dut=WriteFence(writes=WRITES, pulses=PULSES)), tmp_path, depth=6, kept=True)


def test_a_pulse_that_does_not_wait_is_noticed(tmp_path):
    refute(WriteFenceProof(dut=Early(writes=WRITES, pulses=PULSES), tied=False), tmp_path, depth=8)


def test_a_pulse_that_is_lost_is_noticed(tmp_path):
    refute(WriteFenceProof(dut=Forgetful(writes=WRITES, pulses=PULSES), tied=False), tmp_path, depth=8)


def test_a_write_that_is_not_seen_is_noticed(tmp_path):
    refute(WriteFenceProof(dut=Stuck(writes=WRITES, pulses=PULSES), tied=False), tmp_path, depth=8)
