"""The top: registers, job control and core behind the ports of AXI4 and AXI4-Lite."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.npu.control.control import JobControl
from hw.npu.control.register_file import RegisterFile
from hw.npu.core import NpuCore
from hw.npu.interface.axi import ID_BITS
from hw.npu.interface.registers import MAP_BITS, constants
from hw.npu.output.output_stage import OutputStage
from hw.npu.parts.delay import delayed
from hw.npu.parts.flat_ports import axi_port, lite_port


class Npu(wiring.Component):
    """The NPU with the port names of the AXI specification, in one clock domain with a synchronous reset.

    Parameters
    ----------
    config : NpuConfig
    observe : bool
        Add the ports ``obs_*``, on which a test bench sees what the output stage writes; they drive nothing inside.

    Members
    -------
    irq : Out(1)
        Interrupt, level.
    m_axi_awid, m_axi_awaddr, m_axi_awlen, m_axi_awsize, m_axi_awburst, m_axi_awvalid, m_axi_awready : AW
        AXI4 master: write address.
    m_axi_wdata, m_axi_wstrb, m_axi_wlast, m_axi_wvalid, m_axi_wready : W
        Write data.
    m_axi_bid, m_axi_bresp, m_axi_bvalid, m_axi_bready : B
        Write response.
    m_axi_arid, m_axi_araddr, m_axi_arlen, m_axi_arsize, m_axi_arburst, m_axi_arvalid, m_axi_arready : AR
        Read address.
    m_axi_rid, m_axi_rdata, m_axi_rresp, m_axi_rlast, m_axi_rvalid, m_axi_rready : R
        Read data.
    s_axil_awaddr, s_axil_awprot, s_axil_awvalid, s_axil_awready : AW
        AXI4-Lite slave: write address.
    s_axil_wdata, s_axil_wstrb, s_axil_wvalid, s_axil_wready : W
        Write data.
    s_axil_bresp, s_axil_bvalid, s_axil_bready : B
        Write response.
    s_axil_araddr, s_axil_arprot, s_axil_arvalid, s_axil_arready : AR
        Read address.
    s_axil_rdata, s_axil_rresp, s_axil_rvalid, s_axil_rready : R
        Read data.
    obs_write_valid, obs_write_address, obs_write_mask, obs_write_data : Out
        Where ``observe``: a write of the output stage, as many cycles after the scratchpad accepted it as a command takes to retire.
    obs_retire, obs_retire_index : Out
        Where ``observe``: an execute command is complete; after or with its last write on ``obs_write``.
    obs_given_up : Out(1)
        Where ``observe``: a job is given up, and its parts are halted and reset one after the other, so that what they promise each other
        does not hold.
    """

    def __init__(self, config, *, observe=False):
        self.config, self.observe = config, observe
        self.m_axi = axi_port("m_axi", Out, address_bits=config.address_bits, data_bits=config.axi_bits, id_bits=ID_BITS)
        """The bus, by its flat names."""
        self.s_axil = lite_port("s_axil", address_bits=MAP_BITS)
        """The registers, by their flat names."""
        members = {"irq": Out(1), **self.m_axi.members(), **self.s_axil.members()}
        if observe:
            members |= {
                "obs_write_valid": Out(1),
                "obs_write_address": Out(24),
                "obs_write_mask": Out(config.lanes),
                "obs_write_data": Out(8 * config.lanes),
                "obs_retire": Out(1),
                "obs_retire_index": Out(32),
                "obs_given_up": Out(1),
            }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.registers = registers = RegisterFile(values=constants(self.config))
        m.submodules.control = control = JobControl(units=NpuCore.UNITS)
        m.submodules.core = core = NpuCore(self.config)
        m.d.comb += [
            core.reset.eq(control.core_reset),
            control.pulses.eq(registers.pulses),
            control.timeout.eq(registers.settings.timeout),
            registers.status.eq(control.status),
            registers.events.eq(control.events),
            self.irq.eq(registers.irq),
            core.settings.eq(registers.settings),
            core.begin.eq(control.begin),
            core.cycle.eq(control.cycle),
            core.halt.eq(control.halt),
            control.complete.eq(core.complete),
            control.progress.eq(core.progress),
            control.outstanding.eq(core.outstanding),
            control.handshake.eq(core.handshake),
            control.oldest.eq(core.oldest),
        ]
        for mine, theirs in zip(control.errors, core.errors, strict=True):
            m.d.comb += mine.eq(theirs)
        buses = {"aw": core.write.aw, "w": core.write.w, "b": core.write.b, "ar": core.read.ar, "r": core.read.r}
        self.m_axi.connect(m, self, buses)
        self.s_axil.connect(m, self, {name: getattr(registers.bus, name) for name in ("aw", "w", "b", "ar", "r")})
        if self.observe:
            self._show(m, core)
            self._show_given_up(m, control)
        return m

    def _show(self, m, core):
        """Writes late: then the last one of a command stands beside its retirement, and the next one's come after it."""
        late = OutputStage.RETIRE
        m.d.comb += [
            self.obs_write_valid.eq(delayed(m, core.wrote, late, name="wrote", reset_less=False)),
            self.obs_write_address.eq(delayed(m, core.written.address, late, name="written_address")),
            self.obs_write_mask.eq(delayed(m, core.written.mask, late, name="written_mask")),
            self.obs_write_data.eq(delayed(m, core.written.data.as_value(), late, name="written_data")),
            self.obs_retire.eq(core.retired),
            self.obs_retire_index.eq(core.retired_index),
        ]

    def _show_given_up(self, m, control):
        """From the first cycle of draining until the last part has been reset."""
        resetting = Signal(range(control.resets + 1))
        with m.If(control.status.draining):
            m.d.sync += resetting.eq(control.resets)
        with m.Elif(resetting != 0):
            m.d.sync += resetting.eq(resetting - 1)
        m.d.comb += self.obs_given_up.eq(control.status.draining | (resetting != 0))
