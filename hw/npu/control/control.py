"""Job control: starts a job, ends it well or with its first error, and never leaves a transaction behind."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import Error
from hw.npu.interface.registers import EVENTS, PULSES, STATUS
from hw.npu.interface.status import ERROR_LAYOUT
from hw.npu.parts.delay import delayed
from hw.npu.parts.fanout_chain import REACH

CYCLE_BITS = 64
"""Width of the count of a job's cycles."""


class JobControl(wiring.Component):
    """Runs one job at a time.

    ::

                 start              complete
        IDLE ------------> RUN -------------------> RESET ----> CLEAR ----> IDLE (done)
                            | error, watchdog, soft reset ^       the last part is reset
                            +----> DRAIN -----------------+                 IDLE (error; idle after a soft reset)
                                     nothing outstanding for ``settle`` cycles

    What the units say comes through registers, and so does what they are told, which comes to the last of them ``reach`` cycles later:
    draining, the watchdogs and the reset, which lasts so long, allow for it.

    CYCLES counts from the cycle behind ``pulses.start`` to the one with the event, inclusive: an event n cycles after the start makes n.
    The event comes as the job ends well, or when draining is over; if the bus stays silent for TIMEOUT cycles it comes at once, and
    draining goes on. The first error is kept; of several in one cycle that of the first unit.

    Parameters
    ----------
    units : int
        Units that can show an error.
    watchdog : int
        Cycles without progress, with nothing outstanding, that are a deadlock.
    reach : int
        Cycles that what the units are told takes to the last of them.

    Members
    -------
    pulses : In(PULSES)
        Start and soft reset, from the register file.
    timeout : In(32)
        Cycles of silence on the bus that stop the job; 0 never.
    begin : Out(1)
        A job starts in this cycle: to command fetch and dispatcher.
    complete : In(1)
        All commands are complete and all records written. Looked at from the second cycle after ``begin``.
    errors : In(ERROR_LAYOUT), one for each unit
        Kept up by the units until they are reset.
    progress : In(1)
        Something moved in some unit.
    outstanding : In(1)
        A transaction is on the bus.
    handshake : In(1)
        Something moved on the bus.
    oldest : In(32)
        Index of the oldest incomplete command.
    halt : Out(1)
        To all units: begin nothing on the bus, drop what comes.
    core_reset : Out(1)
        For ``reach`` + 1 cycles: all units, queues and tokens are reset.
    cycle : Out(32)
        Cycle of the job, 0 in the cycle after ``begin``.
    status : Out(STATUS)
        To the register file.
    events : Out(EVENTS)
        To the register file, one cycle each.
    """

    SEEN = 1
    """Cycles from what the units say to what the control sees."""
    HALTED = 4
    """Cycles from a halt that a unit knows of to the one in which an address that was on its way has shown, and some to spare."""

    def __init__(self, *, units, watchdog=1024, reach=REACH):
        if units < 1 or watchdog < 2:
            raise ValueError(f"JobControl needs at least 1 unit and a watchdog of 2 cycles, not {units} and {watchdog}")
        self.units, self.watchdog, self.reach = units, watchdog, reach
        self.settle = 1 + reach + self.HALTED + self.SEEN
        """Cycles without a transaction that end draining."""
        self.resets = 1 + 2 * (reach + 1)
        """Cycles from the end of draining until the last part has been reset: states RESET and CLEAR."""
        super().__init__({
            "pulses": In(PULSES),
            "timeout": In(32),
            "begin": Out(1),
            "complete": In(1),
            "errors": In(ERROR_LAYOUT).array(units),
            "progress": In(1),
            "outstanding": In(1),
            "handshake": In(1),
            "oldest": In(32),
            "halt": Out(1),
            "core_reset": Out(1),
            "cycle": Out(32),
            "status": Out(STATUS),
            "events": Out(EVENTS),
        })
        self.draining = Signal()
        self.aborted = Signal()
        self.announced = Signal()
        self.running = Signal()
        self.clearing = Signal()
        """In state DRAIN; the job is given up; its error has been shown; in state RUN; in state CLEAR: for proofs."""
        self.cleared = Signal(range(2 * reach + 2))
        """Cycles for which it has been in state CLEAR."""
        self.done = Signal()
        self.failed = Signal()
        self.code = Signal.like(self.status.error_code)
        self.index = Signal(32)
        """What the host is told: the job has ended well; it has ended with an error; the error's code; the index of its command."""

    def elaborate(self, platform):
        m = Module()
        aborted, announced = self.aborted, self.announced
        forget = [self.done.eq(0), self.failed.eq(0), self.code.eq(0), self.index.eq(0)]
        seen = self._seen(m)
        deadlock, silent, drained = self._watchdogs(m, seen)
        core_reset, halt, late_start = (Signal(name=name) for name in ("core_reset", "halt", "late_start"))
        m.d.sync += [self.core_reset.eq(core_reset), self.halt.eq(halt), late_start.eq(0)]
        counting = Signal()
        count_anew = self._count(m, counting)
        with m.FSM() as fsm:
            # Ends with a start.
            with m.State("IDLE"):
                m.d.comb += core_reset.eq(self.pulses.soft_reset)
                with m.If(self.pulses.soft_reset):
                    m.d.sync += forget
                    m.next = "CLEAR"
                with m.Elif(self.pulses.start | late_start):
                    m.d.comb += self.begin.eq(1)
                    m.d.sync += [*forget, *count_anew, aborted.eq(0), announced.eq(0)]
                    m.next = "RUN"
            # Ends with the first error, a watchdog, a soft reset, or well.
            with m.State("RUN"):
                m.d.comb += [self.running.eq(1), counting.eq(1)]
                self._run(m, seen, deadlock, silent)
            # Ends when nothing is outstanding.
            with m.State("DRAIN"):
                m.d.comb += [halt.eq(1), self.draining.eq(1), counting.eq(~announced & ~aborted)]
                with m.If(self.pulses.soft_reset):
                    m.d.sync += [aborted.eq(1), self.failed.eq(0)]
                with m.If(drained | silent):
                    self._announce_error(m)
                with m.If(drained):
                    m.next = "RESET"
            # Lasts one cycle.
            with m.State("RESET"):
                m.d.comb += [core_reset.eq(1), halt.eq(1)]
                with m.If(aborted | self.pulses.soft_reset):
                    m.d.sync += forget
                m.next = "CLEAR"
            # Ends when the last part of the core has been reset.
            with m.State("CLEAR"):
                self._clear(m, core_reset, halt, late_start, forget)
        self._show(m, ~(fsm.ongoing("IDLE") | fsm.ongoing("CLEAR")) | late_start)
        return m

    def _run(self, m, seen, deadlock, silent):
        """A state that ends with a soft reset, the first error, a watchdog, or well: the first of these that holds."""
        with m.If(self.pulses.soft_reset):
            m.d.sync += self.aborted.eq(1)
            m.next = "DRAIN"
        with m.Elif(Cat(error.valid for error in seen["errors"]).any()):
            for error in reversed(seen["errors"]):
                with m.If(error.valid):
                    m.d.sync += [self.code.eq(error.code), self.index.eq(error.index)]
            m.next = "DRAIN"
        with m.Elif(deadlock | silent):
            m.d.sync += [self.code.eq(Mux(silent, Error.TIMEOUT, Error.DEADLOCK)), self.index.eq(self.oldest)]
            with m.If(silent):
                self._announce_error(m)
            m.next = "DRAIN"
        with m.Elif(seen["complete"]):
            m.d.comb += self.events.irq_done.eq(1)
            m.d.sync += self.done.eq(1)
            m.next = "RESET"

    def _announce_error(self, m):
        """The event of an error, once; a job that is given up has none."""
        m.d.comb += self.events.irq_error.eq(~self.announced & ~self.aborted & ~self.pulses.soft_reset)
        m.d.sync += [self.announced.eq(1), self.failed.eq(~self.aborted & ~self.pulses.soft_reset)]

    def _clear(self, m, core_reset, halt, late_start, forget):
        """A state that ends when the last part of the core has been reset; to the host it is idle, and a start in it counts."""
        held, last = self.cleared < self.reach, self.cleared == 2 * self.reach + 1
        m.d.comb += [core_reset.eq(held), halt.eq(held), self.clearing.eq(1)]
        m.d.sync += [
            self.cleared.eq(Mux(last, 0, self.cleared + 1)),
            late_start.eq((late_start | self.pulses.start) & ~self.pulses.soft_reset),
        ]
        with m.If(self.pulses.start | self.pulses.soft_reset):
            m.d.sync += forget
        with m.If(last):
            m.next = "IDLE"

    def _count(self, m, counting):
        """Counts the job's cycles; gives the statements that begin anew."""
        cycles = Signal(CYCLE_BITS)
        carry = Signal()
        low, high = cycles[: CYCLE_BITS // 2], cycles[CYCLE_BITS // 2 :]
        m.d.comb += [self.status.cycles_lo.eq(cycles[:32]), self.status.cycles_hi.eq(cycles[32:]), self.cycle.eq(cycles)]
        with m.If(counting):
            # the upper half hears from a register that the lower one is all ones: no carry crosses 64 bits in a cycle
            m.d.sync += [low.eq(low + 1), carry.eq(low == (1 << len(low)) - 2), high.eq(high + carry)]
        return cycles.eq(0), carry.eq(0)

    def _show(self, m, busy):
        """What the host sees of the job, beside its cycles."""
        status = self.status
        m.d.comb += [status.busy.eq(busy), status.done.eq(self.done), status.draining.eq(self.draining)]
        m.d.comb += [status.error.eq(self.failed), status.error_code.eq(self.code), status.error_index.eq(self.index)]

    def _seen(self, m):
        """What the units say, as the control sees it."""
        said = {name: getattr(self, name) for name in ("complete", "progress", "outstanding", "handshake")}
        said["complete"] = said["complete"] & ~self.begin  # of the job before
        seen = {name: delayed(m, value, self.SEEN, name=name, reset_less=False) for name, value in said.items()}
        errors = [delayed(m, error, self.SEEN, name=f"error_{unit}", reset_less=False) for unit, error in enumerate(self.errors)]
        return seen | {"errors": errors}

    def _watchdogs(self, m, seen):
        """Expressions: a deadlock; a silent bus; drained."""
        still = Signal(range(self.watchdog + 1))
        quiet = Signal(32)
        calm = Signal(range(self.settle + 1))
        with m.If(self.begin | seen["progress"] | seen["outstanding"]):
            m.d.sync += still.eq(0)
        with m.Elif(still != self.watchdog):
            m.d.sync += still.eq(still + 1)
        with m.If(self.begin | seen["handshake"] | ~seen["outstanding"]):
            m.d.sync += quiet.eq(0)
        with m.Elif(quiet != self.timeout):
            m.d.sync += quiet.eq(quiet + 1)
        with m.If(~self.draining | seen["outstanding"]):
            m.d.sync += calm.eq(0)
        with m.Elif(calm != self.settle):
            m.d.sync += calm.eq(calm + 1)
        deadlock, silent = still == self.watchdog, (self.timeout != 0) & (quiet == self.timeout)
        # of this job, and as long as it lasts
        deadlock = delayed(m, deadlock & ~self.begin, 1, name="dead", reset_less=False)
        silent = delayed(m, silent & ~self.begin, 1, name="silent", reset_less=False)
        return deadlock, silent, (calm == self.settle) & ~seen["outstanding"]
