"""Syntheses on record: the figures behind ``docs/silicon.md``, and the clock that reports assume."""

import json
from functools import cache
from pathlib import Path

from weft.analysis.synthesis.figures import Synthesis, from_json

FILE = Path(__file__).parent / "recorded.json"


@cache
def recorded() -> tuple[Synthesis, ...]:
    """What is on record, by library and configuration."""
    return tuple(map(from_json, json.loads(FILE.read_text()))) if FILE.exists() else ()


def put_on_record(found: Synthesis) -> None:
    """Put a synthesis on record, in the place of the one of the same module, configuration and library."""
    kept = {(each.library, each.top, each.config): each for each in (*recorded(), found)}
    text = json.dumps([kept[key].to_json() for key in sorted(kept)], indent=1)
    FILE.write_text(text + "\n")
    recorded.cache_clear()
