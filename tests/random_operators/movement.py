"""Random operators that move data without changing it."""

import numpy as np

from tests.random_operators.values import one_operator, scale_of, zero_point_of
from tests.tflite_builder import BuilderTensor


def _shape(rng, low=1, high=5, largest=8):
    return tuple(int(n) for n in rng.integers(1, largest, int(rng.integers(low, high))))


def _numbers(name, values):
    """A constant int32 that counts or places elements."""
    values = np.array(values, np.int32)
    return BuilderTensor(name, values.shape, "int32", data=values)


def _network(rng, op, sources, results, numbers=(), options=None, order=None, dtype=None) -> bytes:
    """An operator of byte tensors of one quantization: sources x0, x1, ...; results y0, y1, ...; then `numbers`, in that order."""
    dtype = dtype or str(rng.choice(["int8", "int8", "uint8"]))
    quantization = {"dtype": dtype, "scale": scale_of(rng), "zero_point": zero_point_of(rng, dtype)}
    inputs = [BuilderTensor(f"x{i}", tuple(shape), **quantization) for i, shape in enumerate(sources)]
    outputs = [BuilderTensor(f"y{i}", tuple(int(n) for n in shape), **quantization) for i, shape in enumerate(results)]
    names = order or [tensor.name for tensor in (*inputs, *numbers)]
    return one_operator(op, [*inputs, *outputs, *numbers], names, [tensor.name for tensor in outputs], options)


def _axis(rng, rank):
    """An axis, and how a file may write it: from the front or from the back."""
    axis = int(rng.integers(0, rank))
    return axis, axis - rank if rng.random() < 0.4 else axis


def concatenation(rng) -> bytes:
    """CONCATENATION of 1 to 4 tensors along any axis."""
    shape = _shape(rng)
    axis, given = _axis(rng, len(shape))
    shapes = [(*shape[:axis], int(rng.integers(1, 7)), *shape[axis + 1 :]) for _ in range(int(rng.integers(1, 5)))]
    result = (*shape[:axis], sum(s[axis] for s in shapes), *shape[axis + 1 :])
    return _network(rng, "CONCATENATION", shapes, [result], options={"axis": given})


def pack(rng) -> bytes:
    """PACK of 1 to 4 tensors along a new axis."""
    shape, count = _shape(rng, 1, 4), int(rng.integers(1, 5))
    axis, given = _axis(rng, len(shape) + 1)
    result = (*shape[:axis], count, *shape[axis:])
    return _network(rng, "PACK", [shape] * count, [result], options={"axis": given, "values_count": count})


def unpack(rng) -> bytes:
    """UNPACK along any axis."""
    shape = _shape(rng, 2)
    axis, given = _axis(rng, len(shape))
    part = (*shape[:axis], *shape[axis + 1 :])
    return _network(rng, "UNPACK", [shape], [part] * shape[axis], options={"axis": given, "num": shape[axis]})


def split(rng) -> bytes:
    """SPLIT into 1 to 4 equal parts."""
    shape, count = list(_shape(rng)), int(rng.integers(1, 5))
    axis, given = _axis(rng, len(shape))
    part = tuple(shape)
    shape[axis] *= count
    order = ["axis", "x0"]
    return _network(rng, "SPLIT", [shape], [part] * count, [_numbers("axis", given)], {"num_splits": count}, order)


def split_v(rng) -> bytes:
    """SPLIT_V into 1 to 4 parts of any size, one of them perhaps left to the reader."""
    shape, sizes = list(_shape(rng)), [int(n) for n in rng.integers(1, 6, int(rng.integers(1, 5)))]
    axis, given = _axis(rng, len(shape))
    parts = [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]
    shape[axis] = sum(sizes)
    if rng.random() < 0.3:
        sizes[int(rng.integers(0, len(sizes)))] = -1
    numbers = [_numbers("sizes", sizes), _numbers("axis", given)]
    return _network(rng, "SPLIT_V", [shape], parts, numbers, {"num_splits": len(parts)})


def slice_(rng) -> bytes:
    """SLICE, sizes sometimes -1."""
    shape = _shape(rng)
    begin = [int(rng.integers(0, n)) for n in shape]
    sizes = [int(rng.integers(1, n - b + 1)) for b, n in zip(begin, shape)]
    given = [-1 if b + s == n and rng.random() < 0.5 else s for b, s, n in zip(begin, sizes, shape)]
    return _network(rng, "SLICE", [shape], [sizes], [_numbers("begin", begin), _numbers("size", given)])


