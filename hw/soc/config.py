"""Configuration of a SoC: its NPU's, and the sizes of what stands around it."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

from hw.npu.config import PRESETS, NpuConfig, load_config
from hw.npu.errors import WeftError
from hw.npu.interface.axi import BOUNDARY

BUS_BITS = 128
"""Width of the bus where nobody chooses another."""
DEEPEST = 4096
"""Beats of the deepest FIFO or gate."""


@dataclass(frozen=True)
class SocConfig:
    """What a designer chooses; the width of the bus and of its addresses are the NPU's ``axi_bits`` and ``address_bits``.

    Attributes
    ----------
    npu : NpuConfig
        The NPU.
    npu_gate : int
        Beats that the NPU may have asked for and not taken, and beats of its writes that are gathered: its longest burst (``max_burst``)
        to 4096. It reads at full rate where that covers the memory's latency and a burst more.
    cpu_gate : int
        The same for the CPU port, whose bursts may have 256 beats: 256 to 4096.
    camera_fifo : int
        Camera's FIFO, beats: what it can hold while the bus is not its own. ``burst_beats`` to 4096.
    display_fifo : int
        Display's FIFO, beats: what it can show while the bus is not its own. ``burst_beats`` to 4096.
    burst_beats : int
        Bursts of camera and display, beats: 1 to 256, a power of two, at most 4 KiB.
    write_ahead : int
        The next write is granted when at most so many beats are left of those before, 1 to 64: how early the memory learns of it, and how
        long one of the highest level waits behind it.

    Raises
    ------
    WeftError
        If a field is out of range; the message names the field, the value and the range.
    """

    npu: NpuConfig = dataclasses.field(default_factory=lambda: load_config("small", [f"axi_bits={BUS_BITS}"]))
    npu_gate: int = 512
    cpu_gate: int = 512
    camera_fifo: int = 512
    display_fifo: int = 1024
    burst_beats: int = 16
    write_ahead: int = 4

    def __post_init__(self):
        if not isinstance(self.npu, NpuConfig):
            raise WeftError(f"SoC configuration field npu must be a configuration of an NPU, not {self.npu!r}")
        most = min(256, BOUNDARY // self.npu.axi_bytes)
        self._between("burst_beats", 1, most)
        if self.burst_beats & self.burst_beats - 1:
            below = 1 << self.burst_beats.bit_length() - 1  # `most` is a power of two, so that the next one is legal too
            raise WeftError(
                f"SoC configuration field burst_beats = {self.burst_beats} must be a power of two",
                remedy=f"the nearest: {below} and {2 * below}",
            )
        self._between("npu_gate", self.npu.max_burst, DEEPEST)
        self._between("cpu_gate", 256, DEEPEST)
        self._between("camera_fifo", self.burst_beats, DEEPEST)
        self._between("display_fifo", self.burst_beats, DEEPEST)
        self._between("write_ahead", 1, 64)

    def _between(self, field, low, high):
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, int):
            raise WeftError(f"SoC configuration field {field} must be a whole number, not {value!r}")
        if not low <= value <= high:
            raise WeftError(f"SoC configuration field {field} = {value} must be from {low} to {high}")

    @property
    def name(self) -> str:
        """The NPU's name, and what differs from the defaults."""
        changed = [field.name for field in SIZES if getattr(self, field.name) != field.default]
        return "+".join([self.npu.name, *(f"{name}={getattr(self, name)}" for name in changed)])


SIZES = tuple(field for field in dataclasses.fields(SocConfig) if field.name != "npu")
"""The fields that are the SoC's own."""


def load_soc_config(source, overrides=(), *, bus_bits=BUS_BITS) -> SocConfig:
    """The SoC around the NPU of a preset or a TOML file; its bus has ``bus_bits`` bits where neither file nor override says another width.

    Parameters
    ----------
    source : str or Path
        As `hw.npu.config.load_config` takes it.
    overrides : iterable of str
        ``FIELD=VALUE`` each, of fields of the SoC or of its NPU.
    bus_bits : int

    Raises
    ------
    WeftError
        If the source, a field or a value is wrong.
    """
    own = {field.name for field in SIZES}
    sizes = dict(split for text in overrides if (split := _split(text))[0] in own)
    of_npu = [text for text in overrides if _split(text)[0] not in own]
    load_config(source, of_npu)  # first, so that mistakes are named as they are for an NPU alone
    chosen = str(source) not in PRESETS and "axi_bits" in tomllib.loads(Path(source).read_text(encoding="utf-8"))
    width = () if chosen else (f"axi_bits={bus_bits}",)
    npu = load_config(source, [*width, *of_npu])
    return SocConfig(npu=npu, **{field: _number(field, value) for field, value in sizes.items()})


def _split(text):
    field, _, value = text.partition("=")
    return field.strip(), value.strip()


def _number(field, value):
    try:
        return int(value, 0)
    except ValueError:
        raise WeftError(f"--set {field}={value}: {value!r} is not a whole number") from None
