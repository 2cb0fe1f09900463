"""A soft reset in any state ends the job, leaves nothing on the bus, and the next job on the same NPU runs right."""

from collections import Counter

import numpy as np
import pytest

from tests.rtl.jobs import ARENA, COMMANDS, SOFT_RESET, START
from tests.rtl.mutations import random_ddr
from tests.rtl.networks import small_network
from tests.rtl.random_commands import legal_of
from tests.rtl.resets import BOTH, DONE, IDLE, IRQ_DONE, IRQ_ERROR, Resets, broken, stages, whole_job
from tests.rtl.switches import IN_TEST, SWITCHED, latencies, near_ddr

SILENT = 500
"""Cycles of silence that a job on a silent bus allows."""
LONG = 20_000
"""Cycles that a random stream takes, about."""


def in_each_stage(simulator, rng, count) -> Resets:
    """While it fetches, loads, executes, stores, and ends; on a DDR without chance the counter of cycles says where each came."""
    ddr, network = near_ddr(simulator.config), small_network(simulator.config)
    whole = whole_job(simulator, ddr, network)
    resets, reached = Resets(simulator, ddr), Counter()
    for name, (first, end) in stages(whole).items():
        for after in rng.integers(max(0, first - 4), end, count):
            resets.session.start(network)
            resets.session.job.step(int(after))
            resets.control(SOFT_RESET)
            resets.behind(f"while {name}", f"{after} cycles behind the start of a job of {whole.cycles}", network, irqs={0, IRQ_DONE})
    for case, answers in zip(resets.cases, resets.run(), strict=True):
        ended, cycles = answers["IRQ_STATUS"] == IRQ_DONE, answers["CYCLES_LO"]
        assert ended == (cycles == whole.cycles), f"{case.what}: IRQ_STATUS {answers['IRQ_STATUS']} at cycle {cycles}"
        reached.update(name for name, (first, end) in stages(whole).items() if first <= cycles < end)
    assert reached.keys() == stages(whole).keys(), f"stages reached: {reached}"
    return resets


def in_random_streams(simulator, rng, count) -> Resets:
    """Anywhere in random legal commands, on any DDR."""
    config, seeds = simulator.config, rng.integers(0, 1 << 30, count)
    resets = Resets(simulator, near_ddr(config))
    for seed in map(int, seeds):
        stream, after = legal_of(config)(seed, config), int(LONG ** rng.random())
        resets.session.job.tune(random_ddr(seed, config))
        resets.session.start(stream)
        resets.session.job.step(after)
        resets.control(SOFT_RESET)
        resets.behind("among random commands", f"stream {seed}, after {after} cycles", stream, irqs={0, IRQ_DONE})
    ended = sum(answers["IRQ_STATUS"] == IRQ_DONE for answers in resets.run())
    assert 2 * ended < count, f"{ended} of {count} jobs were over before they were reset"
    return resets


