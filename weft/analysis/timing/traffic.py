"""Bytes that an execute command moves in the scratchpads, counted from its fields as the NPU's counters count them."""

import numpy as np

from golden.machine_reads import channels_of, pixels_of
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import Command, Opcode
from hw.npu.softmax.softmax_unit import SoftmaxUnit
from weft.analysis.timing.work import Work


def sram_bytes(command: Command, work: Work, config: NpuConfig) -> tuple[int, int]:
    """Bytes read from both scratchpads, and bytes written.

    A wave reads R bytes (MATMUL_INT4: 2R; SUM, MAX and filters: C), unless it lies wholly in the padding. Each kernel row that it takes
    bytes of is a read. SOFTMAX reads its rows once a pass.
    """
    loops = command.fields["loops"]
    channels = 0 if work.partial_out else channels_of(config, loops)
    if work.operation == Opcode.SOFTMAX:
        written = work.pixels * loops["lanes"]
        return SoftmaxUnit.PASSES * written + work.stream_rows * config.cols, written
    written = work.pixels * channels
    width = work.wave_bytes
    if work.operation == Opcode.INTERPOLATE:
        waves = _reading_vectors(command, work)
    else:
        waves = work.jobs * work.reads_of_ports if work.refused else _reading_waves(loops, command.fields["input"], work, width)
    second = written if work.second else 0
    return waves * width + work.stream_rows * config.cols + second, written


def _reading_waves(loops, source, work, width) -> int:
    """Waves of which a byte lies inside the image."""
    cols, taps_y, taps_x = loops["block_cols"], loops["taps_y"], loops["taps_x"]
    pieces = work.tile_terms[: len(work.tile_terms) // (taps_y * taps_x)]  # reduction tiles of a tap
    y, step_y, tap_rows = source.get("y", 0), source.get("row_step_y", 0), source.get("tap_y_rows", 0)
    rows = sum(_inside(y + tap * tap_rows, 1, step_y, source["height"], loops["block_rows"]) for tap in range(taps_y))
    # column tiles of the vector path follow each other in the image row; those of MATMUL read the same bytes
    starts = [0] if work.array else [job * width for job in range(work.jobs)]
    x, step, tap_step, size = source.get("x_bytes", 0), source.get("pixel_step", 0), source.get("tap_x_step", 0), source["image_row_bytes"]
    pieces = pieces if work.array else (width,)
    end = x + (cols - 1) * step + (taps_x - 1) * tap_step + starts[-1] + sum(pieces)
    if x >= 0 and end <= size:
        across = cols * taps_x * len(pieces) * len(starts)
    else:
        across = sum(
            _inside(x + start + tap * tap_step + piece * width, taken, step, size, cols)
            for start in starts
            for tap in range(taps_x)
            for piece, taken in enumerate(pieces)
        )
    return rows * across * (work.jobs if work.array else 1)


def _reading_vectors(command, work) -> int:
    """The same of an INTERPOLATE, whose pixels are no even steps apart."""
    loops, source = command["loops"], command["input"]
    y = pixels_of(command, "y")[:, None] + np.arange(loops["taps_y"]) * source["tap_y_rows"]
    starts = (np.arange(loops["taps_x"]) * source["tap_x_step"])[:, None] + np.arange(work.jobs) * work.cols
    x = pixels_of(command, "x")[:, None, None] + starts
    rows, vectors = (y >= 0) & (y < source["height"]), (x > -work.cols) & (x < source["image_row_bytes"])
    return int(rows.sum() * vectors.sum())


def _inside(first, taken, step, size, count) -> int:
    """Positions ``first``, ``first + step``, ... (``count`` of them) of which one of ``taken`` bytes lies in ``0 .. size - 1``."""
    if not step:
        return count if -taken < first < size else 0
    low = max(0, -(-(1 - taken - first) // step))  # first + low * step > -taken
    high = min(count, -(-(size - first) // step))  # first + (high - 1) * step < size
    return max(0, high - low)
