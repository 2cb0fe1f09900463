"""What a unit tells the job control: the error that stops a job."""

from amaranth.hdl import unsigned
from amaranth.lib import data

from hw.npu.interface.isa import Error

ERROR_LAYOUT = data.StructLayout({"valid": unsigned(1), "code": unsigned(max(Error).bit_length()), "index": unsigned(32)})
"""An error: ``valid`` stays up, with the first error of the unit, until the unit is reset; ``index`` is the command's."""


def latch(m, error, condition, code, index):
    """Adds to ``m``: the first cycle with ``condition`` sets the error, and later ones change nothing."""
    with m.If(condition & ~error.valid):
        m.d.sync += [error.valid.eq(1), error.code.eq(code), error.index.eq(index)]
