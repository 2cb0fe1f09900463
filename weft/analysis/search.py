"""The search over the timing model: compiles a network with several tunings and keeps the one that takes the fewest cycles."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from golden.program import Program
from hw.npu.config import NpuConfig
from weft.analysis.timing import replay
from weft.compiler.driver import Compiled, Compiler, prove
from weft.compiler.graph import Graph
from weft.compiler.tuning import USUAL, Tuning

CHOICES = {
    "reorder": (True, False),
    "early": (True, False),
    "streamed_bytes": (8704, 4608, 16896, 33280),
    "tapered": (False, True),
    "piece_bytes": (12288, 6144, 24576),
    "dependent_cycles": (36, 0, 18, 72, 144),
    "halves": (True, False),
}
"""Values of each choice that are tried, the usual one in front."""
MANY_COMMANDS = 4000
"""From here on compiling takes seconds, and the plan's own search decides nearly all of it: only `PLANNED` is tried."""
PLANNED = ("reorder", "halves")
"""Choices that the plan depends on: the order of the steps, and what a job takes."""


@dataclass(frozen=True)
class Trial:
    """One tuning and the cycles of its program on the timing model."""

    tuning: Tuning
    cycles: int


@dataclass(frozen=True)
class Searched:
    """The best program.

    Attributes
    ----------
    compiled : Compiled
    cycles : int
        On the timing model.
    trials : tuple of Trial
        All that were tried, in their order.
    """

    compiled: Compiled
    cycles: int
    trials: tuple[Trial, ...]


def alike(first: Program, second: Program) -> bool:
    """Programs of the same commands take the same cycles, whatever the bytes that they move."""
    same = first.commands is second.commands
    return same or [planned.command for planned in first.commands] == [planned.command for planned in second.commands]


def search(
    graph: Graph, config: NpuConfig, *, keep_tensors: bool = False, announce: Callable[[Trial], None] = lambda trial: None
) -> Searched:
    """Compile with the tuning that is best on the timing model: one choice after the other, each with all its values.

    Choices depend on each other (small commands and large blocks may be good alone and bad together), so that those that change anything
    are tried a second time in the opposite order, from the usual tuning on; the better end is kept.

    The result depends on the network and the configuration alone.

    Raises
    ------
    WeftError
        Where the network cannot run on this configuration.
    """
    compiler, trials, known, compiled_of = Compiler(graph, config, keep_tensors=keep_tensors), [], [], {}

    def attempt(tuning):
        if tuning in compiled_of:
            return compiled_of[tuning]
        compiled = compiler.compile(tuning, proven=False)
        cycles = next((trial.cycles for program, trial in known if alike(program, compiled.program)), None)
        trials.append(Trial(tuning, replay(compiled.program).cycles if cycles is None else cycles))
        known.append((compiled.program, trials[-1]))
        announce(trials[-1])
        compiled_of[tuning] = compiled, trials[-1].cycles
        return compiled_of[tuning]

    def descend(best, cycles, order):
        """The best end from a tuning on, and the choices of which a value took other cycles than the best before it."""
        matter = []
        for choice in order:
            if len(best.program.commands) > MANY_COMMANDS and choice not in PLANNED:
                break
            before, seen = cycles, set()
            for value in CHOICES[choice]:
                if value == getattr(best.tuning, choice):
                    continue
                compiled, needed = attempt(replace(best.tuning, **{choice: value}))
                seen.add(needed)
                if needed < cycles:
                    best, cycles = compiled, needed
            if seen - {before}:
                matter.append(choice)
        return best, cycles, matter

    usual, first = attempt(USUAL)
    best, cycles, matter = descend(usual, first, tuple(CHOICES))
    if len(matter) > 1:
        other, needed, _ = descend(usual, first, matter[::-1])
        if needed < cycles:
            best, cycles = other, needed
    prove(best)
    return Searched(best, cycles, tuple(trials))
