"""Execute commands on the golden machine against arithmetic written down here: convolutions by definition, bytes one by one."""

import itertools

import numpy as np
import pytest

from golden.machine_execute import execute_job
from golden.machine_reads import input_bytes, packed_tiles
from golden.machine_state import MachineError, MachineState
from golden.program import Layer, Program
from golden.requantize import multiply_double_rounding
from hw.npu.config import PRESETS, NpuConfig
from hw.npu.interface.isa import MOST_LAG, Command, Opcode, Params

SMALL = PRESETS["small"]
TINY = NpuConfig(name="tiny", rows=8, cols=4, act_kib=16, weight_kib=8)
SCALING = {"multiplier": 1 << 30, "right_shift": 4, "zero_point": 3, "clamp_min": -128, "clamp_max": 127}


def state_of(rng, config=SMALL) -> MachineState:
    """Scratchpads full of random bytes."""
    state = MachineState.fresh(Program("", config, (), (Layer("", "", (), 0),), b"", 0, (), (), ()), 0)
    for memory in (state.activations, state.weights):
        memory[:] = rng.integers(0, 256, len(memory))
    return state


def requantized(sums):
    """What SCALING makes of sums."""
    return np.clip(multiply_double_rounding(sums, 1 << 30, 0, 4) + 3, -128, 127).astype(np.int8)


def depthwise(image, weights, stride, pad, pad_value, rows, cols):
    """Sums of a depthwise convolution by definition, int64[rows, cols, C]; image int8[H, W, C], weights int8[KH, KW, C]."""
    kh, kw, channels = weights.shape
    wide = np.full(
        (rows * stride + kh + pad[0] + image.shape[0], cols * stride + kw + pad[1] + image.shape[1], channels), pad_value, np.int64
    )
    wide[pad[0] : pad[0] + image.shape[0], pad[1] : pad[1] + image.shape[1]] = image
    sums = np.zeros((rows, cols, channels), np.int64)
    for y, x, ky, kx in itertools.product(range(rows), range(cols), range(kh), range(kw)):
        sums[y, x] += wide[y * stride + ky, x * stride + kx] * weights[ky, kx].astype(np.int64)
    return sums


