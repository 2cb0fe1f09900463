"""Delay line: the same signal some cycles later."""

from amaranth.hdl import Signal


def delayed(m, signal, cycles, *, name, reset_less=True, enable=None):
    """``signal`` after ``cycles`` clock cycles.

    Parameters
    ----------
    m : Module
        Receives the registers.
    signal : Value
        What is delayed; of any shape.
    cycles : int
        0 gives the signal itself.
    name : str
        Prefix of the registers' names.
    reset_less : bool
        False for control bits, which must be low after reset.
    enable : Value, optional
        The line stands still in cycles in which it is low.
    """
    for stage in range(cycles):
        register = Signal.like(signal, name=f"{name}_{stage + 1}", reset_less=reset_less)
        with m.If(1 if enable is None else enable):
            m.d.sync += register.eq(signal)
        signal = register
    return signal
