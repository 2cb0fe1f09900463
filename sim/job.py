"""The harness' job file, written, run and read back: operations in a row, see `sim/harness/job.h`."""

import contextlib
import enum
import errno
import os
import re
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw.npu.errors import WeftError
from hw.npu.interface.registers import ADDRESS_OF


class Op(enum.IntEnum):
    """Operations of the job file; `harness/job.h` says what each takes and answers."""

    END, RESET, LOAD, POKE, PEEK, WAIT, DUMP, STEP, FILL, TUNE, STATISTICS, LOOP, AGAIN = range(13)


class Log(enum.IntEnum):
    """What is kept of the output stage's writes."""

    NONE, FULL, DIGEST = range(3)


class BenchError(RuntimeError):
    """The NPU broke a rule of AXI, its register port does not answer, or the harness failed: never the user's fault. One line."""


class TraceError(WeftError):
    """The waveform cannot be written; the run itself can go without."""


@dataclass(frozen=True)
class Waited:
    """What a wait for the interrupt answered.

    Attributes
    ----------
    interrupt : bool
        False if the limit of cycles came first.
    cycles : int
        From the last register write to the interrupt.
    digest : int
        Of the addresses and bytes written, in their order (`harness/digest.h`); the same whatever was logged, unless it was nothing.
    writes : structured array of `write_dtype`
    retires : structured array of `RETIRE`
    """

    interrupt: bool
    cycles: int
    digest: int
    writes: np.ndarray
    retires: np.ndarray


RETIRE = np.dtype([("cycle", "<u4"), ("index", "<u4")])
"""A command of the output stage is complete: the cycle, and its index in the stream."""


def write_dtype(lanes) -> np.dtype:
    """A write of the output stage: the cycle, the retire pulses before it, address, mask (a bit a byte), bytes."""
    return np.dtype([("cycle", "<u4"), ("ordinal", "<u4"), ("address", "<u4"), ("mask", "<u8"), ("data", "u1", (max(lanes, 1),))])


