"""Places of the array's multipliers on an ECP5-85."""

import re

import pytest

from hw.npu.errors import WeftError
from weft.board.floorplan import BLOCKS, ROWS, SITES, place_multipliers


def netlist(elements, others=3):
    """A netlist as Yosys writes it: a multiplier for each element ``(row, group, column)``, and some that are not the array's."""
    nets, cells, bit = {}, {}, 2
    for number, (row, group, col) in enumerate(elements):
        a, b = [bit, bit + 1], [bit + 2, "0"]
        bit += 3
        element = f"shell.npu.core.execute.array.row_{row}_{group}"
        names = "multiplicand", "multiplier"
        if f"{element}.multiplicand_2_{col}_1" in nets:  # the second multiplier of an element with 4-bit weights
            names = "other", "multiplier_high"
        nets |= {f"{element}.{name}_2_{col}_1": {"bits": bits} for name, bits in zip(names, (a, b))}
        cells[f"element{number}"] = {
            "type": "MULT18X18D",
            "attributes": {},
            "connections": {"A0": a[:1], "A1": a[1:], "B0": b[:1], "B1": b[1:]},
        }
    for number in range(others):
        cells[f"other{number}"] = {"type": "MULT18X18D", "attributes": {}, "connections": {"A0": [bit + number], "P0": [3]}}
    cells["lut"] = {"type": "LUT4", "attributes": {}, "connections": {"A": [2]}}
    part = {"attributes": {}, "cells": {}, "netnames": {}}
    return {
        "modules": {"LUT4": part, "board": {"attributes": {"top": "00000000000000000000000000000001"}, "netnames": nets, "cells": cells}}
    }


def places(made):
    """``BEL`` of each cell that has one."""
    cells = made["modules"]["board"]["cells"]
    return {name: cell["attributes"]["BEL"] for name, cell in cells.items() if "BEL" in cell["attributes"]}


def grid(rows, cols, group_cols):
    return [(row, col // group_cols, col % group_cols) for row in range(rows) for col in range(cols)]


@pytest.mark.parametrize(("rows", "cols", "group_cols", "each"), [(8, 8, 8, 1), (8, 8, 2, 1), (12, 12, 12, 1), (8, 8, 8, 2), (4, 4, 4, 1)])
def test_each_element_has_a_place_of_its_own_beside_those_of_its_row(rows, cols, group_cols, each):
    elements = grid(rows, cols, group_cols) * each
    made = netlist(elements)
    assert place_multipliers(made) == len(elements)
    placed = places(made)
    assert set(placed) == {f"element{number}" for number in range(len(elements))}, "all of the array's, and no other"
    assert len(set(placed.values())) == len(elements)
    sites = {f"X{x + across}/Y{y}/{site}" for x in BLOCKS for y in ROWS for across, site in SITES}
    assert len(sites) == 156 and set(placed.values()) <= sites
    for row in range(rows):
        columns = [int(re.match(r"X(\d+)", placed[f"element{number}"])[1]) for number, element in enumerate(elements) if element[0] == row]
        assert max(columns) - min(columns) <= 11 + 2 * 9 * (cols * each // 12), "a block or two"


def test_a_netlist_without_an_array_is_left_alone():
    made = netlist([])
    assert place_multipliers(made) == 0 and places(made) == {}


def test_an_array_beyond_the_part_is_refused():
    with pytest.raises(WeftError, match="the array takes 169 multipliers of the 156 of the part"):
        place_multipliers(netlist(grid(13, 13, 13)))
