"""Runs chosen configurations of a sweep on their Verilog: what the timing model said, and what the RTL takes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from weft.explore.sweep import Point
from weft.explore.tables import plain_table
from weft.run.job import Job, run_model
from weft.run.progress import Steps


@dataclass(frozen=True)
class Verified:
    """A network on a configuration.

    Attributes
    ----------
    label, network : str
    rtl_cycles, model_cycles : int
        From start to interrupt; of the same program.
    mismatch : str
        The first tensor that differs from the reference; empty where the run is bit-exact.
    """

    label: str
    network: str
    rtl_cycles: int
    model_cycles: int
    mismatch: str

    @property
    def error_percent(self) -> float:
        """How far the model is off, of the RTL's cycles."""
        return 100 * (self.model_cycles - self.rtl_cycles) / self.rtl_cycles


def verify(
    models: Sequence[Path], points: Sequence[Point], *, seed: int, steps: Steps, run: Callable[..., Job] = run_model
) -> Iterator[Verified]:
    """Run every network on every chosen configuration, with a random input, as ``weft run --seed`` does."""
    for point in points:
        for model in models:
            job = run(model, point.candidate.config, seed=seed, steps=steps)
            mismatch = str(job.outcome.mismatch) if job.outcome.mismatch else ""
            yield Verified(
                point.candidate.label, job.report.network, job.report.cycles, sum(searched.cycles for searched in job.searched), mismatch
            )


def verified_table(verified: Sequence[Verified]) -> Table:
    """The result."""
    table = plain_table("on RTL")
    for heading, justify in (
        ("config", "left"),
        ("network", "left"),
        ("RTL cycles", "right"),
        ("model", "right"),
        ("error %", "right"),
        ("bit-exact", "left"),
    ):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for one in verified:
        table.add_row(
            one.label, one.network, str(one.rtl_cycles), str(one.model_cycles), f"{one.error_percent:+.2f}", "NO" if one.mismatch else "yes"
        )
    return table
