"""A number of random networks from a seed, and what they came to; a new kind of fault is shrunk and saved."""

import re
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from tests.random_networks.check import Fault, Tally, check
from tests.random_networks.network import HEADER_BYTES, LEAST_OPERATORS, MOST_OPERATORS, OPERATOR_BYTES, Network, Recipe, network_of
from tests.random_networks.reference_process import ReferenceProcess
from tests.random_networks.saved import save
from weft.compiler.graph import Graph

GROUPS_APART = 1000
"""Numbers of groups between two batches."""
GROUP = 10
"""Recipes that are drawn at a time: after ten the library would vary those that it has, which are then less different than new ones."""
MOST_UNREAD = 5
"""Networks of one number that the frontend may refuse one after another: it refuses one in a hundred."""
SHRINK_SECONDS = 60

RECIPES = st.builds(
    Recipe,
    st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES),
    st.lists(st.binary(min_size=OPERATOR_BYTES, max_size=OPERATOR_BYTES), min_size=LEAST_OPERATORS, max_size=MOST_OPERATORS).map(tuple),
)


def _draw(number: int, phases, function):
    """`function` of each recipe of a group, which follow from the number."""

    def draw(recipe):
        if any(recipe.header):  # the library begins with the simplest of all
            function(recipe)

    configured = settings(
        max_examples=GROUP, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    seed(number)(configured(given(RECIPES)(draw)))()


def _groups(number: int) -> Iterator[int]:
    """Numbers of the groups of a batch."""
    return count(number * GROUPS_APART)


def networks(number: int, wanted: int, config: NpuConfig | None = None) -> Iterator[Network]:
    """So many networks, which follow from the number: on a configuration, or each on its own."""
    left = wanted
    for group in _groups(number):
        recipes: list[Recipe] = []
        _draw(group, (Phase.generate,), recipes.append)
        for recipe in recipes:
            network = network_of(recipe, config)
            if network is not None and left > 0:
                yield network
                left -= 1
        if left <= 0:
            return


def random_graph(number: int) -> Graph:
    """The first network of a number that the frontend takes."""
    with tempfile.TemporaryDirectory() as folder:
        for network in networks(number, MOST_UNREAD):
            try:
                return network.graph(Path(folder))
            except WeftError:
                continue
    raise AssertionError(f"the frontend refuses the first {MOST_UNREAD} random networks of number {number}")


@dataclass
class BatchResult:
    """What a batch came to.

    Attributes
    ----------
    tally : Tally
    faults : Counter
        Kinds of faults and how many networks have them.
    saved : list of str
        Files that were written, each with the command that repeats a fault.
    """

    tally: Tally = field(default_factory=Tally)
    faults: Counter = field(default_factory=Counter)
    saved: list[str] = field(default_factory=list)


class Batch:
    """One batch.

    Parameters
    ----------
    number : int
        The networks follow from it.
    reference : ReferenceProcess
    folder : Path
        Where failures are saved.
    known : collection of str
        Kinds of faults that are not shrunk any more.
    shrink_seconds : float
        Of CPU: after so many the smallest failure so far has to do.
    """

    def __init__(
        self, number: int, reference: ReferenceProcess, folder: Path, known: Collection[str] = (), shrink_seconds: float = SHRINK_SECONDS
    ):
        self.number, self.reference, self.folder, self.known = number, reference, folder, known
        self.shrink_seconds = shrink_seconds
        self.result = BatchResult()
        self._failed: dict[Recipe, Fault] = {}
        self._smallest, self._until = None, None

    def run(self, wanted: int) -> BatchResult:
        """So many networks and a few more, to the end of a group: a fault that is not known ends the batch, once it is shrunk and saved."""
        with tempfile.TemporaryDirectory() as scratch:
            self._scratch = Path(scratch)
            try:
                for group in _groups(self.number):
                    _draw(group, (Phase.generate, Phase.shrink), self._try)
                    if self.result.tally.networks >= wanted:
                        break
            except Fault as fault:
                self.result.faults[fault.kind] += 1
                self._save(*self._fewer_operators(*self._smallest), "")
        return self.result

    def _try(self, recipe):
        if recipe in self._failed:
            raise self._failed[recipe]
        if self._until is not None and time.process_time() > self._until:
            return  # too late to shrink further; what has failed fails again above
        network = network_of(recipe)
        if network is None:
            return
        shrinking = self._until is not None
        try:
            check(network, self.reference, self._scratch, Tally() if shrinking else self.result.tally)
        except Fault as fault:
            if fault.kind in self.known:
                if not shrinking:
                    self.result.faults[fault.kind] += 1
                    self._save(network, fault, f"-{self.result.tally.networks}")
                return
            self._until = self._until or time.process_time() + self.shrink_seconds
            self._failed[recipe], self._smallest = fault, (network, fault)
            raise

    def _fewer_operators(self, network, smallest) -> tuple[Network, Fault]:
        """The network without the operators that the fault does not need: what they make becomes an input."""
        places, found = list(range(len(network.ops))), (network, smallest)
        for _ in range(2):
            for place in reversed(places):
                fewer = [other for other in places if other != place]
                fault = self._fault_of(network.part(fewer)) if fewer else None
                if fault is not None and fault.kind == smallest.kind:
                    places, found = fewer, (network.part(fewer), fault)
        return found

    def _fault_of(self, network) -> Fault | None:
        try:
            check(network, self.reference, self._scratch, Tally())
        except Fault as fault:
            return fault
        return None

    def _save(self, network, fault, suffix):
        name = re.sub(r"\W+", "_", fault.kind).strip("_").lower()
        self.result.saved.append(str(save(network, self.folder / f"{name}-{self.number}{suffix}", fault)))
