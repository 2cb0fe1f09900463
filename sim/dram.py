"""Parameters of the DDR timing model in `sim/harness/dram.h`: SDRAM, address map and controller, from TOML.

`docs/ddr.md` says what each one does and where the presets have it from.
"""

import dataclasses
import math
import struct
import tomllib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from hw.npu.errors import WeftError

FOLDER = Path(__file__).parent / "dram"
"""Where the presets lie: a TOML file each."""
NEVER = (1 << 32) - 1
PAGE_POLICIES = ("open", "timeout", "closed")
LONGEST_BURST = 4096
"""Bytes: no AXI burst crosses a multiple of it (AXI4, A3.4.1)."""


@dataclass(frozen=True)
class Span:
    """A time of a data sheet: "the greater of `ns` and `ck`".

    Attributes
    ----------
    ns : float
        Nanoseconds.
    ck : int
        Clocks.
    """

    ns: float = 0.0
    ck: int = 0

    def clocks(self, data_rate, *, at_most=False) -> int:
        """Whole clocks of a data rate (MT/s): no fewer than the span, or no more (`at_most`)."""
        exact = Fraction(str(self.ns)) * data_rate / 2000
        return max(math.floor(exact) if at_most else math.ceil(exact), self.ck)


@dataclass(frozen=True)
class DramConfig:
    """One channel of SDRAM and its controller. Times count from a command's first clock.

    Attributes
    ----------
    name : str
    data_rate : int
        Transfers, millions a second: two a clock.
    width : int
        Data bits of the channel.
    burst : int
        Transfers of one read or write: 8 or 16.
    groups, banks : int
        Bank groups; banks of all groups together.
    row_bytes : int
        Bytes of an open row, all chips of the channel together.
    cl, cwl : int
        Clocks from a read and a write to their first data.
    dqsck : Span
        What the read data come later than `cl`: output access time of parts without a delay-locked loop.
    dqss : int
        Clocks that the write data come later than `cwl`.
    rcd, rp, rp_all, ras, rc : Span
        Activate to read or write; precharge of one bank and of all; activate to precharge; activate to activate of the same bank.
    rrd_s, rrd_l, faw : Span
        Activate to activate of another group and of the same group; window that holds at most four activates.
    ccd_s, ccd_l, ccd_masked : Span
        Read to read or write to write, of another group and of the same; any write to a masked write of the same bank (0: no rule).
    wr, wtr_s, wtr_l, rtp : Span
        From the last write data to a precharge, and to a read of another and of the same group; read to precharge.
    rtw_gap : int
        Clocks of the data bus between read data and write data.
    ppd : int
        Clocks from precharge to precharge.
    refi, rfc : Span
        Interval of refreshes (of all banks), and how long one takes.
    act_clocks, cas_clocks, pre_clocks : int
        Clocks of the command bus that an activate, a read or write, a precharge or refresh takes.
    group_interleave, bank_interleave : int
        Consecutive bytes in one bank group; in the banks of one number of all groups.
    bank_hash : bool
        Exclusive-or of the bank's number with the row's lowest bits.
    page_policy : str
        ``open``: rows stay open; ``timeout``: until nobody wanted one for `page_timeout_ns`; ``closed``: until nobody queued wants it.
    page_timeout_ns : float
    read_queue, write_queue : int
        AXI bursts that the controller holds.
    write_buffer : int
        Data of writes that the controller holds, SDRAM bursts.
    write_high, write_low : int
        SDRAM bursts of write data at which draining begins, and ends if reads wait; or the same shares of `write_queue`, if writes are
        so short that they fill it first.
    turn : int
        SDRAM bursts of one direction after which the other has its turn, if it wants one: if reads wait, if `write_high` is reached.
    write_idle_ns : float
        Without reads for this long, fewer writes than `write_low` are drained too.
    starvation_ns : float
        A burst that has waited this long goes first, whatever its QoS.
    postpone : int
        Refreshes that may be owed while there is work: 0 to 8.
    front_ns, back_ns : float
        Controller and PHY: from the bus to the queue, and from the SDRAM's last datum to the bus.

    Raises
    ------
    WeftError
        If a value is out of range or does not fit the others.
    """

    name: str
    data_rate: int
    width: int
    burst: int
    groups: int
    banks: int
    row_bytes: int
    cl: int
    cwl: int
    dqsck: Span
    dqss: int
    rcd: Span
    rp: Span
    rp_all: Span
    ras: Span
    rc: Span
    rrd_s: Span
    rrd_l: Span
    faw: Span
    ccd_s: Span
    ccd_l: Span
    ccd_masked: Span
    wr: Span
    wtr_s: Span
    wtr_l: Span
    rtp: Span
    rtw_gap: int
    ppd: int
    refi: Span
    rfc: Span
    act_clocks: int
    cas_clocks: int
    pre_clocks: int
    group_interleave: int
    bank_interleave: int
    bank_hash: bool
    page_policy: str
    page_timeout_ns: float
    read_queue: int
    write_queue: int
    write_buffer: int
    write_high: int
    write_low: int
    turn: int
    write_idle_ns: float
    starvation_ns: float
    postpone: int
    front_ns: float
    back_ns: float

    def __post_init__(self):
        self._check_ranges()
        self._check_shape()

    def _check_ranges(self):
        for name, low, high in RANGES:
            if not low <= getattr(self, name) <= high:
                raise WeftError(f"DRAM {self.name}: {name} = {getattr(self, name)} must be from {low} to {high}")
        for name in ("width", "burst", "groups", "banks", "row_bytes", "group_interleave", "bank_interleave"):
            if getattr(self, name) & (getattr(self, name) - 1):
                raise WeftError(f"DRAM {self.name}: {name} = {getattr(self, name)} must be a power of two")
        if self.page_policy not in PAGE_POLICIES:
            raise WeftError(f"DRAM {self.name}: page_policy = {self.page_policy!r} must be one of {', '.join(PAGE_POLICIES)}")
        for name in SPANS:
            span = getattr(self, name)
            if span.ns < 0 or span.ck < 0 or span.clocks(self.data_rate) > 1 << 20:
                raise WeftError(f"DRAM {self.name}: {name} = {span.ns} ns, {span.ck} ck must be from 0 to {1 << 20} clocks")

    def _check_shape(self):
        for smaller, low, larger, high in (
            ("width x burst / 8", self.burst_bytes, "group_interleave", self.group_interleave),
            ("group_interleave x groups", self.group_interleave * self.groups, "bank_interleave", self.bank_interleave),
            ("bank_interleave", self.bank_interleave, "row_bytes x groups", self.row_bytes * self.groups),
            ("the longest AXI burst", LONGEST_BURST, "row_bytes x banks", self.row_bytes * self.banks),
            ("groups", self.groups, "banks", self.banks),
            ("write_low", self.write_low, "write_high", self.write_high),
            ("write_high", self.write_high, "write_buffer", self.write_buffer),
            ("4 rfc in clocks", 4 * self.clocks("rfc"), "refi in clocks", self.clocks("refi")),
        ):
            if low > high:
                raise WeftError(f"DRAM {self.name}: {smaller} = {low} must not exceed {larger} = {high}")
        if self.width * self.burst % 64:
            raise WeftError(f"DRAM {self.name}: width x burst = {self.width * self.burst} bits must be whole words of 8 bytes")

    @property
    def burst_bytes(self) -> int:
        """Bytes that one read or write moves."""
        return self.width * self.burst // 8

    @property
    def peak_bytes_per_second(self) -> int:
        """Of the data bus."""
        return self.data_rate * 1_000_000 * self.width // 8

    def clocks(self, name) -> int:
        """A `Span` in whole clocks: no fewer than it says; `refi`, which is a most, no more."""
        return getattr(self, name).clocks(self.data_rate, at_most=name == "refi")

    def replace(self, **changes) -> "DramConfig":
        """A copy with some fields changed, checked again; a span may be given in nanoseconds."""
        for field in changes:
            if field not in FIELDS:
                raise WeftError(f"unknown DRAM field {field!r}", remedy=f"the fields are {', '.join(FIELDS)}")
        return dataclasses.replace(self, **{field: _value(field, value) for field, value in changes.items()})

    def pack(self, bus_ps) -> bytes:
        """The words that the harness reads: `struct DramConfig` of `sim/harness/dram_device.h`.

        Parameters
        ----------
        bus_ps : int
            Cycle of the AXI bus, picoseconds.
        """
        if not 100 <= bus_ps <= 1_000_000:
            raise WeftError(f"a bus cycle of {bus_ps} ps must be from 100 to 1000000")
        timeouts = {"open": NEVER, "closed": 0, "timeout": Span(self.page_timeout_ns).clocks(self.data_rate)}
        special = {
            "bus_ps": bus_ps,
            "dqsck_ps": round(self.dqsck.ns * 1000),
            "page_timeout": timeouts[self.page_policy],
            "write_idle": Span(self.write_idle_ns).clocks(self.data_rate),
            "starvation": Span(self.starvation_ns).clocks(self.data_rate),
            "front_ps": round(self.front_ns * 1000),
            "back_ps": round(self.back_ns * 1000),
        }
        words = [special[name] if name in special else self._word(name) for name in WORDS]
        return struct.pack(f"<{len(words)}I", *words)

    def _word(self, name):
        return self.clocks(name) if name in SPANS else int(getattr(self, name))


