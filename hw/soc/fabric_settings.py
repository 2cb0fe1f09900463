"""What software sets of a fabric; `hw/soc/registers.py` gives each field its register."""

from amaranth.hdl import unsigned
from amaranth.lib import data

from hw.soc.grant_arbiter import CLASSES
from hw.soc.regulator import DEPTH_BITS, RATE_BITS

AGE_BITS = 8
"""Width of the age limit."""

MASTER_SETTINGS = data.StructLayout({
    "klass": range(CLASSES),  # 0 goes first
    "rate": unsigned(RATE_BITS),  # beats a cycle in 1/65536; 0: no limit
    "depth": unsigned(DEPTH_BITS),  # beats that it may have saved up
})
"""Of one master: what `GrantArbiter` and `Regulator` want to know about it."""


def fabric_settings(masters) -> data.StructLayout:
    """Settings of a fabric: ``age_limit`` (grants to others, 0: no ageing), and `MASTER_SETTINGS` for each ``master``."""
    return data.StructLayout({
        "age_limit": unsigned(AGE_BITS),
        "master": data.ArrayLayout(MASTER_SETTINGS, masters),
    })
