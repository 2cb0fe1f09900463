"""A board build's top on an ECP5: the design behind its shell, a PLL that makes its clock, and the board's pins."""

from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib.cdc import ResetSynchronizer

from hw.npu.errors import WeftError
from hw.soc.boards.serial_shell import SerialShell

STEP_MHZ = 5
"""The PLL compares at this frequency, so its clocks are multiples of it; a crystal must be one as well."""
SLOWEST_MHZ, FASTEST_MHZ = 10, 400
"""Clocks that the PLL can make (ECP5 data sheet FPGA-DS-02012, table "sysCLOCK PLL Timing")."""
SLOWEST_VCO, FASTEST_VCO = 400, 800
"""The oscillator inside it, MHz (the same table)."""


class Ecp5Top(Elaboratable):
    """The shell on a board: UART pins shift, a pin exchanges, a PLL makes the clock.

    Parameters
    ----------
    signature : Signature
    module : str
        The design, as `SerialShell` takes it.
    clock_mhz : int
        Its clock; a multiple of 5 from 10 to 400.
    crystal : str
        The board's resource of a clock.
    crystal_mhz : int
        Its frequency, a multiple of 5.
    reset, exchange : str
        The resources of a button that resets, and of the pin that exchanges.

    Raises
    ------
    WeftError
        If the PLL cannot make the clock.
    """

    def __init__(self, signature, *, module, clock_mhz, crystal, crystal_mhz, reset, exchange):
        if clock_mhz % STEP_MHZ or not SLOWEST_MHZ <= clock_mhz <= FASTEST_MHZ:
            raise WeftError(
                f"clock {clock_mhz} MHz: the board's PLL makes multiples of {STEP_MHZ} from {SLOWEST_MHZ} to {FASTEST_MHZ} MHz",
                remedy="choose one of these",
            )
        self.signature, self.module, self.clock_mhz = signature, module, clock_mhz
        self.crystal, self.crystal_mhz, self.reset, self.exchange = crystal, crystal_mhz, reset, exchange

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.shell = shell = SerialShell(self.signature, module=self.module)
        uart, exchange = platform.request("uart", 0), platform.request(self.exchange, 0)
        m.d.comb += [shell.shift_in.eq(uart.rx.i), uart.tx.o.eq(shell.shift_out), shell.exchange.eq(exchange.i)]
        self._clock(m, platform.request(self.crystal, 0).i, platform.request(self.reset, 0).i)
        return m

    def _clock(self, m, crystal, press):
        """The clock from the crystal, and the reset until it stands and while the button is pressed."""
        divider = -(-SLOWEST_VCO // self.clock_mhz)
        locked = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_CLKI_DIV=self.crystal_mhz // STEP_MHZ,
            p_CLKFB_DIV=self.clock_mhz // STEP_MHZ,
            p_CLKOP_DIV=divider,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=divider - 1,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            a_FREQUENCY_PIN_CLKI=str(self.crystal_mhz),
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
