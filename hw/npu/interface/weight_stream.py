"""What the weight loader hands to the output stage."""

from amaranth.hdl import unsigned
from amaranth.lib import data


def parameter_layout(cols):
    """Payload of the rows that go to the output stage."""
    return data.StructLayout({"table": 1, "row": unsigned(8), "last": 1, "data": data.ArrayLayout(unsigned(8), cols)})
