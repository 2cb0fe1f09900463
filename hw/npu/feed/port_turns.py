"""Which of the feeder's ports read together, and which one after the other."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.feed.port_window import window_layout
from hw.npu.interface.isa import MAX_SPAN
from hw.npu.parts.delay import delayed
from hw.npu.scratchpad.bank_place import BankPlace


def turn_layout(width, geometry) -> data.StructLayout:
    """A window whose part is a place, and the turn in which it is read, one-hot, the first in bit 0; 0 where nothing is read."""
    changed = {"part": geometry.layout, "turn": MAX_SPAN}
    return data.StructLayout({name: field.shape for name, field in window_layout(width)} | changed)


class PortTurns(wiring.Component):
    """Finds the banks of the windows of a step; those that share a bank take turns, as early as the ones before let them. ::

        windows --> places (-> registers) --> turns --> registers

    One step a cycle, after `latency` cycles.

    Parameters
    ----------
    width : int
        Bytes of a port.
    geometry : BankGeometry
        Of the scratchpad.
    registers : int
        `NpuConfig.stream_registers`: between places and turns.

    Members
    -------
    windows : In(window_layout(width)).array(MAX_SPAN)
        What the ports ask for.
    placed : Out(turn_layout(width, geometry)).array(MAX_SPAN)
        The same, and when.
    """

    @staticmethod
    def latency(registers) -> int:
        """Cycles from windows to turns."""
        return 1 + registers

    def __init__(self, *, width, geometry, registers):
        self.width, self.geometry, self.registers = width, geometry, registers
        super().__init__({
            "windows": In(window_layout(width)).array(MAX_SPAN),
            "placed": Out(turn_layout(width, geometry)).array(MAX_SPAN),
        })

    def elaborate(self, platform):
        m = Module()
        layout, others, banks = turn_layout(self.width, self.geometry), ("reads", "outside", "real", "used"), []
        placed = []
        for side, window in enumerate(self.windows):
            m.submodules[f"place_{side}"] = place = BankPlace(width=self.width, geometry=self.geometry)
            found = Signal(layout, name=f"found_{side}")
            m.d.comb += [place.part.eq(window.part), found.part.eq(place.place), *(found[name].eq(window[name]) for name in others)]
            mine = delayed(m, found, self.registers, name=f"placed_{side}")
            placed.append(mine)
            banks.append(Mux(mine.reads, mine.part.low | mine.part.high, 0))

        def shared(one, other):
            meets = Signal(name=f"shared_{one}_{other}")
            m.d.comb += meets.eq((banks[one] & banks[other]) != 0)
            return meets

        beside, outer, inner = shared(0, 1), shared(0, 2), shared(1, 2)
        # port 2 goes with the first that it does not meet: in turn 0 port 0 stands, and port 1 if it does not meet that
        waits = outer | (inner & ~beside)
        turns = (1, Mux(beside, 2, 1), Mux(waits, Mux(beside & inner, 4, 2), 1))
        for side, (mine, turn) in enumerate(zip(placed, turns, strict=True)):
            there = Signal(layout, name=f"turn_{side}", reset_less=True)
            m.d.sync += [there.eq(mine), there.turn.eq(Mux(mine.reads, turn, 0))]
            m.d.comb += self.placed[side].eq(there)
        return m