def strided_slice(rng) -> bytes:
    """STRIDED_SLICE with steps of both signs, numbers from the back and beyond the ends, and masks; empty ones are tried again."""
    shape = _shape(rng, 1, 5)
    begin, end = ([int(rng.integers(-n - 2, n + 3)) for n in shape] for _ in range(2))
    steps = [int(rng.choice([-3, -2, -1, 1, 1, 2, 3])) for _ in shape]
    masks = {name: int(rng.integers(0, 1 << len(shape))) for name in ("begin_mask", "end_mask")}
    shrunk, added = 0, 0
    for i, n in enumerate(shape):
        if rng.random() < 0.2:
            shrunk |= 1 << i
            begin[i], steps[i] = int(rng.integers(-n, n)), 1
            end[i] = begin[i] + 1
            masks = {name: mask & ~(1 << i) for name, mask in masks.items()}
    index = tuple(
        begin[i] if shrunk >> i & 1
        else slice(None if masks["begin_mask"] >> i & 1 else begin[i], None if masks["end_mask"] >> i & 1 else end[i], steps[i])
        for i in range(len(shape))
    )  # fmt: skip
    if rng.random() < 0.2:  # a new axis in front: its entry is not looked at
        added, index = 1, (np.newaxis, *index)
        begin, end, steps = [5, *begin], [7, *end], [1, *steps]
        masks, shrunk = {name: mask << 1 for name, mask in masks.items()}, shrunk << 1
    result = np.zeros(shape, np.int8)[index].shape
    if 0 in result or not result:
        return strided_slice(rng)
    numbers = [_numbers("begin", begin), _numbers("end", end), _numbers("steps", steps)]
    return _network(rng, "STRIDED_SLICE", [shape], [result], numbers, {**masks, "shrink_axis_mask": shrunk, "new_axis_mask": added})


def reverse(rng) -> bytes:
    """REVERSE_V2 of some neighbouring axes, from the front or from the back, in any order."""
    shape = _shape(rng, 1, 6)
    first = int(rng.integers(0, len(shape)))
    axes = rng.permutation(np.arange(first, int(rng.integers(first, len(shape))) + 1))
    given = [axis - len(shape) if rng.random() < 0.4 else axis for axis in axes]
    return _network(rng, "REVERSE_V2", [shape], [shape], [_numbers("axes", given)])


def _padded(op, rng, most=4, options=None, extra=()):
    shape = _shape(rng, largest=8)
    paddings = np.array([rng.integers(0, min(most, n + 1), 2) for n in shape]) if options else rng.integers(0, most, (len(shape), 2))
    if options and options["mode"] == "REFLECT":
        paddings = np.minimum(paddings, np.array(shape)[:, None] - 1)
    result = [n + p.sum() for n, p in zip(shape, paddings)]
    return _network(rng, op, [shape], [result], [_numbers("paddings", paddings), *extra], options, dtype="int8")


def pad(rng) -> bytes:
    """PAD of one to four dimensions."""
    return _padded("PAD", rng)


def mirror_pad(rng) -> bytes:
    """MIRROR_PAD, both modes."""
    return _padded("MIRROR_PAD", rng, options={"mode": str(rng.choice(["REFLECT", "SYMMETRIC"]))})


def padv2(rng) -> bytes:
    """PADV2: PAD with a value of its own."""
    shape, scale, zero_point = _shape(rng), scale_of(rng), zero_point_of(rng)
    paddings = rng.integers(0, 4, (len(shape), 2)).astype(np.int32)
    quantization = {"scale": scale, "zero_point": zero_point}
    tensors = [
        BuilderTensor("x", shape, **quantization),
        _numbers("paddings", paddings),
        BuilderTensor("value", (1,), data=rng.integers(-128, 128, 1).astype(np.int8), **quantization),
        BuilderTensor("y", tuple(int(n + p.sum()) for n, p in zip(shape, paddings)), **quantization),
    ]
    return one_operator("PADV2", tensors, ("x", "paddings", "value"), ("y",))


def transpose(rng) -> bytes:
    """TRANSPOSE of one to five dimensions."""
    shape = _shape(rng, 1, 6, 6)
    order = rng.permutation(len(shape))
    return _network(rng, "TRANSPOSE", [shape], [[shape[i] for i in order]], [_numbers("order", order)])


def depth_to_space(rng) -> bytes:
    """DEPTH_TO_SPACE."""
    n, h, w, c = (int(i) for i in rng.integers(1, 5, 4))
    block = int(rng.integers(1, 4))
    result = (n, h * block, w * block, c)
    return _network(rng, "DEPTH_TO_SPACE", [(n, h, w, c * block**2)], [result], options={"block_size": block})


def space_to_depth(rng) -> bytes:
    """SPACE_TO_DEPTH."""
    n, h, w, c = (int(i) for i in rng.integers(1, 5, 4))
    block = int(rng.integers(1, 4))
    source = (n, h * block, w * block, c)
    return _network(rng, "SPACE_TO_DEPTH", [source], [(n, h, w, c * block**2)], options={"block_size": block})


