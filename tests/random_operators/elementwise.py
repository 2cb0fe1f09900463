"""Random operators of two tensors, element by element."""

import numpy as np

from tests.random_operators.values import activation_of, one_operator, random_bytes, scale_of, zero_point_of
from tests.tflite_builder import BuilderTensor

POWER_OF_TWO = 0.3
"""Share of scales that are powers of two: only their products have ties."""


def _scale(rng):
    return 2.0 ** int(rng.integers(-9, 0)) if rng.random() < POWER_OF_TWO else scale_of(rng)


def _shapes(rng):
    """Shapes of two operands and of what they broadcast to: equal, or of any rank up to 6 with ones in any place."""
    shape = (1, *(int(n) for n in rng.integers(1, 12, 3)))
    if rng.random() < 0.3:
        return shape, shape, shape
    if rng.random() < 0.5:
        channels = shape[3:]
        second = [channels, (1, 1, 1, *channels), (), (1,), (1, *shape[1:3], 1), (1, 1, *shape[2:]), shape][int(rng.integers(7))]
        operands = [shape, second]
    else:
        full = tuple(int(n) for n in rng.integers(1, 6, int(rng.integers(1, 7))))
        operands = [tuple(1 if rng.random() < 0.4 else n for n in full[int(rng.integers(0, len(full) + 1)) :]) for _ in range(2)]
    if rng.random() < 0.5:
        operands.reverse()
    return *operands, np.broadcast_shapes(*operands)


def _pair(rng, shapes, scales, zero_points) -> list[BuilderTensor]:
    """Two operands and a result; either operand may be a constant."""
    constant = rng.choice(["a", "b", "none"])
    return [
        BuilderTensor(name, shape, scale=scale, zero_point=zero, data=random_bytes(rng, shape) if name == constant else None)
        for name, shape, scale, zero in zip("aby", shapes, scales, zero_points)
    ]


def _zero_points(rng):
    return [zero_point_of(rng) for _ in range(3)]


def _sum(op, rng) -> bytes:
    scales = _scale(rng), _scale(rng)
    output_scale = float(np.float32(max(scales) * 2.0 ** rng.uniform(-2, 2)))
    tensors = _pair(rng, _shapes(rng), (*scales, output_scale), _zero_points(rng))
    return one_operator(op, tensors, ("a", "b"), ("y",), {"activation": activation_of(rng)})


def add(rng) -> bytes:
    """ADD of two tensors of different scales."""
    return _sum("ADD", rng)


def sub(rng) -> bytes:
    """SUB of two tensors of different scales."""
    return _sum("SUB", rng)


def mul(rng) -> bytes:
    """MUL, sometimes by a factor above 1."""
    scales = _scale(rng), _scale(rng)
    output_scale = float(np.float32(scales[0] * scales[1] * 2.0 ** rng.uniform(-2, 10)))
    tensors = _pair(rng, _shapes(rng), (*scales, output_scale), _zero_points(rng))
    return one_operator("MUL", tensors, ("a", "b"), ("y",), {"activation": activation_of(rng)})


def _extremum(op, rng) -> bytes:
    scale, zero_point = scale_of(rng), zero_point_of(rng)
    return one_operator(op, _pair(rng, _shapes(rng), [scale] * 3, [zero_point] * 3), ("a", "b"), ("y",))


def maximum(rng) -> bytes:
    """MAXIMUM."""
    return _extremum("MAXIMUM", rng)


def minimum(rng) -> bytes:
    """MINIMUM."""
    return _extremum("MINIMUM", rng)


def squared_difference(rng) -> bytes:
    """SQUARED_DIFFERENCE, of an output range around what the operands reach; half of the time the operands are near each other's scale."""
    scale = _scale(rng)
    scales = [scale, scale if rng.random() < 0.3 else float(np.float32(scale * 2.0 ** rng.uniform(-4, 0)))]
    if rng.random() < 0.5:
        scales.reverse()
    zero_points = _zero_points(rng)
    if rng.random() < 0.5:
        zero_points[1:] = int(np.clip(zero_points[0] + rng.integers(-9, 10), -128, 127)), -128
    output_scale = float(np.float32(max(scales) ** 2 * 255 * 2.0 ** rng.uniform(-5, 2)))
    return one_operator("SQUARED_DIFFERENCE", _pair(rng, _shapes(rng), (*scales, output_scale), zero_points), ("a", "b"), ("y",))


def prelu(rng) -> bytes:
    """PRELU with one alpha for all, for each channel, or any other that broadcasts; sometimes a computed one."""
    shape = tuple(int(n) for n in rng.integers(1, 9, int(rng.integers(1, 5))))
    alpha = tuple(n if rng.random() < 0.5 else 1 for n in shape)[int(rng.integers(0, len(shape))) :]
    scales = _scale(rng), _scale(rng)
    output_scale = float(np.float32(scales[0] * 2.0 ** rng.uniform(-2, 2)))
    tensors = [
        BuilderTensor("a", shape, scale=scales[0], zero_point=zero_point_of(rng)),
        BuilderTensor(
            "b", alpha, scale=scales[1], zero_point=zero_point_of(rng), data=None if rng.random() < 0.2 else random_bytes(rng, alpha)
        ),
        BuilderTensor("y", shape, scale=output_scale, zero_point=zero_point_of(rng)),
    ]
    return one_operator("PRELU", tensors, ("a", "b"), ("y",))
