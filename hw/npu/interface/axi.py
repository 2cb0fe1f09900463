"""AXI4 and AXI4-Lite channels as streams (Arm IHI 0022, AMBA AXI protocol specification)."""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, Signature

ID_BITS = 2
"""Width of a transaction's ID."""
BURST_INCR = 1
"""AxBURST of an incrementing burst, the only kind the NPU makes."""
RESP_OKAY = 0
"""RRESP, BRESP of a transaction without error."""
BOUNDARY = 4096
"""No burst crosses a multiple of this many bytes (specification, A3.4.1)."""


def address_layout(address_bits) -> data.StructLayout:
    """AW and AR: the address of a burst of ``len + 1`` beats of ``1 << size`` bytes."""
    return data.StructLayout({
        "id": unsigned(ID_BITS),
        "addr": unsigned(address_bits),
        "len": unsigned(8),
        "size": unsigned(3),
        "burst": unsigned(2),
    })


def read_layout(data_bits) -> data.StructLayout:
    """R: one beat of read data."""
    return data.StructLayout({"id": unsigned(ID_BITS), "data": unsigned(data_bits), "resp": unsigned(2), "last": unsigned(1)})


def write_layout(data_bits) -> data.StructLayout:
    """W: one beat of write data."""
    return data.StructLayout({"data": unsigned(data_bits), "strb": unsigned(data_bits // 8), "last": unsigned(1)})


def response_layout() -> data.StructLayout:
    """B: the answer to a write burst."""
    return data.StructLayout({"id": unsigned(ID_BITS), "resp": unsigned(2)})


class ReadChannels(Signature):
    """AR and R, seen from the master."""

    def __init__(self, *, address_bits, data_bits):
        super().__init__({
            "ar": Out(stream.Signature(address_layout(address_bits))),
            "r": In(stream.Signature(read_layout(data_bits))),
        })


class WriteChannels(Signature):
    """AW, W and B, seen from the master."""

    def __init__(self, *, address_bits, data_bits):
        super().__init__({
            "aw": Out(stream.Signature(address_layout(address_bits))),
            "w": Out(stream.Signature(write_layout(data_bits))),
            "b": In(stream.Signature(response_layout())),
        })


def lane_bits(axi_bytes) -> int:
    """Width of a lane's number."""
    return (axi_bytes - 1).bit_length()


def offer_burst(m, channel, issue, *, address, beats_behind, axi_bytes):
    """Adds to ``m``: a burst that is issued stands in the register of its address channel until it is taken.

    Parameters
    ----------
    m : Module
    channel : stream of address_layout
        AR or AW, an output of the component.
    issue : Value
        A burst goes into the register in this cycle; only while the register is empty or its burst is taken.
    address, beats_behind : Value
        Where it begins, and how many beats it has behind its first.
    axi_bytes : int
        Bytes of a beat.
    """
    m.d.comb += [channel.payload.size.eq(lane_bits(axi_bytes)), channel.payload.burst.eq(BURST_INCR)]
    with m.If(issue):
        m.d.sync += [channel.valid.eq(1), channel.payload.addr.eq(address), channel.payload.len.eq(beats_behind)]
    with m.Elif(channel.ready):
        m.d.sync += channel.valid.eq(0)
