"""Areas by Yosys on the 130 nm library: of an array of 4x4, with INT4 and without."""

import gzip
from pathlib import Path

import pytest

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from sim.run import npu_verilog
from tests.unit.test_cli import refused
from weft.analysis.synthesis import _check_mapped, _own_areas, read_library, synthesize
from weft.cli.main import main
from weft.explore.area import INT4_ELEMENT

TINY = NpuConfig(name="tiny", rows=4, cols=4, act_kib=16, weight_kib=8)


@pytest.fixture(scope="module")
def process() -> Path:
    """Folder of the 130 nm process."""
    folder = Path(__file__).parents[3] / "shared" / "pdk" / "ihp-sg13g2"
    if not folder.is_dir():
        pytest.skip("no ../shared/pdk: the Liberty files of IHP SG13G2 come from the IHP-GmbH/IHP-Open-PDK repository")
    return folder


@pytest.fixture(scope="module")
def cells(process) -> Path:
    """Its standard cells."""
    return process / "sg13g2_stdcell_typ_1p20V_25C.lib"


@pytest.mark.parametrize("block", ["array", "loader", "activations"])
def test_a_block_with_int4_is_larger_and_every_module_has_an_area(block, cells):
    plain, int4 = (synthesize(npu_verilog(config), block, [cells]) for config in (TINY, TINY.replace(int4=True)))
    assert 0 < plain.registers < plain.area < int4.area
    for found in (plain, int4):
        assert all(module.area > 0 and 0 <= module.registers <= module.area for module in found.modules)
    if block == "array":
        assert {module.name: module.instances for module in plain.modules} == {"npu_systolic_array": 1, "npu_pe_row": 4}
        assert int4.area / plain.area == pytest.approx(INT4_ELEMENT, abs=0.02)  # what `weft explore` weighs it with


def test_areas_of_modules_are_their_own_times_their_instances():
    counted = {
        "top": {"area": 100.0, "sequential_area": 30.0, "num_cells_by_type": {"cell": 4, "a": 2, "b": 1}},
        "a": {"area": 20.0, "sequential_area": 10.0, "num_cells_by_type": {"cell": 3, "b": 3}},
        "b": {"area": 5.0, "sequential_area": 0.0, "num_cells_by_type": {"cell": 1}},
    }
    found = {module.name: (module.instances, module.area, module.registers) for module in _own_areas(counted, "top")}
    # b: once in the top, three times in each a; the top has 100 - 2 * 20 - 5 to itself, an a 20 - 3 * 5
    assert found == {"top": (1, 55.0, 10.0), "a": (2, 10.0, 20.0), "b": (7, 35.0, 0.0)}
    assert sum(area for _, area, _ in found.values()) == 100


def test_a_library_without_flip_flops_is_refused(process):
    with pytest.raises(
        WeftError, match=r"RM_IHPSG13_1P_64x64.*cannot map npu_systolic_array onto it.*give all Liberty files of one library"
    ):
        synthesize(npu_verilog(TINY), "array", [process / "RM_IHPSG13_1P_64x64_c2_bm_bist_typ_1p20V_25C.lib"])


def test_a_cell_of_yosys_that_is_left_is_refused_and_not_counted_as_nothing():
    modules = {"top": {"num_cells_by_type": {"nand2": 3, "$_DLATCH_P_": 1, "below": 2}}, "below": {"num_cells_by_type": {"nand2": 1}}}
    with pytest.raises(WeftError, match=r"x\.lib: has no cells for \$_DLATCH_P_; give all"):
        _check_mapped(modules, [Path("x.lib")])
    _check_mapped({"below": modules["below"]}, [Path("x.lib")])


def test_a_packed_library_is_read_and_anything_else_is_refused(tmp_path):
    (tmp_path / "good.lib.gz").write_bytes(gzip.compress(b"/* cells */\nlibrary (x) {}\n"))
    assert "library (x)" in read_library(tmp_path / "good.lib.gz")
    (tmp_path / "bad.lib.gz").write_bytes(b"library (x) {}")
    (tmp_path / "text.lib").write_text("Dear library,\n")
    for name, words in (("bad.lib.gz", "cannot be unpacked"), ("text.lib", "is no Liberty file"), ("absent.lib", "no such Liberty file")):
        with pytest.raises(WeftError, match=words):
            read_library(tmp_path / name)


def test_synth_prints_a_table(cells, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    sizes = [word for field in ("rows=4", "cols=4", "act_kib=16", "weight_kib=8", "int4=true") for word in ("--set", field)]
    assert main(["synth", "--library", str(cells), *sizes, "--quiet"]) == 0
    captured = capsys.readouterr()
    total = next(int(line.split()[1]) for line in captured.out.splitlines() if line.startswith(" total"))
    assert f"um2 for a MAC a cycle: {total / 16:.0f} in INT8, {total / 32:.0f} in INT4" in captured.out
    assert captured.err == ""


def test_mistakes_are_one_line_before_the_work(capsys, tmp_path):
    absent = tmp_path / "absent.lib"
    for arguments, words in (
        (["synth"], "no library of cells is given; --library FILE"),
        (["synth", "core", "--library", absent], "no block is called 'core'"),
        (["synth", "interpolator", "--config", "nano"], "nano has no interpolator; --set interpolation=true"),
        (["synth", "--library", absent], f"{absent}: no such Liberty file"),
    ):
        assert words in refused(capsys, *arguments), arguments
