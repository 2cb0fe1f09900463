"""AXI ports of a top under the names of the specification, a signal a field, as other tools expect them."""

from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi_lite import LITE_BITS


class FlatPort:
    """One AXI port of a top: members ``{prefix}_{channel}{field}``, ``...valid`` and ``...ready``.

    Parameters
    ----------
    prefix : str
        ``m_axi`` for example.
    channels : dict of str to (Flow, dict of str to int)
        Channels by name, in the order of the ports: whether the top drives it (`Out`) or takes it (`In`), and the widths of its fields.
    """

    def __init__(self, prefix, channels):
        self.prefix, self.channels = prefix, channels

    def members(self) -> dict:
        """Members of the top's signature."""
        members = {}
        for channel, (flow, fields) in self.channels.items():
            name = f"{self.prefix}_{channel}"
            members |= {f"{name}{field}": flow(width) for field, width in fields.items()}
            members |= {f"{name}valid": flow(1), f"{name}ready": _back(flow)(1)}
        return members

    def connect(self, m, top, streams, *, outside=False):
        """Joins the members of a top with streams.

        Parameters
        ----------
        m : Module
            Where the joints are written.
        top : Component
            Whose members they are.
        streams : dict of str to stream interface
            One for each channel; its payload has the channel's fields.
        outside : bool
            The joints are written where the top is a part of something, not in the top itself.
        """
        for channel, (flow, fields) in self.channels.items():
            stream, name = streams[channel], f"{self.prefix}_{channel}"
            pairs = [(getattr(top, f"{name}{field}"), stream.payload[field]) for field in fields]
            pairs.append((getattr(top, f"{name}valid"), stream.valid))
            to_port = (flow is Out) != outside
            m.d.comb += [port.eq(inner) if to_port else inner.eq(port) for port, inner in pairs]
            ready = getattr(top, f"{name}ready")
            m.d.comb += stream.ready.eq(ready) if to_port else ready.eq(stream.ready)


def axi_port(prefix, flow, *, address_bits, data_bits, id_bits, qos_bits=0) -> FlatPort:
    """AXI4 of a master (`flow` Out) or a slave (In); with `qos_bits` AW and AR have a field ``qos``."""
    address = {"id": id_bits, "addr": address_bits, "len": 8, "size": 3, "burst": 2} | ({"qos": qos_bits} if qos_bits else {})
    return FlatPort(
        prefix,
        {
            "aw": (flow, address),
            "w": (flow, {"data": data_bits, "strb": data_bits // 8, "last": 1}),
            "b": (_back(flow), {"id": id_bits, "resp": 2}),
            "ar": (flow, address),
            "r": (_back(flow), {"id": id_bits, "data": data_bits, "resp": 2, "last": 1}),
        },
    )


def lite_port(prefix, *, address_bits) -> FlatPort:
    """AXI4-Lite of a slave."""
    return FlatPort(
        prefix,
        {
            "aw": (In, {"addr": address_bits, "prot": 3}),
            "w": (In, {"data": LITE_BITS, "strb": LITE_BITS // 8}),
            "b": (Out, {"resp": 2}),
            "ar": (In, {"addr": address_bits, "prot": 3}),
            "r": (Out, {"data": LITE_BITS, "resp": 2}),
        },
    )


def _back(flow):
    return In if flow is Out else Out
