"""Pass: the stream as commands with all their fields, and the program around them."""

from golden.program import Layer, Place, Planned, Program
from golden.requantize import average_multiplier, split_exponent
from hw.npu.isa import Command, Opcode, Region, Target
from weft.compiler.memory_plan import MemoryPlan
from weft.compiler.reduction import Part
from weft.compiler.schedule import Schedule
from weft.compiler.steps import Step
from weft.compiler.tile import Tiling, Work
from weft.compiler.transfers import Load, Needs, Store, Transfers
from weft.compiler.weights import WeightImage

COUNT_MASK = 0xFFFF
"""Tokens count in 16 bits."""


def _load(load: Load, plan: MemoryPlan) -> Command:
    if load.tensor is None:
        dma = {
            "region": Region.MODEL,
            "target": Target.WEIGHTS,
            "ddr_offset": load.source,
            "sram_address": load.address,
            "row_bytes": load.size,
            "rows": 1,
        }
        return Command(Opcode.LOAD, {"header": {"wait_exec": load.wait_work & COUNT_MASK}, "dma": dma})
    return Command(Opcode.LOAD, {"dma": _rows(load.tensor, plan.slots[load.tensor], load.row, load.rows, plan)})


def _rows(tensor, slot, row, rows, plan):
    """Fields of a transfer of rows of a tensor; rows without gaps are one."""
    dma = {
        "region": Region.ARENA,
        "target": Target.ACTIVATIONS,
        "ddr_offset": plan.arena[tensor] + row * slot.row_bytes,
        "sram_address": slot.address + row * slot.row_pitch,
    }
    if slot.row_pitch == slot.row_bytes:
        return dma | {"row_bytes": rows * slot.row_bytes, "rows": 1}
    return dma | {"row_bytes": slot.row_bytes, "rows": rows, "ddr_stride": slot.row_bytes, "sram_stride": slot.row_pitch}


def _store(store: Store, root: str, plan: MemoryPlan) -> Command:
    header = {"wait_exec": store.after_work + 1 & COUNT_MASK}
    return Command(Opcode.STORE, {"header": header, "dma": _rows(store.tensor, plan.slots[root], store.row, store.rows, plan)})


def _loops(step: Step, work: Work, vectors: int, config) -> dict:
    part, channels = work.part, config.cols if vectors else step.result.channels - work.first_tile * config.cols
    _, chunks, last_rows = part.loops(config.rows)
    return {
        "block_rows": work.block.rows,
        "block_cols": work.block.cols * max(1, vectors),
        "taps_y": part.taps_y,
        "taps_x": part.taps_x,
        "chunks": chunks,
        "last_rows": last_rows if step.opcode == Opcode.MATMUL else 1,
        "column_tiles": work.tiles,
        "last_cols": min(channels - (work.tiles - 1) * config.cols, config.cols),
        "partial_in": work.partial_in,
        "partial_out": work.partial_out,
    }


def _input(step: Step, work: Work, vectors: int, slot, config) -> dict:
    channels, pitch = step.image.channels, slot.pitch_of(step.image)
    part: Part = work.part
    y = work.block.y * step.stride[0] - step.pad[0] + part.tap_y * step.dilation[0]
    x = (work.block.x * step.stride[1] - step.pad[1] + part.tap_x * step.dilation[1]) * channels + part.lane
    return {
        "address": slot.address + y * pitch + x,
        "y": y,
        "height": step.image.height,
        "x_bytes": x,
        "image_row_bytes": step.image.row_bytes,
        "pixel_step": config.cols if vectors else step.stride[1] * channels,
        "row_step": step.stride[0] * pitch,
        "row_step_y": step.stride[0],
        "tap_y_step": step.dilation[0] * pitch,
        "tap_y_rows": step.dilation[0],
        "tap_x_step": step.dilation[1] * channels,
        "pad_value": step.pad_value,
    }


def _result_place(step: Step, work: Work, vectors: int, slot, config) -> dict:
    """Address and steps of the output or of the second operand."""
    pitch = slot.pitch_of(step.result)
    first = work.block.y * pitch + work.block.x * step.result.channels + work.first_tile * config.cols
    pixel_step = config.cols if vectors else step.result.channels
    return {"address": slot.address + first, "pixel_step": pixel_step, "row_step": pitch}


def _output(step: Step, work: Work) -> dict:
    multiplier, left, right = int(step.multiplier[0]), *(int(shift) for shift in split_exponent(step.exponent[0]))
    if step.average:
        multiplier, left, right = average_multiplier(work.block.count)
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
        "use_table": bool(step.table),
    }


