"""Soft resets of jobs in every state, each with a network behind it: what is done, and what must hold then."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from hw.npu.interface.isa import EXECUTE, Error, Opcode
from sim.ddr import DdrConfig
from tests.rtl.jobs import ARENA, SOFT_RESET, START, Outcome, Session, Stream, assert_right
from tests.rtl.networks import small_network

QUIET = 300
"""Cycles in which an NPU that says it is idle must not write."""
IDLE, DONE = 0, 2
"""Values of the register STATUS."""
IRQ_DONE, IRQ_ERROR = 1, 2
"""Bits of the register IRQ_STATUS."""
BOTH = START | SOFT_RESET
"""Start and soft reset in one write to the register CONTROL."""


@dataclass(frozen=True)
class Case:
    """One job that was reset: what it was, where its answers stand, and which values of STATUS and IRQ_STATUS are right."""

    state: str
    what: str
    stream: Stream
    answers: dict
    behind: int
    irqs: frozenset
    statuses: frozenset


class Resets:
    """Collects cases on one NPU and runs them in one process.

    Parameters
    ----------
    simulator : Simulator
    ddr : DdrConfig
        Without chance; of the jobs, and of the networks behind them.
    timeout : int
        Register TIMEOUT.
    """

    def __init__(self, simulator, ddr: DdrConfig, *, timeout=20_000, seed=1):
        self.session, self.ddr = Session(simulator, ddr, timeout=timeout, seed=seed), ddr
        self.network = small_network(simulator.config)
        self.length = whole_job(simulator, ddr, self.network).cycles
        """Cycles of the network."""
        config = simulator.config
        self.drained = 2000 + (config.act_bytes + config.weight_bytes) // ddr.bytes_per_cycle
        """Cycles after which the bus owes the NPU nothing, not even loads of all that it can hold."""
        self.cases: list[Case] = []

    def control(self, *values, apart=0):
        """Writes to the register CONTROL, so many cycles apart."""
        for value in values:
            self.session.job.step(apart)
            self.session.job.poke("CONTROL", value)

    def behind(self, state, what, stream: Stream, *, irqs=(0,), statuses=(IDLE,), running=0):
        """Let the NPU become idle, which may run a job for some cycles yet, look at it, and run the network."""
        job = self.session.job
        job.tune(self.ddr)
        job.step(self.drained + running)
        answers = {name: job.peek(name) for name in ("STATUS", "IRQ_STATUS", "ERROR_CODE", "CYCLES_LO")}
        answers["arena"] = job.dump(ARENA, len(stream.arena))
        job.step(QUIET)
        answers["later"] = job.dump(ARENA, len(stream.arena))
        job.poke("IRQ_STATUS", IRQ_DONE | IRQ_ERROR)
        behind = self.session.add(self.network)
        self.cases.append(Case(state, what, stream, answers, behind, frozenset(irqs), frozenset(statuses)))

    def behind_whole(self, state, what, stream: Stream):
        """The same where the job must end well."""
        self.behind(state, what, stream, irqs={IRQ_DONE}, statuses={DONE}, running=self.length)

    def run(self) -> list[dict]:
        """Run all cases and assert that each left the NPU idle and well; the answers of each."""
        outcomes = self.session.run()
        found = []
        for case in self.cases:
            answers = {name: self.session.last_answers[place] for name, place in case.answers.items()}
            what = f"{self.network.config.name}, soft reset {case.state}: {case.what}"
            seen = ", ".join(f"{name} {answers[name]}" for name in ("STATUS", "IRQ_STATUS", "ERROR_CODE", "CYCLES_LO"))
            assert answers["STATUS"] in case.statuses and answers["ERROR_CODE"] == 0, f"{what}: {seen}"
            assert answers["IRQ_STATUS"] in case.irqs, f"{what}: {seen}"
            assert np.array_equal(answers["arena"], answers["later"]), f"{what}: an idle NPU wrote to DDR"
            assert answers["STATUS"] != DONE or answers["IRQ_STATUS"] & IRQ_DONE, f"{what}: {seen}"
            if answers["IRQ_STATUS"] & IRQ_DONE:
                assert np.array_equal(answers["arena"], case.stream.golden), f"{what}: the job was done, and wrong"
            if case.stream.arena is self.network.arena:  # what it stores, it stores once
                kept = (answers["arena"] == self.network.arena) | (answers["arena"] == self.network.golden)
                assert kept.all(), f"{what}: byte {np.argmin(kept)} of the arena is neither as before the job nor as behind it"
            assert_right(self.network, outcomes[case.behind], f"{what} ({seen}): the network behind")
            found.append(answers)
        return found

    def counts(self) -> Counter:
        """Cases by their state."""
        return Counter(case.state for case in self.cases)


def stages(whole: Outcome) -> dict[str, tuple[int, int]]:
    """First cycle, and the one behind the last, of what a job does one after the other and partly at once, from its records."""

    def window(opcodes, first=0):
        of = whole.records[np.isin(whole.records["opcode"], [int(opcode) for opcode in opcodes])][first:]
        return int(of["start"].min()), int(of["end"].max())

    loading, executing, storing = window([Opcode.LOAD]), window(EXECUTE, first=1), window([Opcode.STORE])
    return {
        "fetching": (0, loading[0]),
        "loading": loading,
        "executing": executing,
        "storing": (executing[1], storing[1]),  # alone
        "ending": (storing[1], whole.cycles + 20),  # until the core is reset
    }


def broken(stream: Stream, index: int) -> Stream:
    """The stream with an unknown opcode at a command."""
    return stream.replaced(index, b"\xff" + stream.packed()[index][1:])


def whole_job(simulator, ddr: DdrConfig, stream: Stream) -> Outcome:
    """A job that nobody disturbs."""
    session = Session(simulator, ddr)
    session.add(stream)
    (outcome,) = session.run()
    assert outcome.interrupt and outcome.error in (Error.NONE, Error.BAD_OPCODE), outcome
    return outcome
