"""Runs `axi_masters.py` on the fabrics' Verilog, by cocotb on Verilator."""

import pytest

from hw.emit.emit import emit_verilog
from tests.protocol.cocotb_run import run_cocotb
from tests.soc.axi_masters import LONGEST
from tests.soc.fabric_top import FabricTop


@pytest.mark.slow
def test_the_fabrics_agree_with_an_independent_axi_model(tmp_path, monkeypatch, seed):
    verilog = emit_verilog(FabricTop(gates=LONGEST, depth=4), "fabric")
    counts = run_cocotb(verilog, top="fabric", module="tests.soc.axi_masters", folder=tmp_path, monkeypatch=monkeypatch, seed=seed)
    assert counts == (1, 0)
