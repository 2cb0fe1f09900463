"""Places of the array's multipliers on an ECP5-85, between synthesis and placement.

The part has three rows of them across its whole width. nextpnr takes them one after the other, so that the last of the array's elements get
what is left, as far as half of the part away from their registers; with the places given, the registers gather round them.
"""

import re

from hw.npu.errors import WeftError

ROWS = (34, 58, 10)
"""Rows of the part with multipliers, in the order in which they are used (Project Trellis, LFE5U-85F: tiles MIB_DSP)."""
BLOCKS = (*range(4, 59, 9), *range(69, 115, 9))
"""Columns at which its blocks of multipliers begin."""
SITES = ((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5"))
"""Multipliers of a block: columns from its beginning, and nextpnr's name."""
ELEMENT = re.compile(r"\barray\.row_(\d+)_(\d+)\.(?:multiplicand|multiplier|other)_\d+_(\d+)")
"""A register in front of an element's multiplier: its row, its column group, and its column there (`hw.npu.array.pe_row.PeRow`)."""


def place_multipliers(netlist: dict) -> int:
    """Give the multipliers of the array their places: those of a row side by side, for they share activation and enables; rows in order.

    Parameters
    ----------
    netlist : dict
        Of Yosys (``write_json``); its cells receive attributes ``BEL``.

    Returns
    -------
    int
        Multipliers placed; 0 where no register stands in front of them.

    Raises
    ------
    WeftError
        If the part has fewer.
    """
    (top,) = (module for module in netlist["modules"].values() if int(module["attributes"].get("top", "0"), 2))
    element_of = {}
    for name, net in top["netnames"].items():
        found = ELEMENT.search(name)
        if found:
            row, group, col = map(int, found.groups())
            element_of |= dict.fromkeys((bit for bit in net["bits"] if isinstance(bit, int)), (row, group, col))
    elements = []
    for name, cell in top["cells"].items():
        if cell["type"] == "MULT18X18D":
            bits = (bit for port, bits in cell["connections"].items() if port[0] in "AB" for bit in bits)
            owner = next((element_of[bit] for bit in bits if bit in element_of), None)
            if owner is not None:
                elements.append((owner, name))
    for (_, name), site in zip(sorted(elements), _sites(len(elements)), strict=False):
        top["cells"][name]["attributes"]["BEL"] = site
    return len(elements)


def _sites(count):
    """The places of so many multipliers, block by block, in the middle of the part."""
    rows = ROWS[: max(2, -(-count // (len(BLOCKS) * len(SITES))))]
    blocks = -(-count // (len(rows) * len(SITES)))
    if len(rows) > len(ROWS) or blocks > len(BLOCKS):
        raise WeftError(f"the array takes {count} multipliers of the 156 of the part", remedy="--set rows and cols make it smaller")
    first = (len(BLOCKS) - blocks) // 2
    return [f"X{x + across}/Y{y}/{site}" for x in BLOCKS[first : first + blocks] for y in rows for across, site in SITES]
