"""The timing model's results beside the feeder's reads, and what waits for them, on figures done by hand."""

import dataclasses

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.interface.isa import Opcode
from hw.npu.scratchpad.port_queue import PortQueue
from hw.npu.scratchpad.write_fence import WriteFence
from tests.random_graphs import GraphMaker
from weft.analysis.timing.banks import PATIENCE
from weft.analysis.timing.execute import ExecuteModel
from weft.analysis.timing.job import _Replay
from weft.analysis.timing.latencies import latencies
from weft.analysis.timing.stream import CommandStream
from weft.analysis.timing.work import work_of
from weft.analysis.timing.writes import Vectors, WritePort
from weft.compiler.driver import compile_graph

SMALL = PRESETS["small"]
AT = latencies(SMALL)
LATENCY = AT.output
EACH, HALF = bytes(1 << bank for bank in range(8)), bytes(1 << bank // 2 for bank in range(16))
"""Banks of a stream that takes a bank a cycle, and of one that takes a bank in two."""
FIRST = 1000


@pytest.fixture
def port():
    return WritePort(AT)


def vectors(masks, final=(), turn=0):
    return Vectors(FIRST, final, masks, LATENCY, turn)


def last_of(count, turn):
    """Cycle of the last of so many results with a second operand, from the first on."""
    return count - 1 + turn * ((count - 1) // turn)


def read(port, begin, masks):
    """The feeder reads; the cycle in which the first of it meets a write of that cycle."""
    port.read(begin + AT.write_ahead, begin + AT.write_ahead + len(masks), masks)


def test_results_beside_nothing_are_written_one_a_cycle(port):
    issued, written, offered = port.play(vectors(EACH * 20))
    assert (issued, written) == (FIRST + 159, FIRST + LATENCY + 159)
    assert list(offered) == list(range(FIRST + LATENCY, FIRST + LATENCY + 160))


def test_results_one_bank_behind_a_feeder_as_fast_never_wait(port):
    read(port, FIRST + LATENCY - 1, EACH * 20)
    assert port.play(vectors(EACH * 20))[1] == FIRST + LATENCY + 159


def test_results_that_come_to_the_feeders_bank_follow_it_at_its_pace(port):
    read(port, FIRST + LATENCY, HALF * 2)  # 32 cycles, twice around eight banks
    # Cycle 0 and 1: bank 0 is read, so that it is written in cycle 2, bank 1 in cycle 4, and bank n in 2 n + 2: bank 15 in cycle 32.
    assert port.play(vectors(EACH * 2))[1] == FIRST + LATENCY + 32


def test_results_are_issued_until_no_place_is_left_for_them(port):
    read(port, FIRST + LATENCY, HALF * 40)
    count = 160
    issued, written, _ = port.play(vectors(EACH * (count // 8)))
    assert written == FIRST + LATENCY + 2 * count, "two cycles each"
    assert issued == FIRST + LATENCY + 2 * (count - AT.waiting) + AT.room, "as that is written which leaves its place to the last"


def test_a_write_that_is_old_enough_goes_first(port):
    read(port, FIRST + LATENCY, b"\1" * 100)
    assert port.play(vectors(b"\1"))[1] == FIRST + LATENCY + PATIENCE + 1


def test_results_become_writable_as_their_pixels_are_final(port):
    final = [FIRST + 3 * number for number in range(8)]
    assert port.play(vectors(EACH, final))[0] == FIRST + 21


def test_issued_results_meet_the_reads_of_later_jobs(port):
    issued, written, offered = port.play(vectors(EACH))
    port.keep(offered, vectors(EACH))
    assert written == FIRST + LATENCY + 7
    read(port, FIRST + LATENCY, HALF)
    following = Vectors(issued + 1, (), b"\1", LATENCY, 0)
    assert port.play(following)[1] == FIRST + LATENCY + 17, "behind the eight, the last of which is written in cycle 16"


def test_results_with_a_second_operand_leave_out_as_many_cycles_as_they_take(port):
    """As `tests/block/output/test_output_stage.py` has it of the hardware; the next job's begin where the last one's turns end."""
    joined, turn = vectors(EACH * 8, turn=AT.turn), AT.turn
    issued, written, offered = port.play(joined)
    assert (issued, written) == (FIRST + last_of(64, turn), FIRST + last_of(64, turn) + LATENCY)
    assert len(set(offered)) == 64 and not {each + turn for each in offered} & set(offered)
    port.keep(offered, joined)
    following = joined._replace(first=issued + 1, masks=EACH * 2)
    assert port.play(following)[0] == FIRST + last_of(80, turn)


def test_reads_in_the_past_change_nothing(port):
    read(port, FIRST + LATENCY - 100, HALF * 2)
    assert port.play(vectors(EACH))[1] == FIRST + LATENCY + 7


@pytest.fixture(scope="module")
def depthwise():
    """The work of a DEPTHWISE."""
    maker = GraphMaker(np.random.default_rng(1), (1, 16, 16, 16))
    program = compile_graph(maker.graph(maker.depthwise(maker.first, (3, 3))), SMALL).program
    return work_of(next(planned.command for planned in program.commands if planned.command.operation == Opcode.DEPTHWISE), SMALL, 3)


def output_stall(depthwise, groups):
    """Cycles that a DEPTHWISE waits for the array behind another, and its own fillers."""
    model = ExecuteModel(SMALL)
    for work in (depthwise, dataclasses.replace(depthwise, groups=groups)):
        model.send(0, 0)
        *_, stalls, _ = model.run(work, 0, 0, 0, 0)
    return stalls[4]


def test_a_depthwise_that_groups_the_rows_anew_waits_until_the_array_is_empty(depthwise):
    same, other = (output_stall(depthwise, groups) for groups in (depthwise.groups, (depthwise.filler,)))
    assert len(depthwise.groups) > 1, "as many rows, but otherwise grouped"
    # from the last filler to a wave that waits for it, instead of to one that follows
    assert other - same == (AT.near + AT.array + AT.gate + AT.pending) - (AT.between + AT.take)


def test_a_command_counts_as_over_when_its_last_write_is_made():
    assert _Replay._settled(50, 0) == 50 + WriteFence.LATENCY
    assert _Replay._settled(50, 60) == 60 + PortQueue.LATENCY + WriteFence.LATENCY


def test_the_words_of_a_command_stand_until_the_first_is_understood():
    stream = CommandStream(SMALL, [96, 64])
    stream.bursts.append((0, 20, 100, 119))
    stream.asked = 20
    assert stream.assemble()
    first = stream.taken[0]
    assert first == stream._arrived(0) + AT.judged + 96 // SMALL.axi_bytes - 1
    stream.hand(0)
    assert stream.assemble()
    assert stream.taken[1] == first + AT.hand + AT.next_command + AT.judged + 64 // SMALL.axi_bytes - 1
