"""Random configurations of the NPU: memories from the least to plenty, and every switch."""

from hw.npu.config import KIB, NpuConfig
from tests.random_networks.choices import Choices

SIDES = (8, 4, 16, 32)
FIELDS = {
    "axi_bits": (64, 32, 128, 256),
    "lane_divisor": (1, 2, 4),
    "broadcast": (16, 1, 2, 4, 8, 32),
    "accumulator_bits": (32, 28, 24),
    "outstanding": (8, 1, 2, 5, 16),
    "max_burst": (64, 1, 4, 16, 256),
    "queue_depth": (4, 2, 16),
    "int4": (False, True),
    "memory_registers": (0, 1),
    "stream_registers": (0, 1),
}
"""The other fields and what they may be, the usual value first."""
ACT_KIB = (384, 24, 17, 64, 32, 1024, 20, 96, 16)
WEIGHT_KIB = (64, 8, 9, 16, 256)


def random_config(choices: Choices) -> NpuConfig:
    """Any array to 32x32, any width, depth and length of the interfaces, scratchpads that hold everything or hardly a few rows."""
    rows, cols = choices.pick(SIDES), choices.pick(SIDES)
    act_kib, weight_kib = choices.pick(ACT_KIB), choices.pick(WEIGHT_KIB)
    fields = {name: choices.pick(values) for name, values in FIELDS.items()}
    if choices.chance(60):  # narrow accumulators refuse many convolutions
        fields["accumulator_bits"] = 32
    word = max(rows * (2 if fields["int4"] else 1), cols, fields["axi_bits"] // 8)
    step = max(1, NpuConfig.BANKS * word // KIB)  # KiB that are a whole number of words in each bank
    return NpuConfig(name="random", rows=rows, cols=cols, act_kib=-(-act_kib // step) * step, weight_kib=weight_kib, **fields)
