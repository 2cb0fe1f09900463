"""Sweeps: the front against its definition, areas against the RTL, and what tables, files and answers hold."""

import csv
import io
import os
import re
from html import escape
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import rtlil
from rich.console import Console

from hw.npu.array.pe_row import PeRow
from hw.npu.config import PRESETS, NpuConfig, load_config
from hw.npu.errors import WeftError
from hw.npu.npu import Npu
from tests.int4_graphs import with_int4_weights
from weft.analysis.search import search
from weft.analysis.timing import replay
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.explore.area import BITS_PER_MULTIPLIER, INT4_ELEMENT, Area, area_of
from weft.explore.cost import NetworkCost
from weft.explore.grid import MOST, Candidate, candidates, parse_switch, parse_values
from weft.explore.page import page
from weft.explore.pareto import on_front
from weft.explore.plot import plot_lines, ticks_between
from weft.explore.survey import Survey, check_choice
from weft.explore.sweep import Point, mark_front, sweep
from weft.explore.tables import csv_rows, csv_text, print_tables
from weft.explore.words import summary
from weft.explore.workers import run_tasks
from weft.run.progress import Steps

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits.tflite"
SMALL = PRESETS["small"]
SILENT = Steps(quiet=True).stage


@pytest.fixture(scope="module")
def digits():
    """The network of the example."""
    return read_tflite(DIGITS)


@pytest.fixture(scope="module")
def swept(digits):
    """Six arrays with an accumulator that is too narrow, and wide enough: the first are rows of failure."""
    lists = {"rows": (4, 8, 16), "cols": (8, 16), "accumulator_bits": (20, 32)}
    return sweep([digits], candidates(SMALL, lists), jobs=1, stage=SILENT)


@pytest.fixture
def survey(swept):
    """The sweep at 100 MHz, 10 000 frames a second."""
    return Survey(("digits",), SMALL, swept, 100.0, 10_000.0)


def dominated(row, rows):
    """By the definition, in words: another row is nowhere worse, and somewhere better."""
    return any(all(o <= r for o, r in zip(other, row)) and any(o < r for o, r in zip(other, row)) for other in rows)


def test_the_front_is_what_nothing_dominates(seed):
    random = np.random.default_rng(seed)
    for _ in range(200):
        shape = int(random.integers(1, 30)), int(random.integers(1, 4))
        rows = random.integers(0, 6, shape).tolist()  # few values, so that columns and whole rows are equal
        expected = [not dominated(row, rows) for row in rows]
        assert on_front(rows) == expected, f"seed {seed}: {rows}"


def test_equal_rows_are_on_the_front_together_and_no_rows_have_no_front():
    assert on_front([(1, 2), (1, 2), (2, 2), (2, 1)]) == [True, True, False, True]
    assert on_front([]) == []


def test_area_is_counted_and_weighed():
    area = area_of(NpuConfig(rows=8, cols=16, act_kib=32, weight_kib=16, lane_divisor=2, accumulator_bits=24))
    assert area.array == 8 * 16
    assert area.output == 8 * 16.5  # eight lanes, 32x33 bits in halves of 16 and 17
    assert area.second == 8 * 9 * 33 / 64  # 9x33
    assert area.softmax == 16.5
    assert (area.activations, area.weights) == (32 * 8192, 16 * 8192)
    assert area.accumulators == 2 * 256 * 16 * 24
    assert area.multipliers == 128 + 132 + 37.125 + 16.5
    assert area.sram_bits == 262144 + 131072 + 196608
    assert area.total == 313.625 * BITS_PER_MULTIPLIER + 589824


def test_multipliers_are_those_of_the_rtl():
    config = NpuConfig(rows=8, cols=4, lane_divisor=2, act_kib=16, weight_kib=8)
    products = dict.fromkeys(("array", "output", "second", "softmax"), 0)
    places = {"array": r"\.array\b", "second": r"\.second\b", "softmax": r"\.softmax\b", "output": r"\.scale\b"}
    cell = re.compile(r"^module (\S+)|cell \$mul.*?A_WIDTH (\d+).*?B_WIDTH (\d+)", re.MULTILINE | re.DOTALL)
    module = ""
    for found in cell.finditer(rtlil.convert(Npu(config))):
        module = found[1] or module
        place = next((name for name, pattern in places.items() if re.search(pattern, module)), None)
        if found[2] and place and min(int(found[2]), int(found[3])) >= 8:  # narrower ones are indices of fields
            products[place] += int(found[2]) * int(found[3])
    area = area_of(config)
    assert {name: total / 64 for name, total in products.items()} == {name: getattr(area, name) for name in products}


