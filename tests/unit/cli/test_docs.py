"""The generated pages are those that the tables give today."""

import dataclasses
import json
import re

import pytest

from hw.npu.config import NpuConfig
from hw.npu.interface.command_fields import GROUPS
from hw.npu.interface.isa import Error, Opcode
from hw.npu.interface.registers import REGISTERS
from tests.random_graphs import random_network
from tests.rtl.cycles import recorded, recorded_under
from weft.cli.main import main
from weft.compiler.driver import compile_graph
from weft.compiler.image import write_image
from weft.compiler.limits import LIMITS
from weft.docs import FOLDER, PAGES_OF_DOCS, commands_page, configuration_page
from weft.report.operators import operators_page


@pytest.mark.parametrize("name", PAGES_OF_DOCS)
def test_committed_page_is_the_generated_one(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES_OF_DOCS[name](), f"run `make docs` and commit docs/{name}"


def test_every_field_of_a_configuration_is_there():
    page = configuration_page()
    assert [field.name for field in dataclasses.fields(NpuConfig) if f"| `{field.name}` | " not in page] == []


def test_every_limit_of_every_operator_is_on_the_page_and_in_the_command(capsys):
    page = " ".join(operators_page().split())
    for op, limits in LIMITS.items():
        assert re.search(rf"## (\w+, )*{op}\b", page), op
        assert main(["operators", op.lower()]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        for limit in limits:
            assert f"- {limit.__doc__}." in page and f"- {limit.__doc__}." in printed, (op, limit.__name__)


def test_the_list_of_operators_fits_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["operators"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert [op for op in LIMITS if not re.search(rf"\b{op}\b", "\n".join(lines))] == []


@pytest.mark.parametrize(("name", "words"), [
    ("conv2d", "TFLite has no operator 'CONV2D'; did you mean CONV_2D"),
    ("while", "WHILE is not supported: it is control flow; weft operators lists what is"),
    ("CUMSUM", "CUMSUM is not supported; weft operators lists what is"),
    ("xyzzy", "TFLite has no operator 'XYZZY'; weft operators lists those that are supported"),
])  # fmt: skip
def test_an_operator_that_is_not_supported_has_no_limits(capsys, name, words):
    assert main(["operators", name]) == 2
    assert words in capsys.readouterr().err


def test_the_page_for_integrators_knows_every_key_register_and_error(tmp_path):
    page = (FOLDER / "integrate.md").read_text(encoding="utf-8")
    described = json.loads((write_image(compile_graph(random_network(0), NpuConfig(act_kib=1024)), tmp_path) / "map.json").read_text())
    assert [key for key in described if f"`{key}`" not in page] == []
    assert [error.name for error in Error if error is not Error.NONE and error.name not in page] == []
    known = {error.name for error in Error} | {register.name for register in REGISTERS}
    known |= {name.removesuffix("_LO") for name in known}
    assert [word for word in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", page) if word not in known] == []


def test_every_command_field_and_error_is_there():
    page = commands_page()
    for opcode in Opcode:
        assert f"### {opcode.name}\n" in page
    for group, table in GROUPS.items():
        for field in table:
            assert f"| {group}.{field.name} | " in page
    for error in Error:
        assert f"| {error.value} | {error.name} | " in page


def test_places_are_those_of_the_layout():
    # header.opcode is the first byte of a command
    assert "| header.opcode | 7:0 | u8 |" in commands_page()


def test_the_report_in_the_readme_has_the_cycles_that_the_rtl_takes():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert f"cycles       {recorded('small/resnet8')} of the NPU" in readme, "run the command above the report and paste what it prints"
    for network, cycles in recorded_under("small").items():
        assert f" {cycles:,} |".replace(",", " ") in readme, f"{network}: run make networks and paste its figures"
