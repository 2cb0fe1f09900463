"""The bench itself, on a small engine with the NPU's ports: DDR's timing and faults, AXI rules, the build cache."""

import functools

import numpy as np
import pytest

from hw.emit.cache import cache_folder
from hw.emit.emit import emit_verilog
from hw.npu.errors import WeftError
from sim.build import BuildOptions, build
from sim.ddr import DdrConfig
from sim.job import BenchError, Job
from tests.sim.copy_engine import FAULTS, CopyEngine

SOURCE, TARGET = 0x1080, 0x8200


@functools.cache
def engine():
    return build(emit_verilog(CopyEngine(), "npu", prefix="copy", assertions=True), BuildOptions("quick"))


def copy(beats, ddr=None, *, fault=None, source=SOURCE, limit=10_000, runs=1):
    """Copy random bytes; per run: what the wait answered, the error, what was to be copied, what arrived."""
    rng = np.random.default_rng(beats)
    job = Job(64 * 1024, lanes=8)
    job.reset(ddr or DdrConfig())
    data, marks = [], []
    for _ in range(runs):
        data.append(rng.integers(0, 256, beats * 8, dtype=np.uint8))
        job.load(source, data[-1])
        for register, value in (("COMMANDS_BYTES", beats), ("MODEL_BASE_LO", source), ("ARENA_BASE_LO", TARGET)):
            job.poke(register, value)
        job.poke("TIMEOUT", FAULTS.index(fault))
        job.poke("CONTROL", 1)
        marks.append((job.wait(limit, log=True), job.peek("ERROR_CODE"), job.dump(TARGET, beats * 8)))
        job.poke("IRQ_STATUS", 1)
    answers = job.run(engine())
    return [(answers[wait], answers[error], sent, answers[got]) for sent, (wait, error, got) in zip(data, marks)]


@pytest.mark.parametrize("beats", [1, 2, 7, 32])
def test_reference_ddr_costs_latency_and_eight_bytes_a_cycle(beats):
    ((waited, error, sent, got),) = copy(beats)
    assert error == 0 and (got == sent).all()
    # AR until the first beat | beats | AW | beats, the last of which to the response is 8 | interrupt
    assert waited.cycles == 64 + beats + 1 + beats + 8 + 1


def test_half_the_bandwidth_doubles_the_time_of_the_beats():
    full, half = (copy(32, DdrConfig(bytes_per_cycle=rate))[0][0].cycles for rate in (8, 4))
    assert half - full == pytest.approx(64, abs=3)


@pytest.mark.parametrize("seed", range(3))
def test_stalls_change_the_time_and_not_the_data(seed):
    ((waited, error, sent, got),) = copy(32, DdrConfig.stalling(0.4, seed=seed))
    assert error == 0 and (got == sent).all(), f"seed {seed}"
    assert waited.cycles > 64 + 2 * 32


def test_equal_seeds_run_equally_long():
    assert copy(32, DdrConfig.stalling(0.3, seed=5))[0][0].cycles == copy(32, DdrConfig.stalling(0.3, seed=5))[0][0].cycles


def test_an_error_range_answers_slverr_and_keeps_memory():
    ((_, error, sent, got),) = copy(8, DdrConfig(error_writes=True, error_start=TARGET, error_end=TARGET + 1))
    assert error == 2 and (got == 0).all()
    ((_, error, _, got),) = copy(8, DdrConfig(error_reads=True, error_start=SOURCE, error_end=SOURCE + 8))
    assert error == 2 and (got == 0).all()
    ((_, error, sent, got),) = copy(8, DdrConfig(error_reads=True, error_writes=True, error_start=0, error_end=SOURCE))
    assert error == 0 and (got == sent).all()


@pytest.mark.parametrize("after", [0, 1])
def test_a_silent_bus_never_answers(after):
    ((waited, _, _, _),) = copy(8, DdrConfig(silent_after=after), limit=3000)
    assert not waited.interrupt and waited.cycles == 3000
    assert len(waited.writes) == 0, "the write burst's address is accepted, its beats are not"


def test_jobs_in_a_row_share_one_process():
    runs = copy(16, runs=3)
    assert all((got == sent).all() for _, _, sent, got in runs)
    assert len({waited.cycles for waited, *_ in runs}) == 1


def test_the_log_holds_every_write_of_the_output_stage():
    ((waited, _, sent, _),) = copy(16)
    assert (waited.writes["address"] == np.arange(16) * 8).all() and (waited.writes["mask"] == 0xFF).all()
    assert (waited.writes["data"].reshape(-1) == sent).all() and (waited.writes["ordinal"] == 0).all()
    assert len(waited.retires) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("wlast", "WLAST=1 at beat 6"),
        ("valid", "WVALID fell before WREADY"),
        ("payload", "W payload changed before WREADY"),
        ("dead", "no answer to a register write"),
        ("promise", r"^the design broke a promise: cycle \d+, npu\.copies: CreditCounter: down comes only while some$"),
    ],
)
def test_a_broken_rule_ends_the_run(fault, message):
    with pytest.raises(BenchError, match=message):
        copy(8, DdrConfig.stalling(0.5, seed=1), fault=fault)


def test_a_burst_across_4_kib_ends_the_run():
    with pytest.raises(BenchError, match="AR burst crosses a 4 KiB boundary: addr=0xff8 len=1"):
        copy(2, source=0xFF8)


def test_a_burst_beyond_memory_answers_decerr():
    job = Job(4096, lanes=8)
    job.reset(DdrConfig())
    for register, value in (("COMMANDS_BYTES", 2), ("MODEL_BASE_LO", 0), ("ARENA_BASE_LO", 1 << 20), ("CONTROL", 1)):
        job.poke(register, value)
    job.wait(1000, log=False)
    error = job.peek("ERROR_CODE")
    assert job.run(engine())[error] == 3


def test_a_second_build_is_taken_from_the_cache():
    first = engine()
    made = first.stat().st_mtime_ns
    engine.cache_clear()
    assert engine() == first and first.stat().st_mtime_ns == made
    assert not (first.parent / "model").exists(), "sources of the model are left behind"


def test_the_cache_can_be_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(WeftError, match="no-such-compiler is missing; install it"):
        build("module npu(); endmodule")


def test_wrong_options_are_refused():
    with pytest.raises(WeftError, match="must be fast or quick"):
        BuildOptions("slow")
    with pytest.raises(WeftError, match=r"stall_r = 1\.5"):
        DdrConfig(stall_r=1.5)
