"""The columns of a survey: one table of what the terminal, the CSV file and the page show of a point."""

import string
from collections.abc import Callable
from dataclasses import dataclass

from weft.explore.survey import Survey

LETTERS = string.ascii_uppercase + string.ascii_lowercase
"""Marks of the front's members, the fastest A; later ones are `MORE`."""
MORE = "+"
PARTIAL = "*"
"""Behind the mark of a point that leaves more to the host than another."""
UNKNOWN = "?"
"""Whether a point reaches a rate that is fast enough without what it leaves to the host beyond others."""
Cell = float | int | str


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes
    ----------
    key : str
        In the CSV file, with the unit.
    heading : str
        On a terminal and on the page.
    value : callable
        The value of a working `Point`.
    show : str
        Format of the value, as `format` takes it.
    """

    key: str
    heading: str
    value: Callable[..., Cell]
    show: str = ""

    def text(self, point) -> str:
        """The cell of a working point."""
        value = self.value(point)
        return value if isinstance(value, str) else format(value, self.show)


def marks(survey: Survey) -> dict[str, str]:
    """A letter for each member of the front, by label."""
    return {point.candidate.label: LETTERS[i] if i < len(LETTERS) else MORE for i, point in enumerate(survey.front)}


def shown_marks(survey: Survey) -> dict[str, str]:
    """What stands in front of each working point, by label: its letter, and `PARTIAL`."""
    letters = marks(survey)
    labels = {point.candidate.label: PARTIAL * survey.partial(point) for point in survey.working}
    return {label: letters.get(label, "") + star for label, star in labels.items()}


def speed_columns(survey: Survey) -> list[Column]:
    """Time, energy and area of a frame.

    Where some array has ``int4``, the part of the MACs that ran so; where the host has steps of its own, what the NPU has.
    """
    int4 = any(point.candidate.config.int4 for point in survey.working)
    columns = [
        Column("cycles", "cycles", lambda p: p.cycles),
        Column("latency_ms", "ms", lambda p: survey.latency_ms(p.cycles), ".4g"),
        Column("frames_per_second", "frames/s", survey.rate, ".4g"),
        Column("utilization_percent", "util %", lambda p: 100 * p.utilization, ".1f"),
        *([Column("int4_macs_percent", "int4 %", lambda p: 100 * p.int4_share, ".1f")] if int4 else []),
        *(_host_columns() if survey.has_host_steps else []),
        Column("energy_uj", "uJ", lambda p: p.energy_uj, ".4g"),
        Column("power_mw", "mW", survey.power_mw, ".4g"),
        Column("ddr_kib", "DDR KiB", lambda p: p.ddr_bytes / 1024, ".1f"),
        Column("relative_area", "area", survey.relative_area, ".3f"),
    ]
    if survey.fps is not None:
        columns += [
            Column("power_mw_at_rate", f"mW at {survey.fps:g}/s", lambda p: survey.power_at_rate_mw(p) if survey.reaches(p) else "", ".4g"),
            Column("reaches_rate", f"{survey.fps:g}/s", lambda p: "yes" if survey.reaches(p) else _unsaid(survey, p)),
        ]
    return columns


def _unsaid(survey, point):
    """Of a point that is not said to reach the rate: with the host's part it may or may not, if it is fast without."""
    return UNKNOWN if survey.partial(point) and survey.fast_enough(point) else "no"


def _host_columns() -> list[Column]:
    return [
        Column("npu_macs_percent", "NPU %", lambda p: 100 * p.npu_share, ".1f"),
        Column("host_operators", "host ops", lambda p: p.host_load[1]),
    ]


def network_columns(survey: Survey) -> list[list[Column]]:
    """Time and energy of each network, where there are several: a group each."""
    if len(survey.networks) == 1:
        return []
    return [
        [
            Column(f"cycles_{name}", "cycles", lambda p, i=number: p.costs[i].cycles),
            Column(f"latency_ms_{name}", "ms", lambda p, i=number: survey.latency_ms(p.costs[i].cycles), ".4g"),
            Column(f"energy_uj_{name}", "uJ", lambda p, i=number: p.costs[i].energy_uj, ".4g"),
            Column(f"ddr_kib_{name}", "DDR KiB", lambda p, i=number: p.costs[i].ddr_bytes / 1024, ".1f"),
        ]
        for number, name in enumerate(survey.networks)
    ]


def area_columns(survey: Survey) -> list[Column]:
    """What the area is made of."""
    return [
        Column("array_multipliers", "array", lambda p: p.area.array, "g"),
        Column("output_multipliers", "output", lambda p: p.area.output, "g"),
        Column("second_operand_multipliers", "second", lambda p: p.area.second, "g"),
        Column("interpolation_multipliers", "interpolation", lambda p: p.area.interpolation, "g"),
        Column("softmax_multipliers", "softmax", lambda p: p.area.softmax, "g"),
        Column("activation_sram_kibit", "act.", lambda p: p.area.activations / 1024, "g"),
        Column("weight_sram_kibit", "wgt.", lambda p: p.area.weights / 1024, "g"),
        Column("accumulator_sram_kibit", "accum.", lambda p: p.area.accumulators / 1024, "g"),
        Column("area_kibit", "sum", lambda p: p.area.total / 1024, ".0f"),
        Column("relative_area", "area", survey.relative_area, ".3f"),
    ]


def all_columns(survey: Survey) -> list[Column]:
    """Every column once, for files."""
    columns = [*speed_columns(survey), *(column for group in network_columns(survey) for column in group), *area_columns(survey)]
    return list({column.key: column for column in columns}.values())
