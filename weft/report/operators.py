"""Which operators Weft supports and what each may be: the text of ``docs/operators.md`` and of ``weft operators``."""

import difflib
import textwrap
from collections.abc import Iterable

import tflite

from hw.npu.errors import WeftError
from weft.compiler.fold import FOLDED
from weft.compiler.frontends.unsupported import COMPILED, CUSTOM, REASONS, VARIABLES
from weft.compiler.limits import LIMITS, SUPPORTED

PAGE_WIDTH = 118
CONSTANT_ONLY = tuple(sorted(FOLDED - set(SUPPORTED)))
"""Operators that may stand in a file where their inputs are constants or fixed shapes."""
TFLITE_OPERATORS = frozenset(name for name in vars(tflite.BuiltinOperator) if not name.startswith("_"))

INTRODUCTION = """\
# Operators

Generated from `weft/compiler/limits` by `make docs`. Do not edit. `weft operators NAME` prints what one of them may be.

Weft takes TFLite files whose activations are int8 and whose weights are int8 or int4 constants, and files of uint8
with one scale a tensor: these it computes on int8, which is what "int8" below then means; docs/numerics.md says for
which operators, and how. An operator that breaks a limit is left to the host, where the TFLite reference kernels
compute it; the report says so with the layer, the limit and the value. With `--no-host` the file is refused instead,
with what to do about each; all that is wrong with a file is said at once. Limits are checked in the order given here,
and later ones rely on earlier ones. What else the NPU can run depends on the configuration (`weft run --config`):
memories may be too small, accumulators too narrow. Each such message names the layer and the size that would do.

Float operators between a DEQUANTIZE and a QUANTIZE run on the NPU too where each byte of the result depends on one
byte: functions of one value, sums, products and the like with a constant of one value or another function of the same
value, and whatever moves data. They become one LOOKUP, the operator of a table that the reference interpreter fills, or
the same movement of bytes. Other float operators are the host's.

Of a file with several subgraphs Weft takes the first, as an interpreter does; `--signature NAME` takes that of a
signature, or one of that name to which no signature leads. Others belong to CALL_ONCE, or to control flow, which is the
host's.
"""

STATE = (
    "A variable of int8 or uint8 lives in DDR from run to run. It must be assigned constants by CALL_ONCE, or be assigned in each run "
    "before it is read; what is assigned must be computed, and have the type and the number of elements of what is read; scales and "
    "shapes may differ. A variable that only CALL_ONCE assigns is a constant. The host keeps variables that control flow may touch, those "
    "whose handle goes anywhere else, and what a CALL_ONCE does besides assigning constants."
)
"""What a variable may be."""


def supported_lines(width: int) -> list[str]:
    """All names, filled into lines of that many columns, and what is there besides them."""
    lines = textwrap.wrap(", ".join(SUPPORTED), width, break_long_words=False)
    lines += ["", *textwrap.wrap(f"Where their inputs are constants or fixed shapes only: {', '.join(CONSTANT_ONLY)}.", width)]
    lines += ["", *textwrap.wrap(f"For a state between runs: {', '.join(VARIABLES)}.", width)]
    return [*lines, "", *textwrap.wrap("weft operators NAME prints the limits of one; docs/operators.md has them all.", width)]


def operator_lines(name: str, width: int) -> list[str]:
    """An operator's limits, a paragraph each, in lines of that many columns.

    Parameters
    ----------
    name : str
        TFLite's name, in letters of either case.
    width : int

    Raises
    ------
    WeftError
        If it is not supported, with the reason where there is one, or with names that are like it.
    """
    op = name.upper()
    if op in CONSTANT_ONLY:
        return textwrap.wrap(f"{op} is supported only where its inputs are constants or fixed shapes: it is computed beforehand.", width)
    if op in VARIABLES:
        return [op, *_item(STATE, width)]
    if op not in SUPPORTED:
        raise _unknown(op)
    limits = [line for limit in limit_sentences(op) for line in _item(f"{limit}.", width)]
    also = ["", *textwrap.wrap("It is computed beforehand where its inputs are plain constants.", width)] if op in FOLDED else []
    return [op, *limits, *also]


def _unknown(op) -> WeftError:
    reason = next((why for ops, why, _ in REASONS if op in ops), None)
    if op in TFLITE_OPERATORS:
        return WeftError(f"{op} is not supported{f': {reason}' if reason else ''}", remedy="weft operators lists what is")
    close = difflib.get_close_matches(op, [*SUPPORTED, *CONSTANT_ONLY], n=3)
    remedy = f"did you mean {' or '.join(close)}?" if close else "weft operators lists those that are supported"
    return WeftError(f"TFLite has no operator {op!r}", remedy=remedy)


def limit_sentences(op: str) -> list[str]:
    """What an operator may be, a sentence without its full stop for each limit."""
    return [limit.__doc__ for limit in LIMITS[op]]


def operators_page() -> str:
    """The text of `docs/operators.md`: operators of the same limits share a section."""
    sections: dict[tuple[str, ...], list[str]] = {}
    for op in SUPPORTED:
        sections.setdefault(tuple(limit_sentences(op)), []).append(op)
    parts = [INTRODUCTION]
    for limits, ops in sections.items():
        parts.append(f"## {', '.join(ops)}\n")
        parts.append(_list(f"{limit}." for limit in limits))
    constant = f"{', '.join(CONSTANT_ONLY)}: computed beforehand where all inputs are constants or fixed shapes, else by the host."
    parts += ["## On constants only\n", _paragraph(constant)]
    parts += [f"## {', '.join(VARIABLES)}\n", _paragraph(STATE)]
    parts.append("## On the host with a reason of their own\n")
    parts.append(_list(f"{', '.join(ops)}: {why}; {what}." for ops, why, what in REASONS))
    custom = [f"`{op.removeprefix(CUSTOM)}` (a file compiled by {compiler})" for op, (compiler, _) in COMPILED.items()]
    parts.append(
        _paragraph(
            "Custom operators are the host's too, where the reference interpreter knows them; else the file is refused by their names. "
            f"It is refused for {' and '.join(custom)}, with the advice to take the original file."
        )
    )
    return "\n".join(parts)


def _list(items: Iterable[str]) -> str:
    return "\n".join(line for item in items for line in _item(item, PAGE_WIDTH)) + "\n"


def _item(text, width):
    return textwrap.wrap(f"- {text}", width, subsequent_indent="  ", break_on_hyphens=False)


def _paragraph(text) -> str:
    return "\n".join(textwrap.wrap(text, PAGE_WIDTH, break_on_hyphens=False)) + "\n"