def test_an_element_for_4_bit_weights_has_two_multipliers_and_counts_as_measured():
    config = NpuConfig(rows=8, cols=4, act_kib=16, weight_kib=8, int4=True)
    widths = re.findall(r"cell \$mul.*?A_WIDTH (\d+).*?B_WIDTH (\d+)", rtlil.convert(PeRow(cols=1, psum_bits=19, int4=True)), re.DOTALL)
    assert sorted(widths) == [("8", "4"), ("8", "5")]
    assert area_of(config).array == 32 * INT4_ELEMENT
    assert area_of(config).total - area_of(config.replace(int4=False)).total == pytest.approx(32 * (INT4_ELEMENT - 1) * BITS_PER_MULTIPLIER)


def test_every_combination_has_a_label_and_the_name_of_weft_run():
    chosen = candidates(SMALL, {"act_kib": (384, 96), "cols": (16,), "rows": (8, 16)})
    assert [candidate.label for candidate in chosen] == ["8x16+act_kib=384", "8x16+act_kib=96", "16x16+act_kib=384", "16x16+act_kib=96"]
    names = ["small+rows=8", "small+rows=8+act_kib=96", "small", "small+act_kib=96"]
    assert [candidate.config.name for candidate in chosen] == names
    assert chosen[1].config == SMALL.replace(rows=8, act_kib=96, name=names[1])
    assert len(candidates(SMALL, {})) == 16


def test_values_that_do_not_go_together_are_a_candidate_with_a_reason():
    good, bad = candidates(SMALL, {"rows": (4, 5)})
    assert (good.config.rows, good.reason) == (4, "")
    assert bad.config is None and "rows = 5 must be one of" in bad.reason


def test_arrays_with_and_without_int4_are_named_as_weft_run_names_them():
    plain, int4 = candidates(SMALL, {"int4": parse_switch("--int4", "both")})
    assert (plain.label, plain.config) == ("16x16+int4=false", SMALL)
    assert (int4.label, int4.config) == ("16x16+int4=true", load_config("small", ["int4=true"]))
    assert parse_switch("--int4", "on") == (True,) and parse_switch("--int4", "off") == (False,)
    with pytest.raises(WeftError, match="--int4 yes: it is off, on, both"):
        parse_switch("--int4", "yes")


def test_4_bit_weights_gain_where_the_array_knows_them(digits):
    points = sweep([with_int4_weights(digits)], candidates(SMALL, {"int4": (False, True)}), jobs=1, stage=SILENT)
    plain, int4 = points
    assert int4.cycles < plain.cycles and int4.area.total > plain.area.total and int4.ddr_bytes < plain.ddr_bytes
    assert (plain.int4_share, int4.int4_share) == (0, 1)
    assert plain.utilization == plain.macs / (plain.cycles * 256)
    assert plain.macs / (int4.cycles * 512) <= int4.utilization < 1
    rows = csv_rows(Survey(("digits",), SMALL, points, 100.0))
    assert [(row["int4"], row["int4_macs_percent"]) for row in rows] == [("false", 0), ("true", 100)]
    out = io.StringIO()
    print_tables(Survey(("digits",), SMALL, points, 100.0), Console(file=out, width=110))
    assert "int4 %" in out.getvalue() and "16x16+int4=true" in out.getvalue()


def test_lists_are_whole_numbers_each_once():
    assert parse_values("--rows", "16, 8,16,0x20") == (16, 8, 32)
    with pytest.raises(WeftError, match=r"--rows 4,,8: '' is not a whole number"):
        parse_values("--rows", "4,,8")


def test_one_configuration_too_many_is_refused():
    assert len(candidates(SMALL, {"act_kib": tuple(range(MOST))})) == MOST
    with pytest.raises(WeftError, match=f"more than {MOST} configurations"):
        candidates(SMALL, {"act_kib": tuple(range(MOST + 1))})


def test_a_configuration_that_does_not_work_is_a_row_that_says_why(swept):
    failed = [point for point in swept if not point.works]
    assert [point.candidate.label for point in failed] == [f"{rows}x{cols}+accumulator_bits=20" for rows in (4, 8, 16) for cols in (8, 16)]
    assert all("layer conv2d_1" in point.reason and "accumulator_bits is 20" in point.reason for point in failed)
    assert not any(point.front for point in failed)
    assert len(swept) == 12