TYPES = {field.name: field.type for field in dataclasses.fields(DramConfig)}
FIELDS = tuple(TYPES)
SPANS = tuple(name for name, kind in TYPES.items() if kind is Span)
RENAMED = {
    "dqsck": "dqsck_ps",
    "page_timeout_ns": "page_timeout",
    "write_idle_ns": "write_idle",
    "starvation_ns": "starvation",
    "front_ns": "front_ps",
    "back_ns": "back_ps",
}
"""Fields that the harness has in another unit."""
WORDS = ("bus_ps", *(RENAMED.get(name, name) for name in FIELDS if name not in ("name", "page_policy")))
"""Words of the harness' `struct DramConfig`, in its order."""
RANGES = (
    ("data_rate", 100, 10_000),
    ("width", 4, 128),
    ("burst", 8, 16),
    ("groups", 1, 4),
    ("banks", 4, 32),
    ("row_bytes", 512, 16384),
    ("cl", 1, 100),
    ("cwl", 1, 100),
    ("dqss", 0, 4),
    ("rtw_gap", 0, 32),
    ("ppd", 0, 16),
    ("act_clocks", 1, 4),
    ("cas_clocks", 1, 4),
    ("pre_clocks", 1, 4),
    ("group_interleave", 4, 16384),
    ("bank_interleave", 4, 65536),
    ("page_timeout_ns", 0, 100_000),
    ("read_queue", 1, 64),
    ("write_queue", 1, 64),
    ("write_buffer", 1, 1024),
    ("write_high", 1, 1024),
    ("write_low", 0, 1024),
    ("turn", 1, 1024),
    ("write_idle_ns", 0, 100_000),
    ("starvation_ns", 0, 1_000_000),
    ("postpone", 0, 8),
    ("front_ns", 0, 1000),
    ("back_ns", 0, 1000),
)
"""``(field, lowest, highest)``."""


