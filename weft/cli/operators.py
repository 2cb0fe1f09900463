"""The command ``weft operators``: which operators of TFLite Weft supports, and what each may be."""

from typing import Annotated

import typer

Name = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="TFLite's name of an operator, as in CONV_2D; without it all names.", show_default=False),
]


def operators(name: Name = None):
    """List the operators that are supported, or the limits of one."""
    from weft.report.operators import operator_lines, supported_lines
    from weft.report.tables import default_console

    width = default_console().width
    print("\n".join(supported_lines(width) if name is None else operator_lines(name, width)))
