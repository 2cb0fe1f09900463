"""A sweep with the designer's clock and frame rate: what he asks of it, and the configurations that answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from weft.explore.area import area_of
from weft.explore.sweep import Point

BEST, FRONT = "best", "front"
"""Words that choose points, beside a number and labels."""


@dataclass(frozen=True)
class Survey:
    """What is shown.

    Several networks run one after another: a frame is one inference of each. Latency, energy and traffic of a point are sums over them.

    Attributes
    ----------
    networks : tuple of str
    base : NpuConfig
        Its area is 1.
    points : tuple of Point
    clock_mhz : float
        The same for every configuration: nothing here says which clock a larger array reaches.
    fps : float or None
        Frames a second that are asked for.
    clock_source : str
        Where the clock is from.
    """

    networks: tuple[str, ...]
    base: NpuConfig
    points: tuple[Point, ...]
    clock_mhz: float
    fps: float | None = None
    clock_source: str = "stated"

    def latency_ms(self, cycles) -> float:
        """Cycles at the clock."""
        return cycles / (self.clock_mhz * 1e3)

    def rate(self, point: Point) -> float:
        """Frames a second."""
        return self.clock_mhz * 1e6 / point.cycles

    def power_mw(self, point: Point) -> float:
        """Average while it computes."""
        return point.energy_uj / self.latency_ms(point.cycles)

    def power_at_rate_mw(self, point: Point) -> float:
        """Average at the frame rate that is asked for; waiting costs nothing, as leakage and clock tree are not in the energies."""
        return point.energy_uj * self.fps * 1e-3

    def reaches(self, point: Point) -> bool:
        """Whether it works and is as fast as asked; nobody knows of one that is `partial`, as the host's time is not in its cycles."""
        return point.works and not self.partial(point) and self.fast_enough(point)

    def fast_enough(self, point: Point) -> bool:
        """Whether the NPU's part is as fast as asked."""
        return self.fps is None or self.rate(point) >= self.fps

    def partial(self, point: Point) -> bool:
        """Whether a working point leaves more of the networks to the host than another does: its figures lack more."""
        return point.host_load != self._least_host_load

    @cached_property
    def _least_host_load(self):
        return min((point.host_load for point in self.working), default=None)

    def reason(self, point: Point) -> str:
        """Why a point does not work, or why it is `partial`: the first of its operators on the host that others have on the NPU."""
        if not point.works or not self.partial(point):
            return point.reason
        whole = next(each for each in self.working if not self.partial(each))
        usual = {reason for cost in whole.costs for reason in cost.host_reasons}
        found = [reason for cost in point.costs for reason in cost.host_reasons if reason not in usual]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return f"on the host: {found[0]}{more}" if found else ""

    @property
    def has_partial(self) -> bool:
        """Whether some configuration is `partial`."""
        return any(map(self.partial, self.working))

    @property
    def has_host_steps(self) -> bool:
        """Whether some configuration leaves operators to the host, other than a program's first and last ones."""
        return any(cost.host_steps for point in self.working for cost in point.costs)

    def relative_area(self, point: Point) -> float:
        """Area as a multiple of the base's."""
        return point.area.total / area_of(self.base).total

    @property
    def working(self) -> list[Point]:
        """Points on which every network runs."""
        return [point for point in self.points if point.works]

    @property
    def front(self) -> list[Point]:
        """Members of the front, the fastest in front."""
        return sorted((point for point in self.points if point.front), key=lambda point: point.objectives)

    def smallest(self) -> Point | None:
        """The least area that reaches the frame rate; of equals the least energy, and the fastest."""
        reaching = filter(self.reaches, self.points)
        return min(reaching, key=lambda point: (point.area.total, point.energy_uj, point.cycles), default=None)

    def thriftiest(self) -> Point | None:
        """The least energy that reaches the frame rate; of equals the least area, and the fastest."""
        reaching = filter(self.reaches, self.points)
        return min(reaching, key=lambda point: (point.energy_uj, point.area.total, point.cycles), default=None)

    def ranking(self) -> list[Point]:
        """The front, the best in front: with a frame rate those that reach it by area, then the others by speed; without one by the
        product of latency, energy and area, which is least on the front whatever the units are, those that are `partial` last.
        """
        if self.fps is None:
            return sorted(self.front, key=lambda point: (self.partial(point), point.cycles * point.energy_uj * point.area.total))
        reaching = sorted(filter(self.reaches, self.front), key=lambda point: (point.area.total, point.energy_uj, point.cycles))
        return reaching + sorted((point for point in self.front if not self.reaches(point)), key=self.partial)

    def choose(self, text: str) -> list[Point]:
        """Points by `best`, `front`, a number of the best, or labels with commas between them (`check_choice`).

        Raises
        ------
        WeftError
            Where it names one that does not work.
        """
        if text == FRONT:
            return self.front
        if text == BEST or text.isdecimal():
            return self.ranking()[: 1 if text == BEST else int(text)]
        named = {point.candidate.label: point for point in self.points}
        points = [named[label] for label in _labels(text)]
        for point in points:
            if not point.works:
                raise WeftError(f"--verify {point.candidate.label}: the configuration does not work: {point.reason}")
        return points


def check_choice(text: str, labels: Sequence[str]):
    """Refuse what `Survey.choose` does not know.

    Raises
    ------
    WeftError
        Where a label is not among those of the sweep, or the number is 0.
    """
    if text in {BEST, FRONT}:
        return
    if text.isdecimal():
        if not int(text):
            raise WeftError("--verify 0 verifies nothing", remedy="leave it out")
        return
    for label in _labels(text):
        if label not in labels:
            raise WeftError(
                f"--verify {label}: no configuration of the sweep is called that",
                remedy=f"use {BEST}, {FRONT}, a number or names such as {labels[0]}",
            )


def _labels(text):
    return list(dict.fromkeys(label.strip() for label in text.split(",")))
