"""Operators with weights: a MATMUL where channels meet, DEPTHWISE where each has its own filter, several MATMULs for groups between."""

from dataclasses import replace

import numpy as np

from hw.npu.interface.isa import Opcode
from weft.compiler import parameters
from weft.compiler.graph import Operator
from weft.compiler.select.selection import Selection, fold, requantization, shared, two_taps
from weft.compiler.steps import Extent, Step, View, extent_of

MOST_STRIDE = 15
"""Of DEPTHWISE: the command's field has 4 bits."""


def window(selection: Selection, operator: Operator) -> dict:
    """Fields of a step with a window."""
    found = parameters.window(selection.graph, operator)
    return {"kernel": found.kernel, "stride": found.stride, "dilation": found.dilation, "pad": (found.pad[0], found.pad[2])}


def conv_2d(selection: Selection, operator: Operator) -> list[Step]:
    """CONV_2D: a MATMUL over the window; in groups, one for each piece of channels."""
    weights = parameters.weights(selection.graph, operator)
    if weights.shape[3] != selection.graph.input(operator, 0).shape[3]:
        return _pieces(selection, operator, weights.transpose(1, 2, 3, 0))
    return [_matmul(selection, operator, weights.transpose(1, 2, 3, 0))]


def depthwise_conv_2d(selection: Selection, operator: Operator) -> list[Step]:
    """DEPTHWISE_CONV_2D.

    One input channel is an ordinary convolution; several filters a channel, and strides that the filter's loop does not have, are
    convolutions in groups.
    """
    weights, channels = parameters.weights(selection.graph, operator), selection.graph.input(operator, 0).shape[3]
    if channels == 1:
        return [_matmul(selection, operator, weights.transpose(1, 2, 0, 3))]
    if weights.shape[3] != channels or max(parameters.window(selection.graph, operator).stride) > MOST_STRIDE:
        return _pieces(selection, operator, weights.transpose(1, 2, 0, 3))
    return [replace(_matmul(selection, operator, weights[0]), opcode=Opcode.DEPTHWISE)]


def _matmul(selection, operator, weights) -> Step:
    source, zero_point = selection.graph.input(operator, 0), selection.graph.input(operator, 0).zero_point
    fields = requantization(selection.graph, operator) | window(selection, operator)
    bias = fold(parameters.bias(selection.graph, operator), zero_point, weights)
    step = selection.whole(operator, Opcode.MATMUL, **two_taps(weights), bias=bias, pad_value=source.zero_point, **fields)
    return shared(replace(step, macs=step.result.height * step.result.width * weights.size))


def _pieces(selection, operator, weights) -> list[Step]:
    """Groups: so many of them in a step as fill the array's columns, their weights in blocks along the diagonal.

    weights : int8[KH, KW, channels in a group, Cout] or int16
    """
    source, result = selection.graph.input(operator, 0), selection.graph.output(operator)
    depth, (channels, made) = weights.shape[2], (source.shape[3], result.shape[3])
    groups, step = channels // depth, _matmul(selection, operator, weights)
    each, taken = made // groups, max(1, selection.config.cols * (channels // depth) // made)
    steps = []
    for first in range(0, groups, taken):
        count = min(taken, groups - first)
        inside, outside = slice(first * depth, (first + count) * depth), slice(first * each, (first + count) * each)
        blocks = np.zeros((*weights.shape[:2], count * depth, count * each), weights.dtype)
        for group in range(count):
            columns = slice(group * each, (group + 1) * each)
            blocks[:, :, group * depth : (group + 1) * depth, columns] = weights[..., outside][..., columns]
        piece = replace(
            step,
            image=Extent(source.shape[1], source.shape[2], count * depth),
            result=Extent(result.shape[1], result.shape[2], count * each),
            source_view=selection.seen(source.name, View(x=inside.start, dx=channels)),
            output_view=selection.seen(result.name, View(x=outside.start, dx=made)),
            **two_taps(blocks),
            bias=step.bias[outside],
            multiplier=step.multiplier[outside] if len(step.multiplier) > 1 else step.multiplier,
            exponent=step.exponent[outside] if len(step.exponent) > 1 else step.exponent,
            macs=step.macs * count // groups,
        )
        steps.append(shared(piece))
    return steps


def fully_connected(selection: Selection, operator: Operator) -> list[Step]:
    """FULLY_CONNECTED: a MATMUL over one row of pixels, rounded once."""
    graph = selection.graph
    weights, source = parameters.weights(graph, operator).T, graph.input(operator, 0)
    pixels = source.size // weights.shape[0]
    step = selection.step(
        operator, Opcode.MATMUL, source.name, operator.outputs[0],
        Extent(1, pixels, weights.shape[0]), Extent(1, pixels, weights.shape[1]),
        **two_taps(weights[None, None]), bias=fold(parameters.bias(graph, operator), source.zero_point, weights),
        single_rounding=True, macs=pixels * weights.size, **requantization(graph, operator),
    )  # fmt: skip
    return [shared(step)]


def transpose_conv(selection: Selection, operator: Operator) -> list[Step]:
    """TRANSPOSE_CONV: an ordinary convolution for each phase of the output, with every stride-th tap of the kernel, turned round.

    Output row ``oy = phase + stride * t`` gets tap ``ky`` from input row ``(oy + top - ky) / stride``, where that is whole: with
    ``r = (phase + top) % stride`` tap ``r + stride * j`` from input row ``t + (phase + top) // stride - j``.
    """
    graph, found = selection.graph, parameters.window(selection.graph, operator)
    source, result = parameters.source(graph, operator), graph.output(operator)
    weights, fields = parameters.weights(graph, operator).transpose(1, 2, 3, 0), requantization(graph, operator)
    steps = []
    for y in range(min(found.stride[0], result.shape[1])):
        for x in range(min(found.stride[1], result.shape[2])):
            first, taps, pad = zip(*(_phase(found, i, phase) for i, phase in ((0, y), (1, x))))
            part = weights[first[0] :: found.stride[0], first[1] :: found.stride[1]][::-1, ::-1]
            size = [len(range(phase, n, s)) for phase, n, s in zip((y, x), result.shape[1:3], found.stride)]
            view = selection.seen(result.name, View(y, found.stride[0], x * result.shape[3], found.stride[1] * result.shape[3]))
            if not min(taps):  # no tap reaches this phase: it is the bias alone
                part, pad = np.zeros((1, 1, *weights.shape[2:]), np.int8), (0, 0)
            step = selection.step(
                operator, Opcode.MATMUL, source.name, result.name, extent_of(source.shape), Extent(size[0], size[1], result.shape[3]),
                output_view=view, kernel=part.shape[:2], pad=pad, pad_value=source.zero_point, **two_taps(np.ascontiguousarray(part)),
                bias=fold(parameters.bias(graph, operator), source.zero_point, part),
                macs=size[0] * size[1] * part.size if min(taps) else 0, **fields,
            )  # fmt: skip
            steps.append(shared(step))
    return steps


def _phase(found, axis, phase) -> tuple[int, int, int]:
    """First tap of a phase, how many there are, and padding in front of the image; below 0 where the image's first rows are not read."""
    stride, top, kernel = found.stride[axis], found.pad[2 * axis], found.kernel[axis]
    first = (phase + top) % stride
    taps = len(range(first, kernel, stride))
    return first, taps, taps - 1 - (phase + top) // stride
