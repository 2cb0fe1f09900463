"""The timing model without RTL: its parts on figures done by hand, and what holds for the replay of every program."""

import dataclasses

import numpy as np
import pytest

from hw.npu.config import PRESETS, load_config
from hw.npu.errors import WeftError
from hw.npu.interface.isa import EXECUTE, Command, Opcode
from hw.npu.interface.records import STALLS
from tests.random_graphs import random_network
from weft.analysis.timing import DdrParameters, replay
from weft.analysis.timing.banks import SLOWEST, Walk, rate
from weft.analysis.timing.ddr import DdrPort
from weft.analysis.timing.dma import bursts_of
from weft.analysis.timing.job import meant
from weft.analysis.timing.latencies import latencies
from weft.analysis.timing.loader import Loader
from weft.analysis.timing.ports import port_reads
from weft.analysis.timing.work import Transfer, Waits
from weft.compiler.driver import compile_graph
from weft.report.report import PREDICTED, build_report

SMALL = PRESETS["small"]
NETWORKS = 6


@pytest.fixture
def programs(seed):
    """Random networks, compiled."""
    return [compile_graph(random_network(1000 * seed + number), SMALL).program for number in range(NETWORKS)]


def walk(pixel_step, *, width=16, offset=0, cols=32, row_step=0, rows=8):
    return Walk(width=width, offset=offset, vectors=1, step=width, pixel_step=pixel_step, cols=cols, row_step=row_step, rows=rows)


def test_a_burst_comes_a_latency_after_its_address_a_beat_a_cycle():
    assert DdrPort(DdrParameters(), 8).read(2, 16) == (66, 81)


def test_bursts_follow_each_other_without_a_gap():
    port = DdrPort(DdrParameters(), 8)
    assert [port.read(2, 16) for _ in range(3)] == [(66, 81), (82, 97), (98, 113)]


def test_one_burst_more_than_may_be_outstanding_waits_for_the_first():
    port = DdrPort(DdrParameters(outstanding=2), 8)
    assert [port.read(2, 4) for _ in range(3)] == [(66, 69), (70, 73), (70 + 64, 70 + 64 + 3)]


def test_a_beat_wider_than_the_bandwidth_takes_cycles():
    assert DdrPort(DdrParameters(bytes_per_cycle=4), 8).read(0, 3) == (64, 68)


def test_reads_and_writes_share_the_bandwidth():
    port = DdrPort(DdrParameters(), 8)
    assert port.read(0, 64) == (64, 127)
    assert port.write(64, 8) == (79, 87)  # every other cycle, and 8 to the response
    assert port.read(0, 8) == (128, 128 + 15), "the eight beats of the write are billed to the next burst"


def test_a_port_narrower_than_half_the_bandwidth_moves_both_ways_at_once():
    port = DdrPort(DdrParameters(bytes_per_cycle=16), 8)
    assert port.read(0, 64) == (64, 127)
    assert port.write(64, 8) == (71, 79)


@pytest.mark.parametrize("name", ["latency", "bytes_per_cycle", "outstanding", "write_latency"])
def test_parameters_of_ddr_below_one_are_refused(name):
    with pytest.raises(WeftError, match=f"{name} = 0"):
        DdrParameters(**{name: 0})


def transfer(offset, row_bytes, rows=1, stride=0):
    return Transfer(Waits(0, 0, 0), False, offset, row_bytes, rows, stride)


def test_rows_are_cut_at_multiples_of_the_block():
    assert bursts_of(transfer(0, 1024), 512, 8) == [64, 64]
    assert bursts_of(transfer(8, 1024), 512, 8) == [63, 64, 1]
    assert bursts_of(transfer(7, 2), 512, 8) == [2]
    assert bursts_of(transfer(500, 24, rows=2, stride=100), 512, 8) == [2, 2, 3]


def test_rows_are_delivered_one_a_cycle_behind_their_gate():
    at = latencies(load_config("small"))
    loader = Loader(16, at)
    loader.begin(taken=10, loaded=0, rows=25)
    assert loader.rows(9, gate=0) == 10 + at.load_take + at.row_read + 8, "taken, first row asked for, read and queued, eight more"
    assert loader.rows(16, gate=100) == 115
    assert loader.rows(4, gate=0) == 119


def test_streams_of_equal_steps_do_not_meet_twice():
    for step in (16, 32, 48):
        assert rate(walk(step), walk(step), 16, 8) > 0.95


def test_results_wait_behind_an_image_of_few_channels():
    slow = rate(walk(3, row_step=96), walk(16), 16, 8)
    assert 1 / SLOWEST < slow < 0.5


def test_a_stream_that_always_finds_its_bank_taken_moves_when_it_is_old_enough():
    assert rate(walk(0, cols=10_000), walk(0), 16, 8) == pytest.approx(1 / SLOWEST)


