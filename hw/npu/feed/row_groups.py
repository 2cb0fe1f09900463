"""Which rows of the array belong to each kernel row of a DEPTHWISE."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.isa import MAX_SPAN, group_layout
from hw.npu.parts.delay import delayed


class RowGroups(wiring.Component):
    """Groups the array's rows with the first step of a DEPTHWISE, once that step arrives there.

    Parameters
    ----------
    rows : int
        Of the array.
    arrives : int
        Cycles from an accepted step to the array, at most those from a step that is taken.

    Members
    -------
    loops : In(group loops)
        The command.
    depthwise, step : In(1), In(1)
        It is a DEPTHWISE; a step of it is taken. ``loops`` must have stood for a cycle by then.
    rows_used : Out(range(rows + 1))
        Rows that compute in it, a cycle later than ``loops``.
    regroups : Out(1)
        It is a DEPTHWISE whose rows are grouped otherwise than those of the last one that had a step.
    group_ends : Out(range(rows + 1)).array(MAX_SPAN)
        Where the rows that belong to each kernel row end, for the array.
    """

    def __init__(self, *, rows, arrives):
        self.arrives = arrives
        super().__init__({
            "loops": In(group_layout("loops")),
            "depthwise": In(1),
            "step": In(1),
            "rows_used": Out(range(rows + 1)),
            "regroups": Out(1),
            "group_ends": Out(range(rows + 1)).array(MAX_SPAN),
        })

    def elaborate(self, platform):
        m = Module()
        loops, depthwise = self.loops, self.depthwise
        ends = [Signal.like(end, name=f"row_ends_{side}") for side, end in enumerate(self.group_ends)]
        taps = [Mux(loops.span > side, loops.taps_x, 0) for side in range(MAX_SPAN)]
        m.d.sync += [end.eq(sum(taps[: side + 1])) for side, end in enumerate(ends)]
        groups = [Signal.like(end, name=f"group_{side}") for side, end in enumerate(ends)]
        with m.If(self.step & depthwise):
            m.d.sync += [group.eq(end) for group, end in zip(groups, ends, strict=True)]
        differs = [group != end for group, end in zip(groups, ends, strict=True)]
        m.d.comb += [self.rows_used.eq(ends[-1]), self.regroups.eq(depthwise & (differs[0] | differs[1] | differs[2]))]
        for side, (now, group) in enumerate(zip(self.group_ends, groups, strict=True)):
            m.d.comb += now.eq(delayed(m, group, self.arrives, name=f"group_{side}_arrives", reset_less=False))
        return m
