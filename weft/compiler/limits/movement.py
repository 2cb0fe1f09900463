"""Limits of operators that move data without changing it. Where to must be constant; what follows from fixed shapes has been folded."""

import math

from weft.compiler import movement
from weft.compiler.graph import BYTES, label_of
from weft.compiler.limits.tensors import (
    activations,
    first_wrong,
    is_computed,
    is_int8,
    is_quantized,
    keeps_size,
    keeps_type,
    show_quantization,
    takes_one_input,
    takes_optional_shape,
    takes_two_inputs,
)
from weft.compiler.limits.windows import MAX_STEP

MAX_SLICED_RANK, MAX_MOVED_RANK, MAX_REVERSED_RANK = 5, 6, 8
"""Dimensions to which the reference kernels go."""
INPUTS = {
    "BATCH_TO_SPACE_ND": 3, "BROADCAST_TO": 2, "DEPTH_TO_SPACE": 1, "EXPAND_DIMS": 2, "GATHER": 2, "MIRROR_PAD": 2, "PAD": 2, "PADV2": 3,
    "REVERSE_V2": 2, "SLICE": 3, "SPACE_TO_BATCH_ND": 3, "SPACE_TO_DEPTH": 1, "SPLIT": 2, "SPLIT_V": 3, "SQUEEZE": 1, "STRIDED_SLICE": 4,
    "TILE": 2, "TRANSPOSE": 2, "UNPACK": 1,
}  # fmt: skip
"""How many inputs each operator has; CONCATENATION and PACK have any number."""


def _all_moved(graph, operator):
    return [*movement.moved(graph, operator), *(graph.tensors[name] for name in operator.outputs)]


def _result(graph, operator, wanted):
    shape = graph.output(operator).shape
    return None if tuple(shape) == tuple(wanted) else f"{list(shape)} instead of {list(wanted)}"


def takes_its_inputs(graph, operator):
    """It must have the inputs and outputs that TFLite's operator has, none of them absent"""
    given, outputs = len(operator.inputs), len(operator.outputs)
    right = given == INPUTS[operator.op] if operator.op in INPUTS else given >= 1
    many = operator.op in ("SPLIT", "SPLIT_V", "UNPACK")
    return None if right and None not in operator.inputs and (many or outputs == 1) else f"{given} inputs and {outputs} outputs"


def moves_bytes(graph, operator):
    """What it moves must be all int8 or all uint8"""
    kinds = sorted({tensor.dtype for tensor in _all_moved(graph, operator)})
    return None if len(kinds) == 1 and kinds[0] in BYTES else " and ".join(kinds)


def moves_something_computed(graph, operator):
    """What it moves must be computed by the network or be its input, at least in part"""
    return "constants" if all(tensor.constant for tensor in movement.moved(graph, operator)) else None


def has_constant_numbers(graph, operator):
    """Axes, sizes and positions must be constants of type int32 or int64"""
    names = {tensor.name for tensor in movement.moved(graph, operator)}
    tensors = [graph.tensors[name] for name in operator.inputs if name not in names]
    tensors = tensors[:1] if operator.op == "PADV2" else tensors
    return first_wrong(
        tensors,
        lambda t: not t.constant or t.dtype not in ("int32", "int64"),
        lambda t: f"type {t.dtype}" if t.constant else "a computed value",
    )


def joins_one_quantization(graph, operator):
    """Inputs and output must have the same scale and zero point"""
    kinds = dict.fromkeys(show_quantization(tensor.quantization) for tensor in _all_moved(graph, operator))
    same = len({(t.quantization.scale, t.quantization.zero_point) for t in _all_moved(graph, operator) if t.quantization}) == 1
    return None if same and all(t.quantization for t in _all_moved(graph, operator)) else " and ".join(kinds)


def joins_plainly(graph, operator):
    """The fused activation must be NONE"""
    activation = operator.options["activation"]
    return None if activation == "NONE" else activation


def has_axis(graph, operator):
    """The axis must be a dimension of what it moves"""
    rank = len(movement.moved(graph, operator)[0].shape) + (operator.op in ("PACK", "EXPAND_DIMS"))
    where = movement.axis(graph, operator)
    return None if 0 <= where < rank else f"{where} of {rank} dimensions"


