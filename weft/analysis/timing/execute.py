"""The execute unit: weight loader, feeder and output stage, each with its own command, tile by tile."""

from collections import deque

from hw.npu.array.accumulators import Accumulators
from hw.npu.execute_unit import ExecuteUnit
from weft.analysis.timing.banks import SLOWEST
from weft.analysis.timing.latencies import latencies
from weft.analysis.timing.loader import Loader
from weft.analysis.timing.work import read_banks, write_banks
from weft.analysis.timing.writes import Vectors, WritePort

CAUSES = ("command", "ddr_read", "ddr_write", "activations", "output", "weights", "bank")
"""What the feeder waits for; the first that holds is counted (`hw.npu.feed.feeder.Feeder`)."""
COMMAND, DDR_READ, DDR_WRITE, ACTIVATIONS, OUTPUT, WEIGHTS, BANK = range(7)

SETTLED = 2
"""Reduction tiles of a job after which only waves and rows decide: as many as there are planes of weights."""


class ExecuteModel:
    """Runs commands in order; all cycles are those of the job.

    Reduction tile t: its rows are delivered one a cycle, from ``deliver`` on; its waves are accepted one a cycle. Job k: one column tile.
    ::

        deliver(t) = max(last delivery + 1, last wave of tile t-2 has passed, job k-2's parameters are used)
        feed(t)    = max(last wave + 1, deliver(t) + rows awaited - 1 + loaded, job k-2's half is free)
        issue(k)   = max(last issue + 1, last wave of job k + latencies, parameters are there)

    Parameters
    ----------
    config : NpuConfig
    """

    def __init__(self, config):
        self.config = config
        self.at = latencies(config)
        groups = max(1, config.cols // config.broadcast)
        self.passed = self.at.enter + groups  # from a tile's last wave to the first row of the next tile in its plane
        self.sent = -1
        self.inside = deque()  # when the commands were sent that have not run
        # when loader, feeder and output stage took the last commands
        self.taken = deque([(-1, -1, -1)] * ExecuteUnit.STAGE_QUEUE, maxlen=ExecuteUnit.STAGE_QUEUE)
        self.loader = Loader(config.rows, self.at)
        self.wave = -1  # no wave is accepted up to this cycle
        self.accepted = self.left = -1  # last wave: its cycle, and when it left the generator
        self.tile_ends = deque([-1000, -1000], maxlen=2)  # last waves of the two tiles before that used weights
        self.array_wave = -1000  # last wave through the array
        self.groups: tuple[int, ...] = ()  # of the array's rows, in the last DEPTHWISE
        self.halves = deque([0, 0])  # from when on a job may begin
        self.carried = False
        self.shadow = 0  # from when on parameters can be delivered
        self.parameters_used = -1  # last vector of the last job with parameters
        self.issued = -1  # last vector
        self.second_issued = -1000  # last vector with a second operand
        self.written = -1
        self.retired = deque([-1, -1], maxlen=2)
        self.reads = None  # the feeder's walk
        self.port = WritePort(self.at)
        self.vectors = None  # of the last job, while reads that they meet are not known
        self.late = 0  # cycles that the output stage takes the command later than was known before its first reads
        self.stalls = [0] * len(CAUSES)

    @property
    def may_send(self) -> bool:
        """It is known when the stages have room for the next command."""
        return len(self.inside) <= ExecuteUnit.STAGE_QUEUE

    def send(self, offered, room) -> int:
        """Hands a command to the stages; gives the cycle.

        Parameters
        ----------
        offered : int
            Cycle from which it stands in the queue.
        room : int
            Cycle from which fewer than `ExecuteUnit.IN_FLIGHT` commands are inside.
        """
        inside = len(self.inside)
        before = self._take(self.inside[0]) if inside == ExecuteUnit.STAGE_QUEUE else self.taken[inside]
        self.sent = max(offered + self.at.offered, self.sent + self.at.send, room, max(before) + 1)
        self.inside.append(self.sent)
        return self.sent

    def _take(self, sent):
        """When loader, feeder and output stage take the command behind the last that ran."""
        return max(sent, self.loader.asked) + 1, max(sent + 1, self.left + self.at.between), max(sent, self.issued, self.retired[0]) + 1

    def earliest_end(self, work, *reached) -> int:
        """A cycle before which the next command cannot end, and nobody waits for it: weights that are written until then are known."""
        return max(self.wave, *reached) + max(work.stream_rows, work.jobs * work.waves * len(work.tile_rows))

    def run(self, work, loads, weights, execs, stores):
        """Runs the oldest command that was sent.

        Parameters
        ----------
        work : Work
        loads, weights, execs, stores : int
            Cycles from which the counts that it waits for are reached: of its header, and of its weight stream.

        Returns
        -------
        start, end, active : int
            Its window, and the waves in it.
        stalls : list of int
            By `CAUSES`.
        retire : int
            Cycle in which it is complete.
        """
        load_taken, feed_taken, output_taken = self._take(self.inside.popleft())
        loader = self.loader
        self.stalls, self.reads = [0] * len(CAUSES), work.reads
        start = self.wave + 1
        loader.begin(load_taken, weights, work.stream_rows)
        at, seen = self.at, self.at.gate + self.at.pending
        self._wait(feed_taken + at.take + at.pending, COMMAND)
        self._wait(loads + seen, DDR_READ)
        self._wait(stores + seen, DDR_WRITE)
        self._wait(execs + seen, ACTIVATIONS)
        drained = self.array_wave + at.near + at.array
        if not work.array:  # vectors stay behind the last wave of the array, and those that add to its entries a cycle more
            self._wait(drained + seen - (not work.partial_in), OUTPUT)
        if work.groups:
            if work.groups != self.groups:
                self._wait(drained + seen, OUTPUT)
            self.groups = work.groups
        issue_from = output_taken + at.issue
        if work.table_rows:
            issue_from = loader.rows(work.table_rows, max(issue_from, self.written + 1)) + 1
        self.late = 0
        for job in range(work.jobs):
            self._job(work, job, issue_from, job == work.jobs - 1)
        loader.end(work)
        self.taken.append((load_taken, feed_taken, output_taken + self.late))
        end = self.wave + 1
        retire = self._retire(work)
        active = work.jobs * work.waves * len(work.tile_rows)
        return start, end, active, self.stalls, retire

    def _wait(self, until, cause):
        """The next wave is not accepted before a cycle; what it waits beyond the cycles counted so far has this cause."""
        if until > self.wave + 1:
            self.stalls[cause] += until - self.wave - 1
            self.wave = until - 1

    def _job(self, work, job, issue_from, last_job):
        """A column tile: its parameters, its reduction tiles, its vectors."""
        if not self.carried:
            self._wait(self.halves.popleft() + self.at.pending, OUTPUT)
        begin = self._feed(work)
        available = self.loader.rows(work.parameter_rows, self.shadow) + 1 if work.parameter_rows else 0
        end = self.accepted + 1
        reads = read_banks(work, self.config, job) if self._matters(work, begin, end) else b"\0"
        self.port.read(begin, end, reads)
        if self.vectors:
            late = self._let_write()
            if job == 0:  # of the command before
                self.late = late
                issue_from += late
        behind = self.at.enter + (self.at.array if work.array else 0) + self.at.final
        last_final = self.accepted - work.tail + behind
        # entries of a job of one reduction tile are final one by one, those of others together
        final = begin + behind if len(work.tile_rows) == 1 and not work.partial_in else last_final
        if work.filler and last_job:
            self.stalls[OUTPUT] += self.at.fillers + work.filler
            self.wave = self.accepted = self.array_wave = self.wave + self.at.fillers + work.filler
            self.left = self.wave - self.at.pending
        self.carried = work.partial_out
        first = max(final, issue_from, self.issued + 1, available)
        if work.serial:  # SOFTMAX runs alone
            first = max(first, self.written + 1)
            self.halves.append(first + self.at.free)
            self.issued = self.written = first + work.serial
            self.port.keep([self.written], Vectors(self.written, (), b"\0", 0, 0))
            return
        if work.partial_out:
            self.issued = max(first + work.pixels - 1, last_final)
            return
        if work.second:
            first += job == 0
        else:
            first = max(first, self.second_issued + self.at.turn + 1)
        self.vectors = self._vectors(work, job, first, begin + behind)
        self.issued, self.written, _ = self.port.play(self.vectors)
        if work.second:
            self.second_issued = self.issued
        if work.parameter_rows:
            # the shadow set becomes the active one when it is full and the active one is released
            self.shadow = max(available, self.parameters_used + 1) + 1
            self.parameters_used = self.issued
        self.halves.append(self.issued + self.at.free)

    def _vectors(self, work, job, first, first_final):
        """The results of a job: those of a DEPTHWISE of one tile become final as their pixels come, the others at once or one a cycle."""
        final = ()
        if work.filler and len(work.tile_rows) == 1 and not work.partial_in:
            vectors = -(-(work.last_cols if job == work.jobs - 1 else work.cols) // self.config.lanes)
            late = work.waves + work.refused[0]
            final = [first_final + wave * late // work.waves for wave in work.pixel_waves for _ in range(vectors)]
        latency, turn = (self.at.second_output, self.at.turn) if work.second else (self.at.output, 0)
        return Vectors(first, final, write_banks(work, self.config, job), latency, turn)

    def _matters(self, work, begin, end):
        """Whether reads in these cycles can hold up results for so long that somebody waits for them."""
        vectors = work.pixels * -(-work.cols // self.config.lanes)
        before = len(self.vectors.masks) if self.vectors else 0
        return len(work.tile_rows) == 1 or begin + max(before, vectors) * SLOWEST > end

    def _let_write(self):
        """The vectors of the job before were issued while this one's waves went first in the scratchpad: now it is known how fast.

        Until now they were billed as if the feeder waited; gives the cycles that they take longer.
        """
        issued, written, offered = self.port.play(self.vectors)
        self.port.keep(offered, self.vectors)
        self.vectors = None
        late = issued - self.issued
        if self.parameters_used == self.issued:
            self.parameters_used += late
        if self.second_issued == self.issued:
            self.second_issued += late
        self.halves[-1] += late
        self.issued += late
        self.written = written
        return late

    def _feed(self, work):
        """The waves of a job's reduction tiles, and the rows of weights in front of them; gives the first wave."""
        at, waves, gap = self.at, work.waves, Accumulators.MIN_PERIOD if work.apart else 1
        wave, accepted = self.wave, self.accepted
        if not work.array:
            start = max(wave + 1, accepted + gap)
            spaced = start - wave - 1 + (len(work.tile_rows) - 1) * (gap - 1)
            self.stalls[OUTPUT] += spaced
            self.wave = self.accepted = wave + len(work.tile_rows) * waves + spaced
            self.left = self.wave - self.at.pending * (gap if waves == 1 else 1)
            return start
        loader, (before, last), waited = self.loader, self.tile_ends, 0
        passed, loaded = self.passed - work.tail, at.loaded_at_gate if work.filler else at.loaded
        weights = apart = start = 0
        tiles, refused = work.tile_rows, work.refused or (0,) * len(work.tile_rows)
        self.stalls[BANK] += sum(refused)
        # a tile that takes longer than to load the next one leaves nothing to wait for, two tiles behind the start
        steady = len(tiles) > SETTLED and waves >= passed + loaded + loader.slowest_tile
        for rows, more in zip(tiles[:SETTLED] if steady else tiles, refused):
            first, ready = wave + 1, loader.rows(rows, before + passed) + loaded
            if rows > at.announcing:
                ready -= rows - at.announcing
            if ready > first:
                weights += ready - first
                first = ready
            waited = max(0, accepted + gap - first)
            apart += waited
            first += waited
            start = start or first
            wave = accepted = first + waves - 1 + more
            before, last = last, wave
        if steady:
            wave = accepted = wave + (len(tiles) - SETTLED) * waves + sum(refused[SETTLED:])
            before, last, waited = wave - waves - refused[-1], wave, 0
            loader.skip(wave - 2 * waves + passed + tiles[-1] - 1)
        self.stalls[WEIGHTS] += weights
        self.stalls[OUTPUT] += apart
        self.wave = self.accepted = self.array_wave = wave
        self.left = wave - self.at.pending * (gap if waited and waves == 1 else 1)
        self.tile_ends.extend((before, last))
        return start

    def _retire(self, work):
        """The last write of the command, and its completion."""
        if work.partial_out:
            self.issued = max(self.issued + 1, self.written + 1)  # settled: the commands before are complete
            retire = self.issued + self.at.retire
        else:
            retire = self.written + self.at.retire
        self.retired.append(retire)
        return retire
