"""Processes that the NPU is mapped onto: which files make the library, and the facts that these files do not state."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hw.npu.errors import WeftError

DEFAULT_FOLDER = Path(__file__).resolve().parents[4] / "shared" / "pdk"
"""Where libraries are looked for when neither ``--pdk`` nor ``WEFT_PDK`` says it: beside the repository."""


@dataclass(frozen=True)
class Technology:
    """A process, and how the mapping uses its library.

    Attributes
    ----------
    name : str
        As ``--library`` takes it.
    words : str
        Process and corner, for tables.
    folder : str
        Its folder in the folder of libraries.
    files, macros : tuple of str
        Patterns of the Liberty files of its cells, and of its SRAM macros.
    avoid : tuple of str
        Patterns of cells that are not used.
    driver, load : str
        Cell that drives each input of the mapped logic, and load at each output in the library's unit.
    slew : str
        Transition at the inputs, in the library's unit of time.
    high, low, gate : str
        Cell and pin that drive a constant 1 and 0, and clock gate with its pins, as Yosys takes them; empty where there is none.
    nand : str
        The cell of two inputs whose area is the gate equivalent.
    unit_ps : float
        The library's unit of time.
    flop_ps : float
        From a clock edge to a flip-flop's output and set-up of the next one, together: what a period loses to registers.
    access_ps, setup_ps : float
        Of a memory that is cut at its ports: from the clock to its data, and set-up of its inputs.
    memory_source : str
        Where these two are from.
    buffers : str
        How abc buffers large fan-outs.
    """

    name: str
    words: str
    folder: str = ""
    files: tuple[str, ...] = ()
    macros: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    driver: str = ""
    load: str = "0"
    slew: str = "0"
    high: str = ""
    low: str = ""
    gate: str = ""
    nand: str = ""
    unit_ps: float = 1.0
    flop_ps: float = 0.0
    access_ps: float = 0.0
    setup_ps: float = 0.0
    memory_source: str = "no times are known for this library: memories answer at once"
    buffers: str = "buffer -c -p"


ASAP7 = Technology(
    name="asap7",
    words="ASAP7 typical without wires",
    folder="asap7",
    files=("asap7sc7p5t_*.lib*",),
    # fractions of the unit size, scan flip-flops, and the flip-flops of four times the drive, which are the ones without an inverter
    avoid=("*xp*", "*x1p*", "SDF*", "ICG*", "DFFHQx4*", "DFFLQx4*"),
    driver="BUFx2_ASAP7_75t_R",
    load="2.0",
    slew="20",
    high="TIEHIx1_ASAP7_75t_R H",
    low="TIELOx1_ASAP7_75t_R L",
    gate="ICGx1_ASAP7_75t_R ENA:CLK:GCLK -tie_lo SE",
    nand="NAND2x1_ASAP7_75t_R",
    flop_ps=70,
    access_ps=250,
    setup_ps=50,
    memory_source="250 ps and 50 ps, assumed: the library has no memories",
)
"""Predictive 7 nm of Arizona State University, RVT cells of 7.5 tracks, 0.70 V, 25 C."""
SG13G2 = Technology(
    name="sg13g2",
    words="IHP SG13G2 typical without wires",
    folder="ihp-sg13g2",
    files=("sg13g2_stdcell_typ_1p20V_25C.lib*",),
    macros=("RM_IHPSG13_1P_*.lib*",),
    avoid=("*lgcp*", "*sdf*", "*ebufn*", "*einv*", "*dlygate*", "*antenna*", "*sighold*"),
    driver="sg13g2_buf_2",
    load="0.006",
    slew="0.1",
    high="sg13g2_tiehi L_HI",
    low="sg13g2_tielo L_LO",
    gate="sg13g2_lgcp_1 GATE:CLK:GCLK",
    nand="sg13g2_nand2_1",
    unit_ps=1000,
    flop_ps=300,
    access_ps=4420,
    setup_ps=230,
    memory_source="4 420 ps and 230 ps, of the macro of 1024 words of 64 bits in the library's own file",
)
"""130 nm of IHP, 1.20 V, 25 C."""
TECHNOLOGIES = {each.name: each for each in (ASAP7, SG13G2)}


@dataclass(frozen=True)
class Library:
    """A process with its files.

    Attributes
    ----------
    technology : Technology
    cells, macros : tuple of Path
        Liberty files of its standard cells, and of its SRAM macros.
    """

    technology: Technology
    cells: tuple[Path, ...]
    macros: tuple[Path, ...] = ()


def find_library(names: Sequence[str], folder: Path | None) -> Library:
    """The library that ``--library`` names: a process of `TECHNOLOGIES`, or Liberty files that together are one.

    Parameters
    ----------
    names : sequence of str
    folder : Path or None
        Of ``--pdk``; without it that of the environment's ``WEFT_PDK``, or `DEFAULT_FOLDER`.

    Raises
    ------
    WeftError
        Where nobody knows the name, or the files are not there.
    """
    known = ", ".join(TECHNOLOGIES)
    if not names:
        raise WeftError("no library of cells is given", remedy=f"--library NAME ({known}) or --library FILE.lib of your process")
    if any(name.endswith((".lib", ".lib.gz")) for name in names):
        paths = tuple(Path(name) for name in names)
        return Library(_technology_of(paths), paths)
    if len(names) > 1:
        raise WeftError(f"--library {' --library '.join(names)}: one library at a time", remedy="call weft synth once for each")
    if names[0] not in TECHNOLOGIES:
        raise WeftError(f"no library is called {names[0]!r}", remedy=f"use {known}, or name the .lib files of your process")
    technology = TECHNOLOGIES[names[0]]
    place = (folder or Path(os.environ.get("WEFT_PDK") or DEFAULT_FOLDER)) / technology.folder
    cells, macros = (
        tuple(sorted({path for pattern in patterns for path in place.glob(pattern)})) for patterns in (technology.files, technology.macros)
    )
    if not cells:
        raise WeftError(
            f"no files {', '.join(technology.files)} of {technology.words.partition(' typical')[0]}",
            file=place,
            remedy=f"--pdk FOLDER or WEFT_PDK names a folder with {technology.folder}/ in it",
        )
    return Library(technology, cells, macros)


def _technology_of(paths):
    """That of the table which these files belong to; one without facts where they belong to none."""
    for technology in TECHNOLOGIES.values():
        if all(any(path.match(pattern) for pattern in technology.files) for path in paths):
            return technology
    return replace(Technology(name=paths[0].name, words=paths[0].name), buffers="buffer -c -p")
