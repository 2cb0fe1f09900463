"""ULX3S: a Lattice ECP5 board with 32 MB of SDRAM, a UART and buttons, as amaranth-boards knows it."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

PINS = {"crystal": "clk25", "crystal_mhz": 25, "reset": "button_pwr", "exchange": "button_fire"}
"""The pins that `Ecp5Top` uses."""


class Ulx3s85F(ULX3S_85F_Platform):
    """The board with the LFE5U-85F of speed grade 6: 83 640 LUTs, 208 block RAMs of 18 Kbit (468 KiB), 156 multipliers of 18x18."""

    default_clk = None  # the top makes its own