class Job:
    """Operations for one process of the harness, and their answers.

    Parameters
    ----------
    memory_bytes : int
        Size of DDR.
    lanes : int
        Output lanes of the NPU; 0 if it was built without observation.
    seed : int
        Of registers that no reset reaches, in builds that randomize them.
    """

    def __init__(self, memory_bytes, *, lanes, seed=0):
        self._parts = [struct.pack("<QI", memory_bytes, seed & 0x7FFFFFFF)]
        self._lanes = lanes
        self._answers = []

    def _add(self, operation, *parts):
        self._parts += [struct.pack("<I", operation), *parts]

    def reset(self, *memory):
        """Reset, and set how DDR behaves: a `DdrConfig`, or for a SoC the bytes of its own configuration."""
        self._add(Op.RESET, *(part if isinstance(part, bytes) else part.pack() for part in memory))

    def tune(self, ddr):
        """Set how DDR behaves from here on; the NPU is not reset, and a bus that was silent answers what it owes."""
        self._add(Op.TUNE, ddr.pack())

    def load(self, address, contents):
        """Write memory: bytes or an array."""
        contents = bytes(contents) if not isinstance(contents, np.ndarray) else contents.tobytes()
        self._add(Op.LOAD, struct.pack("<QQ", address, len(contents)), contents)

    def fill(self, address, length, byte):
        """Write one byte everywhere in a range of memory."""
        self._add(Op.FILL, struct.pack("<QQI", address, length, byte))

    def poke(self, register, value):
        """Write a register, by name or offset."""
        self._add(Op.POKE, struct.pack("<II", ADDRESS_OF.get(register, register), value))

    def poke_wide(self, register, value):
        """Write a pair of registers ``_LO``, ``_HI``."""
        self.poke(f"{register}_LO", value & 0xFFFFFFFF)
        self.poke(f"{register}_HI", value >> 32)

    def peek(self, register) -> int:
        """Read a register; answers int."""
        self._add(Op.PEEK, struct.pack("<I", ADDRESS_OF.get(register, register)))
        return self._answer(lambda file: struct.unpack("<I", file.read(4))[0])

    def wait(self, cycles, *, log) -> int:
        """Run until the interrupt; answers `Waited`. `log` is a `Log`, or whether everything is kept."""
        self._add(Op.WAIT, struct.pack("<QI", cycles, log))
        return self._answer(self._read_wait)

    def dump(self, address, length) -> int:
        """Read memory; answers ``uint8[length]``."""
        self._add(Op.DUMP, struct.pack("<QQ", address, length))
        return self._answer(lambda file: np.frombuffer(bytearray(file.read(length)), np.uint8))

    def step(self, cycles):
        """Run for a number of cycles."""
        self._add(Op.STEP, struct.pack("<Q", cycles))

    def statistics(self, reader) -> int:
        """What a SoC's bench has counted; answers what `reader` makes of the result file."""
        self._add(Op.STATISTICS)
        return self._answer(reader)

    @contextlib.contextmanager
    def loop(self, pictures):
        """What is added inside is done again until a SoC's camera and display have made so many pictures; gives the answer's place.

        The answer is a list: for each time the answers of what stands inside, at the places that were given there.
        """
        self._add(Op.LOOP, struct.pack("<I", pictures))
        outside, self._answers = self._answers, []
        yield len(outside)
        inside, self._answers = self._answers, outside
        self._add(Op.AGAIN)
        self._answer(lambda file: _read_loop(file, inside))

    def _answer(self, reader):
        self._answers.append(reader)
        return len(self._answers) - 1

    def _read_wait(self, file):
        interrupt, cycles, digest = struct.unpack("<IQQ", file.read(20))
        events = []
        for dtype in (write_dtype(self._lanes), RETIRE):
            (count,) = struct.unpack("<Q", file.read(8))
            events.append(np.frombuffer(file.read(count * dtype.itemsize), dtype))
        return Waited(bool(interrupt), cycles, digest, *events)

    def run(self, executable, *, trace=None, windows=()) -> list:
        """Run everything; the answers, at the places that `peek`, `wait` and `dump` returned.

        With `windows`, a length and a period, so many cycles in the middle of each period of a wait are traced, and nothing else.

        Raises
        ------
        BenchError
            If the harness ends with an error.
        TraceError
            If `trace` cannot be written.
        """
        if trace:
            _check_trace(Path(trace))
        with tempfile.TemporaryDirectory(prefix="weft-") as folder:
            job, result = Path(folder) / "job", Path(folder) / "result"
            with job.open("wb") as file:
                file.writelines([*self._parts, struct.pack("<I", Op.END)])
            command = [str(executable), str(job), str(result)] + ([str(trace), *map(str, windows)] if trace else [])
            done = subprocess.run(command, capture_output=True, text=True)
            if trace and _is_full(Path(trace)):
                raise TraceError(f"the waveform cannot be written: {os.strerror(errno.ENOSPC)}", file=trace)
            if done.returncode:
                raise BenchError(_failure(done))
            with result.open("rb") as file:
                return [reader(file) for reader in self._answers]


def _failure(done) -> str:
    """One line of what a finished harness says of its failure."""
    said = done.stderr.strip() or f"exit code {done.returncode}"
    broken = re.search(r"Assertion failed in (\S+): (.+)", done.stdout)
    if done.returncode == 6 and broken:
        cycle = said.partition(":")[0]
        return f"the design broke a promise: {cycle}, {broken[1].partition('.')[2]}: {broken[2]}"
    what = {3: "the NPU broke a rule of AXI", 4: "the register port does not answer"}.get(done.returncode, "the harness failed")
    return f"{what}: {said}"


def _check_trace(path: Path):
    """Try whether a waveform can be begun: Verilator is silent when it cannot write it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1 << 12))
    except OSError as error:
        raise TraceError(f"the waveform cannot be written: {error.strerror or error}", file=path) from None


def _is_full(path: Path) -> bool:
    """Whether a waveform has taken the last of its disk, and is cut off."""
    disk = os.statvfs(path.parent)
    return disk.f_blocks > 0 and disk.f_bavail == 0


def _read_loop(file, readers):
    times = []
    while not times or struct.unpack("<I", file.read(4))[0]:
        times.append([reader(file) for reader in readers])
    return times
