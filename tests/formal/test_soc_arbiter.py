"""Proofs of `RoundRobin` and `GrantArbiter`: who is granted, and how long anybody waits.

Priority and waits are proven of `PlainArbiter`, and `GrantArbiter` to choose as that does: so they hold of it.
"""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.soc.grant_arbiter import GrantArbiter
from hw.soc.round_robin import RoundRobin
from tests.formal.prove import prove, refute
from tests.soc.plain_arbiter import PlainArbiter

AGE_BITS = 4


def ahead(queue, master, members):
    """Expression: mask of those whom a queue would choose before a master, if all of them waited."""
    behind, mine = queue.behind, queue.behind.bit_select(master, 1)
    return Cat((behind[i] & ~mine) | ((behind[i] == mine) & (i < master)) for i in range(members))


def turns_are_ordered(queue):
    """Expression: the mask of a queue is that of all members from one number on; the induction needs it."""
    return (queue.behind[:-1] & ~queue.behind[1:]) == 0


def count(bits):
    """Expression: how many bits are set."""
    return sum(bits[i] for i in range(len(bits)))


class RoundRobinProof(wiring.Component):
    """Any members wait, choices are taken at any time; ``who`` and ``other`` are two of them, any two, for ever.

    While ``who`` waits, ``other`` is taken ``most`` times at most.
    """

    def __init__(self, *, members, most=1):
        self.members, self.most = members, most
        super().__init__({"waiting": In(members), "take": In(1), "who": In(range(members)), "other": In(range(members))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = RoundRobin(self.members)
        m.d.comb += [dut.waiting.eq(self.waiting), dut.take.eq(self.take)]
        who, other = constant(m, "who", self.who, self.members), constant(m, "other", self.other, self.members)
        m.d.comb += [
            Assert(dut.some == self.waiting.any()),
            Assert(count(dut.one_hot) == dut.some, "one of those who wait is chosen"),
            Assert((dut.one_hot & ~self.waiting) == 0, "nobody else is chosen"),
        ]
        taken = dut.take & dut.one_hot.bit_select(other, 1) & (who != other)
        times = Signal(range(self.most + 3))
        waits = self.waiting.bit_select(who, 1) & ~(dut.take & dut.one_hot.bit_select(who, 1))
        m.d.sync += times.eq(Mux(waits, times + taken, 0))
        m.d.comb += [
            Assert(turns_are_ordered(dut)),
            Assert(times <= self.most, "while one waits, no other is taken twice"),
            Assert((times == 0) | ~ahead(dut, who, self.members).bit_select(other, 1), "who was taken is no longer ahead"),
        ]
        return m


class PlainArbiterProof(wiring.Component):
    """Any requests, permissions, urgencies and classes, which may change in any cycle, and grants at any time; one ``age_limit`` for ever.

    ``who`` is any master, for ever. It *waits* from the cycle on in which it asks; claims count the grants that go to others meanwhile:

    - ``passed``: while it is urgent or of class 0 and no other master that asks is; ``front_most`` at most.
    - ``waited``: while its ``urgent`` and its class stand still; ``most`` at most where it is urgent, and ``age_limit`` more where it is
      not but may age. Until it is aged they are what its patience has lost; then each master ahead of it in its queue may go once,
      and after each one of the front or an aged one, as it is itself aged or of the front.
    """

    def __init__(self, *, masters, front_most=1, most=None):
        self.masters, self.front_most = masters, front_most
        self.most = 2 * masters - 1 if most is None else most
        super().__init__({
            "request": In(masters),
            "allowed": In(masters),
            "urgent": In(masters),
            "klass": In(unsigned(2)).array(masters),
            "age_limit": In(AGE_BITS),
            "take": In(1),
            "who": In(range(masters)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = PlainArbiter(masters=self.masters, age_bits=AGE_BITS)
        m.d.comb += [getattr(dut, name).eq(getattr(self, name)) for name in ("request", "allowed", "urgent", "age_limit", "take")]
        m.d.comb += [inside.eq(outside) for inside, outside in zip(dut.klass, self.klass)]
        self.claim_choice(m, dut)
        self.claim_priority(m, dut)
        self.claim_turns(m, dut)
        who, limit = constant(m, "who", self.who, self.masters), constant(m, "limit", self.age_limit, 1 << AGE_BITS)
        begun = Signal()
        m.d.sync += begun.eq(1)
        self.claim_age(m, dut, begun, who, limit)
        self.claim_waits(m, dut, begun, who, limit)
        return m

    def claim_choice(self, m, dut):
        """One grant at a time, to one who asks, always when somebody does; what is not taken changes nothing."""
        asks = self.request & self.allowed
        m.d.comb += [
            Assert(dut.valid == asks.any(), "nobody is kept waiting without a reason"),
            Assert(count(dut.one_hot) == dut.valid, "one grant at a time"),
            Assert((dut.one_hot & ~asks) == 0, "a grant goes to who asks"),
            Assert(dut.one_hot == Mux(dut.valid, Const(1) << dut.index, 0), "number and mask are the same"),
        ]
        inputs = Cat(self.request, self.allowed, self.urgent, *self.klass)
        before, chosen, spent = Signal.like(inputs), Signal(self.masters), Signal(init=1)
        m.d.sync += [before.eq(inputs), chosen.eq(dut.one_hot), spent.eq(self.take)]
        same = ~spent & (before == inputs)
        m.d.comb += Assert(~same | (chosen == dut.one_hot), "a choice that is not taken costs nobody his turn")

    def claim_priority(self, m, dut):
        """Nobody goes before a master of a lower level, but the front and the aged ones, as the last grant says."""
        asks = self.request & self.allowed
        klass, front_before = Array(self.klass)[dut.index], Signal()
        urgent, aged = self.urgent.bit_select(dut.index, 1), dut.aged.bit_select(dut.index, 1)
        m.d.comb += Assert(~dut.valid | (dut.level == Mux(urgent | aged, 0, klass + 1)), "the level is what the master is")
        with m.If(self.take & dut.valid):
            m.d.sync += front_before.eq(urgent | (klass == 0))
        for master in range(self.masters):
            level = Mux(self.urgent[master] | dut.aged[master], 0, self.klass[master] + 1)
            late = dut.aged[master] & ~self.urgent[master] & (self.klass[master] != 0)
            first_again = (klass == 0) & late & ~front_before
            m.d.comb += [
                Assert(~asks[master] | (dut.level <= level) | first_again, "the lowest level goes"),
                Assert(~(asks & self.urgent)[master] | urgent | aged, "only an aged master goes before an urgent one"),
                Assert(~(asks & self.urgent)[master] | urgent | (klass == 0) | front_before, "and only behind a grant to the front"),
            ]
        m.d.comb += Assert(front_before == dut.front_before)

    def claim_turns(self, m, dut):
        """What `RoundRobinProof` proves of a queue holds of the grants of a class: they are its choices, all of them and no others."""
        asks = self.request & self.allowed
        for number, queue in enumerate(dut.classes):
            there = asks & ~self.urgent & ~dut.aged & Cat(klass == number for klass in self.klass)
            from_here = self.take & dut.valid & (dut.level == 1 + number)
            m.d.comb += [
                Assert(queue.waiting == there, "the others of a class stand in its queue"),
                Assert((queue.take & queue.some) == from_here, "a turn is spent with a grant and only then"),
                Assert(~from_here | (dut.one_hot == queue.one_hot), "who has the turn is granted"),
            ]

    def claim_age(self, m, dut, begun, who, limit):
        """Nobody is aged before his time, and nobody stays so behind his grant: ``lost`` counts anew from there on."""
        lost, granted = Signal(range((1 << AGE_BITS) + 1)), self.take & dut.one_hot.bit_select(who, 1)
        with m.If(~self.request.bit_select(who, 1) | granted):
            m.d.sync += lost.eq(0)
        with m.Elif(self.take & dut.valid & self.allowed.bit_select(who, 1) & (lost != 1 << AGE_BITS)):
            m.d.sync += lost.eq(lost + 1)
        m.d.comb += [
            Assert(~dut.aged.bit_select(who, 1) | (lost >= limit), "who is aged has seen as many grants to others as the limit says"),
            Assert(~begun | (lost + Array(dut.patience)[who] >= limit), "patience is lost with grants alone"),
            Assert(begun | (Array(dut.patience)[who] == 0)),
            Assert(lost <= 1 << AGE_BITS),
        ]

    def claim_waits(self, m, dut, begun, who, limit):
        """How many grants go to others while ``who`` waits, from the second cycle after reset on: in the first, patience is loaded."""
        asks = self.request & self.allowed
        front = asks & (self.urgent | Cat(klass == 0 for klass in self.klass))
        mine, urgent, klass = Const(1) << who, self.urgent.bit_select(who, 1), Array(self.klass)[who]
        other = self.take & dut.valid & ~dut.one_hot.bit_select(who, 1)
        waits = begun & asks.bit_select(who, 1) & ~(self.take & dut.one_hot.bit_select(who, 1))

        passed = Signal(range(self.front_most + 3))
        m.d.sync += passed.eq(Mux(waits & (front == mine[: self.masters]), passed + other, 0))
        m.d.comb += [
            Assert(passed <= self.front_most, "the only master in front waits for one grant"),
            Assert((passed == 0) | ~dut.front_before),
        ]

        # The wait of any master. `urgent` and `klass` may have changed since the last cycle: then it waits anew.
        waited, was_urgent, was_klass = Signal(AGE_BITS + 4), Signal(), Signal(2)
        still = (urgent == was_urgent) & (klass == was_klass)
        m.d.sync += [waited.eq(Mux(waits, Mux(still, waited, 0) + other, 0)), was_urgent.eq(urgent), was_klass.eq(klass)]
        aged, patience = dut.aged.bit_select(who, 1), Array(dut.patience)[who]
        first = 2 * count(ahead(dut.first, who, self.masters)) + dut.front_before
        late = 2 * count(ahead(dut.late, who, self.masters)) + ~dut.front_before
        goes_first = was_urgent | (aged & (was_klass == 0))
        room = Mux(was_urgent, 0, limit)
        ages = limit != 0
        m.d.comb += [
            Assert(~(was_urgent | ages) | (waited <= self.most + room), "no wait is longer than the bound"),
            Assert(
                ~(aged | was_urgent) | (waited + Mux(goes_first, first, late) <= 2 * self.masters - 1 + room),
                "the rest stands ahead in the queue",
            ),
            Assert(~ages | aged | was_urgent | (waited + patience <= limit), "patience pays for the wait"),
            Assert(~begun | ~ages | (aged == (patience == 0)), "who has lost all patience is aged"),
            Assert(patience <= limit),
            Assert(~aged | (begun & ages)),
            Assert(turns_are_ordered(dut.first) & turns_are_ordered(dut.late)),
        ]


class GrantArbiterProof(wiring.Component):
    """`GrantArbiter` chooses as `PlainArbiter`, whose inputs are a cycle late: so what is proven of that holds of it.

    Whoever requests goes on until he is granted and a cycle more (in which the grant is handed over); what is allowed, urgent and who asks
    may change in any cycle else. Behind a grant there is none for ``rest`` cycles. Classes and limit stand still.
    """

    def __init__(self, *, masters, rest=GrantArbiter.REST):
        self.masters, self.rest = masters, rest
        super().__init__({
            "request": In(masters),
            "allowed": In(masters),
            "urgent": In(masters),
            "klass": In(unsigned(2)).array(masters),
            "age_limit": In(AGE_BITS),
            "take": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = GrantArbiter(masters=self.masters, age_bits=AGE_BITS)
        m.submodules.plain = plain = PlainArbiter(masters=self.masters, age_bits=AGE_BITS)
        for name in ("request", "allowed", "urgent"):
            m.d.comb += getattr(dut, name).eq(getattr(self, name))
            m.d.sync += getattr(plain, name).eq(getattr(self, name))
        resting, won, begun = Signal(GrantArbiter.REST), Signal(self.masters), Signal()
        take = self.take & (resting[: self.rest] == 0)
        m.d.sync += [resting.eq(Cat(take & plain.valid, resting)), won.eq(plain.one_hot & take.replicate(self.masters)), begun.eq(1)]
        for arbiter in (dut, plain):
            m.d.comb += [arbiter.take.eq(take), arbiter.age_limit.eq(constant(m, f"limit_{arbiter is dut}", self.age_limit, 1 << AGE_BITS))]
            m.d.comb += [
                inside.eq(constant(m, f"klass_{arbiter is dut}_{i}", outside, 4))
                for i, (inside, outside) in enumerate(zip(arbiter.klass, self.klass))
            ]
        left = Signal(self.masters)  # may end its request: granted in the cycle before
        m.d.sync += left.eq(won)
        m.d.comb += Assume((plain.request & ~self.request & ~left) == 0)

        chooses = resting == 0
        m.d.comb += [
            *(
                Assert(~chooses | (getattr(dut, name) == getattr(plain, name)), "it chooses as the plain one")
                for name in ("valid", "index", "one_hot", "level")
            ),
            *(Assert(mine.behind == other.behind) for mine, other in zip(queues(dut), queues(plain))),
            Assert(dut.front_before == plain.front_before),
            Assert(resting[0] | (dut.aged == plain.aged), "whose time has come, they agree on a cycle later"),
            *(Assert(resting[0] | (mine == other)) for mine, other in zip(dut.patience, plain.patience)),
        ]
        return m


def queues(arbiter):
    """All queues of an arbiter."""
    return [arbiter.first, arbiter.late, *arbiter.classes]


def constant(m, name, value, members):
    """An input that stands still, less than ``members``."""
    last, begun = Signal.like(value, name=f"{name}_last"), Signal(name=f"{name}_begun")
    m.d.sync += [last.eq(value), begun.eq(1)]
    m.d.comb += [Assume(~begun | (last == value)), Assume(value < members)]
    return value


@pytest.mark.parametrize("members", [1, 3, 8])
def test_turns_are_taken(tmp_path, members):
    prove(RoundRobinProof(members=members), tmp_path, depth=2)


def test_that_nobody_goes_ahead_is_refuted(tmp_path):
    refute(RoundRobinProof(members=3, most=0), tmp_path, depth=4)


@pytest.mark.parametrize("masters", [1, 2, 4])
def test_grants_keep_to_priority_and_waits_are_bounded(tmp_path, masters):
    prove(PlainArbiterProof(masters=masters), tmp_path, depth=2)


@pytest.mark.parametrize("claim", [{"masters": 2, "front_most": 0}, {"masters": 2, "most": 1}])
def test_a_bound_that_is_too_small_is_refuted(tmp_path, claim):
    refute(PlainArbiterProof(**claim), tmp_path, depth=6)


@pytest.mark.parametrize("masters", [2, 4])
def test_its_registers_change_no_choice(tmp_path, masters):
    prove(GrantArbiterProof(masters=masters), tmp_path, depth=4)


def test_a_grant_too_early_behind_another_is_noticed(tmp_path):
    refute(GrantArbiterProof(masters=2, rest=0), tmp_path, depth=8)
