"""Runs `axi_jobs.py` on the Verilog that ships, by cocotb on Verilator."""

import pytest

from hw.emit.emit import emit_verilog
from hw.npu.npu import Npu
from tests.protocol.axi_jobs import CONFIG
from tests.protocol.cocotb_run import run_cocotb


@pytest.mark.slow
def test_the_ports_agree_with_an_independent_axi_model(tmp_path, monkeypatch, seed):
    verilog = emit_verilog(Npu(CONFIG), "npu", config=CONFIG)
    counts = run_cocotb(verilog, top="npu", module="tests.protocol.axi_jobs", folder=tmp_path, monkeypatch=monkeypatch, seed=seed)
    assert counts == (3, 0)
