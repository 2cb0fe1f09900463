"""Weights of 4 bits on their way from a layer to the golden machine: tiles of 2R bytes, two weights a byte, and sums that do not change."""

import dataclasses

import numpy as np
import pytest

from golden.footprint import stream_area
from golden.machine import Machine
from golden.machine_execute import execute_job
from golden.machine_reads import packed_tiles
from golden.machine_state import MachineError, MachineState
from golden.machine_stream import tile_terms, weights_of
from golden.program import Layer, Planned, Program
from hw.npu.config import PRESETS, NpuConfig
from hw.npu.interface.isa import INT4_TWIN, Command, Error, Opcode, unpack_stream
from tests.random_graphs import GraphMaker
from tests.rtl.simple import execute
from weft.compiler.driver import compile_graph
from weft.compiler.fir import Taps
from weft.compiler.reduction import Depth, Part, Reduction
from weft.compiler.steps import Extent, Step
from weft.compiler.weights import pack_int4

SMALL = PRESETS["small"]
SMALL_INT4 = SMALL.replace(int4=True)
TINY = NpuConfig(name="tiny", rows=8, cols=4, act_kib=16, weight_kib=8, int4=True)
WIDE, NARROW = Depth(16), Depth(32, int4=True)
"""Of a 16x16 array."""
SCALING = {"multiplier": 1 << 30, "right_shift": 4, "zero_point": 3, "clamp_min": -128, "clamp_max": 127}


def state_of(rng) -> MachineState:
    """Scratchpads full of random bytes."""
    state = MachineState.fresh(Program("", TINY, (), (Layer("", "", (), 0),), b"", 0, (), (), ()), 0)
    for memory in (state.activations, state.weights):
        memory[:] = rng.integers(0, 256, len(memory))
    return state


def test_two_rows_of_weights_share_a_row_of_the_stream_the_first_in_the_lower_halves():
    rows = np.array([[1, -1], [2, -8], [7, 0]], np.int8)
    assert pack_int4(rows, [3]).tolist() == [[0x21, 0x8F], [0x07, 0x00]]
    assert pack_int4(rows, [1, 2]).tolist() == [[0x01, 0x0F], [0x72, 0x08]]  # weights of two reduction tiles share none


