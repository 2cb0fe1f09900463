"""Job control: how jobs end."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.control.control import JobControl
from hw.npu.interface.isa import Error
from hw.npu.parts.fanout_chain import REACH, FanoutChain
from tests.streams import plain, simulate

WATCHDOG = 20
SEEN = JobControl.SEEN


class Bench:
    """Job control with a bus that holds transactions, as a test says."""

    def __init__(self, units=2):
        self.dut = JobControl(units=units, watchdog=WATCHDOG)
        self.cycle, self.events, self.begun = 0, [], None
        self.resets = []  # first cycle of each, and the one behind its last

    async def observe(self, ctx):
        dut = self.dut
        ctx.set(dut.timeout, 50)
        while True:
            *_, begin, done, error, reset, status = await ctx.tick().sample(
                dut.begin, dut.events.irq_done, dut.events.irq_error, dut.core_reset, dut.status
            )
            assert not (status.done and status.error)
            if begin:
                self.begun = self.cycle
            if done or error:
                self.events.append((self.cycle, "error" if error else "done"))
            if reset and not (self.resets and self.resets[-1][1] == self.cycle):
                self.resets.append([self.cycle, self.cycle])
            if reset:
                self.resets[-1][1] += 1
            self.cycle += 1

    async def pulse(self, ctx, name):
        ctx.set(self.dut.pulses[name], 1)
        await ctx.tick()
        ctx.set(self.dut.pulses[name], 0)

    async def until_idle(self, ctx):
        """The status at the end of the job; then the last part of the core is reset, too."""
        while ctx.get(self.dut.status.busy):
            await ctx.tick()
        status = plain(ctx.get(self.dut.status))
        await ctx.tick().repeat(3 * REACH)
        return status

    def run(self, check, cycles=2000):
        simulate(self.dut, check, background=[self.observe], cycles=cycles)


def test_the_count_of_cycles_goes_on_from_its_lower_half_to_its_upper(monkeypatch):
    """A count of 10 bits in place of 64: halves of 5, over which it goes again and again, from job to job."""
    monkeypatch.setattr("hw.npu.control.control.CYCLE_BITS", 10)
    bench = Bench()

    async def check(ctx):
        for length in (31, 32, 33, 700):
            ctx.set(bench.dut.complete, 0)
            ctx.set(bench.dut.progress, 1)
            await bench.pulse(ctx, "start")
            before = ctx.get(bench.dut.status.cycles_lo)
            for cycle in range(1, length):
                await ctx.tick()
                assert ctx.get(bench.dut.status.cycles_lo) == before + cycle
            ctx.set(bench.dut.complete, 1)
            await bench.until_idle(ctx)

    bench.run(check)


def test_a_job_ends_well_and_counts_its_cycles():
    bench = Bench()

    async def check(ctx):
        for length in (1, 2, 37):
            ctx.set(bench.dut.complete, 0)
            ctx.set(bench.dut.progress, 1)
            await bench.pulse(ctx, "start")
            for _ in range(length - 1):
                await ctx.tick()
            ctx.set(bench.dut.complete, 1)
            status = await bench.until_idle(ctx)
            assert (status["done"], status["error"], status["cycles_lo"]) == (1, 0, length + SEEN)
            assert bench.events.pop() == (bench.begun + length + SEEN, "done") and not bench.events
            assert bench.resets[-1] == [bench.begun + length + SEEN + 2, bench.begun + length + SEEN + 3 + REACH]

    bench.run(check)


def test_the_first_error_is_kept_and_waits_for_the_bus():
    bench = Bench(units=3)

    async def check(ctx):
        await bench.pulse(ctx, "start")
        await ctx.tick().repeat(5)
        ctx.set(bench.dut.outstanding, 1)
        for unit, code in ((1, Error.AXI_READ), (2, Error.ADDRESS)):
            ctx.set(bench.dut.errors[unit], {"valid": 1, "code": code, "index": 10 + unit})
        await ctx.tick()
        ctx.set(bench.dut.errors[0], {"valid": 1, "code": Error.BAD_FIELD, "index": 3})
        await ctx.tick().repeat(SEEN)
        for _ in range(15 + REACH):
            await ctx.tick()
            assert ctx.get(bench.dut.halt) and ctx.get(bench.dut.status.draining) and not ctx.get(bench.dut.core_reset)
        ctx.set(bench.dut.outstanding, 0)
        status = await bench.until_idle(ctx)
        assert (status["error"], status["done"], status["error_code"], status["error_index"]) == (1, 0, Error.AXI_READ, 11)
        assert [kind for _, kind in bench.events] == ["error"] and len(bench.resets) == 1
        assert status["cycles_lo"] == bench.events[0][0] - bench.begun

    bench.run(check)


def test_no_progress_is_a_deadlock_at_the_oldest_command():
    bench = Bench()

    async def check(ctx):
        ctx.set(bench.dut.oldest, 77)
        await bench.pulse(ctx, "start")
        for _ in range(WATCHDOG + 5):
            ctx.set(bench.dut.progress, 1)
            await ctx.tick()
        ctx.set(bench.dut.progress, 0)
        ctx.set(bench.dut.outstanding, 1)
        await ctx.tick().repeat(WATCHDOG + 5)
        ctx.set(bench.dut.outstanding, 0)
        status = await bench.until_idle(ctx)
        assert (status["error"], status["error_code"], status["error_index"]) == (1, Error.DEADLOCK, 77)
        assert bench.events[0][0] - bench.begun > 3 * WATCHDOG

    bench.run(check)


def test_a_silent_bus_is_reported_at_once_and_drained_later():
    bench = Bench()

    async def check(ctx):
        await bench.pulse(ctx, "start")
        ctx.set(bench.dut.outstanding, 1)
        for _ in range(3):  # each handshake begins the wait anew
            ctx.set(bench.dut.handshake, 0)
            await ctx.tick().repeat(45)
            ctx.set(bench.dut.handshake, 1)
            await ctx.tick()
        ctx.set(bench.dut.handshake, 0)
        while not bench.events:
            await ctx.tick()
        status = plain(ctx.get(bench.dut.status))
        assert (status["error"], status["error_code"], status["draining"], status["busy"]) == (1, Error.TIMEOUT, 1, 1)
        await bench.pulse(ctx, "start")
        await ctx.tick().repeat(200)
        assert not bench.resets, "the core may not be reset while the bus owes an answer"
        ctx.set(bench.dut.outstanding, 0)
        status = await bench.until_idle(ctx)
        assert status["error"] and len(bench.events) == 1 and len(bench.resets) == 1

    bench.run(check)


def test_an_error_whose_draining_hangs_is_still_reported():
    bench = Bench()

    async def check(ctx):
        await bench.pulse(ctx, "start")
        ctx.set(bench.dut.outstanding, 1)
        ctx.set(bench.dut.errors[0], {"valid": 1, "code": Error.BAD_OPCODE, "index": 9})
        await ctx.tick().repeat(100)
        status = plain(ctx.get(bench.dut.status))
        assert (status["error"], status["error_code"], status["error_index"], status["draining"]) == (1, Error.BAD_OPCODE, 9, 1)
        assert len(bench.events) == 1

    bench.run(check)


@pytest.mark.parametrize("when", [0, 1, 7])
@pytest.mark.parametrize("during", ["run", "drain"])
def test_soft_reset_ends_a_job_without_event_and_the_next_runs(when, during):
    bench = Bench()

    async def check(ctx):
        ctx.set(bench.dut.progress, 1)
        ctx.set(bench.dut.outstanding, 1)
        await bench.pulse(ctx, "start")
        if during == "drain":
            ctx.set(bench.dut.errors[1], {"valid": 1, "code": Error.ADDRESS, "index": 1})
        await ctx.tick().repeat(when + 1)
        await bench.pulse(ctx, "soft_reset")
        await ctx.tick().repeat(10)
        assert ctx.get(bench.dut.halt) and not bench.resets
        ctx.set(bench.dut.outstanding, 0)
        status = await bench.until_idle(ctx)
        assert not bench.events and len(bench.resets) == 1
        assert (status["done"], status["error"], status["error_code"]) == (0, 0, 0)
        ctx.set(bench.dut.errors[1].valid, 0)
        await bench.pulse(ctx, "start")
        ctx.set(bench.dut.complete, 1)
        status = await bench.until_idle(ctx)
        assert status["done"] and [kind for _, kind in bench.events] == ["done"]

    bench.run(check)


def test_random_inputs_end_every_job_once(seed):
    rng = random.Random(seed)
    bench = Bench()
    dut = bench.dut

    async def check(ctx):
        ended = 0
        for jobs in range(1, 61):
            ctx.set(dut.complete, 0)
            ctx.set(dut.errors[0].valid, 0)
            await bench.pulse(ctx, "start")
            gave_up = False
            for _ in range(rng.randint(0, 30)):
                ctx.set(dut.outstanding, rng.random() < 0.5)
                ctx.set(dut.progress, rng.random() < 0.5)
                await ctx.tick()
            end = rng.choice(["complete", "error", "both", "reset"])
            ctx.set(dut.complete, end in ("complete", "both"))
            ctx.set(dut.errors[0], {"valid": end in ("error", "both"), "code": rng.randint(1, 7), "index": 5})
            if end == "reset":
                await bench.pulse(ctx, "soft_reset")
                gave_up = True
            ctx.set(dut.outstanding, 0)
            status = await bench.until_idle(ctx)
            assert (status["done"], status["error"]) == {"complete": (1, 0), "reset": (0, 0)}.get(end, (0, 1)), f"seed {seed}, {end}"
            ended += not gave_up
            assert len(bench.events) == ended and len(bench.resets) == jobs

    bench.run(check, cycles=10_000)


@pytest.mark.parametrize("wrong", [{"units": 0}, {"units": 1, "watchdog": 1}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="JobControl needs"):
        JobControl(**wrong)


def _ends_well(bench):
    """A process: a job that is complete in its second cycle, up to the cycle of its event."""

    async def job(ctx):
        ctx.set(bench.dut.complete, 0)
        await bench.pulse(ctx, "start")
        ctx.set(bench.dut.complete, 1)
        while not bench.events:
            await ctx.tick()
        bench.events.clear()

    return job


@pytest.mark.parametrize("later", [*range(1, 5), *range(5, 2 * REACH + 6, 7), 2 * REACH + 2, 2 * REACH + 3])
def test_a_start_while_the_core_is_reset_counts(later):
    """Whenever it comes behind the event: the host sees a job that runs, no end of the one before, and one begin, behind the reset."""
    bench = Bench()

    async def check(ctx):
        await _ends_well(bench)(ctx)
        ctx.set(bench.dut.complete, 0)
        ended = bench.begun
        for _ in range(later):
            await ctx.tick()
        await bench.pulse(ctx, "start")
        assert ctx.get(bench.dut.status.busy) and not ctx.get(bench.dut.status.done)
        while bench.begun == ended:
            assert ctx.get(bench.dut.status.busy)
            await ctx.tick()
        assert bench.begun > bench.resets[-1][1] - 1 + REACH, "the last part is reset so much later"
        await ctx.tick().repeat(2 * REACH)
        assert [last - first for first, last in bench.resets] == [REACH + 1] and not bench.events

    bench.run(check)


@pytest.mark.parametrize("later", [0, 3, 20])
def test_a_soft_reset_while_the_core_is_reset_cancels_the_start(later):
    bench = Bench()

    async def check(ctx):
        await _ends_well(bench)(ctx)
        ended = bench.begun
        await ctx.tick().repeat(3)
        await bench.pulse(ctx, "start")
        for _ in range(later):
            await ctx.tick()
        await bench.pulse(ctx, "soft_reset")
        await ctx.tick().repeat(3 * REACH)
        assert plain(ctx.get(bench.dut.status)) == dict.fromkeys(plain(ctx.get(bench.dut.status)), 0) | {"cycles_lo": 2}
        assert bench.begun == ended

    bench.run(check)


class Parts(wiring.Component):
    """`REACH` counters that one signal resets."""

    reset: In(1)
    count: Out(8).array(REACH)

    def elaborate(self, platform):
        m = Module()
        resets = FanoutChain(m, self.reset, name="reset")
        for number in range(REACH):
            part = Module()
            part.d.sync += self.count[number].eq(self.count[number] + 1)
            m.submodules[f"part_{number}"] = resets.resets(part)
        return m


def test_a_reset_as_long_as_its_reach_has_all_parts_in_reset_at_once():
    dut = Parts()

    async def check(ctx):
        await ctx.tick().repeat(20)
        ctx.set(dut.reset, 1)
        await ctx.tick().repeat(REACH + 1)
        ctx.set(dut.reset, 0)
        assert [ctx.get(count) for count in dut.count] == [0] * REACH
        await ctx.tick()
        assert [ctx.get(count) for count in dut.count] == [0] * REACH, "the first part is let go in the next cycle"
        await ctx.tick().repeat(REACH)
        assert [ctx.get(count) for count in dut.count] == list(range(REACH, 0, -1))

    simulate(dut, check)


def test_a_signal_goes_to_no_more_parts_than_its_reach_allows_for():
    chain = FanoutChain(Module(), Signal(), name="x", start=REACH)
    with pytest.raises(AssertionError, match="more parts than REACH"):
        chain.tap()


def test_the_last_part_is_reset_so_many_cycles_after_draining_as_is_said():
    """A bench of the whole NPU looks away from promises for as long, and no longer."""
    bench = Bench()

    async def check(ctx):
        await bench.pulse(ctx, "start")
        await bench.pulse(ctx, "soft_reset")
        await ctx.tick().until(bench.dut.draining)
        await ctx.tick().until(~bench.dut.draining)
        cycles = 1  # that of state RESET, which has passed
        while ctx.get(bench.dut.clearing):
            cycles += 1
            await ctx.tick()
        assert cycles == bench.dut.resets

    bench.run(check)
