"""Area and clock of an NPU, or of one of its blocks, from one netlist of a library's cells."""

import dataclasses
import gzip
import hashlib
import json
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from hw.emit.cache import Stage, cache_folder, locked, no_stage
from hw.npu.errors import WeftError
from weft.analysis.synthesis import timing
from weft.analysis.synthesis.blocks import Block, Blocks, read_blocks
from weft.analysis.synthesis.figures import BlockFigures, MemoryFigures, Synthesis, from_json
from weft.analysis.synthesis.liberty import Cell, read_cells, read_library
from weft.analysis.synthesis.memories import CELLS, Memory, choose_macro, cut_liberty, cut_verilog, read_dump, read_macros
from weft.analysis.synthesis.netlist import Netlist, is_memory, read_blif, sta_verilog
from weft.analysis.synthesis.script import EFFORTS, abc_constraints, abc_script, front_script, map_script
from weft.analysis.synthesis.shares import owners, shares
from weft.analysis.synthesis.technology import Library
from weft.analysis.synthesis.tools import Yosys, find_sta, find_yosys, run, run_yosys

SOURCES = Path(__file__).parent


def synthesize(verilog: str, config: str, top: str, library: Library, period_ps: float, *, stage: Stage = no_stage) -> Synthesis:
    """Map a module and all below it onto a library's cells, and measure area and clock of what came out.

    Parameters
    ----------
    verilog : str
        Of an NPU (`hw.emit.verilog.npu_verilog`).
    config : str
        Its name.
    top : str
        The module.
    library : Library
    period_ps : float
        The clock that the mapping aims at.
    stage : Stage
        Shows what is going on; not called if the figures were kept.

    Raises
    ------
    WeftError
        Where a file is missing or no library, a tool is missing or fails, or the library has no cells for what the module needs.
    """
    return synthesize_netlist(verilog, config, top, library, period_ps, stage=stage)[0]


def synthesize_netlist(
    verilog: str, config: str, top: str, library: Library, period_ps: float, *, stage: Stage = no_stage
) -> tuple[Synthesis, str]:
    """What `synthesize` finds, and the netlist that it is of, as `weft.analysis.synthesis.netlist.read_blif` takes it."""
    texts = [read_library(path) for path in library.cells]
    yosys, sta = find_yosys(), find_sta()
    sources = [path.read_text() for path in sorted(SOURCES.glob("*.py"))]
    macros = [path.name for path in library.macros]
    recipe = repr((verilog, config, top, repr(library.technology), period_ps, texts, macros, yosys, bool(sta), sources))
    path = cache_folder() / "synthesis" / f"{top}-{hashlib.sha256(recipe.encode()).hexdigest()[:20]}.json"
    gates = path.with_suffix(".blif.gz")
    with locked(path):
        if not path.exists():
            with tempfile.TemporaryDirectory() as folder:
                job = _Job(Path(folder), verilog, config, top, library, period_ps, yosys, sta, stage)
                found, netlist = job.run(texts)
            gates.write_bytes(gzip.compress(netlist.encode(), 6, mtime=0))
            new = path.with_suffix(".new")
            new.write_text(json.dumps(found.to_json()))
            new.rename(path)
    return from_json(json.loads(path.read_text())), gzip.decompress(gates.read_bytes()).decode()


