"""The whole SoC as Verilog: lint clean, readable by Yosys and Icarus, its NPU the one that ships alone."""

import re
import shutil
import subprocess

import pytest

from hw.emit.emit import run_yosys
from hw.emit.verilog import npu_verilog, soc_verilog
from hw.npu.config import PRESETS
from hw.soc.config import SocConfig
from tests.sim.test_emit import bad_names, lint, module_names

CONFIG = SocConfig(npu=PRESETS["nano"].replace(name="soc_nano", axi_bits=128))


@pytest.fixture(scope="module")
def shipped():
    return soc_verilog(CONFIG)


def ports(verilog, top="soc"):
    """Ports of a module."""
    return re.findall(r"\w+", re.search(rf"^module {top}\((.*?)\);", verilog, re.MULTILINE | re.DOTALL)[1])


def test_shipped_verilog_is_lint_clean(shipped, tmp_path):
    assert lint(shipped, "soc", tmp_path) == ""


@pytest.mark.slow
def test_with_observation_and_traffic_it_is_lint_clean_too(tmp_path):
    observed = soc_verilog(CONFIG, observe=True, traffic=True)
    assert lint(observed, "soc", tmp_path) == "" and "// For simulation: with the ports obs_*, with a random master" in observed


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "address_bits"), [(32, 32), (256, 40)])
def test_other_widths_of_the_bus_are_lint_clean(bits, address_bits, tmp_path):
    npu = PRESETS["nano"].replace(name="soc_wide", axi_bits=bits, address_bits=address_bits)
    config = SocConfig(npu=npu, npu_gate=64, cpu_gate=256, camera_fifo=17, display_fifo=100, burst_beats=8, write_ahead=1)
    assert lint(soc_verilog(config, traffic=bits == 256), "soc", tmp_path) == ""


def test_yosys_reads_the_shipped_verilog_and_finds_no_loop(shipped, tmp_path):
    (tmp_path / "soc.v").write_text(shipped)
    run_yosys("read_verilog soc.v; hierarchy -check -top soc; proc; flatten; check -assert", tmp_path)


def test_icarus_builds_the_shipped_verilog(shipped, tmp_path):
    compiler = shutil.which("iverilog")
    if compiler is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")
    (tmp_path / "soc.v").write_text(shipped)
    command = [compiler, "-g2005", "-Wall", "-Wno-timescale", "-s", "soc", "-o", "soc.vvp", "soc.v"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and (tmp_path / "soc.vvp").stat().st_size > 0, done.stderr


def test_header_names_the_configuration_and_nothing_is_initialized(shipped):
    assert "//   npu.name = soc_nano\n" in shipped and "//   camera_fifo = 512\n" in shipped
    assert not re.search(r"^\s*initial", shipped, re.MULTILINE) and "obs_" not in shipped


def test_names_are_plain_and_say_what_they_are(shipped):
    assert bad_names(shipped) == []
    assert {"soc_register_file_npu", "soc_register_file_soc"} <= set(module_names(shipped))


def test_every_module_carries_the_prefix(shipped):
    assert all(name == "soc" or name.startswith("soc_") for name in module_names(shipped))


def test_the_ports_are_those_of_the_specification(shipped):
    names = set(ports(shipped))
    assert {"clk", "rst", "irq_npu", "irq_soc", "pixels_valid", "pixels", "frame_start"} <= names
    for prefix in ("m_axi", "s_axi", "s_axil"):
        for channel in ("aw", "w", "b", "ar", "r"):
            assert {f"{prefix}_{channel}valid", f"{prefix}_{channel}ready"} <= names
    width = {
        name: int(high) + 1 for high, name in re.findall(r"^ +(?:in|out)put \[(\d+):0\] (\w+);", shipped.split("\nmodule soc(")[1], re.M)
    }
    assert (width["m_axi_arid"], width["m_axi_awqos"], width["s_axi_awid"], width["s_axil_awaddr"]) == (4, 4, 2, 13)


def test_the_npu_inside_has_the_ports_of_the_one_that_ships_alone(shipped):
    assert sorted(ports(shipped, "soc_npu")) == sorted(ports(npu_verilog(CONFIG.npu), "npu"))
