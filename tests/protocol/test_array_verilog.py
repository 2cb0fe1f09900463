"""Runs `array_waves.py` on the Verilog of one block, by cocotb on Verilator."""

from hw.emit.emit import emit_verilog
from hw.npu.array.array import SystolicArray
from tests.protocol.array_waves import BROADCAST, COLS, ROWS
from tests.protocol.cocotb_run import run_cocotb


def test_the_emitted_array_multiplies_and_filters(tmp_path, monkeypatch, seed):
    verilog = emit_verilog(SystolicArray(rows=ROWS, cols=COLS, broadcast=BROADCAST), "array")
    counts = run_cocotb(verilog, top="array", module="tests.protocol.array_waves", folder=tmp_path, monkeypatch=monkeypatch, seed=seed)
    assert counts == (2, 0)
