"""Cycles on the generated Verilog, exact, as they are on record in `cycles.json`; ``make cycles`` records them anew.

From start to interrupt on the reference DDR, records included. The numbers move with the compiler and the RTL, and whoever moves them
says why in the commit.
"""

import json
import os
from pathlib import Path

from hw.emit.cache import cache_folder, locked
from hw.npu.files import write_whole

RECORD = Path(__file__).with_name("cycles.json")
RECORDING = "WEFT_RECORD_CYCLES"
"""Set in the environment, what is measured goes on record instead of being compared."""


def all_recorded() -> dict[str, int]:
    """Every count on record, by its key: a place, a slash, a name."""
    return json.loads(RECORD.read_text())


def recorded(key: str) -> int:
    """The count on record under a key."""
    return all_recorded()[key]


def recorded_under(place: str) -> dict[str, int]:
    """The counts of one place, by name."""
    return {key.partition("/")[2]: cycles for key, cycles in all_recorded().items() if key.partition("/")[0] == place}


def assert_recorded(key: str, cycles: int):
    """Fails where so many cycles are not those on record; ``make cycles`` records them instead."""
    if os.environ.get(RECORDING):
        with locked(cache_folder() / "cycles"):
            known = all_recorded() | {key: cycles}
            write_whole(RECORD, json.dumps(dict(sorted(known.items())), indent=1) + "\n", "the record of cycles")
    assert cycles == recorded(key), f"{key}: {cycles} cycles, on record are {recorded(key)}; `make cycles` records them anew"
