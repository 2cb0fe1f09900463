"""Signatures of the scratchpads' ports, and the number of address bits they carry."""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, Signature

ADDRESS_BITS = 24
"""Width of a scratchpad address: bytes, as in the command layout."""


class ReadPort(Signature):
    """A read port, seen from the reader.

    Parameters
    ----------
    width : int
        Bytes of an answer.

    Members
    -------
    request : Out(stream of unsigned(24))
        Byte address; accepted when valid and ready.
    valid, data : In(1), In(array of bytes)
        The answer, a fixed latency of the memory after the request was accepted; it cannot be refused.
    """

    def __init__(self, width):
        self.width = width
        super().__init__({
            "request": Out(stream.Signature(unsigned(ADDRESS_BITS))),
            "valid": In(1),
            "data": In(data.ArrayLayout(unsigned(8), width)),
        })


def write_layout(width) -> data.StructLayout:
    """Payload of a write stream: byte address, ``width`` bytes, a mask with one bit for each byte."""
    return data.StructLayout({
        "address": unsigned(ADDRESS_BITS),
        "data": data.ArrayLayout(unsigned(8), width),
        "mask": unsigned(width),
    })


def write_port(width) -> stream.Signature:
    """A write port, seen from the writer: complete when accepted."""
    return stream.Signature(write_layout(width))