def presets() -> tuple[str, ...]:
    """Names of the presets, in order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_dram(source) -> DramConfig:
    """A preset by name, or a TOML file.

    Parameters
    ----------
    source : str or Path
        A name of `presets`, or the path of a file whose tables hold the fields of `DramConfig`; a time is a number of nanoseconds
        or ``{ns = 7.5, ck = 8}``. The key ``preset`` names the preset that the others change; without it, every field must be there.

    Raises
    ------
    WeftError
        If the source, a field or a value is wrong.
    """
    path = FOLDER / f"{source}.toml" if str(source) in presets() else Path(source)
    if not path.is_file():
        raise WeftError(f"no DRAM named {str(source)!r}", remedy=f"use a preset ({', '.join(presets())}) or the path of a TOML file")
    try:
        contents = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WeftError(f"not a TOML file: {error}", file=path) from None
    preset = contents.pop("preset", None)
    if preset is not None and preset not in presets():
        raise WeftError(f"unknown preset {preset!r}", file=path, remedy=f"the presets are {', '.join(presets())}")
    fields = {"name": path.stem} | _flat(contents, path)
    try:
        if preset is not None:
            return load_dram(preset).replace(**fields)
        absent = [name for name in FIELDS if name not in fields]
        if absent:
            raise WeftError(f"no value for {', '.join(absent)}", remedy="give them, or name a preset that has them")
        return DramConfig(**{name: _value(name, value) for name, value in fields.items()})
    except WeftError as error:
        raise WeftError(error.message, file=path, remedy=error.remedy) from None


def _flat(contents, path):
    """Fields of all tables; the tables are for the reader."""
    fields = {}
    for key, value in contents.items():
        table = value if isinstance(value, dict) and key not in FIELDS else {key: value}
        for name, field in table.items():
            if name not in FIELDS:
                raise WeftError(f"unknown DRAM field {name!r}", file=path, remedy=f"the fields are {', '.join(FIELDS)}")
            if name in fields:
                raise WeftError(f"{name} is given twice", file=path)
            fields[name] = field
    return fields


def _value(name, value):
    """What a field holds, out of what a TOML file says."""
    kind = TYPES[name]
    if kind is Span:
        if isinstance(value, dict) and value and set(value) <= {"ns", "ck"} and type(value.get("ck", 0)) is int:
            value = Span(**value) if _is_number(value.get("ns", 0)) else value
        elif _is_number(value):
            value = Span(value)
        if not isinstance(value, Span):
            raise WeftError(f"{name} = {value!r} is not a time", remedy="give nanoseconds, or {ns = 7.5, ck = 8}")
    elif kind is float:
        if not _is_number(value):
            raise WeftError(f"{name} = {value!r} is not a number")
    elif type(value) is not kind:
        raise WeftError(f"{name} = {value!r} is not {'true or false' if kind is bool else 'a text' if kind is str else 'a whole number'}")
    return value


def _is_number(value):
    return type(value) in (int, float) and math.isfinite(value)
