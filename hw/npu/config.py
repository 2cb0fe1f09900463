"""Configuration of one NPU: the numbers a designer chooses, checked when they are made."""

import dataclasses
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from hw.npu.errors import WeftError

KIB = 1024
POWERS_4_TO_64 = (4, 8, 16, 32, 64)
MAX_ACT_KIB = 8192
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=,-]{0,219}")
"""A configuration's name: it stands in reports, in file names and in a comment of the Verilog."""
LONGEST_STEM = 40
"""Characters of a TOML file's name that become the configuration's."""


def tile_depth(rows: int, int4: bool) -> int:
    """Bytes of the reduction that an array of R rows takes in a cycle: R, with 4-bit weights 2R."""
    return 2 * rows if int4 else rows


@dataclass(frozen=True)
class NpuConfig:
    """What a designer chooses; the derived numbers are properties.

    Attributes
    ----------
    name : str
        Shown in reports and in the header of the Verilog: letters, digits and ``._+=,-``.
    rows : int
        Rows of the array, R: the reduction. 4 to 64, a power of two.
    cols : int
        Columns of the array, C: output channels. 4 to 64, a power of two.
    act_kib : int
        Activation scratchpad, KiB. 16 to 8192, a whole number of words in each of its banks.
    weight_kib : int
        Weight scratchpad (weights, channel parameters, tables), KiB. 8 to 4096.
    axi_bits : int
        Data width of the AXI4 port: 32, 64, 128 or 256.
    lane_divisor : int
        Output lanes are ``cols / lane_divisor``: 1, 2 or 4.
    broadcast : int
        Columns between two registers of an activation on its way right, P. 1 is the textbook array.
    accumulator_bits : int
        Width of an accumulator, 20 to 32.
    outstanding : int
        AXI bursts of loads, and of stores, in flight at a time: 1 to 16.
    max_burst : int
        Longest AXI burst, beats: 1 to 256, a power of two.
    queue_depth : int
        Commands that each queue holds, 2 to 64, a power of two.
    address_bits : int
        Width of an AXI address, 32 to 64.
    int4 : bool
        The array multiplies by two 4-bit weights in each processing element, where a layer's weights allow it: twice the reduction a cycle.
    interpolation : bool
        Vectors that go around the array pass multipliers of 8 x 21 bits, one a column, so that RESIZE_BILINEAR runs for every ratio and
        alignment, 4 cycles for C outputs. Its sums take ``accumulator_bits`` of 28 or more.
    memory_registers : int
        Registers more around the scratchpads, 0 or 1: in front of each bank and behind it, and on the way to the array. An ASIC's SRAM does
        without at the clock that the rest allows; an FPGA needs them: 8 cycles more from a wave to the array.
    stream_registers : int
        Registers more between the feeder's stages, 0 or 1, where two of them fit in a cycle of an ASIC.
    multiplier_registers : int
        0 or 1: registers more around every multiplier, and between the steps behind it: for an FPGA, whose multipliers are few and far
        away.

    Raises
    ------
    WeftError
        If a field is out of range; the message names the field, the value and the range.
    """

    name: str = "custom"
    rows: int = 16
    cols: int = 16
    act_kib: int = 384
    weight_kib: int = 64
    axi_bits: int = 64
    lane_divisor: int = 1
    broadcast: int = 16
    accumulator_bits: int = 32
    outstanding: int = 8
    max_burst: int = 64
    queue_depth: int = 4
    address_bits: int = 32
    int4: bool = False
    interpolation: bool = False
    memory_registers: int = 0
    stream_registers: int = 0
    multiplier_registers: int = 0

    BANKS = 8
    """Banks of the activation scratchpad, low-order interleaved."""
    WEIGHT_BANKS = 4
    """Banks of the weight scratchpad, low-order interleaved."""
    ACCUMULATOR_DEPTH = 256
    """Entries in each half of the accumulators: pixels of one block."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int and (isinstance(value, bool) or not isinstance(value, int)):
                raise WeftError(f"configuration field {field.name} must be a whole number, not {value!r}")
            if field.type is bool and not isinstance(value, bool):
                raise WeftError(f"configuration field {field.name} must be true or false, not {value!r}")
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise WeftError(
                f"configuration field name = {self.name!r} must be 1 to 220 letters, digits and ._+=,- and begin with a letter or digit"
            )
        self._one_of("rows", POWERS_4_TO_64)
        self._one_of("cols", POWERS_4_TO_64)
        self._one_of("axi_bits", (32, 64, 128, 256))
        self._one_of("lane_divisor", (1, 2, 4))
        self._one_of("broadcast", (1, 2, 4, 8, 16, 32, 64))
        self._one_of("max_burst", (1, 2, 4, 8, 16, 32, 64, 128, 256))
        self._one_of("queue_depth", (2, 4, 8, 16, 32, 64))
        self._between("act_kib", 16, MAX_ACT_KIB)
        self._between("weight_kib", 8, 4096)
        self._between("accumulator_bits", 20, 32)
        self._between("outstanding", 1, 16)
        self._between("address_bits", 32, 64)
        self._between("memory_registers", 0, 1)
        self._between("stream_registers", 0, 1)
        self._between("multiplier_registers", 0, 1)
        for field, banks, word in (("act_kib", self.BANKS, self.word_bytes), ("weight_kib", self.WEIGHT_BANKS, self.weight_word_bytes)):
            value = getattr(self, field)
            if value * KIB % (banks * word):
                raise WeftError(
                    f"configuration field {field} = {value} KiB is not a whole number of {word}-byte words in {banks} banks",
                    remedy=f"use a multiple of {max(1, banks * word // KIB)} KiB",
                )

    def _one_of(self, field, values):
        value = getattr(self, field)
        if value not in values:
            what = f"configuration field {field} = {value} must be one of {', '.join(map(str, values))}"
            reason = "" if value > 0 and value.bit_count() == 1 else ": it is no power of two"
            raise WeftError(what + reason, remedy=f"the nearest: {' and '.join(map(str, _neighbours(value, values)))}")

    def _between(self, field, low, high):
        value = getattr(self, field)
        if not low <= value <= high:
            raise WeftError(f"configuration field {field} = {value} must be from {low} to {high}")

    @property
    def axi_bytes(self) -> int:
        """Bytes of one AXI beat."""
        return self.axi_bits // 8

    @property
    def lanes(self) -> int:
        """Output lanes, L: channels requantized a cycle."""
        return self.cols // self.lane_divisor

    def tile_depth(self, int4: bool) -> int:
        """Bytes of the reduction that the array takes in a cycle."""
        return tile_depth(self.rows, int4)

    @property
    def feed_bytes(self) -> int:
        """Widest vector the feeder reads in a cycle, bytes: what the array takes at most, C for the vector path."""
        return max(self.tile_depth(self.int4), self.cols)

    @property
    def word_bytes(self) -> int:
        """Word of the activation scratchpad, W, bytes."""
        return max(self.feed_bytes, self.axi_bytes)

    @property
    def act_bytes(self) -> int:
        """Activation scratchpad, bytes."""
        return self.act_kib * KIB

    @property
    def weight_word_bytes(self) -> int:
        """Word of the weight scratchpad, bytes."""
        return max(self.cols, self.axi_bytes)

    @property
    def weight_bytes(self) -> int:
        """Weight scratchpad, bytes."""
        return self.weight_kib * KIB

    @property
    def macs_per_cycle(self) -> int:
        """Processing elements of the array: multiply-adds a cycle; with 4-bit weights twice as many."""
        return self.rows * self.cols

    def replace(self, **changes) -> "NpuConfig":
        """A copy with some fields changed, checked again."""
        for field in changes:
            _check_known(field)
        return dataclasses.replace(self, **changes)


def _neighbours(value: int, values: tuple[int, ...]) -> list[int]:
    """Of ascending values the last below a value and the first above it; one of them where it lies outside."""
    return [*[legal for legal in values if legal < value][-1:], *[legal for legal in values if legal > value][:1]]


SUCCESSORS = {
    "pipeline": "every NPU has these registers now: leave the field out, whether it was true or false",
}
"""Fields that configurations had, and what took the place of each."""


def _check_known(field):
    known = [known.name for known in dataclasses.fields(NpuConfig)]
    if field in SUCCESSORS:
        raise WeftError(f"configuration field {field!r} is gone", remedy=SUCCESSORS[field])
    if field not in known:
        raise WeftError(f"unknown configuration field {field!r}", remedy=f"the fields are {', '.join(known)}")


SWITCHES = frozenset(field.name for field in dataclasses.fields(NpuConfig) if field.type is bool)
"""Fields that are true or false."""
BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
"""How they are written on the command line."""

FPGA_REGISTERS = ("memory_registers", "stream_registers", "multiplier_registers")
"""Fields that an FPGA wants at 1: its memories are slow, its multipliers few and far away, its wires long."""

PRESETS = {
    "nano": NpuConfig(name="nano", rows=8, cols=8, act_kib=128, weight_kib=32, lane_divisor=2),
    "small": NpuConfig(name="small", interpolation=True),
    "base": NpuConfig(name="base", rows=32, cols=32, act_kib=768, weight_kib=128, axi_bits=128, interpolation=True),
    "large": NpuConfig(name="large", rows=64, cols=64, act_kib=2048, weight_kib=512, axi_bits=256, interpolation=True),
}
"""Named configurations; ``small`` is the reference configuration for figures."""


def load_config(source, overrides=()) -> NpuConfig:
    """Configuration from a preset's name or a TOML file, with ``FIELD=VALUE`` overrides.

    Parameters
    ----------
    source : str or Path
        ``nano``, ``small``, ``base``, ``large``, or the path of a TOML file whose top-level keys are
        the fields of `NpuConfig`; the key ``preset`` names the preset that the others change.
    overrides : iterable of str
        ``FIELD=VALUE`` each. What they change becomes part of the name, as in ``small+cols=32``, so that no report shows a preset's
        name over the figures of something else.

    Raises
    ------
    WeftError
        If the source, a field or a value is wrong.
    """
    config = PRESETS.get(str(source)) or _from_toml(source)
    changes = {}
    for text in overrides:
        field, equals, value = text.partition("=")
        if not equals:
            raise WeftError(f"--set {text!r} is not of the form FIELD=VALUE", remedy="for example --set cols=32")
        changes[field.strip()] = _parse(field.strip(), value.strip())
    changed = [f"{field}={written(value)}" for field, value in changes.items() if getattr(config, field) != value]
    return config.replace(**{"name": "+".join([config.name, *changed]), **changes}) if changed else config


def written(value):
    """A value as in a TOML file."""
    return str(value).lower() if isinstance(value, bool) else value


def _parse(field, value):
    _check_known(field)
    if field == "name":
        return value
    if field in SWITCHES:
        if value.lower() not in BOOLEANS:
            raise WeftError(f"--set {field}={value}: {value!r} is neither true nor false")
        return BOOLEANS[value.lower()]
    try:
        return int(value, 0)
    except ValueError:
        raise WeftError(f"--set {field}={value}: {value!r} is not a whole number") from None


def _from_toml(source) -> NpuConfig:
    path = Path(source)
    if not path.is_file():
        raise WeftError(f"no configuration named {str(source)!r}", remedy=f"use a preset ({', '.join(PRESETS)}) or the path of a TOML file")
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WeftError(f"not a TOML file: {error}", file=path) from None
    preset = fields.pop("preset", "small")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise WeftError(f"unknown preset {preset!r}", file=path, remedy=f"the presets are {', '.join(PRESETS)}")
    fields.setdefault("name", _name_of(path))
    try:
        return PRESETS[preset].replace(**fields)
    except WeftError as error:
        raise WeftError(error.message, file=path, remedy=error.remedy) from None


def _name_of(path):
    """The name of a configuration whose TOML file gives none."""
    stem = re.sub(r"[^A-Za-z0-9._+=,-]", "_", path.stem)[:LONGEST_STEM]
    return stem if NAME.fullmatch(stem) else f"npu{stem}"
