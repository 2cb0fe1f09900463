"""Networks on the Verilog of a whole SoC, alone and under traffic: what is counted adds up, and who goes first keeps his data."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from hw.npu.config import NpuConfig
from hw.npu.errors import WeftError
from hw.soc.camera import pattern_word
from hw.soc.config import SocConfig
from hw.soc.random_master import PATTERN
from hw.soc.registers import CAMERA, CPU, DISPLAY, NPU
from sim.build import BuildOptions
from sim.dram import load_dram
from sim.job import BenchError, Log
from sim.npu_job import FILL
from sim.scenario import Cpu, NpuShare, Scenario, camera_of, display_of
from sim.soc_memory import SocMemory, check_scenario
from sim.soc_run import SocSimulator, same_writes
from sim.soc_traffic import FAULT, Video, percentile
from tests.machine_checks import random_inputs
from tests.random_graphs import GraphMaker
from weft.compiler.driver import compile_graph
from weft.compiler.host import host_before
from weft.report.contention import soc_report

TINY = NpuConfig(name="tiny", rows=4, cols=4, act_kib=16, weight_kib=8, axi_bits=128, max_burst=16)
CONFIG = SocConfig(npu=TINY, npu_gate=32, cpu_gate=256, camera_fifo=64, display_fifo=128)
MODE = "1280x720@60"
READ, WRITE = range(2)
BUSY = Scenario("busy", camera=camera_of(MODE), display=display_of(MODE), cpu=Cpu(0.4, window_kib=64), npu=NpuShare(), frames=3, scale=120)


@pytest.fixture(scope="module")
def soc() -> SocSimulator:
    return SocSimulator(CONFIG, BuildOptions("quick", random_start=True))


@pytest.fixture(scope="module")
def stream():
    """Two convolutions whose weights do not fit: the NPU reads DDR all the time."""
    maker = GraphMaker(np.random.default_rng(5), (1, 8, 8, 16))
    graph = maker.graph(maker.conv(maker.conv("input", 48, (3, 3)), 16, (3, 3)))
    compiled = compile_graph(graph, TINY)
    return SimpleNamespace(program=compiled.program, inputs=host_before(compiled, random_inputs(graph, 1)))


@pytest.fixture(scope="module")
def busy(soc, stream):
    return soc.run(stream.program, stream.inputs, BUSY)


def test_traffic_changes_time_and_no_byte(busy):
    assert busy.traffic.camera.complete >= BUSY.frames and busy.traffic.display.complete >= BUSY.frames
    assert len(busy.runs) > 1 and all(same_writes(busy.alone, run) for run in busy.runs)
    assert busy.slowest.cycles > busy.alone.cycles
    assert busy.traffic.camera.lost == busy.traffic.display.lost == 0


def test_bytes_of_the_port_are_those_that_were_asked_for(busy, stream):
    bytes_, camera, display = busy.traffic.bytes, BUSY.camera.mode, BUSY.display.mode
    lines = round(720 / BUSY.scale)
    assert bytes_[READ, CAMERA] == bytes_[WRITE, DISPLAY] == 0
    for counted, complete, line in (
        (bytes_[WRITE, CAMERA], busy.traffic.camera.complete, camera.width * 2),
        (bytes_[READ, DISPLAY], busy.traffic.display.complete, display.width * 4),
    ):
        assert complete * lines * line <= counted <= (complete + 1) * lines * line
    loaded = sum(int(run.records["ddr_read_bytes"].sum()) for run in busy.runs)
    fetched = len(busy.runs) * len(stream.program.command_bytes())
    assert loaded + fetched <= bytes_[READ, NPU] <= 1.05 * (loaded + fetched), "whole beats"
    seconds = busy.traffic.cycles / BUSY.clock_hz
    assert bytes_[:, CPU].sum() / seconds == pytest.approx(BUSY.cpu.gbs * 1e9, rel=0.15)
    assert busy.traffic.bins.sum(axis=0) == pytest.approx(bytes_)


def test_every_burst_is_in_a_histogram(busy):
    bursts = {master: busy.traffic.histograms[way][master].sum() for way, master in ((WRITE, CAMERA), (READ, DISPLAY))}
    assert bursts[CAMERA] == pytest.approx(busy.traffic.bytes[WRITE, CAMERA] / 256, abs=4)  # bursts of 16 beats, and those under way
    assert bursts[DISPLAY] == pytest.approx(busy.traffic.bytes[READ, DISPLAY] / 256, abs=8)
    assert len(busy.traffic.histograms[READ][CAMERA]) == 0
    for way in busy.traffic.histograms:
        for histogram in way:
            assert not histogram[:5].any(), "address, memory and answer take cycles"


def test_the_report_adds_up(busy):
    report = soc_report(busy, BUSY, TINY.axi_bits)
    assert report.cycles_alone == busy.alone.cycles and report.slowdown == busy.slowest.cycles / busy.alone.cycles
    assert sum(master.bytes for master in report.masters) == busy.traffic.bytes.sum()
    assert [master.name for master in report.masters] == ["camera", "display", "cpu", "npu"]
    for master in report.masters:
        assert 0 < master.latency_p50 <= master.latency_p99 <= master.latency_max
        low, high = master.latency_histogram[0][0] // 2, master.latency_histogram[-1][0]
        assert low <= master.latency_p50 < high and high // 2 <= master.latency_max < high
    assert 0 < report.ddr_utilization <= report.ddr_efficiency <= 1
    assert report.fps == pytest.approx(8e8 / busy.slowest.cycles) and report.fps_holds is None
    slower = soc_report(busy, dataclasses.replace(BUSY, fps=report.fps * 1.001), TINY.axi_bits)
    assert slower.fps_holds is False and soc_report(busy, dataclasses.replace(BUSY, fps=1), TINY.axi_bits).fps_holds is True


def test_a_run_is_repeated_exactly(soc, stream, busy):
    again = soc.run(stream.program, stream.inputs, BUSY, log=Log.FULL, seed=7)
    assert [run.cycles for run in again.runs] == [run.cycles for run in busy.runs]
    assert again.alone.waited.digest == busy.alone.waited.digest == again.runs[0].waited.digest
    assert len(again.runs[0].waited.writes) == len(busy.alone.waited.writes) and len(busy.runs[0].waited.writes) == 0


def test_other_bytes_have_another_digest(busy):
    other = busy.runs[0]
    assert not same_writes(busy.alone, dataclasses.replace(other, waited=dataclasses.replace(other.waited, digest=1)))
    assert not same_writes(busy.alone, dataclasses.replace(other, arena=other.arena ^ 1))


def test_without_traffic_an_inference_takes_what_it_takes_alone(soc, stream):
    quiet = soc.run(stream.program, stream.inputs, Scenario("quiet"))
    (run,) = quiet.runs
    assert abs(run.cycles - quiet.alone.cycles) <= 0.02 * quiet.alone.cycles, "refreshes fall elsewhere, nothing else differs"
    assert quiet.traffic.bytes[:, :NPU].sum() == 0


NARROW = load_dram("lpddr4-3200-x16").replace(width=4)
INVERTED = {
    "camera": camera_of(MODE, klass=3, watermark=65535),
    "display": display_of(MODE, klass=3, watermark=0),
    "cpu": Cpu(2.0, write_share=0.6, burst_bytes=4096, window_kib=64, klass=0),
    "npu": NpuShare(klass=0),
}


def test_with_priorities_right_the_npu_alone_slows_down(soc, stream, busy):
    run = soc.run(stream.program, stream.inputs, dataclasses.replace(BUSY, dram=NARROW, frames=2))
    assert run.traffic.camera.lost == run.traffic.display.lost == 0
    assert run.slowest.cycles / run.alone.cycles > busy.slowest.cycles / busy.alone.cycles
    assert all(same_writes(run.alone, one) for one in run.runs)


def test_with_priorities_inverted_camera_and_display_lose_beats(soc, stream):
    scenario = dataclasses.replace(BUSY, dram=NARROW, frames=2, **INVERTED)
    run = soc.run(stream.program, stream.inputs, scenario)
    report = soc_report(run, scenario, TINY.axi_bits)
    assert report.overflows > 0 and report.underruns > 0
    for name, lost in (("camera", report.overflows), ("display", report.underruns)):
        assert sum(fault["beats"] for fault in report.faults[name]) == lost
        assert all(fault["us"] >= 0 and fault["picture"] >= 1 for fault in report.faults[name])
    assert all(same_writes(run.alone, one) for one in run.runs), "the NPU's own data are right whatever happens"


def test_a_regulator_holds_the_npu_to_its_share(soc, stream):
    scenario = Scenario("regulated", npu=NpuShare(read_gbs=0.2))
    run = soc.run(stream.program, stream.inputs, scenario)
    free = soc.run(stream.program, stream.inputs, Scenario("free"))
    seconds, saved = (
        run.traffic.cycles / scenario.clock_hz,
        (scenario.npu.regulator_beats + 256) * TINY.axi_bytes,
    )  # docs/soc.md: regulators
    assert run.traffic.bytes[READ, NPU] <= 0.2e9 * seconds + saved
    assert run.alone.cycles > 1.2 * free.alone.cycles and same_writes(run.alone, free.alone)


def memory_of(scenario):
    return SocMemory.of(scenario, CONFIG, 0x1000, 1)


def left_by(memory, *, camera=None, cpu=None, digests=(), faults=()):
    """What `SocMemory.check` is given: right unless something else is said."""
    picture = memory.settings["camera"]
    line, word = np.divmod(np.arange(memory.sizes["camera"] // 4), picture["line_step"] // 4)
    right = np.array([pattern_word(frame=1, line=int(y), word=int(x)) for y, x in zip(line, word)], "<u4")
    words = np.frombuffer(memory.shown.tobytes(), "<u8")
    digest = int((words * np.arange(1, len(words) + 1, dtype=np.uint64)).sum(dtype=np.uint64))
    addresses = np.arange(memory.bases["cpu"], memory.bases["cpu"] + memory.sizes["cpu"], 4, dtype=np.uint32)
    snapshot = type("Snapshot", (), {})()
    snapshot.camera = Video(1, np.array([], FAULT), np.array([], "<u8"))
    snapshot.display = Video(1, np.array(list(faults), FAULT), np.array([*digests] or [digest], "<u8"))
    lost = snapshot.display.lost
    left = {"camera": right if camera is None else camera(right), "cpu": addresses ^ np.uint32(PATTERN) if cpu is None else cpu(addresses)}
    left = {name: value.view(np.uint8) for name, value in left.items()}
    return left | {"later": snapshot, "CAMERA_FAULTS": 0, "DISPLAY_FAULTS": lost}, snapshot


def spoiled(place):
    def spoil(words):
        words = words.copy()
        words[place] ^= 0x100
        return words

    return spoil


def test_the_bench_believes_right_bytes():
    memory = memory_of(BUSY)
    memory.check(*left_by(memory))
    memory.check(*left_by(memory, cpu=lambda addresses: np.full(len(addresses), FILL * 0x01010101, np.uint32)))
    memory.check(*left_by(memory, digests=[5], faults=[(1, 100, 3)]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"camera": spoiled(77)}, "the camera left .* at DDR address"),
        ({"camera": lambda words: words + np.uint32(5 << 24)}, "the camera left"),
        ({"cpu": spoiled(3)}, "the random master left"),
        ({"digests": [5]}, "the display showed other bytes than lie in memory, in picture 1"),
    ],
)
def test_the_bench_finds_wrong_bytes(wrong, message):
    memory = memory_of(BUSY)
    with pytest.raises(BenchError, match=message):
        memory.check(*left_by(memory, **wrong))


def test_faults_that_the_hardware_did_not_count_are_found():
    memory = memory_of(BUSY)
    left, snapshot = left_by(memory)
    with pytest.raises(BenchError, match="CAMERA_FAULTS = 2, the bench saw 0"):
        memory.check(left | {"CAMERA_FAULTS": 2}, snapshot)


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (Scenario(cpu=Cpu(100.0)), "cpu.gbs = 100 asks for more than one burst a cycle"),
        (Scenario(camera=camera_of("3840x2160@60"), clock_mhz=10), "the bus is too slow"),
        (Scenario(npu=NpuShare(read_gbs=500)), "npu.read_gbs = 500 is not a part of what the bus carries"),
    ],
)
def test_what_cannot_be_set_is_refused(scenario, message):
    with pytest.raises(WeftError, match=message):
        check_scenario(scenario, CONFIG)


def test_a_percentile_is_the_least_latency_that_so_many_do_not_exceed():
    histogram = np.array([0, 50, 0, 49, 0, 1])
    assert [percentile(histogram, share) for share in (0.5, 0.51, 0.99, 1.0)] == [1, 3, 3, 5]
    assert percentile(np.array([], np.int64), 0.5) is None
