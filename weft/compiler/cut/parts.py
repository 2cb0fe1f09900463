"""Cuts a graph whose operators have one of two kinds into as few runs of one kind as possible.

Operators are numbers in an order of execution. A *part* is a set of operators of one kind that run together; parts alternate. The fewest
parts come of taking all that can run before the kind changes, or, seen from the end, all that can wait; which of the two kinds begins
decides the rest. Where these cuts have equally many parts, the one that moves fewer bytes between parts is taken, after operators
that may stand in several parts have gone where they save bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

ROUNDS = 4
"""How often all operators are asked whether another part suits them better."""


@dataclass(frozen=True)
class Value:
    """A tensor, as the cut sees it.

    Attributes
    ----------
    size : int
        Bytes.
    maker : int or None
        The operator that makes it; None for an input of the network.
    readers : tuple of int
    leaves : bool
        It is an output of the network.
    """

    size: int
    maker: int | None
    readers: tuple[int, ...]
    leaves: bool


def cut(kinds: Sequence[bool], values: Sequence[Value]) -> list[list[int]]:
    """The parts, in the order of execution; operators in their own order.

    Parameters
    ----------
    kinds : sequence of bool
        Of each operator.
    values : sequence of Value
    """
    before, after = _neighbours(len(kinds), values)
    found = []
    for begins in (True, False):
        for levels in (_early, _late):
            stages = levels(kinds, before, after, begins)
            _settle(stages, kinds, before, after, values)
            found.append(stages)
    best = min(found, key=lambda stages: (len(set(stages)), moved_bytes(stages, values)))
    return [[each for each, stage in enumerate(best) if stage == number] for number in sorted(set(best))]


def moved_bytes(stages: Sequence[int], values: Sequence[Value]) -> int:
    """Bytes that parts read of others and of the network's inputs, and that they write for others and the network's outputs.

    Parameters
    ----------
    stages : sequence of int
        The part of each operator.
    values : sequence of Value
    """
    return sum(_moved(value, stages) for value in values)


def _moved(value, stages) -> int:
    home = None if value.maker is None else stages[value.maker]
    elsewhere = len({stages[reader] for reader in value.readers} - {home})
    return value.size * (elsewhere + (home is not None and (elsewhere > 0 or value.leaves)))


def _neighbours(count, values) -> tuple[list[set[int]], list[set[int]]]:
    before: list[set[int]] = [set() for _ in range(count)]
    after: list[set[int]] = [set() for _ in range(count)]
    for value in values:
        for reader in value.readers:
            if value.maker is not None:
                before[reader].add(value.maker)
                after[value.maker].add(reader)
    return before, after


def _early(kinds, before, after, begins) -> list[int]:
    """Each operator in the first part of its kind behind all that it reads."""
    stages: list[int] = []
    for each, kind in enumerate(kinds):
        stages.append(max((stages[other] + (kinds[other] != kind) for other in before[each]), default=int(kind != begins)))
    return stages


def _late(kinds, before, after, begins) -> list[int]:
    """Each operator in the last part of its kind before all that reads it; the last part is the one with which the early cut ends."""
    early = _early(kinds, before, after, begins)
    last = max(early, default=0)
    stages = [0] * len(kinds)
    for each in reversed(range(len(kinds))):
        bound = last - ((last % 2 == 0) != (kinds[each] == begins))
        stages[each] = min([bound, *(stages[other] - (kinds[other] != kinds[each]) for other in after[each])])
    return stages


def _settle(stages, kinds, before, after, values):
    """Move operators to parts of their kind between their neighbours' where that saves bytes; no part becomes more."""
    touching: list[list[Value]] = [[] for _ in kinds]
    for value in values:
        for each in {*value.readers, *(() if value.maker is None else (value.maker,))}:
            touching[each].append(value)
    last = max(stages, default=0)
    for _ in range(ROUNDS):
        moved = False
        for each, kind in enumerate(kinds):
            low = max((stages[other] + (kinds[other] != kind) for other in before[each]), default=stages[each] % 2)
            high = min((stages[other] - (kinds[other] != kind) for other in after[each]), default=last - (last - stages[each]) % 2)
            cost = _cost(each, touching[each], stages)
            best = min(range(low, high + 1, 2), key=lambda stage: (cost(stage), abs(stage - stages[each])))
            if cost(best) < cost(stages[each]):
                stages[each], moved = best, True
        if not moved:
            return


def _cost(each, values, stages) -> Callable[[int], int]:
    """Bytes moved of an operator's tensors as a function of its part."""

    def cost(stage):
        kept, stages[each] = stages[each], stage
        total = sum(_moved(value, stages) for value in values)
        stages[each] = kept
        return total

    return cost
