"""The clock of reports: stated, or of a synthesis on record; and what is on record."""

import json

import pytest

from hw.npu.config import PRESETS, NpuConfig
from tests.unit.report.test_report import example
from weft.analysis.synthesis import recorded
from weft.analysis.synthesis.figures import BlockFigures, MemoryFigures, Synthesis, from_json
from weft.analysis.synthesis.technology import ASAP7, SG13G2
from weft.analysis.synthesis.timing import Path
from weft.explore.survey import Survey
from weft.explore.words import summary
from weft.report import clock
from weft.report.clock import choose_clock
from weft.report.report import build_report
from weft.report.silicon import silicon_page

BLOCK = BlockFigures("feed", "feed_gate", 8.75, 4.0, 12, 0, None, Path(900.0, "core.a[1]", "core.b"))
MEMORY = MemoryFigures("bank", 4, 512, 64, "", 0, 0.0)
FACTS = {"timed_by": "OpenSTA", "mapped_by": "pyosys 0.70", "area": 8.75, "registers": 4.0, "gate_equivalent": 0.0875, "flip_flops": 12}
FACTS |= {"gated": 6, "clock_gates": 1, "memory_source": "250 ps", "blocks": (BLOCK,), "memories": (MEMORY,)}


def made(config, period_ps, library=ASAP7.words, top="npu"):
    """A synthesis that reached a period."""
    return Synthesis(config=config, top=top, library=library, period_ps=900.0, worst=Path(period_ps, "core.a[1]", "core.b"), **FACTS)


@pytest.fixture
def on_record(monkeypatch):
    """Three configurations, one block and one other process."""
    found = (made("nano", 800.0), made("small", 900.0), made("odd", 850.0))
    found += (made("small", 2000.0, SG13G2.words), made("small", 100.0, top="npu_feed_gate"))
    monkeypatch.setattr(clock, "recorded", lambda: found)


def test_a_clock_that_is_stated_wins(on_record):
    assert choose_clock(NpuConfig(name="small"), 123.5) == clock.Clock(123.5, "stated, 123.5 MHz")


def test_the_clock_is_the_one_that_the_whole_npu_reached_on_the_process(on_record):
    found = choose_clock(NpuConfig(name="small"))
    assert found == clock.Clock(1111.0, "1 111 MHz, ASAP7 typical without wires, weft synth npu --config small")
    assert choose_clock(NpuConfig(name="nano")).mhz == 1250


def test_a_configuration_that_is_not_on_record_has_the_slowest_clock(on_record):
    found = choose_clock(NpuConfig(name="small+cols=32"))
    assert found.mhz == 1111 and found.source.endswith("weft synth npu --config small, the slowest on record")


def test_reports_and_surveys_say_where_their_clock_is_from(on_record):
    report = build_report(*example(), 520)
    name = report.config
    assert report.clock_mhz == 1111 and report.sources["clock"] == choose_clock(NpuConfig(name=name)).source
    assert report.latency_ms == pytest.approx(520 / 1111e3)
    base = NpuConfig(name="small")
    assert "clock: 1 111 MHz, ASAP7" in summary(Survey(("a",), base, (), 1111.0, None, choose_clock(base).source))[-1]


def test_a_record_takes_the_place_of_the_one_before_and_keeps_all_others(monkeypatch, tmp_path):
    monkeypatch.setattr(recorded, "FILE", tmp_path / "recorded.json")
    recorded.recorded.cache_clear()
    for period in (950.0, 880.0):
        recorded.put_on_record(made("small", period))
    recorded.put_on_record(made("nano", 800.0))
    assert [(each.config, each.worst.period_ps) for each in recorded.recorded()] == [("nano", 800.0), ("small", 880.0)]
    assert recorded.recorded()[1] == made("small", 880.0)
    recorded.recorded.cache_clear()


def test_figures_survive_json():
    assert from_json(json.loads(json.dumps(made("small", 900.0).to_json()))) == made("small", 900.0)


def test_the_presets_that_the_page_shows_are_on_record():
    found = {each.config: each for each in recorded.recorded() if (each.library, each.top) == (ASAP7.words, "npu")}
    assert "nano" in found
    for name, npu in found.items():
        assert npu.timed_by == "OpenSTA" and npu.area == pytest.approx(sum(block.area for block in npu.blocks))
        assert npu.worst.period_ps == max(block.into.period_ps for block in npu.blocks if block.into)
        banks = sum(each.count * each.rows * each.bits for each in npu.memories if each.where in {"bank", "bank_group"}) // 8
        assert banks == PRESETS[name].act_bytes + PRESETS[name].weight_bytes
        assert f"`weft synth npu --config {name} --library asap7 --period {npu.period_ps:g} --record`" in silicon_page()
