"""Proof of `JobControl`: every job ends once, and the core is reset only when the bus owes nothing."""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.npu.control.control import JobControl
from hw.npu.interface.registers import PULSES
from hw.npu.interface.status import ERROR_LAYOUT
from tests.formal.prove import prove, refute

WATCHDOG, REACH = 4, 2


class JobControlProof(wiring.Component):
    """Any inputs; the units keep to what they promise: nothing goes out once ``halt`` has been known to the last of them for two cycles,
    or when all is complete, which it stays.

    Never done and error at once; one event for a job, none for one that is given up; draining lasts ``settle`` + 2 quiet cycles at most;
    no job runs on without progress; no reset of the core while a transaction is outstanding, and none in which a job begins that has not
    come to the last part.
    """

    def __init__(self, break_it=False):
        self.break_it = break_it
        super().__init__({
            "pulses": In(PULSES),
            "complete": In(1),
            "error": In(ERROR_LAYOUT),
            "progress": In(1),
            "outstanding": In(1),
            "handshake": In(1),
            "timeout": In(3),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = JobControl(units=1, watchdog=WATCHDOG, reach=REACH)
        timeout = Signal(3)
        first = Signal(init=1)
        m.d.sync += first.eq(0)
        with m.If(first):
            m.d.sync += timeout.eq(self.timeout)
        m.d.comb += [
            dut.pulses.eq(self.pulses),
            dut.complete.eq(self.complete),
            dut.errors[0].eq(self.error),
            dut.progress.eq(self.progress),
            dut.outstanding.eq(self.outstanding),
            dut.handshake.eq(self.handshake),
            dut.timeout.eq(timeout),
        ]

        # What the units promise.
        halted, before, ended = Signal(2 + REACH), Signal(), Signal()
        m.d.sync += [halted.eq((halted << 1) | dut.halt), before.eq(self.outstanding)]
        m.d.sync += ended.eq((ended | self.complete) & ~dut.begin)
        m.d.comb += [
            Assume(~self.outstanding | before | dut.running | dut.draining),
            Assume(~(halted.all() & ~before & self.outstanding)),
            Assume(~(self.complete & self.outstanding)),
            Assume(~ended | (self.complete & ~self.outstanding)),
        ]

        # What the job control promises.
        event = dut.events.irq_done | dut.events.irq_error
        open_job, told, given_up = Signal(), Signal(), Signal()
        with m.If(dut.begin):
            m.d.sync += [open_job.eq(1), told.eq(0), given_up.eq(0)]
        with m.Else():
            m.d.sync += [told.eq(told | event), given_up.eq(given_up | self.pulses.soft_reset)]
        quiet, still, since = Signal(5), Signal(range(WATCHDOG + 8)), Signal(range(REACH + 1), init=REACH)
        going = dut.running | dut.draining
        m.d.sync += [
            quiet.eq(Mux(dut.draining & ~self.outstanding, quiet + 1, 0)),
            still.eq(Mux(dut.running & ~self.progress & ~self.outstanding, still + 1, 0)),
            since.eq(Mux(dut.core_reset, 0, Mux(since == REACH, REACH, since + 1))),
        ]
        m.d.comb += [
            Assert(~(dut.status.done & dut.status.error)),
            Assert(~(dut.events.irq_done & dut.events.irq_error)),
            Assert(~(event & (told | given_up))),
            Assert(going | ~open_job | told | given_up),
            Assert(~dut.core_reset | ~self.outstanding),
            Assert(quiet <= dut.settle + 2),
            Assert(still <= WATCHDOG + 3),
            Assert(~dut.begin | ~going & (since == REACH), "the reset has left the last part"),
            Assert(dut.status.busy | ~going),
        ]

        # How the observer's state and the design's belong together; the induction needs it.
        m.d.comb += [
            Assert(~dut.running | ~(told | given_up | dut.announced | dut.aborted | dut.status.done | dut.status.error)),
            Assert(~dut.draining | (~dut.status.done & (given_up == dut.aborted) & (~told | dut.announced))),
            Assert(~dut.draining | ~dut.announced | told | given_up),
            Assert(~going | open_job),
            Assert(~self.outstanding | going),
            Assert(~(dut.running & dut.draining)),
            Assert((dut.clearing & (dut.cleared <= 2 * REACH + 1)) | (dut.cleared == 0)),
        ]
        if self.break_it:
            m.d.comb += Assert(~(dut.draining & dut.status.error))
        return m


def test_it_is_proven(tmp_path):
    prove(JobControlProof(), tmp_path, depth=22)


def test_a_silent_bus_while_draining_is_reached(tmp_path):
    refute(JobControlProof(break_it=True), tmp_path, depth=22)
