"""A command as it goes from the dispatcher to its unit: with its place in the job."""

from amaranth.hdl import unsigned
from amaranth.lib import data

from hw.npu.interface.isa import EXECUTE_LAYOUT, TRANSFER_LAYOUT

INDEX_BITS = 32
"""Width of a command's index in its job."""

QUEUED_TRANSFER = data.StructLayout({"index": unsigned(INDEX_BITS), "command": TRANSFER_LAYOUT})
"""A command of the load or store queue, with its index."""
QUEUED_EXECUTE = data.StructLayout({"index": unsigned(INDEX_BITS), "command": EXECUTE_LAYOUT})
"""A command of the execute queue, with its index."""