def _phases(rng, paddings_of):
    """Batch, blocks, paddings or crops, the sides of a phase, the whole's sides, and channels."""
    n, c, k = int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(1, 3))
    blocks = [int(b) for b in rng.integers(1, 4, k)]
    sides = [int(s) for s in rng.integers(2, 6, k)]
    pairs = [paddings_of(side * block) for side, block in zip(sides, blocks)]
    whole = [side * block - sum(pair) for side, block, pair in zip(sides, blocks, pairs)]
    return (n * int(np.prod(blocks)), *sides, c), (n, *whole, c), [_numbers("blocks", blocks), _numbers("pairs", pairs)]


def _pair(rng):
    def draw(side):
        before = int(rng.integers(0, min(3, side)))
        return before, int(rng.integers(0, min(3, side - before)))

    return draw


def space_to_batch(rng) -> bytes:
    """SPACE_TO_BATCH_ND of one or two spatial dimensions, padded."""
    phases, whole, numbers = _phases(rng, _pair(rng))
    return _network(rng, "SPACE_TO_BATCH_ND", [whole], [phases], numbers)


def batch_to_space(rng) -> bytes:
    """BATCH_TO_SPACE_ND of one or two spatial dimensions, cropped."""
    phases, whole, numbers = _phases(rng, _pair(rng))
    return _network(rng, "BATCH_TO_SPACE_ND", [phases], [whole], numbers)


def gather(rng) -> bytes:
    """GATHER of constant positions along any axis."""
    shape = _shape(rng)
    axis, given = _axis(rng, len(shape))
    chosen = rng.integers(0, shape[axis], _shape(rng, 1, 3, 5))
    result = (*shape[:axis], *chosen.shape, *shape[axis + 1 :])
    return _network(rng, "GATHER", [shape], [result], [_numbers("chosen", chosen)], {"axis": given})


def tile(rng) -> bytes:
    """TILE."""
    shape = _shape(rng, largest=5)
    times = rng.integers(1, 4, len(shape))
    return _network(rng, "TILE", [shape], [np.array(shape) * times], [_numbers("times", times)])


def broadcast_to(rng) -> bytes:
    """BROADCAST_TO, sometimes to more dimensions."""
    result = _shape(rng, 1, 5, 5)
    source = [1 if rng.random() < 0.4 else n for n in result][int(rng.integers(0, len(result))) :]
    return _network(rng, "BROADCAST_TO", [source], [result], [_numbers("shape", result)])


def _regrouped(rng):
    shape = (1, *(int(n) for n in rng.integers(1, 9, 3)))
    flat = (1, int(np.prod(shape)))
    return (shape, flat) if rng.random() < 0.5 else (flat, shape)


def reshape(rng) -> bytes:
    """RESHAPE of an image to a vector and back; the shape from a constant, with -1 or without, or from the options."""
    source, result = _regrouped(rng)
    kind = int(rng.integers(0, 3))
    given = [1, -1] if kind == 1 and len(result) == 2 else result
    return _network(rng, "RESHAPE", [source], [result], [_numbers("shape", given)] if kind else [], {"new_shape": result})


def squeeze(rng) -> bytes:
    """SQUEEZE of all dimensions of 1, or of one of them."""
    shape = [int(n) for n in rng.choice([1, 1, 3, 4], int(rng.integers(2, 5)))] + [2]
    ones = [i for i, n in enumerate(shape) if n == 1]
    chosen = ones if not ones or rng.random() < 0.5 else [int(rng.choice(ones))]
    given = [] if chosen == ones else [i - len(shape) if rng.random() < 0.5 else i for i in chosen]
    result = [n for i, n in enumerate(shape) if i not in chosen]
    return _network(rng, "SQUEEZE", [shape], [result], options={"squeeze_dims": given})


def expand_dims(rng) -> bytes:
    """EXPAND_DIMS."""
    shape = _shape(rng)
    axis, given = _axis(rng, len(shape) + 1)
    return _network(rng, "EXPAND_DIMS", [shape], [(*shape[:axis], 1, *shape[axis:])], [_numbers("axis", given)])


MOVEMENT_OPERATORS = {
    "BATCH_TO_SPACE_ND": batch_to_space,
    "BROADCAST_TO": broadcast_to,
    "CONCATENATION": concatenation,
    "DEPTH_TO_SPACE": depth_to_space,
    "EXPAND_DIMS": expand_dims,
    "GATHER": gather,
    "MIRROR_PAD": mirror_pad,
    "PACK": pack,
    "PAD": pad,
    "PADV2": padv2,
    "RESHAPE": reshape,
    "REVERSE_V2": reverse,
    "SLICE": slice_,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "SPACE_TO_DEPTH": space_to_depth,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "SQUEEZE": squeeze,
    "STRIDED_SLICE": strided_slice,
    "TILE": tile,
    "TRANSPOSE": transpose,
    "UNPACK": unpack,
}
"""Rows of `tests.random_operators.OPERATORS`."""
