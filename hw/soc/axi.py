"""The DDR port of the SoC: AXI4 as in `hw.npu.interface.axi` (Arm IHI 0022), with wider IDs and a quality of service."""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, Signature
from amaranth.utils import ceil_log2

from hw.npu.interface.axi import ID_BITS, address_layout, read_layout, response_layout, write_layout

QOS_HIGHEST = 15
"""AxQOS of a burst of level 0; each level behind it is one less (specification, A8.1: a higher value goes first)."""


def port_id_bits(masters) -> int:
    """Width of an ID behind the interconnect: a master's own `ID_BITS`, and above them its number."""
    return ID_BITS + ceil_log2(masters)


def port_id_layout(masters) -> data.StructLayout:
    """ID behind the interconnect: bursts of one master and one ``id`` stay in order, others may pass each other."""
    return data.StructLayout({"id": unsigned(ID_BITS), "master": range(masters)})


def port_address_layout(address_bits, masters) -> data.StructLayout:
    """AW and AR of the port: `address_layout` with the wide ``id``, and ``qos``: `QOS_HIGHEST` less the level of the grant."""
    return data.StructLayout(address_layout(address_bits).members | {"id": port_id_layout(masters), "qos": unsigned(4)})


def port_read_layout(data_bits, masters) -> data.StructLayout:
    """R of the port: `read_layout` with the wide ``id``."""
    return data.StructLayout(read_layout(data_bits).members | {"id": port_id_layout(masters)})


def port_response_layout(masters) -> data.StructLayout:
    """B of the port: `response_layout` with the wide ``id``."""
    return data.StructLayout(response_layout().members | {"id": port_id_layout(masters)})


class PortRead(Signature):
    """AR and R of the DDR port, seen from the interconnect: it is the master here."""

    def __init__(self, *, address_bits, data_bits, masters):
        super().__init__({
            "ar": Out(stream.Signature(port_address_layout(address_bits, masters))),
            "r": In(stream.Signature(port_read_layout(data_bits, masters))),
        })


class PortWrite(Signature):
    """AW, W and B of the DDR port, seen from the interconnect: it is the master here."""

    def __init__(self, *, address_bits, data_bits, masters):
        super().__init__({
            "aw": Out(stream.Signature(port_address_layout(address_bits, masters))),
            "w": Out(stream.Signature(write_layout(data_bits))),
            "b": In(stream.Signature(port_response_layout(masters))),
        })
