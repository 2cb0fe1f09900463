"""Operators that move data, aliases, means and resizes, added to a network."""

import math

import numpy as np

from tests.random_networks.maker import Declined, Step
from tests.random_operators.values import zero_point_of


def _factors(step: Step, size: int, count: int) -> list[int]:
    """So many numbers whose product is the size, in any order."""
    parts = [1] * count
    for prime in _primes(size):
        parts[step.choices.number(0, count - 1)] *= prime
    return parts


def _primes(size: int) -> list[int]:
    found, divisor = [], 2
    while size > 1:
        while size % divisor == 0:
            found.append(divisor)
            size //= divisor
        divisor += 1
    return found


def reshape(step: Step):
    """RESHAPE to any rank from 1 to 5: to an image of other rows half of the time, which convolutions read through the alias."""
    size = math.prod(step.shape)
    if step.choices.chance(55):
        shape = [1, *_factors(step, size, 3)]
    elif len(step.shape) > 1 and step.choices.chance(30):  # one dimension cut in two, as channel shuffles do
        axis, _ = step.axis()
        shape = [*step.shape[:axis], *_factors(step, step.shape[axis], 2), *step.shape[axis + 1 :]]
    else:
        shape = _factors(step, size, step.choices.pick((1, 2, 3, 4, 5)))
    if len(shape) > 5:
        raise Declined
    given = [*shape[:-1], -1] if step.choices.chance(30) else shape
    numbers = () if step.choices.chance(20) else (step.maker.constant(given),)
    return step.add("RESHAPE", step.same(shape), *numbers, options={"new_shape": shape})


def expand_dims(step: Step):
    """EXPAND_DIMS."""
    if len(step.shape) > 4:
        raise Declined
    axis, given = step.axis(len(step.shape) + 1)
    return step.add("EXPAND_DIMS", step.same((*step.shape[:axis], 1, *step.shape[axis:])), step.maker.constant(given))


def squeeze(step: Step):
    """SQUEEZE of some or all dimensions of 1."""
    ones = [i for i, n in enumerate(step.shape) if n == 1]
    chosen = step.choices.subset(ones, 60) or ones
    result = [n for i, n in enumerate(step.shape) if i not in chosen]
    if not chosen or not result:
        raise Declined
    return step.add("SQUEEZE", step.same(result), options={"squeeze_dims": [] if chosen == ones else chosen})


def concatenation(step: Step):
    """CONCATENATION with one or two others that fit, sometimes with itself."""
    axis, given = step.axis()

    def fits(shape):
        return len(shape) == len(step.shape) and all(a == b for i, (a, b) in enumerate(zip(shape, step.shape)) if i != axis)

    others = [step.alike(step.choices.pick(step.others(fits)[::-1])) for _ in range(step.choices.number(1, 2))]
    length = sum(step.maker.tensors[name].shape[axis] for name in (step.source.name, *others))
    result = step.same((*step.shape[:axis], length, *step.shape[axis + 1 :]))
    return step.add("CONCATENATION", result, *others, options={"axis": given, "activation": "NONE"})


def pack(step: Step):
    """PACK of tensors of one shape."""
    if len(step.shape) > 4:
        raise Declined
    axis, given = step.axis(len(step.shape) + 1)
    equal = step.others(lambda shape: shape == step.shape)
    others = [step.alike(step.choices.pick(equal)) for _ in range(step.choices.number(0, 2))]
    result = step.same((*step.shape[:axis], 1 + len(others), *step.shape[axis:]))
    return step.add("PACK", result, *others, options={"axis": given, "values_count": 1 + len(others)})


def unpack(step: Step):
    """UNPACK along an axis of few elements."""
    axis, given = step.axis()
    count = step.shape[axis]
    if count > 8 or len(step.shape) < 2:
        raise Declined
    results = [step.same((*step.shape[:axis], *step.shape[axis + 1 :])) for _ in range(count)]
    step.maker.operator("UNPACK", (step.source.name,), results, {"axis": given, "num": count})
    return results


