"""Operators that move elements without changing them (TFLite's reference kernels of the same names), for any element type."""

import numpy as np


def strided_index(begin, end, strides, *, begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0) -> tuple:
    """STRIDED_SLICE's numbers as a numpy index, which gives a view even of a single element.

    Bit i of a mask belongs to entry i. Entries are clamped to the tensor as numpy clamps them.

    Parameters
    ----------
    begin, end, strides : sequences of int
    """
    index: list = []
    for i, (first, last, stride) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit:
            index.append(Ellipsis)
        elif new_axis_mask & bit:
            index.append(np.newaxis)
        elif shrink_axis_mask & bit:
            index.append(int(first))
        else:
            index.append(slice(None if begin_mask & bit else int(first), None if end_mask & bit else int(last), int(stride)))
    return tuple(index) if Ellipsis in index else (*index, ...)


def axis_index(axis: int, chosen) -> tuple:
    """A numpy index of one axis, counted from 0, that takes the others whole; of a single element it gives a view too, no copy."""
    return (*(slice(None) for _ in range(axis)), chosen, ...)


def mirror_pad(x, paddings, mode) -> np.ndarray:
    """MIRROR_PAD: `mode` REFLECT leaves out the element at the edge, SYMMETRIC repeats it.

    Parameters
    ----------
    x : any[...]
    paddings : ((int, int), ...)
        Elements before and after, for each axis.
    mode : str
    """
    return np.pad(x, paddings, "reflect" if mode == "REFLECT" else "symmetric")


def depth_to_space(x, block: int) -> np.ndarray:
    """DEPTH_TO_SPACE: [N, H, W, block^2 * C] to [N, H * block, W * block, C]."""
    n, h, w, c = x.shape
    tiles = x.reshape(n, h, w, block, block, c // block**2)
    return tiles.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * block, w * block, c // block**2)


def space_to_depth(x, block: int) -> np.ndarray:
    """SPACE_TO_DEPTH: [N, H * block, W * block, C] to [N, H, W, block^2 * C]."""
    n, h, w, c = x.shape
    tiles = x.reshape(n, h // block, block, w // block, block, c)
    return tiles.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // block, w // block, block**2 * c)


def space_to_batch(x, blocks, paddings, zero_point) -> np.ndarray:
    """SPACE_TO_BATCH_ND: pads, then makes an image of every b-th pixel for each phase; phases are the new batch's outer dimension.

    Parameters
    ----------
    x : any[N, spatial ..., C]
    blocks : sequence of int
        One for each spatial dimension.
    paddings : ((int, int), ...)
        For each spatial dimension.
    zero_point : int
        Of the output: the padding's value.
    """
    k = len(blocks)
    padded = np.pad(x, ((0, 0), *paddings, *((0, 0) for _ in x.shape[k + 1 :])), constant_values=zero_point)
    pairs = [side for size, block in zip(padded.shape[1:], blocks) for side in (size // block, block)]
    tiles = padded.reshape(x.shape[0], *pairs, *x.shape[k + 1 :])
    outer, inner = range(1, 2 * k + 1, 2), range(2, 2 * k + 1, 2)
    moved = tiles.transpose(*inner, 0, *outer, *range(2 * k + 1, tiles.ndim))
    return moved.reshape(x.shape[0] * int(np.prod(blocks)), *pairs[::2], *x.shape[k + 1 :])


def batch_to_space(x, blocks, crops) -> np.ndarray:
    """BATCH_TO_SPACE_ND, the other way; `crops` are the elements taken off before and after, for each spatial dimension."""
    k = len(blocks)
    batch = x.shape[0] // int(np.prod(blocks))
    tiles = x.reshape(*blocks, batch, *x.shape[1:])
    order = [k, *(axis for i in range(k) for axis in (k + 1 + i, i)), *range(2 * k + 1, tiles.ndim)]
    sides = [size * block for size, block in zip(x.shape[1:], blocks)]
    whole = tiles.transpose(order).reshape(batch, *sides, *x.shape[k + 1 :])
    return whole[(slice(None), *(slice(before, side - after) for side, (before, after) in zip(sides, crops)))]