def _execute(tiling: Tiling, work: Work, needs: Needs, plan: MemoryPlan) -> Command:
    network, config = tiling.network, tiling.config
    step, vectors = network.steps[work.step], tiling.vectors[work.step]

    def slot(name):
        return plan.slots[network.root[name]]

    fields = {
        "header": {"wait_load": needs.inputs & COUNT_MASK, "wait_exec": needs.works & COUNT_MASK},
        "loops": _loops(step, work, vectors, config),
        "input": _input(step, work, vectors, slot(step.source), config),
        "output": _result_place(step, work, vectors, slot(step.output), config) | _output(step, work),
    }
    if work.stream is not None:
        params = tiling.streams[work.stream].params
        weights = {"address": needs.address, "wait_load": needs.weights & COUNT_MASK, "params": params, "load_table": bool(step.table)}
        fields["weights"] = weights
    if step.second is not None:
        fields["second"] = _result_place(step, work, vectors, slot(step.second), config) | step.add
    return Command(step.opcode, fields)


def _note(tiling: Tiling, work: Work) -> str:
    block, step = work.block, tiling.network.steps[work.step]
    words = [f"rows {block.y}-{block.y + block.rows - 1}"]
    if block.cols < step.result.width:
        words.append(f"columns {block.x}-{block.x + block.cols - 1}")
    if step.opcode == Opcode.MATMUL:
        first = work.first_tile * tiling.config.cols
        words.append(f"channels {first}-{min(first + work.tiles * tiling.config.cols, step.result.channels) - 1}")
    if work.partial_in or work.partial_out:
        part = work.part
        words.append(f"taps {part.tap_y},{part.tap_x} lanes {part.lane}-{part.lane + part.lanes - 1}")
    return ", ".join(words)


def _planned(tiling, moves, plan, queue, number) -> Planned:
    network = tiling.network
    if queue == "load":
        load = moves.loads[number]
        note = f"rows {load.row}-{load.row + load.rows - 1} of {load.tensor}" if load.tensor else f"weights, {load.size} bytes"
        return Planned(_load(load, plan), load.step, note, load.tensor)
    if queue == "store":
        store = moves.stores[number]
        note = f"rows {store.row}-{store.row + store.rows - 1} of {store.tensor}"
        return Planned(_store(store, network.root[store.tensor], plan), store.step, note)
    work = tiling.works[number]
    return Planned(_execute(tiling, work, moves.needs[number], plan), work.step, _note(tiling, work), network.steps[work.step].output)


def _arena_place(network, name, plan, index=-1) -> Place:
    tensor, slot = network.graph.tensors[name], plan.slots[network.root[name]]
    return Place(name, tensor.shape, tensor.dtype, plan.arena[name], slot.rows, slot.row_bytes, slot.row_bytes, Region.ARENA, index)


def _tensors(network, plan, commands) -> tuple[Place, ...]:
    """Every tensor that commands complete in the scratchpad, aliases too, in the order of completion."""
    complete = {}
    for index, planned in enumerate(commands):
        if planned.tensor is not None:
            complete[network.root[planned.tensor]] = index
    loaded = {}
    for planned in commands:
        if planned.tensor in network.inputs:
            dma = planned.command["dma"]
            loaded[planned.tensor] = loaded.get(planned.tensor, 0) + dma["rows"] * dma["row_bytes"]
    places = []
    for name, root in network.root.items():
        if root not in complete:
            continue  # fused away, or its bytes are not all loaded
        slot, tensor = plan.slots[root], network.graph.tensors[name]
        if loaded.get(root, tensor.size) == tensor.size:
            places.append(
                Place(name, tensor.shape, tensor.dtype, slot.address, slot.rows, slot.row_bytes, slot.row_pitch, None, complete[root])
            )
    return tuple(sorted(places, key=lambda place: place.complete_after))


def lower(tiling: Tiling, image: WeightImage, plan: MemoryPlan, moves: Transfers, order: Schedule) -> Program:
    """The program."""
    network = tiling.network
    commands = tuple(_planned(tiling, moves, plan, queue, number) for queue, number in order.stream)
    stored = {}
    for index, (queue, number) in enumerate(order.stream):
        if queue == "store":
            stored[moves.stores[number].tensor] = index
    layers = tuple(Layer(step.name, step.op, network.graph.tensors[step.output].shape, step.macs) for step in network.steps)
    return Program(
        network.graph.name,
        tiling.config,
        commands,
        layers,
        image.constants,
        plan.arena_bytes,
        tuple(_arena_place(network, name, plan) for name in network.inputs),
        tuple(_arena_place(network, name, plan, stored[name]) for name in network.outputs),
        _tensors(network, plan, commands),
    )
