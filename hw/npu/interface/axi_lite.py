"""AXI4-Lite channels as streams (Arm IHI 0022, chapter B1)."""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, Signature

LITE_BITS = 32
"""Width of data: the registers are 32 bits wide."""
RESP_OKAY, RESP_SLVERR = 0, 2
"""Answers of a slave."""


def lite_address_layout(address_bits) -> data.StructLayout:
    """AW and AR."""
    return data.StructLayout({"addr": unsigned(address_bits), "prot": unsigned(3)})


LITE_WRITE = data.StructLayout({"data": unsigned(LITE_BITS), "strb": unsigned(LITE_BITS // 8)})
"""W."""
LITE_RESPONSE = data.StructLayout({"resp": unsigned(2)})
"""B."""
LITE_READ = data.StructLayout({"data": unsigned(LITE_BITS), "resp": unsigned(2)})
"""R."""


class AxiLite(Signature):
    """All five channels, seen from the master.

    Parameters
    ----------
    address_bits : int
        Width of a byte address.

    Members
    -------
    aw, w, b : Out(stream), Out(stream), In(stream)
        Write address, data, response.
    ar, r : Out(stream), In(stream)
        Read address, data.
    """

    def __init__(self, *, address_bits):
        super().__init__({
            "aw": Out(stream.Signature(lite_address_layout(address_bits))),
            "w": Out(stream.Signature(LITE_WRITE)),
            "b": In(stream.Signature(LITE_RESPONSE)),
            "ar": Out(stream.Signature(lite_address_layout(address_bits))),
            "r": In(stream.Signature(LITE_READ)),
        })
