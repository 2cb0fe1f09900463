"""Whole networks on the Verilog of a SoC beside 1080p60 camera and display: exact, no beat lost, in exactly so many cycles."""

import dataclasses

import pytest

from hw.soc.config import load_soc_config
from sim.build import BuildOptions
from sim.dram import load_dram
from sim.scenario import NpuShare, Scenario, camera_of, display_of
from sim.soc_run import SocSimulator
from tests.rtl.cycles import assert_recorded
from tests.rtl.network_cycles import FILES
from weft.analysis.search import search
from weft.compiler.driver import compile_graph
from weft.compiler.frontends.tflite import read_tflite
from weft.report.contention import network_reports, soc_report, with_soc
from weft.run.inputs import random_sample
from weft.run.soc import run_and_compare

CONFIG = load_soc_config("small")
"""The reference configuration on a bus of 128 bits."""
FULL_HD = "1920x1080@60"
VIDEO = Scenario("1080p60", load_dram("lpddr4-3200-x16"), camera=camera_of(FULL_HD), display=display_of(FULL_HD), frames=10, scale=100)
"""Ten pictures last 1.36 million cycles: 25 inferences of the one network, less than one of the other."""


@pytest.fixture(scope="module")
def soc() -> SocSimulator:
    return SocSimulator(CONFIG, BuildOptions("quick", random_start=True))


def run(soc, models, name, scenario):
    """Runs a network; gives its report after every tensor of every inference was compared."""
    graph = read_tflite(models / FILES[name])
    compiled = search(graph, CONFIG.npu).compiled
    found, outcome = run_and_compare(soc, compiled, random_sample(graph, 1), scenario)
    assert outcome.mismatch is None, str(outcome.mismatch)
    assert outcome.compared > 20
    alone, slowest = network_reports(compiled.program, found, scenario, bit_exact=True)
    return with_soc(slowest, alone, soc_report(found, scenario, CONFIG.npu.axi_bits))


@pytest.mark.cycles
@pytest.mark.parametrize("name", ["vww", pytest.param("mobilenet_v2", marks=pytest.mark.slow)])
def test_beside_camera_and_display_no_beat_is_lost_in_ten_pictures(name, soc, models):
    report = run(soc, models, name, VIDEO)
    assert report.soc.overflows == report.soc.underruns == 0
    assert min(report.soc.pictures.values()) >= 10
    assert_recorded(f"soc/{name} alone", report.soc.cycles_alone)
    assert_recorded(f"soc/{name} under traffic", report.cycles)  # the slowest inference
    for name, master in zip(("camera", "display"), report.soc.masters):
        real = getattr(VIDEO, name).bytes_per_second / 1e9
        assert master.bandwidth_gbs == pytest.approx(real, rel=0.1), "the byte rates are the real ones; a picture may be begun"
    assert sum(layer.cycles_alone for layer in report.layers) == report.soc.cycles_alone
    assert sum(layer.cycles for layer in report.layers) == report.cycles


def test_a_network_with_states_goes_on_from_inference_to_inference(soc, models):
    """Each inference under traffic is another step; all are compared."""
    graph = read_tflite(models / "mww2_okay_nabu.tflite")
    compiled, sample = compile_graph(graph, CONFIG.npu), random_sample(graph, 1)
    found, outcome = run_and_compare(soc, compiled, sample, dataclasses.replace(VIDEO, frames=1))
    assert outcome.mismatch is None, str(outcome.mismatch)
    left = [one.states["stream_5/states#next"].tobytes() for one in (found.alone, *found.runs)]
    assert len(found.runs) > 3 and len(set(left[:4])) == 4


NARROW = dataclasses.replace(VIDEO, dram=load_dram("lpddr4-3200-x16").replace(width=4), frames=2)
"""1.6 GB/s at most: the camera and the display need 0.75, the network wants all of it."""


def test_where_bandwidth_is_short_the_npu_alone_slows_down(soc, models):
    report = run(soc, models, "vww", NARROW)
    assert report.soc.overflows == report.soc.underruns == 0
    assert report.soc.slowdown > 2


def test_with_priorities_inverted_the_faults_appear_and_are_reported(soc, models):
    camera, display = camera_of(FULL_HD, klass=2, watermark=65535), display_of(FULL_HD, klass=2, watermark=0)
    report = run(soc, models, "vww", dataclasses.replace(NARROW, camera=camera, display=display, npu=NpuShare(klass=0)))
    assert report.soc.underruns > 1000
    assert sum(fault["beats"] for fault in report.soc.faults["display"]) == report.soc.underruns
