"""The timing model: a fast replay of a program's commands that predicts the RTL's cycles."""

from weft.analysis.timing.ddr import DdrParameters
from weft.analysis.timing.job import Timing, replay

__all__ = ["DdrParameters", "Timing", "replay"]
