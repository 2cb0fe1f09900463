"""The sweep: every configuration with the usual tuning, then those on the front with the best one."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from weft.compiler.graph import Graph
from weft.explore.area import Area, area_of
from weft.explore.cost import Network, NetworkCost
from weft.explore.grid import Candidate
from weft.explore.pareto import on_front
from weft.explore.workers import run_tasks


@dataclass(frozen=True)
class Point:
    """A configuration and what the networks cost on it.

    Attributes
    ----------
    candidate : Candidate
    area : Area or None
        None where there is no such configuration.
    costs : tuple of NetworkCost
        One a network; empty where one of them does not run.
    reason : str
        Why; empty where they all run.
    front : bool
        No other point is better: less latency, energy or area, no more of the other two, and no more of the network on the host.
    """

    candidate: Candidate
    area: Area | None
    costs: tuple[NetworkCost, ...] = ()
    reason: str = ""
    front: bool = False

    @property
    def works(self) -> bool:
        """Every network runs on it."""
        return bool(self.costs)

    @property
    def searched(self) -> bool:
        """With the best tuning of every network."""
        return self.works and all(cost.searched for cost in self.costs)

    @property
    def cycles(self) -> int:
        """Of all networks, one after another."""
        return sum(cost.cycles for cost in self.costs)

    @property
    def macs(self) -> int:
        """Of all networks."""
        return sum(cost.macs for cost in self.costs)

    @property
    def energy_uj(self) -> float:
        """Of all networks, one inference each."""
        return sum(cost.energy_uj for cost in self.costs)

    @property
    def ddr_bytes(self) -> int:
        """Of all networks, one inference each."""
        return sum(cost.ddr_bytes for cost in self.costs)

    @property
    def utilization(self) -> float:
        """Part of the array's multiplications that are the networks' own, 0 to 1; layers in INT4 are held against twice as many."""
        return self.macs / sum(cost.peak_macs for cost in self.costs)

    @property
    def int4_share(self) -> float:
        """Part of the networks' MACs that ran in INT4, 0 to 1."""
        return sum(cost.int4_macs for cost in self.costs) / max(1, self.macs)

    @property
    def host_load(self) -> tuple[int, int]:
        """What the networks leave to the host: multiply-accumulates, as the files have them, and operators."""
        return sum(cost.host_macs for cost in self.costs), sum(len(cost.host_ops) for cost in self.costs)

    @property
    def npu_share(self) -> float:
        """Part of the files' multiply-accumulates that the NPU has, 0 to 1."""
        return 1 - self.host_load[0] / max(1, sum(cost.file_macs for cost in self.costs))

    @property
    def objectives(self) -> tuple[float, ...]:
        """What the front weighs: cycles, energy, area, and the host's part, of which nothing is in the other three."""
        return self.cycles, self.energy_uj, self.area.total, *self.host_load


Stage = Callable[[str, int], AbstractContextManager]
"""Announces a stage of so many tasks and gives what counts them, as `weft.run.progress.Steps.stage` does."""


def sweep(networks: Sequence[Graph | Network], chosen: Sequence[Candidate], *, jobs: int, stage: Stage) -> tuple[Point, ...]:
    """Cost every candidate, in their order, and mark the front.

    The best tuning is searched for the members of the front only, for a search compiles ten times. It changes them, and with them the
    front: the sweep ends when every member has been searched.

    Parameters
    ----------
    networks : sequence of Graph or Network
        How much of one the host runs may differ from configuration to configuration.
    chosen : sequence of Candidate
    jobs : int
        Worker processes.
    stage : Stage
    """
    points = [Point(candidate, area_of(candidate.config) if candidate.config else None, reason=candidate.reason) for candidate in chosen]
    points = _costed(networks, points, [not point.reason for point in points], jobs, stage, "sweeping", thorough=False)
    points = mark_front(points)
    while any(due := [point.front and not point.searched for point in points]):
        points = mark_front(_costed(networks, points, due, jobs, stage, "searching the best tuning on", thorough=True))
    return tuple(points)


def _costed(networks, points, due, jobs, stage, doing, *, thorough):
    """The points, those that are due with new costs."""
    tasks = [(number, point.candidate.config, thorough) for point, is_due in zip(points, due) if is_due for number in range(len(networks))]
    with stage(f"{doing} {sum(due)} configurations", len(tasks)) as advance:
        answers = iter(run_tasks(networks, tasks, jobs, advance))
    return [_answered(point, networks, answers) if is_due else point for point, is_due in zip(points, due)]


def _answered(point, networks, answers):
    costs, reasons = [], []
    for network in networks:
        answer = next(answers)
        if isinstance(answer, NetworkCost):
            costs.append(answer)
        else:
            reasons.append(f"{network.name}: {answer}" if len(networks) > 1 else answer)
    return replace(point, costs=() if reasons else tuple(costs), reason="; ".join(reasons))


def mark_front(points: Sequence[Point]) -> list[Point]:
    """The points with their marks."""
    marks = iter(on_front([point.objectives for point in points if point.works]))
    return [replace(point, front=point.works and next(marks)) for point in points]
