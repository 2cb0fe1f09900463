"""Operators with weights, added to a network."""

import numpy as np

from golden.geometry import output_size
from tests.random_networks.maker import EXTREME, MOST_MACS, MOST_MACS_IN_IMAGES, Declined, Step
from tests.random_operators.values import activation_of, random_nibbles, zero_point_of
from tests.random_operators.weighted import weights_of

INT4_FILES, NARROW_WEIGHTS = 8, 15
"""Of a hundred layers: with int4 weights in the file, and with int8 weights that fit 4 bits."""


def _weights(step: Step, shape, reduction, axis=0, *, int4=True) -> tuple[str, str, float]:
    """Names of weights and bias, and a scale for the output that suits them."""
    narrow = step.choices.pick(["int8"] * (100 - INT4_FILES - NARROW_WEIGHTS) + ["fits"] * NARROW_WEIGHTS + ["int4"] * INT4_FILES)
    bits = 4 if narrow == "int4" and int4 else 8
    weights, bias, scale = weights_of(step.rng, shape, step.source.scale, reduction, axis, bits)
    name = step.maker.keep(weights)
    if narrow == "fits":
        step.maker.tensors[name].data[...] = random_nibbles(step.rng, shape)
        scale = float(np.float32(scale / 15))
    finer = 2.0 ** step.rng.uniform(8, 26) if step.choices.chance(EXTREME) else 1.0
    return name, step.maker.keep(bias), float(np.float32(scale / finer))


def _result(step, shape, scale):
    return step.maker.tensor(shape, scale=scale, zero_point=zero_point_of(step.rng))


def _check_work(step, *factors):
    if np.prod((step.shape[0], *factors), dtype=np.int64) > (MOST_MACS_IN_IMAGES if step.maker.ops else MOST_MACS):
        raise Declined


def _window(step: Step, *, largest=5, dilated=True) -> tuple[list[int], list[int], dict]:
    """Kernel, size of the output, and options of a window over the source."""
    choices, sides = step.choices, step.shape[1:3]
    plain = step.maker.ops is not None and choices.chance(85)
    padding = "SAME" if plain else choices.pick(("SAME", "VALID"))
    kernel = [choices.number(1, min(side, largest)) if padding == "VALID" else choices.number(1, largest) for side in sides]
    stride = [1 if plain else choices.pick((1, 1, 1, 2, 3)) for _ in sides]
    dilation = [choices.pick((1, 1, 1, 1, 2, 3)) if dilated and not plain else 1 for _ in sides]
    if padding == "VALID":
        dilation = [d if (k - 1) * d < side else 1 for k, d, side in zip(kernel, dilation, sides)]
    out = [output_size(padding, *each) for each in zip(sides, kernel, stride, dilation)]
    options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "activation": activation_of(step.rng)}
    options |= {"dilation_h": dilation[0], "dilation_w": dilation[1]} if dilated else {}
    return kernel, out, options


