"""The configurations of a sweep: every combination of the values that the designer lists."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from hw.npu.config import NpuConfig, written
from hw.npu.errors import WeftError

SWEPT = ("rows", "cols", "act_kib", "weight_kib", "axi_bits", "lane_divisor", "accumulator_bits", "int4")
"""Fields of the configuration that a sweep may list: those that decide cycles, energy or area."""
USUAL = {"rows": (4, 8, 16, 32), "cols": (4, 8, 16, 32)}
"""The sweep of those who list nothing."""
SWITCHED = {"off": (False,), "on": (True,), "both": (False, True)}
"""Values of a field that is true or false, by what the user says."""
MOST = 4096
"""Configurations of one sweep."""


@dataclass(frozen=True)
class Candidate:
    """One combination.

    Attributes
    ----------
    label : str
        How tables call it: rows x columns, and the other fields that the sweep varies, as in ``16x8+act_kib=96``.
    changes : tuple of (str, int or bool)
        The listed fields and their values, in the order of `SWEPT`.
    config : NpuConfig or None
        None where the values do not go together.
    reason : str
        Why there is no configuration; empty where there is one.
    """

    label: str
    changes: tuple[tuple[str, int], ...]
    config: NpuConfig | None
    reason: str = ""


def parse_values(option: str, text: str) -> tuple[int, ...]:
    """The whole numbers of a list such as ``4,8,16``, each once, in their order.

    Raises
    ------
    WeftError
        Where there is something else in it.
    """
    values = []
    for word in text.split(","):
        try:
            values.append(int(word.strip(), 0))
        except ValueError:
            raise WeftError(f"{option} {text}: {word.strip()!r} is not a whole number", remedy=f"for example {option} 8,16,32") from None
    return tuple(dict.fromkeys(values))


def parse_switch(option: str, text: str) -> tuple[bool, ...]:
    """The values of a field that is true or false.

    Raises
    ------
    WeftError
        Where the text is none of `SWITCHED`.
    """
    if text not in SWITCHED:
        raise WeftError(f"{option} {text}: it is {', '.join(SWITCHED)}", remedy=f"for example {option} both")
    return SWITCHED[text]


def candidates(base: NpuConfig, lists: Mapping[str, tuple[int, ...]]) -> tuple[Candidate, ...]:
    """Every combination of the lists on top of `base`; the field named first changes slowest.

    Parameters
    ----------
    base : NpuConfig
        Holds the fields that are not listed.
    lists : dict of str to tuple of int
        Values by field of `SWEPT`; `USUAL` where it is empty.

    Raises
    ------
    WeftError
        Where there are more than `MOST`.
    """
    lists = lists or USUAL
    fields = [field for field in SWEPT if field in lists]
    combinations = list(itertools.islice(itertools.product(*(lists[field] for field in fields)), MOST + 1))
    if len(combinations) > MOST:
        raise WeftError(f"the lists make more than {MOST} configurations", remedy="list fewer values")
    varied = {field for field in fields if len(lists[field]) > 1}
    return tuple(_candidate(base, tuple(zip(fields, values)), varied) for values in combinations)


def _candidate(base, changes, varied):
    values = {"rows": base.rows, "cols": base.cols} | dict(changes)
    others = [f"{field}={written(value)}" for field, value in changes if field in varied and field not in ("rows", "cols")]
    label = "+".join([f"{values['rows']}x{values['cols']}", *others])
    # the name as `load_config` makes it, so that a row and `weft run --set` are called alike
    changed = [f"{field}={written(value)}" for field, value in changes if getattr(base, field) != value]
    try:
        return Candidate(label, changes, base.replace(name="+".join([base.name, *changed]), **dict(changes)))
    except WeftError as error:
        return Candidate(label, changes, None, str(error))
