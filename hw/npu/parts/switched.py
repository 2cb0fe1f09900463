"""What a component has only with a switch."""

from typing import Any


def only(switch, **members) -> dict[str, Any]:
    """Members of a signature or fields of a layout that are there with a switch, none without: ``**only(int4, paired=In(1))``."""
    return members if switch else {}
