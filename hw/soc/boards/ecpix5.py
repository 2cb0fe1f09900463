"""ECPIX-5: a Lattice ECP5-5G board with 512 MB of DDR3, Ethernet and a UART, as amaranth-boards knows it."""

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.ecpix5 import ECPIX585Platform

PINS = {"crystal": "clk100", "crystal_mhz": 100, "reset": "rst", "exchange": "exchange"}
"""The pins that `Ecp5Top` uses."""


class Ecpix585F(ECPIX585Platform):
    """The board with the LFE5UM5G-85F: as many LUTs, memories and multipliers as the LFE5U-85F, at speed grade 8 and 1.2 V."""

    default_clk = None  # the top makes its own
    resources = [
        *ECPIX585Platform.resources,
        Resource("exchange", 0, Pins("1", dir="i", conn=("pmod", 0)), Attrs(IO_TYPE="LVCMOS33")),  # the board has no second button
    ]
