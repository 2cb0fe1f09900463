"""Tables of parameters of which `make test` runs a part, and `make test-all` all."""

import pytest


def thin(rows, every=2, first=0):
    """The rows as they are: every ``every``-th from ``first`` on runs in `make test` too, the others are marked slow."""

    def slow(row):
        return pytest.param(*(row if isinstance(row, tuple) else (row,)), marks=pytest.mark.slow)

    return [row if number % every == first else slow(row) for number, row in enumerate(rows)]
