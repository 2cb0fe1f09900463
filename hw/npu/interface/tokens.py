"""Tokens: how many commands each queue has completed, and how one command waits for others."""

from amaranth.hdl import Module, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

TOKEN_BITS = 16
"""Width of a count of completed commands; counts wrap."""

TOKENS = data.StructLayout({"load": unsigned(TOKEN_BITS), "exec": unsigned(TOKEN_BITS), "store": unsigned(TOKEN_BITS)})
"""Commands that each queue has completed since the job's start, modulo 2^16."""


def reached(count, wait):
    """Expression: ``count`` commands are complete where ``wait`` are asked for, ``(count - wait) mod 2^16 < 2^15``."""
    return ~(count - wait)[TOKEN_BITS - 1]


class TokenBoard(wiring.Component):
    """Counts completed commands. A pulse in one cycle is in the count of the next.

    Members
    -------
    load, exec, store : In(1)
        A command of the queue is complete: one pulse each.
    tokens : Out(TOKENS)
        The counts; zero after reset, and so at the start of each job.
    """

    load: In(1)
    exec: In(1)
    store: In(1)
    tokens: Out(TOKENS)

    def elaborate(self, platform):
        m = Module()
        for queue in ("load", "exec", "store"):
            m.d.sync += self.tokens[queue].eq(self.tokens[queue] + getattr(self, queue))
        return m