def while_idle(simulator, rng, count) -> Resets:
    """With nothing to do, once or twice, and a start right behind it, which counts; or together with a start, which does not."""
    network, resets = small_network(simulator.config), Resets(simulator, near_ddr(simulator.config))
    for apart in range(count):
        resets.session.prepare(network)
        resets.control(*[SOFT_RESET] * (1 + apart % 2), START, apart=apart * 40 // count)
        resets.behind_whole("while idle, a start behind it", f"{apart} of {count}", network)
    resets.session.prepare(network)
    resets.control(BOTH)
    resets.behind("while idle, with a start", "one write", network)
    resets.run()
    return resets


def twice(simulator, rng, count) -> Resets:
    """Again while the first one drains the bus or resets the core."""
    network, resets = small_network(simulator.config), Resets(simulator, near_ddr(simulator.config))
    for apart in range(count):
        resets.session.start(network)
        resets.session.job.step(int(rng.integers(resets.length)))
        resets.control(*[SOFT_RESET] * int(rng.integers(2, 4)), apart=apart * 100 // count)
        resets.behind("twice", f"{apart} of {count}", network, irqs={0, IRQ_DONE})
    resets.run()
    return resets


def with_a_start_behind(simulator, rng, count) -> Resets:
    """A start is ignored as long as the NPU drains, and counts from there on."""
    network, resets = small_network(simulator.config), Resets(simulator, near_ddr(simulator.config))
    for number in range(count):
        resets.session.start(network)
        resets.session.job.step(int(rng.integers(resets.length)))
        resets.control(SOFT_RESET)
        resets.session.job.step(number * 150 // count)
        resets.session.job.load(ARENA, network.arena)  # what was stored before the reset
        resets.control(START)
        either = {"irqs": {0, IRQ_DONE}, "statuses": {IDLE, DONE}, "running": resets.length}
        resets.behind("with a start behind it", f"{number} of {count}", network, **either)
    assert any(answers["STATUS"] == DONE for answers in resets.run()), "a start that comes late enough counts"
    return resets


def around_an_error(simulator, rng, count) -> Resets:
    """Before a command's error, while the bus is drained for it, and with the error pending."""
    ddr, network = near_ddr(simulator.config).replace(read_latency=max(latencies(simulator.config))), small_network(simulator.config)
    resets = Resets(simulator, ddr)
    for number in range(count):
        stream = broken(network, int(rng.integers(1, len(network.commands))))
        length = whole_job(simulator, ddr, stream).cycles
        pending = number % 3 == 0
        after = max(0, length + int(rng.integers(0, 60) if pending else rng.integers(-ddr.read_latency - 20, 30)))
        resets.session.start(stream)
        resets.session.job.step(after)
        resets.control(*[SOFT_RESET] * (1 + number % 2))
        state, irqs = ("with an error pending", {IRQ_ERROR}) if pending else ("around an error", {0, IRQ_ERROR})
        resets.behind(state, f"{after} cycles behind the start, the error is announced in cycle {length}", stream, irqs=irqs)
    resets.run()
    return resets


def on_a_silent_bus(simulator, rng, count) -> Resets:
    """Before the job gives up and behind, with and without a limit; then the bus wakes up."""
    network, resets = small_network(simulator.config), Resets(simulator, near_ddr(simulator.config), timeout=SILENT)
    for number in range(count):
        after = int(rng.integers(1 << int(rng.integers(1, 7))))
        resets.session.timeout = 0 if number % 4 == 3 else SILENT
        resets.session.job.tune(resets.ddr.replace(silent_after=after))
        resets.session.start(network)
        resets.session.job.step(int(rng.integers(3000)))
        resets.control(*[SOFT_RESET] * (1 + number % 2), apart=int(rng.integers(40)))
        resets.session.job.step(int(rng.integers(2 * SILENT)))
        irqs = {0, IRQ_DONE} | ({IRQ_ERROR} if resets.session.timeout else set())
        resets.behind("on a silent bus", f"silent behind transaction {after}, timeout {resets.session.timeout}", network, irqs=irqs)
    resets.run()
    return resets


STATES = {  # name: (maker, resets in `make test`, resets in `make test-all`); of the first as many in each of five stages
    "each stage": (in_each_stage, 4, 10),
    "random streams": (in_random_streams, 8, 30),
    "idle": (while_idle, 6, 20),
    "twice": (twice, 6, 20),
    "a start behind": (with_a_start_behind, 6, 20),
    "an error": (around_an_error, 6, 20),
    "a silent bus": (on_a_silent_bus, 6, 20),
}


def run_states(simulator, config, seed, place):
    """The resets of all states on one configuration; their number is printed."""
    counts = Counter()
    for number, (make, *many) in enumerate(STATES.values()):
        rng = np.random.default_rng([seed, place, number])
        counts += make(simulator(config), rng, many[place]).counts()
    print(f"{config.name}, seed {seed}: {counts.total()} soft resets, the job behind each right: ", end="")
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    return counts


@pytest.mark.parametrize("config", IN_TEST, ids=lambda config: config.name)
def test_a_soft_reset_in_any_state_leaves_an_npu_that_works(simulator, seed, config):
    assert run_states(simulator, config, seed, 0).total() >= 50


@pytest.mark.slow
@pytest.mark.parametrize("config", SWITCHED.values(), ids=SWITCHED)
def test_many_soft_resets_in_any_state_leave_an_npu_that_works(simulator, seed, config):
    assert run_states(simulator, config, seed, 1).total() >= 150


@pytest.mark.parametrize("config", IN_TEST, ids=lambda config: config.name)
@pytest.mark.parametrize("ends", ["well", "with an error"])
def test_a_start_right_behind_the_end_of_a_job_counts(simulator, config, ends):
    network = small_network(config)
    first = network if ends == "well" else broken(network, len(network.commands) // 2)
    resets = Resets(simulator(config), near_ddr(config))
    for apart in range(0, 45, 3):
        resets.session.start(first)
        resets.session.job.wait(100_000, log=False)
        resets.session.job.poke("IRQ_STATUS", IRQ_DONE | IRQ_ERROR)
        for base, contents in ((COMMANDS, b"".join(network.packed())), (ARENA, network.arena)):
            resets.session.job.load(base, contents)
        resets.control(START, apart=apart)
        resets.behind_whole(f"none, a start behind a job that ended {ends}", f"{apart} cycles apart", network)
    resets.run()
