"""Masters' gates and both fabrics as one top with flat ports: what the scoreboard and cocotbext-axi run."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.axi import ID_BITS
from hw.npu.parts.flat_ports import axi_port
from hw.soc.axi import port_id_bits
from hw.soc.fabric_settings import MASTER_SETTINGS
from hw.soc.read_fabric import ReadFabric
from hw.soc.read_gate import ReadGate
from hw.soc.write_fabric import WriteFabric
from hw.soc.write_gate import WriteGate

WIDTHS = {"address_bits": 32, "data_bits": 64}


def streams(read, write):
    """The five channels by name."""
    return {"aw": write.aw, "w": write.w, "b": write.b, "ar": read.ar, "r": read.r}


class FabricTop(wiring.Component):
    """Every master reads and writes; both directions have the same settings.

    Parameters
    ----------
    gates : list of int
        Beats of each master's gates.
    depth : int
        Of the write fabric.

    Members
    -------
    s0_axi_*, s1_axi_*, ... : AXI4 slaves
        Each master.
    m_axi_* : AXI4 master
        The port.
    klass_0, rate_0, depth_0, ... : In
        Settings of each master.
    age_limit, urgent : In
        As in the fabrics.
    obs_read_request, obs_read_grant, obs_write_request, obs_write_grant : Out(masters)
        Behind the gates: an address is offered to the fabric; it is granted.
    """

    def __init__(self, *, gates, depth):
        self.gates, self.depth, masters = gates, depth, len(gates)
        self.slaves = [axi_port(f"s{i}_axi", In, **WIDTHS, id_bits=ID_BITS) for i in range(masters)]
        self.m_axi = axi_port("m_axi", Out, **WIDTHS, id_bits=port_id_bits(masters), qos_bits=4)
        members = {"age_limit": In(8), "urgent": In(masters), **self.m_axi.members()}
        for number, slave in enumerate(self.slaves):
            members |= {f"{name}_{number}": In(field.shape) for name, field in MASTER_SETTINGS} | slave.members()
        for way in ("read", "write"):
            members |= {f"obs_{way}_request": Out(masters), f"obs_{way}_grant": Out(masters)}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        masters = len(self.gates)
        m.submodules.read = read = ReadFabric(masters=masters, **WIDTHS)
        m.submodules.write = write = WriteFabric(masters=masters, **WIDTHS, depth=self.depth)
        for fabric in (read, write):
            m.d.comb += [fabric.urgent.eq(self.urgent), fabric.settings.age_limit.eq(self.age_limit)]
            for number in range(masters):
                m.d.comb += [fabric.settings.master[number][name].eq(getattr(self, f"{name}_{number}")) for name, _ in MASTER_SETTINGS]
        for number, depth in enumerate(self.gates):
            m.submodules[f"read_gate_{number}"] = read_gate = ReadGate(**WIDTHS, depth=depth)
            m.submodules[f"write_gate_{number}"] = write_gate = WriteGate(**WIDTHS, depth=depth)
            wiring.connect(m, read_gate.port, read.master[number])
            wiring.connect(m, write_gate.port, write.master[number])
            self.slaves[number].connect(m, self, streams(read_gate.master, write_gate.master))
        self.m_axi.connect(m, self, streams(read.port, write.port))
        for way, requests in (("read", [master.ar for master in read.master]), ("write", [master.aw for master in write.master])):
            m.d.comb += getattr(self, f"obs_{way}_request").eq(Cat(request.valid for request in requests))
            m.d.comb += getattr(self, f"obs_{way}_grant").eq(Cat(request.valid & request.ready for request in requests))
        return m
