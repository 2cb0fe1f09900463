"""How a build ends that cannot go on, and what it shows meanwhile; a script stands in for the compiler."""

import contextlib

import pytest

from hw.npu.errors import WeftError
from sim import build


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """``compiler(script)``: the script is the C++ compiler."""

    def make(script):
        path = tmp_path / "cxx"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))

    return make


def test_a_compiler_that_fails_is_named_and_no_other_is_begun(tmp_path, compiler):
    compiler(f"echo once >> {tmp_path}/runs; sleep 0.2; exit 3")
    with pytest.raises(WeftError, match="cxx failed: exit code 3"):
        build._compile([(tmp_path / f"{i}.cpp", tmp_path / f"{i}.o", []) for i in range(20)])
    assert len((tmp_path / "runs").read_text().split()) <= 2 * build.JOBS


def test_a_build_shows_one_stage_and_a_kept_one_none(tmp_path, compiler, monkeypatch):
    compiler("")
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    monkeypatch.setattr(build, "_verilate", lambda *arguments: None)
    monkeypatch.setattr(build, "_compile", lambda todo: [])
    monkeypatch.setattr(build, "_run", lambda command: (tmp_path / command[-1]).write_text(""))
    shown = []

    def stage(text):
        shown.append(text)
        return contextlib.nullcontext()

    for _ in range(2):
        build.build("module npu(clk);\n  output [7:0] m_axi_wdata;\nendmodule", stage=stage)
    assert shown == ["building the simulator (kept for the next time)"]
