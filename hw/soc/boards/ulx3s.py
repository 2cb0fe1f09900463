"""ULX3S: a Lattice ECP5 board with 32 MB of SDRAM, a UART and buttons, as amaranth-boards knows it."""

from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib.cdc import ResetSynchronizer
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from hw.npu.errors import WeftError
from hw.soc.boards.serial_shell import SerialShell

CRYSTAL_MHZ = 25
REFERENCE_DIVIDER = 5
"""The PLL compares at 5 MHz, so its clocks are multiples of that."""
STEP_MHZ = CRYSTAL_MHZ // REFERENCE_DIVIDER
SLOWEST_MHZ, FASTEST_MHZ = 10, 400
"""Clocks that the PLL can make (ECP5 data sheet FPGA-DS-02012, table "sysCLOCK PLL Timing")."""
SLOWEST_VCO, FASTEST_VCO = 400, 800
"""The oscillator inside it, MHz (the same table)."""


class Ulx3sTop(Elaboratable):
    """The shell on the board: UART pins shift, a button exchanges, a PLL makes the clock.

    Parameters
    ----------
    signature : Signature
    module : str
        The design, as `SerialShell` takes it.
    clock_mhz : int
        Its clock; a multiple of 5 from 10 to 400.

    Raises
    ------
    WeftError
        If the PLL cannot make the clock.
    """

    def __init__(self, signature, *, module, clock_mhz):
        if clock_mhz % STEP_MHZ or not SLOWEST_MHZ <= clock_mhz <= FASTEST_MHZ:
            raise WeftError(
                f"clock {clock_mhz} MHz: the board's PLL makes multiples of {STEP_MHZ} from {SLOWEST_MHZ} to {FASTEST_MHZ} MHz",
                remedy="choose one of these",
            )
        self.signature, self.module, self.clock_mhz = signature, module, clock_mhz

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.shell = shell = SerialShell(self.signature, module=self.module)
        uart, button = platform.request("uart", 0), platform.request("button_fire", 0)
        m.d.comb += [shell.shift_in.eq(uart.rx.i), uart.tx.o.eq(shell.shift_out), shell.exchange.eq(button.i)]
        self._clock(m, platform.request("clk25", 0).i, platform.request("button_pwr", 0).i)
        return m

    def _clock(self, m, crystal, press):
        """The clock from the crystal, and the reset until it stands and while the power button is pressed."""
        divider = -(-SLOWEST_VCO // self.clock_mhz)
        locked = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_CLKI_DIV=REFERENCE_DIVIDER,
            p_CLKFB_DIV=self.clock_mhz // STEP_MHZ,
            p_CLKOP_DIV=divider,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=divider - 1,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            a_FREQUENCY_PIN_CLKI=str(CRYSTAL_MHZ),
            a_FREQUENCY_PIN_CLKOP=str(self.clock_mhz),
            i_CLKI=crystal,
            i_CLKFB=ClockSignal(),
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(0),
            i_PHASESTEP=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=ClockSignal(),
            o_LOCK=locked,
        )
        m.submodules.reset = ResetSynchronizer(~locked | press)


class Ulx3s85F(ULX3S_85F_Platform):
    """The board with the LFE5U-85F: 83 640 LUTs, 208 block RAMs of 18 Kbit (468 KiB), 156 multipliers of 18x18."""

    default_clk = None  # the top makes its own
