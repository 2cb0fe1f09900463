"""The whole NPU as Verilog: lint clean, readable by yosys, and with or without observation the same design."""

import re

import pytest

from hw.npu.config import PRESETS
from sim.emit import run_yosys
from sim.run import npu_verilog
from tests.sim.test_emit import lint, module_names


@pytest.fixture(scope="module")
def shipped():
    return npu_verilog(PRESETS["nano"])


def test_shipped_verilog_is_lint_clean(shipped, tmp_path):
    assert lint(shipped, "npu", tmp_path) == ""


def test_yosys_reads_the_shipped_verilog_and_finds_no_loop(shipped, tmp_path):
    (tmp_path / "npu.v").write_text(shipped)
    run_yosys("read_verilog npu.v; hierarchy -check -top npu; proc; flatten; check -assert", tmp_path)


def test_header_names_the_configuration_and_nothing_is_initialized(shipped):
    assert "//   name = nano\n" in shipped and "//   rows = 8\n" in shipped
    assert not re.search(r"^\s*initial", shipped, re.MULTILINE) and "obs_" not in shipped


def test_observation_adds_ports_and_no_module(shipped):
    assert module_names(npu_verilog(PRESETS["nano"], observe=True)) == module_names(shipped)


def test_every_module_carries_the_prefix(shipped):
    assert all(name == "npu" or name.startswith("npu_") for name in module_names(shipped))
