"""Pass: bands to works. A work is one execute command: a block of output pixels, some column tiles, a part of the reduction."""

import math
from dataclasses import dataclass
from functools import cached_property

from golden.machine_stream import PARAMETER_ROWS_OF
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import PARAMETER_ROWS, SOFTMAX_TABLE_BYTES, VECTORS, Opcode, Params
from weft.compiler.blocks import MOST_BLOCKS, Block, columns_of, even, runs
from weft.compiler.estimate import (
    COMMAND_CYCLES,
    COMMAND_TRAFFIC,
    DEPENDENT_CYCLES,
    SOFTMAX_ROW_CYCLES,
    arrival_cycles,
    job_cycles,
    transfer_rate,
)
from weft.compiler.fir import Fir, Taps, fir_along
from weft.compiler.groups import cut, early_parts, filter_groups, groups_of, taper
from weft.compiler.reduction import Depth, Part, Reduction, reduction_of, window_parts, window_taps
from weft.compiler.second_taps import SecondTaps
from weft.compiler.steps import Step
from weft.compiler.tuning import USUAL, Tuning


@dataclass(frozen=True)
class Stream:
    """Consecutive bytes of the weight stream that one work, or several in turn, read.

    Attributes
    ----------
    step : int
    first_tile, tiles : int
        Column tiles.
    part : Part or Taps
        Of the reduction.
    params : Params
        What stands behind each column tile's weights.
    size : int
        Bytes.
    """

    step: int
    first_tile: int
    tiles: int
    part: Part | Taps
    params: Params
    size: int


@dataclass(frozen=True)
class Work:
    """One execute command.

    Attributes
    ----------
    step, segment : int
        Index into `Network.steps` and into the plan's segments.
    block : Block
    first_tile, tiles : int
        Column tiles.
    part : Part or Taps
        Of the reduction.
    partial_in, partial_out : bool
        It continues the sums of the work before; it leaves its sums to the next one and writes nothing.
    stream : Stream or None
        What it reads of the weight stream; None where that holds nothing for it.
    cycles : int
        Estimate.
    """

    step: int
    segment: int
    block: Block
    first_tile: int
    tiles: int
    part: Part | Taps
    partial_in: bool
    partial_out: bool
    stream: Stream | None
    cycles: int

    @property
    def down(self) -> bool:
        """A filter whose taps run along the height: its block rows are columns of the image."""
        return isinstance(self.part, Taps) and self.part.axis == 0

    @property
    def image_rows(self) -> int:
        """Rows of the result from the block's first to its last, with those that it leaves to other phases."""
        return (self.block.rows - 1) * (self.block.every if self.down else 1) + 1


def params_of(step: Step) -> Params:
    """What the weight stream holds for each column tile of a step."""
    if step.bias is None:
        return Params.NONE
    return Params.BIAS if len(step.multiplier) == 1 else Params.FULL


