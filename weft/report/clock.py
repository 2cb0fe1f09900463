"""The clock of a report: one that the user states, or the one that a synthesis on record reached."""

from dataclasses import dataclass

from hw.npu.config import NpuConfig
from weft.analysis.synthesis.blocks import TOP
from weft.analysis.synthesis.recorded import recorded
from weft.analysis.synthesis.technology import ASAP7

PROCESS = ASAP7
"""The process whose clock reports assume where nobody states one."""


@dataclass(frozen=True)
class Clock:
    """A clock, and where it is from.

    Attributes
    ----------
    mhz : float
    source : str
        For the line of a report that says it.
    """

    mhz: float
    source: str


def choose_clock(config: NpuConfig, stated_mhz: float | None = None) -> Clock:
    """The clock that the user states; without one that of the configuration's synthesis on record.

    A configuration that is not on record has the slowest clock of those that are: larger arrays are slower, or the same.
    """
    return Clock(stated_mhz, f"stated, {stated_mhz:g} MHz") if stated_mhz else _recorded_clock(config.name)


def _recorded_clock(name):
    found = {each.config: each for each in recorded() if each.top == TOP and each.library == PROCESS.words and each.worst}
    chosen = found.get(name) or max(found.values(), key=lambda each: each.worst.period_ps)
    mhz = int(1e6 / chosen.worst.period_ps)
    words = f"{mhz:,} MHz".replace(",", " ")
    other = "" if chosen.config == name else ", the slowest on record"
    return Clock(float(mhz), f"{words}, {PROCESS.words}, weft synth npu --config {chosen.config}{other}")
