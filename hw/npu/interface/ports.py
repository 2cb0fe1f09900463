"""Signatures of the scratchpads' ports, and the number of address bits they carry."""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, Signature

ADDRESS_BITS = 24
"""Width of a scratchpad address: bytes, as in the command layout."""


def part_layout(width) -> data.StructLayout:
    """A request for a part of an answer: the address of its byte 0, and its bytes ``first`` to ``end - 1``, at least one, that count."""
    return data.StructLayout({"address": unsigned(ADDRESS_BITS), "first": range(width + 1), "end": range(width + 1)})


class ReadPort(Signature):
    """A read port, seen from the reader.

    Parameters
    ----------
    width : int
        Bytes of an answer.
    places : BankGeometry, optional
        Requests are places among these banks, found already; they say which bytes of the answer count, so that no bank is kept busy
        for the others, which mean nothing.

    Members
    -------
    request : Out(stream of unsigned(24), or of places.layout)
        Byte address or place; accepted when valid and ready.
    valid, data : In(1), In(array of bytes)
        The answer, a fixed latency of the memory after the request was accepted; it cannot be refused. The data hold until the next.
    """

    def __init__(self, width, *, places=None):
        self.width, self.places = width, places
        layout = places.layout if places else unsigned(ADDRESS_BITS)
        super().__init__({
            "request": Out(stream.Signature(layout)),
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


def slot_layout(lanes) -> data.StructLayout:
    """What is known when a vector is issued: address, bytes that count, whether it is the last of its command."""
    return data.StructLayout({"address": unsigned(ADDRESS_BITS), "bytes": range(lanes + 1), "last": unsigned(1)})