def random_command(rng, opcode) -> Command:
    """A MATMUL or DEPTHWISE of the twin's kind, with every shape of reduction tile, that reads anywhere and writes behind."""
    loops = {"block_rows": int(rng.integers(1, 4)), "block_cols": int(rng.integers(1, 4)), "taps_y": int(rng.integers(1, 8))}
    loops |= {"column_tiles": int(rng.integers(1, 4)), "last_cols": int(rng.integers(1, 5)), "span": int(rng.integers(1, 4))}
    if opcode == Opcode.DEPTHWISE:
        loops |= {"taps_x": int(rng.integers(1, 1 + TINY.rows // loops["span"])), "stride": 1, "positions": 12}
    else:
        loops |= {"taps_x": int(rng.integers(1, 4)) if loops["span"] == 1 else 1, "lanes": int(rng.integers(1, 40))}
    source = {name: int(rng.integers(0, 60)) for name in ("pixel_step", "row_step", "tap_y_step", "tap_x_step")}
    source |= {"address": int(rng.integers(0, TINY.act_bytes)), "y": -1, "row_step_y": 1, "tap_y_rows": 1, "x_bytes": -3, "height": 6}
    source |= {"image_row_bytes": 70, "pad_value": int(rng.integers(-128, 128))}
    output = SCALING | {"address": 12000, "pixel_step": 12, "row_step": 48}
    weights = {"address": int(rng.integers(0, TINY.weight_bytes // 4)) * 4, "params": int(rng.integers(0, 2))}
    return Command(opcode, {"loops": loops, "input": source, "weights": weights, "output": output})


def put(state, address, content):
    """Bytes into the weight scratchpad, which wraps."""
    state.weights[(address + np.arange(len(content))) % len(state.weights)] = content


@pytest.mark.parametrize("opcode", INT4_TWIN)
def test_a_command_with_4_bit_weights_computes_what_its_twin_does_with_the_same_weights(seed, opcode):
    rng, odd = np.random.default_rng([seed, opcode]), 0
    for number in range(120):
        wide = random_command(rng, opcode)
        narrow = Command(INT4_TWIN[opcode], wide.fields)
        loops, tiles = wide["loops"], tile_terms(TINY, narrow)
        odd += any(terms % 2 for terms in tiles)
        streams = b"", b""
        for _ in range(loops["column_tiles"]):
            rows = rng.integers(-8, 8, (sum(tiles), TINY.cols), dtype=np.int8)
            packed = pack_int4(rows, tiles)
            ends = np.cumsum([(terms + 1) // 2 for terms in tiles]) - 1
            for end, terms in zip(ends, tiles, strict=True):
                if terms % 2:  # what is not read may be anything
                    packed[end] |= rng.integers(0, 16, TINY.cols, dtype=np.uint8) << 4
            bias = rng.integers(0, 256, 4 * TINY.cols * wide["weights"]["params"], dtype=np.uint8).tobytes()
            streams = streams[0] + rows.tobytes() + bias, streams[1] + packed.tobytes() + bias
        start, results = rng.bit_generator.state, []
        for command, stream in zip((wide, narrow), streams, strict=True):
            assert stream_area(TINY, command).size == len(stream)
            rng.bit_generator.state = start
            state = state_of(rng)
            put(state, command["weights"]["address"], np.frombuffer(stream, np.uint8))
            results.append(execute_job(state, 0, command))
        for got, expected in zip(*results, strict=True):
            np.testing.assert_array_equal(got, expected, err_msg=f"seed {seed}, number {number}: {narrow}")
    assert odd > 20


@pytest.mark.parametrize(("opcode", "loops", "terms"), [
    (Opcode.MATMUL, {"lanes": 64}, [32, 32]),
    (Opcode.MATMUL, {"lanes": 33, "taps_x": 2}, [32, 1, 32, 1]),
    (Opcode.MATMUL, {"lanes": 9, "taps_y": 3, "span": 3}, [27]),
    (Opcode.MATMUL, {"lanes": 9, "taps_y": 4, "span": 2}, [18, 18]),
    (Opcode.MATMUL, {"lanes": 20, "taps_y": 3, "span": 2}, [32, 28]),
    (Opcode.DEPTHWISE, {"taps_x": 3, "taps_y": 3, "span": 3, "stride": 1, "positions": 4}, [9]),
    (Opcode.DEPTHWISE, {"taps_x": 5, "taps_y": 5, "span": 2, "stride": 1, "positions": 6}, [10, 10, 10]),
])  # fmt: skip
def test_a_reduction_tile_of_a_matmul_has_2r_bytes_and_the_pass_of_a_filter_its_rows(opcode, loops, terms):
    command = execute(INT4_TWIN[opcode], loops={"taps_x": 1, "taps_y": 1, "column_tiles": 1} | loops)
    assert tile_terms(SMALL_INT4, command) == terms
    rows = sum((each + 1) // 2 for each in terms)
    assert stream_area(SMALL_INT4, command).size == rows * 16
    assert weights_of(SMALL_INT4, command, np.zeros((1, rows, 16), np.uint8)).shape == (1, sum(terms), 16)


def test_parts_of_a_reduction_count_the_stream_as_the_golden_machine_does(seed):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        taps_y, taps_x, lanes = int(rng.integers(1, 8)), int(rng.choice([1, 1, 3])), int(rng.integers(1, 150))
        for depth in (WIDE, NARROW):
            for part in Reduction(taps_y, taps_x, lanes).whole(depth):
                opcode = INT4_TWIN[Opcode.MATMUL] if depth.int4 else Opcode.MATMUL
                loops = {"taps_y": taps_y, "taps_x": taps_x, "lanes": lanes, "span": part.span}
                command = Command(opcode, {"loops": loops | {"column_tiles": 1}})
                assert list(part.tile_terms(depth)) == tile_terms(SMALL_INT4, command)
                assert stream_area(SMALL_INT4, command).size == 16 * part.stream_rows(depth)


def test_a_filter_of_9_taps_has_5_rows_in_the_stream():
    taps = Taps(axis=1, first=0, count=3, lines=3, span=3)
    assert (taps.pass_rows, taps.stream_rows(int4=False), taps.stream_rows(int4=True)) == (9, 9, 5)
    taps = Taps(axis=1, first=0, count=5, lines=5, span=3)  # the second pass has a row of zeros
    assert (taps.pass_rows, taps.stream_rows(int4=False), taps.stream_rows(int4=True)) == (15, 30, 16)


@pytest.mark.parametrize("depth", [WIDE, NARROW])
def test_a_reduction_is_cut_where_tiles_are_full(seed, depth):
    rng = np.random.default_rng(seed)
    for _ in range(200):
        reduction = Reduction(int(rng.integers(1, 6)), int(rng.choice([1, 3])), int(rng.integers(1, 900)))
        limit = int(rng.integers(depth.stream_rows(depth.terms), 400))
        (whole,), parts = reduction.whole(depth), reduction.split(depth, limit)
        assert sum(part.terms for part in parts) == whole.terms
        assert max(part.stream_rows(depth) for part in parts) <= limit
        if reduction.taps_x == 1 and reduction.lanes > limit * depth.terms:  # cut within a kernel row: as many tiles as in one piece
            tiles = reduction.taps_y * -(-reduction.lanes // depth.terms)
            assert sum(len(part.tile_terms(depth)) for part in parts) == tiles


def test_a_kernel_of_27_bytes_fits_one_tile_and_one_of_33_does_not():
    for lanes, tiles, rows in ((9, 1, 14), (11, 2, 17)):
        part = Part(0, 3, 0, 1, 0, lanes).packed(NARROW)
        assert (len(part.tile_terms(NARROW)), part.stream_rows(NARROW)) == (tiles, rows)


@pytest.mark.parametrize(("low", "high", "fits"), [(-8, 7, True), (-9, 7, False), (-8, 8, False), (0, 0, True), (1, 1, True)])
def test_a_step_is_int4_where_all_its_weights_are(low, high, fits):
    weights = np.full((1, 1, 4, 4), low, np.int8)
    weights[0, 0, 0, 0] = high
    step = Step("a", "-", "a", Opcode.MATMUL, "x", "y", Extent(1, 1, 4), Extent(1, 1, 4), weights=weights)
    assert step.int4 == fits
    assert not dataclasses.replace(step, opcode=Opcode.SUM, weights=None).int4


def network(low, high):
    """Two convolutions with weights from low to high - 1."""
    maker = GraphMaker(np.random.default_rng(3), (1, 6, 6, 20))
    graph = maker.graph(maker.conv(maker.conv("input", 24, (3, 3)), 8, (1, 1)))
    for number in (0, 1):
        weights = graph.tensors[f"w{number}"]
        data = np.random.default_rng(number).integers(low, high, weights.shape).astype(np.int8)
        graph.tensors[weights.name] = dataclasses.replace(weights, data=data)
    return graph


def opcodes_of(graph, config):
    return {planned.command.opcode for planned in compile_graph(graph, config).program.commands}


def test_only_a_configuration_with_int4_gets_its_commands():
    assert Opcode.MATMUL_INT4 in opcodes_of(network(-8, 8), SMALL_INT4)
    assert Opcode.MATMUL not in opcodes_of(network(-8, 8), SMALL_INT4)
    assert Opcode.MATMUL_INT4 not in opcodes_of(network(-8, 8), SMALL)
    assert Opcode.MATMUL_INT4 not in opcodes_of(network(-9, 9), SMALL_INT4)


def test_a_machine_without_int4_does_not_know_its_commands():
    program = compile_graph(network(-8, 8), SMALL_INT4).program
    first = next(index for index, planned in enumerate(program.commands) if planned.command.opcode.int4)
    inputs = {place.tensor: np.zeros(place.shape, place.dtype) for place in program.inputs}
    with pytest.raises(MachineError) as stopped:
        Machine(dataclasses.replace(program, config=SMALL)).run(inputs)
    assert (stopped.value.code, stopped.value.index) == (Error.BAD_OPCODE, first)
    commands, code = unpack_stream(program.command_bytes(), int4=False)
    assert (code, len(commands)) == (Error.BAD_OPCODE, first)
    assert unpack_stream(program.command_bytes(), int4=True)[1] == Error.NONE


def test_a_filter_with_4_bit_weights_has_no_more_taps_than_the_array_has_rows():
    loops = {"taps_x": SMALL.rows + 1, "stride": 1, "positions": 40}
    command = execute(Opcode.DEPTHWISE_INT4, loops=loops)
    program = Program("", SMALL_INT4, (Planned(command, 0),), (Layer("", "", (), 0),), b"", 0, (), (), ())
    with pytest.raises(MachineError) as stopped:
        Machine(program).run({})
    assert stopped.value.code == Error.BAD_FIELD


def test_tiles_of_the_rule_hold_twice_as_much():
    assert [len(list(packed_tiles(3, 48, 3, depth))) for depth in (16, 32)] == [9, 5]