def has_joined_shape(graph, operator):
    """Inputs must have one shape, but along a CONCATENATION's axis, where they make up the output"""
    shapes, where = [tensor.shape for tensor in movement.moved(graph, operator)], movement.axis(graph, operator)
    if operator.op == "PACK":
        wanted = (*shapes[0][:where], len(shapes), *shapes[0][where:])
        alike = len(set(shapes)) == 1
    else:
        alike = len({(*shape[:where], *shape[where + 1 :], len(shape)) for shape in shapes}) == 1
        wanted = (*shapes[0][:where], sum(shape[where] for shape in shapes), *shapes[0][where + 1 :]) if alike else ()
    return _result(graph, operator, wanted) if alike else " and ".join(str(list(shape)) for shape in shapes)


def has_slice_numbers(graph, operator):
    """Begins, ends and steps must be one for each entry, steps not 0 and 1 where an axis vanishes, in at most 5 dimensions"""
    begin, end, steps = (movement.numbers(graph, operator, i) for i in (1, 2, 3))
    shrunk = operator.options["shrink_axis_mask"]
    right = len(begin) == len(end) == len(steps) <= MAX_SLICED_RANK >= len(movement.moved(graph, operator)[0].shape)
    right = right and all(step and (step == 1 or not shrunk >> i & 1) for i, step in enumerate(steps))
    right = right and operator.options["ellipsis_mask"].bit_count() <= 1 and not operator.options["offset"]
    return None if right else f"{begin}, {end}, {steps}{' as offsets' if operator.options['offset'] else ''}"


def has_slice_inside(graph, operator):
    """Begins and sizes must be one for each dimension and lie inside the input"""
    begin, sizes = (movement.numbers(graph, operator, i) for i in (1, 2))
    shape = movement.moved(graph, operator)[0].shape
    right = len(begin) == len(sizes) == len(shape) <= MAX_SLICED_RANK
    right = right and all(0 <= b <= n and (s == -1 or 0 < s <= n - b) for b, s, n in zip(begin, sizes, shape))
    return None if right else f"{begin} and {sizes} of {list(shape)}"


def has_whole_parts(graph, operator):
    """Its parts must make up the input's axis"""
    length, count = movement.moved(graph, operator)[0].shape[movement.axis(graph, operator)], len(operator.outputs)
    if operator.op == "UNPACK":
        return None if length == count == operator.options["num"] else f"{count} parts of {length}"
    if operator.op == "SPLIT":
        return None if length % count == 0 and count == operator.options["num_splits"] else f"{count} parts of {length}"
    given, sizes = movement.numbers(graph, operator, 1), movement.split_sizes(graph, operator)
    right = len(sizes) == count == operator.options["num_splits"] and sum(sizes) == length and min(sizes) > 0 and given.count(-1) <= 1
    return None if right else f"{given} of {length}"


def has_part_shapes(graph, operator):
    """Each output's shape must be that of the part that it takes, which must not be empty"""
    source = movement.moved(graph, operator)[0].shape
    for name, index in zip(operator.outputs, movement.indices(graph, operator), strict=True):
        try:
            wanted = movement.result_shape(index, source)
        except IndexError as error:
            return str(error)
        if wanted != graph.tensors[name].shape:
            return f"{label_of(name)} has {list(graph.tensors[name].shape)} instead of {list(wanted)}"
    return None


def has_permutation(graph, operator):
    """The permutation must name each of at most 6 dimensions once, and the output's shape follow from it"""
    source, order = movement.moved(graph, operator)[0].shape, movement.permutation(graph, operator)
    if sorted(order) != list(range(len(source))) or len(source) > MAX_MOVED_RANK:
        return f"{list(order)} of {list(source)}"
    return _result(graph, operator, [source[i] for i in order])


def has_reversed_axes(graph, operator):
    """Axes must be int32, one or several dimensions that are neighbours, each once, of at most 8; the output's shape is the input's"""
    source, axes = movement.moved(graph, operator)[0].shape, movement.reversed_axes(graph, operator)
    given = graph.input(operator, 1).dtype
    neighbours = bool(axes) and sorted(axes) == list(range(min(axes), min(axes) + len(axes)))
    inside = bool(axes) and min(axes) >= 0 and max(axes) < len(source) <= MAX_REVERSED_RANK
    if not (neighbours and inside and given == "int32"):
        return f"{given} {movement.numbers(graph, operator, 1)} of {list(source)}"
    return _result(graph, operator, source)


