"""Signals that reach far: every part of a unit has a register of them of its own."""

from amaranth.hdl import ResetInserter, Signal

REACH = 16
"""Cycles that a signal takes to the last part, at most: what drives one must hold it longer."""


class FanoutChain:
    """A signal that comes to each part a cycle behind the part before, so that no register drives all of them.

    Parameters
    ----------
    m : Module
        Receives the registers.
    signal : Value
        One bit, 0 after reset; each value is held for longer than `REACH` cycles.
    name : str
        Prefix of the registers' names.
    start : int
        Cycles that the signal has taken already.
    """

    def __init__(self, m, signal, *, name, start=0):
        self.m, self.signal, self.name, self.length = m, signal, name, start

    def tap(self):
        """The signal for the next part."""
        assert self.length < REACH, f"{self.name} goes to more parts than REACH = {REACH} allows for"
        self.length += 1
        register = Signal(name=f"{self.name}_{self.length}")
        self.m.d.sync += register.eq(self.signal)
        self.signal = register
        return register

    def resets(self, part):
        """The next part, which the signal resets."""
        return ResetInserter(self.tap())(part)
