"""The whole NPU as Verilog: lint clean, readable by yosys, and with or without observation the same design."""

import re
import shutil
import subprocess

import pytest

from hw.emit.emit import run_yosys
from hw.npu.config import PRESETS
from sim.run import npu_verilog
from tests.sim.test_emit import bad_names, lint, module_names


@pytest.fixture(scope="module")
def shipped():
    return npu_verilog(PRESETS["nano"])


def test_shipped_verilog_is_lint_clean(shipped, tmp_path):
    assert lint(shipped, "npu", tmp_path) == ""


def test_with_int4_it_is_lint_clean_too(shipped, tmp_path):
    int4 = npu_verilog(PRESETS["nano"].replace(int4=True))
    assert lint(int4, "npu", tmp_path) == "" and "//   int4 = True\n" in int4
    assert set(module_names(int4)) - set(module_names(shipped)) == {"npu_row_splitter"}


def test_with_interpolation_it_is_lint_clean_too(shipped, tmp_path):
    interpolation = npu_verilog(PRESETS["nano"].replace(interpolation=True))
    assert lint(interpolation, "npu", tmp_path) == "" and "//   interpolation = True\n" in interpolation
    assert set(module_names(interpolation)) - set(module_names(shipped)) >= {"npu_interpolation_walk", "npu_interpolator"}


def test_without_interpolation_nothing_of_it_is_left(shipped):
    assert not re.search(r"interpol|fraction_|carry_[xy]|weighs", shipped)


def test_without_int4_nothing_of_it_is_left(shipped):
    """Neither a module, nor a line of the header, nor any of its names; comments above modules say what a port is in general."""
    header, modules = shipped.split("\n\n", 1)
    assert "Modules, each" in header and "npu_row_groups" in header
    assert not re.search(r"int4|paired|row_splitter|zero_upper|skew_other", header + re.sub(r"//.*", "", modules))


@pytest.mark.slow
@pytest.mark.parametrize("preset", sorted(PRESETS.keys() - {"nano"}))
def test_every_preset_is_lint_clean(preset, tmp_path):
    assert lint(npu_verilog(PRESETS[preset]), "npu", tmp_path) == ""


def test_yosys_reads_the_shipped_verilog_and_finds_no_loop(shipped, tmp_path):
    (tmp_path / "npu.v").write_text(shipped)
    run_yosys("read_verilog npu.v; hierarchy -check -top npu; proc; flatten; check -assert", tmp_path)


def test_icarus_builds_the_shipped_verilog(shipped, tmp_path):
    compiler = shutil.which("iverilog")
    if compiler is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")
    (tmp_path / "npu.v").write_text(shipped)
    command = [compiler, "-g2005", "-Wall", "-Wno-timescale", "-s", "npu", "-o", "npu.vvp", "npu.v"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and (tmp_path / "npu.vvp").stat().st_size > 0, done.stderr


def test_header_names_the_configuration_and_nothing_is_initialized(shipped):
    assert "//   name = nano\n" in shipped and "//   rows = 8\n" in shipped
    assert not re.search(r"^\s*initial", shipped, re.MULTILINE) and "obs_" not in shipped


def test_observation_adds_ports_and_no_module(shipped):
    assert module_names(npu_verilog(PRESETS["nano"], observe=True)) == module_names(shipped)


def test_every_module_carries_the_prefix(shipped):
    assert all(name == "npu" or name.startswith("npu_") for name in module_names(shipped))


def test_names_are_plain_and_say_what_they_are(shipped):
    assert bad_names(shipped) == []
    assert {"npu_bank_activation_scratchpad", "npu_bank_weight_scratchpad", "npu_command_queue_execute"} <= set(module_names(shipped))


def test_every_module_has_a_comment_above_it(shipped):
    assert re.findall(r"(?<!\n)\n\nmodule .*", shipped) == [], "no comment"
    assert "// First-in first-out queue in a memory with asynchronous read." in shipped