def depthwise_command(rng, config, kernel, stride, transposed, span):
    """A random image, kernel and block; the command, the image, the weights and the sums that it should give."""
    channels = int(rng.integers(1, 3 * config.cols + 1))
    height, width = (int(n) for n in rng.integers(1, 12, 2))
    pad = tuple(int(rng.integers(0, k)) for k in kernel)
    rows, cols = (max(1, (size + p + k - 1 - k) // stride + 1) for size, p, k in zip((height, width), pad, kernel, strict=True))
    image = rng.integers(-128, 128, (height, width, channels), dtype=np.int8)
    weights = rng.integers(-128, 128, (*kernel, channels), dtype=np.int8)
    pad_value, pitch = int(rng.integers(-128, 128)), width * channels + int(rng.integers(0, 9))
    taps, lines = kernel[::-1] if not transposed else kernel
    block_rows, block_cols = (cols, rows) if transposed else (rows, cols)
    source = {
        "address": 2048 - pad[0] * pitch - pad[1] * channels,
        "y": -pad[0],
        "height": height,
        "x_bytes": -pad[1] * channels,
        "image_row_bytes": width * channels,
        "pad_value": pad_value,
        "row_step": stride * (channels if transposed else pitch),
        "tap_y_step": channels if transposed else pitch,
        "pixel_step": pitch if transposed else channels,
        "row_step_y": 1 if transposed else stride,
        "tap_y_rows": 0 if transposed else 1,
    }
    loops = {
        "block_rows": block_rows, "block_cols": block_cols, "taps_y": lines, "taps_x": taps, "span": span, "stride": stride,
        "positions": max(3, (block_cols - 1) * stride + taps), "transposed": int(transposed),
        "column_tiles": -(-channels // config.cols), "last_cols": (channels - 1) % config.cols + 1,
    }  # fmt: skip
    output = SCALING | {
        "address": 8192,
        "pixel_step": channels * (cols if transposed else 1),
        "row_step": channels * (1 if transposed else cols),
    }
    command = Command(Opcode.DEPTHWISE, {"loops": loops, "input": source, "output": output})
    return command, image, weights, depthwise(image, weights, stride, pad, pad_value, rows, cols)


def put_image(state, image, address, pitch):
    for y, row in enumerate(image):
        state.activations[address + y * pitch : address + y * pitch + row.size] = row.reshape(-1).view(np.uint8)


def put_depthwise_weights(state, command, weights, rng):
    """Rows of taps as the stream holds them: kernel rows of a pass, taps; what lies behind the last kernel row is anything."""
    loops, cols = command["loops"], state.config.cols
    span, lines, tiles = loops["span"], loops["taps_y"], loops["column_tiles"]
    along = weights.transpose(1, 0, 2) if loops["transposed"] else weights  # [kernel row, tap, channel]
    stream = rng.integers(-128, 128, (-(-lines // span) * span, loops["taps_x"], tiles * cols), dtype=np.int8)
    stream[:lines, :, : weights.shape[2]] = along
    flat = stream.reshape(-1, tiles, cols).transpose(1, 0, 2).reshape(-1).view(np.uint8)
    state.weights[: len(flat)] = flat


KERNELS = [(1, 1), (3, 3), (5, 5), (7, 7), (1, 7), (7, 1), (2, 3), (4, 6), (16, 1)]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", KERNELS)
def test_depthwise_is_the_convolution_by_definition(seed, kernel, stride, transposed):
    rng = np.random.default_rng([seed, *kernel, stride, transposed])
    taps = kernel[0 if transposed else 1]
    spans = [span for span in (1, 2, 3) if span * taps <= SMALL.rows and (span - 1) * taps <= MOST_LAG]
    for span in spans:
        state = state_of(rng)
        command, image, weights, sums = depthwise_command(rng, SMALL, kernel, stride, transposed, span)
        put_image(state, image, 2048, command["input"]["pixel_step" if transposed else "tap_y_step"])
        put_depthwise_weights(state, command, weights, rng)
        execute_job(state, 0, command)
        got = state.activations[8192 : 8192 + sums.size].view(np.int8).reshape(sums.shape)
        np.testing.assert_array_equal(got, requantized(sums), err_msg=f"seed {seed}, span {span}: {command}")


def test_partial_sums_of_depthwise_kernel_rows_add_up(seed):
    rng = np.random.default_rng(seed)
    command, image, weights, sums = depthwise_command(rng, SMALL, (5, 3), 1, False, 1)
    while command["loops"]["column_tiles"] > 1:
        command, image, weights, sums = depthwise_command(rng, SMALL, (5, 3), 1, False, 1)
    state, source = state_of(rng), command["input"]
    put_image(state, image, 2048, source["tap_y_step"])
    put_depthwise_weights(state, command, weights, rng)
    for first, count in ((0, 2), (2, 1), (3, 2)):
        loops = {"taps_y": count, "partial_in": int(first > 0), "partial_out": int(first < 3)}
        moved = {"address": source["address"] + first * source["tap_y_step"], "y": source["y"] + first}
        part = {"loops": command["loops"] | loops, "input": source | moved, "weights": {"address": first * 3 * SMALL.cols}}
        addresses, _ = execute_job(state, 0, Command(Opcode.DEPTHWISE, command.fields | part))
        assert len(addresses) == (sums.size if first == 3 else 0)
    got = state.activations[8192 : 8192 + sums.size].view(np.int8).reshape(sums.shape)
    np.testing.assert_array_equal(got, requantized(sums))


def test_steps_that_are_left_out_are_padding(seed):
    rng = np.random.default_rng(seed)
    state = state_of(rng)
    image, weights = (rng.integers(-128, 128, shape, dtype=np.int8) for shape in ((6, 10, 16), (3, 3, 16)))
    put_image(state, image, 2048, 160)
    state.weights[:144] = weights.reshape(-1).view(np.uint8)
    loops = {"block_rows": 6, "block_cols": 10, "taps_y": 3, "taps_x": 3, "span": 3, "stride": 1, "column_tiles": 1, "last_cols": 16}
    source = {"address": 2048 - 160 - 16, "y": -1, "height": 6, "x_bytes": -16, "image_row_bytes": 160, "pixel_step": 16, "row_step": 160}
    source |= {"row_step_y": 1, "tap_y_step": 160, "tap_y_rows": 1, "pad_value": -7}
    for positions in (11, 12):  # the last step is padding, as the first is
        fields = {"loops": loops | {"positions": positions}, "input": source}
        _, values = execute_job(
            state, 0, Command(Opcode.DEPTHWISE, fields | {"output": SCALING | {"address": 8192, "pixel_step": 16, "row_step": 160}})
        )
        expected = requantized(depthwise(image, weights, 1, (1, 1), -7, 6, 10))
        np.testing.assert_array_equal(values.view(np.int8).reshape(expected.shape), expected)


def matmul_command(rng, config):
    """A random MATMUL over whole kernel rows, of an image at 4096."""
    lanes, taps_y = int(rng.integers(1, 40)), int(rng.integers(1, 8))
    height, pitch = int(rng.integers(3, 12)), 80
    loops = {"block_rows": 3, "block_cols": 5, "taps_y": taps_y, "taps_x": 1, "lanes": lanes, "span": 1}
    loops |= {"column_tiles": int(rng.integers(1, 3)), "last_cols": int(rng.integers(1, config.cols + 1))}
    source = {
        "address": 4096 - 2 * pitch - 5, "y": -2, "height": height, "x_bytes": -5, "image_row_bytes": 60,
        "pixel_step": int(rng.integers(1, 9)),
        "row_step": 2 * pitch, "row_step_y": 2, "tap_y_step": pitch, "tap_y_rows": 1, "pad_value": int(rng.integers(-128, 128)),
    }  # fmt: skip
    output = SCALING | {"address": 10000, "pixel_step": 2 * config.cols, "row_step": 10 * config.cols, "right_shift": 9}
    return Command(Opcode.MATMUL, {"loops": loops, "input": source, "output": output, "weights": {"params": Params.BIAS}})


def changed(command, group, **fields):
    return Command(command.opcode, command.fields | {group: command.fields[group] | fields})


@pytest.mark.parametrize("number", range(8))
def test_packed_kernel_rows_give_what_single_ones_give(seed, number):
    rng = np.random.default_rng([seed, number])
    command, state = matmul_command(rng, TINY), state_of(rng, TINY)
    results = [execute_job(state, 0, changed(command, "loops", span=span)) for span in (1, 2, 3)]
    for addresses, values in results[1:]:
        np.testing.assert_array_equal(addresses, results[0][0])
        np.testing.assert_array_equal(values, results[0][1])


def test_a_matmul_is_exact_where_single_precision_of_all_terms_is_not(seed):
    rng, lanes = np.random.default_rng(seed), 5000
    state = state_of(rng)
    state.activations[:lanes] = 0x81
    state.weights[:] = rng.integers(0x80, 0x90, len(state.weights))
    loops = {"block_rows": 1, "block_cols": 1, "taps_y": 1, "taps_x": 1, "lanes": lanes, "span": 1, "column_tiles": 1, "last_cols": 16}
    source = {"height": 1, "image_row_bytes": lanes}
    unfinished = changed(Command(Opcode.MATMUL, {"loops": loops, "input": source}), "loops", partial_out=1)
    execute_job(state, 0, unfinished)
    weights = np.resize(state.weights.view(np.int8), lanes * 16).reshape(lanes, 16).astype(np.int64)
    assert state.accumulators[0, 0].tolist() == (-127 * weights.sum(axis=0)).tolist()
    assert max(state.accumulators[0, 0]) > 1 << 26


@pytest.mark.parametrize("opcode", [Opcode.MATMUL, Opcode.SUM, Opcode.MAX, Opcode.DEPTHWISE])
def test_an_image_in_a_ring_gives_what_it_gives_in_one_piece(seed, opcode):
    rng = np.random.default_rng([seed, opcode])
    image, ring, pitch = rng.integers(-128, 128, (20, 40), dtype=np.int8), 7, 48
    loops = {"block_rows": 3, "block_cols": 6, "taps_y": 3, "taps_x": 1, "lanes": 9, "span": 2, "column_tiles": 1, "last_cols": 4}
    loops |= {"stride": 1, "positions": 6} if opcode == Opcode.DEPTHWISE else {}
    output = SCALING | {"address": 12000, "pixel_step": 4, "row_step": 24}
    for y in range(-2, 17):  # five image rows from here on
        source = {"y": y, "height": 20, "image_row_bytes": 40, "pixel_step": 4, "row_step": pitch, "row_step_y": 1, "tap_y_step": pitch}
        source |= {"tap_y_rows": 1, "pad_value": 11}
        results, start = [], rng.integers(0, 256, TINY.act_bytes)
        weights = rng.integers(0, 256, TINY.weight_bytes)
        turn = max(y, 0) // ring
        for name in ("whole", "ring"):
            state = state_of(rng, TINY)
            state.activations[:], state.weights[:] = start, weights
            first = 1000 + y * pitch
            place = {"address": first}
            if name == "whole":
                put_image(state, image, 1000, pitch)
            else:
                for row in range(max(y, 0), min(y + 5, 20)):
                    put_image(state, image[row : row + 1], 1000 + row % ring * pitch, pitch)
                place = {"address": first - turn * ring * pitch, "wrap_row": (turn + 1) * ring, "wrap_bytes": ring * pitch}
            results.append(execute_job(state, 0, Command(opcode, {"loops": loops, "input": source | place, "output": output})))
        np.testing.assert_array_equal(results[0][1], results[1][1], err_msg=f"seed {seed}, rows from {y}")


def test_packed_tiles_are_those_of_the_rule():
    for rows, lanes, taps_y, span in itertools.product((4, 8, 16), (1, 2, 3, 7, 8, 9, 17, 40), range(1, 8), (1, 2, 3)):
        ky, rem, expected = 0, lanes, []
        while ky < taps_y:
            n0 = min(rows, rem)
            n1 = min(rows - n0, lanes) if span > 1 and ky + 1 < taps_y else 0
            n2 = min(rows - n0 - n1, lanes) if span > 2 and n1 == lanes and ky + 2 < taps_y else 0
            tile = [(ky, lanes - rem, n0, 0), (ky + 1, 0, n1, n0), (ky + 2, 0, n2, n0 + n1)]
            expected.append([part for part in tile if part[2]])
            ky, _, last, _ = expected[-1][-1]
            done = last + (lanes - rem if len(expected[-1]) == 1 else 0)
            ky, rem = (ky + 1, lanes) if done == lanes else (ky, lanes - done)
        assert list(packed_tiles(taps_y, lanes, span, rows)) == expected, (rows, lanes, taps_y, span)


def signed(value, bits):
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def wave_bytes(state, command, by, step, ky, kx, byte, count, before):
    """Bytes of one request by the document, one by one: the address of the wave's first byte wraps, the others count up."""
    loops, source, size = command["loops"], command["input"], state.config.act_bytes
    transposed = command.opcode == Opcode.DEPTHWISE and loops["transposed"]
    along = step * source["pixel_step"] + (kx * source["tap_x_step"] if command.opcode != Opcode.DEPTHWISE else 0)
    across = by * source["row_step"] + ky * source["tap_y_step"]
    row = signed(source["y"] + (step * source["row_step_y"] if transposed else by * source["row_step_y"] + ky * source["tap_y_rows"]), 17)
    position = signed(source["x_bytes"] + (across if transposed else along) + byte - before, 25)
    address = signed(source["address"] + across + along + byte - before, 26) - (source["wrap_bytes"] if row >= source["wrap_row"] else 0)
    address += size if address < 0 else -size if address >= size else 0
    values, outside = [], False
    for lane in range(before, before + count):
        real = 0 <= row < source["height"] and 0 <= position + lane < source["image_row_bytes"]
        outside |= real and not 0 <= address < size
        values.append(int(state.activations[(address + lane) % size].view(np.int8)) if real else source["pad_value"])
    return values, outside


def expected_bytes(state, command):
    """`input_bytes` by `wave_bytes`; None where a read is error ADDRESS."""
    loops, config = command["loops"], state.config
    tiles = loops["column_tiles"]
    if command.opcode == Opcode.MATMUL and loops["span"] > 1:
        segments = [part for tile in packed_tiles(loops["taps_y"], loops["lanes"], loops["span"], config.rows) for part in tile]
    elif command.opcode == Opcode.MATMUL:
        chunks = range(0, loops["lanes"], config.rows)
        segments = [(ky, i, min(config.rows, loops["lanes"] - i), 0) for ky in range(loops["taps_y"]) for i in chunks]
    else:
        last = loops["last_cols"] if command.opcode == Opcode.DEPTHWISE else config.cols
        columns = [(t * config.cols, config.cols if t < tiles - 1 else last) for t in range(tiles)]
        segments = [(ky, first, count, 0) for ky in range(loops["taps_y"]) for first, count in columns]
    depthwise_steps = command.opcode == Opcode.DEPTHWISE
    shape = (
        loops["block_rows"],
        loops["positions" if depthwise_steps else "block_cols"],
        loops["taps_y"],
        1 if depthwise_steps else loops["taps_x"],
    )
    values = np.zeros((*shape, max(byte + count for _, byte, count, _ in segments)), np.int8)
    for by, step, kx, (ky, byte, count, before) in itertools.product(range(shape[0]), range(shape[1]), range(shape[3]), segments):
        got, outside = wave_bytes(state, command, by, step, ky, kx, byte, count, before)
        if outside:
            return None
        values[by, step, ky, kx, byte : byte + count] = got
    return values


def random_reads(rng, opcode):
    """A command whose places lie anywhere: around both ends of the scratchpad, and where the feeder's sums overflow."""
    size, far = TINY.act_bytes, rng.random() < 0.4
    loops = {"block_rows": int(rng.integers(1, 4)), "block_cols": int(rng.integers(1, 4)), "taps_y": int(rng.integers(1, 5))}
    loops |= {"taps_x": int(rng.integers(1, 3)), "span": 1, "lanes": int(rng.integers(1, 30)), "column_tiles": int(rng.integers(1, 4))}
    loops |= {"last_cols": int(rng.integers(1, 5)), "positions": int(rng.integers(3, 6)), "stride": 1, "transposed": int(rng.integers(2))}
    if opcode == Opcode.MATMUL and rng.random() < 0.7:
        loops |= {"taps_x": 1, "span": int(rng.integers(2, 4))}
    steps = {"pixel_step": 19, "row_step": 23, "tap_y_step": 23, "tap_x_step": 19}
    source = {
        "address": int(
            rng.choice([
                rng.integers(-1 << 24, 1 << 24) if far else 0,
                rng.integers(-size, 2 * size),
                rng.choice([-5, size - 7, 2 * size - 30]),
                5 - size - rng.integers(50),
            ])
        ),
        "y": int(rng.choice([rng.integers(-3, 4), rng.integers(-1 << 15, 1 << 15) if far else 0])),
        "height": int(rng.choice([3, 60000])),
        "x_bytes": int(rng.choice([0, rng.integers(-20, 20), rng.integers(-1 << 23, 1 << 23) if far else 0])),
        "image_row_bytes": int(rng.choice([30, (1 << 24) - 1])),
        "row_step_y": int(rng.integers(0, 256 if far else 3)),
        "tap_y_rows": int(rng.integers(0, 256 if far else 3)),
        "pad_value": int(rng.integers(-128, 128)),
        "wrap_row": int(rng.choice([2, 65535])),
        "wrap_bytes": int(rng.choice([0, 100, size, 1 << 23])),
    }
    source |= {name: int(rng.integers(0, 1 << (bits if far and rng.random() < 0.3 else 7))) for name, bits in steps.items()}
    return Command(opcode, {"loops": loops, "input": source})


@pytest.mark.parametrize("opcode", [Opcode.MATMUL, Opcode.SUM, Opcode.DEPTHWISE])
def test_bytes_are_those_of_the_document_wherever_they_lie(seed, opcode):
    rng = np.random.default_rng([seed, opcode])
    state, ends = state_of(rng, TINY), {"read": 0, "error": 0}
    for number in range(250):
        command = random_reads(rng, opcode)
        expected = expected_bytes(state, command)
        try:
            got = input_bytes(state, 0, command)
        except MachineError:
            got = None
        ends["error" if got is None else "read"] += 1
        assert (got is None) == (expected is None), f"seed {seed}, number {number}: {command}"
        if got is not None:
            np.testing.assert_array_equal(got, expected, err_msg=f"seed {seed}, number {number}: {command}")
    assert min(ends.values()) > 20, ends


@pytest.mark.parametrize(("loops", "address", "legal"), [
    ({"taps_y": 2, "span": 2, "lanes": 3}, 3 - TINY.act_bytes, True),
    ({"taps_y": 2, "span": 2, "lanes": 3}, 2 - TINY.act_bytes, False),  # the second kernel row's wave begins three bytes before it
    ({"taps_y": 1, "span": 1, "lanes": 16}, 2 * TINY.act_bytes - 9, True),
    ({"taps_y": 1, "span": 1, "lanes": 16}, 2 * TINY.act_bytes - 8, False),  # the second eight bytes begin two sizes away
    ({"taps_y": 1, "span": 1, "lanes": 8}, 2 * TINY.act_bytes - 1, True),
])  # fmt: skip
def test_the_first_byte_of_each_wave_decides_over_its_address(seed, loops, address, legal):
    loops = {"block_rows": 1, "block_cols": 1, "taps_x": 1, "column_tiles": 1, "last_cols": 1} | loops
    source = {"address": address, "height": 2, "image_row_bytes": 99, "tap_y_rows": 1}
    command = Command(Opcode.MATMUL, {"loops": loops, "input": source})
    try:
        input_bytes(state_of(np.random.default_rng(seed), TINY), 0, command)
    except MachineError:
        assert not legal
    else:
        assert legal