@dataclass
class _Job:
    """One synthesis in a folder."""

    folder: Path
    verilog: str
    config: str
    top: str
    library: Library
    period_ps: float
    yosys: Yosys
    sta: str | None
    stage: Stage

    def run(self, texts) -> tuple[Synthesis, str]:
        """The figures, and the netlist that they are of."""
        cuts = cut_liberty(self.library.technology)
        cells = read_cells([*texts, cuts])
        blocks = read_blocks(self.verilog)
        libraries = self._front(texts, cuts)
        memories = read_dump((self.folder / "memories.il").read_text())
        best, kept = None, ""
        for effort in EFFORTS:
            log = self._map(libraries, effort)
            text = (self.folder / "netlist.blif").read_text()
            netlist = read_blif(text)
            _check_mapped(netlist, cells, self.library)
            held = owners(netlist, blocks, self.top, cells)
            rest = blocks.at("", self.top)
            order = sorted({*held.values(), rest}, key=lambda block: (block.room, block.component))
            paths = self._time(netlist, held, order, log)
            found = self._figures(netlist, cells, blocks, held, rest, paths, memories, effort)
            if best is None or (found.worst and found.worst.period_ps < best.worst.period_ps):
                best, kept = found, text
            if not best.worst or best.worst.period_ps <= self.period_ps:
                break
        return best, kept

    def _front(self, texts, cuts):
        """Put everything into the folder, and run Yosys up to the gates of its own; gives the names of the library's files."""
        names = [f"{number}.lib" for number in range(len(texts))]
        for name, text in zip(names, texts):
            (self.folder / name).write_text(text)
        technology = self.library.technology
        for name, text in (
            ("npu.v", self.verilog),
            ("cells.v", CELLS),
            ("cut.v", cut_verilog()),
            ("cut.lib", cuts),
            ("abc.constr", abc_constraints(technology)),
        ):
            (self.folder / name).write_text(text)
        self._yosys("reading", front_script(self.top, technology, names))
        return names

    def _map(self, libraries, effort):
        """Map onto the library's gates; gives Yosys' log."""
        technology = self.library.technology
        (self.folder / "abc.script").write_text(abc_script(technology, self.period_ps, effort))
        return self._yosys(f"mapping {effort}", map_script(technology, libraries))

    def _yosys(self, doing, script):
        with self.stage(f"{self.top} of {self.config} on {self.library.technology.name}: {doing}, {self.yosys.package}"):
            try:
                return run_yosys(self.yosys, script, self.folder)
            except WeftError as error:
                raise WeftError(f"cannot map {self.top} onto it: {error.message}", **_whole(self.library)) from None

    def _time(self, netlist, held, order, log):
        """The slowest paths: those of all by `ANY`, and of each block by itself."""
        technology = self.library.technology
        if not self.sta:
            worst = timing.read_abc(log, technology)
            return {(timing.ANY, timing.ANY): worst} if worst else {}
        prefix = {block: f"b{number}" for number, block in enumerate(order)}
        names = [f"{prefix[held[number]]}_{number}" if number in held else f"g{number}" for number in range(len(netlist.gates))]
        (self.folder / "netlist.v").write_text(sta_verilog(netlist, self.top, names))
        libraries = [*(path.name for path in sorted(self.folder.glob("[0-9]*.lib"))), "cut.lib"]
        groups = {prefix[block]: block for block in dict.fromkeys(held.values())}
        (self.folder / "sta.tcl").write_text(timing.sta_script(self.top, technology, libraries, self.period_ps, list(groups)))
        with self.stage(f"{self.top} of {self.config} on {technology.name}: timing, OpenSTA"):
            code, said = run([self.sta, "-no_splash", "-exit", "sta.tcl"], self.folder)
        found = timing.read_sta(said, technology, self.period_ps)
        if code or "Error" in said or (held and not found):
            raise WeftError(f"OpenSTA failed: {next((line for line in said.splitlines() if 'Error' in line), said[-300:])}")
        instances, ports = dict(zip(names, netlist.gates)), netlist.plain_ports()

        def named(pin):
            instance, slash, _ = pin.partition("/")
            return instances[instance].name if slash else f"port {ports[pin]}"

        paths = {key: timing.Path(each.period_ps, named(each.start), named(each.end)) for key, each in found.items()}
        return {tuple(groups.get(end, end) for end in key): path for key, path in paths.items()}

    def _figures(self, netlist, cells, blocks: Blocks, held, rest, paths, memories, effort) -> Synthesis:
        technology = self.library.technology
        area: dict[Block, float] = defaultdict(float)
        registers: dict[Block, float] = defaultdict(float)
        flops: Counter[Block] = Counter()
        for number, (gate, share) in enumerate(zip(netlist.gates, shares(netlist, held, rest, cells))):
            for block, part in share.items():
                area[block] += part * cells[gate.cell].area
            if number in held and not is_memory(gate):
                registers[held[number]] += cells[gate.cell].area
                flops[held[number]] += not cells[gate.cell].clock_gate
        gates = [gate for gate in netlist.gates if cells[gate.cell].clock_gate]
        listed = self._memories(blocks, memories)
        bits: Counter[Block] = Counter()
        for each in listed:
            bits[blocks.block(each.where)] += each.count * each.rows * each.bits
        figures = [
            BlockFigures(
                *(block.room, block.component, area[block], registers[block], flops[block], bits[block]),
                *(paths.get((start, block)) for start in (block, timing.ANY)),
            )
            for block in sorted({*area, *bits}, key=lambda block: (block.room, -area[block]))
        ]
        return Synthesis(
            config=self.config,
            top=self.top,
            library=technology.words,
            period_ps=self.period_ps,
            worst=paths.get((timing.ANY, timing.ANY)),
            timed_by="OpenSTA" if self.sta else "abc",
            mapped_by=f"{self.yosys.package} and abc, {effort}",
            area=sum(area.values()),
            registers=sum(registers.values()),
            gate_equivalent=cells[technology.nand].area if technology.nand in cells else 0.0,
            flip_flops=sum(flops.values()),
            gated=_gated(netlist, gates, held, cells),
            clock_gates=len(gates),
            memory_source=technology.memory_source,
            blocks=tuple(figures),
            memories=tuple(listed),
        )

    def _memories(self, blocks: Blocks, memories: list[Memory]) -> list[MemoryFigures]:
        macros, counts = read_macros(self.library.macros), Counter()
        for memory in memories:
            for path in blocks.paths(self.top, memory.module):
                where = blocks.at(f"{path}.{memory.name}".lstrip("."), self.top).component
                counts[where, dataclasses.replace(memory, module="", name="")] += 1
        found = []
        for (where, memory), count in counts.items():
            macro, number = choose_macro(memory, macros) or (None, 0)
            size = count * number * macro.area if macro else 0.0
            found.append(MemoryFigures(where, count, memory.rows, memory.bits, macro.name if macro else "", number, size))
        return sorted(found, key=lambda each: -each.count * each.rows * each.bits)


def _gated(netlist: Netlist, gates, held, cells: dict[str, Cell]) -> int:
    """How many flip-flops are behind one of the clock gates."""
    clocks = {net for gate in gates for pin, net in gate.pins.items() if pin in cells[gate.cell].outputs}
    return sum(
        not clocks.isdisjoint(netlist.gates[number].pins.values()) for number in held if not cells[netlist.gates[number].cell].clock_gate
    )


def _check_mapped(netlist: Netlist, cells: dict[str, Cell], library: Library):
    """Cells that the library does not have would count as nothing."""
    left = sorted({gate.cell for gate in netlist.gates if gate.cell not in cells})
    if left:
        raise WeftError(f"has no cells for {', '.join(left)}", **_whole(library))


def _whole(library: Library):
    """File and remedy of an error for what the library does not have."""
    return {"file": library.cells[0], "remedy": "give all Liberty files of one library of standard cells"}