def test_with_several_networks_the_reason_names_the_one(digits):
    (point,) = sweep([digits, digits], candidates(SMALL, {"accumulator_bits": (20,)}), jobs=1, stage=SILENT)
    assert point.reason.count("digits: layer conv2d_1") == 2


def test_cycles_are_the_timing_models_and_the_front_is_searched(swept, digits):
    working = [point for point in swept if point.works]
    assert any(point.front for point in working) and not all(point.front for point in working)
    for point in working:
        compiled = search(digits, point.candidate.config).compiled if point.searched else compile_graph(digits, point.candidate.config)
        assert point.cycles == replay(compiled.program).cycles, point.candidate.label
        assert point.searched or not point.front, "a point that was searched may leave the front to others that were"
        assert point.utilization == point.macs / (point.cycles * point.candidate.config.rows * point.candidate.config.cols)


def test_the_result_does_not_depend_on_the_number_of_processes(digits, swept):
    parallel = sweep([digits], [point.candidate for point in swept], jobs=2, stage=SILENT)
    assert parallel == swept


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_worker_that_dies_is_one_line():
    with pytest.raises(WeftError, match="a worker process died"):
        run_tasks([Deadly()], [(0, SMALL, False)] * 2, jobs=2)


def made_point(cols, cycles, energy, bits):
    """A point of chosen figures; the networks A and B share its cycles and its energy as 1 to 3."""
    candidate = Candidate(f"4x{cols}", (("cols", cols),), SMALL.replace(rows=4, cols=cols))
    shares = ((0.25, "A"), (0.75, "B"))
    costs = tuple(
        NetworkCost(name, int(cycles * share), 1000, int(4 * cols * cycles * share), 0, energy * share, 2048, ("SOFTMAX",), True)
        for share, name in shares
    )
    return Point(candidate, Area(100, 0, 0, 0, 0, bits, 0, 0), costs)


def made_survey(fps):
    """Three members of the front and one that another beats; 1 MHz, so that a thousand cycles are a millisecond."""
    figures = [(4, 8000, 40.0, 1000), (8, 4000, 80.0, 2000), (16, 2000, 30.0, 9000), (32, 4000, 90.0, 2000)]
    return Survey(("A", "B"), SMALL, tuple(mark_front([made_point(*each) for each in figures])), 1.0, fps)


def test_sums_over_networks_are_a_frame():
    survey = made_survey(200)
    slow = survey.points[0]
    assert (slow.cycles, slow.energy_uj, slow.ddr_bytes, slow.macs) == (8000, 40.0, 4096, 2000)
    assert survey.latency_ms(slow.cycles) == 8
    assert survey.rate(slow) == 125
    assert survey.power_mw(slow) == 5  # 40 uJ in 8 ms
    assert survey.power_at_rate_mw(slow) == 8  # 40 uJ, 200 times a second
    assert survey.relative_area(slow) == (100 * BITS_PER_MULTIPLIER + 1000) / area_of(SMALL).total


def test_a_frame_rate_chooses_the_smallest_and_the_thriftiest():
    survey = made_survey(250)  # 4000 cycles reach it exactly
    assert [survey.reaches(point) for point in survey.points] == [False, True, True, True]
    assert survey.smallest().candidate.label == "4x8"
    assert survey.thriftiest().candidate.label == "4x16"
    assert [point.candidate.label for point in survey.ranking()] == ["4x8", "4x16", "4x4"]
    lines = "\n".join(summary(survey))
    assert "250 frames/s at 1 MHz: 3 of 4\n  smallest: 4x8, 4 ms" in lines
    assert "  least energy: 4x16, 2 ms" in lines
    assert "30 uJ a frame, 7.5 mW at the rate" in lines
    assert "front: 3 of 4" in lines and "on the host: SOFTMAX" in lines and f"{BITS_PER_MULTIPLIER} bits of SRAM" in lines


def test_a_rate_that_nothing_reaches_is_said():
    survey = made_survey(501)
    assert (survey.smallest(), survey.thriftiest()) == (None, None)
    assert "501 frames/s at 1 MHz: none; the fastest, 4x16, makes 500" in summary(survey)