class StepTiler:
    """How one step becomes works on one configuration.

    Parameters
    ----------
    index : int
        Of the step in its network.
    step : Step
    config : NpuConfig
    tuning : Tuning
    awaited : int
        Blocks of this step for which the first block of a reader waits: 1 where the next step reads the same pixels, else 2, since
        windows reach into the next block.
    awaited_late : bool
        The next step can begin with the channels that are ready.
    following : int
        Bytes of weights and parameters of all steps behind this one.
    """

    def __init__(
        self, index: int, step: Step, config: NpuConfig, tuning: Tuning = USUAL,
        *, awaited: int = 2, awaited_late: bool = False, following: int = 0,
    ):  # fmt: skip
        self.index, self.step, self.config, self.tuning = index, step, config, tuning
        self.awaited, self.awaited_late = awaited, awaited_late and tuning.early
        self.following = following
        self.params = params_of(step)
        int4 = config.int4 and step.int4
        self.depth = Depth(config.tile_depth(int4), int4)
        self.second = SecondTaps(step, config, self.depth.terms)
        self._cycles: dict[int, int] = {}
        self._firs: dict[int, Fir] = {}

    @cached_property
    def vectors(self) -> int:
        """Vectors of C channels in a pixel, if they can be visited like pixels: one job does what column tiles do one by one; else 0."""
        step, config = self.step, self.config
        vectors, rest = divmod(step.image.channels, config.cols)
        contiguous = step.stride[1] == 1 or step.result.width == 1
        plain = step.source_view is None and step.output_view is None and step.second_view is None
        uniform = step.bias is None or (self.params == Params.BIAS and (step.bias == step.bias[0]).all())
        if step.opcode not in (Opcode.SUM, Opcode.MAX) or not plain or rest or not contiguous or not uniform:
            return 0
        return vectors if 1 < vectors <= config.ACCUMULATOR_DEPTH else 0

    @cached_property
    def reduction(self) -> Reduction:
        """Of a MATMUL."""
        return reduction_of(self.step)

    @cached_property
    def tiles(self) -> int:
        """Column tiles of a pixel."""
        return 1 if self.vectors else math.ceil(self.step.result.channels / self.config.cols)

    def fir(self, rows: int) -> Fir:
        """DEPTHWISE: the filter along the axis that takes fewer cycles for bands of so many rows."""
        if rows not in self._firs:
            axes = (0,) if self.step.overlapping else (1, 0)
            firs = [fir_along(self.step, axis, self.config.rows) for axis in axes]
            if rows == self.step.result.height:
                self._firs[rows] = min(firs, key=lambda fir: self._cost(self._best_filter_blocks(fir), fir, False))
            else:
                self._firs[rows] = min(firs, key=lambda fir: sum(self._job(block, fir) for block in self._filter_blocks(fir, 0, rows)))
        return self._firs[rows]

    def along_height(self, rows: int) -> bool:
        """Whether it is a filter whose taps run along the height, in bands of so many rows."""
        return self.step.opcode == Opcode.DEPTHWISE and self.fir(rows).axis == 0

    @cached_property
    def tile_rows(self) -> list[int]:
        """Rows of the stream, loaded one a cycle, of each reduction tile of a column tile (of MATMUL, in one part)."""
        if self.step.opcode != Opcode.MATMUL:
            return [0] * (self.step.kernel[0] * self.step.kernel[1])
        (whole,) = self.reduction.whole(self.depth)
        return whole.tile_rows(self.depth)

    @cached_property
    def tile_bytes(self) -> int:
        """Bytes of one column tile in the weight stream."""
        rows = PARAMETER_ROWS_OF[self.params]
        if self.step.opcode == Opcode.MATMUL:
            rows += sum(self.tile_rows)
        if self.step.opcode == Opcode.DEPTHWISE:
            fir = fir_along(self.step, 1, self.config.rows)
            rows += sum(map(self._weight_rows, fir.parts))
        return rows * self.config.cols

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all its streams, about."""
        if self.step.opcode == Opcode.SOFTMAX:
            return SOFTMAX_TABLE_BYTES
        return len(self.step.table) + self.tile_bytes * self.tiles

    # Cycles

    def _jobs(self, block: Block, fir: Fir | None) -> int:
        """Cycles of all column tiles of a block."""
        return self.tiles * self._job(block, fir) + self.second.cycles(block, fir)

    def _pixels(self, block: Block) -> int:
        """Entries of the accumulators of one column tile of a block."""
        return block.rows * block.cols * max(1, self.vectors)

    def _final_one_by_one(self, fir: Fir | None) -> bool:
        """A column tile has one reduction tile: its sums leave while its waves go on."""
        return len(self.tile_rows) == 1 if fir is None else [part.passes for part in fir.parts] == [1]

    def _job(self, block: Block, fir: Fir | None = None) -> int:
        """Cycles of one column tile of a block."""
        pixels = self._pixels(block)
        if self.step.opcode == Opcode.SOFTMAX:
            return pixels * (3 * self.step.image.channels + SOFTMAX_ROW_CYCLES)
        if fir is None:
            return job_cycles(self.config, self.params, pixels, pixels, self.tile_rows, halves=self.tuning.halves)
        first, count, lines = (block.y, block.rows, block.cols) if fir.axis == 0 else (block.x, block.cols, block.rows)
        cycles = 0
        for part in fir.parts:
            rows = part.pass_rows  # of 4-bit weights too: they are written one a cycle
            waves = lines * (fir.positions(self.step, first, count, part) + self._lagging_conflicts(fir, part))
            tiles = [rows] * part.passes
            cycles += job_cycles(self.config, self.params, pixels, waves, tiles, halves=self.tuning.halves) + rows // self.tiles
        return cycles

    def _lagging_conflicts(self, fir: Fir, part: Taps) -> int:
        """Steps of a block row in which a port that lags is still in the row that the one before it reads, in the same bank."""
        view, channels = self.step.source_view, self.step.image.channels
        turns = fir.axis == 1 and (fir.step * (channels if view is None else view.dx)) % (self.config.BANKS * self.config.word_bytes) == 0
        return part.count * (min(part.span, part.lines) - 1) if turns else 0

    def band_cycles(self, rows: int) -> int:
        """Cycles of a band of so many rows, in as few blocks as the accumulators allow."""
        if rows not in self._cycles:
            fir = self.fir(rows) if self.step.opcode == Opcode.DEPTHWISE else None
            blocks = self.band_blocks(0, rows)
            self._cycles[rows] = sum(self._jobs(block, fir) + COMMAND_CYCLES for block in blocks)
        return self._cycles[rows]

    # Blocks

    def band_blocks(self, y: int, rows: int, nominal: int | None = None) -> list[Block]:
        """As few blocks as the accumulators allow; `nominal` are the rows of the step's other bands."""
        if self.step.opcode == Opcode.DEPTHWISE:
            return self._filter_blocks(self.fir(nominal or rows), y, rows)
        return self._blocks(y, rows, lambda height, widest: math.ceil(height / max(1, self.config.ACCUMULATOR_DEPTH // widest)))

    def whole_blocks(self, *, from_ddr: bool) -> list[Block]:
        """Blocks of the whole image, so many that the next step need not wait for all of it.

        Parameters
        ----------
        from_ddr : bool
            Its source comes from DDR while it runs: the first block waits for its rows.
        """
        height = self.step.result.height
        large = self.step.opcode == Opcode.MATMUL and self.tile_bytes > self.config.weight_bytes // 4
        if large or self.step.opcode == Opcode.SOFTMAX:
            return self.band_blocks(0, height)
        if self.step.opcode == Opcode.DEPTHWISE:
            return self._best_filter_blocks(self.fir(height), from_ddr)
        return self._blocks(0, height, lambda height, widest: self._count(height, widest, from_ddr))

    def _blocks(self, y, rows, count_of) -> list[Block]:
        """Blocks row by row; `count_of` says how many for so many rows of so many waves."""
        vectors = max(1, self.vectors)
        columns = columns_of(self.step, self.config, vectors)
        widest = max(cols for _, cols, _ in columns) * vectors
        blocks = []
        for top, height, count_y in runs(self.step, 0, y, rows):
            # the same rows in all columns, so that rows become whole one after the other
            for first, size in even(top, height, count_of(height, widest)):
                blocks += [Block(first, size, left, cols, count_y * count_x) for left, cols, count_x in columns]
        return blocks

    def _filter_blocks(self, fir: Fir, y, rows, least: int = 1) -> list[Block]:
        """Blocks of a DEPTHWISE step: whole rows of the filter, at least `least` for a phase."""
        along, across = ((0, self.step.result.width), (y, rows)) if fir.axis == 1 else ((y, rows), (0, self.step.result.width))
        blocks = []
        for phase in range(fir.phases):
            first, outputs = fir.outputs(along[0], along[1], phase)
            if not outputs:
                continue
            pieces = even(0, outputs, math.ceil(outputs / self.config.ACCUMULATOR_DEPTH))
            lines = self.config.ACCUMULATOR_DEPTH // max(count for _, count in pieces)
            for top, size in even(across[0], across[1], min(across[1], max(least, math.ceil(across[1] / lines)))):
                for skip, count in pieces:
                    begin = first + skip * fir.phases
                    rectangle = (top, size, begin, count) if fir.axis == 1 else (begin, count, top, size)
                    blocks.append(Block(*rectangle, every=fir.phases))
        return blocks

    def _best_filter_blocks(self, fir: Fir, from_ddr=False) -> list[Block]:
        """Blocks of the whole image of a DEPTHWISE step: the cheapest."""
        height = self.step.result.height
        least = len(self._filter_blocks(fir, 0, height, 1))
        options = [self._filter_blocks(fir, 0, height, count) for count in range(1, MOST_BLOCKS)]
        options = [blocks for blocks in options if len(blocks) <= least + MOST_BLOCKS]
        return min(options, key=lambda blocks: (self._cost(blocks, fir, from_ddr), len(blocks)))

    def _count(self, rows, widest, from_ddr) -> int:
        """Number of blocks to cut rows of so many waves into: the cheapest."""
        fewest = math.ceil(rows / max(1, self.config.ACCUMULATOR_DEPTH // widest))
        vectors = max(1, self.vectors)
        options = []
        for count in range(fewest, min(rows, fewest + MOST_BLOCKS) + 1):
            blocks = [Block(first, size, 0, widest // vectors) for first, size in even(0, rows, count)]
            options.append((self._cost(blocks, None, from_ddr), count))
        return min(options)[1]

    def _cost(self, blocks, fir, from_ddr) -> int:
        """Cycles of the jobs, what the next layer waits, the first block's input where that comes from DDR, and a little for each command.

        The next layer's first block needs the first blocks of this one, or all where they are no rows. A block leaves the accumulators
        pixel by pixel after its last wave, or with its waves where a job has one reduction tile; the blocks behind it hide that.
        """
        jobs = [self._jobs(block, fir) for block in blocks]
        needed = min(self.awaited, len(blocks)) if fir is None or fir.axis == 1 else len(blocks)
        drain = 0 if self._final_one_by_one(fir) else self._pixels(blocks[needed - 1]) * self.config.lane_divisor
        waits = max(0, self.tuning.dependent_cycles + drain - sum(jobs[needed:]))
        if self.awaited_late and len(blocks) == 1 and len(self._groups(1, kept=False, first=False, last=False)) > 1:
            waits = 0
        cycles = 0
        for place, (block, job) in enumerate(zip(blocks, jobs), 1):
            if from_ddr:
                high = self.step.rows_read(block.y, block.rows)[1]
                came = arrival_cycles(self.config, high, self.step.image.row_bytes, apart=self.step.side_by_side)
                cycles = max(cycles, came + place * COMMAND_TRAFFIC // transfer_rate(self.config))
            cycles += job + COMMAND_CYCLES
        return cycles + waits

    # Streams

    def streams(
        self, blocks: int, *, kept: bool, first: bool, last: bool, rows: int, window_rows: int = 0, edges: tuple[int, ...] = ()
    ) -> list[list[Stream]]:
        """The weight streams: for each group of column tiles its parts.

        The weight scratchpad holds a few works' weights at a time: four where the image has one block or the tiles are
        small, else at least two. What is larger is cut along the reduction; several blocks then read it several times.

        Parameters
        ----------
        blocks : int
            Blocks of the whole step.
        kept : bool
            All streams of the segment fit the weight scratchpad together.
        first, last : bool
            The network begins with this step: its first stream is small, so that it starts soon; it ends with it: the last ones are small.
        rows : int
            Rows of a band.
        window_rows : int
            Kernel rows of a part of a SUM's or a MAX's window; 0: all of them.
        edges : tuple of int
            Column tiles with which the works of the step begin that makes the source; empty where that is not the step before.
        """
        step, config = self.step, self.config
        if step.opcode == Opcode.SOFTMAX:
            return [[Stream(self.index, 0, 1, window_parts(step, 0)[0], Params.NONE, SOFTMAX_TABLE_BYTES)]]
        fir = self.fir(rows) if step.opcode == Opcode.DEPTHWISE else None
        if fir is not None:
            parts = list(fir.parts)
        elif step.opcode == Opcode.MATMUL:
            parts = self.reduction.whole(self.depth)
        else:
            parts = window_parts(step, window_rows)
        uniform = step.opcode in VECTORS and (self.params == Params.NONE or self.vectors)
        groups = [(0, self.tiles)] if uniform else self._groups(blocks, kept=kept, first=first, last=last)
        if step.opcode == Opcode.MATMUL and self.tile_bytes > config.weight_bytes // (4 if blocks == 1 else 2):
            parts = self.reduction.split(self.depth, config.weight_bytes // 4 // config.cols - PARAMETER_ROWS)
            groups = [(tile, 1) for tile in range(self.tiles)]
        if len(parts) > 1:  # partial sums are continued for one column tile at a time
            groups = [(tile, 1) for tile in range(self.tiles)]
        second, early = self.second.parts(fir), []
        if self.tuning.early and blocks == 1 and len(parts) == 1 and step.rest is None:
            groups, early = self._behind(groups, edges, fir)
        return [
            self._streams(first, tiles, (first == 0 and early) or [*second.get(first, ()), *parts])
            for first, tiles in self.second.groups(groups, fir)
        ]

    def _behind(self, groups, edges, fir) -> tuple[list[tuple[int, int]], list[Part]]:
        """Groups of column tiles, and parts of the first of them, of which the last works of the step before are awaited late.

        A filter begins with the channels that are ready. So does the first column tile of a MATMUL over single pixels: it takes the
        channels that are ready in a part of its own. What is awaited was computed while these took their cycles.
        """
        step = self.step
        block = Block(0, step.result.height, 0, step.result.width)
        if fir is not None:
            job = self._job(block, fir)
            own = (self.tiles - -(-DEPENDENT_CYCLES // job),) if self.awaited_late else ()
            return filter_groups(groups, edges or own, self.tiles, job), []
        parts = early_parts(step, block, edges, self.depth, self.config) if step.opcode == Opcode.MATMUL else []
        return (cut(groups, 1) if parts else groups), parts

    def _streams(self, first, tiles, parts) -> list[Stream]:
        """Of a group of column tiles: what follows all sums stands in the last part's."""
        return [self._stream(first, tiles, part, Params.NONE if part is not parts[-1] else self.params) for part in parts]

    def _stream(self, first, tiles, part, params) -> Stream:
        config = self.config
        rows = PARAMETER_ROWS_OF[params] + self._weight_rows(part)
        return Stream(self.index, first, tiles, part, params, len(self.step.table) + tiles * rows * config.cols)

    def _weight_rows(self, part: Part | Taps) -> int:
        """Rows of weights of a column tile in the weight stream."""
        if isinstance(part, Taps):
            return part.stream_rows(self.depth.int4)
        return part.stream_rows(self.depth) if self.step.opcode == Opcode.MATMUL else 0

    def _groups(self, blocks, *, kept, first, last) -> list[tuple[int, int]]:
        """Column tiles of each work: (first, how many)."""
        limit = self.config.weight_bytes // (1 if kept else 4)
        if blocks == 1:
            limit = min(limit, self.tuning.streamed_bytes)
            if self.tuning.tapered and not last:
                limit = min(limit, self.following)
        count = math.ceil(self.tiles / max(1, limit // self.tile_bytes))
        sizes = [size for _, size in even(0, self.tiles, count)]
        if last and count > 1:
            sizes = taper(sizes)
        if first and sizes[0] > 1:
            sizes = [1, sizes[0] - 1, *sizes[1:]]
        return groups_of(sizes)

    def works(self, segment: int, blocks: list[Block], streams: list[list[Stream]], rows: int) -> list[Work]:
        """Works of a band: for each group of column tiles all blocks, for each block all parts."""
        made = []
        fir = self.fir(rows) if self.step.opcode == Opcode.DEPTHWISE else None
        has_stream = self.step.opcode in (Opcode.MATMUL, Opcode.DEPTHWISE, Opcode.SOFTMAX) or self.step.table or self.params != Params.NONE
        for group in streams:
            for block in blocks:
                cycles = group[0].tiles * self._job(block, fir) // sum(stream.part.number == 0 for stream in group)
                for number, stream in enumerate(group):
                    partial = number > 0, number < len(group) - 1
                    place = (stream.first_tile, stream.tiles, stream.part)
                    read = stream if has_stream and not (partial[1] and window_taps(self.step, stream.part)) else None
                    own = self.second.part_cycles(stream.part, block, fir) if stream.part.number else cycles
                    made.append(Work(self.index, segment, block, *place, *partial, read, own))
        return made
