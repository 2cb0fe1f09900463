"""Whole files in sweeps: what configurations leave to the host is said, and is in no comparison where it could pass for speed."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

import weft.run.network
from hw.npu.config import PRESETS
from tests.host_networks import wide
from tests.tflite_builder import BuilderOperator, BuilderTensor, build_model
from tests.unit.cli.test_cli import MachineAsSimulator, refused
from tests.unit.explore.test_explore import SILENT, made_survey
from weft.cli import networks
from weft.cli.main import main
from weft.compiler.frontends.tflite import read_file
from weft.explore.grid import candidates
from weft.explore.page import page
from weft.explore.plot import plot_lines
from weft.explore.survey import Survey
from weft.explore.sweep import mark_front, sweep
from weft.explore.tables import csv_text, print_tables
from weft.explore.whole_cost import CostedFile
from weft.explore.words import summary
from weft.run.whole import compile_whole

SMALL = PRESETS["small"]


@pytest.fixture
def model(tmp_path, seed):
    """A file of which 16 KiB hold a part, 24 more and 32 everything."""
    path = tmp_path / "wide.tflite"
    path.write_bytes(wide(np.random.default_rng(seed)))
    return path


def mixed(path):
    """A file with an operator between two programs that no configuration runs."""
    tensors = [BuilderTensor(name, (1, 8), scale=1 / 128) for name in "xaby"]
    operators = [BuilderOperator(op, (a,) * (1 + (op == "ADD")), (b,)) for op, a, b in (
        ("ADD", "x", "a"), ("L2_NORMALIZATION", "a", "b"), ("ADD", "b", "y"))]  # fmt: skip
    path.write_bytes(build_model(tensors, operators, ["x"], ["y"]))
    return path


def test_figures_are_sums_over_the_programs_that_weft_run_compiles(tmp_path):
    file = read_file(mixed(tmp_path / "mixed.tflite"))
    (point,) = sweep([CostedFile(file)], candidates(SMALL, {"rows": (16,)}), jobs=1, stage=SILENT)
    whole = compile_whole(file, SMALL)
    (cost,) = point.costs
    assert point.searched and point.cycles == sum(searched.cycles for searched in whole.searched)
    assert (cost.programs, cost.host_steps, cost.host_ops) == (2, 1, ("L2_NORMALIZATION",))
    assert point.host_load == (0, 1) and point.npu_share == 1
    survey = Survey(("mixed",), SMALL, (point,), 100.0)
    assert survey.has_host_steps and not survey.has_partial, "all configurations are alike"
    assert "on the host: L2_NORMALIZATION (not in the figures)" in summary(survey)


def test_a_configuration_that_leaves_more_to_the_host_does_not_pass_for_fast(model):
    points = sweep([CostedFile(read_file(model))], candidates(SMALL, {"act_kib": (16, 24, 32)}), jobs=1, stage=SILENT)
    all_of_it = points[2]
    for figures in ([each.cycles for each in points], [each.energy_uj for each in points], [each.area.total for each in points]):
        assert figures == sorted(set(figures)), "the more on the host, the better it looks"
    macs = 8 * 8 * 2048
    assert [point.host_load for point in points] == [(macs, 2), (macs, 1), (0, 0)]
    assert [point.npu_share for point in points] == [pytest.approx(32 / (macs + 32))] * 2 + [1]
    survey = Survey(("wide",), SMALL, points, 100.0, 11_000.0)
    assert [survey.partial(point) for point in points] == [True, True, False] and all(point.front for point in points)
    assert survey.choose("best") == [all_of_it]
    assert [survey.reaches(point) for point in points] == [False, False, False]
    rows = list(csv.DictReader(io.StringIO(csv_text(survey), newline="")))
    assert [(row["host_operators"], row["partial"], row["reaches_rate"]) for row in rows] == [
        ("2", "1", "?"),
        ("1", "1", "?"),
        ("0", "0", "no"),
    ]
    assert [float(row["npu_macs_percent"]) for row in rows] == [100 * point.npu_share for point in points]
    assert "11000 frames/s at 100 MHz: none; the fastest, 16x16+act_kib=32, makes" in " ".join(summary(survey))
    reason = "on the host: layer conv2d_0 (a): the activation scratchpad of 16 KiB is"
    assert rows[0]["reason"].startswith(reason) and rows[0]["reason"].endswith("(and 1 more)") and not rows[2]["reason"]
    out = io.StringIO()
    print_tables(survey, Console(file=out, width=140))
    assert re.search(r"^ A\* +16x16\+act_kib=16 .* 0\.0 +2 .* \?", out.getvalue(), re.MULTILINE)
    assert re.search(r"^ C +16x16\+act_kib=32 .* 100\.0 +0 .* no", out.getvalue(), re.MULTILINE)
    assert '<td data-value="A*">A*</td>' in page(survey, "1") and "*: more on the host" in "".join(plot_lines(survey, 100))
    assert any(line.startswith("*: leaves more to the host than other configurations") for line in summary(survey))


def test_less_on_the_host_stays_on_the_front_and_answers_the_rate():
    """4x16 beats all others in speed and energy, and 4x4 in area; they leave MACs to the host, or operators."""
    survey = made_survey(100)
    loads = {"4x4": {"host_macs": 500}, "4x8": {}, "4x16": {"host_ops": ("SOFTMAX", "GATHER")}, "4x32": {"host_macs": 500}}
    points = [
        replace(point, costs=tuple(replace(cost, **loads[point.candidate.label], host_steps=1, file_macs=1000) for cost in point.costs))
        for point in survey.points
    ]
    points[1] = replace(
        points[1], costs=tuple(replace(cost, cycles=4 * cost.cycles, energy_uj=3 * cost.energy_uj) for cost in points[1].costs)
    )
    survey = replace(survey, points=tuple(mark_front(points)))
    assert [point.front for point in survey.points] == [True, True, True, True], "4x8 is slow, but whole; 4x32 is faster than 4x4"
    assert [survey.partial(point) for point in survey.points] == [True, False, True, True]
    assert survey.smallest() is None and survey.ranking()[0].candidate.label == "4x8"
    slower = replace(survey, fps=60.0)
    assert slower.smallest().candidate.label == slower.thriftiest().candidate.label == "4x8"
    assert replace(survey, fps=None).ranking()[0].candidate.label == "4x8"
    assert points[0].npu_share == 0.5


def test_an_operator_that_a_pass_put_in_sends_its_neighbours_to_the_host(tmp_path, seed):
    """The conversion in front of the convolution of uint8 is too wide, and the file does not know it."""
    path = tmp_path / "wide.tflite"
    path.write_bytes(wide(np.random.default_rng(seed), "uint8"))
    whole = compile_whole(read_file(path), SMALL.replace(act_kib=16), thorough=False)
    assert [step.name for step in whole.steps] == ["host", "npu"]
    assert [operator.op for operator in whole.host_steps[0].part.operators] == ["CONV_2D", "MEAN"]


def test_the_command_line_sweeps_verifies_and_refuses(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(weft.run.network, "Simulator", MachineAsSimulator)
    between = mixed(tmp_path / "mixed.tflite")
    options = ("--act-kib", "16,32", "--jobs", "1", "--quiet")
    assert main(["explore", str(between), str(model), *options, "--verify", "best"]) == 0
    out = capsys.readouterr().out
    verified = [line.split() for line in out.split("on RTL")[1].splitlines() if "act_kib" in line]
    assert [(row[0], row[1], row[-1]) for row in verified] == [("16x16+act_kib=32", "mixed", "yes"), ("16x16+act_kib=32", "wide", "yes")]
    assert "on the host: CONV_2D, L2_NORMALIZATION, MEAN (not in the figures)" in out
    assert "layer l2_normalization_0 (b): L2_NORMALIZATION: not supported" in refused(capsys, "explore", between, *options, "--no-host")
    assert main(["explore", str(model), *options, "--no-host"]) == 0
    assert "16x16+act_kib=16: layer conv2d_0 (a): the activation scratchpad of 16 KiB is" in " ".join(capsys.readouterr().out.split())
    alone = tmp_path / "alone.tflite"
    tensors = [BuilderTensor(name, (1, 8), scale=1 / 128) for name in "xy"]
    alone.write_bytes(build_model(tensors, [BuilderOperator("L2_NORMALIZATION", ("x",), ("y",))], ["x"], ["y"]))
    assert "the NPU can run none of its 1 operators" in refused(capsys, "explore", alone, *options)


def test_the_table_of_networks_says_what_the_host_has(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(weft.run.network, "Simulator", MachineAsSimulator)
    mixed(tmp_path / "mixed.tflite")
    networks.main([str(tmp_path), "--set", "act_kib=16"])
    out = capsys.readouterr().out
    assert "mixed: on the host L2_NORMALIZATION, not counted; 100.0 % of the file's MACs are on the NPU" in out
    assert "wide: on the host CONV_2D, MEAN, not counted; 0.0 % of the file's MACs are on the NPU" in out
