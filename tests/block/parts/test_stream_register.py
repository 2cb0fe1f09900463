"""Registers in a stream against a queue of two payloads, or one: what enters leaves in its order, cycle by cycle as it is told."""

import random
from collections import deque

import pytest
from amaranth.hdl import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.stream_register import StreamRegister, steady
from tests.streams import simulate

CYCLES = 600


def outputs(ctx, dut):
    """Everything that leaves the register, in this cycle."""
    return ctx.get(dut.o.valid), ctx.get(dut.i.ready), ctx.get(dut.o.payload)


@pytest.mark.parametrize("half", [False, True], ids=["", "half"])
def test_it_is_a_queue_whose_outputs_are_registers(half, seed):
    """Any traffic, also of a source that takes an offer back; what the neighbours do in a cycle changes no output in that cycle."""
    rng = random.Random(f"{seed} {half}")
    dut, queue, depth = StreamRegister(unsigned(16), half=half), deque(), 1 if half else 2
    counts = set()

    async def check(ctx):
        for cycle in range(CYCLES):
            eager = cycle // 50 % 3
            before = outputs(ctx, dut)
            offer, take = rng.random() < (0.9, 0.5, 0.2)[eager], rng.random() < (0.9, 0.3, 0.8)[eager]
            payload = rng.getrandbits(16)
            ctx.set(dut.i.valid, offer)
            ctx.set(dut.i.payload, payload)
            ctx.set(dut.o.ready, take)
            assert outputs(ctx, dut) == before, f"cycle {cycle}: an output is no register"
            valid, ready, shown = before
            assert (valid, ready) == (len(queue) > 0, len(queue) < depth), f"cycle {cycle}: {list(queue)}"
            if queue:
                assert shown == queue[0], f"cycle {cycle}: {list(queue)}"
            counts.add((len(queue), offer, take))
            leaves, enters = valid and take, ready and offer
            if leaves:
                queue.popleft()
            if enters:
                queue.append(payload)
            await ctx.tick()

    simulate(dut, check)
    assert len(counts) == 4 * (depth + 1), "every level of the queue with every traffic"


class Steady(wiring.Component):
    """`steady` as a component."""

    valid: In(1)
    taken: In(1)
    stood: Out(4)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.stood[cycles].eq(steady(m, self.valid, self.taken, cycles, name=f"after_{cycles}")) for cycles in range(4)]
        return m


def test_an_offer_is_steady_after_so_many_cycles(seed):
    """The offer stands until it is taken, once it has stood for all cycles."""
    rng, dut = random.Random(seed), Steady()

    async def check(ctx):
        age = -1  # cycles for which an offer has stood; none stands
        for cycle in range(CYCLES):
            if age < 0 and rng.random() < 0.5:
                age = 0
            taken = age >= 3 and rng.random() < 0.4
            ctx.set(dut.valid, age >= 0)
            ctx.set(dut.taken, taken)
            assert ctx.get(dut.stood) == sum(1 << cycles for cycles in range(4) if age >= cycles), f"cycle {cycle}, age {age}"
            await ctx.tick()
            age = -1 if taken else age + (age >= 0)

    simulate(dut, check)
