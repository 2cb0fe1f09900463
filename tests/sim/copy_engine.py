"""A small stand-in for the NPU with the same ports: copies one burst from MODEL_BASE to ARENA_BASE. For tests of the bench."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.npu.interface.registers import ADDRESS_OF
from hw.npu.parts.credit_counter import CreditCounter

DATA_BITS = 64
FAULTS = (None, "wlast", "valid", "payload", "dead", "promise")
"""WLAST one beat early, WVALID falls before WREADY, WDATA changes before WREADY, the register port stops answering, a promise is broken."""
ADDRESS_CHANNEL = {"id": 2, "addr": 32, "len": 8, "size": 3, "burst": 2}


class CopyEngine(wiring.Component):
    """Copies COMMANDS_BYTES beats, then interrupts; ERROR_CODE shows the worst response.

    The register TIMEOUT, which it does not need, chooses how it misbehaves: an index into `FAULTS`.

    Members
    -------
    all : as of the NPU
    """

    def __init__(self):
        ports = {
            "irq": Out(1),
            "obs_write_valid": Out(1),
            "obs_write_address": Out(24),
            "obs_write_mask": Out(8),
            "obs_write_data": Out(64),
            "obs_retire": Out(1),
            "obs_retire_index": Out(32),
        }
        for channel in ("aw", "ar"):
            ports |= {f"m_axi_{channel}{name}": Out(width) for name, width in ADDRESS_CHANNEL.items()}
            ports |= {f"m_axi_{channel}valid": Out(1), f"m_axi_{channel}ready": In(1)}
        ports |= {"m_axi_wdata": Out(64), "m_axi_wstrb": Out(8), "m_axi_wlast": Out(1), "m_axi_wvalid": Out(1), "m_axi_wready": In(1)}
        ports |= {"m_axi_bid": In(2), "m_axi_bresp": In(2), "m_axi_bvalid": In(1), "m_axi_bready": Out(1)}
        ports |= {
            "m_axi_rid": In(2),
            "m_axi_rdata": In(64),
            "m_axi_rresp": In(2),
            "m_axi_rlast": In(1),
            "m_axi_rvalid": In(1),
            "m_axi_rready": Out(1),
        }
        for channel, payload in (("aw", {"awaddr": In(8)}), ("w", {"wdata": In(32), "wstrb": In(4)}), ("ar", {"araddr": In(8)})):
            ports |= {f"s_axil_{name}": member for name, member in payload.items()}
            ports |= {f"s_axil_{channel}valid": In(1), f"s_axil_{channel}ready": Out(1)}
        for channel, payload in (("b", {"bresp": Out(2)}), ("r", {"rdata": Out(32), "rresp": Out(2)})):
            ports |= {f"s_axil_{name}": member for name, member in payload.items()}
            ports |= {f"s_axil_{channel}valid": Out(1), f"s_axil_{channel}ready": In(1)}
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        count = Signal(8)
        source = Signal(32)
        target = Signal(32)
        start = Signal()
        clear = Signal()
        error = Signal(8)
        fault = Signal(3)
        dead = fault == FAULTS.index("dead")
        self._registers(
            m,
            {"COMMANDS_BYTES": count, "MODEL_BASE_LO": source, "ARENA_BASE_LO": target, "TIMEOUT": fault},
            {"CONTROL": start, "IRQ_STATUS": clear},
            {"ERROR_CODE": error},
            dead,
        )

        m.submodules.buffer = buffer = memory.Memory(shape=unsigned(DATA_BITS), depth=256, init=[])
        write, read = buffer.write_port(), buffer.read_port(domain="comb")
        beat = Signal(9)
        failed = Signal(2)
        with m.If(clear):
            m.d.sync += self.irq.eq(0)
        m.d.comb += [
            self.m_axi_araddr.eq(source),
            self.m_axi_arlen.eq(count - 1),
            self.m_axi_arsize.eq(3),
            self.m_axi_arburst.eq(1),
            self.m_axi_awaddr.eq(target),
            self.m_axi_awlen.eq(count - 1),
            self.m_axi_awsize.eq(3),
            self.m_axi_awburst.eq(1),
            write.addr.eq(beat),
            write.data.eq(self.m_axi_rdata),
            read.addr.eq(beat),
            self.m_axi_wdata.eq(read.data),
            self.m_axi_wstrb.eq(0xFF),
            self.m_axi_wlast.eq(beat == count - 1),
            self.obs_write_address.eq(beat << 3),
            self.obs_write_data.eq(read.data),
            self.obs_write_mask.eq(0xFF),
            self.m_axi_awid.eq(0),
            self.m_axi_arid.eq(0),
            self.s_axil_bresp.eq(0),
            self.s_axil_rresp.eq(0),
            self.obs_retire_index.eq(0),
        ]
        stutter = Signal(4)
        m.d.sync += stutter.eq(stutter + 1)
        with m.If(fault == FAULTS.index("wlast")):
            m.d.comb += self.m_axi_wlast.eq(beat == count - 2)
        with m.If(fault == FAULTS.index("payload")):
            m.d.comb += self.m_axi_wdata.eq(read.data + stutter)
        m.submodules.copies = copies = CreditCounter(1)  # those that run
        with m.FSM():
            with m.State("IDLE"), m.If(start):
                m.d.comb += [copies.up.eq(1), copies.down.eq(fault == FAULTS.index("promise"))]
                m.d.sync += [beat.eq(0), failed.eq(0)]
                m.next = "AR"
            with m.State("AR"):
                m.d.comb += self.m_axi_arvalid.eq(1)
                with m.If(self.m_axi_arready):
                    m.next = "R"
            with m.State("R"):
                m.d.comb += self.m_axi_rready.eq(1)
                m.d.comb += write.en.eq(self.m_axi_rvalid)
                with m.If(self.m_axi_rvalid):
                    m.d.sync += [beat.eq(beat + 1), failed.eq(failed | self.m_axi_rresp)]
                    with m.If(self.m_axi_rlast):
                        m.d.sync += beat.eq(0)
                        m.next = "AW"
            with m.State("AW"):
                m.d.comb += self.m_axi_awvalid.eq(1)
                with m.If(self.m_axi_awready):
                    m.next = "W"
            with m.State("W"):
                m.d.comb += self.m_axi_wvalid.eq(stutter[0] | (fault != FAULTS.index("valid")))
                with m.If(self.m_axi_wvalid & self.m_axi_wready):
                    m.d.comb += self.obs_write_valid.eq(1)
                    m.d.sync += beat.eq(beat + 1)
                    with m.If(beat == count - 1):
                        m.next = "B"
            with m.State("B"):
                m.d.comb += self.m_axi_bready.eq(1)
                with m.If(self.m_axi_bvalid):
                    m.d.comb += [self.obs_retire.eq(1), copies.down.eq(1)]
                    m.d.sync += [error.eq(failed | self.m_axi_bresp), self.irq.eq(1)]
                    m.next = "IDLE"
        return m

    def _registers(self, m, settings, pulses, values, dead):
        """AXI4-Lite: one access at a time, address and data of a write together."""
        both = self.s_axil_awvalid & self.s_axil_wvalid & ~self.s_axil_bvalid & ~dead
        m.d.comb += [self.s_axil_awready.eq(both), self.s_axil_wready.eq(both), self.s_axil_arready.eq(~self.s_axil_rvalid)]
        for name, pulse in pulses.items():
            m.d.comb += pulse.eq(both & (self.s_axil_awaddr == ADDRESS_OF[name]))
        with m.If(both):
            m.d.sync += self.s_axil_bvalid.eq(1)
            with m.Switch(self.s_axil_awaddr):
                for name, setting in settings.items():
                    with m.Case(ADDRESS_OF[name]):
                        m.d.sync += setting.eq(self.s_axil_wdata)
        with m.Elif(self.s_axil_bready):
            m.d.sync += self.s_axil_bvalid.eq(0)
        with m.If(self.s_axil_arvalid & self.s_axil_arready):
            m.d.sync += [self.s_axil_rvalid.eq(1), self.s_axil_rdata.eq(0)]
            with m.Switch(self.s_axil_araddr):
                for name, value in values.items():
                    with m.Case(ADDRESS_OF[name]):
                        m.d.sync += self.s_axil_rdata.eq(value)
        with m.Elif(self.s_axil_rready):
            m.d.sync += self.s_axil_rvalid.eq(0)
