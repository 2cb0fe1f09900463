"""An example of every component of hw/: constructor arguments, small. `tests/test_house.py` fails where one is missing.

A row is the keyword arguments, or a tuple of positional arguments and the keywords.
"""

from amaranth.hdl import unsigned

from hw.npu.config import PRESETS
from hw.npu.isa import TRANSFER_LAYOUT

CONFIG = PRESETS["nano"]

EXAMPLES = {
    "hw.npu.accumulators.Accumulators": {"cols": 4, "depth": 16, "sum_bits": 20, "accumulator_bits": 32},
    "hw.npu.array.SystolicArray": {"rows": 4, "cols": 4, "broadcast": 4},
    "hw.npu.bank.Bank": {"width": 8, "depth": 16},
    "hw.npu.bank_arbiter.BankArbiter": {"ports": 3, "banks": 8},
    "hw.npu.fifo.StreamFifo": ((unsigned(8),), {"depth": 4}),
    "hw.npu.pe_row.PeRow": {"cols": 4, "psum_bits": 20},
    "hw.npu.queues.CommandQueue": ((TRANSFER_LAYOUT,), {"depth": 4}),
    "hw.npu.scratchpad.ActivationScratchpad": {"banks": 8, "word": 8, "size": 16384, "feed_bytes": 8, "lanes": 8, "dma_bytes": 8},
    "hw.npu.tokens.TokenBoard": {},
    "hw.npu.wave_generator.WaveGenerator": {"rows": 4, "cols": 4},
    "hw.npu.weight_scratchpad.WeightScratchpad": {"banks": 4, "size": 8192, "cols": 8, "dma_bytes": 8},
}


def make(component, example):
    """The component made with its row of the table."""
    positional, keywords = example if isinstance(example, tuple) else ((), example)
    return component(*positional, **keywords)