def _channels(step: Step, pixels: int) -> int:
    """Output channels that leave the tensor small enough, few more often than many, and often as many as there are."""
    if step.maker.ops is not None and step.choices.chance(70):
        return step.shape[-1]
    return max(1, min(step.maker.most // max(1, pixels), step.choices.pick((4, 8, 16, 24, 48, 72)) - step.choices.number(0, 3)))


def conv_2d(step: Step):
    """CONV_2D, often in groups, with every attribute."""
    kernel, out, options = _window(step)
    cin = step.shape[3]
    groups = step.choices.pick([d for d in range(1, cin + 1) if cin % d == 0]) if step.choices.chance(40) else 1
    channels = groups * max(1, _channels(step, int(step.shape[0] * np.prod(out))) // groups)
    _check_work(step, *out, *kernel, cin // groups, channels)
    weights, bias, scale = _weights(step, (channels, *kernel, cin // groups), kernel[0] * kernel[1] * cin // groups)
    return step.add("CONV_2D", _result(step, (step.shape[0], *out, channels), scale), weights, bias, options=options)


def depthwise_conv_2d(step: Step):
    """DEPTHWISE_CONV_2D, sometimes with several filters a channel, sometimes without a bias."""
    kernel, out, options = _window(step, largest=6)
    multiplier = step.choices.number(2, 4) if step.choices.chance(30) else 1
    channels = step.shape[3] * multiplier
    _check_work(step, *out, *kernel, channels)
    weights, bias, scale = _weights(step, (1, *kernel, channels), kernel[0] * kernel[1], 3)
    others = (weights,) if step.choices.chance(10) else (weights, bias)
    options |= {"depth_multiplier": multiplier}
    return step.add("DEPTHWISE_CONV_2D", _result(step, (step.shape[0], *out, channels), scale), *others, options=options)


def transpose_conv(step: Step):
    """TRANSPOSE_CONV, to any size from which its convolution comes back to the source's."""
    choices = step.choices
    kernel = [choices.number(1, 4) for _ in range(2)]
    stride = [choices.number(1, 3) for _ in range(2)]
    padding = choices.pick(("SAME", "VALID"))
    least = [(n - 1) * s + (1 if padding == "SAME" else k) for n, s, k in zip(step.shape[1:3], stride, kernel)]
    out = [low + choices.number(0, s - 1) for low, s in zip(least, stride)]
    cin, channels = step.shape[3], _channels(step, int(step.shape[0] * np.prod(out)))
    _check_work(step, *step.shape[1:3], *kernel, cin, channels)
    weights, bias, scale = _weights(step, (channels, *kernel, cin), kernel[0] * kernel[1] * cin, int4=False)
    result = _result(step, (step.shape[0], *out, channels), scale)
    options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "activation": activation_of(step.rng)}
    bias = () if choices.chance(10) else (bias,)
    size = step.maker.constant([step.shape[0], *out, channels])
    step.maker.operator("TRANSPOSE_CONV", (size, weights, step.source.name, *bias), (result,), options)
    return [result]


def fully_connected(step: Step):
    """FULLY_CONNECTED of the last dimension, of all, or of anything that divides it."""
    size, last = int(np.prod(step.shape)), step.shape[-1]
    keep = step.choices.chance(40)
    length = last if keep else step.choices.pick([n for n in dict.fromkeys((last, size, *step.shape)) if size % n == 0])
    channels = _channels(step, size // length)
    _check_work(step, size, channels)
    weights, bias, scale = _weights(step, (channels, length), length)
    result = _result(step, (*step.shape[:-1], channels) if keep else (size // length, channels), scale)
    options = {"keep_num_dims": keep, "activation": activation_of(step.rng)}
    return step.add("FULLY_CONNECTED", result, weights, None if step.choices.chance(10) else bias, options=options)


def _pool(op, step: Step):
    kernel, out, options = _window(step, largest=6, dilated=False)
    options |= {"filter_height": kernel[0], "filter_width": kernel[1]}
    return step.add(op, step.same((step.shape[0], *out, step.shape[3])), options=options)


def average_pool_2d(step: Step):
    """AVERAGE_POOL_2D."""
    return _pool("AVERAGE_POOL_2D", step)


def max_pool_2d(step: Step):
    """MAX_POOL_2D."""
    return _pool("MAX_POOL_2D", step)


def dilated_by_blocks(step: Step):
    """SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND: how older exporters write dilation."""
    choices, (batch, *sides, cin) = step.choices, step.shape
    blocks = [choices.number(1, 3) for _ in sides]
    kernel = [choices.number(1, 3) for _ in sides]
    before = [choices.number(0, 2) for _ in sides]
    after = [-(side + pad) % block + block * choices.number(0, 1) for side, pad, block in zip(sides, before, blocks)]
    phases = [(side + b + a) // block for side, b, a, block in zip(sides, before, after, blocks)]
    out = [phase - k + 1 for phase, k in zip(phases, kernel)]
    if min(out) < 1:
        raise Declined
    crops = [(0, min(a, block - 1, n * block - 1)) for a, block, n in zip(after, blocks, out)]
    channels, count = _channels(step, int(batch * np.prod(out) * np.prod(blocks))), int(np.prod(blocks))
    _check_work(step, count, *out, *kernel, cin, channels)
    maker, numbers = step.maker, step.maker.constant(blocks)
    middle = step.same((batch * count, *phases, cin))
    step.add("SPACE_TO_BATCH_ND", middle, numbers, maker.constant(list(zip(before, after))))
    weights, bias, scale = _weights(step, (channels, *kernel, cin), kernel[0] * kernel[1] * cin)
    small = _result(step, (batch * count, *out, channels), scale)
    maker.operator("CONV_2D", (middle, weights, bias), (small,), {"padding": "VALID", "stride_h": 1, "stride_w": 1})
    whole = [n * block - crop[1] for n, block, crop in zip(out, blocks, crops)]
    result = maker.tensor((batch, *whole, channels), like=maker.tensors[small])
    maker.operator("BATCH_TO_SPACE_ND", (small, numbers, maker.constant(crops)), (result,))
    return [result]
