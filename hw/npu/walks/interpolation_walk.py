"""How far each pixel of an INTERPOLATE lies between its neighbours, and the weight that this gives each of them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import FRACTION_BITS, MAX_BETWEEN, group_layout
from hw.npu.interface.wave import POSITION
from hw.npu.parts.delay import delayed

ONE = 1 << FRACTION_BITS
WEIGHT_BITS = 2 * FRACTION_BITS + 1
"""Width of a weight: the product of two that go up to `ONE`."""


class InterpolationWalk(wiring.Component):
    """Adds up the fractions of an INTERPOLATE along the walk of `hw.npu.feed.wave_generator.WaveGenerator`. ::

        fraction y, x --> + step --> carry: the walk takes tap_y_step, tap_x_step more
               |
               +--> weight of a kernel row, of a column --> their product

    The weight of a kernel row is the fraction, or what is left of one. It is one for the only kernel row of a command, and for both
    where one of them lies outside the image (the pad value should be 0). The same holds for columns.

    One step a cycle. The weight of a vector of another command is 1, in units of 2^-20 as all are.

    Members
    -------
    start : In(1)
        Begin the command: its first step is there in the next cycle.
    step, row_end, tile_end : In(1), In(1), In(1)
        A step is taken; it is the last of its block row; of its reduction tile, which is one tap.
    loops, input, interpolation : In(group loops), In(group input), In(group interpolation)
        The command, steady from ``start`` on to a cycle behind its last step.
    interpolates, vector : In(1), In(1)
        It is an INTERPOLATE; its waves go around the array.
    position : In(POSITION)
        Of the step of the cycle before, for tap (0, 0).
    carry_y, carry_x : Out(1), Out(1)
        The next block row, the next pixel, lies one kernel row, one kernel column, further than the steps say.
    valid, weight : Out(1), Out(WEIGHT_BITS)
        A weight for each step of a command whose waves go around the array, `LATENCY` cycles behind the step.
    """

    PLACED = 1
    """Cycles from a step to its position."""
    LATENCY = PLACED + 3

    def __init__(self):
        super().__init__({
            **{name: In(1) for name in ("start", "step", "row_end", "tile_end")},
            **{name: In(group_layout(name)) for name in ("loops", "input", "interpolation")},
            "interpolates": In(1),
            "vector": In(1),
            "position": In(POSITION),
            "carry_y": Out(1),
            "carry_x": Out(1),
            "valid": Out(1),
            "weight": Out(WEIGHT_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        tap_y, tap_x = (Signal(name=f"tap_{axis}", reset_less=True) for axis in "yx")
        fraction_y = self._fraction(m, "y", self.tile_end, self.row_end, self.carry_y)
        fraction_x = self._fraction(m, "x", self.row_end, 1, self.carry_x)
        two_y, two_x = self.loops.taps_y == MAX_BETWEEN, self.loops.taps_x == MAX_BETWEEN
        with m.If(self.step & self.tile_end):
            m.d.sync += tap_x.eq(two_x & ~tap_x)
            with m.If(tap_x | ~two_x):
                m.d.sync += tap_y.eq(two_y & ~tap_y)
        with m.If(self.start):
            m.d.sync += [tap_y.eq(0), tap_x.eq(0)]
        place, image = self.position, self.input
        alone_y = (place.y < 0) | (place.y + image.tap_y_rows >= image.height) | ~two_y
        alone_x = (place.x < 0) | (place.x + image.tap_x_step >= image.image_row_bytes) | ~two_x
        factors = [
            self._factor(
                m,
                axis,
                alone,
                delayed(m, tap, self.PLACED, name=f"late_tap_{axis}"),
                delayed(m, fraction, self.PLACED, name=f"late_{axis}"),
            )
            for axis, alone, tap, fraction in (("y", alone_y, tap_y, fraction_y), ("x", alone_x, tap_x, fraction_x))
        ]
        # 3: the product
        weight = Signal(WEIGHT_BITS, reset_less=True)
        interpolates = delayed(m, self.interpolates, self.LATENCY - 1, name="interpolates")
        m.d.sync += weight.eq(Mux(interpolates, factors[0] * factors[1], 1))
        m.d.comb += [
            self.weight.eq(weight),
            self.valid.eq(delayed(m, self.step & self.vector, self.LATENCY, name="weighs", reset_less=False)),
        ]
        return m

    def _fraction(self, m, axis, again, moves, carry):
        """The fraction of the present step along an axis: it begins again behind some steps, moves on behind others, and else stays."""
        fraction = Signal(FRACTION_BITS, name=f"fraction_{axis}", reset_less=True)
        following = Signal(FRACTION_BITS + 1, name=f"next_{axis}")
        m.d.comb += [
            following.eq(fraction + self.interpolation[f"step_{axis}"]),
            carry.eq(self.interpolates & following[FRACTION_BITS]),
        ]
        with m.If(self.start | (self.step & again)):
            m.d.sync += fraction.eq(self.interpolation[axis])
        with m.Elif(self.step & moves):
            m.d.sync += fraction.eq(following)
        return fraction

    def _factor(self, m, axis, alone, tap, fraction):
        """1: what the tap's weight depends on. 2: the weight."""
        held = {
            name: delayed(m, value, 1, name=f"{name}_{axis}") for name, value in (("alone", alone), ("tap", tap), ("fraction", fraction))
        }
        factor = Signal(FRACTION_BITS + 1, name=f"factor_{axis}", reset_less=True)
        m.d.sync += factor.eq(Mux(held["alone"], ONE, Mux(held["tap"], held["fraction"], ONE - held["fraction"])))
        return factor