def depthwise(pitch, *, height=5, y=0):
    """Two rows of four 16-channel pixels, 3x3, stride 1; ``pitch`` bytes from kernel row to kernel row."""
    loops = {
        "block_rows": 2,
        "block_cols": 4,
        "taps_y": 3,
        "taps_x": 3,
        "span": 3,
        "column_tiles": 1,
        "last_cols": 16,
        "positions": 6,
        "stride": 1,
    }
    source = {
        "y": y,
        "height": height,
        "image_row_bytes": 96,
        "pixel_step": 16,
        "row_step": pitch,
        "row_step_y": 1,
        "tap_y_step": pitch,
        "tap_y_rows": 1,
    }
    return port_reads(Opcode.DEPTHWISE, loops, source, SMALL)


def test_kernel_rows_in_different_banks_are_read_in_one_cycle():
    ((lost, reads, banks),) = depthwise(6 * 16)
    assert reads == 3 * 6 * 2, "three kernel rows of six pixels, twice"
    assert lost == 0, "banks t, t + 6 - 3, t + 12 - 6"
    assert list(banks[:7]) == [1, 2, 4, 8 | 64, 16 | 128, 32 | 1, 64 | 2 | 16], "port 1 begins three steps behind, port 2 six"


def test_kernel_rows_in_one_bank_are_read_one_after_the_other():
    ((lost, _, banks),) = depthwise(3 * 16)
    # Ports lag by 3 and 6 of the 6 steps and lie 3 and 6 words behind: two of them that are in the same block row meet, others do not.
    # Steps 3 to 5 have ports 0 and 1 in one, 6 to 8 ports 1 and 2, 9 to 11 ports 0 and 1, 12 to 14, when port 0 is done, ports 1 and 2.
    assert lost == 4 * 3
    assert len(banks) == 2 * 6 + 6 + lost, "its steps, those of the last port, and those that are taken twice"


def test_kernel_rows_of_padding_are_not_read():
    ((_, inner, _),), ((_, border, _),) = depthwise(96), depthwise(96, y=-1)
    assert inner - border == 6, "the first kernel row of the first block row"


def test_windows_partition_the_time_and_each_cycle_is_active_or_one_stall(programs):
    for program in programs:
        records = replay(program).records
        executed = [record for planned, record in zip(program.commands, records) if planned.command.opcode in EXECUTE]
        ends = 0
        for record in executed:
            assert record["start"] == ends
            ends = record["end"]
            assert record["end"] - record["start"] == record["active"] + sum(record[f"stall_{cause}"] for cause in STALLS)


def test_a_report_is_built_from_a_replay_and_says_so(programs):
    for program in programs:
        timing = replay(program)
        report = build_report(program, timing.records, timing.cycles, source=PREDICTED)
        assert sum(layer.cycles for layer in report.layers) == timing.cycles
        assert report.sources["cycles, stalls, bytes"] == PREDICTED


def test_nothing_starts_before_what_it_waits_for(programs):
    for program in programs:
        records = replay(program).records
        ends = {"load": [], "exec": [], "store": []}
        for planned, record in zip(program.commands, records):
            command = planned.command
            for queue, done in ends.items():
                count = command["header"][f"wait_{queue}"]
                first = record["end"] - record["active"] if command.opcode in EXECUTE else record["end"]
                assert not count or first > done[count - 1], f"command {record['index']} waits for {count} of queue {queue}"
            # an execute command's window ends with its last wave; its result is written later
            queue = {Opcode.LOAD: "load", Opcode.STORE: "store"}.get(command.opcode, "exec")
            ends[queue].append(record["end"])


def test_slower_memory_never_helps_much(programs):
    """Order may change which of two bursts goes first; a slower memory must cost, but for that."""
    for program in programs:
        cycles = [replay(program, DdrParameters(latency=latency)).cycles for latency in (16, 64, 256)]
        assert cycles[0] * 0.99 < cycles[1] < cycles[2] * 1.01
        cycles = [replay(program, DdrParameters(bytes_per_cycle=width)).cycles for width in (8, 2, 1)]
        assert cycles[0] < cycles[1] < cycles[2]


def test_no_network_is_faster_than_its_bytes(programs):
    for program in programs:
        timing = replay(program)
        moved = int(timing.records["ddr_read_bytes"].sum() + timing.records["ddr_write_bytes"].sum())
        assert timing.cycles * 8 > moved + len(program.command_bytes())


def test_records_take_bandwidth(programs):
    for program in programs:
        slow = DdrParameters(bytes_per_cycle=2)
        assert replay(program, slow).cycles > replay(program, slow, records=False).cycles


def test_a_replay_repeats(programs):
    for program in programs:
        first, second = replay(program), replay(program)
        assert first.cycles == second.cycles
        assert np.array_equal(first.records, second.records)


def test_counts_of_completed_commands_wrap():
    assert meant(5, 5) == 5
    assert meant(5, 65_540) == 5
    assert meant(5, 65_541) == 65_541
    assert meant(65_535, 65_536) == 65_535
    assert meant(0, 65_535) == 0


def test_a_stream_that_waits_for_itself_is_found():
    (program,) = [compile_graph(random_network(1), SMALL).program]
    planned = program.commands[0]
    waiting = Command(planned.command.opcode, planned.command.fields | {"header": {"wait_exec": 1}})
    with pytest.raises(AssertionError, match="waits for one behind it"):
        replay(dataclasses.replace(program, commands=(dataclasses.replace(planned, command=waiting), *program.commands[1:])))
