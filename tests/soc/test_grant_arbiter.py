"""GrantArbiter and RoundRobin against a twin of queues as lists, and the choices that a designer counts on, one by one."""

import random

import pytest

from hw.soc.grant_arbiter import CLASSES, GrantArbiter
from hw.soc.round_robin import RoundRobin
from tests.streams import simulate

URGENT, AGED = "urgent", "aged"
QUEUES = (URGENT, 0, AGED, 1, 2, 3)
"""In the order in which they go, where no aged master has his turn."""


class Twin:
    """The rule, master by master."""

    def __init__(self, masters):
        self.masters = masters
        self.last = dict.fromkeys(QUEUES, masters - 1)
        self.lost = [0] * masters  # grants to others while a master asked
        self.front_before = False

    def choose(self, request, allowed, urgent, klass, age_limit):
        """Queue, master and level of the choice; None where nobody asks."""
        queues = {name: [] for name in QUEUES}
        for master in range(self.masters):
            if request[master] and allowed[master]:
                aged = age_limit and self.lost[master] >= age_limit
                name = URGENT if urgent[master] or (aged and not klass[master]) else AGED if aged else klass[master]
                queues[name].append(master)
        order = (AGED, *QUEUES) if self.front_before else QUEUES
        for name in order:
            if queues[name]:
                master = min(queues[name], key=lambda one: (one - self.last[name] - 1) % self.masters)
                return name, master, 0 if name in (URGENT, AGED) else 1 + name
        return None

    def step(self, choice, take, request, allowed):
        """A cycle passes."""
        granted = choice[1] if choice and take else None
        if granted is not None:
            self.last[choice[0]] = granted
            self.front_before = choice[0] in (URGENT, 0)
        for master in range(self.masters):
            if master == granted or not request[master]:
                self.lost[master] = 0
            elif granted is not None and allowed[master]:
                self.lost[master] += 1


def pack(bits):
    """A list of bits, the first one lowest, as a number."""
    return sum(bit << place for place, bit in enumerate(bits))


async def expect(ctx, dut, choice, text):
    """The outputs are the twin's choice."""
    got = tuple(ctx.get(port) for port in (dut.valid, dut.index, dut.one_hot, dut.level))
    want = (1, choice[1], 1 << choice[1], choice[2]) if choice else (0, 0, 0, 0)
    assert got == want, f"{text}: expected {want}, got {got}"


async def grant(ctx, dut):
    """The choice of this cycle is granted, and who was passed over has lost patience."""
    for take in (1, *[0] * (GrantArbiter.REST - 1)):
        ctx.set(dut.take, take)
        await ctx.tick()


@pytest.mark.parametrize("masters", [1, 3, 4, 8])
@pytest.mark.parametrize("age_limit", [0, 1, 7, 255])
def test_it_chooses_as_its_twin(masters, age_limit, seed):
    rng = random.Random(f"{seed} {masters} {age_limit}")
    dut, reached = GrantArbiter(masters=masters), set()

    async def drive(ctx):
        ctx.set(dut.age_limit, age_limit)
        await ctx.tick()
        twin = Twin(masters)
        request = [0] * masters
        for cycle in range(1000):
            if cycle % 50 == 0:  # from few requests to all the time, from rarely to always urgent
                klass = [rng.randrange(CLASSES) for _ in range(masters)]
                busy, urgency, open_, taking = (rng.choice((0.05, 0.3, 0.7, 1)) for _ in range(4))
                for port, value in zip(dut.klass, klass):
                    ctx.set(port, value)
            request = [bit or rng.random() < busy for bit in request]
            allowed = [rng.random() < open_ for _ in range(masters)]
            urgent = [rng.random() < urgency / 2 for _ in range(masters)]
            take = rng.random() < taking
            for port, bits in ((dut.request, request), (dut.allowed, allowed), (dut.urgent, urgent)):
                ctx.set(port, pack(bits))
            choice = twin.choose(request, allowed, urgent, klass, age_limit)
            await ctx.tick()
            await expect(
                ctx, dut, choice, f"seed {seed}, cycle {cycle}, request {request}, allowed {allowed}, urgent {urgent}, class {klass}"
            )
            reached.add(choice and choice[0])
            twin.step(choice, take, request, allowed)
            if choice and take:
                await grant(ctx, dut)
                request[choice[1]] = rng.random() < busy

    simulate(dut, drive)
    if masters >= 4:
        assert reached >= {URGENT, 0, 1, 2, 3}
        assert (AGED in reached) == (age_limit in (1, 7))


def grants(count, *, masters, klass, request=None, urgent=0, age_limit=0):
    """The first ``count`` masters that are granted, all of them asking all the time unless ``request`` (a mask) says otherwise."""
    dut, order = GrantArbiter(masters=masters), []

    async def drive(ctx):
        for port, value in zip(dut.klass, klass):
            ctx.set(port, value)
        ctx.set(dut.age_limit, age_limit)
        ctx.set(dut.urgent, urgent)
        await ctx.tick()
        ctx.set(dut.allowed, (1 << masters) - 1)
        ctx.set(dut.request, (1 << masters) - 1 if request is None else request)
        for _ in range(count):
            await ctx.tick()
            order.append(ctx.get(dut.index))
            await grant(ctx, dut)

    simulate(dut, drive)
    return order


def test_one_class_takes_turns():
    assert grants(8, masters=4, klass=[2, 2, 2, 2]) == [0, 1, 2, 3, 0, 1, 2, 3]


def test_the_lower_class_waits_where_ageing_is_off():
    assert grants(300, masters=3, klass=[3, 1, 2]) == [1] * 300


def test_an_urgent_master_goes_before_class_0():
    assert grants(4, masters=3, klass=[0, 0, 3], urgent=0b100) == [2] * 4


def test_the_lowest_class_is_granted_after_as_many_others_as_the_limit_says():
    """Master 1 asks too: it ages with master 2, they go one at a time, and master 0 between them."""
    assert grants(10, masters=3, klass=[0, 1, 2], age_limit=4) == [0, 0, 0, 0, 1, 0, 2, 0, 0, 1]


def test_aged_masters_alternate_with_an_urgent_one():
    assert grants(8, masters=3, klass=[0, 1, 2], urgent=0b001, age_limit=1) == [0, 1, 0, 2, 0, 1, 0, 2]


def test_a_master_that_is_not_allowed_neither_goes_nor_ages():
    dut = GrantArbiter(masters=2)

    async def drive(ctx):
        ctx.set(dut.klass[0], 1)
        ctx.set(dut.klass[1], 2)
        ctx.set(dut.age_limit, 2)
        await ctx.tick()
        ctx.set(dut.request, 0b11)
        for allowed, choices in ((0b01, [0b01] * 10), (0b11, [0b01, 0b01, 0b10, 0b01])):
            ctx.set(dut.allowed, allowed)
            for expected in choices:
                await ctx.tick()
                assert ctx.get(dut.one_hot) == expected
                await grant(ctx, dut)

    simulate(dut, drive)


def test_nothing_to_arbitrate_is_refused():
    with pytest.raises(ValueError, match="at least one master and one bit of age, not 0 and 8"):
        GrantArbiter(masters=0)
    with pytest.raises(ValueError, match="at least one master and one bit of age, not 2 and 0"):
        GrantArbiter(masters=2, age_bits=0)
    with pytest.raises(ValueError, match="at least one member, not 0"):
        RoundRobin(0)