def has_block_shape(graph, operator):
    """Blocks of the given size must make up the image's sides (its channels, of a DEPTH_TO_SPACE) and give the output's shape"""
    source, block = movement.moved(graph, operator)[0].shape, operator.options["block_size"]
    if len(source) != 4 or block < 1:
        return f"size {block} of {list(source)}"
    n, h, w, c = source
    if operator.op == "DEPTH_TO_SPACE":
        whole, wanted = c % block**2 == 0, (n, h * block, w * block, c // block**2)
    else:
        whole, wanted = h % block == w % block == 0, (n, h // block, w // block, c * block**2)
    return _result(graph, operator, wanted) if whole else f"size {block} of {list(source)}"


def has_phases(graph, operator):
    """Blocks and paddings or crops must be numbers from 0 for one or two spatial dimensions, and give the output's shape"""
    source, blocks, flat = (
        movement.moved(graph, operator)[0].shape,
        movement.numbers(graph, operator, 1),
        movement.numbers(graph, operator, 2),
    )
    right = len(blocks) in (1, 2) and len(flat) == 2 * len(blocks) and len(source) == len(blocks) + 2
    if not right or min(blocks) < 1 or min(flat) < 0:
        return f"blocks {blocks} and {flat} of {list(source)}"
    pairs = movement.pairs(graph, operator, 2)
    if operator.op == "BATCH_TO_SPACE_ND":
        whole, wanted = source[0] % math.prod(blocks) == 0, movement.whole_shape(source, blocks, pairs)
    else:
        whole = all((n + sum(pair)) % block == 0 for n, block, pair in zip(source[1:], blocks, pairs))
        wanted = movement.phase_shape(source, blocks, pairs)
    return _result(graph, operator, wanted) if whole else f"blocks {blocks} and {flat} of {list(source)}"


def has_gathered_shape(graph, operator):
    """Its numbers must lie inside the axis, without batch dimensions, and give the output's shape"""
    source, where, chosen = movement.moved(graph, operator)[0].shape, movement.axis(graph, operator), graph.input(operator, 1)
    if operator.options["batch_dims"]:
        return f"{operator.options['batch_dims']} batch dimensions"
    if chosen.data.min(initial=0) < 0 or chosen.data.max(initial=0) >= source[where]:
        return f"{chosen.data.min()} to {chosen.data.max()} of {source[where]}"
    return _result(graph, operator, (*source[:where], *chosen.shape, *source[where + 1 :]))


def has_tiled_shape(graph, operator):
    """The output must be the input so many times in each dimension"""
    source, times = movement.moved(graph, operator)[0].shape, movement.numbers(graph, operator, 1)
    if len(times) != len(source) or min(times, default=1) < 1:
        return f"{times} times {list(source)}"
    return _result(graph, operator, [n * t for n, t in zip(source, times)])


def has_broadcast_shape(graph, operator):
    """The output's shape must be the given one, and each dimension of the input 1 or equal to its last ones; in at most 6"""
    source, result = movement.moved(graph, operator)[0].shape, graph.output(operator).shape
    fits = len(source) <= len(result) <= MAX_MOVED_RANK and all(a in (1, b) for a, b in zip(source[::-1], result[::-1]))
    return _result(graph, operator, movement.numbers(graph, operator, 1)) if fits else f"{list(source)} to {list(result)}"


def has_constant_paddings(graph, operator):
    """Paddings must be a constant int32 or int64 [rank, 2] of numbers from 0 to 255, for at most 4 dimensions"""
    paddings, rank = graph.input(operator, 1), len(graph.input(operator, 0).shape)
    if not paddings.constant or paddings.dtype not in ("int32", "int64") or paddings.shape != (rank, 2) or rank > 4:
        return f"{paddings.dtype} {list(paddings.shape)}{'' if paddings.constant else ', computed'} for {rank} dimensions"
    bad = paddings.data[(paddings.data < 0) | (paddings.data > MAX_STEP)]
    return str(bad[0]) if bad.size else None


def has_padded_output(graph, operator):
    """The output's shape must be the input's plus the paddings"""
    source, result = activations(graph, operator)
    wanted = [n + sum(p) for n, p in zip(source.shape, movement.pairs(graph, operator, 1))]
    return None if list(result.shape) == wanted else f"{list(result.shape)} instead of {wanted}"


def has_pad_value(graph, operator):
    """The value around it must be one constant of the output's type and quantization"""
    value, result = graph.input(operator, 2), graph.output(operator)
    if not value.constant or value.size != 1 or value.dtype != result.dtype:
        return f"{value.dtype} {list(value.shape)}{'' if value.constant else ', computed'}"
    q, wanted = value.quantization, result.quantization
    right = q is not None and (q.scale, q.zero_point) == (wanted.scale, wanted.zero_point)
    return None if right else show_quantization(q)


def mirrors_inside(graph, operator):
    """Paddings must be at most the dimension, less 1 where the edge is not repeated"""
    less = operator.options["mode"] == "REFLECT"
    sides = zip(movement.moved(graph, operator)[0].shape, movement.pairs(graph, operator, 1))
    wrong = [f"{pair} for {n}" for n, pair in sides if max(pair) > n - less]
    return wrong[0] if wrong else None


def has_fitting_shape(graph, operator):
    """The new shape must be a constant that is the output's shape, with at most one -1"""
    shape, result = graph.input(operator, 1), graph.output(operator).shape
    if shape is None:
        return None
    if not shape.constant or shape.dtype != "int32":
        return f"{shape.dtype}{'' if shape.constant else ', computed'}"
    given = shape.data.reshape(-1).tolist()
    right = len(given) == len(result) and all(a in (-1, b) for a, b in zip(given, result)) and given.count(-1) <= 1
    return None if right else f"{given} for {list(result)}"


_MOVE = (takes_its_inputs, moves_something_computed, moves_bytes, has_constant_numbers)
_PAD = (takes_its_inputs, is_computed, is_int8, is_quantized, has_constant_paddings, has_padded_output)
_JOIN = (takes_its_inputs, moves_something_computed, moves_bytes, joins_one_quantization, has_axis, has_joined_shape)

MOVEMENT_LIMITS = {
    "BATCH_TO_SPACE_ND": (*_MOVE, has_phases),
    "BROADCAST_TO": (*_MOVE, has_broadcast_shape),
    "CONCATENATION": (*_JOIN, joins_plainly),
    "DEPTH_TO_SPACE": (*_MOVE, has_block_shape),
    "EXPAND_DIMS": (takes_two_inputs, is_computed, keeps_type, keeps_size),
    "GATHER": (*_MOVE, has_axis, has_gathered_shape),
    "MIRROR_PAD": (*_PAD, mirrors_inside),
    "PACK": _JOIN,
    "PAD": _PAD,
    "PADV2": (*_PAD, has_pad_value),
    "RESHAPE": (takes_optional_shape, is_computed, keeps_type, keeps_size, has_fitting_shape),
    "REVERSE_V2": (*_MOVE, has_reversed_axes),
    "SLICE": (*_MOVE, has_slice_inside, has_part_shapes),
    "SPACE_TO_BATCH_ND": (*_MOVE, is_quantized, has_phases),
    "SPACE_TO_DEPTH": (*_MOVE, has_block_shape),
    "SPLIT": (*_MOVE, has_axis, has_whole_parts, has_part_shapes),
    "SPLIT_V": (*_MOVE, has_axis, has_whole_parts, has_part_shapes),
    "SQUEEZE": (takes_one_input, is_computed, keeps_type, keeps_size),
    "STRIDED_SLICE": (*_MOVE, has_slice_numbers, has_part_shapes),
    "TILE": (*_MOVE, has_tiled_shape),
    "TRANSPOSE": (*_MOVE, has_permutation),
    "UNPACK": (*_MOVE, has_axis, has_whole_parts, has_part_shapes),
}
"""Rows of `weft.compiler.limits.LIMITS`."""

_OF_ACTIVATIONS = {
    is_computed, is_int8, is_quantized, joins_one_quantization, keeps_type, moves_bytes, moves_something_computed,
}  # fmt: skip
SHAPE_LIMITS = {op: tuple(limit for limit in limits if limit not in _OF_ACTIVATIONS) for op, limits in MOVEMENT_LIMITS.items()}
"""What remains of `MOVEMENT_LIMITS` for constants of any type: `weft.compiler.fold` computes those."""
