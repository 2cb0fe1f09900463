"""Pass: the stream as commands with all their fields, and the program around them."""

from golden.program import Layer, Place, Planned, Program
from golden.requantize import average_multiplier, split_exponent
from hw.npu.config import NpuConfig
from hw.npu.interface.isa import FRACTION_BITS, INT4_TWIN, QUEUES, Command, Opcode, Region, Target
from weft.compiler.conflicts import best_positions
from weft.compiler.dependencies import Waits
from weft.compiler.fir import Taps, fir_along
from weft.compiler.memory_plan import Buffer, MemoryPlan
from weft.compiler.places import find_places
from weft.compiler.plan import extent_in_memory
from weft.compiler.reduction import Part
from weft.compiler.schedule import Schedule, queue_of
from weft.compiler.states import state_places
from weft.compiler.steps import Extent, Network, Step, View
from weft.compiler.tile import StepTiler, Work
from weft.compiler.transfers import Action, Load, Store, Use
from weft.compiler.weights import WeightImage

COUNT_MASK = 0xFFFF
"""Tokens count in 16 bits."""
LONGEST_WAIT = 1 << 14
"""A wait names one of so many last commands of a queue: one of 2^15 before looks like one to come (``docs/architecture.md``, Tokens)."""


class _Seen:
    """A buffer as a step sees it: where its pixels lie, in bytes."""

    def __init__(self, buffer: Buffer, extent: Extent, view: View | None):
        self.view = view or View(dx=extent.channels)
        self.buffer, self.height = buffer, extent.height
        self.own_rows = not view.row_bytes if view is not None else extent.row_bytes == buffer.row_bytes
        self.pitch, self.row_bytes = buffer.row_pitch, buffer.row_bytes
        if not self.own_rows:
            self.pitch = self.row_bytes = extent.row_bytes
        if view is not None and view.row_bytes:
            # where pixels reach over a row's end, none lies outside
            self.pitch, self.row_bytes = view.row_bytes, view.row_bytes if view.in_rows(extent) else buffer.rows * buffer.row_bytes

    def row(self, y: int) -> int:
        """Row of the tensor that image row `y` is."""
        return self.view.y + y * self.view.dy

    def _base(self, y: int) -> int:
        """The tensor's row at which the ring's turn begins in which image row `y` lies, or the first one inside."""
        row = self.row(min(max(y, 0), self.height - 1))
        return row // self.buffer.rows * self.buffer.rows if self.own_rows else 0

    def address_of(self, y: int) -> int:
        """Address of the first pixel of image row `y`, on a line with the first row inside: also of padding above it."""
        return self.buffer.address + (self.row(y) - self._base(y)) * self.pitch + self.view.x

    def turn(self, y: int) -> int | None:
        """The image row behind `y` with which the ring begins again; None where there is none."""
        if not self.own_rows or self.view.dy < 1:
            return None
        return -(-(self._base(y) + self.buffer.rows - self.view.y) // self.view.dy)

    def address(self, y: int, x: int) -> int:
        """Address of pixel (y, x), wherever its row is in the ring."""
        row = self.row(y)
        start = self.buffer.row_address(row) if self.own_rows else self.buffer.address + row * self.pitch
        return start + self.view.x + x * self.view.dx


class Lowering:
    """Commands of the actions of a network.

    Parameters
    ----------
    network, tilers, memory, image, config
        As the passes before made them.
    """

    def __init__(self, network: Network, tilers: list[StepTiler], memory: MemoryPlan, image: WeightImage, config: NpuConfig):
        self.network, self.tilers, self.memory, self.image, self.config = network, tilers, memory, image, config

    def planned(self, action: Action, waits: Waits) -> Planned:
        """The command of an action."""
        if isinstance(action, Load):
            note = (
                f"weights, {action.size} bytes"
                if action.tensor is None
                else f"rows {action.row}-{action.row + action.rows - 1} of {action.tensor}"
            )
            return Planned(self._load(action, waits), action.step, note, action.tensor)
        if isinstance(action, Store):
            note = f"rows {action.row}-{action.row + action.rows - 1} of {action.target}"
            return Planned(self._store(action, waits), action.step, note, reads=(action.tensor,))
        step, root = self.network.steps[action.work.step], self.network.root
        reads = tuple(root.get(name, name) for name in (step.source, step.second) if name is not None)
        return Planned(self._execute(action, waits), action.work.step, self._note(action.work), step.output, reads)

    # Transfers

    def _load(self, load: Load, waits: Waits) -> Command:
        header = _header(waits)
        if load.tensor is None:
            dma = {
                "region": Region.MODEL,
                "target": Target.WEIGHTS,
                "ddr_offset": self.image.offsets[id(load.stream)] + load.offset,
                "sram_address": load.address,
                "row_bytes": load.size,
                "rows": 1,
            }
            return Command(Opcode.LOAD, {"header": header, "dma": dma})
        buffer = self.memory.buffers[load.segment, load.tensor]
        if load.tensor in self.image.tensors:
            place = {"region": Region.MODEL, "ddr_offset": self.image.tensors[load.tensor]}
        else:
            place = {"region": Region.ARENA, "ddr_offset": self.memory.arena[load.place or load.tensor] + load.row * buffer.row_bytes}
        return Command(Opcode.LOAD, {"header": header, "dma": place | _rows(buffer, load.row, load.rows)})

    def _store(self, store: Store, waits: Waits) -> Command:
        buffer = self.memory.buffers[store.segment, store.tensor]
        place = {"region": Region.ARENA, "ddr_offset": self.memory.arena[store.target] + store.row * buffer.row_bytes}
        return Command(Opcode.STORE, {"header": _header(waits), "dma": place | _rows(buffer, store.row, store.rows)})

    # Works

    def _seen(self, work: Work, name, extent, view) -> _Seen:
        return _Seen(self.memory.buffers[work.segment, self.network.root.get(name, name)], extent, view)

    def _execute(self, use: Use, waits: Waits) -> Command:
        work = use.work
        tiler, step = self.tilers[work.step], self.network.steps[work.step]
        source = self._seen(work, step.source, step.image, step.source_view)
        output = self._seen(work, step.output, step.result, step.output_view)
        fields = {
            "header": _header(waits),
            "loops": self._loops(tiler, work, source),
            "input": self._input(tiler, work, source),
            "output": self._place(tiler, work, output) | _scaling(step, work),
        }
        if work.stream is not None:
            table = bool(step.table) and step.opcode != Opcode.SOFTMAX
            group = {"address": use.address, "wait_load": waits.weights & COUNT_MASK, "params": work.stream.params, "load_table": table}
            fields["weights"] = group
        elif waits.weights:  # nothing is read, but 0 would name a command that is too far behind
            fields["weights"] = {"wait_load": waits.weights & COUNT_MASK}
        if step.second is not None:
            second = self._seen(work, step.second, step.result, step.second_view)
            fields["second"] = self._place(tiler, work, second) | step.add
        if step.between is not None:
            fields["interpolation"] = _interpolation(step, work)
        return Command(INT4_TWIN[step.opcode] if tiler.depth.int4 else step.opcode, fields)

    def _loops(self, tiler: StepTiler, work: Work, source: _Seen) -> dict:
        step, config, block = tiler.step, self.config, work.block
        vectors = tiler.vectors
        channels = config.cols if vectors else step.result.channels - work.first_tile * config.cols
        loops = {
            "block_rows": block.rows,
            "block_cols": block.cols * max(1, vectors),
            "span": 1,
            "lanes": 1,
            "taps_y": 1,
            "taps_x": 1,
            "column_tiles": work.tiles,
            "last_cols": min(channels - (work.tiles - 1) * config.cols, config.cols),
            "partial_in": work.partial_in,
            "partial_out": work.partial_out,
        }
        if step.opcode == Opcode.SOFTMAX:
            return loops | {"lanes": step.image.channels, "last_cols": 1}
        if step.opcode == Opcode.DEPTHWISE:
            return loops | self._filter_loops(tiler, work, source)
        assert isinstance(work.part, Part)
        loops |= {"taps_y": work.part.taps_y, "taps_x": work.part.taps_x}
        if step.opcode == Opcode.MATMUL:
            loops |= {"lanes": work.part.lanes, "span": work.part.span}
        return loops

    def _filter_loops(self, tiler: StepTiler, work: Work, source: _Seen) -> dict:
        step, part = tiler.step, work.part
        assert isinstance(part, Taps)
        fir, block = fir_along(step, part.axis, self.config.rows), work.block
        first, count, lines = (block.y, block.rows, block.cols) if part.axis == 0 else (block.x, block.cols, block.rows)
        positions, moves = fir.positions(step, first, count, part), self._steps(tiler, work, source)
        if lines > 1:
            width = min(self.config.cols, step.image.channels)
            positions = best_positions(part, positions, moves["pixel_step"], moves["tap_y_step"], moves["row_step"], width, self.config)
        return {
            "block_rows": lines,
            "block_cols": count,
            "taps_y": part.lines,
            "taps_x": part.count,
            "span": part.span,
            "positions": positions,
            "stride": fir.stride,
            "transposed": part.axis == 0,
        }

    def _input(self, tiler: StepTiler, work: Work, seen: _Seen) -> dict:
        step, part, block = tiler.step, work.part, work.block
        if isinstance(part, Taps):
            tap_y, tap_x = (part.first, part.line) if part.axis == 0 else (part.line, part.first)
            lane = work.first_tile * self.config.cols
        else:
            tap_y, tap_x = part.tap_y, part.tap_x
            lane = part.lane if step.opcode == Opcode.MATMUL else work.first_tile * self.config.cols
        y = step.place(0, block.y)[0] + tap_y * step.dilation[0]
        x = step.place(1, block.x)[0] + tap_x * step.dilation[1]
        fields = {
            "address": seen.address_of(y) + x * seen.view.dx + lane,
            "y": y,
            "height": step.image.height,
            "x_bytes": seen.view.x + x * seen.view.dx + lane,
            "image_row_bytes": seen.row_bytes,
            "pad_value": step.pad_value,
        }
        turn = seen.turn(y)
        if turn is not None and turn < step.image.height:
            fields |= {"wrap_row": turn, "wrap_bytes": seen.buffer.rows * seen.pitch}
        return fields | self._steps(tiler, work, seen)

    def _steps(self, tiler: StepTiler, work: Work, seen: _Seen) -> dict:
        """Steps of the input's loops."""
        step, dx, pitch = tiler.step, seen.view.dx, seen.pitch * seen.view.dy
        if work.down:
            return {
                "pixel_step": step.dilation[0] * pitch,
                "row_step": step.stride[1] * dx,
                "row_step_y": step.dilation[0],
                "tap_y_step": step.dilation[1] * dx,
            }
        down = {
            "row_step": step.stride[0] * pitch,
            "row_step_y": step.stride[0],
            "tap_y_step": step.dilation[0] * pitch,
            "tap_y_rows": step.dilation[0],
        }
        if isinstance(work.part, Taps):
            return down | {"pixel_step": step.dilation[1] * dx}
        pixel_step = self.config.cols if tiler.vectors else step.stride[1] * dx
        return down | {"pixel_step": pixel_step, "tap_x_step": step.dilation[1] * dx}

    def _place(self, tiler: StepTiler, work: Work, seen: _Seen) -> dict:
        """Address and steps of the output or of the second operand."""
        block, down = work.block, seen.pitch * seen.view.dy
        address = seen.address(block.y, block.x) + work.first_tile * self.config.cols
        if work.down:
            return {"address": address, "pixel_step": down * block.every, "row_step": seen.view.dx}
        pixel_step = self.config.cols if tiler.vectors else seen.view.dx * block.every
        return {"address": address, "pixel_step": pixel_step, "row_step": down}

    def _note(self, work: Work) -> str:
        block, step = work.block, self.network.steps[work.step]
        words = [f"rows {block.y}-{block.y + block.rows - 1}"]
        if block.cols < step.result.width:
            words.append(f"columns {block.x}-{block.x + block.cols - 1}")
        if step.opcode in (Opcode.MATMUL, Opcode.DEPTHWISE):
            first = work.first_tile * self.config.cols
            words.append(f"channels {first}-{min(first + work.tiles * self.config.cols, step.result.channels) - 1}")
        if work.partial_in or work.partial_out:
            words.append(str(work.part))
        return ", ".join(words)


def _recent(waits: Waits, issued: dict[str, int]) -> Waits:
    """Waits that can be told from later ones, after so many commands of each queue: long ones become stricter, 0 too."""
    least = {queue: count - LONGEST_WAIT for queue, count in issued.items()}
    load, weights = max(waits.load, least["load"]), max(waits.weights, least["load"])
    return Waits(load=load, exec=max(waits.exec, least["exec"]), store=max(waits.store, least["store"]), weights=weights)


def _header(waits: Waits) -> dict:
    return {"wait_load": waits.load & COUNT_MASK, "wait_exec": waits.exec & COUNT_MASK, "wait_store": waits.store & COUNT_MASK}


def _rows(buffer: Buffer, row: int, rows: int) -> dict:
    """Fields of a transfer of rows of a tensor; rows without gaps are one."""
    dma = {"target": Target.ACTIVATIONS, "sram_address": buffer.row_address(row)}
    if buffer.row_pitch == buffer.row_bytes:
        return dma | {"row_bytes": rows * buffer.row_bytes, "rows": 1}
    return dma | {"row_bytes": buffer.row_bytes, "rows": rows, "ddr_stride": buffer.row_bytes, "sram_stride": buffer.row_pitch}


def _interpolation(step: Step, work: Work) -> dict:
    """Where the block's first pixel lies between those of the image, and what its steps have beside whole pixels."""
    assert step.between is not None
    steps = (along.step & (1 << FRACTION_BITS) - 1 for along in step.between)
    places = (step.place(axis, first)[1] for axis, first in enumerate((work.block.y, work.block.x)))
    return dict(zip(("y", "x", "step_y", "step_x"), (*places, *steps)))


def _scaling(step: Step, work: Work) -> dict:
    """Requantization."""
    multiplier, left, right = int(step.multiplier[0]), *(int(shift) for shift in split_exponent(step.exponent[0]))
    if step.average:  # one with a bias is of unsigned bytes: it makes 0 to 255 of -128 to 127, and sums twice as large
        multiplier, left, right = average_multiplier(work.block.count, unsigned=step.bias is not None)
    elif len(step.multiplier) > 1:
        multiplier = left = right = 0  # in the weight stream
    return {
        "multiplier": multiplier,
        "left_shift": left,
        "right_shift": right,
        "single_rounding": step.single_rounding,
        "zero_point": step.zero_point,
        "clamp_min": step.clamp_min,
        "clamp_max": step.clamp_max,
        "use_table": bool(step.table) and step.opcode != Opcode.SOFTMAX,
    }


def _arena_place(network, memory, name, index=-1) -> Place:
    tensor, extent = network.graph.tensors[name], extent_in_memory(network, network.root[name])
    return Place(
        name, tensor.shape, tensor.dtype, memory.arena[name], extent.height, extent.row_bytes, extent.row_bytes, Region.ARENA, index
    )


def lower(
    network: Network,
    tilers: list[StepTiler],
    memory: MemoryPlan,
    image: WeightImage,
    actions: list[Action],
    waits: list[Waits],
    order: Schedule,
    config: NpuConfig,
) -> Program:
    """The program."""
    lowering = Lowering(network, tilers, memory, image, config)
    issued = dict.fromkeys(QUEUES, 0)
    commands = []
    for index in order.stream:
        commands.append(lowering.planned(actions[index], _recent(waits[index], issued)))
        issued[queue_of(actions[index])] += 1
    stored, ordered = {}, [actions[index] for index in order.stream]
    for index, action in enumerate(ordered):
        if isinstance(action, Store):
            stored[action.target] = index
    old, new = ({getattr(state, side) for state in network.graph.states} for side in ("old", "new"))
    layers = tuple(Layer(step.name, step.op, network.graph.tensors[step.output].shape, step.macs) for step in network.steps)
    return Program(
        network.graph.name,
        config,
        tuple(commands),
        layers,
        image.constants,
        memory.arena_bytes,
        tuple(_arena_place(network, memory, name) for name in network.inputs if name not in old),
        tuple(_arena_place(network, memory, name, stored[name]) for name in network.outputs if name not in new),
        find_places(network, memory, ordered, commands, config),
        state_places(network, memory, ordered),
    )
