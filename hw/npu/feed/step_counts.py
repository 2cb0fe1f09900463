"""How many steps are on their way in the feeder."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.feed.feed_stages import FeedStages
from hw.npu.parts.delay import delayed


class StepCounts(wiring.Component):
    """Counts the steps in front of the reader, and of those in front of the scratchpad the ones for the array.

    Members
    -------
    taken, queued : In(1), In(1)
        A step leaves the generator; one leaves the queue in front of the reader.
    array_taken, array_accepted : In(1), In(1)
        The step that leaves the generator is for the array; one for the array is accepted by the scratchpad.
    room : Out(1)
        There is room in `FeedStages` for one more.
    array_near : Out(1)
        A step for the array is between, as is known `NEAR` cycles after it was taken or accepted.
    """

    NEAR = 2
    """Cycles from a step that is taken or accepted to what ``array_near`` says of it."""

    def __init__(self):
        super().__init__(
            {name: In(1) for name in ("taken", "queued", "array_taken", "array_accepted")} | {"room": Out(1), "array_near": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        inside = Signal(range(FeedStages.ROOM + 1))
        near = Signal(range(FeedStages.ROOM + 3))
        left, enters, leaves = (
            delayed(m, event, 1, name=name, reset_less=False)
            for event, name in ((self.queued, "left"), (self.array_taken, "entered"), (self.array_accepted, "accepted"))
        )
        m.d.sync += [
            inside.eq(inside + self.taken - left),
            self.room.eq(inside < FeedStages.ROOM - 1),  # of the cycle before, in which one more may have been taken
            near.eq(near + enters - leaves),
        ]
        m.d.comb += self.array_near.eq(near != 0)
        return m
