"""Decides which master's burst goes to the DDR port next."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.parts.delay import delayed
from hw.soc.round_robin import RoundRobin

CLASSES = 4
"""Priority classes; 0 goes first."""
LEVELS = CLASSES + 1
"""Effective levels: 0 for urgent and aged masters, behind it the classes."""


class GrantArbiter(wiring.Component):
    """Strict priority by class, round robin within a class; urgent masters first, and with an age limit nobody starves.

    A master *asks* when it requests and is allowed. Those who ask stand in queues, and each queue takes turns (`RoundRobin`):

    ======= ======================================================= =====
    queue   who                                                     level
    ======= ======================================================= =====
    urgent  urgent masters; aged ones of class 0                    0
    0       the others of class 0                                   1
    aged    aged masters of classes 1 to 3 that are not urgent      0
    1 .. 3  the others, by class                                    2 .. 4
    ======= ======================================================= =====

    The first queue with somebody in it goes, with one exception: after a grant to the *front* (the first two queues) an aged master goes
    before it. Where both ask for ever they alternate, and both can rely on something:

    - the only master in front waits for at most one grant to another, whatever the others do;
    - the wait of any master, while its ``urgent`` stands still and it stays allowed, is at most ``age_limit + 2 * masters - 1`` grants to
      others where ``age_limit`` is not 0, and ``2 * masters - 1`` if it is urgent;
    - one that waits in a class sees every other master granted at most once from that class.

    A master is aged when ``age_limit`` grants have gone to others while it asked, until it is granted or stops requesting.

    The choice is that of the inputs of the cycle before, and patience is lost a cycle late: behind a cycle with ``take``, `REST` cycles
    without one, in which the choice may be anything. A master that requests goes on until it is granted. The way to the choice is short:
    the queues search side by side, and a flat AND-OR selects the first that is not empty (to ``one_hot`` 5 levels of 6-input tables for
    4 masters as for 8, by yosys' ``abc -lut 6``). ``take`` goes to registers only. A choice that is not taken is not held: a more urgent
    request replaces it.

    Parameters
    ----------
    masters : int
        At least 1.
    age_bits : int
        Width of ``age_limit``, at least 1.

    Members
    -------
    request : In(masters)
        A master has a burst to go.
    allowed : In(masters)
        It may go now: its `Regulator` is open. One that is not allowed neither goes nor ages.
    urgent : In(masters)
        It is about to lose data.
    klass : In(unsigned(2)).array(masters)
        Class of each master.
    age_limit : In(age_bits)
        Grants to others after which a master is aged; 0: never. A change counts from a master's next request on, or at once where it was 0.
    take : In(1)
        The choice is granted in this cycle; without effect where there is none.
    valid : Out(1)
        Somebody asks.
    index : Out(range(masters))
        Number of the chosen master; 0 where nobody asks.
    one_hot : Out(masters)
        The chosen master; 0 where nobody asks.
    level : Out(range(5))
        Its effective level; 0 where nobody asks.
    """

    REST = 2
    """Cycles behind a grant in which there is no choice."""

    def __init__(self, *, masters, age_bits=8):
        if masters < 1 or age_bits < 1:
            raise ValueError(f"GrantArbiter needs at least one master and one bit of age, not {masters} and {age_bits}")
        self.masters, self.age_bits = masters, age_bits
        super().__init__({
            "request": In(masters),
            "allowed": In(masters),
            "urgent": In(masters),
            "klass": In(unsigned(2)).array(masters),
            "age_limit": In(age_bits),
            "take": In(1),
            "valid": Out(1),
            "index": Out(range(masters)),
            "one_hot": Out(masters),
            "level": Out(range(LEVELS)),
        })
        self.aged = Signal(masters)
        """The masters that are aged."""
        self.patience = [Signal(age_bits, name=f"patience_{master}") for master in range(masters)]
        """Grants to others until a master is aged; 0 where it is, or never will be."""
        self.front_before = Signal()
        """The last grant went to an urgent master or one of class 0."""
        self.first = RoundRobin(masters)
        self.late = RoundRobin(masters)
        self.classes = [RoundRobin(masters) for _ in range(CLASSES)]

    def elaborate(self, platform):
        m = Module()
        m.submodules.first, m.submodules.late = self.first, self.late
        for number, queue in enumerate(self.classes):
            m.submodules[f"class_{number}"] = queue

        # Who stands where.
        asks = Signal(self.masters)
        in_class = [Cat(klass == number for klass in self.klass) for number in range(CLASSES)]
        m.d.comb += asks.eq(self.request & self.allowed)
        asked = delayed(m, asks, 1, name="asked", reset_less=False)
        m.d.sync += [
            self.first.waiting.eq(asks & (self.urgent | (self.aged & in_class[0]))),
            self.late.waiting.eq(asks & ~self.urgent & self.aged & ~in_class[0]),
        ]
        for number, queue in enumerate(self.classes):
            m.d.sync += queue.waiting.eq(asks & ~self.urgent & ~self.aged & in_class[number])

        granted = self._choose(m, asked)
        self._lose_patience(m, granted, asked)
        return m

    def _choose(self, m, asked):
        """Which queue goes; gives whether its choice is granted."""
        front = self.first.some | self.classes[0].some
        late_turn = self.late.some & (self.front_before | ~front)
        m.d.comb += [self.late.take.eq(self.take & late_turn), self.first.take.eq(self.take & ~late_turn)]
        goes = [(self.late, 0, late_turn), (self.first, 0, ~late_turn)]
        earlier = self.first.some
        for number, queue in enumerate(self.classes):
            here = ~late_turn & ~earlier
            m.d.comb += queue.take.eq(self.take & here)
            goes.append((queue, 1 + number, here))
            earlier |= queue.some
        one_hot, level = 0, 0
        for queue, number, here in goes:
            one_hot |= Mux(here, queue.one_hot, 0)
            level |= Mux(here & queue.some, number, 0)
        m.d.comb += [
            self.valid.eq(asked.any()),
            self.one_hot.eq(one_hot),
            self.level.eq(level),
            self.index.eq(encode(self.one_hot)),
        ]
        granted = Signal()
        m.d.comb += granted.eq(self.take & self.valid)
        with m.If(granted):
            m.d.sync += self.front_before.eq(~late_turn & front)
        return granted

    def _lose_patience(self, m, granted, asked):
        """Who has waited for long: from registers that say whose turn it was and who saw it go."""
        won = Signal(self.masters)
        lost = Signal(self.masters)
        impatient = Cat(patience != 0 for patience in self.patience)
        m.d.sync += [
            won.eq(self.one_hot & granted.replicate(self.masters)),
            lost.eq(asked & ~self.one_hot & impatient & granted.replicate(self.masters)),
        ]
        for master, patience in enumerate(self.patience):
            with m.If(~self.request[master] | won[master]):
                m.d.sync += [patience.eq(self.age_limit), self.aged[master].eq(0)]
            with m.Elif((patience == 0) & ~self.aged[master]):
                m.d.sync += patience.eq(self.age_limit)
            with m.Elif(lost[master]):
                m.d.sync += [patience.eq(patience - 1), self.aged[master].eq(patience == 1)]


def encode(one_hot):
    """Expression: the number of the bit that is set, 0 where none is."""
    number = 0
    for place in range(len(one_hot)):
        number |= Mux(one_hot[place], place, 0)
    return number
