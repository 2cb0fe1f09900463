"""Configurations that whole networks and random operators run on: few, since each is built once, and far apart."""

from hw.npu.config import PRESETS

SMALL = PRESETS["small"]

SIZES = {(rows, cols): SMALL.replace(rows=rows, cols=cols) for rows, cols in ((16, 16), (8, 8), (8, 16), (32, 8), (32, 32))}
"""The reference configuration with other arrays, by rows and columns."""

CORNERS = (
    SMALL.replace(name="narrow", rows=4, cols=8, act_kib=128, weight_kib=8, axi_bits=32, lane_divisor=4, broadcast=2, queue_depth=2),
    SMALL.replace(name="tall", rows=16, cols=4, act_kib=128, weight_kib=16, axi_bits=128, lane_divisor=2, broadcast=1, max_burst=4),
    SMALL.replace(name="wide", rows=8, cols=32, act_kib=256, weight_kib=32, axi_bits=256, lane_divisor=2, outstanding=2, max_burst=16),
)
"""Every other parameter away from its default, in one of them at least."""

VARIANTS = {
    "96 KiB": SMALL.replace(act_kib=96),
    "half the lanes": SMALL.replace(lane_divisor=2),
    "a quarter of the lanes": SMALL.replace(lane_divisor=4),
    "32-bit AXI": SMALL.replace(axi_bits=32),
    "128-bit AXI": SMALL.replace(axi_bits=128),
}
"""The reference configuration with one thing changed."""

SMALL_INT4 = SMALL.replace(int4=True)
"""The reference configuration with 4-bit weights too."""

OTHERS_INT4 = {
    "8x8": SIZES[8, 8],
    "32x32": SIZES[32, 32],
    **{config.name: config for config in CORNERS},
    **VARIANTS,
    "every column": SMALL.replace(broadcast=1),
}
OTHERS_INT4 = {name: config.replace(int4=True) for name, config in OTHERS_INT4.items()}
"""All others of this page with 4-bit weights, and the textbook array: each wave registered in every column."""
