"""Short hashes, and the file that holds those on record."""

import hashlib
import json
from pathlib import Path

RECORDED = Path(__file__).parent / "recorded.json"
REWRITE = "make hashes"
"""The command that writes the file anew."""


def digest(content) -> str:
    """Twelve hexadecimal digits of a text, or of bytes."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:12]


def recorded() -> dict:
    """What is on record: by kind (``verilog``, ``programs``) and name the parts of each with their hashes."""
    return json.loads(RECORDED.read_text())


def write(hashes):
    """Puts hashes on record, one part a line, so that a difference in version control shows what moved."""
    RECORDED.write_text(json.dumps(hashes, indent=1, sort_keys=True) + "\n")


def difference(kind, name, found) -> str:
    """One line that names the parts that are not as recorded; empty where all are.

    Parameters
    ----------
    kind, name : str
        Which of the recorded.
    found : dict of str to str
        The parts with their hashes as they are now.
    """
    known = recorded()[kind].get(name)
    if known is None:
        return f"{name} is not on record: {REWRITE} adds it"
    changed = sorted(part for part in known.keys() & found.keys() if known[part] != found[part])
    lists = {"changed": changed, "new": sorted(found.keys() - known.keys()), "gone": sorted(known.keys() - found.keys())}
    told = "; ".join(f"{what}: {', '.join(parts)}" for what, parts in lists.items() if parts)
    if not told:
        return ""
    return (
        f"{name}: {told}. A pure refactor keeps these hashes; a change says in its message why it moves them, and `{REWRITE}` records them"
    )