def test_points_are_chosen_by_word_number_and_label(survey):
    made = made_survey(None)  # products of 8000 * 40 * 81000, 4000 * 80 * 82000, 2000 * 30 * 89000
    labels = {text: [point.candidate.label for point in made.choose(text)] for text in ("best", "2", "99", "front", "4x32, 4x4")}
    assert labels == {
        "best": ["4x16"],
        "2": ["4x16", "4x4"],
        "99": ["4x16", "4x4", "4x8"],
        "front": ["4x16", "4x8", "4x4"],
        "4x32, 4x4": ["4x32", "4x4"],
    }
    with pytest.raises(WeftError, match="does not work: layer conv2d_1"):
        survey.choose("4x8+accumulator_bits=20")
    for text, words in (("0", "verifies nothing"), ("9x9", "--verify 9x9: no configuration"), ("", "no configuration")):
        with pytest.raises(WeftError, match=words):
            check_choice(text, ["4x4"])
    for text in ("best", "front", "3", "4x4,4x4"):
        check_choice(text, ["4x4"])


def test_csv_has_a_row_for_every_configuration(survey, swept):
    rows = list(csv.DictReader(io.StringIO(csv_text(survey), newline="")))
    assert [row["config"] for row in rows] == [point.candidate.label for point in swept]
    for row, point in zip(rows, swept):
        assert (int(row["rows"]), int(row["cols"]), int(row["act_kib"])) == (point.candidate.config.rows, point.candidate.config.cols, 384)
        assert bool(row["front"]) == point.front
        assert row["reason"] == point.reason
        if point.works:
            assert int(row["cycles"]) == point.cycles
            assert float(row["latency_ms"]) == point.cycles / 1e5
            assert float(row["energy_uj"]) == point.energy_uj
            assert float(row["area_kibit"]) == point.area.total / 1024
            assert row["reaches_rate"] == ("yes" if 1e8 / point.cycles >= 10_000 else "no")
        else:
            assert row["cycles"] == row["relative_area"] == ""
    assert "cycles_B" in csv_rows(made_survey(None))[0]


@pytest.mark.parametrize("width", [80, 110, 60])
def test_tables_and_plot_fit_the_terminal_and_hold_every_figure(width):
    survey = made_survey(200)
    out = io.StringIO()
    print_tables(survey, Console(file=out, width=width))
    lines = out.getvalue().splitlines() + plot_lines(survey, width)
    assert max(map(len, lines)) <= width
    text = " ".join(out.getvalue().split())
    for figure in ("8000", "2000", "6000", "125", "A 4x16", "C 4x4", "mW at 200/s"):
        assert figure in text, figure
    assert "4.0" in text  # DDR, KiB


def test_the_plot_shows_the_front_in_letters_and_survives_a_single_point():
    survey = made_survey(None)
    text = "\n".join(plot_lines(survey, 80))
    assert all(f"{letter}" in text for letter in "ABC")
    assert "│" in text
    plain = "\n".join(plot_lines(survey, 80, ascii_only=True))
    assert plain.isascii() and "|" in plain
    single = Survey(("A", "B"), SMALL, tuple(mark_front(survey.points[:1])), 1.0)
    assert "A" in "\n".join(plot_lines(single, 80))


def test_ticks_lie_between_the_ends():
    assert ticks_between(0.9, 21) == [1, 2, 5, 10, 20]
    assert ticks_between(0.834, 1.3) == [0.834, 1.3]
    assert ticks_between(3, 3) == [3]


def test_the_page_needs_nothing_else_and_has_every_row(survey, swept):
    text = page(survey, "1.2.3")
    own = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r"\b(?:src|href)=", own) and "http" not in own
    assert not re.findall(r"<script[^>]*\bsrc=", text)
    assert "Plotly.newPlot" in text and len(text) > 1_000_000  # plotly's own script is in it
    rows = re.findall(r"<tr(.*?)</tr>", own.split("<tbody>")[1], re.DOTALL)
    working = [point for point in swept if point.works]
    assert [re.findall(r'data-value="(.*?)"', row)[1:3] for row in rows] == [[p.candidate.label, str(p.cycles)] for p in working]
    assert [row.startswith(' class="front"') for row in rows] == [point.front for point in working]
    assert all(f"<li>{escape(p.candidate.label)}: {escape(p.reason)}</li>" in own for p in swept if not p.works)
    assert "<p>weft 1.2.3</p>" in own
    assert page(survey, "1.2.3") == text