def split(step: Step):
    """SPLIT into equal parts."""
    axis, given = step.axis()
    count = step.choices.pick([n for n in (2, 3, 4, 1) if step.shape[axis] % n == 0])
    results = [step.same((*step.shape[:axis], step.shape[axis] // count, *step.shape[axis + 1 :])) for _ in range(count)]
    step.maker.operator("SPLIT", (step.maker.constant(given), step.source.name), results, {"num_splits": count})
    return results


def split_v(step: Step):
    """SPLIT_V into parts of any size."""
    axis, given = step.axis()
    rest, sizes = step.shape[axis], []
    while rest and len(sizes) < 3:
        sizes.append(step.choices.number(1, rest))
        rest -= sizes[-1]
    sizes += [rest] if rest else []
    results = [step.same((*step.shape[:axis], size, *step.shape[axis + 1 :])) for size in sizes]
    numbers = [-1, *sizes[1:]] if step.choices.chance(30) else sizes
    inputs = (step.source.name, step.maker.constant(numbers), step.maker.constant(given))
    step.maker.operator("SPLIT_V", inputs, results, {"num_splits": len(sizes)})
    return results


def slice_(step: Step):
    """SLICE of some of the dimensions."""
    begin, size = [0] * len(step.shape), list(step.shape)
    for axis in step.choices.subset(range(len(step.shape)), 50):
        begin[axis] = step.choices.number(0, step.shape[axis] - 1)
        size[axis] = step.choices.number(1, step.shape[axis] - begin[axis])
    numbers = step.maker.constant(begin), step.maker.constant(size)
    return step.add("SLICE", step.same(size), *numbers)


def strided_slice(step: Step):
    """STRIDED_SLICE with steps of both signs, masks and axes that vanish."""
    rank = len(step.shape)
    begin, end, steps, index = [0] * rank, list(step.shape), [1] * rank, [slice(None)] * rank
    masks = {"begin_mask": 0, "end_mask": 0, "shrink_axis_mask": 0}
    for axis in step.choices.subset(range(rank), 50):
        n = step.shape[axis]
        kind = step.choices.pick(("part", "steps", "back", "one"))
        if kind == "one" and rank > 1:
            begin[axis] = step.choices.number(0, n - 1)
            end[axis], index[axis] = begin[axis] + 1, begin[axis]
            masks["shrink_axis_mask"] |= 1 << axis
        elif kind == "back":
            begin[axis], end[axis], steps[axis] = n - 1, 0, -step.choices.number(1, 3)
            masks["end_mask"] |= 1 << axis
            index[axis] = slice(n - 1, None, steps[axis])
        else:
            begin[axis] = step.choices.number(0, n - 1)
            steps[axis] = step.choices.number(2, 3) if kind == "steps" else 1
            end[axis] = step.choices.number(begin[axis] + 1, n + 1)
            index[axis] = slice(begin[axis], end[axis], steps[axis])
            begin[axis] -= n if step.choices.chance(30) else 0
    shape = np.broadcast_to(np.int8(0), step.shape)[tuple(index)].shape
    if not shape:
        raise Declined
    numbers = [step.maker.constant(values) for values in (begin, end, steps)]
    return step.add("STRIDED_SLICE", step.same(shape), *numbers, options=masks)


def _padded(op, step: Step, amount, *extra, options=None):
    paddings = [[0, 0] for _ in step.shape]
    for axis in step.choices.subset(range(len(step.shape)), 60):
        paddings[axis] = [step.choices.number(0, amount(step.shape[axis])) for _ in range(2)]
    result = step.same([n + sum(pair) for n, pair in zip(step.shape, paddings)])
    return step.add(op, result, step.maker.constant(paddings), *extra, options=options)


def _check_rank(step: Step, least, most):
    if not least <= len(step.shape) <= most:
        raise Declined


def pad(step: Step):
    """PAD."""
    return _padded("PAD", step, lambda n: 3)


def padv2(step: Step):
    """PADV2 with a value of its own."""
    value = step.maker.tensor((1,), like=step.source, data=step.rng.integers(-128, 128, 1).astype(np.int8))
    return _padded("PADV2", step, lambda n: 3, value)


def mirror_pad(step: Step):
    """MIRROR_PAD, both modes."""
    mode = step.choices.pick(("REFLECT", "SYMMETRIC"))
    return _padded("MIRROR_PAD", step, lambda n: min(3, n - (mode == "REFLECT")), options={"mode": mode})


def transpose(step: Step):
    """TRANSPOSE in any order."""
    order = step.choices.shuffled(range(len(step.shape)))[::-1]
    return step.add("TRANSPOSE", step.same([step.shape[i] for i in order]), step.maker.constant(order))


def tile(step: Step):
    """TILE."""
    times = [step.choices.pick((1, 2, 3)) for _ in step.shape]
    return step.add("TILE", step.same(np.array(step.shape) * times), step.maker.constant(times))


def reverse(step: Step):
    """REVERSE_V2 of some neighbouring axes."""
    first = step.choices.number(0, len(step.shape) - 1)
    axes = range(first, step.choices.number(first, len(step.shape) - 1) + 1)
    return step.add("REVERSE_V2", step.same(step.shape), step.maker.constant(step.choices.shuffled(axes)))


def broadcast_to(step: Step):
    """BROADCAST_TO larger dimensions of 1, or one more in front."""
    shape = [step.choices.number(1, 4) if n == 1 else n for n in step.shape]
    shape = [step.choices.number(1, 3), *shape] if len(shape) < 4 and step.choices.chance(40) else shape
    return step.add("BROADCAST_TO", step.same(shape), step.maker.constant(shape))


def gather(step: Step):
    """GATHER of constant positions."""
    axis, given = step.axis()
    chosen = [step.choices.number(0, step.shape[axis] - 1) for _ in range(step.choices.number(1, 5))]
    result = step.same((*step.shape[:axis], len(chosen), *step.shape[axis + 1 :]))
    return step.add("GATHER", result, step.maker.constant(chosen), options={"axis": given})


def depth_to_space(step: Step):
    """DEPTH_TO_SPACE."""
    _check_rank(step, 4, 4)
    n, h, w, c = step.shape
    block = step.choices.pick([b for b in (2, 3, 1) if c % b**2 == 0])
    return step.add("DEPTH_TO_SPACE", step.same((n, h * block, w * block, c // block**2)), options={"block_size": block})


def space_to_depth(step: Step):
    """SPACE_TO_DEPTH."""
    _check_rank(step, 4, 4)
    n, h, w, c = step.shape
    block = step.choices.pick([b for b in (2, 3, 1) if h % b == w % b == 0])
    return step.add("SPACE_TO_DEPTH", step.same((n, h // block, w // block, c * block**2)), options={"block_size": block})


def space_to_batch_nd(step: Step):
    """SPACE_TO_BATCH_ND of one or two dimensions."""
    _check_rank(step, 3, 4)
    spatial = step.shape[1:-1]
    blocks = [step.choices.number(1, 3) for _ in spatial]
    before = [step.choices.number(0, 2) for _ in spatial]
    pairs = [(pad, -(n + pad) % block) for n, pad, block in zip(spatial, before, blocks)]
    sides = [(n + sum(pair)) // block for n, pair, block in zip(spatial, pairs, blocks)]
    result = step.same((step.shape[0] * math.prod(blocks), *sides, step.shape[-1]))
    return step.add("SPACE_TO_BATCH_ND", result, step.maker.constant(blocks), step.maker.constant(pairs))


def batch_to_space_nd(step: Step):
    """BATCH_TO_SPACE_ND of a batch that a SPACE_TO_BATCH_ND or a RESHAPE made."""
    _check_rank(step, 3, 4)
    batch, *spatial = step.shape[:-1]
    blocks = [step.choices.pick([b for b in (2, 3, 1) if batch % b == 0])]
    blocks += [step.choices.pick([b for b in (2, 3, 1) if batch // blocks[0] % b == 0])] if len(spatial) == 2 else []
    crops = [(0, step.choices.number(0, min(2, n * block - 1))) for n, block in zip(spatial, blocks)]
    whole = [n * block - sum(crop) for n, block, crop in zip(spatial, blocks, crops)]
    result = step.same((batch // math.prod(blocks), *whole, step.shape[-1]))
    return step.add("BATCH_TO_SPACE_ND", result, step.maker.constant(blocks), step.maker.constant(crops))


def _reduced(step: Step):
    """Any axes, of an image its sides half of the time; the shape without them, and whether they are kept."""
    rank, keep = len(step.shape), step.choices.chance(50)
    axes = [1, 2] if rank == 4 and step.choices.chance(50) else step.choices.subset(range(rank), 50) or [rank - 1]
    shape = [1 if i in axes else n for i, n in enumerate(step.shape) if keep or i not in axes]
    if not shape:
        raise Declined
    return axes, shape, keep


def mean(step: Step):
    """MEAN."""
    axes, shape, keep = _reduced(step)
    result = step.same(shape) if step.choices.chance(30) else step.new(shape)
    return step.add("MEAN", result, step.maker.constant(axes), options={"keep_dims": keep})


def reduce_sum(step: Step):
    """SUM."""
    axes, shape, keep = _reduced(step)
    growth = math.sqrt(math.prod(step.shape) / math.prod(shape)) * 2.0 ** step.rng.uniform(-1, 2)
    zero_point = zero_point_of(step.rng, step.source.dtype) & (127 if step.source.dtype == "int8" else 255)
    result = step.maker.tensor(shape, dtype=step.source.dtype, scale=float(np.float32(step.source.scale * growth)), zero_point=zero_point)
    return step.add("SUM", result, step.maker.constant(axes), options={"keep_dims": keep})


def _extreme(op):
    def run(step: Step):
        axes, shape, keep = _reduced(step)
        return step.add(op, step.same(shape), step.maker.constant(axes), options={"keep_dims": keep})

    return run


reduce_max, reduce_min = _extreme("REDUCE_MAX"), _extreme("REDUCE_MIN")


def _resized(op, step: Step, sizes):
    _check_rank(step, 4, 4)
    alignment = step.choices.pick(((False, False), (True, False), (False, True)))
    options = dict(zip(("align_corners", "half_pixel_centers"), alignment))
    return step.add(op, step.same((step.shape[0], *sizes, step.shape[3])), step.maker.constant(sizes), options=options)


def resize_bilinear(step: Step):
    """RESIZE_BILINEAR, mostly to twice the size."""
    factor = step.choices.pick((2, 2, 2, 2, 4, 1, 3))
    return _resized("RESIZE_BILINEAR", step, [n * factor for n in step.shape[1:3]])


def resize_nearest_neighbor(step: Step):
    """RESIZE_NEAREST_NEIGHBOR to any size."""
    whole = step.choices.pick((2, 3, 0))
    return _resized("RESIZE_NEAREST_NEIGHBOR", step, [n * whole or step.choices.number(1, 2 * n) for n in step.shape[1:3]])
