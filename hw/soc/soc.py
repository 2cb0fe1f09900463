"""The SoC: NPU, camera, display and a CPU's port on one DDR port."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hw.npu.control.register_file import RegisterFile
from hw.npu.interface.axi import ID_BITS
from hw.npu.interface.registers import MAP_BITS as NPU_MAP_BITS
from hw.npu.npu import Npu
from hw.npu.parts.flat_ports import axi_port, lite_port
from hw.soc.address_decoder import AddressDecoder
from hw.soc.axi import port_id_bits
from hw.soc.camera import Camera
from hw.soc.display import Display
from hw.soc.random_master import RANDOM_SETTINGS, RandomMaster
from hw.soc.read_fabric import ReadFabric
from hw.soc.read_gate import ReadGate
from hw.soc.registers import (
    CAMERA,
    CPU,
    DISPLAY,
    LITE_ADDRESS_BITS,
    MAP_BITS,
    MASTERS,
    NPU,
    NPU_BASE,
    READERS,
    SOC_BASE,
    WRITERS,
    soc_constants,
    soc_table,
)
from hw.soc.video_timing import VIDEO_SETTINGS
from hw.soc.write_fabric import WriteFabric
from hw.soc.write_gate import WriteGate

CHANNELS = ("aw", "w", "b", "ar", "r")


class Soc(wiring.Component):
    r"""Four masters share the DDR port by priority; one clock domain with a synchronous reset.

    ::

        s_axil --> decoder -+-> NPU --> gates ---------------+
                            |                                |
                            +-> registers  s_axi --> gates --+-> read fabric  --> m_axi AR, R
                                           camera -----------+-> write fabric --> m_axi AW, W, B
                                           display ----------+

    Camera and display take what they asked for and have what they write, so they need no gate.

    Parameters
    ----------
    config : SocConfig
    observe : bool
        Add the ports ``obs_*`` for a test bench; they drive nothing inside.
    traffic : bool
        A `RandomMaster` in the place of the port ``s_axi``, for simulations.

    Members
    -------
    irq_npu, irq_soc : Out(1)
        Interrupts, level: of the NPU; of camera and display, at a fault.
    pixels_valid, pixels, frame_start : Out(1), Out, Out(1)
        The display: a beat is shown; the beat; a picture begins.
    m_axi_awid, m_axi_awaddr, m_axi_awlen, m_axi_awsize, m_axi_awburst, m_axi_awqos, m_axi_awvalid, m_axi_awready : AW
        AXI4 master, the DDR port: write address. Bits 3..2 of every ID are the master's number.
    m_axi_wdata, m_axi_wstrb, m_axi_wlast, m_axi_wvalid, m_axi_wready : W
        Write data.
    m_axi_bid, m_axi_bresp, m_axi_bvalid, m_axi_bready : B
        Write response.
    m_axi_arid, m_axi_araddr, m_axi_arlen, m_axi_arsize, m_axi_arburst, m_axi_arqos, m_axi_arvalid, m_axi_arready : AR
        Read address.
    m_axi_rid, m_axi_rdata, m_axi_rresp, m_axi_rlast, m_axi_rvalid, m_axi_rready : R
        Read data.
    s_axil_awaddr, s_axil_awprot, s_axil_awvalid, s_axil_awready : AW
        AXI4-Lite slave, all registers: write address.
    s_axil_wdata, s_axil_wstrb, s_axil_wvalid, s_axil_wready : W
        Write data.
    s_axil_bresp, s_axil_bvalid, s_axil_bready : B
        Write response.
    s_axil_araddr, s_axil_arprot, s_axil_arvalid, s_axil_arready : AR
        Read address.
    s_axil_rdata, s_axil_rresp, s_axil_rvalid, s_axil_rready : R
        Read data.
    s_axi_awid, s_axi_awaddr, s_axi_awlen, s_axi_awsize, s_axi_awburst, s_axi_awvalid, s_axi_awready : AW
        Unless ``traffic``: AXI4 slave, the CPU's port: write address.
    s_axi_wdata, s_axi_wstrb, s_axi_wlast, s_axi_wvalid, s_axi_wready : W
        Write data.
    s_axi_bid, s_axi_bresp, s_axi_bvalid, s_axi_bready : B
        Write response.
    s_axi_arid, s_axi_araddr, s_axi_arlen, s_axi_arsize, s_axi_arburst, s_axi_arvalid, s_axi_arready : AR
        Read address.
    s_axi_rid, s_axi_rdata, s_axi_rresp, s_axi_rlast, s_axi_rvalid, s_axi_rready : R
        Read data.
    obs_write_valid, obs_write_address, obs_write_mask, obs_write_data, obs_retire, obs_retire_index, obs_given_up : Out
        Where ``observe``: as the NPU's.
    obs_ar_0, obs_ar_1, obs_ar_2, obs_ar_3 : Out(1)
        Where ``observe``: a read of the master waits at the interconnect.
    obs_ar_taken_0, obs_ar_taken_1, obs_ar_taken_2, obs_ar_taken_3 : Out(1)
        Where ``observe``: it is granted in this cycle, and on the DDR port's AR from the next on.
    obs_aw_0, obs_aw_1, obs_aw_2, obs_aw_3, obs_aw_taken_0, obs_aw_taken_1, obs_aw_taken_2, obs_aw_taken_3 : Out(1)
        Where ``observe``: the same of its writes.
    obs_camera_start, obs_overflow, obs_underrun : Out(1)
        Where ``observe``: the camera begins a picture; a beat of the camera, of the display is lost.
    """

    def __init__(self, config, *, observe=False, traffic=False):
        self.config, self.observe, self.traffic = config, observe, traffic
        self._npu = Npu(config.npu, observe=observe)
        self._widths = {"address_bits": config.npu.address_bits, "data_bits": config.npu.axi_bits}
        self.m_axi = axi_port("m_axi", Out, **self._widths, id_bits=port_id_bits(len(MASTERS)), qos_bits=4)
        """The DDR port, by its flat names."""
        self.s_axil = lite_port("s_axil", address_bits=LITE_ADDRESS_BITS)
        """The registers, by their flat names."""
        self.s_axi = axi_port("s_axi", In, **self._widths, id_bits=ID_BITS)
        """The CPU's port, by its flat names."""
        self._npu_observed = [name for name in self._npu.signature.members if name.startswith("obs_")]
        members = {"irq_npu": Out(1), "irq_soc": Out(1)}
        members |= {"pixels_valid": Out(1), "pixels": Out(config.npu.axi_bits), "frame_start": Out(1)}
        for port in (self.m_axi, self.s_axil) if traffic else (self.m_axi, self.s_axil, self.s_axi):
            members |= port.members()
        members |= {name: self._npu.signature.members[name] for name in self._npu_observed}
        if observe:
            for name in ("obs_ar", "obs_ar_taken", "obs_aw", "obs_aw_taken"):
                members |= {f"{name}_{number}": Out(1) for number in range(len(MASTERS))}
            members |= {"obs_camera_start": Out(1), "obs_overflow": Out(1), "obs_underrun": Out(1)}
        super().__init__(members)

    def elaborate(self, platform):
        m, config, widths = Module(), self.config, self._widths
        video = {**widths, "burst_beats": config.burst_beats}
        m.submodules.decoder = decoder = AddressDecoder(
            address_bits=LITE_ADDRESS_BITS, windows=((NPU_BASE, NPU_MAP_BITS), (SOC_BASE, MAP_BITS))
        )
        m.submodules.registers = registers = RegisterFile(values=soc_constants(config), table=soc_table(traffic=self.traffic))
        m.submodules.npu = npu = self._npu
        m.submodules.camera = camera = Camera(**video, fifo_beats=config.camera_fifo)
        m.submodules.display = display = Display(**video, fifo_beats=config.display_fifo)
        m.submodules.npu_read = npu_read = ReadGate(**widths, depth=config.npu_gate)
        m.submodules.npu_write = npu_write = WriteGate(**widths, depth=config.npu_gate)
        m.submodules.cpu_read = cpu_read = ReadGate(**widths, depth=config.cpu_gate)
        m.submodules.cpu_write = cpu_write = WriteGate(**widths, depth=config.cpu_gate)
        m.submodules.read = read = ReadFabric(masters=len(MASTERS), **widths)
        m.submodules.write = write = WriteFabric(masters=len(MASTERS), **widths, depth=config.write_ahead)

        connect(m, decoder.block_1, registers.bus)
        npu.s_axil.connect(m, npu, {name: getattr(decoder.block_0, name) for name in CHANNELS}, outside=True)
        npu.m_axi.connect(m, npu, _channels(npu_read.master, npu_write.master), outside=True)
        if self.traffic:
            m.submodules.random = random = RandomMaster(**widths)
            connect(m, random.read, cpu_read.master)
            connect(m, random.write, cpu_write.master)
            m.d.comb += [random.settings[name].eq(registers.settings[f"traffic_{name}"]) for name in RANDOM_SETTINGS.members]
        else:
            self.s_axi.connect(m, self, _channels(cpu_read.master, cpu_write.master))
        for number, master in ((DISPLAY, display.axi), (CPU, cpu_read.port), (NPU, npu_read.port)):
            connect(m, master, read.master[number])
        for number, master in ((CAMERA, camera.axi), (CPU, cpu_write.port), (NPU, npu_write.port)):
            connect(m, master, write.master[number])
        self._leave_out(m, read.master[CAMERA], write.master[DISPLAY])
        self.m_axi.connect(m, self, _channels(read.port, write.port))
        self.s_axil.connect(m, self, {name: getattr(decoder.bus, name) for name in CHANNELS})

        m.d.comb += [
            self.irq_npu.eq(npu.irq),
            self.irq_soc.eq(registers.irq),
            self.pixels_valid.eq(display.pixels_valid),
            self.pixels.eq(display.pixels),
            self.frame_start.eq(display.frame_start),
        ]
        self._set(m, registers, camera, display, read, write)
        if self.observe:
            self._show(m, npu, camera, display, read, write)
        return m

    def _leave_out(self, m, camera_reads, display_writes):
        """Camera and display have one direction each; the fabrics have a place for every master, so that its number is its place."""
        m.d.comb += [channel.payload.as_value().eq(0) for channel in (camera_reads.ar, display_writes.aw, display_writes.w)]
        m.d.comb += [
            camera_reads.ar.valid.eq(0),
            camera_reads.r.ready.eq(1),
            display_writes.aw.valid.eq(0),
            display_writes.w.valid.eq(0),
            display_writes.b.ready.eq(1),
        ]

    def _set(self, m, registers, camera, display, read, write):
        """What software sets, and what it is told."""
        settings, status = registers.settings, registers.status
        for name, video in (("camera", camera), ("display", display)):
            m.d.comb += [video.settings[field].eq(settings[f"{name}_{field}"]) for field in VIDEO_SETTINGS.members]
            m.d.comb += [status[f"{name}_faults"].eq(video.faults), status[f"{name}_frames"].eq(video.frames)]
        m.d.comb += [
            registers.events.irq_overflow.eq(camera.fault),
            registers.events.irq_underrun.eq(display.fault),
            write.urgent.bit_select(CAMERA, 1).eq(camera.urgent),
            read.urgent.bit_select(DISPLAY, 1).eq(display.urgent),
        ]
        for direction, fabric, masters in (("read", read, READERS), ("write", write, WRITERS)):
            m.d.comb += fabric.settings.age_limit.eq(settings.age_limit)
            for number in masters:
                name, mine = MASTERS[number], fabric.settings.master[number]
                m.d.comb += [
                    mine.klass.eq(settings[f"{name}_class"]),
                    mine.rate.eq(settings[f"{name}_{direction}_rate"]),
                    mine.depth.eq(settings[f"{name}_{direction}_depth"]),
                ]

    def _show(self, m, npu, camera, display, read, write):
        """What a test bench sees."""
        m.d.comb += [getattr(self, name).eq(getattr(npu, name)) for name in self._npu_observed]
        for number in range(len(MASTERS)):
            for name, channel in (("obs_ar", read.master[number].ar), ("obs_aw", write.master[number].aw)):
                m.d.comb += [
                    getattr(self, f"{name}_{number}").eq(channel.valid),
                    getattr(self, f"{name}_taken_{number}").eq(channel.valid & channel.ready),
                ]
        m.d.comb += [
            self.obs_camera_start.eq(camera.frame_start),
            self.obs_overflow.eq(camera.fault),
            self.obs_underrun.eq(display.fault),
        ]


def _channels(read, write):
    return {"aw": write.aw, "w": write.w, "b": write.b, "ar": read.ar, "r": read.r}
