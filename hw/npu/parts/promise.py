"""Promises: what a component asks of its inputs and says of its outputs, checked in simulations and proofs, absent from what ships."""

import contextlib

from amaranth.hdl import Assert, ResetSignal, Signal, Value

UNCHANGED = "does not change until it is taken"
"""How promises of payloads end: they compare wide words in every cycle. `hw.emit` lets a build for speed leave them out of its Verilog."""
_kept = False


@contextlib.contextmanager
def promises(kept=True):
    """Designs that are elaborated inside have their promises, or with ``kept`` false have none, which is what holds elsewhere."""
    global _kept
    before, _kept = _kept, kept
    try:
        yield
    finally:
        _kept = before


def promise(m, component, condition, sentence):
    """Asserts a condition at each edge of the clock outside reset, where promises are kept; else adds nothing to the design.

    Parameters
    ----------
    m : Module
    component : wiring.Component
        Whose promise it is: its class stands in front of the message.
    condition : Value
        Of signals that the design has anyway: what only promises need would stay in the Verilog that ships.
    sentence : str
        What is promised: what a failing simulation says.
    """
    if _kept:
        held = ResetSignal("sync", allow_reset_less=True) | Value.cast(condition).bool()
        m.d.sync += Assert(held, f"{type(component).__name__}: {sentence}".replace("{", "{{").replace("}", "}}"))


def promise_steady(m, component, valid, ready, payload=None, *, name):
    """Promises that an offer stands as it is until it is taken.

    Parameters
    ----------
    m : Module
    component : wiring.Component
    valid, ready : Value
        The handshake.
    payload : Value, optional
        What must not change; of any shape.
    name : str
        Of the stream, for the message; and prefix of the registers, which are there only where promises are kept.
    """
    if not _kept:
        return
    waited = Signal(name=f"{name}_waited")
    m.d.sync += waited.eq(valid & ~ready)
    promise(m, component, ~waited | valid, f"what {name} offers stands until it is taken")
    if payload is not None:
        payload = Value.cast(payload)
        offered = Signal(len(payload), name=f"{name}_offered", reset_less=True)
        m.d.sync += offered.eq(payload)
        promise(m, component, ~waited | (offered == payload), f"what {name} offers {UNCHANGED}")


def promise_apart(m, component, sets, sentence):
    """Promises that no bit is 1 in two of the ``sets``, values of one width."""
    seen, shared = 0, 0
    for one in sets:
        shared, seen = shared | (one & seen), seen | one
    promise(m, component, shared == 0, sentence)


def promise_stream(m, component, stream, *, name):
    """`promise_steady` of an `amaranth.lib.stream` interface with its payload."""
    promise_steady(m, component, stream.valid, stream.ready, stream.payload, name=name)
