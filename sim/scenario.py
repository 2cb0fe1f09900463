"""Scenarios: what runs on the SoC beside the NPU, on which DDR, and who goes first."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from hw.npu.errors import WeftError
from hw.soc.config import SIZES
from hw.soc.registers import FIRST_CLASS, MASTERS
from hw.soc.video_mode import VideoMode, parse_mode
from sim.dram import DramConfig, load_dram

DEFAULT_DDR = "lpddr4-3200-x16"
CAMERA_BYTES, DISPLAY_BYTES = 2, 4
"""Bytes of a pixel in memory where nobody says otherwise: RAW10 in two bytes, RGB in four."""
CLASSES = 4
CLASS = dict(zip(MASTERS, FIRST_CLASS))


@dataclass(frozen=True)
class Video:
    """A camera or a display.

    Attributes
    ----------
    mode : VideoMode
    bytes_per_pixel : int
        1 to 16.
    klass : int
        Priority, 0 (first) to 3; ``class`` in a file.
    watermark : int or None
        Beats in the FIFO that make it urgent: camera at or above, display at or below; half of the FIFO if None.
    """

    mode: VideoMode
    bytes_per_pixel: int
    klass: int
    watermark: int | None = None

    @property
    def bytes_per_second(self) -> int:
        """That the picture needs."""
        return self.mode.bytes_per_second(self.bytes_per_pixel)


@dataclass(frozen=True)
class Cpu:
    """Random reads and writes, as of a CPU's cache.

    Attributes
    ----------
    gbs : float
        Gigabytes (1e9) a second that it asks for, where the bus keeps up.
    write_share : float
        Part of the requests that write, 0 to 1.
    burst_bytes : int
        The longest burst; lengths are uniform from a beat to it.
    window_kib : int
        Memory that it works in: a power of two, 4 to 1048576.
    klass : int
        Priority, as `Video` has it.
    """

    gbs: float
    write_share: float = 0.33
    burst_bytes: int = 64
    window_kib: int = 4096
    klass: int = CLASS["cpu"]


@dataclass(frozen=True)
class NpuShare:
    """What the NPU may take.

    Attributes
    ----------
    klass : int
        Priority.
    read_gbs, write_gbs : float
        Limits by its regulators, gigabytes a second; 0 is none.
    regulator_beats : int
        Beats that it may have saved up, where it is limited.
    """

    klass: int = CLASS["npu"]
    read_gbs: float = 0.0
    write_gbs: float = 0.0
    regulator_beats: int = 64


@dataclass(frozen=True)
class Scenario:
    """Traffic, DDR and priorities for runs of a network on the SoC.

    Attributes
    ----------
    name : str
    dram : DramConfig
    clock_mhz : float
        Of the NPU and the interconnect.
    camera, display : Video or None
    cpu : Cpu or None
    npu : NpuShare
    age_limit : int
        Grants to others behind which a waiting master goes first; 0: never. Up to 255.
    frames : int
        Pictures that camera and display make while the network runs again and again.
    scale : int
        Pictures of as many times fewer lines, and as many times more of them: the byte rates stay, a run is shorter.
    fps : float or None
        Inferences a second that must be reached.
    sizes : dict of str to int
        Fields of `SocConfig` that differ from its defaults.

    Raises
    ------
    WeftError
        If a value is out of range; the message names it.
    """

    name: str = "scenario"
    dram: DramConfig = field(default_factory=lambda: load_dram(DEFAULT_DDR))
    clock_mhz: float = 800.0
    camera: Video | None = None
    display: Video | None = None
    cpu: Cpu | None = None
    npu: NpuShare = NpuShare()
    age_limit: int = 0
    frames: int = 10
    scale: int = 64
    fps: float | None = None
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self):
        for part, value in (("", self), *((name, getattr(self, name)) for name in MASTERS)):
            for entry in dataclasses.fields(value) if value else ():
                _check(part, entry.name, getattr(value, entry.name))
        if self.cpu and self.cpu.window_kib & (self.cpu.window_kib - 1):
            raise WeftError(f"cpu.window_kib = {self.cpu.window_kib} must be a power of two")

    @property
    def bus_ps(self) -> int:
        """A cycle of the bus, picoseconds."""
        return round(1e6 / self.clock_mhz)

    @property
    def clock_hz(self) -> int:
        """Cycles a second."""
        return round(self.clock_mhz * 1e6)


RANGES = {
    "clock_mhz": (1, 5000),
    "frames": (1, 1000),
    "scale": (1, 1024),
    "age_limit": (0, 255),
    "fps": (0.001, 1e6),
    "klass": (0, CLASSES - 1),
    "bytes_per_pixel": (1, 16),
    "watermark": (0, 65535),
    "gbs": (0, 1000),
    "write_share": (0, 1),
    "burst_bytes": (1, 4096),
    "window_kib": (4, 1 << 20),
    "read_gbs": (0, 1000),
    "write_gbs": (0, 1000),
    "regulator_beats": (0, 4095),
}
"""Lowest and highest value, by field of whatever part."""
WHOLE = {"frames", "scale", "age_limit", "klass", "bytes_per_pixel", "watermark", "burst_bytes", "window_kib", "regulator_beats"}
PARTS = {"camera": Video, "display": Video, "cpu": Cpu, "npu": NpuShare}
WORDS = {"klass": "class"}
"""Fields that a file writes otherwise."""


def _check(part, name, value):
    """Refuse a number of a wrong type or out of range."""
    if name not in RANGES or value is None:
        return
    low, high = RANGES[name]
    title = f"{part}.{WORDS.get(name, name)}" if part else name
    if isinstance(value, bool) or not isinstance(value, int if name in WHOLE else int | float):
        raise WeftError(f"{title} = {value!r} is not a {'whole ' * (name in WHOLE)}number")
    if not low <= value <= high:
        raise WeftError(f"{title} = {value:g} must be from {low:g} to {high:g}")


def camera_of(mode: str, **fields) -> Video:
    """A camera from its mode, with the usual bytes and class."""
    return Video(**{"mode": parse_mode(mode), "bytes_per_pixel": CAMERA_BYTES, "klass": CLASS["camera"], **fields})


def display_of(mode: str, **fields) -> Video:
    """A display from its mode, with the usual bytes and class."""
    return Video(**{"mode": parse_mode(mode), "bytes_per_pixel": DISPLAY_BYTES, "klass": CLASS["display"], **fields})


def load_scenario(source) -> Scenario:
    """A scenario from a TOML file.

    Its keys are the fields of `Scenario`; ``ddr`` is a preset's name, a path beside the file, or a table with ``preset`` and what
    differs. Tables ``camera``, ``display`` (``mode`` must be there), ``cpu`` (``gbs``) and ``npu`` have the fields of `Video`, `Cpu`,
    `NpuShare`; ``soc`` those of `SocConfig`.

    Raises
    ------
    WeftError
        If the file, a field or a value is wrong.
    """
    path = Path(source)
    if not path.is_file():
        raise WeftError("no such scenario", file=path, remedy="--soc names a TOML file; docs/scenarios.md shows one")
    try:
        contents = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WeftError(f"not a TOML file: {error}", file=path) from None
    try:
        return _scenario({"name": path.stem} | contents, path.parent)
    except WeftError as error:
        raise WeftError(error.message, file=error.file or path, remedy=error.remedy) from None


def _scenario(contents, folder) -> Scenario:
    fields = dict(contents)
    known = {entry.name for entry in dataclasses.fields(Scenario)} - {"dram", "sizes"} | {"ddr", "soc"}
    _refuse_unknown("scenario", fields, known)
    if "ddr" in fields:
        fields["dram"] = _dram(fields.pop("ddr"), folder)
    sizes = _table("soc", fields.pop("soc", {}))
    _refuse_unknown("soc", sizes, {size.name for size in SIZES})
    for name in PARTS:
        if name in fields:
            fields[name] = _part(name, _table(name, fields[name]))
    return Scenario(**fields, sizes=sizes)


def _table(name, value):
    if not isinstance(value, dict):
        raise WeftError(f"{name} = {value!r} must be a table", remedy=f"write [{name}] and its fields below")
    return value


def _refuse_unknown(where, fields, known):
    for name in fields:
        if name not in known:
            raise WeftError(f"unknown field {name!r} of {where}", remedy=f"the fields are {', '.join(sorted(known))}")


def _dram(value, folder) -> DramConfig:
    if isinstance(value, str):
        beside = folder / value
        return load_dram(beside if beside.is_file() else value)
    if not isinstance(value, dict) or not isinstance(value.get("preset", DEFAULT_DDR), str):
        raise WeftError(f"ddr = {value!r} is neither a name nor a table", remedy=f'for example ddr = "{DEFAULT_DDR}"')
    changes = {name: field for name, field in value.items() if name != "preset"}
    preset = value.get("preset", DEFAULT_DDR)
    changed = "+".join([preset, *(f"{name}={field}" for name, field in changes.items())])
    return load_dram(preset).replace(**{"name": changed} | changes)


def _part(name, fields):
    kind, fields = PARTS[name], {("klass" if key == "class" else key): value for key, value in fields.items()}
    _refuse_unknown(
        name, {WORDS.get(key, key) for key in fields}, {WORDS.get(entry.name, entry.name) for entry in dataclasses.fields(kind)}
    )
    needed, example = {Video: ("mode", '"1920x1080@60"'), Cpu: ("gbs", "0.5")}.get(kind, (None, None))
    if needed and needed not in fields:
        raise WeftError(f"{name} has no {needed}", remedy=f"for example {needed} = {example}")
    if kind is not Video:
        return kind(**fields)
    if not isinstance(fields["mode"], str):
        raise WeftError(f"{name}.mode = {fields['mode']!r} is not a text")
    return (camera_of if name == "camera" else display_of)(**fields)
