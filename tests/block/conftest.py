"""Fixtures of the block tests."""

import pytest


@pytest.fixture(params=[False, True], ids=["plain", "pipeline"])
def pipeline(request) -> bool:
    """The component is tested without and with its register cuts."""
    return request.param
